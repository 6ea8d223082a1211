// The language-model engine: GGUF model files, tokenizers, generation and embeddings on the CPU.
//
// An `Engine` answers `generate` and `embed`. Three things implement it with one contract: the engine in
// this process (`open_engine`), the same engine in a caged child process (`spawn_engine`), and a server on
// the agency's own network (`connect_engine`). What is above never asks which.
//
// Bit-exactness: for the in-process and the caged engine, a request's tokens, logits and embeddings are
// the same bytes whatever the number of threads, the instruction set, the way the prompt was split, and
// whatever other requests run beside it. Products of integers are summed exactly in int32; float sums
// have one fixed order that every kernel keeps (llm_engine/kernels.hpp). A remote engine promises nothing
// of the sort, says so in `ModelInfo::replayable`, and throws unsupported where a server cannot do what is
// asked.
//
// Example:
//     const auto engine = open_engine("model.gguf", {.threads = 2});
//     GenerateRequest request;
//     request.prompt = engine->tokenizer().encode("대한민국의 수도는");
//     request.max_tokens = 16;
//     const Generated out = engine->generate(request, {});
//
// Threads: an Engine may be used by any number of threads at once. Tokenizer is immutable.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

class EngineError : public std::runtime_error {
public:
    enum class Kind {
        io,             // the file cannot be read or written
        hash_mismatch,  // the file is not the one that was approved; nothing of it was parsed
        malformed,      // a count, offset, type or product in the file, or a server's answer, cannot be right
        unsupported,    // a sound file of a family, tensor type or tokenizer, or a server's skill, that we do
                        // not have
        too_large,      // does not fit the memory or the context; detail states need and limit
        bad_request,    // the caller's request cannot be met (empty prompt, bad grammar, …)
        lost,           // the engine process died or the server went away; the request may be repeated
    };
    EngineError(Kind k, const std::string& detail) : std::runtime_error(detail), kind(k) {}
    Kind kind;
};

using TokenId = std::int32_t;

// Text to token ids and back, exactly as the model's own vocabulary does it.
class Tokenizer {
public:
    virtual ~Tokenizer() = default;
    // Ids of `text`. Text is only ever text: "<|im_start|>" in it becomes ordinary pieces, never the control
    // token. Invalid UTF-8 is tokenized byte by byte where the vocabulary has byte pieces, else as unknown.
    // add_special: also what the model wants around a whole input (bos, eos, cls, sep).
    virtual std::vector<TokenId> encode(std::string_view text, bool add_special = false) const = 0;
    // Bytes of one token; empty for control tokens. Pieces may be parts of a UTF-8 sequence.
    virtual std::string piece(TokenId id) const = 0;
    // The control token with exactly this name, e.g. "<|im_end|>". The only way to get one.
    virtual std::optional<TokenId> control(std::string_view name) const = 0;
    virtual bool ends_generation(TokenId id) const = 0;
    virtual std::size_t size() const = 0;

    std::string decode(std::span<const TokenId> ids) const;
};

struct ChatTurn {
    std::string role;  // "system", "user", "assistant"
    std::string text;  // is tokenized as text, so it cannot close its own turn
};

// Bytes that a model takes at most: every request it answers at once may be as long as the context.
struct MemoryNeed {
    std::uint64_t weights = 0;  // as held, with the vocabulary
    std::uint64_t caches = 0;   // keys and values, of running requests and kept between them
    std::uint64_t work = 0;     // tables of positions, buffers of a step, logits
    std::uint64_t total() const { return weights + caches + work; }
};

// A low-rank adapter (LoRA) of a model, from a GGUF file of llama.cpp's converter.
struct AdapterFile {
    std::filesystem::path file;
    std::optional<std::array<std::uint8_t, 32>> sha256 = std::nullopt;  // as EngineOptions::sha256
    float scale = 1;  // how much of it is added, times the file's own alpha / rank
};
struct AdapterInfo {
    std::string name;  // general.name, or the file's name
    std::array<std::uint8_t, 32> sha256{};
    float scale = 1;
};

// How a model holds keys and values: as halves, or as bytes with scales in little more than half of the
// memory. The other type is as another model: its numbers differ, and are the same wherever they are
// computed.
enum class KvType { f16, q8 };
std::string_view kv_type_name(KvType type);
std::optional<KvType> kv_type_from_name(std::string_view name);

