#include "numbering.hpp"

#include <algorithm>

#include "code_points.hpp"

namespace jiphyeon {
namespace {

std::string roman(std::uint32_t number, bool upper)
{
    static constexpr std::pair<std::uint32_t, std::string_view> kParts[] = {
        {1000, "m"}, {900, "cm"}, {500, "d"}, {400, "cd"}, {100, "c"}, {90, "xc"}, {50, "l"},
        {40, "xl"},  {10, "x"},   {9, "ix"},  {5, "v"},    {4, "iv"},  {1, "i"}};
    std::string out;
    for (const auto& [value, letters] : kParts)
        for (; number >= value; number -= value) out += letters;
    if (upper)
        std::transform(out.begin(), out.end(), out.begin(),
                       [](char c) { return static_cast<char>(c - 'a' + 'A'); });
    return out;
}

}  // namespace

NumberFormat number_format(std::string_view name)
{
    if (name == "NONE" || name == "none") return NumberFormat::none;
    if (name.starts_with("HANGUL_SYLLABLE") || name == "ganada") return NumberFormat::hangul;
    if (name.starts_with("HANGUL_JAMO") || name == "chosung") return NumberFormat::hangul_jamo;
    if (name.starts_with("CIRCLED_DIGIT") || name == "decimalEnclosedCircle" ||
        name == "decimalEnclosedCircleChinese")
        return NumberFormat::circled;
    if (name == "ROMAN_CAPITAL" || name == "upperRoman" || name == "I") return NumberFormat::roman_upper;
    if (name == "ROMAN_SMALL" || name == "lowerRoman" || name == "i") return NumberFormat::roman_lower;
    if (name == "LATIN_CAPITAL" || name == "upperLetter" || name == "A") return NumberFormat::latin_upper;
    if (name == "LATIN_SMALL" || name == "lowerLetter" || name == "a") return NumberFormat::latin_lower;
    return NumberFormat::digit;
}

std::string format_number(std::uint32_t number, NumberFormat format)
{
    static constexpr std::string_view kSyllables[] = {"가", "나", "다", "라", "마", "바", "사",
                                                      "아", "자", "차", "카", "타", "파", "하"};
    static constexpr std::string_view kJamo[] = {"ㄱ", "ㄴ", "ㄷ", "ㄹ", "ㅁ", "ㅂ", "ㅅ",
                                                 "ㅇ", "ㅈ", "ㅊ", "ㅋ", "ㅌ", "ㅍ", "ㅎ"};
    std::string out;
    switch (format) {
        case NumberFormat::none:
            return out;
        case NumberFormat::hangul:
            if (number >= 1 && number <= 14) return std::string(kSyllables[number - 1]);
            break;
        case NumberFormat::hangul_jamo:
            if (number >= 1 && number <= 14) return std::string(kJamo[number - 1]);
            break;
        case NumberFormat::circled:
            if (number >= 1 && number <= 20) append_code_point(out, 0x2460 + number - 1);
            if (number >= 21 && number <= 35) append_code_point(out, 0x3251 + number - 21);
            if (number >= 36 && number <= 50) append_code_point(out, 0x32B1 + number - 36);
            if (!out.empty()) return out;
            break;
        case NumberFormat::roman_upper:
        case NumberFormat::roman_lower:
            if (number < 4000) return roman(number, format == NumberFormat::roman_upper);
            break;
        case NumberFormat::latin_upper:
        case NumberFormat::latin_lower:
            if (number >= 1 && number <= 26) {
                out.push_back(
                    static_cast<char>((format == NumberFormat::latin_upper ? 'A' : 'a') + (number - 1)));
                return out;
            }
            break;
        case NumberFormat::digit:
            break;
    }
    return std::to_string(number);
}

std::string Numbering::next(const std::string& list, const NumberLevels& levels, std::size_t level)
{
    if (level >= kNumberLevels) return {};
    const NumberLevel& own = levels[level];
    if (own.bullet) return own.text;
    Counters& counters = lists_[list];
    counters.value[level] = counters.begun[level] ? counters.value[level] + 1 : own.start;
    counters.begun[level] = true;
    for (std::size_t deeper = level + 1; deeper < kNumberLevels; ++deeper) counters.begun[deeper] = false;
    std::string out;
    for (std::size_t i = 0; i < own.text.size(); ++i) {
        const char c = own.text[i];
        if ((c != '^' && c != '%') || i + 1 == own.text.size() || own.text[i + 1] < '1' ||
            own.text[i + 1] > '9') {
            out.push_back(c);
            continue;
        }
        const auto at = static_cast<std::size_t>(own.text[++i] - '1');
        const std::uint32_t value = counters.begun[at] || at == level ? counters.value[at] : levels[at].start;
        out += format_number(value, levels[at].format);
    }
    return out;
}

}  // namespace jiphyeon
