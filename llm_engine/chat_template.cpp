#include "chat_template.hpp"

#include <algorithm>

#include "jiphyeon/crypto.hpp"
#include "vocabulary.hpp"

namespace jiphyeon {
namespace {

[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, what);
}

[[noreturn]] void bad_request(const std::string& what)
{
    throw EngineError(EngineError::Kind::bad_request, what);
}

PieceTrie controls_of(const Vocabulary& vocabulary)
{
    return PieceTrie(pieces_of(vocabulary, TokenKind::control));
}

std::string name_of(const Vocabulary& vocabulary, std::optional<TokenId> id)
{
    return id ? vocabulary.texts[static_cast<std::size_t>(*id)] : std::string();
}

}  // namespace

ChatTemplate::ChatTemplate(const Gguf& file, std::string_view text)
    : template_(text), controls_({}), sha256_(crypto::hex(crypto::sha256(text)))
{
    const Vocabulary vocabulary = Vocabulary::read(file);
    controls_ = controls_of(vocabulary);
    start_of_text_ = name_of(vocabulary, vocabulary.bos);
    end_of_text_ = name_of(vocabulary, vocabulary.eos);
}

ChatTemplate ChatTemplate::from(const Gguf& file)
{
    const std::optional<std::string_view> text = file.find_string("tokenizer.chat_template");
    if (!text) unsupported("the model has no chat template: it is not made for conversations");
    try {
        ChatTemplate out(file, *text);
        out.check_turns();
        return out;
    } catch (const EngineError& error) {
        if (error.kind != EngineError::Kind::too_large) throw;
        unsupported(error.what());
    }
}

jinja::Text ChatTemplate::render(std::span<const ChatTurn> turns) const
{
    using jinja::Text;
    jinja::List messages;
    for (const ChatTurn& turn : turns) {
        messages.push_back(jinja::mapping_of({{"role", jinja::text_of(Text::of_template(turn.role))},
                                              {"content", jinja::text_of(Text::of_turn(turn.text))}}));
    }
    // Names and values are those that Hugging Face's transformers gives.
    return template_.render({{"messages", jinja::list_of(std::move(messages))},
                             {"tools", {jinja::None{}}},
                             {"documents", {jinja::None{}}},
                             {"add_generation_prompt", {true}},
                             {"bos_token", jinja::text_of(Text::of_template(start_of_text_))},
                             {"eos_token", jinja::text_of(Text::of_template(end_of_text_))}});
}

PieceTrie::Match ChatTemplate::control_at(const jinja::Text& text, std::size_t at) const
{
    PieceTrie::Match best;
    PieceTrie::Place place;
    for (std::size_t end = at; end < text.size() && text.is_of_template(end) &&
                               controls_.step(place, static_cast<std::uint8_t>(text.bytes()[end]));) {
        ++end;
        if (controls_.id_at(place) >= 0) best = {end - at, controls_.id_at(place)};
    }
    return best;
}

bool ChatTemplate::control_follows(const jinja::Text& text, std::size_t at) const
{
    return control_at(text, std::min(text.bytes().find_first_not_of(" \n", at), text.size())).length > 0;
}

// Some templates want a system turn, others refuse one; what they do not refuse is tried.
void ChatTemplate::check_turns() const
{
    const std::vector<ChatTurn> turns = {{"system", "1"}, {"user", "2"}, {"assistant", "3"}, {"user", "4"}};
    std::optional<EngineError> refusal;
    bool is_rendered = false;
    for (const std::size_t first : {1u, 0u}) {
        try {
            check_text(render(std::span(turns).subspan(first)));
            is_rendered = true;
        } catch (const EngineError& error) {
            if (error.kind != EngineError::Kind::bad_request) throw;
            if (!refusal) refusal = error;
        }
    }
    if (!is_rendered) unsupported(refusal->what());
}

// Where a template puts the system's text into the user's turn, the two are one turn.
void ChatTemplate::check_text(const jinja::Text& text) const
{
    const std::string& bytes = text.bytes();
    char before = 0;        // the text of the turn that was passed last
    std::size_t words = 0;  // where the template's began after it
    bool asks = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text.is_of_template(at)) continue;
        const bool one_turn = before == 0 || before == bytes[at] || (before == '1' && bytes[at] != '3');
        if (!one_turn && !control_follows(text, words))
            unsupported("a chat template that ends a turn with words, which a text could imitate");
        before = bytes[at];
        words = at + 1;
        asks = asks || bytes[at] == '4';
    }
    if (!asks) unsupported("a chat template that leaves out what the user says");
    if (!control_follows(text, words))
        unsupported("a chat template that ends the last turn with words, which a text could imitate");
}

std::vector<TokenId> ChatTemplate::prompt(const Tokenizer& tokenizer, std::span<const ChatTurn> turns) const
{
    if (turns.empty()) bad_request("a conversation without turns");
    for (const ChatTurn& turn : turns) {
        const bool system = turn.role == "system" && &turn == &turns.front();
        if (!system && turn.role != "user" && turn.role != "assistant")
            bad_request("a turn of role '" + turn.role + "' at this place");
    }
    const jinja::Text text = render(turns);
    const std::string_view bytes = text.bytes();
    std::vector<TokenId> ids;
    // What lies between two control tokens is tokenized as one text, as the model saw it in training.
    std::size_t start = 0;
    const auto encode_until = [&](std::size_t end) {
        if (end == start) return;
        const std::vector<TokenId> more = tokenizer.encode(bytes.substr(start, end - start));
        ids.insert(ids.end(), more.begin(), more.end());
    };
    for (std::size_t at = 0; at < bytes.size();) {
        const PieceTrie::Match control = control_at(text, at);
        if (control.length == 0) {
            ++at;
            continue;
        }
        encode_until(at);
        ids.push_back(control.id);
        at += control.length;
        start = at;
    }
    encode_until(bytes.size());
    return ids;
}

OptionalChatTemplate::OptionalChatTemplate(const Gguf& file)
{
    try {
        template_ = ChatTemplate::from(file);
    } catch (const EngineError& error) {
        if (error.kind != EngineError::Kind::unsupported) throw;
        why_not_ = error.what();
    }
}

const ChatTemplate& OptionalChatTemplate::get() const
{
    if (!template_) throw EngineError(EngineError::Kind::unsupported, "not a chat model: " + why_not_);
    return *template_;
}

}  // namespace jiphyeon
