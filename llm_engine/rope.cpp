#include "rope.hpp"

#include <algorithm>
#include <cmath>

#include "fixed_math.hpp"

namespace jiphyeon {
namespace {

constexpr double kPi = 3.14159265358979323846;

// The share of pair i's turn that is not slowed: 1 for fast pairs, 0 for slow ones.
class YarnRamp {
public:
    explicit YarnRamp(const RopeRule& rule)
    {
        const double size = static_cast<double>(rule.size);
        const auto pair_of = [&](double turns) {
            return size * fixed_log(rule.original_context / (turns * 2 * kPi)) / (2 * fixed_log(rule.base));
        };
        low_ = std::max(0.0, std::floor(pair_of(rule.beta_fast)));
        high_ = std::min(size - 1, std::ceil(pair_of(rule.beta_slow)));
    }
    double unslowed(std::size_t i) const
    {
        const double along = (static_cast<double>(i) - low_) / std::max(0.001, high_ - low_);
        return 1 - std::clamp(along, 0.0, 1.0);
    }

private:
    double low_ = 0;
    double high_ = 0;
};

std::vector<double> frequencies(const RopeRule& rule)
{
    std::vector<double> out(rule.size / 2);
    const double log_base = fixed_log(rule.base);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const double power = 2.0 * static_cast<double>(i) / static_cast<double>(rule.size);
        double frequency = fixed_exp(-power * log_base);
        if (!rule.divisors.empty()) frequency /= static_cast<double>(rule.divisors[i]);
        const double slowed = frequency / rule.factor;
        const double share = rule.yarn ? YarnRamp(rule).unslowed(i) : 0.0;
        out[i] = slowed * (1 - share) + frequency * share;
    }
    return out;
}

}  // namespace

RopeTable::RopeTable(const RopeRule& rule, bool halves, std::size_t positions)
    : half_(rule.size / 2), halves_(halves), cos_(positions * half_), sin_(positions * half_)
{
    const std::vector<double> turns = frequencies(rule);
    for (std::size_t i = 0; i < half_; ++i) {
        for (std::size_t p = 0; p < positions; ++p) {
            const double angle = static_cast<double>(p) * turns[i];
            cos_[p * half_ + i] = static_cast<float>(fixed_cos(angle) * rule.magnitude);
            sin_[p * half_ + i] = static_cast<float>(fixed_sin(angle) * rule.magnitude);
        }
    }
}

void RopeTable::rotate(float* head, std::size_t position) const
{
    const float* const cosine = cos_.data() + position * half_;
    const float* const sine = sin_.data() + position * half_;
    const std::size_t step = halves_ ? 1 : 2;
    float* const first = head;
    float* const second = head + (halves_ ? half_ : 1);
    for (std::size_t i = 0; i < half_; ++i) {
        const float a = first[i * step];
        const float b = second[i * step];
        first[i * step] = a * cosine[i] - b * sine[i];
        second[i * step] = a * sine[i] + b * cosine[i];
    }
}

}  // namespace jiphyeon
