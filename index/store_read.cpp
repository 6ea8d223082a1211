// The reading half of the store: every function takes its generation once and works on that.

#include <charconv>

#include "bytes.hpp"
#include "originals.hpp"
#include "store.hpp"

namespace jiphyeon {
namespace {

struct ChunkId {
    std::string_view document;
    std::uint32_t ordinal = 0;
};

std::optional<ChunkId> parse_chunk_id(std::string_view id)
{
    const std::size_t mark = id.rfind('#');
    if (mark == std::string_view::npos) return std::nullopt;
    ChunkId parsed{id.substr(0, mark)};
    const char* end = id.data() + id.size();
    const auto [stop, failed] = std::from_chars(id.data() + mark + 1, end, parsed.ordinal);
    if (failed != std::errc() || stop != end) return std::nullopt;
    return parsed;
}

}  // namespace

Store::Reading Store::reading(const Scope& scope) const
{
    const std::shared_lock lock(state_mutex_);
    return {snapshot_, catalog_.visible(scope), vectors_};
}

PostingsSource Store::source(const Reading& reading) const
{
    return {&database_.db(), database_.family(Family::postings), reading.snapshot.get(), &lengths_};
}

std::vector<Hit> Store::fetch(const std::vector<ScoredChunk>& scored, const Reading& reading) const
{
    std::vector<Hit> hits;
    hits.reserve(scored.size());
    for (const ScoredChunk& one : scored) {
        const auto bytes = database_.get(Family::chunks, key32(one.chunk), reading.snapshot.get());
        if (!bytes)
            throw IndexError(IndexError::Kind::corrupt, "chunk " + std::to_string(one.chunk) + " is missing");
        hits.push_back({decode_chunk(*bytes), one.score});
    }
    return hits;
}

std::vector<Hit> Store::search_lexical(std::span<const Term> query, std::size_t k, const Scope& scope,
                                       const LexicalOptions& options) const
{
    const Reading now = reading(scope);
    return fetch(bm25(source(now), query, k, *now.visible, options), now);
}

std::vector<Hit> Store::search_dense(std::span<const float> query, std::size_t k, const Scope& scope) const
{
    const Reading now = reading(scope);
    if (now.vectors == nullptr) return {};
    if (query.size() != now.vectors->dim()) {
        throw IndexError(IndexError::Kind::bad_request, "a query of " + std::to_string(query.size()) +
                                                            " dimensions, not " +
                                                            std::to_string(now.vectors->dim()));
    }
    return fetch(dense_.search(*now.vectors, query, k, *now.visible), now);
}

std::vector<float> Store::idf(std::span<const Term> terms, const Scope& scope) const
{
    const Reading now = reading(scope);
    return term_idf(source(now), terms, *now.visible);
}

ScopeStatistics Store::statistics(const Scope& scope) const
{
    const Reading now = reading(scope);
    return {.chunks = now.visible->chunks,
            .documents = now.visible->documents,
            .embedded = now.vectors == nullptr ? 0 : now.vectors->count_within(now.visible->words)};
}

std::optional<std::uint32_t> Store::chunk_number(std::string_view chunk_id) const
{
    const auto parsed = parse_chunk_id(chunk_id);
    if (!parsed) return std::nullopt;
    const CatalogEntry* entry = catalog_.find(parsed->document);
    if (entry == nullptr || parsed->ordinal >= entry->chunks) return std::nullopt;
    return entry->first_chunk + parsed->ordinal;
}

std::optional<Chunk> Store::chunk(std::string_view chunk_id, const Scope& scope) const
{
    std::uint32_t number = 0;
    std::shared_ptr<const rocksdb::Snapshot> snapshot;
    {
        const std::shared_lock lock(state_mutex_);
        const auto found = chunk_number(chunk_id);
        if (!found || !catalog_.covers(scope, *catalog_.find(parse_chunk_id(chunk_id)->document)))
            return std::nullopt;
        number = *found;
        snapshot = snapshot_;
    }
    const auto bytes = database_.get(Family::chunks, key32(number), snapshot.get());
    if (!bytes) throw IndexError(IndexError::Kind::corrupt, std::string(chunk_id) + " is missing");
    return decode_chunk(*bytes);
}

std::vector<Chunk> Store::read_chunks(const CatalogEntry& entry, const rocksdb::Snapshot* snapshot) const
{
    std::vector<Chunk> chunks;
    chunks.reserve(entry.chunks);
    const auto rows = database_.iterate(Family::chunks, snapshot);
    rows->Seek(key32(entry.first_chunk));
    for (std::uint32_t i = 0; i < entry.chunks; ++i, rows->Next()) {
        if (!rows->Valid() || read_key32(jiphyeon::view(rows->key())) != entry.first_chunk + i) {
            require_ok(rows->status(), "reading");
            throw IndexError(IndexError::Kind::corrupt, entry.id + "#" + std::to_string(i) + " is missing");
        }
        chunks.push_back(decode_chunk(jiphyeon::view(rows->value())));
    }
    return chunks;
}

std::vector<Chunk> Store::chunks_of(std::string_view document_id, const Scope& scope) const
{
    CatalogEntry entry;
    std::shared_ptr<const rocksdb::Snapshot> snapshot;
    {
        const std::shared_lock lock(state_mutex_);
        const CatalogEntry* found = catalog_.find(document_id);
        if (found == nullptr || !catalog_.covers(scope, *found)) return {};
        entry = *found;
        snapshot = snapshot_;
    }
    return read_chunks(entry, snapshot.get());
}

StoredDocument Store::stored(std::string_view id) const
{
    const auto bytes = database_.get(Family::documents, id);
    if (!bytes) throw IndexError(IndexError::Kind::not_found, std::string(id));
    return decode_document(*bytes);
}

std::optional<DocumentRecord> Store::document(std::string_view document_id) const
{
    const std::shared_lock lock(state_mutex_);
    const auto bytes = database_.get(Family::documents, document_id, snapshot_.get());
    if (!bytes) return std::nullopt;
    DocumentRecord record = decode_document(*bytes).record;
    catalog_.complete(record);
    return record;
}

std::optional<std::string> Store::view(std::string_view document_id) const
{
    return database_.get(Family::views, document_id);
}

std::optional<std::string> Store::original(std::string_view document_id) const
{
    std::shared_ptr<const rocksdb::Snapshot> snapshot;
    {
        const std::shared_lock lock(state_mutex_);
        snapshot = snapshot_;
    }
    const auto box = database_.get(Family::originals, document_id, snapshot.get());
    if (!box) return std::nullopt;
    const auto wrapped = database_.get(Family::original_keys, document_id, snapshot.get());
    if (!wrapped)
        throw IndexError(IndexError::Kind::corrupt, "the key of " + std::string(document_id) + " is missing");
    return open_original(master_key(), document_id, {*box, *wrapped});
}

std::vector<DocumentRecord> Store::documents() const
{
    std::vector<DocumentRecord> records;
    const std::shared_lock lock(state_mutex_);
    each_row(database_, Family::documents, snapshot_.get(), [&](std::string_view, std::string_view value) {
        records.push_back(decode_document(value).record);
        catalog_.complete(records.back());
    });
    return records;
}

std::vector<DocumentRecord> Store::versions(std::string_view source_id) const
{
    std::vector<std::string> ids;
    {
        const std::shared_lock lock(state_mutex_);
        ids = catalog_.versions(source_id);
    }
    std::vector<DocumentRecord> records;
    for (const std::string& id : ids) {
        if (auto record = document(id)) records.push_back(std::move(*record));
    }
    return records;
}

std::vector<std::string> Store::labels_in_use() const
{
    const std::shared_lock lock(state_mutex_);
    return catalog_.labels_in_use();
}

std::vector<Chunk> Store::not_embedded(std::string_view model, std::size_t limit) const
{
    std::vector<std::uint32_t> numbers;
    std::shared_ptr<const rocksdb::Snapshot> snapshot;
    {
        const std::shared_lock lock(state_mutex_);
        snapshot = snapshot_;
        const bool none = vectors_ == nullptr || vectors_->model() != model;
        for (const auto& [first, entry] : catalog_.by_chunk()) {
            if (entry->withdrawn) continue;
            for (std::uint32_t i = 0; i < entry->chunks && numbers.size() < limit; ++i) {
                if (none || !vectors_->has(first + i)) numbers.push_back(first + i);
            }
            if (numbers.size() >= limit) break;
        }
    }
    std::vector<Chunk> chunks;
    for (const std::uint32_t number : numbers) {
        const auto bytes = database_.get(Family::chunks, key32(number), snapshot.get());
        if (!bytes)
            throw IndexError(IndexError::Kind::corrupt, "chunk " + std::to_string(number) + " is missing");
        chunks.push_back(decode_chunk(*bytes));
    }
    return chunks;
}

std::uint64_t Store::generation() const
{
    const std::shared_lock lock(state_mutex_);
    return generation_;
}

std::optional<std::string> Store::row(std::string_view space, std::string_view key) const
{
    return database_.get(Family::rows, row_key(space, key));
}

std::vector<std::pair<std::string, std::string>> Store::rows(std::string_view space) const
{
    std::vector<std::pair<std::string, std::string>> found;
    const std::string prefix = row_key(space, "");
    const auto rows = database_.iterate(Family::rows);
    for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
        found.emplace_back(rows->key().ToString().substr(prefix.size()), rows->value().ToString());
    }
    require_ok(rows->status(), "reading");
    return found;
}

}  // namespace jiphyeon
