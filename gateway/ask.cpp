// The way of a question: leaf, mask, queue, rights of now, evidence, sentences one by one (each durable in
// the record before it is shown), leaf. Whatever ends the way early also ends the record.
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "jiphyeon/pii.hpp"
#include "operator_log.hpp"
#include "sentence_mask.hpp"
#include "service_state.hpp"

namespace jiphyeon {
namespace {

constexpr auto kPulse = std::chrono::seconds(1);
constexpr std::size_t kObjectsMax = 20;  // document ids in a leaf; the body holds all

// Asks the caller each second whether he is still there: the model can compute for long before a sentence.
class Pulse {
public:
    Pulse(std::function<bool()> still_there, std::atomic<bool>& cancel)
        : thread_([still_there = std::move(still_there), &cancel](const std::stop_token& stop) {
              std::mutex mutex;
              std::condition_variable_any wake;
              std::unique_lock lock(mutex);
              while (!wake.wait_for(lock, stop, kPulse, [&] { return stop.stop_requested(); })) {
                  try {
                      if (still_there()) continue;
                  } catch (const std::exception& error) {
                      log_line("a caller could not be told that his answer is coming", error.what());
                  }
                  cancel = true;
                  return;
              }
          })
    {
    }

private:
    std::jthread thread_;
};

std::string with_brackets(const Sentence& sentence)
{
    std::string text = sentence.text;
    if (!sentence.citations.empty()) text += ' ';
    for (const unsigned n : sentence.citations) text += "[" + std::to_string(n) + "]";
    return text;
}

std::string cache_domain(const Scope& scope)
{
    std::string labels;
    for (const std::string& label : scope.labels) labels += label + "\n";
    return hex_text(crypto::sha256(labels));
}

class Asking {
public:
    Asking(const Call& call, RecordId record, std::string question)
        : call_(call), state_(call.state), record_(record), question_(std::move(question))
    {
    }

    Json run()
    {
        std::optional<Admission::Slot> slot;
        const auto wait = [this](std::size_t place) { return say({{"event", "queued"}, {"place", place}}); };
        switch (state_.admission.enter(wait, slot)) {
            case Admission::Entry::full:
                return close_without_answer(Outcome::busy);
            case Admission::Entry::left:
                return close_without_answer(Outcome::cancelled);
            case Admission::Entry::entered:
                break;
        }
        // The wait can be long: rights count as they are now.
        const Caller now = state_.present(call_.caller, "ask");
        scope_ = state_.scope_of(now.reader, call_.fields.maybe_day("as_of"));

        Answer answer;
        {
            std::optional<Pulse> pulse;
            if (call_.on_event) pulse.emplace([this] { return say({{"event", "alive"}}); }, cancel_);
            answer = state_.parts.retriever.ask(
                {.text = question_, .scope = scope_, .cache_domain = cache_domain(scope_)},
                {.on_evidence = [this](std::span<const Evidence> evidence) { show_evidence(evidence); },
                 .on_sentence = [this](const Sentence& sentence) { return take(mask_.push(sentence)); },
                 .cancel = &cancel_});
            take(mask_.flush());
        }
        return close(answer);
    }

    Json close_without_answer(Outcome outcome)
    {
        Answer answer;
        answer.outcome = outcome;
        return close(answer);
    }

private:
    bool say(const Json& event)
    {
        const std::lock_guard one_event_at_a_time(saying_);
        return tell(call_.on_event, event);
    }

    void show_evidence(std::span<const Evidence> evidence)
    {
        Json kept = Json::array(), shown = Json::array();
        for (const Evidence& item : evidence) {
            kept.push_back({{"n", item.n}, {"chunk", item.chunk.id()}});
            shown.push_back(to_json(masked_evidence(item)));
        }
        state_.append(record_, {{"evidence", kept}});
        if (!say({{"event", "evidence"}, {"evidence", shown}})) cancel_ = true;
    }

    bool take(const std::vector<Sentence>& sentences)
    {
        for (const Sentence& sentence : sentences) {
            const Json shown = to_json(sentence);
            state_.append(record_, {{"sentence", shown}});  // durable from here on
            released_.push_back(sentence);
            if (!say({{"event", "sentence"}, {"n", released_.size()}, {"sentence", shown}})) cancel_ = true;
        }
        return !cancel_;
    }

    std::string answer_text(const Answer& answer) const
    {
        if (released_.empty())
            return answer.sentences.empty() && !answer.text.empty()
                       ? mask(answer.text).text
                       : std::string(outcome_text(answer.outcome));
        std::string text;
        for (const Sentence& sentence : released_)
            text += (text.empty() ? "" : " ") + with_brackets(sentence);
        return text;
    }

    // The least label that covers what the answer rests on.
    std::string label_of(const std::vector<Evidence>& evidence) const
    {
        const bool any_cited =
            std::any_of(evidence.begin(), evidence.end(), [](const Evidence& e) { return e.cited; });
        Label label;
        for (const Evidence& item : evidence)
            if (item.cited || !any_cited) label = join(label, Label::parse(item.chunk.label));
        return label.to_text();
    }

