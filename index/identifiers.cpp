#include "identifiers.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "jiphyeon/index.hpp"
#include "utf8.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kHangulMax = 20;  // syllables of an office's name
constexpr std::size_t kCodeMax = 40;

bool is_digit(char32_t c)
{
    return c >= U'0' && c <= U'9';
}
bool is_hangul(char32_t c)
{
    return c >= 0xAC00 && c <= 0xD7A3;
}
bool is_code(char32_t c)
{
    return is_digit(c) || (c >= U'a' && c <= U'z');
}

std::string utf8(char32_t c)
{
    return encode_utf8(std::u32string_view(&c, 1));
}

// A reading position: each take_* moves on only when it succeeds, so that an attempt is a copy.
class Cursor {
public:
    Cursor(std::u32string_view text, std::size_t at) : text_(text), at_(at) {}
    char32_t peek() const { return at_ < text_.size() ? text_[at_] : U'\0'; }
    std::size_t at() const { return at_; }

    bool take(char32_t c)
    {
        if (peek() != c || at_ >= text_.size()) return false;
        ++at_;
        return true;
    }
    bool take(std::u32string_view word)
    {
        if (text_.substr(std::min(at_, text_.size()), word.size()) != word) return false;
        at_ += word.size();
        return true;
    }
    void skip_space()
    {
        for (int i = 0; i < 2 && peek() == U' '; ++i) ++at_;
    }
    // A whole run of digits of a length within [min, max].
    std::optional<std::string> take_digits(std::size_t min, std::size_t max)
    {
        std::string digits;
        std::size_t i = at_;
        for (; i < text_.size() && is_digit(text_[i]); ++i) {
            if (digits.size() == max) return std::nullopt;
            digits += static_cast<char>(text_[i]);
        }
        if (digits.size() < min) return std::nullopt;
        at_ = i;
        return digits;
    }
    // A positive number without leading zeros.
    std::optional<std::string> take_number(std::size_t max)
    {
        Cursor c = *this;
        auto digits = c.take_digits(1, max);
        if (!digits) return std::nullopt;
        digits->erase(0, std::min(digits->find_first_not_of('0'), digits->size() - 1));
        *this = c;
        return digits;
    }

private:
    std::u32string_view text_;
    std::size_t at_;
};

// "제3항" or "3항", with the spaces before it.
std::optional<std::string> take_member(Cursor& cursor, char32_t unit)
{
    Cursor c = cursor;
    c.skip_space();
    c.take(U'제');
    c.skip_space();
    const auto number = c.take_number(3);
    if (!number || !c.take(unit)) return std::nullopt;
    std::string text = "제" + *number + utf8(unit);
    Cursor branch = c;
    if (unit == U'호' && branch.take(U'의')) {
        if (const auto n = branch.take_number(3)) {
            text += "의" + *n;
            c = branch;
        }
    }
    cursor = c;
    return text;
}

// "12조 5천억 원", "12조원": a sum, no article.
bool is_sum_of_trillions(Cursor c)
{
    c.skip_space();
    for (const std::u32string_view unit : {U"원", U"억", U"만", U"천", U"여", U"달러"}) {
        if (c.take(unit)) return true;
    }
    Cursor member = c;
    return is_digit(c.peek()) && !take_member(member, U'항') && !take_member(member, U'호');
}

bool take_article(Cursor& c, std::vector<std::string>& out)
{
    const bool marked = c.take(U'제');
    if (marked) c.skip_space();
    const auto number = c.take_number(4);
    if (!number) return false;
    if (marked) c.skip_space();
    if (!c.take(U'조')) return false;
    std::string article = "제" + *number + "조";
    Cursor branch = c;
    if (branch.take(U'의')) {
        if (const auto n = branch.take_number(3)) {
            article += "의" + *n;
            c = branch;
        }
    } else if (!marked && is_sum_of_trillions(c)) {
        return false;
    }
    out.push_back(article);
    if (const auto paragraph = take_member(c, U'항')) out.push_back(article += *paragraph);
    if (const auto item = take_member(c, U'호')) {
        out.push_back(article += *item);
        c.skip_space();
        const char32_t letter = c.peek();
        if (is_hangul(letter) && c.take(letter) && c.take(U'목'))
            out.push_back(article + utf8(letter) + "목");
    }
    return true;
}