struct ModelInfo {
    std::string name;                       // general.name, or the file's name
    std::string architecture;               // "qwen2", "llama", "bert", …
    std::string quantization;               // types by share of bytes, e.g. "Q4_K, Q6_K"
    std::array<std::uint8_t, 32> sha256{};  // of the file or files, as checked before parsing
    std::string template_sha256;            // hex; of the chat template in use
    std::uint64_t file_bytes = 0;
    MemoryNeed memory;               // for `context_tokens`
    std::size_t context_tokens = 0;  // prompt and answer together
    std::size_t embedding_size = 0;  // floats per vector of embed()
    std::size_t vocabulary = 0;
    bool generates = false;   // has a head that predicts tokens
    bool embeds = false;      // has a pooling that makes one vector of a text
    bool reranks = false;     // has a head that scores a passage for a question
    bool replayable = false;  // equal requests give equal bytes
    KvType kv = KvType::f16;
    std::vector<AdapterInfo> adapters = {};
    // Of a remote engine: the address of its server. `name` is then the model's name there, which nothing
    // proves; sha256 and file_bytes are of the file that lends it vocabulary and template.
    std::string server;
};

enum class Isa { best, scalar, avx2, avx512, amx };
std::string_view isa_name(Isa isa);
std::optional<Isa> isa_from_name(std::string_view name);
// What this CPU can run, `scalar` first. A kernel set that is not in the list throws unsupported.
std::vector<Isa> available_isas();

struct EngineOptions {
    unsigned threads = 2;
    Isa isa = Isa::best;
    std::size_t context_tokens = 4096;            // cut to the model's own limit
    KvType kv = KvType::f16;                      // q8: only of a model that generates
    std::size_t prefix_cache_bytes = 512u << 20;  // key/value pages kept after a request, shared by prefix
    // Pages that fall out of the cache, sealed in a file without a name in this folder, whose space is taken
    // when the engine opens and free when its process ends; 0: none. Changes no result.
    std::size_t prefix_disk_bytes = 0;
    std::filesystem::path prefix_disk_folder = {};
    // Tokens of an answer that may be guessed from what its prompt says and checked in one step; 0: none.
    // Changes no result.
    std::size_t guess_tokens = 11;
    std::optional<std::array<std::uint8_t, 32>> sha256 =
        std::nullopt;                        // when given, checked before a byte is parsed
    std::vector<AdapterFile> adapters = {};  // all are added, in this order
};

struct Sampling {
    float temperature = 0;  // 0: the most likely token; ties go to the lower id
    unsigned top_k = 40;
    float top_p = 0.95f;
    std::uint64_t seed = 0;  // the draw at a position depends on (seed, position) alone
};

// What a generation reports while it runs; calls come from the engine's thread, in order.
struct GenerateEvents {
    // A piece of text, complete UTF-8. Return false to cancel.
    std::function<bool(std::string_view text)> on_text;
    // The grammar has come to slot `name`; `since` is the text since the last slot or the start. What is
    // returned is put there as text without asking the model. `stop` ends the generation after it.
    struct SlotFill {
        std::string text;
        bool stop = false;
    };
    std::function<SlotFill(std::string_view name, std::string_view since)> on_slot;
    // Tokens of the prompt that are done, out of its size.
    std::function<void(std::size_t done, std::size_t total)> on_prompt;
};

// Quotations that are the words of given passages by construction: the opening mark can be written only as
// the beginning of one, and in it nothing but a contiguous span of a passage until the closing mark
// (llm_engine/quotable.hpp says what spans there are). In a grammar `<quote>` stands for the opening mark, a
// span and the closing mark; all else in it is without the opening mark. Fills of slots are the caller's and
// are not looked at.
//
// The retriever's answers do not use it. They would with the passage that the model is shown as the only one,
// and `<quote>` as one more way for a sentence to go on (`rest ::= … | <quote>`); such a part of a sentence
// needs no check of its support, and Generated::quotes say what to highlight.
struct Quoting {
    std::vector<std::string> passages;  // UTF-8; none: the marks are characters as others
    std::string open = "“";             // one character each, which may be the same
    std::string close = "”";
    std::size_t characters_min = 2;  // of a quotation, without its marks
    std::size_t characters_max = 300;
};

struct GenerateRequest {
    std::vector<TokenId> prompt;
    std::size_t max_tokens = 256;
    Sampling sampling;
    // GBNF (the notation of llama.cpp's grammars/README.md) over Unicode characters, start symbol `root`,
    // with one more terminal: `<slot:NAME>` matches nothing and calls on_slot. Empty: anything may follow.
    std::string grammar;
    // With passages and no grammar, anything may follow and quotations anywhere in it. A server cannot be
    // told: unsupported.
    Quoting quoting;
    std::vector<std::string> stop;  // a text that ends the generation and is not part of it
    // Requests share key/value pages only within one domain, so that nobody learns from the time an answer
    // takes what somebody with other rights has asked. "" shares with nobody.
    std::string cache_domain;
    const std::atomic<bool>* cancel = nullptr;  // looked at once per step; may be null
};

