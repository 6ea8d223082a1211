#include "fixed_math.hpp"

#include <bit>
#include <cstdint>

namespace jiphyeon {
namespace {

constexpr double kLn2High = 6.93147180369123816490e-01;  // with 21 zero bits at its end
constexpr double kLn2Low = 1.90821492927058770002e-10;

// pi/2 in three parts of 33 bits, so that multiples up to 2^20 are exact in the first two.
constexpr double kHalfPi1 = 1.57079632673412561417e+00;
constexpr double kHalfPi2 = 6.07710050630396597660e-11;
constexpr double kHalfPi3 = 2.02226624879595063154e-21;
constexpr double kTwoOverPi = 6.36619772367581382433e-01;

constexpr double kRounder = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer

// x minus the nearest multiple of pi/2; the number of that multiple mod 4.
double reduce(double x, int& quarter)
{
    const double n = x * kTwoOverPi + kRounder - kRounder;
    quarter = static_cast<int>(static_cast<std::int64_t>(n) & 3);
    return ((x - n * kHalfPi1) - n * kHalfPi2) - n * kHalfPi3;
}

double sin_near_zero(double r)
{
    const double s = r * r;
    double p = -7.6471637318198164759e-13;  // -1/15!
    p = p * s + 1.6059043836821614599e-10;
    p = p * s - 2.5052108385441718775e-08;
    p = p * s + 2.7557319223985890653e-06;
    p = p * s - 1.9841269841269841270e-04;
    p = p * s + 8.3333333333333333333e-03;
    p = p * s - 1.6666666666666666667e-01;
    return r + r * s * p;
}

double cos_near_zero(double r)
{
    const double s = r * r;
    double p = 4.7794773323873852974e-14;  // 1/16!
    p = p * s - 1.1470745597729724714e-11;
    p = p * s + 2.0876756987868098979e-09;
    p = p * s - 2.7557319223985890653e-07;
    p = p * s + 2.4801587301587301587e-05;
    p = p * s - 1.3888888888888888889e-03;
    p = p * s + 4.1666666666666666667e-02;
    p = p * s - 0.5;
    return 1.0 + s * p;
}

double by_quarter(double r, int quarter)
{
    switch (quarter) {
        case 0:
            return sin_near_zero(r);
        case 1:
            return cos_near_zero(r);
        case 2:
            return -sin_near_zero(r);
        default:
            return -cos_near_zero(r);
    }
}

}  // namespace

double fixed_log(double x)
{
    // x = m 2^e with m near 1, log m = 2 atanh((m - 1) / (m + 1)).
    const auto bits = std::bit_cast<std::uint64_t>(x);
    int exponent = static_cast<int>((bits >> 52) & 0x7ffu) - 1023;
    double m = std::bit_cast<double>((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        ++exponent;
    }
    const double z = (m - 1.0) / (m + 1.0);
    const double s = z * z;
    double p = 1.0 / 23.0;
    for (int k = 21; k >= 1; k -= 2) p = p * s + 1.0 / k;
    return exponent * kLn2High + (2.0 * z * p + exponent * kLn2Low);
}

double fixed_exp(double x)
{
    const double n = x * 1.44269504088896340736 + kRounder - kRounder;
    const double r = (x - n * kLn2High) - n * kLn2Low;
    double p = 1.0;
    for (int k = 14; k >= 1; --k) p = 1.0 + p * r / k;
    return p * std::bit_cast<double>(static_cast<std::uint64_t>(static_cast<std::int64_t>(n) + 1023) << 52);
}

double fixed_sin(double x)
{
    int quarter = 0;
    const double r = reduce(x, quarter);
    return by_quarter(r, quarter);
}

double fixed_cos(double x)
{
    int quarter = 0;
    const double r = reduce(x, quarter);
    return by_quarter(r, (quarter + 1) & 3);
}

}  // namespace jiphyeon
