#include "sufficiency.hpp"

#include <algorithm>

namespace jiphyeon {
namespace {

// Cut on two sets of questions with and without their document in the archive: colloquial ones about welfare
// schemes, and ones written for this purpose about administrative rules.
constexpr float kNothing = 0.28f;
constexpr float kEnough = 0.5f;
constexpr float kClearly = 0.62f;

float between(float low, float value, float high)
{
    return std::clamp((value - low) / (high - low), 0.0f, 1.0f);
}

}  // namespace

float sufficiency_score(const Signs& signs)
{
    // Each sign is brought to 0..1; a missing one leaves its weight to the others.
    float sum = 0.5f * signs.cover, weight = 0.5f;
    if (signs.cosine > 0) {
        sum += 0.2f * between(0.84f, signs.cosine, 0.92f);
        weight += 0.2f;
    }
    if (signs.logit) {
        sum += 0.3f * between(-1.0f, *signs.logit, 4.0f);
        weight += 0.3f;
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
