#include "check_digits.hpp"

#include <array>

namespace jiphyeon {
namespace {

int at(std::string_view digits, std::size_t i)
{
    return digits[i] - '0';
}

int resident_sum(std::string_view digits)
{
    constexpr std::array<int, 12> weights = {2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5};
    int sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) sum += weights[i] * at(digits, i);
    return sum;
}

// Weights `odd`, `even` in turn over the first twelve digits.
int alternating_check(std::string_view digits, int odd, int even)
{
    int sum = 0;
    for (std::size_t i = 0; i < 12; ++i) sum += at(digits, i) * (i % 2 == 0 ? odd : even);
    return (10 - sum % 10) % 10;
}

}  // namespace

bool rrn_checks(std::string_view digits)
{
    return digits.size() == 13 && (11 - resident_sum(digits) % 11) % 10 == at(digits, 12);
}

bool frn_checks(std::string_view digits)
{
    return digits.size() == 13 && (13 - resident_sum(digits) % 11) % 10 == at(digits, 12);
}

bool corporation_checks(std::string_view digits)
{
    return digits.size() == 13 && alternating_check(digits, 1, 2) == at(digits, 12);
}

bool ean13_checks(std::string_view digits)
{
    return digits.size() == 13 && alternating_check(digits, 1, 3) == at(digits, 12);
}

bool business_checks(std::string_view digits)
{
    if (digits.size() != 10) return false;
    constexpr std::array<int, 9> weights = {1, 3, 7, 1, 3, 7, 1, 3, 5};
    int sum = at(digits, 8) * 5 / 10;
    for (std::size_t i = 0; i < weights.size(); ++i) sum += weights[i] * at(digits, i);
    return (10 - sum % 10) % 10 == at(digits, 9);
}

bool luhn_checks(std::string_view digits)
{
    int sum = 0;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        int d = at(digits, digits.size() - 1 - i);
        if (i % 2 == 1) d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        sum += d;
    }
    return !digits.empty() && sum % 10 == 0;
}

}  // namespace jiphyeon
