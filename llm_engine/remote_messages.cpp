// Servers write the likeliest tokens in three ways. OpenAI's completions, and llama-cpp-python after them,
// map texts to log probabilities; vLLM does the same, but can be asked to write "token_id:N" for the texts;
// llama-server lists objects with ids, as OpenAI's chats do.
#include "remote_messages.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace jiphyeon::remote {
namespace {

using Json = nlohmann::json;
using Kind = EngineError::Kind;

constexpr int kDepthMax = 16;  // of an answer; what we look at lies four deep
constexpr std::size_t kNameMax = 200;
constexpr std::size_t kErrorMax = 300;

// Discarded (no value at all) where it is no JSON, or deeper than anything that we ask for.
Json parse(std::string_view text)
{
    bool too_deep = false;
    const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
        too_deep = too_deep || depth > kDepthMax;
        return !too_deep;
    };
    Json value = Json::parse(text, shallow, false);
    return too_deep ? Json(Json::value_t::discarded) : value;
}

[[noreturn]] void malformed(const std::string& detail)
{
    throw EngineError(Kind::malformed, "the server's answer: " + detail);
}

// The member of an object; null where there is none.
const Json& member(const Json& object, const char* name)
{
    static const Json null;
    if (!object.is_object()) return null;
    const auto found = object.find(name);
    return found == object.end() ? null : *found;
}

std::string one_line(std::string text, std::size_t most)
{
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    if (text.size() <= most) return text;
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;  // whole characters
    text.resize(most);
    return text + "…";
}

const Json& first_choice(const Json& answer)
{
    const Json& choices = member(answer, "choices");
    if (!choices.is_array() || choices.empty()) malformed("no choices");
    return choices.front();
}

std::optional<float> finite(const Json& number)
{
    if (!number.is_number()) return std::nullopt;
    const float value = number.get<float>();
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace

std::string write(ServerKind kind, const std::string& model, const Completion& completion)
{
    const bool llama = kind == ServerKind::llama_server || kind == ServerKind::llama_cpp_python;
    const Sampling& sampling = completion.sampling;
    Json body{{"model", model},
              {"max_tokens", completion.max_tokens},
              {"temperature", sampling.temperature},
              {"seed", sampling.seed & 0x7FFFFFFFu},  // what every server takes
              {"stream", completion.likeliest == 0}};
    std::visit([&](const auto& prompt) { body["prompt"] = prompt; }, completion.prompt);
    if (sampling.temperature > 0) {
        body["top_p"] = sampling.top_p;
        if (kind != ServerKind::openai)
            body["top_k"] = kind == ServerKind::vllm && sampling.top_k == 0
                                ? -1
                                : static_cast<std::int64_t>(sampling.top_k);
        else if (sampling.top_k != 0)
            throw EngineError(Kind::unsupported, "this kind of server knows no top_k; 0 leaves it out");
    }
    // Servers and model files bring their own penalties and floors; none was asked for.
    if (llama) body["repeat_penalty"] = 1.0;
    if (kind == ServerKind::vllm) body["repetition_penalty"] = 1.0;
    if (kind != ServerKind::openai) body["min_p"] = 0.0;
    // Its prompts would be kept for whoever comes next, and the time of an answer would tell of them.
    if (kind == ServerKind::llama_server) body["cache_prompt"] = false;
    if (kind == ServerKind::vllm) body["cache_salt"] = completion.cache_salt;
    if (!completion.grammar.empty()) {
        if (llama) body["grammar"] = completion.grammar;
        if (kind == ServerKind::vllm) body["structured_outputs"] = {{"grammar", completion.grammar}};
    }
    if (completion.likeliest > 0) {
        body[kind == ServerKind::llama_server ? "n_probs" : "logprobs"] = completion.likeliest;
        if (kind == ServerKind::vllm) body["return_tokens_as_token_ids"] = true;
    }
    try {
        return body.dump();
    } catch (const Json::type_error&) {
        throw EngineError(Kind::bad_request, "a prompt that is not UTF-8 cannot be sent to a server");
    }
}

Piece read_piece(std::string_view data)
{
    const Json event = parse(data);
    if (!event.is_object()) malformed("an event that is no JSON object");
    if (!member(event, "error").is_null())
        throw EngineError(Kind::lost, "the server broke off: " + read_error(data));
    Piece piece;
    if (const Json& model = member(event, "model"); model.is_string())
        piece.model = one_line(model.get<std::string>(), kNameMax);
    const Json& choices = member(event, "choices");
    if (!choices.is_array()) malformed("an event without choices");
    if (choices.empty()) return piece;  // an account of tokens
    const Json& choice = choices.front();
    if (const Json& text = member(choice, "text"); text.is_string())
        piece.text = text.get<std::string>();
    else if (!text.is_null())
        malformed("a text that is none");
    const Json& finish = member(choice, "finish_reason");
    if (finish.is_null() || finish == "") return piece;
    piece.end = finish == "stop"     ? Piece::End::stop
                : finish == "length" ? Piece::End::length
                                     : Piece::End::broken_off;
    return piece;
}

std::vector<std::optional<float>> read_scores(std::string_view body, std::span<const TokenId> choices,
                                              const Tokenizer& tokenizer)
{
    const Json answer = parse(body);
    const Json& likeliest = member(first_choice(answer), "logprobs");
    std::vector<std::optional<float>> out(choices.size());
    const auto each = [&](const auto& score_of) {
        for (std::size_t i = 0; i < choices.size(); ++i) out[i] = score_of(choices[i]);
    };
    if (const Json& content = member(likeliest, "content"); content.is_array() && !content.empty()) {
        const Json& top = member(content.front(), "top_logprobs");
        if (!top.is_array()) malformed("no likeliest tokens");
        each([&](TokenId id) -> std::optional<float> {
            for (const Json& token : top)
                if (member(token, "id") == id) return finite(member(token, "logprob"));
            return std::nullopt;
        });
        return out;
    }
    const Json& top = member(likeliest, "top_logprobs");
    if (!top.is_array() || top.empty() || !top.front().is_object()) malformed("no likeliest tokens");
    each([&](TokenId id) -> std::optional<float> {
        const auto by_id = top.front().find("token_id:" + std::to_string(id));
        if (by_id != top.front().end()) return finite(*by_id);
        const auto by_text = top.front().find(tokenizer.piece(id));
        return by_text == top.front().end() ? std::nullopt : finite(*by_text);
    });
    return out;
}

std::vector<std::string> read_models(std::string_view body)
{
    const Json answer = parse(body);
    const Json& data = member(answer, "data");
    if (!data.is_array()) malformed("no list of models");
    std::vector<std::string> names;
    for (const Json& model : data)
        if (const Json& id = member(model, "id"); id.is_string()) names.push_back(id.get<std::string>());
    return names;
}

std::string read_error(std::string_view body)
{
    const Json answer = parse(body);
    const Json& error = member(answer, "error");
    for (const Json* words : {&member(error, "message"), &error, &member(answer, "detail")})
        if (words->is_string()) return one_line(words->get<std::string>(), kErrorMax);
    return "no explanation";
}

}  // namespace jiphyeon::remote
