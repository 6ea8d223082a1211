// The OpenAI-compatible door: the last user message is the question; earlier turns are not read, since an
// answer may rest on documents alone. Citations and the receipt come beside the usual fields.
#include <Poco/Exception.h>

#include <chrono>

#include "web.hpp"

namespace jiphyeon {
namespace {

constexpr const char* kJson = "application/json; charset=utf-8";
constexpr const char* kModel = "jiphyeon";

// `content` as a text, or as a list of parts of which the text ones count.
std::string content_text(const Json& message)
{
    const auto content = message.find("content");
    if (content == message.end()) return "";
    if (content->is_string()) return content->get<std::string>();
    std::string text;
    if (content->is_array())
        for (const Json& part : *content)
            if (part.is_object() && part.value("type", Json()) == "text" && part.contains("text") &&
                part["text"].is_string())
                text += part["text"].get<std::string>();
    return text;
}

std::string last_question(const Json& body)
{
    const auto messages = body.find("messages");
    if (messages == body.end() || !messages->is_array())
        throw GatewayError(GatewayError::Kind::bad_request, "messages: a list is needed");
    std::string question;
    for (const Json& message : *messages)
        if (message.is_object() && message.value("role", Json()) == "user") question = content_text(message);
    if (question.empty()) throw GatewayError(GatewayError::Kind::bad_request, "messages: no user message");
    return question;
}

std::int64_t now_s()
{
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

Json citations_of(const Json& answer)
{
    Json citations = Json::array();
    for (const Json& item : answer.at("evidence")) {
        if (!item.at("cited").get<bool>()) continue;
        Json citation = Json::object();
        for (const char* field :
             {"n", "source_id", "document", "document_id", "version", "page", "section", "text"})
            citation[field] = item.at(field);
        citations.push_back(std::move(citation));
    }
    return citations;
}

Json envelope(const std::string& id, const char* kind)
{
    return {{"id", id}, {"object", kind}, {"created", now_s()}, {"model", kModel}};
}

Json with_extras(Json object, const Json& answer)
{
    object["citations"] = citations_of(answer);
    object["outcome"] = answer.at("outcome");
    object["receipt"] = answer.at("receipt");
    return object;
}

std::string shown_sentence(const Json& sentence)
{
    std::string text = sentence.at("text").get<std::string>() + " ";
    for (const Json& n : sentence.at("citations")) text += "[" + std::to_string(n.get<unsigned>()) + "]";
    return text;
}

Json chunk_of(const std::string& id, Json delta, const Json& finish)
{
    Json chunk = envelope(id, "chat.completion.chunk");
    chunk["choices"] = Json::array({{{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", finish}}});
    return chunk;
}

}  // namespace

void Web::models(const HttpRequest& request, HttpReply& reply)
{
    bearer(request);
    reply.send(
        200, kJson,
        print({{"object", "list"},
               {"data", Json::array({{{"id", kModel}, {"object", "model"}, {"owned_by", "jiphyeon"}}})}}));
}

void Web::chat_completions(const HttpRequest& request, HttpReply& reply)
{
    const Caller caller = bearer(request);
    const Json body = parse_object(request.body);
    const std::string params = print({{"question", last_question(body)}});
    const bool stream = Fields(body).flag("stream", false);
    const StreamPlace place(*this, caller.account);
    const std::string id = "chatcmpl-" + crypto::random_text(16);
    if (!stream) {
        const auto on_event = [&](std::string_view) { return !stopping_ && !reply.client_gone(); };
        const Json answer = parse_object(service_.call(caller, "ask", params, on_event));
        Json completion = envelope(id, "chat.completion");
        completion["choices"] =
            Json::array({{{"index", 0},
                          {"message", {{"role", "assistant"}, {"content", answer.at("answer")}}},
                          {"finish_reason", "stop"}}});
        completion["usage"] = {{"prompt_tokens", answer.at("prompt_tokens")}};
        reply.send(200, kJson, print(with_extras(std::move(completion), answer)));
        return;
    }
    reply.begin_stream("text/event-stream; charset=utf-8");
    const auto send = [&](const Json& data) { reply.write("data: " + print(data) + "\n\n"); };
    bool said = false;
    const auto on_event = [&](std::string_view text) {
        if (stopping_ || reply.client_gone()) return false;
        const Json event = parse_object(text);
        if (event.at("event") == "sentence") {
            send(chunk_of(id, {{"content", (said ? " " : "") + shown_sentence(event.at("sentence"))}},
                          nullptr));
            said = true;
        }
        return true;
    };
    try {
        send(chunk_of(id, {{"role", "assistant"}, {"content", ""}}, nullptr));
        const Json answer = parse_object(service_.call(caller, "ask", params, on_event));
        if (!said) send(chunk_of(id, {{"content", answer.at("answer")}}, nullptr));
        send(with_extras(chunk_of(id, Json::object(), "stop"), answer));
        reply.write("data: [DONE]\n\n");
    } catch (const Poco::Exception&) {
        throw;
    } catch (const std::exception& error) {
        reply.write("data: " + error_json(error) + "\n\n");
    }
}

}  // namespace jiphyeon
