#include "store.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "bytes.hpp"
#include "originals.hpp"
#include "postings.hpp"

namespace jiphyeon {
namespace {

constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kFormat = "1";
constexpr std::string_view kStateKey = "state";      // generation, next chunk, next label
constexpr std::string_view kVectorsKey = "vectors";  // model, dim
constexpr std::uint32_t kChunkMax = UINT32_MAX - (1u << kBucketBits);

[[noreturn]] void bad_request(const std::string& detail)
{
    throw IndexError(IndexError::Kind::bad_request, detail);
}

std::int64_t now_us()
{
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

void validate(const DocumentWrite& write)
{
    const DocumentRecord& record = write.document;
    if (record.id.empty() || record.id.find('#') != std::string::npos)
        bad_request("document id: " + record.id);
    if (record.label.empty()) bad_request(record.id + ": no label");
    for (std::size_t i = 0; i < write.chunks.size(); ++i) {
        const Chunk& chunk = write.chunks[i];
        if (chunk.document_id != record.id || chunk.ordinal != i || chunk.label != record.label) {
            bad_request(chunk.id() + ": not chunk " + std::to_string(i) + " of " + record.id + " under " +
                        record.label);
        }
    }
}

std::string searched_text(const Chunk& chunk)
{
    return chunk.header + "\n" + chunk.text;
}

}  // namespace

Store::Prepared::Prepared(std::vector<Chunk> given) : chunks(std::move(given))
{
    for (std::uint32_t i = 0; i < chunks.size(); ++i) {
        encoded.push_back(encode_chunk(chunks[i]));
        Lengths& sums = lengths.emplace_back();
        for (const Term& term : analyze(searched_text(chunks[i]))) {
            ++sums[static_cast<std::size_t>(term.field)];
            std::vector<Posting>& list = terms[postings_prefix(term.field, term.text)];
            if (list.empty() || list.back().chunk != i) list.push_back({i, 0});
            ++list.back().count;
        }
    }
}

struct Store::Commit {
    rocksdb::WriteBatch batch{0, 0, 8, 0};  // with 8 bytes of checksum per key until it is written
    std::uint32_t next_chunk = 0;
    std::map<std::string, std::uint32_t, std::less<>> new_labels;
    std::vector<CatalogEntry> puts;
    std::vector<std::string> removals;
    std::vector<std::pair<std::uint32_t, Lengths>> lengths;
    std::shared_ptr<const VectorTable> vectors;
};

std::unique_ptr<Index> Index::open(const std::filesystem::path& dir, const IndexOptions& options)
{
    return std::make_unique<Store>(dir, options);
}

Store::Store(const std::filesystem::path& dir, const IndexOptions& options)
    : database_(dir, options), options_(options), dense_(options.graph_from)
{
    load();
}

Store::~Store() = default;

void Store::load()
{
    const auto format = database_.get(Family::meta, kFormatKey);
    if (!format) {
        if (options_.read_only) throw IndexError(IndexError::Kind::wrong_version, "no index here");
        Commit commit = begin();
        commit.batch.Put(slice(kFormatKey), slice(kFormat));
        finish(commit);
        return;
    }
    if (*format != kFormat) {
        throw IndexError(IndexError::Kind::wrong_version,
                         "index of format " + *format + ", not " + std::string(kFormat));
    }
    const auto state = database_.get(Family::meta, kStateKey);
    if (!state) throw IndexError(IndexError::Kind::corrupt, "no state");
    ByteReader in(*state);
    generation_ = in.varint();
    next_chunk_ = in.varint32();
    each_row(database_, Family::labels, nullptr, [&](std::string_view key, std::string_view value) {
        label_numbers_.emplace(std::string(key), read_key32(value));
    });
    each_row(database_, Family::documents, nullptr, [&](std::string_view, std::string_view value) {
        const StoredDocument stored = decode_document(value);
        const auto label = label_numbers_.find(stored.record.label);
        if (label == label_numbers_.end() ||
            std::uint64_t{stored.first_chunk} + stored.lengths.size() > next_chunk_) {
            throw IndexError(IndexError::Kind::corrupt, stored.record.id + ": label or chunks unknown");
        }
        std::uint32_t number = stored.first_chunk;
        for (const Lengths& lengths : stored.lengths) lengths_.set(number++, lengths);
        catalog_.put(Catalog::entry_of(stored, label->second));
    });
    if (const auto made_with = database_.get(Family::meta, kVectorsKey)) {
        ByteReader vectors(*made_with);
        const std::string model(vectors.text());
        const std::size_t dim = vectors.varint32();
        std::shared_ptr<const VectorTable> table = std::make_shared<VectorTable>(model, dim);
        std::vector<std::uint32_t> chunks;
        std::vector<float> floats;
        const auto flush = [&] {
            table = table->with(chunks, floats);
            chunks.clear();
            floats.clear();
        };
        each_row(database_, Family::vectors, nullptr, [&](std::string_view key, std::string_view value) {
            if (value.size() != dim * sizeof(float)) {
                throw IndexError(IndexError::Kind::corrupt, "a vector of another width");
            }
            chunks.push_back(read_key32(key));
            floats.resize(floats.size() + dim);
            std::memcpy(floats.data() + floats.size() - dim, value.data(), value.size());
            if (chunks.size() == kBlockRows) flush();
        });
        flush();
        vectors_ = table;
        dense_.follow(vectors_);
    }
    snapshot_ = take_snapshot();
}

std::shared_ptr<const rocksdb::Snapshot> Store::take_snapshot() const
{
    if (options_.read_only) return nullptr;  // nobody writes
    rocksdb::DB* db = &database_.db();
    return {db->GetSnapshot(), [db](const rocksdb::Snapshot* s) { db->ReleaseSnapshot(s); }};
}

const SecretKey& Store::master_key() const
{
    if (options_.master_key == nullptr) bad_request("originals need the master key");
    return *options_.master_key;
}

std::string Store::row_key(std::string_view space, std::string_view key)
{
    if (space.empty() || space.find('\0') != std::string_view::npos)
        bad_request("rows need the name of a space");
    std::string joined(space);
    joined += '\0';
    joined += key;
    return joined;
}

void Store::require_writable() const
{
    if (options_.read_only) bad_request("the index is open for reading only");
}

Store::Commit Store::begin() const
{
    Commit commit;
    commit.next_chunk = next_chunk_;
    commit.vectors = vectors_;
    return commit;
}

void Store::finish(Commit& commit)
{
    std::string state;
    ByteWriter out(state);
    out.varint(generation_ + 1);
    out.varint(commit.next_chunk);
    commit.batch.Put(slice(kStateKey), state);
    for (const auto& [label, number] : commit.new_labels) {
        commit.batch.Put(database_.family(Family::labels), label, key32(number));
    }
    database_.write(commit.batch);

    const std::unique_lock lock(state_mutex_);
    ++generation_;
    next_chunk_ = commit.next_chunk;
    label_numbers_.merge(commit.new_labels);
    for (const auto& [chunk, lengths] : commit.lengths) lengths_.set(chunk, lengths);
    for (const std::string& id : commit.removals) catalog_.remove(id);
    for (CatalogEntry& entry : commit.puts) catalog_.put(std::move(entry));
    if (vectors_ != commit.vectors) dense_.follow(commit.vectors);
    vectors_ = commit.vectors;
    snapshot_ = take_snapshot();
}

std::uint32_t Store::label_number(std::string_view label, Commit& commit) const
{
    if (const auto found = label_numbers_.find(label); found != label_numbers_.end()) return found->second;
    const auto number = static_cast<std::uint32_t>(label_numbers_.size() + commit.new_labels.size());
    return commit.new_labels.emplace(std::string(label), number).first->second;
}

void Store::add_chunks(const Prepared& prepared, std::uint32_t label, StoredDocument& stored, Commit& commit)
{
    const auto count = static_cast<std::uint32_t>(prepared.chunks.size());
    if (count > kChunkMax - commit.next_chunk)
        throw IndexError(IndexError::Kind::io, "no chunk numbers left");
    const std::uint32_t first = commit.next_chunk;
    commit.next_chunk += count;
    stored.first_chunk = first;
    stored.lengths = prepared.lengths;
    for (std::uint32_t i = 0; i < count; ++i) {
        commit.batch.Put(database_.family(Family::chunks), key32(first + i), prepared.encoded[i]);
        commit.lengths.emplace_back(first + i, prepared.lengths[i]);
    }
    std::vector<Posting> part;
    for (const auto& [prefix, list] : prepared.terms) {
        for (std::size_t i = 0; i < list.size();) {
            const std::uint32_t bucket = (first + list[i].chunk) >> kBucketBits;
            part.clear();
            for (; i < list.size() && (first + list[i].chunk) >> kBucketBits == bucket; ++i) {
                part.push_back({first + list[i].chunk, list[i].count});
            }
            commit.batch.Merge(database_.family(Family::postings), postings_key(prefix, label, bucket),
                               encode_postings(PostingsKind::add, part));
        }
    }
}

void Store::drop_chunks(const CatalogEntry& entry, Commit& commit)
{
    if (entry.chunks == 0) return;
    const Prepared prepared(read_chunks(entry, nullptr));
    for (std::uint32_t i = 0; i < entry.chunks; ++i) {
        commit.batch.Delete(database_.family(Family::chunks), key32(entry.first_chunk + i));
        commit.batch.Delete(database_.family(Family::vectors), key32(entry.first_chunk + i));
    }
    std::map<std::string, std::vector<Posting>> drops;
    for (const auto& [prefix, list] : prepared.terms) {
        for (const Posting& posting : list) {
            const std::uint32_t number = entry.first_chunk + posting.chunk;
            drops[postings_key(prefix, entry.label_number, number >> kBucketBits)].push_back(
                {number, posting.count});
        }
    }
    for (const auto& [key, list] : drops) {
        commit.batch.Merge(database_.family(Family::postings), key,
                           encode_postings(PostingsKind::drop, list));
    }
    if (commit.vectors != nullptr) commit.vectors = commit.vectors->without(entry.first_chunk, entry.chunks);
}

// Chunks that say the same as one before keep its vector, under their new number.
void Store::carry_vectors(const CatalogEntry& from, const std::vector<Chunk>& old_chunks, std::uint32_t to,
                          const std::vector<Chunk>& chunks, Commit& commit) const
{
    if (vectors_ == nullptr) return;
    std::map<std::string, std::uint32_t> by_text;
    for (std::uint32_t i = 0; i < old_chunks.size(); ++i) {
        if (vectors_->has(from.first_chunk + i))
            by_text.emplace(searched_text(old_chunks[i]), from.first_chunk + i);
    }
    std::vector<std::uint32_t> numbers;
    std::vector<float> floats;
    for (std::uint32_t i = 0; i < chunks.size(); ++i) {
        const auto found = by_text.find(searched_text(chunks[i]));
        if (found == by_text.end()) continue;
        const float* row = vectors_->row(found->second);
        numbers.push_back(to + i);
        floats.insert(floats.end(), row, row + vectors_->dim());
        commit.batch.Put(database_.family(Family::vectors), key32(to + i),
                         rocksdb::Slice(reinterpret_cast<const char*>(row), vectors_->dim() * sizeof(float)));
    }
    if (!numbers.empty()) commit.vectors = commit.vectors->with(numbers, floats);
}

void Store::put(const DocumentWrite& write)
{
    require_writable();
    validate(write);
    const Prepared prepared(write.chunks);
    const std::string& id = write.document.id;
    SealedOriginal sealed;
    if (!write.original.empty()) sealed = seal_original(master_key(), id, write.original);

    const std::lock_guard lock(write_mutex_);
    Commit commit = begin();
    StoredDocument next{.record = write.document, .first_chunk = 0, .lengths = prepared.lengths};
    const CatalogEntry* before = catalog_.find(id);
    if (next.record.stored_us == 0) next.record.stored_us = before != nullptr ? before->stored_us : now_us();
    const std::uint32_t label = label_number(next.record.label, commit);
    std::vector<Chunk> old_chunks;
    if (before != nullptr) old_chunks = read_chunks(*before, nullptr);
    const bool same = before != nullptr && std::ranges::equal(old_chunks, prepared.encoded, {}, encode_chunk);
    if (same) {
        next.first_chunk = before->first_chunk;
    } else {
        if (before != nullptr) drop_chunks(*before, commit);
        add_chunks(prepared, label, next, commit);
        if (before != nullptr) carry_vectors(*before, old_chunks, next.first_chunk, prepared.chunks, commit);
    }
    commit.batch.Put(database_.family(Family::documents), id, encode_document(next));
    commit.batch.Put(database_.family(Family::views), id, write.view);
    if (write.original.empty()) {
        commit.batch.Delete(database_.family(Family::originals), id);
        commit.batch.Delete(database_.family(Family::original_keys), id);
    } else {
        commit.batch.Put(database_.family(Family::originals), id, sealed.box);
        commit.batch.Put(database_.family(Family::original_keys), id, sealed.wrapped_key);
    }
    for (const DocumentWrite::Row& row : write.rows) {
        commit.batch.Put(database_.family(Family::rows), row_key(row.space, row.key), row.value);
    }
    commit.puts.push_back(Catalog::entry_of(next, label));
    finish(commit);
}

void Store::withdraw(std::string_view document_id)
{
    require_writable();
    const std::lock_guard lock(write_mutex_);
    StoredDocument document = stored(document_id);
    document.record.state = DocumentState::withdrawn;
    Commit commit = begin();
    commit.batch.Put(database_.family(Family::documents), document.record.id, encode_document(document));
    commit.puts.push_back(Catalog::entry_of(document, label_number(document.record.label, commit)));
    finish(commit);
}

void Store::remove(std::string_view document_id)
{
    require_writable();
    const std::lock_guard lock(write_mutex_);
    const CatalogEntry* entry = catalog_.find(document_id);
    if (entry == nullptr) throw IndexError(IndexError::Kind::not_found, std::string(document_id));
    const std::string id(document_id);
    const std::uint32_t first = entry->first_chunk, count = entry->chunks;
    Commit commit = begin();
    drop_chunks(*entry, commit);
    for (const Family f : {Family::documents, Family::views, Family::originals, Family::original_keys}) {
        commit.batch.Delete(database_.family(f), id);
    }
    commit.removals.push_back(id);
    finish(commit);
    for (const Family f : {Family::original_keys, Family::documents, Family::views}) {
        database_.erase_for_good(f, id, id);
    }
    if (count > 0) database_.erase_for_good(Family::chunks, key32(first), key32(first + count - 1));
}

void Store::set_label(std::string_view document_id, std::string_view label)
{
    require_writable();
    if (label.empty()) bad_request("no label");
    const std::lock_guard lock(write_mutex_);
    StoredDocument document = stored(document_id);
    if (document.record.label == label) return;
    const CatalogEntry& before = *catalog_.find(document_id);
    const std::vector<Chunk> old_chunks = read_chunks(before, nullptr);
    std::vector<Chunk> chunks = old_chunks;
    for (Chunk& chunk : chunks) chunk.label = label;
    document.record.label = label;

    Commit commit = begin();
    const std::uint32_t number = label_number(label, commit);
    drop_chunks(before, commit);
    add_chunks(Prepared(chunks), number, document, commit);
    carry_vectors(before, old_chunks, document.first_chunk, chunks, commit);
    commit.batch.Put(database_.family(Family::documents), document.record.id, encode_document(document));
    commit.puts.push_back(Catalog::entry_of(document, number));
    finish(commit);
}

void Store::put_vectors(std::span<const std::string> chunk_ids, std::span<const float> vectors,
                        std::string_view model)
{
    require_writable();
    if (chunk_ids.empty()) return;
    const std::size_t dim = vectors.size() / chunk_ids.size();
    if (dim == 0 || dim * chunk_ids.size() != vectors.size() || model.empty()) {
        bad_request("vectors: " + std::to_string(vectors.size()) + " floats for " +
                    std::to_string(chunk_ids.size()) + " chunks");
    }
    if (!std::ranges::all_of(vectors, [](float v) { return std::isfinite(v); }))
        bad_request("a vector is not finite");

    const std::lock_guard lock(write_mutex_);
    Commit commit = begin();
    if (commit.vectors == nullptr || commit.vectors->model() != model) {
        commit.batch.DeleteRange(database_.family(Family::vectors), key32(0), key32(UINT32_MAX));
        std::string made_with;
        ByteWriter out(made_with);
        out.text(model);
        out.varint(dim);
        commit.batch.Put(slice(kVectorsKey), made_with);
        commit.vectors = std::make_shared<VectorTable>(std::string(model), dim);
    } else if (commit.vectors->dim() != dim) {
        bad_request("vectors of " + std::to_string(dim) + " dimensions, not " +
                    std::to_string(commit.vectors->dim()));
    }
    std::vector<std::uint32_t> numbers;
    std::vector<float> floats;
    for (std::size_t i = 0; i < chunk_ids.size(); ++i) {
        const auto number = chunk_number(chunk_ids[i]);
        if (!number) continue;  // removed while it was being embedded
        const std::span<const float> vector = vectors.subspan(i * dim, dim);
        numbers.push_back(*number);
        floats.insert(floats.end(), vector.begin(), vector.end());
        commit.batch.Put(database_.family(Family::vectors), key32(*number),
                         rocksdb::Slice(reinterpret_cast<const char*>(vector.data()), dim * sizeof(float)));
    }
    commit.vectors = commit.vectors->with(numbers, floats);
    finish(commit);
}

void Store::put_rows(std::span<const DocumentWrite::Row> rows)
{
    require_writable();
    const std::lock_guard lock(write_mutex_);
    Commit commit = begin();
    for (const DocumentWrite::Row& row : rows) {
        commit.batch.Put(database_.family(Family::rows), row_key(row.space, row.key), row.value);
    }
    finish(commit);
}

void Store::remove_row(std::string_view space, std::string_view key)
{
    require_writable();
    const std::lock_guard lock(write_mutex_);
    Commit commit = begin();
    commit.batch.Delete(database_.family(Family::rows), row_key(space, key));
    finish(commit);
}

}  // namespace jiphyeon
