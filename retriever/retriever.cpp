// The order of a question: read it, search within the scope, put the legs together, judge whether that is
// enough, let the model write, attribute and check each sentence, tell the outcome.
#include "jiphyeon/retriever.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include "attribution.hpp"
#include "fusion.hpp"
#include "jiphyeon/crypto.hpp"
#include "prompt.hpp"
#include "query.hpp"
#include "sufficiency.hpp"
#include "writing.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kPerDocument = 3;  // chunks of one document among the evidence
constexpr std::size_t kQuestionBytesMax = 4000;
constexpr std::size_t kAttempts = 2;
constexpr float kNearlyAsPromising = 1.0f;  // logit
// What a passage found one place later must be surer of, as a logit: the model alone takes the wrong one of
// two alike more often than the search does.
constexpr float kPerRank = 0.3f;

std::vector<std::string> adapters_of(const ModelInfo& model)
{
    std::vector<std::string> texts;
    for (const AdapterInfo& adapter : model.adapters)
        texts.push_back(crypto::hex(adapter.sha256) + " " + std::to_string(adapter.scale));
    return texts;
}

class Clock {
public:
    double ms() const
    {
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

struct Retriever::State {
    const Index& index;
    Engine* llm;
    Engine* embedder;
    RetrieverOptions options;

    std::vector<Fused> rank(const Query& query, Leg leg, const Scope& scope) const
    {
        std::vector<Hit> lexical, dense;
        if (leg != Leg::dense) lexical = index.search_lexical(query.terms, options.depth, scope);
        if (leg != Leg::lexical && embedder != nullptr) {
            const std::vector<std::string> text = {"query: " + query.text};
            dense = index.search_dense(embedder->embed(text), options.depth, scope);
        }
        return fuse(query, lexical, dense, options.dense_weight);
    }

    Evidence evidence_of(const Fused& fused, unsigned n, std::map<std::string, DocumentRecord>& records) const
    {
        auto [place, fresh] = records.try_emplace(fused.chunk.document_id);
        if (fresh) {
            const std::optional<DocumentRecord> record = index.document(fused.chunk.document_id);
            if (!record)
                throw RetrieverError(RetrieverError::Kind::failed,
                                     "chunk of no document: " + fused.chunk.id());
            place->second = *record;
        }
        const DocumentRecord& record = place->second;
        Evidence e;
        e.n = n;
        e.chunk = fused.chunk;
        e.source_id = record.source_id;
        e.title = record.title;
        e.version = record.version;
        e.state = record.state;
        e.effective_from = record.effective_from;
        e.effective_to = record.effective_to;
        e.score = fused.score;
        return e;
    }

    std::vector<Evidence> evidence_for(const std::vector<Fused>& ranked, std::size_t k,
                                       std::size_t per_document) const
    {
        std::vector<Evidence> out;
        std::map<std::string, std::size_t> taken;
        std::map<std::string, DocumentRecord> records;
        for (const Fused& fused : ranked) {
            if (out.size() == k) break;
            if (taken[fused.chunk.document_id]++ >= per_document) continue;
            out.push_back(evidence_of(fused, static_cast<unsigned>(out.size() + 1), records));
        }
        return out;
    }
};

Retriever::Retriever(const Index& index, Engine* llm, Engine* embedder, RetrieverOptions options)
    : state_(std::make_unique<State>(State{index, llm, embedder, options}))
{
}
Retriever::~Retriever() = default;

std::vector<Evidence> Retriever::search(std::string_view text, Leg leg, std::size_t k,
                                        const Scope& scope) const
{
    if (text.size() > kQuestionBytesMax)
        throw RetrieverError(RetrieverError::Kind::bad_request, "question too long");
    const Query query = analyze_question(text, scope.day);
    Scope when = scope;
    if (query.as_of) when.day = *query.as_of;
    return state_->evidence_for(state_->rank(query, leg, when), k, k);
}

namespace {

std::string text_of(const Answer& answer)
{
    if (answer.sentences.empty()) return std::string(outcome_text(answer.outcome));
    std::string text;
    for (const Sentence& s : answer.sentences) {
        if (!text.empty()) text += " ";
        text += s.text;
        for (const unsigned n : s.citations) text += " [" + std::to_string(n) + "]";
    }
    return text;
}

bool is_cancelled(const AskEvents& events)
{
    return events.cancel != nullptr && events.cancel->load();
}

// What the steps of one answer share.
struct Asking {
    Engine& llm;
    const Question& question;
    const Query& query;
    const Attribution& attribution;
    const AskEvents& events;
    const Clock& clock;
    Answer& answer;

    struct Promise {
        std::size_t shown;           // index: also its rank
        std::optional<float> logit;  // 예 minus 아니오

        float value() const { return logit.value_or(0) - kPerRank * static_cast<float>(shown); }
    };
    // The passages by how likely each holds the answer, as the model and the search see it, best first. The
    // model is asked about them one by one: of several at once a small one mixes up which says what.
    std::vector<Promise> by_promise(std::span<const Evidence> shown) const
    {
        std::vector<Promise> out;
        for (std::size_t i = 0; i < shown.size() && !is_cancelled(events); ++i)
            out.push_back({i, yes_minus_no(shown[i])});
        std::stable_sort(out.begin(), out.end(),
                         [](const Promise& a, const Promise& b) { return a.value() > b.value(); });
        return out;
    }

    // Lets the model write from one passage; not_enough where nothing that it wrote holds. The generation is
    // recorded as the answer's, in the place of an earlier one that said nothing.
    Outcome write(const Evidence& passage, std::size_t tokens) const
    {
        GenerateRequest request;
        request.prompt = answer_prompt(llm, passage, question.text);
        request.max_tokens = tokens;
        request.grammar = std::string(kAnswerGrammar);
        request.cache_domain = question.cache_domain;
        request.cancel = events.cancel;

        Writing writing = new_writing(passage.n - 1);
        Generation record;
        GenerateEvents generate_events;
        generate_events.on_slot = [&](std::string_view, std::string_view since) {
            record.fills.push_back(writing.at_slot(since));
            return record.fills.back();
        };
        Generated generated = llm.generate(request, generate_events);

        record.model_sha256 = crypto::hex(llm.info().sha256);
        record.template_sha256 = llm.info().template_sha256;
        record.adapters = adapters_of(llm.info());
        record.prompt = std::move(request.prompt);
        record.grammar = std::move(request.grammar);
        record.quoting = std::move(request.quoting);
        record.max_tokens = request.max_tokens;
        record.sampling = request.sampling;
        if (llm.info().server.empty()) {
            record.kv = kv_type_name(llm.info().kv);
            record.tokens = std::move(generated.tokens);
            record.logits_hash = crypto::hex(generated.logits_hash);
        } else {
            record.remote = {.server = llm.info().server,
                             .model = llm.info().name,
                             .served_as = std::move(generated.served_as),
                             .text = std::move(generated.text)};
        }
        answer.generation = std::move(record);
        answer.prompt_tokens += generated.prompt_tokens;
        answer.cached_tokens += generated.cached_tokens;
        answer.timings.prompt_ms += generated.prompt_ms;
        return is_cancelled(events) ? Outcome::cancelled : writing.outcome();
    }

    // A passage instead of the model's words.
    Outcome quote(const Attribution::Window& window) const
    {
        Writing writing = new_writing(window.evidence);
        writing.quote(window);
        return writing.outcome();
    }

private:
    std::optional<float> yes_minus_no(const Evidence& passage) const
    {
        const std::vector<TokenId> yes = llm.tokenizer().encode("예"), no = llm.tokenizer().encode("아니오");
        if (yes.empty() || no.empty() || yes.front() == no.front()) return std::nullopt;
        const TokenId choices[] = {yes.front(), no.front()};
        const std::vector<std::optional<float>> scores =
            llm.next_scores(sufficiency_prompt(llm, passage, question.text), choices, question.cache_domain);
        if (!scores[0] || !scores[1]) return std::nullopt;
        return *scores[0] - *scores[1];
    }
    Writing new_writing(std::size_t passage) const
    {
        return {answer, attribution, passage, query.wanted, events, [this] { return clock.ms(); }};
    }
};

}  // namespace

Answer Retriever::ask(const Question& question, const AskEvents& events) const
{
    if (question.text.size() > kQuestionBytesMax)
        throw RetrieverError(RetrieverError::Kind::bad_request, "question too long");
    const Clock clock;
    Answer answer;
    answer.index_generation = state_->index.generation();
    const auto finish = [&](Outcome outcome) {
        answer.outcome = outcome;
        answer.text = text_of(answer);
        answer.timings.total_ms = clock.ms();
        return std::move(answer);
    };

    const Query query = analyze_question(question.text, question.scope.day);
    if (query.is_small_talk) return finish(Outcome::out_of_scope);
    Scope scope = question.scope;
    if (query.as_of) scope.day = *query.as_of;

    std::vector<Fused> ranked = state_->rank(query, Leg::hybrid, scope);
    float cosine = 0;
    for (const Fused& fused : ranked) cosine = std::max(cosine, fused.cosine);
    ranked = without_duplicates(std::move(ranked), state_->options.evidence_max * 3);
    answer.evidence = state_->evidence_for(ranked, state_->options.evidence_max, kPerDocument);
    answer.timings.search_ms = clock.ms();

    // The answer's own copy of the evidence gets its marks; attribution reads another.
    const std::vector<Evidence> evidence = answer.evidence;
    const Attribution attribution(
        evidence, query, [&](std::span<const Term> terms) { return state_->index.idf(terms, scope); });
    Signs signs{.cover = attribution.cover(), .cosine = cosine, .logit = std::nullopt};
    if (evidence.empty() || judge(signs) == Sufficiency::nothing) {
        answer.evidence.clear();
        return finish(Outcome::not_found);
    }
    if (events.on_evidence) events.on_evidence(answer.evidence);
    if (is_cancelled(events)) return finish(Outcome::cancelled);
    if (state_->llm == nullptr) return finish(Outcome::search_only);
    Engine& llm = *state_->llm;

    const std::vector<Evidence> shown = within_budget(llm, evidence, state_->options.evidence_tokens);
    if (shown.empty()) return finish(Outcome::search_only);
    const Asking asking{llm, question, query, attribution, events, clock, answer};
    try {
        const std::vector<Asking::Promise> promises = asking.by_promise(shown);
        if (is_cancelled(events)) return finish(Outcome::cancelled);
        const Asking::Promise& best = promises.front();
        signs.logit = best.logit;
        const Sufficiency sufficiency = judge(signs);
        if (sufficiency == Sufficiency::nothing || sufficiency == Sufficiency::related)
            return finish(Outcome::not_enough);
        Outcome outcome = Outcome::not_enough;
        for (std::size_t i = 0; i < std::min(kAttempts, promises.size()); ++i) {
            const Asking::Promise& next = promises[i];
            if (outcome != Outcome::not_enough || next.value() < best.value() - kNearlyAsPromising) break;
            outcome = asking.write(shown[next.shown], state_->options.answer_tokens);
        }
        // The model found no words that hold, but the passage is plainly there and tells what was asked for:
        // let it speak for itself.
        if (outcome == Outcome::not_enough && sufficiency == Sufficiency::clearly_enough)
            if (const auto window = attribution.best_for_question(shown[best.shown].n - 1))
                outcome = asking.quote(*window);
        return finish(outcome);
    } catch (const EngineError& error) {
        if (error.kind != EngineError::Kind::too_large || !answer.sentences.empty()) throw;
        return finish(Outcome::search_only);
    }
}

std::vector<std::string> Retriever::replay(const Generation& generation) const
{
    std::vector<std::string> differences;
    if (generation.remote)
        return {"a server wrote this answer (model " + generation.remote->model + " at " +
                generation.remote->server + "); what a server writes cannot be repeated exactly"};
    if (state_->llm == nullptr) return {"no model is open"};
    Engine& llm = *state_->llm;
    if (generation.model_sha256 != crypto::hex(llm.info().sha256))
        differences.push_back("another model file");
    if (generation.adapters != adapters_of(llm.info())) differences.push_back("other adapters of the model");
    if (const std::string now(kv_type_name(llm.info().kv)); generation.kv != now)
        differences.push_back("keys and values in " + generation.kv + " then, in " + now + " now");
    if (generation.template_sha256 != llm.info().template_sha256)
        differences.push_back("another chat template");
    if (!llm.info().replayable) differences.push_back("this engine does not repeat itself exactly");
    if (!differences.empty()) return differences;

    GenerateRequest request;
    request.prompt = generation.prompt;
    request.max_tokens = generation.max_tokens;
    request.sampling = generation.sampling;
    request.grammar = generation.grammar;
    request.quoting = generation.quoting;
    std::size_t next = 0;
    GenerateEvents events;
    events.on_slot = [&](std::string_view, std::string_view) {
        if (next < generation.fills.size()) return generation.fills[next++];
        differences.push_back("more slots than were recorded");
        return GenerateEvents::SlotFill{"", true};
    };
    const Generated again = llm.generate(request, events);
    if (next != generation.fills.size()) differences.push_back("fewer slots than were recorded");
    if (again.tokens != generation.tokens) differences.push_back("other tokens");
    if (crypto::hex(again.logits_hash) != generation.logits_hash) differences.push_back("other logits");
    return differences;
}

}  // namespace jiphyeon