// A quotation that was closed; both ranges hold the same bytes. An unfinished one at the end of a text, which
// max_tokens or a stop text may leave, is not listed, but verbatim as well.
struct Quote {
    std::size_t start = 0, end = 0;  // bytes of Generated::text, without the marks
    std::size_t passage = 0;         // index; the first of several that hold these words between others
    std::size_t passage_start = 0;   // byte of the passage
    bool operator==(const Quote&) const = default;
};

struct Generated {
    // off_grammar: a server wrote what the grammar does not allow; `text` is what came before it. The engines
    // here never write such a thing.
    enum class Finish { end, stop, length, slot, cancelled, off_grammar };
    std::string text;             // the model's text and the slots' fills
    std::vector<TokenId> tokens;  // none where a server wrote: it tells its text alone
    Finish finish = Finish::end;
    std::vector<Quote> quotes;  // in order
    // SHA-256 over the bytes (f32, little-endian) of the logits of every sampled position, in order; zeros
    // where a server wrote.
    std::array<std::uint8_t, 32> logits_hash{};
    std::string served_as;  // the model's name in a server's own words; empty: none took part
    std::size_t prompt_tokens = 0;
    std::size_t cached_tokens = 0;  // of the prompt, taken from the prefix cache
    std::size_t steps = 0;          // in which the answer was computed
    double prompt_ms = 0;
    double decode_ms = 0;
};

class Engine {
public:
    virtual ~Engine() = default;
    virtual const ModelInfo& info() const = 0;
    virtual const Tokenizer& tokenizer() const = 0;
    // Token ids of a conversation by the model's own template, with the opening of the assistant's turn.
    virtual std::vector<TokenId> chat_prompt(std::span<const ChatTurn> turns) const = 0;
    // Blocks until done. Throws EngineError: bad_request, too_large (prompt + max_tokens > context), lost.
    // An exception of a callback cancels the request and passes through.
    virtual Generated generate(const GenerateRequest& request, const GenerateEvents& events) = 0;
    // Logits of the position after the prompt: vocabulary floats. A server does not tell them: unsupported.
    virtual std::vector<float> next_logits(std::span<const TokenId> prompt,
                                           std::string_view cache_domain) = 0;
    // How likely each of `choices` comes next: their logits, but for one number that is added to all. Nothing
    // for a choice that a server leaves out, as it names the likeliest alone.
    virtual std::vector<std::optional<float>> next_scores(std::span<const TokenId> prompt,
                                                          std::span<const TokenId> choices,
                                                          std::string_view cache_domain);
    // texts.size() x info().embedding_size, row-major, rows L2-normalised. The caller puts the prefixes that
    // the model wants ("query: ", "passage: "). Longer texts are cut at the model's context.
    virtual std::vector<float> embed(std::span<const std::string> texts) = 0;
    // How well each passage answers the query, by a cross-encoder: passages.size() logits, larger is better;
    // their sigmoid is a share of relevance. A passage is cut where it and the query go beyond the model's
    // context, the query at half of that. Throws bad_request where info().reranks is false.
    virtual std::vector<float> rerank(const std::string& query, std::span<const std::string> passages);
};

// Bytes of memory that this process can still get, by the kernel's estimate and by the limits of the control
// groups it is in. Of pages of files that could be dropped, those count as free.
std::uint64_t available_memory();

// Opens a GGUF file in this process. Throws EngineError: io, hash_mismatch, malformed, unsupported,
// too_large (before anything is loaded, where ModelInfo::memory is more than available_memory()).
std::unique_ptr<Engine> open_engine(const std::filesystem::path& model, const EngineOptions& options);

// The same in a caged child (no sockets, no exec, no writing but into the file for pages): `program` is
// started with `arguments` and the socket at kWorkerFd, and must call serve_engine. A child that dies makes
// running requests throw `lost`; the next request starts a new one.
std::unique_ptr<Engine> spawn_engine(const std::filesystem::path& program,
                                     const std::vector<std::string>& arguments,
                                     const std::filesystem::path& model, const EngineOptions& options);
// The child's side: opens the model it is told to, closes the cage, serves until the socket closes.
int serve_engine(int socket_fd);

// What servers take beyond OpenAI's own fields differs, and is a setting rather than a guess.
enum class ServerKind {
    llama_server,      // llama.cpp's: prompts as token ids, `grammar`
    llama_cpp_python,  // llama-cpp-python's: prompts as text, `grammar`
    vllm,              // 0.11 and later: prompts as token ids, `structured_outputs`, `cache_salt`
    openai,            // another: prompts as text, no grammar, so that its words are checked as they come
};
std::string_view server_kind_name(ServerKind kind);  // "llama-server", …
std::optional<ServerKind> server_kind_from_name(std::string_view name);

