// From a conversation to token ids, in the form that a chat model was trained with.
//
// Templates are Jinja programs inside model files. They are not run: the text is recognised as one of the
// forms below, and the prompt is put together from control tokens and tokens of text, so that no text in a
// turn can close it or open another.
//     chatml   <|im_start|>ROLE\nTEXT<|im_end|>\n … <|im_start|>assistant\n
//     llama3   <|begin_of_text|> then <|start_header_id|>ROLE<|end_header_id|>\n\nTEXT<|eot_id|> …
#pragma once

#include <span>
#include <string>
#include <vector>

#include "gguf.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

class ChatTemplate {
public:
    // Reads `tokenizer.chat_template`. Throws EngineError unsupported where there is none (a base model), or
    // one of another form, or the vocabulary lacks the control tokens that it needs.
    static ChatTemplate from(const Gguf& file, const Tokenizer& tokenizer);

    // Ends with the opening of the assistant's turn. Throws EngineError bad_request: no turns, or a role
    // other than system (first only), user, assistant.
    std::vector<TokenId> prompt(const Tokenizer& tokenizer, std::span<const ChatTurn> turns) const;

    const std::string& sha256() const { return sha256_; }  // hex; of the template's text

private:
    enum class Form { chatml, llama3 };
    ChatTemplate() = default;
    Form form_ = Form::chatml;
    TokenId open_ = 0;        // <|im_start|>, <|start_header_id|>
    TokenId after_role_ = 0;  // <|end_header_id|>; unused in chatml
    TokenId close_ = 0;       // <|im_end|>, <|eot_id|>
    TokenId begin_ = -1;      // <|begin_of_text|>; none in chatml
    bool trims_ = false;      // white space around a turn's text goes
    std::string system_;  // what the template puts where the conversation has no system turn; may be empty
    std::string sha256_;
};

}  // namespace jiphyeon
