// What the model is told. Everything that comes from documents or the reader goes in as the text of a turn,
// which the tokenizer can only make ordinary pieces of.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/retriever.hpp"

namespace jiphyeon {

// The grammar of an answer: sentences that end in "다." or a line's end, each followed by the slot `cite`.
extern const std::string_view kAnswerGrammar;

// Instruction and a worked example, always the same, so that their key/value pages are shared; then the
// passage and the question. No example declines: a small model would follow it whenever it must think.
std::vector<TokenId> answer_prompt(const Engine& engine, const Evidence& passage, std::string_view question);
// Asks whether the passage holds an answer; the logits of 예 and 아니오 are compared. It shares all but
// the last tokens with the answer_prompt of the same arguments.
std::vector<TokenId> sufficiency_prompt(const Engine& engine, const Evidence& passage,
                                        std::string_view question);

// The first evidence that fits the budget, each at least in part, best first.
std::vector<Evidence> within_budget(const Engine& engine, std::span<const Evidence> evidence,
                                    std::size_t tokens);

}  // namespace jiphyeon