struct RemoteOptions {
    // Up to the version: "https://llm.agency.go.kr:8000/v1". "http://" is for addresses of this machine
    // alone.
    std::string url;
    ServerKind kind = ServerKind::openai;
    std::string model;                  // its name at the server
    std::filesystem::path authorities;  // PEM: who may have signed the server's certificate; nobody else may
    std::string api_key;                // sent as a bearer token; empty: none
    // A GGUF file of the same model: its vocabulary and chat template are used, tensors need not be in it.
    std::filesystem::path vocabulary;
    std::optional<std::array<std::uint8_t, 32>> vocabulary_sha256 = std::nullopt;
    std::size_t context_tokens = 4096;  // prompt and answer; not more than the server has
    // How many of the likeliest tokens the server may be asked to name, for next_scores; 0: it names none.
    std::size_t likeliest = 20;
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds first_timeout{
        120'000};                                    // until the first word: the prompt is read, others wait
    std::chrono::milliseconds next_timeout{30'000};  // between two words
    // Of a request whose first word has not come; pauses grow from `pause` fourfold.
    unsigned attempts = 3;
    std::chrono::milliseconds pause{250};
};

// The engine of an OpenAI-compatible server, of which /models and /completions are used; embed is
// unsupported. No other address is ever spoken to: no redirect is followed, no proxy asked. Asks once whether
// the server has the model. Throws EngineError: bad_request (options), lost (no server), unsupported (no such
// model there), else as open_tokenizer. The process must ignore SIGPIPE.
//
// A grammar's slots end a request, and the next one goes on from the text with the fill in it. Where the
// server takes no grammar, or does not keep to it, the generation ends with off_grammar before the first
// character that the grammar does not allow.
std::unique_ptr<Engine> connect_engine(const RemoteOptions& options);

// A model may lie in several files, NAME-00001-of-00003.gguf and so on, as llama.cpp's gguf-split makes them.
// The first stands for all: wherever a model file is named, it is the first, and the SHA-256 is that of the
// bytes of all of them in order (`cat NAME-*.gguf | sha256sum`). A file that is missing or is not the one
// that its name says is an error (io, malformed) that names it.

// SHA-256 of a model file without parsing it. Throws EngineError: io, malformed (empty).
std::array<std::uint8_t, 32> hash_model(const std::filesystem::path& model);

// What a file says of itself, read with every bound checked, without loading its tensors.
ModelInfo inspect_model(const std::filesystem::path& model, const EngineOptions& options);

// A model file's vocabulary alone. Throws as open_engine.
std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& model);

// The types that quantize_model writes: "Q4_0", …
std::vector<std::string> quantized_types();

struct QuantizeOptions {
    std::string type;  // one of quantized_types()
    unsigned threads = 2;
    bool replace = false;  // write over a file that is there
    // The tensor at work and how many bytes of the model are done. May throw to stop; nothing is left then.
    std::function<void(std::string_view tensor, std::uint64_t done, std::uint64_t total)> on_progress;
};
struct QuantizeReport {
    std::uint64_t bytes_before = 0;
    std::uint64_t bytes_after = 0;
    std::size_t converted = 0;            // tensors
    std::size_t converted_twice = 0;      // of these, such as were quantised already and lost some more
    std::vector<std::string> other_type;  // of these, in Q8_0 or F16, as their rows are no whole blocks
};
// Writes `model` with its matrices in another type; llm_engine/quantize.hpp says how. Vectors stay or become
// F32; tables of positions and token types and the choice of experts stay as they are, and so does all
// metadata but general.file_type and general.quantization_version. The result depends on file and type alone.
// Throws EngineError: bad_request (type; `out` is there), malformed (also values that do not fit), else as
// open_engine. `out` appears when it is complete.
QuantizeReport quantize_model(const std::filesystem::path& model, const std::filesystem::path& out,
                              const QuantizeOptions& options);

struct PerplexityOptions {
    unsigned threads = 2;
    Isa isa = Isa::best;
    std::size_t context_tokens = 512;  // of one part; cut to the model's own limit
    KvType kv = KvType::f16;
    std::function<void(std::size_t done, std::size_t total)> on_progress;  // parts. May throw to stop
};
struct Perplexity {
    double value = 0;           // e to the mean cost of the scored tokens
    double standard_error = 0;  // of `value`, were the costs independent
    std::size_t tokens = 0;     // of the text
    std::size_t scored = 0;
};
// How little a model expects a text; lower is better, and comparable only between models of one vocabulary.
// Measured as llama.cpp's tool of this name does: the text is cut into parts of context_tokens (what is left
// at its end is not used), each is read from its beginning, and the tokens of its second half are scored,
// each by minus the logarithm of the probability that the model gave it. Where the model wants a token before
// a text, it takes the place of each part's first. Equal on every instruction set and number of threads.
// Throws EngineError: bad_request (fewer tokens than one part), unsupported (also a model that predicts
// nothing), else as open_engine.
Perplexity measure_perplexity(const std::filesystem::path& model, std::string_view text,
                              const PerplexityOptions& options);

}  // namespace jiphyeon
