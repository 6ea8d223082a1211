// Marks of classified matter. A mark is a line that stands alone, as in a page's header or footer
// ("Ⅱ급비밀", "- 군사 Ⅲ급 비밀 -", "3/12 Ⅱ급비밀"), or a 예고문 block with its protection period. Regulations
// that talk about secrets have the same words inside sentences, in captions ("제14조(예고문)") and in
// numbered lists of all the grades, and must not be refused; so the whole line decides, never a word.
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <array>
#include <string>
#include <vector>

#include "jiphyeon/policy.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kMarkCharactersMax = 40;  // a header line; anything longer is a sentence
constexpr std::size_t kListLines = 3;           // grades listed this close together are a list of grades
constexpr std::size_t kNoticeLines = 8;         // lines of a 예고문 block

struct Line {
    std::size_t start, end;  // bytes
    std::u32string compact;  // NFKC without blanks and punctuation; empty when the line is too long
    bool numbered = false;   // "1. …", "가. …", "① …": an item of a list
};

bool is_list_item(const std::u32string& text)
{
    std::size_t i = 0;
    while (i < text.size() && u_isUWhiteSpace(static_cast<UChar32>(text[i]))) ++i;
    const std::size_t first = i;
    while (i < text.size() && u_isdigit(static_cast<UChar32>(text[i]))) ++i;
    if (i == first && i < text.size() && text[i] >= U'가' && text[i] <= U'힣') ++i;
    return i > first && i < text.size() && (text[i] == U'.' || text[i] == U')');
}

std::u32string to_u32(const icu::UnicodeString& text)
{
    std::u32string out;
    for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1))
        out += static_cast<char32_t>(text.char32At(i));
    return out;
}

Line read_line(std::string_view text, std::size_t start, std::size_t end)
{
    Line line{start, end, {}, false};
    if (end - start > kMarkCharactersMax * 4) return line;
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* nfkc = icu::Normalizer2::getNFKCInstance(status);
    if (U_FAILURE(status)) throw PolicyError(PolicyError::Kind::io, "no normalisation data");
    const std::string bytes(text.substr(start, end - start));
    const std::u32string normal = to_u32(nfkc->normalize(icu::UnicodeString::fromUTF8(bytes), status));
    if (U_FAILURE(status) || normal.size() > kMarkCharactersMax) return line;
    line.numbered = is_list_item(normal);
    for (const char32_t c : normal) {
        const UChar32 point = static_cast<UChar32>(c);
        if (u_isalnum(point)) line.compact += static_cast<char32_t>(u_toupper(point));
    }
    return line;
}

std::vector<Line> read_lines(std::string_view text)
{
    std::vector<Line> lines;
    std::size_t start = 0;
    while (start < text.size()) {
        std::size_t end = text.find_first_of("\n\r\f", start);
        if (end == std::string_view::npos) end = text.size();
        Line line = read_line(text, start, end);
        // A blank line parts nothing here: headers are often set off by one.
        if (end > start && !(line.compact.empty() && end - start <= 4)) lines.push_back(std::move(line));
        start = end + 1;
    }
    return lines;
}

std::u32string without_digits_around(const std::u32string& text)
{
    std::size_t first = 0, last = text.size();
    while (last > first && u_isdigit(static_cast<UChar32>(text[last - 1]))) --last;
    // A leading digit may be the grade itself ("2급비밀"), so only a longer run is a page number.
    std::size_t digits = first;
    while (digits < last && u_isdigit(static_cast<UChar32>(text[digits]))) ++digits;
    if (digits < last && text[digits] != U'급')
        first = digits;
    else if (digits > first + 1)
        first = digits - 1;
    return text.substr(first, last - first);
}

bool strip_front(std::u32string& text, std::u32string_view front)
{
    if (!std::u32string_view(text).starts_with(front)) return false;
    text.erase(0, front.size());
    return true;
}

// 1, 2, 3, 4 for an English mark, 0 for none.
int grade_of(const Line& line)
{
    if (line.compact.empty() || line.numbered) return 0;
    std::u32string rest = without_digits_around(line.compact);
    if (rest == U"TOPSECRET" || rest == U"SECRET") return 4;
    if (strip_front(rest, U"사본번호")) rest = without_digits_around(rest);
    strip_front(rest, U"군사");
    // Three strokes before two before one.
    int grade = 0;
    for (const auto& [text, value] : std::array<std::pair<std::u32string_view, int>, 6>{
             {{U"III", 3}, {U"II", 2}, {U"I", 1}, {U"3", 3}, {U"2", 2}, {U"1", 1}}})
        if (strip_front(rest, text)) {
            grade = value;
            break;
        }
    if (grade == 0) return 0;
    return rest == U"급비밀" || rest == U"급秘密" || rest == U"級秘密" ? grade : 0;
}

std::string mark_name(int grade)
{
    static const std::array<const char*, 5> names = {"", "Ⅰ급비밀", "Ⅱ급비밀", "Ⅲ급비밀", "SECRET"};
    return names.at(static_cast<std::size_t>(grade));
}

bool other_grade_near(const std::vector<int>& grades, std::size_t at)
{
    const std::size_t from = at >= kListLines ? at - kListLines : 0;
    for (std::size_t i = from; i < grades.size() && i <= at + kListLines; ++i)
        if (grades[i] != 0 && grades[i] != grades[at]) return true;
    return false;
}

// 예고문, then lines that give the protection period. 대외비 has such a notice too and may be kept; it says
// so.
bool is_notice_block(const std::vector<Line>& lines, std::size_t at)
{
    if (lines[at].compact != U"예고문" || lines[at].numbered) return false;
    bool period = false;
    for (std::size_t i = at + 1; i < lines.size() && i <= at + kNoticeLines; ++i) {
        const std::u32string& text = lines[i].compact;
        for (const std::u32string_view start : {U"보호기간", U"원본", U"사본", U"재분류"})
            if (text.starts_with(start) && text.find_first_of(U"0123456789") != std::u32string::npos)
                period = true;
    }
    const std::size_t from = at >= kNoticeLines ? at - kNoticeLines : 0;
    for (std::size_t i = from; i < lines.size() && i <= at + kNoticeLines; ++i)
        if (lines[i].compact.find(U"대외비") != std::u32string::npos) return false;
    return period;
}

}  // namespace

std::optional<SecretMark> find_secret_mark(std::string_view text)
{
    const std::vector<Line> lines = read_lines(text);
    std::vector<int> grades;
    for (const Line& line : lines) grades.push_back(grade_of(line));
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (grades[i] != 0 && !other_grade_near(grades, i))
            return SecretMark{lines[i].start, lines[i].end, mark_name(grades[i])};
        if (is_notice_block(lines, i)) return SecretMark{lines[i].start, lines[i].end, "예고문"};
    }
    return std::nullopt;
}

}  // namespace jiphyeon
