#include "remote_prompt.hpp"

#include "vocabulary.hpp"

namespace jiphyeon::remote {
namespace {

// Servers also match the name of the token for unknown text.
std::vector<std::pair<std::string_view, TokenId>> names_in(const Vocabulary& vocabulary)
{
    auto names = pieces_of(vocabulary, TokenKind::control);
    const auto unknown = pieces_of(vocabulary, TokenKind::unknown);
    names.insert(names.end(), unknown.begin(), unknown.end());
    return names;
}

std::size_t character_end(std::string_view text, std::size_t at)
{
    do ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
    return at;
}

}  // namespace

PromptText::PromptText(const Gguf& file, const Tokenizer& tokenizer)
    : tokenizer_(tokenizer), names_(tokenizer.size()), controls_({})
{
    const Vocabulary vocabulary = Vocabulary::read(file);
    for (const auto& [name, id] : pieces_of(vocabulary, TokenKind::control))
        names_[static_cast<std::size_t>(id)] = name;
    controls_ = PieceTrie(names_in(vocabulary));
    adds_start_ = vocabulary.add_bos;
    start_ = vocabulary.bos.value_or(-1);
}

std::string PromptText::of(std::span<const TokenId> ids) const
{
    if (adds_start_ && !ids.empty() && ids.front() == start_) ids = ids.subspan(1);
    std::string out;
    for (std::size_t at = 0; at < ids.size();) {
        const auto control = [&](std::size_t i) {
            const auto id = static_cast<std::size_t>(ids[i]);
            return id < names_.size() && !names_[id].empty();
        };
        if (control(at)) {
            out += names_[static_cast<std::size_t>(ids[at++])];
            continue;
        }
        std::size_t end = at;
        while (end < ids.size() && !control(end)) ++end;
        out += text_of(ids.subspan(at, end - at));
        at = end;
    }
    return out;
}

// Of ids without control tokens.
std::string PromptText::text_of(std::span<const TokenId> ids) const
{
    std::string text = tokenizer_.decode(ids);
    const auto makes_them = [&](std::string_view candidate) {
        const std::vector<TokenId> again = tokenizer_.encode(candidate);
        return std::equal(again.begin(), again.end(), ids.begin(), ids.end());
    };
    // Some families put a space before every text, which the server will do again.
    if (text.starts_with(' ') && makes_them(std::string_view(text).substr(1)))
        text.erase(0, 1);
    else if (!makes_them(text))
        throw EngineError(EngineError::Kind::bad_request,
                          "a prompt that is not what a text is tokenized to; this kind of server takes text");
    check(text);
    return text;
}

std::string PromptText::disarmed(std::string_view text) const
{
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t next = character_end(text, at);
        out += text.substr(at, next - at);
        if (controls_.longest(text.substr(at)).length > 0) out += "\xE2\x80\x8B";
        at = next;
    }
    return out;
}

void PromptText::check(std::string_view text) const
{
    for (std::size_t at = 0; at < text.size(); ++at)
        if (const std::size_t length = controls_.longest(text.substr(at)).length; length > 0)
            throw EngineError(EngineError::Kind::bad_request, "a text reads as the control token " +
                                                                  std::string(text.substr(at, length)) +
                                                                  ", for which the server would take it");
}

}  // namespace jiphyeon::remote