// "제3장", "제12호", "제2023-123호".
bool take_numbered(Cursor& c, std::vector<std::string>& out)
{
    const bool marked = c.take(U'제');
    if (marked) c.skip_space();
    const auto number = c.take_number(6);
    if (!number) return false;
    Cursor dashed = c;
    dashed.skip_space();
    if (dashed.take(U'-')) {
        dashed.skip_space();
        const auto second = dashed.take_number(6);
        dashed.skip_space();
        if (!second || !dashed.take(U'호')) return false;
        out.push_back("제" + *number + "-" + *second + "호");
        c = dashed;
        return true;
    }
    if (!marked) return false;
    for (const char32_t unit : {U'호', U'장', U'절', U'편', U'관'}) {
        if (c.take(unit)) {
            out.push_back("제" + *number + utf8(unit));
            return true;
        }
    }
    return false;
}

// "별표 1", "별표1의2", "별지 제3호서식".
bool take_annex(Cursor& c, std::vector<std::string>& out)
{
    const bool form = c.take(U"별지");
    if (!form && !c.take(U"별표")) return false;
    c.skip_space();
    c.take(U'제');
    c.skip_space();
    const auto number = c.take_number(3);
    if (!number) return false;
    std::string text = (form ? "별지" : "별표") + *number;
    c.take(U'호');
    if (c.take(U'의')) {
        if (const auto n = c.take_number(3)) text += "의" + *n;
    }
    out.push_back(text);
    return true;
}

std::string two(const std::string& digits)
{
    return digits.size() == 1 ? "0" + digits : digits;
}

// "2026. 5. 19.", "2026.5.19", "2026-05-19", "2026/5/19", "2026년 5월 19일", "'26. 5. 19."; and months alone
// where they are written with 년 and 월 or with points and no day.
bool take_date(Cursor& c, std::vector<std::string>& out)
{
    const bool shortened = c.take(U'\'');
    auto year = c.take_digits(shortened ? 2 : 4, shortened ? 2 : 4);
    if (!year) return false;
    if (shortened) *year = "20" + *year;
    if ((*year)[0] != '1' && (*year)[0] != '2') return false;
    c.skip_space();
    const char32_t separator = c.peek();
    if (separator != U'.' && separator != U'-' && separator != U'/' && separator != U'년') return false;
    c.take(separator);
    c.skip_space();
    const auto month = c.take_digits(1, 2);
    if (!month) return false;
    const std::string year_month = *year + "-" + two(*month);
    if (!day_from_text(year_month + "-01")) return false;
    c.skip_space();
    const char32_t second = separator == U'년' ? U'월' : separator;
    const bool closed = c.take(second);
    if (!closed && separator != U'.') return false;
    c.skip_space();
    if (closed) {
        const auto day = c.take_digits(1, 2);
        const bool whole = day && (separator != U'년' || (c.skip_space(), c.take(U'일')));
        if (whole && day_from_text(year_month + "-" + two(*day))) {
            out.push_back(year_month + "-" + two(*day));
            out.push_back(year_month);
            return true;
        }
    }
    if (separator != U'년') return false;
    out.push_back(year_month);
    return true;
}

struct Decimal {
    std::uint64_t value = 0;  // without the point
    std::uint64_t scale = 1;  // 10 for each place behind the point
};

std::optional<Decimal> take_decimal(Cursor& cursor)
{
    Cursor c = cursor;
    auto digits = c.take_digits(1, 15);
    if (!digits) return std::nullopt;
    for (Cursor group = c; digits->size() <= 12 && group.take(U',');) {
        const auto three = group.take_digits(3, 3);
        if (!three) break;
        *digits += *three;
        c = group;
    }
    Decimal decimal;
    for (const char d : *digits) decimal.value = decimal.value * 10 + static_cast<std::uint64_t>(d - '0');
    Cursor fraction = c;
    if (fraction.take(U'.')) {
        if (const auto places = fraction.take_digits(1, 2)) {
            for (const char d : *places) {
                decimal.value = decimal.value * 10 + static_cast<std::uint64_t>(d - '0');
                decimal.scale *= 10;
            }
            c = fraction;
        }
    }
    cursor = c;
    return decimal;
}

