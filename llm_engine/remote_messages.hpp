// What is said to an OpenAI-compatible server and what is understood of its answers. Pure functions of
// bytes; what a server sends is foreign, and bounded before it comes here.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::remote {

using Prompt = std::variant<std::string, std::vector<TokenId>>;

struct Completion {
    Prompt prompt;
    std::size_t max_tokens = 0;
    Sampling sampling;
    std::string grammar;        // where the server takes one; empty: none
    std::string cache_salt;     // where the server takes one
    std::size_t likeliest = 0;  // tokens to be named for each position, which makes it one answer, unstreamed
};
// The body of a request to /completions. Throws EngineError: bad_request (a prompt that is not UTF-8),
// unsupported (a way of sampling that this kind of server does not know).
std::string write(ServerKind kind, const std::string& model, const Completion& completion);

// One event of a streamed answer.
struct Piece {
    enum class End { none, stop, length, broken_off };
    std::string text;  // UTF-8
    End end = End::none;
    std::string model;  // as the server names it, cut to what a record can hold; may be empty
};
// Throws EngineError: malformed, lost (the server reports that it failed).
Piece read_piece(std::string_view data);

// The scores of `choices` in an answer with its likeliest tokens. `piece` tells a choice's text, by which the
// servers without token ids name it.
std::vector<std::optional<float>> read_scores(std::string_view body, std::span<const TokenId> choices,
                                              const Tokenizer& tokenizer);

// Names of the models that /models lists.
std::vector<std::string> read_models(std::string_view body);

// What an error answer says, for the operator: one line without control characters, cut.
std::string read_error(std::string_view body);

}  // namespace jiphyeon::remote
