// From a conversation to token ids, in the form that a chat model was trained with.
//
// Templates are Jinja programs inside model files. They are run (jinja.hpp) with the texts of the turns
// marked: control tokens are looked for in the template's own words alone, so that no text in a turn can
// close it, as it must to open another.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gguf.hpp"
#include "jinja.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "piece_trie.hpp"

namespace jiphyeon {

class ChatTemplate {
public:
    // Reads `tokenizer.chat_template`. Throws EngineError unsupported: there is none (a base model), it uses
    // what jinja.hpp does not have (today's date, for one), or it ends a user's or an assistant's turn with
    // words and not with a control token, which a text could imitate. A system's text may share the turn of
    // the user's text that follows it.
    static ChatTemplate from(const Gguf& file);

    // Ends with the opening of the assistant's turn. Throws EngineError bad_request: no turns, a role other
    // than system (first only), user, assistant, or an order of them that the template refuses; unsupported,
    // too_large: what the template does with these turns alone.
    std::vector<TokenId> prompt(const Tokenizer& tokenizer, std::span<const ChatTurn> turns) const;

    const std::string& sha256() const { return sha256_; }  // hex; of the template's text

private:
    ChatTemplate(const Gguf& file, std::string_view text);
    jinja::Text render(std::span<const ChatTurn> turns) const;
    // The control token of the template's that starts at `at`.
    PieceTrie::Match control_at(const jinja::Text& text, std::size_t at) const;
    // After white space at most.
    bool control_follows(const jinja::Text& text, std::size_t at) const;
    void check_turns() const;
    void check_text(const jinja::Text& text) const;

    jinja::Template template_;
    PieceTrie controls_;
    std::string start_of_text_;  // names of control tokens, which templates ask for
    std::string end_of_text_;
    std::string sha256_;
};

// A model's template, or why it has none that can be used.
class OptionalChatTemplate {
public:
    OptionalChatTemplate() = default;
    // Throws as ChatTemplate::from but for unsupported.
    explicit OptionalChatTemplate(const Gguf& file);

    explicit operator bool() const { return template_.has_value(); }
    // Throws EngineError unsupported where there is none.
    const ChatTemplate& get() const;

private:
    std::optional<ChatTemplate> template_;
    std::string why_not_;
};

}  // namespace jiphyeon
