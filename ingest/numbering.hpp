// Automatic numbers and bullets of word processors: they are not in the text, but readers cite them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace jiphyeon {

enum class NumberFormat : std::uint8_t {
    none,
    digit,
    hangul,
    hangul_jamo,
    circled,
    roman_upper,
    roman_lower,
    latin_upper,
    latin_lower
};
// OWPML and OOXML names: "DIGIT", "HANGUL_SYLLABLE", "ganada", "decimalEnclosedCircle", …
NumberFormat number_format(std::string_view name);
std::string format_number(std::uint32_t number, NumberFormat format);

inline constexpr std::size_t kNumberLevels = 10;

struct NumberLevel {
    std::string text;  // "^1." or "%1.": ^n, %n stand for the counter of level n
    NumberFormat format = NumberFormat::digit;
    std::uint32_t start = 1;
    bool bullet = false;  // text is the bullet itself
};
using NumberLevels = std::array<NumberLevel, kNumberLevels>;

// Counters of one document, per list.
class Numbering {
public:
    // The next number of `list` at `level` (from 0); deeper levels begin anew.
    std::string next(const std::string& list, const NumberLevels& levels, std::size_t level);

private:
    struct Counters {
        std::array<std::uint32_t, kNumberLevels> value{};
        std::array<bool, kNumberLevels> begun{};
    };
    std::map<std::string, Counters> lists_;
};

}  // namespace jiphyeon
