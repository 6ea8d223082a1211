// From a question to evidence, and from evidence to checked, cited sentences. Knows no accounts, no HTTP, no
// record: it is told a Scope and hands out sentences one by one.
//
// The model writes one sentence and stops at a citation slot; code attributes it to the evidence that
// supports it best and checks the support (numbers, dates, amounts, names, article numbers, quoted spans
// occur there). Only a checked sentence leaves through on_sentence; an unsupported one is dropped. Whether
// there is enough to answer is decided from the evidence before generation, and from support after it.
//
// Example:
//     Retriever retriever(*index, llm.get(), embedder.get(), {});
//     const Answer answer = retriever.ask({.text = "연가는 며칠입니까?", .scope = scope}, {});
//
// Threads: any number may call at once. Same index generation, model and question: same answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/index.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

class RetrieverError : public std::runtime_error {
public:
    enum class Kind { bad_request, failed };
    RetrieverError(Kind k, const std::string& detail) : std::runtime_error(detail), kind(k) {}
    Kind kind;
};

enum class Outcome : std::uint8_t {
    answered,
    partly_supported,  // something had to be dropped or marked
    conflicting,       // evidence in force contradicts itself; both sides are shown
    not_found,         // nothing in scope speaks of it
    not_enough,        // related evidence, but it does not answer
    out_of_scope,      // no question for documents (greeting, arithmetic, request to act)
    refused,           // never says whether something hidden exists
    search_only,       // no model or no room: evidence without an answer
    busy,
    cancelled,
    failed,
};
std::string_view outcome_name(Outcome outcome);
// What the reader is told, and what she can do next, in Korean. Empty for `answered`.
std::string_view outcome_text(Outcome outcome);

enum class Support : std::uint8_t { supported, partial, unsupported };
std::string_view support_name(Support support);

struct Evidence {
    unsigned n = 0;  // 1-based: the number in brackets
    Chunk chunk;
    std::string source_id;
    std::string title;
    std::uint32_t version = 1;
    DocumentState state = DocumentState::current;
    std::optional<Day> effective_from, effective_to;
    float score = 0;  // fused, 0..1
    bool cited = false;
};

struct Sentence {
    std::string text;  // without the brackets
    std::vector<unsigned> citations;
    Support support = Support::supported;
    // What of the sentence was found where in the cited chunk's text, [start, end) in bytes: for
    // highlighting.
    struct Span {
        unsigned n = 0;
        std::size_t start = 0, end = 0;
    };
    std::vector<Span> spans;
    std::string doubt;  // partial: what could not be found, in Korean
};

enum class Leg : std::uint8_t { lexical, dense, hybrid };

struct Question {
    std::string text;  // personal data already masked
    Scope scope;
    std::string cache_domain;  // see GenerateRequest
};

struct AskEvents {
    // Before generation starts: what it will be based on.
    std::function<void(std::span<const Evidence>)> on_evidence;
    // A checked sentence, final. Return false to cancel. Throwing cancels and passes through: when the record
    // cannot be made durable, nothing more is said.
    std::function<bool(const Sentence&)> on_sentence;
    const std::atomic<bool>* cancel = nullptr;
};

// Everything that an exact repetition of the generation needs, where one can be had.
struct Generation {
    std::string model_sha256, template_sha256;  // hex
    std::vector<std::string> adapters;          // of the model, in order: SHA-256 in hex, a space, the scale
    std::string kv;                             // how it held keys and values: "f16", "q8"
    std::vector<TokenId> prompt;
    std::string grammar;
    Quoting quoting;
    std::size_t max_tokens = 0;
    Sampling sampling;
    std::vector<GenerateEvents::SlotFill> fills;  // what the slots were given, in order
    std::vector<TokenId> tokens;
    std::string logits_hash;  // hex
    // Where a server on the network wrote: kv, tokens and logits_hash are then empty, model_sha256 is of the
    // file that lent vocabulary and template, and nothing can be repeated exactly.
    struct Remote {
        std::string server;     // its address
        std::string model;      // as it was asked for
        std::string served_as;  // as the server named it
        std::string text;       // what was written, the fills included
    };
    std::optional<Remote> remote;
};

struct Timings {
    double search_ms = 0, prompt_ms = 0, first_sentence_ms = 0, total_ms = 0;
};

struct Answer {
    Outcome outcome = Outcome::failed;
    std::string text;  // the sentences with their brackets, or outcome_text
    std::vector<Sentence> sentences;
    std::vector<Evidence> evidence;
    std::optional<Generation> generation;  // where the model spoke
    std::uint64_t index_generation = 0;
    Timings timings;
    std::size_t prompt_tokens = 0, cached_tokens = 0;
};

struct RetrieverOptions {
    std::size_t depth = 100;    // hits per leg
    float dense_weight = 0.5f;  // of the fused score, where both legs speak
    std::size_t evidence_max = 6;
    std::size_t evidence_tokens = 1200;  // that the model reads; half a minute of two cores at most
    std::size_t answer_tokens = 200;
};

class Retriever {
public:
    // llm, embedder: may be null (search_only; lexical leg alone); must outlive this.
    Retriever(const Index& index, Engine* llm, Engine* embedder, RetrieverOptions options);
    ~Retriever();

    std::vector<Evidence> search(std::string_view text, Leg leg, std::size_t k, const Scope& scope) const;
    // Throws RetrieverError, IndexError, and EngineError `lost`; other outcomes are values.
    Answer ask(const Question& question, const AskEvents& events) const;
    // Runs the forward pass again; the differences found, empty when byte-equal.
    std::vector<std::string> replay(const Generation& generation) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace jiphyeon
