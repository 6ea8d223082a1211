#include "chat_template.hpp"

#include "jiphyeon/crypto.hpp"

namespace jiphyeon {
namespace {

constexpr std::string_view kOpen = "<|im_start|>system\\n";
constexpr std::string_view kClose = "<|im_end|>";

[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, what);
}

TokenId need(const Tokenizer& tokenizer, std::string_view name)
{
    const std::optional<TokenId> id = tokenizer.control(name);
    if (!id) unsupported("chat template without its control token " + std::string(name));
    return *id;
}

// Qwen's templates open a conversation without a system turn with a sentence of their own. It is the literal
// of a plain system turn, `<|im_start|>system\nTEXT<|im_end|>\n`, that nothing is added to.
std::string default_system(std::string_view text)
{
    for (std::size_t at = text.find(kOpen); at != std::string_view::npos; at = text.find(kOpen, at + 1)) {
        const std::size_t start = at + kOpen.size();
        const std::size_t end = text.find_first_of("'\"", start);
        const std::size_t close = text.find(kClose, start);
        if (close != std::string_view::npos && end != std::string_view::npos && close < end &&
            close > start) {
            return std::string(text.substr(start, close - start));
        }
    }
    return {};
}

std::string_view trimmed(std::string_view text)
{
    constexpr std::string_view kSpaces = " \t\n\r\f\v";
    const std::size_t first = text.find_first_not_of(kSpaces);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpaces) + 1 - first);
}

void append(std::vector<TokenId>& ids, const std::vector<TokenId>& more)
{
    ids.insert(ids.end(), more.begin(), more.end());
}

}  // namespace

ChatTemplate ChatTemplate::from(const Gguf& file, const Tokenizer& tokenizer)
{
    const std::optional<std::string_view> text = file.find_string("tokenizer.chat_template");
    if (!text) unsupported("the model has no chat template: it is not made for conversations");
    ChatTemplate out;
    out.sha256_ = crypto::hex(crypto::sha256(*text));
    const auto has = [&](std::string_view part) { return text->find(part) != std::string_view::npos; };
    if (has("<|im_start|>") && has("<|im_end|>") && has("<|im_start|>assistant")) {
        out.form_ = Form::chatml;
        out.open_ = need(tokenizer, "<|im_start|>");
        out.close_ = need(tokenizer, "<|im_end|>");
        out.system_ = default_system(*text);
    } else if (has("<|start_header_id|>") && has("<|end_header_id|>") && has("<|eot_id|>")) {
        out.form_ = Form::llama3;
        out.begin_ = need(tokenizer, "<|begin_of_text|>");
        out.open_ = need(tokenizer, "<|start_header_id|>");
        out.after_role_ = need(tokenizer, "<|end_header_id|>");
        out.close_ = need(tokenizer, "<|eot_id|>");
        out.trims_ = has("trim");
        if (has("Cutting Knowledge Date"))
            unsupported("a chat template that writes dates into the conversation");
    } else {
        unsupported("a chat template that is neither ChatML nor in the style of Llama 3");
    }
    return out;
}

std::vector<TokenId> ChatTemplate::prompt(const Tokenizer& tokenizer, std::span<const ChatTurn> turns) const
{
    if (turns.empty()) throw EngineError(EngineError::Kind::bad_request, "a conversation without turns");
    std::vector<TokenId> ids;
    // What lies between two control tokens is tokenized as one text, as the model saw it in training.
    const auto open = [&](std::string_view role, std::string_view text) {
        ids.push_back(open_);
        if (form_ == Form::chatml) {
            append(ids, tokenizer.encode(std::string(role) + "\n" + std::string(text)));
        } else {
            append(ids, tokenizer.encode(role));
            ids.push_back(after_role_);
            append(ids, tokenizer.encode("\n\n" + std::string(text)));
        }
    };
    const auto turn = [&](std::string_view role, std::string_view text) {
        open(role, trims_ ? trimmed(text) : text);
        ids.push_back(close_);
        if (form_ == Form::chatml) append(ids, tokenizer.encode("\n"));
    };
    if (begin_ >= 0) ids.push_back(begin_);
    if (!system_.empty() && turns.front().role != "system") turn("system", system_);
    for (const ChatTurn& each : turns) {
        const bool system = each.role == "system" && &each == &turns.front();
        if (!system && each.role != "user" && each.role != "assistant") {
            throw EngineError(EngineError::Kind::bad_request,
                              "a turn of role '" + each.role + "' at this place");
        }
        turn(each.role, each.text);
    }
    open("assistant", "");
    return ids;
}

}  // namespace jiphyeon
