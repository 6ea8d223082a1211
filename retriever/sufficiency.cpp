#include "sufficiency.hpp"

#include <algorithm>

namespace jiphyeon {
namespace {

constexpr float kNothing = 0.28f;
constexpr float kEnough = 0.5f;
constexpr float kClearly = 0.68f;

}  // namespace

float sufficiency_score(const Signs& signs)
{
    // Each sign is brought to 0..1; a missing one leaves its weight to the others.
    float sum = 0.6f * signs.cover, weight = 0.6f;
    if (signs.cosine > 0) {
        sum += 0.2f * std::clamp((signs.cosine - 0.78f) / 0.12f, 0.0f, 1.0f);
        weight += 0.2f;
    }
    if (signs.logit) {
        sum += 0.2f * std::clamp((*signs.logit + 4.0f) / 8.0f, 0.0f, 1.0f);
        weight += 0.2f;
    }
    return sum / weight;
}

Sufficiency judge(const Signs& signs)
{
    const float score = sufficiency_score(signs);
    if (score < kNothing) return Sufficiency::nothing;
    if (score < kEnough) return Sufficiency::related;
    return score < kClearly ? Sufficiency::enough : Sufficiency::clearly_enough;
}

}  // namespace jiphyeon
