// The views are made one from the other and keep offsets, so that what is found in any of them is a range of
// the original. Folding can fuse what was apart (a list mark "①" before a number), so it never replaces the
// plain view; both are searched.
#include "pii_view.hpp"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>

namespace jiphyeon {
namespace {

constexpr char32_t kSyllableFirst = 0xAC00, kSyllableLast = 0xD7A3;

bool is_syllable(char32_t c)
{
    return c >= kSyllableFirst && c <= kSyllableLast;
}
bool is_ascii_digit(char32_t c)
{
    return c >= U'0' && c <= U'9';
}

std::optional<char32_t> digit_of(char32_t c)
{
    const UChar32 point = static_cast<UChar32>(c);
    const std::int32_t decimal = u_charDigitValue(point);
    if (u_charType(point) == U_DECIMAL_DIGIT_NUMBER && decimal >= 0)
        return U'0' + static_cast<char32_t>(decimal);
    if (u_charType(point) == U_OTHER_NUMBER) {  // ①, ², ⓪; not ⑩, ½
        const double value = u_getNumericValue(point);
        for (int digit = 0; digit <= 9; ++digit)
            if (value == digit) return U'0' + static_cast<char32_t>(digit);
    }
    return std::nullopt;
}

std::optional<char32_t> dash_or_dot(char32_t c)
{
    constexpr std::u32string_view dashes = U"‐‑‒–—―−－ーㅡ⁃˗﹘﹣➖";
    constexpr std::u32string_view dots = U"·ㆍ‧・⋅•．｡。";
    constexpr std::u32string_view waves = U"〜～∼";
    if (dashes.find(c) != std::u32string_view::npos) return U'-';
    if (dots.find(c) != std::u32string_view::npos) return U'.';
    if (waves.find(c) != std::u32string_view::npos) return U'~';
    return std::nullopt;
}

char32_t compatible(char32_t c)
{
    UErrorCode status = U_ZERO_ERROR;
    static const icu::Normalizer2* const nfkc = icu::Normalizer2::getNFKCInstance(status);
    icu::UnicodeString expanded;
    if (nfkc == nullptr || !nfkc->getDecomposition(static_cast<UChar32>(c), expanded)) return c;
    // Only one for one: an expansion would need offsets inside one character.
    return expanded.countChar32() == 1 ? static_cast<char32_t>(expanded.char32At(0)) : c;
}

char32_t folded(char32_t c)
{
    if (c < 0x80 || is_syllable(c)) return c;
    if (c >= 0x3131 && c <= 0x318C && c != U'ㅡ') return c;  // letters of Hangul stay as written
    if (const auto digit = digit_of(c)) return *digit;
    if (const auto mark = dash_or_dot(c)) return *mark;
    if (u_isUWhiteSpace(static_cast<UChar32>(c)))
        return c == 0x2028 || c == 0x2029 || c == 0x85 ? U'\n' : U' ';
    return compatible(c);
}

constexpr char32_t kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;

bool is_lead(char32_t c)
{
    return c >= kLead && c < kLead + 19;
}
bool is_vowel(char32_t c)
{
    return c >= kVowel && c < kVowel + 21;
}
bool is_tail(char32_t c)
{
    return c > kTail && c < kTail + 28;
}

// Value of a Hangul numeral, -1 for none.
int numeral(char32_t c)
{
    constexpr std::u32string_view numerals = U"영일이삼사오육칠팔구";
    if (c == U'공' || c == U'빵') return 0;
    if (c == U'륙') return 6;
    const std::size_t at = numerals.find(c);
    return at == std::u32string_view::npos ? -1 : static_cast<int>(at);
}

char32_t look_alike(char32_t c)
{
    constexpr std::u32string_view shapes = U"OoQDㅇlI|!ㅣZzSsGbB";
    constexpr std::u32string_view digits = U"00000111112255668";
    static_assert(shapes.size() == digits.size());
    const std::size_t at = shapes.find(c);
    return at == std::u32string_view::npos ? c : digits[at];
}

bool is_joint(char32_t c)
{
    return c == U'-' || c == U'.' || c == U' ' || c == U'/' || c == U'~';
}
bool is_particle(char32_t c)
{
    return c == U'에' || c == U'의';
}

constexpr std::size_t kNumeralDigitsMin = 9;  // the shortest telephone number

// "공일공에 일이삼사에 오육칠팔", "공일공-1234-오육칠팔". Groups of two or more, or every digit by itself; so
// "제1조 이사 5명" stays a sentence. Returns where the run that begins at `i` ends; changes it in `text`.
std::size_t fold_numerals(std::u32string& text, std::size_t i)
{
    std::size_t end = i, digits = 0, spelled = 0, group = 0, groups = 0, groups_of_one = 0;
    std::size_t at = i;
    std::vector<std::pair<std::size_t, char32_t>> changes;
    const auto close_group = [&] {
        groups += group > 0 ? 1 : 0;
        groups_of_one += group == 1 ? 1 : 0;
        group = 0;
    };
    while (at < text.size()) {
        const char32_t c = text[at];
        if (const int value = numeral(c); value >= 0) {
            changes.emplace_back(at, U'0' + static_cast<char32_t>(value));
            ++digits, ++spelled, ++group, end = ++at;
        } else if (is_ascii_digit(c)) {
            ++digits, ++group, end = ++at;
        } else {
            std::size_t joint = at;
            if (is_particle(c)) changes.emplace_back(joint++, U'-');
            if (text.compare(joint, 2, U"다시") == 0) {
                changes.emplace_back(joint, U'-');
                changes.emplace_back(joint + 1, U' ');
                joint += 2;
            }
            while (joint < text.size() && joint < at + 4 && is_joint(text[joint])) ++joint;
            if (joint == at || joint >= text.size() ||
                (numeral(text[joint]) < 0 && !is_ascii_digit(text[joint])))
                break;
            close_group();
            at = joint;
        }
    }
    close_group();
    constexpr std::u32string_view amount = U"십백천만억조";
    const bool is_amount = end < text.size() && amount.find(text[end]) != std::u32string_view::npos;
    if (digits < kNumeralDigitsMin || spelled < 3 || is_amount) return end;
    if (groups_of_one > 1 && groups_of_one != groups) return end;
    for (const auto& [where, to] : changes)
        if (where < end) text[where] = to;
    return end;
}

bool is_look_alike_token(char32_t c)
{
    return is_ascii_digit(c) || c == U'-' || c == U'.' || look_alike(c) != c;
}

// Tokens such as "9OO1O1-1234S67": at least three fifths digits and long enough for an identifier.
std::size_t fold_look_alikes(std::u32string& text, std::size_t i)
{
    std::size_t end = i, digits = 0, shapes = 0;
    while (end < text.size() && is_look_alike_token(text[end])) {
        digits += is_ascii_digit(text[end]) ? 1 : 0;
        shapes += look_alike(text[end]) != text[end] ? 1 : 0;
        ++end;
    }
    const auto letter = [&text](std::size_t at) {
        return at < text.size() && (u_isalpha(static_cast<UChar32>(text[at])) != 0) && text[at] < 0x80;
    };
    const bool part_of_word = letter(end) || (i > 0 && letter(i - 1));
    if (shapes > 0 && !part_of_word && digits + shapes >= kNumeralDigitsMin &&
        digits * 5 >= (digits + shapes) * 3)
        for (std::size_t at = i; at < end; ++at) text[at] = look_alike(text[at]);
    return end;
}

}  // namespace

bool is_invisible(char32_t c)
{
    if (c < 0x80) return false;
    const UChar32 point = static_cast<UChar32>(c);
    return u_hasBinaryProperty(point, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) != 0 ||
           u_charType(point) == U_FORMAT_CHAR;
}

View plain_view(std::string_view text)
{
    View view;
    view.text.reserve(text.size() / 2);
    view.start.reserve(text.size() / 2);
    view.end.reserve(text.size() / 2);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    const auto size = static_cast<std::int64_t>(text.size());
    for (std::int64_t i = 0; i < size;) {
        const std::int64_t from = i;
        UChar32 c = 0;
        U8_NEXT(bytes, i, size, c);
        view.add(c < 0 ? char32_t{0xFFFD} : static_cast<char32_t>(c), static_cast<std::size_t>(from),
                 static_cast<std::size_t>(i));
    }
    return view;
}

std::optional<View> folded_view(const View& plain)
{
    const auto keeps = [](char32_t c) {
        return c < 0x80 || (is_syllable(c)) || (!is_invisible(c) && !is_lead(c) && folded(c) == c);
    };
    if (std::all_of(plain.text.begin(), plain.text.end(), keeps)) return std::nullopt;

    View view;
    for (std::size_t i = 0; i < plain.text.size();) {
        const char32_t c = plain.text[i];
        const auto next = [&plain](std::size_t at) {
            return at < plain.text.size() ? plain.text[at] : U'\0';
        };
        if (is_lead(c) && is_vowel(next(i + 1))) {
            const bool tail = is_tail(next(i + 2));
            const char32_t syllable = kSyllableFirst + ((c - kLead) * 21 + (next(i + 1) - kVowel)) * 28 +
                                      (tail ? next(i + 2) - kTail : 0);
            const std::size_t last = i + (tail ? 2 : 1);
            view.add(syllable, plain.start[i], plain.end[last]);
            i = last + 1;
            continue;
        }
        const bool mark_on_digit = !view.text.empty() && is_ascii_digit(view.text.back()) && c >= 0x80 &&
                                   (u_charType(static_cast<UChar32>(c)) == U_NON_SPACING_MARK ||
                                    u_charType(static_cast<UChar32>(c)) == U_ENCLOSING_MARK);
        if (!is_invisible(c) && !mark_on_digit) view.add(folded(c), plain.start[i], plain.end[i]);
        ++i;
    }
    return view;
}

std::optional<View> guessed_view(const View& before)
{
    std::u32string text = before.text;
    for (std::size_t i = 0; i < text.size();)
        i = numeral(text[i]) >= 0 || is_ascii_digit(text[i]) ? std::max(i + 1, fold_numerals(text, i))
                                                             : i + 1;
    for (std::size_t i = 0; i < text.size();)
        i = is_look_alike_token(text[i]) ? std::max(i + 1, fold_look_alikes(text, i)) : i + 1;
    if (text == before.text) return std::nullopt;
    View view = before;
    view.text = std::move(text);
    return view;
}

}  // namespace jiphyeon