    Json close(const Answer& answer)
    {
        Json sentences = Json::array(), evidence = Json::array(), kept = Json::array();
        std::vector<std::string> objects;
        for (const Sentence& sentence : released_) sentences.push_back(to_json(sentence));
        for (const Evidence& item : answer.evidence) {
            evidence.push_back(to_json(masked_evidence(item)));
            kept.push_back({{"n", item.n},
                            {"chunk", item.chunk.id()},
                            {"document_id", item.chunk.document_id},
                            {"sha256", hex_text(crypto::sha256(item.chunk.text))},
                            {"cited", item.cited}});
            if (objects.size() < kObjectsMax &&
                std::find(objects.begin(), objects.end(), item.chunk.document_id) == objects.end())
                objects.push_back(item.chunk.document_id);
        }
        const std::string text = answer_text(answer);
        const std::string_view outcome = outcome_name(answer.outcome);
        const Json body{{"outcome", outcome},
                        {"answer", text},
                        {"sentences", sentences},
                        {"evidence", kept},
                        {"labels", scope_.labels},
                        {"day", day_to_text(scope_.day)},
                        {"index_generation", answer.index_generation},
                        {"generation", answer.generation ? to_json(*answer.generation) : Json()}};
        LeafFacts facts = state_.facts(call_.caller, "answered", outcome, std::move(objects));
        // A server's model is known by name alone, which the body holds.
        if (answer.generation && !answer.generation->remote)
            facts.model_sha256 = answer.generation->model_sha256;
        const Receipt receipt = state_.finish(record_, std::move(facts), body);

        const ScopeStatistics statistics = state_.parts.index.statistics(scope_);
        const double embedded = statistics.chunks == 0 ? 1
                                                       : static_cast<double>(statistics.embedded) /
                                                             static_cast<double>(statistics.chunks);
        return {{"outcome", outcome},
                {"answer", text},
                {"message", outcome_text(answer.outcome)},
                {"sentences", sentences},
                {"evidence", evidence},
                {"receipt", to_json(receipt)},
                {"record", record_},
                {"timings_ms", to_json(answer.timings)},
                {"prompt_tokens", answer.prompt_tokens},
                {"cached_tokens", answer.cached_tokens},
                {"replayable", !answer.generation || !answer.generation->remote},
                {"label", label_of(answer.evidence)},
                {"embedded", embedded}};
    }

    const Call& call_;
    ServiceState& state_;
    RecordId record_;
    std::string question_;
    Scope scope_;
    SentenceMask mask_;
    std::vector<Sentence> released_;
    std::atomic<bool> cancel_ = false;
    std::mutex saying_;
};

}  // namespace

Evidence masked_evidence(Evidence evidence)
{
    evidence.chunk.text = mask(evidence.chunk.text).text;
    evidence.chunk.header = mask(evidence.chunk.header).text;
    evidence.title = mask(evidence.title).text;
    return evidence;
}

std::string checked_question(const Call& call, const char* field)
{
    std::string text = call.fields.text(field);
    const std::size_t count = characters(text);
    if (text.find_first_not_of(" \t\r\n") == std::string::npos)
        throw GatewayError(GatewayError::Kind::bad_request, "질문이 비어 있습니다.");
    if (count > call.state.parts.limits.question_characters)
        throw GatewayError(
            GatewayError::Kind::bad_request,
            "질문은 " + std::to_string(call.state.parts.limits.question_characters) + "자까지입니다.");
    const auto control = [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7F;
    };
    if (std::any_of(text.begin(), text.end(), control))
        throw GatewayError(GatewayError::Kind::bad_request, "질문에 제어 문자가 있습니다.");
    return text;
}

Json call_ask(const Call& call)
{
    const std::string question = checked_question(call, "question");
    const std::optional<Day> as_of = call.fields.maybe_day("as_of");
    const std::optional<SecretMark> secret = find_secret_mark(question);
    // Of a question that bears a secret's mark not even the record may hold the text.
    const std::string masked =
        secret ? "[비밀 표시(" + secret->what + ")가 있어 적지 않음]" : mask(question).text;
    const RecordId record = call.state.begin(
        call.caller, "asked", {{"question", masked}, {"as_of", as_of ? Json(day_to_text(*as_of)) : Json()}});
    Asking asking(call, record, masked);
    try {
        remember_question(call.state, call.caller, record);
        return secret ? asking.close_without_answer(Outcome::refused) : asking.run();
    } catch (const AuditError&) {
        throw;  // the record cannot be closed either; the next start does it
    } catch (const std::exception&) {
        call.state.finish(record, call.state.facts(call.caller, "answered", outcome_name(Outcome::failed)),
                          {{"outcome", outcome_name(Outcome::failed)}});
        throw;
    }
}

}  // namespace jiphyeon
