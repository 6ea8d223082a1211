// The engine of a server on the network: its words, with our tokens, template, grammars and slots around
// them.
//
// A generation is a chain of requests. Each asks for what follows the prompt and all that has been written,
// and ends where the server ends it, or where we hang up because a slot's turn has come, a stop text stands
// there, or the grammar does not allow what came. Every character passes the grammar here, whether or not the
// server was given it: a server is not trusted to keep to it.
//
// What no server can give is not made up: no logits, no ids of the tokens that it chose. How much of
// max_tokens is used is counted with the file's vocabulary.
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "chat_template.hpp"
#include "event_stream.hpp"
#include "gguf.hpp"
#include "grammar.hpp"
#include "jiphyeon/crypto.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "model_info.hpp"
#include "remote_http.hpp"
#include "remote_messages.hpp"
#include "remote_prompt.hpp"
#include "text_stream.hpp"
#include "tokenizer.hpp"

namespace jiphyeon {
namespace remote {
namespace {

using Kind = EngineError::Kind;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kErrorBytesMax = 64u << 10;
constexpr milliseconds kCancelPoll{20};

constexpr std::array<std::pair<ServerKind, std::string_view>, 4> kKindNames = {
    {{ServerKind::llama_server, "llama-server"},
     {ServerKind::llama_cpp_python, "llama-cpp-python"},
     {ServerKind::vllm, "vllm"},
     {ServerKind::openai, "openai"}}};

bool takes_token_ids(ServerKind kind)
{
    return kind == ServerKind::llama_server || kind == ServerKind::vllm;
}

bool takes_grammar(ServerKind kind)
{
    return kind != ServerKind::openai;
}

double milliseconds_since(Clock::time_point start)
{
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Throws unless the server said yes.
void check_status(HttpExchange& exchange)
{
    const int status = exchange.status();
    if (status == 200) return;
    const std::string detail =
        "the server answers " + std::to_string(status) + ": " + read_error(exchange.read_all(kErrorBytesMax));
    if (status == 429 || status >= 500) throw Transient(detail);
    if (status == 401 || status == 403) throw EngineError(Kind::unsupported, detail + " (its key)");
    if (status < 400 || status == 404 || status == 405) throw EngineError(Kind::unsupported, detail);
    throw EngineError(Kind::bad_request, detail);
}

class RemoteEngine final : public Engine {
public:
    explicit RemoteEngine(const RemoteOptions& options);

    const ModelInfo& info() const override { return info_; }
    const Tokenizer& tokenizer() const override { return *tokenizer_; }
    std::vector<TokenId> chat_prompt(std::span<const ChatTurn> turns) const override;
    Generated generate(const GenerateRequest& request, const GenerateEvents& events) override;
    std::vector<float> next_logits(std::span<const TokenId>, std::string_view) override
    {
        throw EngineError(Kind::unsupported, "a server does not tell its logits");
    }
    std::vector<std::optional<float>> next_scores(std::span<const TokenId> prompt,
                                                  std::span<const TokenId> choices,
                                                  std::string_view cache_domain) override;
    std::vector<float> embed(std::span<const std::string>) override
    {
        throw EngineError(Kind::unsupported, "vectors of texts are made here, not by a server");
    }

private:
    friend class RemoteGeneration;

    void read_vocabulary(const Gguf& file);
    void check_model() const;
    std::string cache_salt(std::string_view cache_domain) const;
    Prompt prompt_for(std::span<const TokenId> prompt) const;
    void patiently(const std::function<void()>& request, const std::atomic<bool>* cancel = nullptr,
                   const bool* began = nullptr) const;

    const RemoteOptions options_;
    const HttpServer server_;
    ModelInfo info_;
    std::unique_ptr<const Tokenizer> tokenizer_;
    OptionalChatTemplate template_;
    std::optional<PromptText> prompt_text_;  // where the server takes text
    const SecretKey salts_ = SecretKey::random();
};

RemoteEngine::RemoteEngine(const RemoteOptions& options) : options_(options), server_(options)
{
    if (options_.model.empty()) throw EngineError(Kind::bad_request, "no name of the model at the server");
    read_vocabulary(Gguf::open(options_.vocabulary, options_.vocabulary_sha256));
    check_model();
}

void RemoteEngine::read_vocabulary(const Gguf& file)
{
    tokenizer_ = make_tokenizer(file);
    template_ = OptionalChatTemplate(file);
    if (template_) info_.template_sha256 = template_.get().sha256();
    if (!takes_token_ids(options_.kind)) prompt_text_.emplace(file, *tokenizer_);
    info_.name = options_.model;
    info_.architecture = std::string(file.string("general.architecture"));
    info_.sha256 = file.sha256();
    info_.file_bytes = file.file_bytes();
    info_.context_tokens = options_.context_tokens;
    info_.vocabulary = tokenizer_->size();
    info_.generates = true;
    info_.server = server_.url();
}

void RemoteEngine::check_model() const
{
    std::vector<std::string> names;
    patiently([&] {
        HttpExchange exchange(server_, "GET", "/models", "", options_.next_timeout, nullptr);
        check_status(exchange);
        names = read_models(exchange.read_all(HttpExchange::kAnswerMax));
    });
    if (std::find(names.begin(), names.end(), options_.model) != names.end()) return;
    std::string there;
    for (const std::string& name : names) there += (there.empty() ? "" : ", ") + name;
    throw EngineError(Kind::unsupported, "the server " + server_.url() + " has no model " + options_.model +
                                             "; it has: " + there.substr(0, 1000));
}

// Repeats a request that failed before it `began` to be answered, if it may succeed the next time.
void RemoteEngine::patiently(const std::function<void()>& request, const std::atomic<bool>* cancel,
                             const bool* began) const
{
    milliseconds pause = options_.pause;
    for (unsigned attempt = 1;; ++attempt, pause *= 4) {
        try {
            return request();
        } catch (const Transient&) {
            if (attempt >= options_.attempts || (began != nullptr && *began)) throw;
        }
        const auto until = Clock::now() + pause;
        while (Clock::now() < until) {
            if (cancel != nullptr && *cancel) throw Cancelled();
            std::this_thread::sleep_for(std::min(kCancelPoll, pause));
        }
    }
}

std::vector<TokenId> RemoteEngine::chat_prompt(std::span<const ChatTurn> turns) const
{
    const ChatTemplate& chat_template = template_.get();
    if (!prompt_text_) return chat_template.prompt(*tokenizer_, turns);
    std::vector<ChatTurn> disarmed(turns.begin(), turns.end());
    for (ChatTurn& turn : disarmed) turn.text = prompt_text_->disarmed(turn.text);
    return chat_template.prompt(*tokenizer_, disarmed);
}

// Nobody can guess it, equal domains have equal ones, and "" never the same twice.
std::string RemoteEngine::cache_salt(std::string_view cache_domain) const
{
    if (cache_domain.empty()) return crypto::random_text(43);
    return crypto::hex(crypto::mac(salts_, cache_domain));
}

Prompt RemoteEngine::prompt_for(std::span<const TokenId> prompt) const
{
    if (prompt_text_) return prompt_text_->of(prompt);
    return std::vector<TokenId>(prompt.begin(), prompt.end());
}

std::vector<std::optional<float>> RemoteEngine::next_scores(std::span<const TokenId> prompt,
                                                            std::span<const TokenId> choices,
                                                            std::string_view cache_domain)
{
    check_prompt(info_, prompt, 1);
    if (options_.likeliest == 0) return std::vector<std::optional<float>>(choices.size());
    const std::string body = write(options_.kind, options_.model,
                                   {.prompt = prompt_for(prompt),
                                    .max_tokens = 1,
                                    .sampling = {},
                                    .grammar = {},
                                    .cache_salt = cache_salt(cache_domain),
                                    .likeliest = options_.likeliest});
    std::vector<std::optional<float>> scores;
    patiently([&] {
        HttpExchange exchange(server_, "POST", "/completions", body, options_.first_timeout, nullptr);
        check_status(exchange);
        scores = read_scores(exchange.read_all(HttpExchange::kAnswerMax), choices, *tokenizer_);
    });
    return scores;
}

// The way of one generate() call.
class RemoteGeneration {
public:
    RemoteGeneration(const RemoteEngine& engine, const GenerateRequest& request, const GenerateEvents& events)
        : engine_(engine),
          request_(request),
          events_(events),
          prompt_(engine.prompt_for(request.prompt)),
          salt_(engine.cache_salt(request.cache_domain)),
          stream_(request.stop)
    {
        if (!request.grammar.empty()) grammar_.emplace(Grammar::parse(request.grammar));
    }

    Generated run();

private:
    using Finish = Generated::Finish;

    void write_until_slot();
    void read_words(HttpExchange& exchange);
    bool take(std::string_view text);
    bool may_follow(std::string_view character);
    void end_of_words(Piece::End end);
    bool fill_slots();
    bool fill(const std::string& name);
    void slot_or_off_grammar();
    bool push(std::string_view text);
    void go_on_from(const std::string& text);
    bool release(std::string text) { return text.empty() || !events_.on_text || events_.on_text(text); }
    void finish(Finish how)
    {
        result_.finish = how;
        finished_ = true;
    }

    const RemoteEngine& engine_;
    const GenerateRequest& request_;
    const GenerateEvents& events_;
    Prompt prompt_;        // of the next request: with all that was written
    std::string written_;  // where it is text
    const std::string salt_;
    std::optional<GrammarState> grammar_;
    TextStream stream_;
    std::optional<std::string> due_slot_;  // whose turn it is, though text might come as well
    std::string words_;                    // of the request that runs
    bool began_ = false;                   // the request that runs is being answered
    std::size_t used_ = 0;                 // of max_tokens
    std::size_t since_ = 0;                // where the text after the last slot begins
    bool finished_ = false;
    Clock::time_point start_ = Clock::now();
    Generated result_;
};

Generated RemoteGeneration::run()
{
    result_.prompt_tokens = request_.prompt.size();
    try {
        while (!finished_) {
            if (grammar_ && !fill_slots()) break;
            if (grammar_ && grammar_->must_end()) {
                finish(Finish::end);
            } else if (used_ >= request_.max_tokens) {
                finish(Finish::length);
            } else {
                write_until_slot();
            }
        }
    } catch (const Cancelled&) {
        finish(Finish::cancelled);
    }
    if (result_.finish != Finish::cancelled && !release(stream_.finish())) finish(Finish::cancelled);
    result_.text = stream_.text();
    result_.decode_ms = milliseconds_since(start_) - result_.prompt_ms;
    return std::move(result_);
}

// One request, to its end or ours.
void RemoteGeneration::write_until_slot()
{
    const RemoteOptions& options = engine_.options_;
    const std::string body =
        write(options.kind, options.model,
              {.prompt = prompt_,
               .max_tokens = request_.max_tokens - used_,
               .sampling = request_.sampling,
               .grammar = grammar_ && takes_grammar(options.kind) ? grammar_->until_slot() : std::string(),
               .cache_salt = salt_,
               .likeliest = 0});
    words_.clear();
    began_ = false;
    ++result_.steps;
    const auto ask = [&] {
        HttpExchange exchange(engine_.server_, "POST", "/completions", body, options.first_timeout,
                              request_.cancel);
        check_status(exchange);
        if (exchange.content_type() != "text/event-stream")
            throw EngineError(Kind::malformed, "the server does not stream its answer");
        read_words(exchange);
    };
    engine_.patiently(ask, request_.cancel, &began_);
    if (finished_) return;
    go_on_from(words_);
    if (words_.empty()) ++used_;  // or a grammar of slots alone could go on for ever
}

void RemoteGeneration::read_words(HttpExchange& exchange)
{
    EventStream events;
    for (std::string bytes; exchange.read(bytes);) {
        for (const std::string& data : events.push(bytes)) {
            if (data == "[DONE]") throw Transient("the server ends an answer without saying why");
            const Piece piece = read_piece(data);
            if (result_.served_as.empty()) result_.served_as = piece.model;
            if (!piece.text.empty()) {
                if (result_.prompt_ms == 0) {
                    result_.prompt_ms = milliseconds_since(start_);
                    if (events_.on_prompt) events_.on_prompt(request_.prompt.size(), request_.prompt.size());
                }
                began_ = true;
                exchange.expect_within(engine_.options_.next_timeout);
                if (!take(piece.text)) return;
            }
            if (request_.cancel != nullptr && *request_.cancel) throw Cancelled();
            if (piece.end != Piece::End::none) return end_of_words(piece.end);
        }
    }
    throw Transient("the server's answer broke off");
}

// What the server wrote, as far as it is wanted. False when no more is.
bool RemoteGeneration::take(std::string_view text)
{
    std::size_t end = 0;
    bool wanted = true;
    while (wanted && end < text.size()) {
        std::size_t next = end + 1;
        while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) ++next;
        wanted = may_follow(text.substr(end, next - end));
        if (wanted) end = next;
    }
    words_ += text.substr(0, end);
    // The text before what was not wanted may hold a stop text, which then was first.
    return push(text.substr(0, end)) && wanted &&
           !(grammar_ && (grammar_->at_slot() || grammar_->must_end()));
}

bool RemoteGeneration::may_follow(std::string_view character)
{
    if (!grammar_) return true;
    if (grammar_->at_slot() || grammar_->must_end()) return false;
    if (grammar_->advance(character)) return true;
    slot_or_off_grammar();
    return false;
}

// The server ended by itself.
void RemoteGeneration::end_of_words(Piece::End end)
{
    if (end == Piece::End::broken_off) throw EngineError(Kind::lost, "the server broke its answer off");
    if (grammar_ && grammar_->at_slot()) return;
    if (end == Piece::End::length) return finish(Finish::length);
    if (!grammar_ || grammar_->may_end()) return finish(Finish::end);
    slot_or_off_grammar();
}

// What the model wants is no text that may come: then it is a slot's turn, if one may come.
void RemoteGeneration::slot_or_off_grammar()
{
    due_slot_ = grammar_->may_slot();
    if (!due_slot_) finish(Finish::off_grammar);
}

// False when the generation is over.
bool RemoteGeneration::fill_slots()
{
    if (due_slot_ && !fill(*std::exchange(due_slot_, std::nullopt))) return false;
    while (const std::optional<std::string> name = grammar_->at_slot())
        if (!fill(*name)) return false;
    return true;
}

bool RemoteGeneration::fill(const std::string& name)
{
    GenerateEvents::SlotFill slot;
    if (events_.on_slot) {
        // What is held back for a stop text belongs before the slot.
        if (!release(stream_.finish())) {
            finish(Finish::cancelled);
            return false;
        }
        slot = events_.on_slot(name, std::string_view(stream_.text()).substr(since_));
    }
    grammar_->pass_slot(name);
    if (!push(slot.text)) return false;
    since_ = stream_.text().size();
    if (slot.stop)
        finish(Finish::slot);
    else
        go_on_from(slot.text);
    return !finished_;
}

// Gives out text. False when the generation is over.
bool RemoteGeneration::push(std::string_view text)
{
    stream_.push(text);
    if (!release(stream_.take()))
        finish(Finish::cancelled);
    else if (stream_.stopped())
        finish(Finish::stop);
    return !finished_;
}

// Makes text a part of the next request's prompt, and counts it.
void RemoteGeneration::go_on_from(const std::string& text)
{
    const std::vector<TokenId> ids = engine_.tokenizer_->encode(text);
    used_ += ids.size();
    if (auto* prompt = std::get_if<std::vector<TokenId>>(&prompt_)) {
        prompt->insert(prompt->end(), ids.begin(), ids.end());
        return;
    }
    written_ += text;
    engine_.prompt_text_->check(written_);
    std::get<std::string>(prompt_) += text;
}

Generated RemoteEngine::generate(const GenerateRequest& request, const GenerateEvents& events)
{
    check_prompt(info_, request.prompt, request.max_tokens);
    if (!request.quoting.passages.empty())
        throw EngineError(Kind::unsupported, "a server cannot be held to quoting given passages verbatim");
    return RemoteGeneration(*this, request, events).run();
}

}  // namespace
}  // namespace remote

std::string_view server_kind_name(ServerKind kind)
{
    for (const auto& [each, name] : remote::kKindNames)
        if (each == kind) return name;
    return {};
}

std::optional<ServerKind> server_kind_from_name(std::string_view name)
{
    for (const auto& [kind, each] : remote::kKindNames)
        if (each == name) return kind;
    return std::nullopt;
}

std::vector<std::optional<float>> Engine::next_scores(std::span<const TokenId> prompt,
                                                      std::span<const TokenId> choices,
                                                      std::string_view cache_domain)
{
    const std::vector<float> logits = next_logits(prompt, cache_domain);
    std::vector<std::optional<float>> scores;
    for (const TokenId choice : choices) scores.push_back(logits.at(static_cast<std::size_t>(choice)));
    return scores;
}

std::unique_ptr<Engine> connect_engine(const RemoteOptions& options)
{
    return std::make_unique<remote::RemoteEngine>(options);
}

}  // namespace jiphyeon
