// The store: documents and their versions, chunks, postings, vectors, labels as stored facts, sealed
// originals; and search within a Scope. RocksDB holds all truth; everything else is rebuilt from it. Knows
// neither callers nor ranking above one leg. On disk: index/FORMAT.md.
//
// Access is inside the search: a chunk outside the Scope is never scored, counted, or part of a statistic
// (postings are kept per label; document frequencies and lengths are counted over the Scope's chunks alone).
//
// Example:
//     auto index = Index::open(dir, {.master_key = &key});
//     index->put({.document = record, .chunks = chunks, .view = view, .original = bytes});
//     const Scope scope{.labels = {"public"}, .day = today};
//     for (const Hit& hit : index->search_lexical(analyze("연가 일수"), 10, scope)) …
//
// Threads: any number may read; writes are serialised inside. Readers see one generation during a call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/crypto.hpp"

namespace jiphyeon {

class IndexError : public std::runtime_error {
public:
    enum class Kind { io, corrupt, wrong_version, locked, bad_request, not_found };
    IndexError(Kind k, const std::string& detail) : std::runtime_error(detail), kind(k) {}
    Kind kind;
};

using Day = std::int32_t;                                // civil days since 1970-01-01
std::optional<Day> day_from_text(std::string_view iso);  // "2026-11-22"; nullopt for anything that is no date
std::string day_to_text(Day day);

// ---- Text, the same for documents and questions -----------------------------------------------------------

// NFC, width and middle-dot and quote variants folded, lower case. For matching, never for display.
std::string normalize(std::string_view text);

enum class Field : std::uint8_t {
    stem,    // a run of Hangul without its particle; a Latin or digit run
    bigram,  // pairs of adjacent syllables of the stem
    exact,   // "제12조의2", "제2023-123호", "2026-05-19": identifiers as one term
};
struct Term {
    Field field = Field::stem;
    std::string text;
    float weight = 1;
    auto operator<=>(const Term&) const = default;
};
// Terms of a text in order of occurrence, with repetitions. Linear in its length. A word that names nothing
// (관하여, 무엇) has a low weight, which counts where the text is a question.
std::vector<Term> analyze(std::string_view text);

// ---- What is stored ---------------------------------------------------------------------------------------

struct Box {  // thousandths of the page's width and height from its top left corner
    std::uint32_t page = 0;
    std::uint16_t left = 0, top = 0, right = 0, bottom = 0;
};

struct Place {
    std::uint32_t page = 0;      // 1-based; 0 where the format has no pages
    std::uint32_t page_end = 0;  // last page, inclusive
    bool page_exact = false;     // false: counted from a layout cache or estimated
    std::string section;         // "제7조제2항", "Ⅱ. 추진계획 > 2. 교육", "시트 예산 A3:F9"
    std::vector<Box> boxes;      // empty where the format has none
};

enum class ChunkKind : std::uint8_t { body, table, note, addendum };  // addendum: 부칙, ranked down

struct Chunk {
    std::string document_id;    // of one version of one document
    std::uint32_t ordinal = 0;  // position within it, from 0
    ChunkKind kind = ChunkKind::body;
    std::string header;  // breadcrumb, "휴가 운영 규정 > 제7조(연가)"; searched and embedded with text
    std::string text;   // UTF-8, NFC, personal data already masked
    std::string label;  // exactly one, canonical (Label::to_text)
    Place place;