std::uint64_t take_unit(Cursor& c)
{
    struct Unit {
        std::u32string_view name;
        std::uint64_t value;
    };
    static constexpr std::array<Unit, 11> kUnits = {{{U"천억", 100'000'000'000},
                                                     {U"백억", 10'000'000'000},
                                                     {U"십억", 1'000'000'000},
                                                     {U"천만", 10'000'000},
                                                     {U"백만", 1'000'000},
                                                     {U"십만", 100'000},
                                                     {U"조", 1'000'000'000'000},
                                                     {U"억", 100'000'000},
                                                     {U"만", 10'000},
                                                     {U"천", 1'000},
                                                     {U"백", 100}}};
    for (const Unit& unit : kUnits) {
        if (c.take(unit.name)) return unit.value;
    }
    return 1;
}

// "₩1,000", "9,000원", "111만 9,000원", "1.5억 원": as "1119000원".
bool take_sum(Cursor& c, std::vector<std::string>& out)
{
    constexpr std::uint64_t kSumMax = 1'000'000'000'000'000'000;
    const bool sign = c.take(U'₩');
    if (sign) c.skip_space();
    std::uint64_t sum = 0;
    for (int piece = 0; piece < 6; ++piece) {
        const auto decimal = take_decimal(c);
        if (!decimal) return false;
        Cursor spaced = c;
        spaced.skip_space();
        const std::uint64_t unit = take_unit(spaced);
        if (unit != 1) c = spaced;
        unsigned __int128 value = static_cast<unsigned __int128>(decimal->value) * unit;
        if (value % decimal->scale != 0) return false;
        value = value / decimal->scale + sum;
        if (value > kSumMax) return false;
        sum = static_cast<std::uint64_t>(value);
        c.skip_space();
        if (c.take(U'원') || (sign && !is_digit(c.peek()))) {
            out.push_back(std::to_string(sum) + "원");
            return true;
        }
        if (unit == 1) return false;
    }
    return false;
}

// "2023-123", "kf-94", "iso/iec", "044-200-1234": Latin letters and digits joined by signs, a digit among
// them; and "3.5".
bool take_code(Cursor& c, std::vector<std::string>& out)
{
    std::string code;
    bool digit = false, joined = false;
    while (is_code(c.peek()) && code.size() <= kCodeMax) {
        while (is_code(c.peek()) && code.size() <= kCodeMax) {
            digit = digit || is_digit(c.peek());
            code += static_cast<char>(c.peek());
            c.take(c.peek());
        }
        Cursor next = c;
        const char32_t sign = c.peek();
        if ((sign != U'-' && sign != U'/' && sign != U'.') || !next.take(sign) || !is_code(next.peek()))
            break;
        code += static_cast<char>(sign);
        joined = true;
        c = next;
    }
    if (!digit || !joined || code.size() > kCodeMax) return false;
    out.push_back(code);
    return true;
}

// "(044) 200-1234", "044)200-1234".
bool take_bracketed_phone(Cursor& c, std::vector<std::string>& out)
{
    c.take(U'(');
    const auto area = c.take_digits(2, 3);
    if (!area || (*area)[0] != '0' || !c.take(U')')) return false;
    c.skip_space();
    const auto office = c.take_digits(3, 4);
    if (!office || !c.take(U'-')) return false;
    const auto line = c.take_digits(4, 4);
    if (!line) return false;
    out.push_back(*area + "-" + *office + "-" + *line);
    return true;
}

// "정보기획담당관-5440".
bool take_document_number(Cursor& c, std::vector<std::string>& out)
{
    std::string office;
    std::size_t syllables = 0;
    for (; is_hangul(c.peek()) && syllables <= kHangulMax; ++syllables) {
        office += utf8(c.peek());
        c.take(c.peek());
    }
    if (syllables < 2 || syllables > kHangulMax || !c.take(U'-')) return false;
    const auto number = c.take_digits(1, 7);
    if (!number || c.peek() == U'-') return false;
    out.push_back(office + "-" + *number);
    return true;
}

}  // namespace

std::size_t find_identifiers(std::u32string_view text, std::size_t at, std::vector<std::string>& out)
{
    using Take = bool (*)(Cursor&, std::vector<std::string>&);
    const auto first_of = [&](std::initializer_list<Take> kinds) {
        for (const Take take : kinds) {
            Cursor c(text, at);
            if (take(c, out)) return c.at();
        }
        return at;
    };
    const char32_t first = Cursor(text, at).peek();
    if (first == U'제') return first_of({take_article, take_numbered, take_document_number});
    if (first == U'별') return first_of({take_annex, take_document_number});
    if (is_hangul(first)) return first_of({take_document_number});
    if (first == U'\'') return first_of({take_date});
    if (first == U'₩') return first_of({take_sum});
    if (first == U'(') return first_of({take_bracketed_phone});
    if (is_digit(first)) {
        return first_of({take_date, take_sum, take_article, take_bracketed_phone, take_numbered, take_code});
    }
    return is_code(first) ? first_of({take_code}) : at;
}

}  // namespace jiphyeon
