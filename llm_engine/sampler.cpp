#include "sampler.hpp"

#include <algorithm>
#include <vector>

#include "fixed_math.hpp"

namespace jiphyeon {
namespace {

struct Candidate {
    float logit;
    TokenId id;
};

// Better first: larger logit, then lower id.
bool better(const Candidate& a, const Candidate& b)
{
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

constexpr std::size_t kStretch = 64;

bool none_above(std::span<const float, kStretch> values, float limit)
{
    int above = 0;  // without a branch, so that the compiler compares many at once
    for (const float value : values) above |= value > limit ? 1 : 0;
    return above == 0;
}

// The `count` best allowed tokens, best first. Kept as a heap with the worst on top, so that `allowed`, which
// may be dear, is asked only about tokens that would enter.
std::vector<Candidate> best_tokens(std::span<const float> logits, std::size_t count,
                                   const std::function<bool(TokenId)>& allowed)
{
    std::vector<Candidate> heap;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        // Nearly all logits lie below those found so far; a later equal one is not better.
        if (heap.size() == count && i % kStretch == 0) {
            while (i + kStretch <= logits.size() &&
                   none_above(logits.subspan(i).first<kStretch>(), heap.front().logit))
                i += kStretch;
            if (i == logits.size()) break;
        }
        const Candidate candidate{logits[i], static_cast<TokenId>(i)};
        const bool full = heap.size() == count;
        // A logit that is no number is never larger than another.
        if (full ? !better(candidate, heap.front()) : !(candidate.logit == candidate.logit)) continue;
        if (allowed && !allowed(candidate.id)) continue;
        if (full) {
            std::pop_heap(heap.begin(), heap.end(), better);
            heap.pop_back();
        }
        heap.push_back(candidate);
        std::push_heap(heap.begin(), heap.end(), better);
    }
    std::sort(heap.begin(), heap.end(), better);
    return heap;
}

// In [0, 1): the finaliser of SplitMix64 over both numbers.
double uniform(std::uint64_t seed, std::uint64_t position)
{
    const auto mix = [](std::uint64_t x) {
        x += 0x9e3779b97f4a7c15ull;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
        return x ^ (x >> 31);
    };
    return static_cast<double>(mix(mix(seed) ^ position) >> 11) * 0x1p-53;
}

}  // namespace

std::optional<TokenId> choose_token(std::span<const float> logits, const Sampling& sampling,
                                    std::uint64_t position, const std::function<bool(TokenId)>& allowed)
{
    const bool greedy = !(sampling.temperature > 0);
    const std::size_t count = greedy ? 1 : sampling.top_k == 0 ? logits.size() : sampling.top_k;
    const std::vector<Candidate> best = best_tokens(logits, count, allowed);
    if (best.empty()) return std::nullopt;
    if (greedy) return best.front().id;

    std::vector<double> weights;
    double total = 0;
    for (const Candidate& candidate : best) {
        const double below = static_cast<double>(candidate.logit - best.front().logit) /
                             static_cast<double>(sampling.temperature);
        weights.push_back(below < -700 ? 0.0 : fixed_exp(below));
        total += weights.back();
    }
    double kept = 0;
    std::size_t size = 0;
    while (size < weights.size() && (size == 0 || kept < static_cast<double>(sampling.top_p) * total)) {
        kept += weights[size++];
    }
    double left = uniform(sampling.seed, position) * kept;
    std::size_t i = 0;
    while (i + 1 < size && left >= weights[i]) left -= weights[i++];
    return best[i].id;
}

}  // namespace jiphyeon
