#include <array>
#include <charconv>

#include "jiphyeon/index.hpp"

namespace jiphyeon {
namespace {

// Days of the proleptic Gregorian calendar, by eras of 400 years that begin on 1 March.
Day days_from_civil(int year, int month, int day)
{
    const int y = month <= 2 ? year - 1 : year;
    const int era = (y >= 0 ? y : y - 399) / 400;
    const int year_of_era = y - era * 400;
    const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

std::optional<int> digits(std::string_view text)
{
    int value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

}  // namespace

std::optional<Day> day_from_text(std::string_view iso)
{
    if (iso.size() != 10 || iso[4] != '-' || iso[7] != '-') return std::nullopt;
    const auto year = digits(iso.substr(0, 4)), month = digits(iso.substr(5, 2)),
               day = digits(iso.substr(8, 2));
    if (!year || !month || !day || *month < 1 || *month > 12 || *day < 1) return std::nullopt;
    constexpr std::array<int, 12> kLengths = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int length =
        kLengths[static_cast<std::size_t>(*month - 1)] + (*month == 2 && is_leap(*year) ? 1 : 0);
    if (*day > length) return std::nullopt;
    return days_from_civil(*year, *month, *day);
}

std::string day_to_text(Day day)
{
    const std::int64_t shifted = static_cast<std::int64_t>(day) + 719468;
    const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const std::int64_t day_of_era = shifted - era * 146097;
    const std::int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month_index = (5 * day_of_year + 2) / 153;
    const std::int64_t d = day_of_year - (153 * month_index + 2) / 5 + 1;
    const std::int64_t m = month_index < 10 ? month_index + 3 : month_index - 9;
    const std::int64_t y = year_of_era + era * 400 + (m <= 2 ? 1 : 0);
    const auto padded = [](std::int64_t value, std::size_t width) {
        std::string text = std::to_string(value);
        return text.size() < width ? std::string(width - text.size(), '0') + text : text;
    };
    return padded(y, 4) + "-" + padded(m, 2) + "-" + padded(d, 2);
}

}  // namespace jiphyeon
