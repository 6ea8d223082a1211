// Backup and the check of everything that is stored.
//
// Postings are compared with the text they come from without holding either: each posting is hashed with its
// term, chunk and label, and the hashes of a chunk are summed, once from the stored postings and once from
// the text analysed anew. A chunk whose sums differ has postings too many, too few or wrong.

#include <rocksdb/utilities/checkpoint.h>

#include <cstring>
#include <functional>

#include "bytes.hpp"
#include "originals.hpp"
#include "postings.hpp"
#include "store.hpp"

namespace jiphyeon {
namespace {

std::uint64_t posting_hash(std::string_view prefix, std::uint32_t label, const Posting& posting)
{
    std::uint64_t h = 14695981039346656037ull;
    const auto mix = [&h](std::uint64_t value) { h = (h ^ value) * 1099511628211ull; };
    for (const char c : prefix) mix(static_cast<unsigned char>(c));
    mix(label);
    mix(posting.chunk);
    mix(posting.count);
    h ^= h >> 31;
    return h * 0x9E3779B97F4A7C15ull;
}

// Runs one part of the check; what it throws becomes one of the problems.
void guarded(std::vector<std::string>& problems, const char* part, const std::function<void()>& run)
{
    try {
        run();
    } catch (const std::exception& e) {
        problems.push_back(std::string(part) + ": " + e.what());
    }
}

}  // namespace

void Store::backup(const std::filesystem::path& to) const
{
    if (std::filesystem::exists(to)) throw IndexError(IndexError::Kind::bad_request, to.string() + " exists");
    rocksdb::Checkpoint* made = nullptr;
    require_ok(rocksdb::Checkpoint::Create(&database_.db(), &made), "backup");
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
    require_ok(checkpoint->CreateCheckpoint(to.string()), "backup");
}

std::vector<std::string> Store::check() const
{
    std::vector<std::string> problems;
    const std::lock_guard lock(write_mutex_);  // nothing is committed while it runs; readers go on
    guarded(problems, "files", [&] {
        rocksdb::ReadOptions options;
        require_ok(database_.db().VerifyChecksum(options), "verifying checksums");
    });
    guarded(problems, "documents", [&] { check_documents(problems); });
    guarded(problems, "postings", [&] { check_postings(problems); });
    guarded(problems, "vectors", [&] { check_vectors(problems); });
    guarded(problems, "originals", [&] { check_originals(problems); });
    return problems;
}

void Store::check_documents(std::vector<std::string>& problems) const
{
    std::size_t documents = 0;
    std::uint64_t chunks = 0;
    each_row(database_, Family::documents, nullptr, [&](std::string_view key, std::string_view value) {
        const StoredDocument stored = decode_document(value);
        ++documents;
        chunks += stored.lengths.size();
        const CatalogEntry* entry = catalog_.find(key);
        if (entry == nullptr || stored.record.id != key || entry->label != stored.record.label ||
            entry->first_chunk != stored.first_chunk || entry->chunks != stored.lengths.size()) {
            problems.push_back(std::string(key) + ": the catalog says otherwise");
            return;
        }
        if (!database_.get(Family::views, key)) problems.push_back(std::string(key) + ": no view");
        std::uint32_t ordinal = 0;
        for (const Chunk& chunk : read_chunks(*entry, nullptr)) {
            if (chunk.document_id != key || chunk.ordinal != ordinal || chunk.label != entry->label) {
                problems.push_back(chunk.id() + ": stored as chunk " + std::to_string(ordinal) + " of " +
                                   std::string(key) + " under " + entry->label);
            }
            ++ordinal;
        }
    });
    std::uint64_t chunk_rows = 0;
    each_row(database_, Family::chunks, nullptr, [&](std::string_view, std::string_view) { ++chunk_rows; });
    if (chunk_rows != chunks) {
        problems.push_back(std::to_string(chunk_rows) + " chunk rows, but " + std::to_string(chunks) +
                           " in the documents");
    }
    each_row(database_, Family::rows, nullptr, [](std::string_view, std::string_view) {});
}

void Store::check_postings(std::vector<std::string>& problems) const
{
    std::vector<std::uint64_t> difference(next_chunk_);
    for (const auto& [first, entry] : catalog_.by_chunk()) {
        const Prepared prepared(read_chunks(*entry, nullptr));
        for (const auto& [prefix, list] : prepared.terms) {
            for (const Posting& posting : list) {
                const std::uint32_t number = first + posting.chunk;
                difference[number] += posting_hash(prefix, entry->label_number, {number, posting.count});
            }
        }
        for (std::uint32_t i = 0; i < entry->chunks; ++i) {
            if (lengths_[first + i] != prepared.lengths[i]) {
                problems.push_back(entry->id + "#" + std::to_string(i) +
                                   ": its lengths are not those of its text");
            }
        }
    }
    std::vector<Posting> list;
    each_row(database_, Family::postings, nullptr, [&](std::string_view key, std::string_view value) {
        const PostingsKey parsed = parse_postings_key(key);
        list.clear();
        decode_postings(value, parsed.bucket, list);
        const std::string prefix = postings_prefix(parsed.field, parsed.term);
        for (const Posting& posting : list) {
            if (posting.chunk >= difference.size()) {
                problems.push_back("a posting of chunk " + std::to_string(posting.chunk) +
                                   ", which was never given");
                continue;
            }
            difference[posting.chunk] -= posting_hash(prefix, parsed.label, posting);
        }
    });
    for (std::size_t number = 0; number < difference.size(); ++number) {
        if (difference[number] != 0) {
            problems.push_back("chunk " + std::to_string(number) +
                               ": its postings are not those of its text");
        }
    }
}

void Store::check_vectors(std::vector<std::string>& problems) const
{
    std::uint64_t rows = 0;
    each_row(database_, Family::vectors, nullptr, [&](std::string_view key, std::string_view value) {
        ++rows;
        const std::uint32_t number = read_key32(key);
        const std::string name = "the vector of chunk " + std::to_string(number);
        if (vectors_ == nullptr || !vectors_->has(number) ||
            value.size() != vectors_->dim() * sizeof(float) ||
            std::memcmp(vectors_->row(number), value.data(), value.size()) != 0) {
            problems.push_back(name + " is not the one in memory");
            return;
        }
        auto owner = catalog_.by_chunk().upper_bound(number);
        if (owner == catalog_.by_chunk().begin() ||
            number - std::prev(owner)->first >= std::prev(owner)->second->chunks) {
            problems.push_back(name + " belongs to no document");
        }
    });
    if (rows != (vectors_ == nullptr ? 0 : vectors_->count()))
        problems.push_back("vectors in memory that are not stored");
}

void Store::check_originals(std::vector<std::string>& problems) const
{
    each_row(database_, Family::originals, nullptr, [&](std::string_view key, std::string_view box) {
        const auto wrapped = database_.get(Family::original_keys, key);
        if (!wrapped || catalog_.find(key) == nullptr) {
            problems.push_back("the original of " + std::string(key) + " has no " +
                               (wrapped ? "document" : "key"));
        } else if (options_.master_key != nullptr) {
            guarded(problems, "original", [&] {
                open_original(*options_.master_key, key, {std::string(box), *wrapped});
            });
        }
    });
    each_row(database_, Family::original_keys, nullptr, [&](std::string_view key, std::string_view) {
        if (!database_.get(Family::originals, key))
            problems.push_back("a key without its original: " + std::string(key));
    });
}

}  // namespace jiphyeon