    std::string id() const { return document_id + "#" + std::to_string(ordinal); }
};

enum class DocumentState : std::uint8_t { current, superseded, withdrawn };

struct DocumentRecord {
    std::string id;         // of this version: source_id's hash and the content's hash
    std::string source_id;  // path within the archive, or the corpus id
    std::string title;
    std::string format;  // "hwpx", "pdf", …
    std::uint32_t version = 1;
    std::string content_sha256;  // hex, of the file
    std::string label;
    std::string document_number;        // "정보기획담당관-5440", "제2026-12호"
    std::optional<Day> effective_from;  // in force from this day
    std::optional<Day> effective_to;    // last day in force
    std::string supersedes;             // document id of the version before, or empty
    std::string superseded_by;
    DocumentState state = DocumentState::current;
    std::uint32_t pages = 0;
    std::uint32_t chunks = 0;
    std::uint32_t masked = 0;  // identifiers hidden
    std::int64_t stored_us = 0;
};

struct DocumentWrite {
    DocumentRecord document;
    std::vector<Chunk> chunks;
    std::string view;      // masked content for the reader's page (ingest's Document::to_json); opaque here
    std::string original;  // the file; sealed under a key of its own before it touches the disk
    // Rows of other owners (the ingest journal) that become true in the same commit: space, key, value.
    struct Row {
        std::string space, key, value;
    };
    std::vector<Row> rows;
};

// What a reader may see, and when. No labels: nothing.
struct Scope {
    std::vector<std::string> labels;
    Day day = 0;                // versions in force on this day; where nothing is in force, none
    bool all_versions = false;  // superseded and not yet valid ones as well, never withdrawn ones
};

struct Hit {
    Chunk chunk;
    float score = 0;  // larger is better; lexical: BM25; dense: inner product
};

struct LexicalOptions {
    float k1 = 0.9f, b = 0.4f;  // colloquial questions like 1.2 and 0.75 a little better, statutes far less
    float stem_weight = 1.0f, bigram_weight = 1.0f, exact_weight = 2.0f;
};

struct ScopeStatistics {
    std::uint64_t chunks = 0;
    std::uint64_t documents = 0;
    std::uint64_t embedded = 0;  // chunks that have a vector
};

struct IndexOptions {
    const SecretKey* master_key = nullptr;  // wraps the originals' keys; must outlive the index
    // From how many vectors on a graph is searched instead of every row.
    std::size_t graph_from = 50'000;
    std::size_t block_cache_bytes = 256u << 20;
    bool read_only = false;
};

class Index {
public:
    // Throws IndexError: io, corrupt, wrong_version, locked (another process owns it).
    static std::unique_ptr<Index> open(const std::filesystem::path& dir, const IndexOptions& options);
    virtual ~Index() = default;

    // ---- Writing. Each call is one atomic, durable commit, or throws and changed nothing.
    // Stores a version. The same id again replaces it with the same result. When `supersedes` is set, that
    // version becomes superseded (and gets an end of force where it has none).
    virtual void put(const DocumentWrite& write) = 0;
    virtual void withdraw(std::string_view document_id) = 0;  // kept, never found
    // Text, postings, vectors, original's key. Throws io after the commit where files could not be rewritten.
    virtual void remove(std::string_view document_id) = 0;
    virtual void set_label(std::string_view document_id, std::string_view label) = 0;
    // ids.size() x dim floats, row-major, L2-normalised. `model`: fingerprint; vectors of another model are
    // dropped by the first put of a new one. Chunks that have gone meanwhile are passed over.
    virtual void put_vectors(std::span<const std::string> chunk_ids, std::span<const float> vectors,
                             std::string_view model) = 0;

    // ---- Searching.
    virtual std::vector<Hit> search_lexical(std::span<const Term> query, std::size_t k, const Scope& scope,
                                            const LexicalOptions& options = {}) const = 0;
    // query: dim floats. Empty while nothing is embedded.
    virtual std::vector<Hit> search_dense(std::span<const float> query, std::size_t k,
                                          const Scope& scope) const = 0;
    // Inverse document frequency of each term within the scope: ln(1 + (N - df + 0.5) / (df + 0.5)).
    virtual std::vector<float> idf(std::span<const Term> terms, const Scope& scope) const = 0;
    virtual ScopeStatistics statistics(const Scope& scope) const = 0;

    // ---- Reading. nullopt also where the scope does not cover it.
    virtual std::optional<Chunk> chunk(std::string_view chunk_id, const Scope& scope) const = 0;
    // Chunks of a document in order, e.g. the neighbours of a hit.
    virtual std::vector<Chunk> chunks_of(std::string_view document_id, const Scope& scope) const = 0;
    virtual std::optional<DocumentRecord> document(std::string_view document_id) const = 0;
    virtual std::optional<std::string> view(std::string_view document_id) const = 0;
    virtual std::optional<std::string> original(std::string_view document_id) const = 0;  // throws corrupt
    virtual std::vector<DocumentRecord> documents() const = 0;
    virtual std::vector<DocumentRecord> versions(std::string_view source_id) const = 0;  // oldest first
    virtual std::vector<std::string> labels_in_use() const = 0;
    // Chunks without a vector of this model, in order of storing.
    virtual std::vector<Chunk> not_embedded(std::string_view model, std::size_t limit) const = 0;
    virtual std::uint64_t generation() const = 0;  // grows with each commit

    // ---- Rows of other owners, in the same store.
    virtual std::optional<std::string> row(std::string_view space, std::string_view key) const = 0;
    virtual std::vector<std::pair<std::string, std::string>> rows(
        std::string_view space) const = 0;  // by key
    virtual void put_rows(std::span<const DocumentWrite::Row> rows) = 0;
    virtual void remove_row(std::string_view space, std::string_view key) = 0;

    // ---- Upkeep.
    virtual void backup(const std::filesystem::path& to) const = 0;  // consistent copy; `to` must not exist
    // Every stored byte is read and every derived structure compared with the truth; what does not hold.
    virtual std::vector<std::string> check() const = 0;
};

}  // namespace jiphyeon
