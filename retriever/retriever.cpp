// The order of a question: read it, search within the scope, put the legs together, judge whether that is
// enough, let the model write, attribute and check each sentence, tell the outcome.
#include "jiphyeon/retriever.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "attribution.hpp"
#include "fusion.hpp"
#include "prompt.hpp"
#include "query.hpp"
#include "sufficiency.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kPerDocument = 3;  // chunks of one document among the evidence
constexpr std::size_t kQuestionBytesMax = 4000;
constexpr float kOffTheQuestion = 0.25f;  // share of the question's words about a sentence's source

class Clock {
public:
    double ms() const
    {
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string hex(std::span<const std::uint8_t> bytes)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (const std::uint8_t b : bytes) {
        out += digits[b >> 4];
        out += digits[b & 15];
    }
    return out;
}

std::string one_line(std::string_view text)
{
    std::string out(text);
    std::replace(out.begin(), out.end(), '\n', ' ');
    return out;
}

std::string trimmed(std::string_view text)
{
    const std::size_t start = text.find_first_not_of(" \n\t");
    if (start == std::string_view::npos) return {};
    return std::string(text.substr(start, text.find_last_not_of(" \n\t") - start + 1));
}

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

// One answer in the making: what the slots of the grammar are filled with, and what was let out.
class Writing {
public:
    Writing(Answer& answer, const Attribution& attribution, const Wanted& wanted, const AskEvents& events,
            const Clock& clock)
        : answer_(answer), attribution_(attribution), wanted_(wanted), events_(events), clock_(clock)
    {
    }

    GenerateEvents::SlotFill at_slot(std::string_view since)
    {
        const std::string text = trimmed(since);
        if (text.empty() || said_before(text)) return {"", true};
        if (text == kNoAnswer) return {"", true};
        const std::optional<Attribution::Source> source = attribution_.source_of(text);
        const bool answers = !answer_.sentences.empty() || tells(text, wanted_);
        if (!answers || !source || source->check.support == Support::unsupported ||
            attribution_.cover_of(source->window) < kOffTheQuestion) {
            // What follows would go on from words that do not hold.
            ++dropped_;
            return {"", true};
        }
        Sentence sentence;
        sentence.text = text;
        sentence.support = source->check.support;
        sentence.doubt = source->check.doubt;
        cite(sentence, source->window);
        const std::string fill = " [" + std::to_string(sentence.citations.front()) + "]";
        if (!release(std::move(sentence))) return {fill, true};
        if (source->check.support == Support::supported && !conflicting_) {
            if (const auto other = attribution_.contradiction(text, source->window)) {
                conflicting_ = true;
                quote(*other);
                return {fill, true};
            }
        }
        return {fill, cancelled_};
    }

    // A passage in its own words.
    void quote(const Attribution::Window& window)
    {
        Sentence sentence;
        sentence.text = one_line(attribution_.text_of(window));
        cite(sentence, window);
        release(std::move(sentence));
    }

    Outcome outcome() const
    {
        if (cancelled_) return Outcome::cancelled;
        if (answer_.sentences.empty()) return Outcome::not_enough;
        if (conflicting_) return Outcome::conflicting;
        const bool partly =
            dropped_ > 0 || std::any_of(answer_.sentences.begin(), answer_.sentences.end(),
                                        [](const Sentence& s) { return s.support != Support::supported; });
        return partly ? Outcome::partly_supported : Outcome::answered;
    }

private:
    bool said_before(const std::string& text) const
    {
        return std::any_of(answer_.sentences.begin(), answer_.sentences.end(),
                           [&](const Sentence& s) { return s.text == text; });
    }

    void cite(Sentence& sentence, const Attribution::Window& window)
    {
        Evidence& e = answer_.evidence[window.evidence];
        e.cited = true;
        sentence.citations = {e.n};
        sentence.spans = {{e.n, window.start, window.end}};
    }

    bool release(Sentence sentence)
    {
        if (answer_.sentences.empty()) answer_.timings.first_sentence_ms = clock_.ms();
        answer_.sentences.push_back(std::move(sentence));
        if (events_.on_sentence && !events_.on_sentence(answer_.sentences.back())) cancelled_ = true;
        return !cancelled_;
    }

