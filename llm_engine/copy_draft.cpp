#include "copy_draft.hpp"

#include <algorithm>

namespace jiphyeon {
namespace {

// One token alone recurs too often to mean anything; beyond sixteen longer says no more.
constexpr std::size_t kLeast = 2;
constexpr std::size_t kLongest = 16;
constexpr double kMemory = 0.8;  // of the share of guesses that came true, per guess

}  // namespace

std::span<const TokenId> CopyDraft::guess(std::span<const TokenId> tokens, std::size_t most) const
{
    if (tokens.empty()) return {};
    std::size_t longest = kLeast - 1;
    std::size_t after = 0;
    // i: one past an earlier occurrence.
    for (std::size_t i = tokens.size() - 1; i >= kLeast && longest < kLongest; --i) {
        if (tokens[i - 1] != tokens.back()) continue;
        std::size_t length = 1;
        while (length < kLongest && length < i &&
               tokens[i - 1 - length] == tokens[tokens.size() - 1 - length]) {
            ++length;
        }
        if (length <= longest) continue;
        longest = length;
        after = i;
    }
    if (after == 0) return {};
    const auto worth = static_cast<std::size_t>(2 * static_cast<double>(longest) * trust_);
    return tokens.subspan(after, std::min({worth, most, tokens.size() - after}));
}

void CopyDraft::learn(std::size_t guessed, std::size_t true_ones)
{
    const double share = static_cast<double>(true_ones) / static_cast<double>(guessed);
    trust_ = kMemory * trust_ + (1 - kMemory) * share;
}

}  // namespace jiphyeon
