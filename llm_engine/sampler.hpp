// From logits to the next token.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

// temperature 0: the largest logit, ties to the lower id. Otherwise of the top_k largest (0: all) the
// smallest set whose probabilities reach top_p, and of it one at random; the draw depends on (seed, position)
// alone. allowed: asked only about tokens that could still matter, best known first; empty allows all.
// Nothing where no token is allowed, or none has a logit that is a number.
std::optional<TokenId> choose_token(std::span<const float> logits, const Sampling& sampling,
                                    std::uint64_t position, const std::function<bool(TokenId)>& allowed);

}  // namespace jiphyeon
