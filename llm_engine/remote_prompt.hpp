// Prompts for servers that take text. Such a server looks for control tokens in all of the text, so what is
// only text must not read as one of them: it could close its own turn.
//
// Immutable.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "piece_trie.hpp"

namespace jiphyeon::remote {

class PromptText {
public:
    // tokenizer: of the same file; must outlive this.
    PromptText(const Gguf& file, const Tokenizer& tokenizer);

    // The text that the server's tokenizer makes these ids of: control tokens by name, but without the one at
    // the start that servers add by themselves. Throws EngineError bad_request where there is no such text,
    // above all where text reads as a control token.
    std::string of(std::span<const TokenId> ids) const;

    // The text with a zero-width space (U+200B) inside of every name of a control token: a reader sees no
    // difference, and no server takes it for the token.
    std::string disarmed(std::string_view text) const;
    // Throws EngineError bad_request where a control token's name is in `text`.
    void check(std::string_view text) const;

private:
    std::string text_of(std::span<const TokenId> ids) const;

    const Tokenizer& tokenizer_;
    std::vector<std::string> names_;  // by id; empty unless a control token
    PieceTrie controls_;
    bool adds_start_ = false;
    TokenId start_ = -1;
};

}  // namespace jiphyeon::remote
