// The engine in this process.
//
// Every request runs in its caller's thread and asks for one step after the other: its next token with
// guesses of those behind it, or the next part of its prompt. Steps of several requests that fall together
// are one (step_batcher.hpp). Prompts are read one at a time, first come first served: two at once would not
// be done sooner, and one that begins as another did finds those pages already there.
//
// Callbacks of a running request may call next_logits and embed of the same engine, but not generate, for
// which there may be no room until their own request has ended.
#include <algorithm>
#include <chrono>

#include "chat_template.hpp"
#include "copy_draft.hpp"
#include "fair_gate.hpp"
#include "gguf.hpp"
#include "grammar.hpp"
#include "jiphyeon/crypto.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "kernels.hpp"
#include "kv_cache.hpp"
#include "model.hpp"
#include "model_info.hpp"
#include "sampler.hpp"
#include "step_batcher.hpp"
#include "text_stream.hpp"
#include "tokenizer.hpp"

namespace jiphyeon {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = EngineError::Kind;

constexpr std::size_t kPromptRows = 384;       // whole tiles of 12
constexpr std::size_t kPromptRowsBeside = 96;  // while answers are being written: they wait no longer
constexpr std::size_t kGuessRows = Model::kStepRows - kPromptRows;  // at most, beside those of a prompt

double milliseconds_since(Clock::time_point start)
{
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// One more for a scope.
class Counted {
public:
    explicit Counted(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

private:
    std::atomic<std::size_t>& count_;
};

// One request's tokens and how far they are computed.
struct Sequence {
    explicit Sequence(StepBatcher& steps) : user(steps) {}
    std::vector<TokenId> tokens;
    std::size_t done = 0;
    KvPages pages;
    StepBatcher::User user;
};

std::unique_ptr<PageFile> page_file_for(const ModelShape& shape, const EngineOptions& options)
{
    if (!shape.generates() || options.prefix_disk_bytes == 0) return nullptr;
    return std::make_unique<PageFile>(options.prefix_disk_folder, shape.kv().page_bytes(),
                                      options.prefix_disk_bytes);
}

class LocalEngine final : public Engine {
public:
    LocalEngine(const Gguf& file, const ModelShape& shape, ModelInfo info, const EngineOptions& options,
                std::span<Adapter> adapters);

    const ModelInfo& info() const override { return info_; }
    const Tokenizer& tokenizer() const override { return *tokenizer_; }
    std::vector<TokenId> chat_prompt(std::span<const ChatTurn> turns) const override;
    Generated generate(const GenerateRequest& request, const GenerateEvents& events) override;
    std::vector<float> next_logits(std::span<const TokenId> prompt, std::string_view cache_domain) override;
    std::vector<float> embed(std::span<const std::string> texts) override;
    std::vector<float> rerank(const std::string& query, std::span<const std::string> passages) override;

private:
    friend class Generation;
    // Pages that `tokens` positions take, as units of room_.
    std::size_t pages_for(std::size_t tokens) const
    {
        return (tokens + kChunkPositions - 1) / kChunkPositions;
    }
    void begin(Sequence& sequence, std::span<const TokenId> prompt, PrefixCache::Found found);
    bool advance(Sequence& sequence, std::span<const TokenId> guess, const std::atomic<bool>* cancel,
                 const std::function<void(std::size_t done)>& on_step, std::vector<float>& logits);
    std::vector<TokenId> encode_whole(const std::string& text) const;
    std::vector<TokenId> encode_pair(const std::vector<TokenId>& query, const std::string& passage) const;
    std::vector<float> pooled(std::span<const std::vector<TokenId>> texts);

    ModelInfo info_;
    Model model_;
    std::unique_ptr<const Tokenizer> tokenizer_;
    OptionalChatTemplate template_;
    std::vector<std::string> pieces_;  // by token; only where the model generates
    const bool closes_twice_;          // between two texts, as XLM-R's family was trained
    const std::size_t guess_tokens_;
    PrefixCache cache_;
    StepBatcher steps_{model_};
    std::atomic<std::size_t> writing_ = 0;  // requests that are past their prompt
    FairGate users_{kLogitRows};            // requests of generate at once
    FairGate reading_{1};                   // prompts of generate at once
    FairGate room_;                         // pages that running requests have for themselves
    FairGate scoring_{1};                   // one next_logits at a time
};

LocalEngine::LocalEngine(const Gguf& file, const ModelShape& shape, ModelInfo info,
                         const EngineOptions& options, std::span<Adapter> adapters)
    : info_(std::move(info)),
      model_(file, shape, options.threads, kernels_for(options.isa), adapters),
      tokenizer_(make_tokenizer(file)),
      closes_twice_(file.string("tokenizer.ggml.model") == "t5" &&
                    file.find_bool("tokenizer.ggml.add_sep_token").value_or(true)),
      guess_tokens_(std::min(options.guess_tokens, kGuessRows)),
      cache_(shape.kv(), options.prefix_cache_bytes, page_file_for(shape, options)),
      room_(kContexts * pages_for(shape.context))
{
    // Rows of the embedding may outnumber the pieces, for alignment; the other way round a token had no row.
    if (tokenizer_->size() > shape.vocabulary) {
        throw EngineError(Kind::malformed, "more tokens than rows of the embedding");
    }
    if (!shape.generates()) return;
    pieces_.reserve(tokenizer_->size());
    for (std::size_t i = 0; i < tokenizer_->size(); ++i)
        pieces_.push_back(tokenizer_->piece(static_cast<TokenId>(i)));
    template_ = OptionalChatTemplate(file);
}

std::vector<TokenId> LocalEngine::chat_prompt(std::span<const ChatTurn> turns) const
{
    return template_.get().prompt(*tokenizer_, turns);
}

// A sequence of the prompt's tokens, of which those are done whose pages are known.
void LocalEngine::begin(Sequence& sequence, std::span<const TokenId> prompt, PrefixCache::Found found)
{
    cache_.load(found);
    sequence.tokens.assign(prompt.begin(), prompt.end());
    sequence.done = found.tokens;
    sequence.pages = std::move(found.pages);
}

// Computes the tokens that are not done and, in the last step, those of `guess` after them. `logits` are
// those after the last token and after each of the guess, one after the other. False when cancelled.
bool LocalEngine::advance(Sequence& sequence, std::span<const TokenId> guess, const std::atomic<bool>* cancel,
                          const std::function<void(std::size_t done)>& on_step, std::vector<float>& logits)
{
    while (sequence.pages.size() < pages_for(sequence.tokens.size() + guess.size())) {
        sequence.pages.push_back(std::make_shared<KvPage>(model_.shape().kv()));
    }
    std::vector<std::size_t> wanted;
    while (sequence.done < sequence.tokens.size()) {
        const std::size_t most = writing_ == 0 ? kPromptRows : kPromptRowsBeside;
        const std::size_t count = std::min(most, sequence.tokens.size() - sequence.done);
        std::vector<Row> rows;
        for (std::size_t i = sequence.done; i < sequence.done + count; ++i) {
            rows.push_back({sequence.tokens[i], i, 0, i + 1, &sequence.pages});
        }
        if (sequence.done + count == sequence.tokens.size()) {
            wanted.push_back(count - 1);
            for (std::size_t i = 0; i < guess.size(); ++i) {
                const std::size_t position = sequence.tokens.size() + i;
                wanted.push_back(rows.size());
                rows.push_back({guess[i], position, 0, position + 1, &sequence.pages});
            }
        }
        if (!sequence.user.compute(rows, wanted, logits, cancel)) return false;
        sequence.done += count;
        if (on_step) on_step(sequence.done);
    }
    return true;
}

std::vector<float> LocalEngine::next_logits(std::span<const TokenId> prompt, std::string_view cache_domain)
{
    check_prompt(info_, prompt, 0);
    // Not in line for room_: a callback of a running request, which holds some, may ask this.
    const Units alone(scoring_, 1, nullptr);
    Sequence sequence(steps_);
    begin(sequence, prompt, cache_.find(cache_domain, prompt));
    std::vector<float> logits;
    advance(sequence, {}, nullptr, nullptr, logits);
    cache_.keep(cache_domain, sequence.tokens, std::move(sequence.pages));
    return logits;
}

// Null where anything may follow.
std::shared_ptr<const Grammar> grammar_of(const GenerateRequest& request)
{
    if (!request.quoting.passages.empty()) {
        return Grammar::parse(request.grammar.empty() ? "root ::= (. | <quote>)*" : request.grammar,
                              std::make_shared<Quotable>(request.quoting));
    }
    return request.grammar.empty() ? nullptr : Grammar::parse(request.grammar);
}

// The way of one generate() call from prompt to result.
class Generation {
public:
    Generation(LocalEngine& engine, const GenerateRequest& request, const GenerateEvents& events)
        : engine_(engine), request_(request), events_(events), stream_(request.stop), sequence_(engine.steps_)
    {
        if (auto grammar = grammar_of(request)) grammar_.emplace(std::move(grammar));
    }

    Generated run();

private:
    using Finish = Generated::Finish;

    void read_prompt();
    void decode();
    bool compute();
    std::span<const float> next_logits() const;
    bool fill_slots();
    bool fill(const std::string& name);
    std::optional<TokenId> next_token();
    bool may_follow(TokenId id) const;
    bool append(TokenId id, std::string_view bytes);
    void note_quotes();
    bool release(std::string text);
    void finish(Finish how)
    {
        result_.finish = how;
        finished_ = true;
    }

    LocalEngine& engine_;
    const GenerateRequest& request_;
    const GenerateEvents& events_;
    std::optional<Units> user_;
    std::optional<Units> room_;
    std::optional<GrammarState> grammar_;
    TextStream stream_;
    Sequence sequence_;
    CopyDraft draft_;
    std::vector<TokenId> guess_;  // of the last step
    std::size_t true_guesses_ = 0;
    std::vector<float> logits_;  // after the token before the guess, and after each of it
    crypto::Sha256 hash_;
    std::size_t since_ = 0;   // where the text after the last slot begins
    std::size_t filled_ = 0;  // bytes that slots were filled with
    bool finished_ = false;
    Generated result_;
};

Generated Generation::run()
{
    const auto start = Clock::now();
    result_.prompt_tokens = request_.prompt.size();
    read_prompt();
    result_.prompt_ms = milliseconds_since(start);
    const auto decode_start = Clock::now();
    if (!finished_) decode();
    result_.decode_ms = milliseconds_since(decode_start);

    if (result_.finish != Finish::cancelled && !release(stream_.finish())) finish(Finish::cancelled);
    result_.text = stream_.text();
    // A stop text may begin in a quotation.
    std::erase_if(result_.quotes, [this](const Quote& quote) { return quote.end > result_.text.size(); });
    result_.logits_hash = hash_.finish();
    engine_.cache_.keep(request_.cache_domain, std::span(sequence_.tokens).first(sequence_.done),
                        std::move(sequence_.pages));
    return std::move(result_);
}

void Generation::read_prompt()
{
    user_.emplace(engine_.users_, 1, request_.cancel);
    if (!user_->held()) return finish(Finish::cancelled);
    const Units reading(engine_.reading_, 1, request_.cancel);
    if (!reading.held()) return finish(Finish::cancelled);
    PrefixCache::Found found = engine_.cache_.find(request_.cache_domain, request_.prompt);
    const std::size_t pages = engine_.pages_for(request_.prompt.size() + request_.max_tokens);
    room_.emplace(engine_.room_, pages - found.shared, request_.cancel);
    if (!room_->held()) return finish(Finish::cancelled);
    engine_.begin(sequence_, request_.prompt, std::move(found));
    result_.cached_tokens = sequence_.done;
    const bool done = engine_.advance(
        sequence_, {}, request_.cancel,
        [this](std::size_t count) {
            if (events_.on_prompt) events_.on_prompt(count, request_.prompt.size());
        },
        logits_);
    if (!done) return finish(Finish::cancelled);
    // The last page will be written to unless it is full.
    const std::size_t full = request_.prompt.size() / kChunkPositions * kChunkPositions;
    engine_.cache_.keep(request_.cache_domain, std::span(sequence_.tokens).first(full), sequence_.pages);
}

void Generation::decode()
{
    const Counted writing(engine_.writing_);
    while (!finished_) {
        if (grammar_ && !fill_slots()) return;
        if (grammar_ && grammar_->must_end()) return finish(Finish::end);
        if (result_.tokens.size() >= request_.max_tokens) return finish(Finish::length);
        if (!compute()) return finish(Finish::cancelled);

        const std::optional<TokenId> token = next_token();
        if (!token) {
            // Text may not go on, but a slot may be next.
            const std::optional<std::string> slot = grammar_ ? grammar_->may_slot() : std::nullopt;
            if (slot) {
                if (!fill(*slot)) return;
                continue;
            }
            if (grammar_ && grammar_->may_end()) return finish(Finish::end);
            throw EngineError(Kind::bad_request, "the grammar allows none of the model's tokens");
        }
        hash_.update({reinterpret_cast<const char*>(next_logits().data()), next_logits().size_bytes()});
        if (engine_.tokenizer_->ends_generation(*token)) return finish(Finish::end);
        const std::string& piece = engine_.pieces_[static_cast<std::size_t>(*token)];
        if (grammar_) {
            grammar_->advance(piece);
            note_quotes();
        }
        if (!append(*token, piece)) return;
    }
}

void Generation::note_quotes()
{
    const std::vector<GrammarState::Quoted>& quoted = grammar_->quoted();
    while (result_.quotes.size() < quoted.size()) {
        const auto& [end, span] = quoted[result_.quotes.size()];
        const Quotable::Source source = grammar_->grammar().quotable()->source_of(span);
        result_.quotes.push_back({.start = filled_ + end - span.bytes,
                                  .end = filled_ + end,
                                  .passage = source.passage,
                                  .passage_start = source.start});
    }
}

// Sees to it that next_logits() are there. False when cancelled.
bool Generation::compute()
{
    if (sequence_.done == sequence_.tokens.size()) return true;
    if (!guess_.empty()) draft_.learn(guess_.size(), true_guesses_);
    const std::size_t left = request_.max_tokens - result_.tokens.size();
    const std::size_t mine = kLogitRows / engine_.writing_;  // of what the model may give together
    const auto guess = draft_.guess(sequence_.tokens, std::min({engine_.guess_tokens_, left - 1, mine - 1}));
    guess_.assign(guess.begin(), guess.end());
    true_guesses_ = 0;
    ++result_.steps;
    return engine_.advance(sequence_, guess_, request_.cancel, nullptr, logits_);
}

std::span<const float> Generation::next_logits() const
{
    const std::size_t size = engine_.info_.vocabulary;
    return std::span(logits_).subspan(true_guesses_ * size, size);
}

// The best token that may follow. At a place where either a slot or text may come, text comes only where it
// is what the model would write unbidden; else nothing is returned, and the slot's turn has come.
std::optional<TokenId> Generation::next_token()
{
    const std::uint64_t position = sequence_.tokens.size();
    if (!grammar_) {
        const auto token =
            choose_token(next_logits().first(engine_.pieces_.size()), request_.sampling, position, nullptr);
        if (!token) throw EngineError(Kind::malformed, "the model's logits are not numbers");
        return token;
    }
    const std::span<const float> logits = next_logits().first(engine_.pieces_.size());
    const auto allowed = [this](TokenId id) { return may_follow(id); };
    if (grammar_->may_slot()) {
        const auto unbidden = choose_token(logits, request_.sampling, position, nullptr);
        return unbidden && may_follow(*unbidden) ? unbidden : std::nullopt;
    }
    return choose_token(logits, request_.sampling, position, allowed);
}

bool Generation::may_follow(TokenId id) const
{
    if (engine_.tokenizer_->ends_generation(id)) return grammar_->may_end();
    const std::string& piece = engine_.pieces_[static_cast<std::size_t>(id)];
    if (piece.empty() || !grammar_->first_bytes()[static_cast<std::uint8_t>(piece[0])]) return false;
    return grammar_->accepts(piece);
}

bool Generation::append(TokenId id, std::string_view bytes)
{
    // A token that was guessed has been computed with the step before.
    const bool computed = sequence_.done == sequence_.tokens.size();
    if (computed && true_guesses_ < guess_.size() && guess_[true_guesses_] == id) {
        ++sequence_.done;
        ++true_guesses_;
    }
    sequence_.tokens.push_back(id);
    result_.tokens.push_back(id);
    stream_.push(bytes);
    if (!release(stream_.take())) {
        finish(Finish::cancelled);
    } else if (stream_.stopped()) {
        finish(Finish::stop);
    }
    return !finished_;
}

bool Generation::release(std::string text)
{
    return text.empty() || !events_.on_text || events_.on_text(text);
}

// False when the generation is over.
bool Generation::fill_slots()
{
    while (const std::optional<std::string> name = grammar_->at_slot()) {
        if (!fill(*name)) return false;
    }
    return true;
}

bool Generation::fill(const std::string& name)
{
    GenerateEvents::SlotFill slot;
    if (events_.on_slot) {
        // What is held back for a stop text belongs before the slot.
        if (!release(stream_.finish())) {
            finish(Finish::cancelled);
            return false;
        }
        sequence_.user.pause();  // that may take long
        slot = events_.on_slot(name, std::string_view(stream_.text()).substr(since_));
    }
    grammar_->pass_slot(name);
    const std::size_t before = stream_.text().size();
    for (const TokenId id : engine_.tokenizer_->encode(slot.text)) {
        if (sequence_.tokens.size() >= engine_.info_.context_tokens) {
            throw EngineError(Kind::too_large, "a slot's text goes beyond the context of " +
                                                   std::to_string(engine_.info_.context_tokens) + " tokens");
        }
        if (!append(id, engine_.pieces_[static_cast<std::size_t>(id)])) return false;
    }
    since_ = stream_.text().size();
    filled_ += since_ - before;
    if (slot.stop) finish(Finish::slot);
    return !finished_;
}

Generated LocalEngine::generate(const GenerateRequest& request, const GenerateEvents& events)
{
    check_prompt(info_, request.prompt, request.max_tokens);
    return Generation(*this, request, events).run();
}

// Ids of a text with what the model wants around it, cut in the middle part where it is too long.
std::vector<TokenId> LocalEngine::encode_whole(const std::string& text) const
{
    std::vector<TokenId> ids = tokenizer_->encode(text, true);
    if (ids.size() > info_.context_tokens) {
        const TokenId closing = ids.back();
        ids.resize(info_.context_tokens);
        ids.back() = closing;
    }
    return ids;
}

// The query and the passage as one text, the passage cut where both are too long.
std::vector<TokenId> LocalEngine::encode_pair(const std::vector<TokenId>& query,
                                              const std::string& passage) const
{
    std::vector<TokenId> ids = query;
    const TokenId closing = ids.back();
    if (closes_twice_) ids.push_back(closing);
    const std::vector<TokenId> more = tokenizer_->encode(passage);
    const std::size_t room = info_.context_tokens - std::min(info_.context_tokens, ids.size() + 1);
    ids.insert(ids.end(), more.begin(),
               more.begin() + static_cast<std::ptrdiff_t>(std::min(room, more.size())));
    ids.push_back(closing);
    return ids;
}

std::vector<float> LocalEngine::embed(std::span<const std::string> texts)
{
    if (!info_.embeds) throw EngineError(Kind::bad_request, info_.name + " makes no vectors of texts");
    std::vector<std::vector<TokenId>> ids;
    for (const std::string& text : texts) ids.push_back(encode_whole(text));
    return pooled(ids);
}

std::vector<float> LocalEngine::rerank(const std::string& query, std::span<const std::string> passages)
{
    if (!info_.reranks) return Engine::rerank(query, passages);
    std::vector<TokenId> start = encode_whole(query);
    if (start.empty()) throw EngineError(Kind::bad_request, "empty text");
    if (start.size() > info_.context_tokens / 2) {
        const TokenId closing = start.back();
        start.resize(std::max<std::size_t>(info_.context_tokens / 2, 1));
        start.back() = closing;
    }
    std::vector<std::vector<TokenId>> ids;
    for (const std::string& passage : passages) ids.push_back(encode_pair(start, passage));
    return pooled(ids);
}

// A vector, or a score, of each text.
std::vector<float> LocalEngine::pooled(std::span<const std::vector<TokenId>> texts)
{
    const std::size_t width = model_.shape().vector_size;
    std::vector<float> out(texts.size() * width);
    std::vector<float> hidden;
    StepBatcher::User user(steps_);
    for (std::size_t first = 0; first < texts.size();) {
        // As many texts as fit one step, each seeing only itself.
        std::vector<Row> rows;
        std::vector<std::size_t> sizes;
        std::vector<std::unique_ptr<KvPages>> pages;
        for (std::size_t i = first; i < texts.size(); ++i) {
            const std::vector<TokenId>& ids = texts[i];
            if (ids.empty()) throw EngineError(Kind::bad_request, "empty text");
            if (rows.size() + ids.size() > Model::kStepRows) break;
            pages.push_back(std::make_unique<KvPages>());
            for (std::size_t p = 0; p < pages_for(ids.size()); ++p) {
                pages.back()->push_back(std::make_shared<KvPage>(model_.shape().kv()));
            }
            const bool causal = model_.shape().family->causal;
            for (std::size_t k = 0; k < ids.size(); ++k)
                rows.push_back({ids[k], k, 0, causal ? k + 1 : ids.size(), pages.back().get()});
            sizes.push_back(ids.size());
        }
        std::vector<std::size_t> wanted(rows.size());
        for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = i;
        user.compute(rows, wanted, hidden, nullptr);
        std::size_t row = 0;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            model_.pool(hidden.data() + row * model_.shape().width, sizes[i],
                        out.data() + (first + i) * width);
            row += sizes[i];
        }
        first += sizes.size();
    }
    return out;
}

}  // namespace

std::vector<float> Engine::rerank(const std::string&, std::span<const std::string>)
{
    throw EngineError(Kind::bad_request, info().name + " does not score passages");
}

std::unique_ptr<Engine> open_engine(const std::filesystem::path& model, const EngineOptions& options)
{
    kernels_for(options.isa);  // refuse before the long work
    const Gguf file = Gguf::open(model, options.sha256);
    const ModelShape shape = read_shape(file, options.context_tokens, options.kv);
    std::vector<Adapter> adapters = open_adapters(options, shape);
    ModelInfo info = describe(file, shape, options, model, adapters);
    check_memory(model, info.memory, available_memory());
    return std::make_unique<LocalEngine>(file, shape, std::move(info), options, adapters);
}

}  // namespace jiphyeon