    Answer& answer_;
    const Attribution& attribution_;
    const Wanted& wanted_;
    const AskEvents& events_;
    const Clock& clock_;
    std::size_t dropped_ = 0;
    bool conflicting_ = false, cancelled_ = false;
};

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

// 예 minus 아니오 behind the question whether the documents hold the answer.
std::optional<float> yes_minus_no(Engine& llm, std::span<const Evidence> shown, std::string_view question,
                                  const std::string& domain)
{
    const std::vector<TokenId> yes = llm.tokenizer().encode("예"), no = llm.tokenizer().encode("아니오");
    if (yes.empty() || no.empty() || yes.front() == no.front()) return std::nullopt;
    const std::vector<float> logits = llm.next_logits(sufficiency_prompt(llm, shown, question), domain);
    const auto at = [&](TokenId id) { return logits.at(static_cast<std::size_t>(id)); };
    return at(yes.front()) - at(no.front());
}

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
    const auto cancelled = [&] { return events.cancel != nullptr && events.cancel->load(); };

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
    if (cancelled()) return finish(Outcome::cancelled);
    if (state_->llm == nullptr) return finish(Outcome::search_only);
    Engine& llm = *state_->llm;

    const std::vector<Evidence> shown = within_budget(llm, evidence, state_->options.evidence_tokens);
    if (shown.empty()) return finish(Outcome::search_only);
    signs.logit = yes_minus_no(llm, shown, query.text, question.cache_domain);
    const Sufficiency sufficiency = judge(signs);
    if (sufficiency == Sufficiency::nothing || sufficiency == Sufficiency::related)
        return finish(Outcome::not_enough);
    if (cancelled()) return finish(Outcome::cancelled);

    GenerateRequest request;
    request.prompt = answer_prompt(llm, shown, query.text);
    request.max_tokens = state_->options.answer_tokens;
    request.grammar = std::string(kAnswerGrammar);
    request.cache_domain = question.cache_domain;
    request.cancel = events.cancel;

    Generation record;
    Writing writing(answer, attribution, query.wanted, events, clock);
    GenerateEvents generate_events;
    generate_events.on_slot = [&](std::string_view, std::string_view since) {
        record.fills.push_back(writing.at_slot(since));
        return record.fills.back();
    };
    Generated generated;
    try {
        generated = llm.generate(request, generate_events);
    } catch (const EngineError& error) {
        if (error.kind != EngineError::Kind::too_large) throw;
        return finish(Outcome::search_only);
    }

    record.model_sha256 = hex(llm.info().sha256);
    record.template_sha256 = llm.info().template_sha256;
    record.prompt = std::move(request.prompt);
    record.grammar = std::move(request.grammar);
    record.max_tokens = request.max_tokens;
    record.sampling = request.sampling;
    record.tokens = std::move(generated.tokens);
    record.logits_hash = hex(generated.logits_hash);
    answer.generation = std::move(record);
    answer.prompt_tokens = generated.prompt_tokens;
    answer.cached_tokens = generated.cached_tokens;
    answer.timings.prompt_ms = generated.prompt_ms;
    if (generated.finish == Generated::Finish::cancelled || cancelled()) return finish(Outcome::cancelled);

    // The model found no words that hold, or none at all (a small one declines too often), but the passage is
    // plainly there and tells what was asked for: let it speak for itself.
    if (answer.sentences.empty() && sufficiency == Sufficiency::clearly_enough)
        if (const auto window = attribution.best_for_question()) {
            writing.quote(*window);
            const Outcome outcome = writing.outcome();
            return finish(outcome == Outcome::answered ? Outcome::partly_supported : outcome);
        }
    return finish(writing.outcome());
}

std::vector<std::string> Retriever::replay(const Generation& generation) const
{
    std::vector<std::string> differences;
    if (state_->llm == nullptr) return {"no model is open"};
    Engine& llm = *state_->llm;
    if (generation.model_sha256 != hex(llm.info().sha256)) differences.push_back("another model file");
    if (generation.template_sha256 != llm.info().template_sha256)
        differences.push_back("another chat template");
    if (!llm.info().replayable) differences.push_back("this engine does not repeat itself exactly");
    if (!differences.empty()) return differences;

    GenerateRequest request;
    request.prompt = generation.prompt;
    request.max_tokens = generation.max_tokens;
    request.sampling = generation.sampling;
    request.grammar = generation.grammar;
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
    if (hex(again.logits_hash) != generation.logits_hash) differences.push_back("other logits");
    return differences;
}

}  // namespace jiphyeon
