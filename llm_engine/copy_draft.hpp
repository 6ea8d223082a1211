// Guesses what a model writes next when it repeats what stands in its prompt, as an answer with quotations
// does. A guess is checked with the step that computes the next token anyway: the step's further rows cost
// little while weights are read from memory, and since a row's result does not depend on the others
// (kernels.hpp) what comes out is the same with and without guesses.
//
// The idea is prompt lookup decoding (github.com/apoorvumang/prompt-lookup-decoding).
#pragma once

#include <cstddef>
#include <span>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

class CopyDraft {
public:
    // What followed the longest earlier occurrence of the end of `tokens`, the latest of equals; at most
    // `most` tokens, fewer the shorter the occurrence and the fewer guesses have come true. A view into
    // `tokens`. Time linear in tokens.
    std::span<const TokenId> guess(std::span<const TokenId> tokens, std::size_t most) const;
    // How many of the guessed tokens came true.
    void learn(std::size_t guessed, std::size_t true_ones);

private:
    double trust_ = 0.7;  // share of guesses that came true of late
};

}  // namespace jiphyeon
