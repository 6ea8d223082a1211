// The Index on RocksDB. Truth is in the column families; the catalog, the chunk lengths and the vector table
// are read from them at open and follow each commit.
//
// A commit is one synced WriteBatch, then the change in memory and a new RocksDB snapshot under the state
// lock. A reader takes snapshot and tables together under that lock and then works without it, so it sees one
// generation. Chunk numbers are given once and never again: what a chunk's number stands for cannot change
// under a reader.
#pragma once

#include <mutex>
#include <shared_mutex>

#include "catalog.hpp"
#include "database.hpp"
#include "dense.hpp"
#include "lexical.hpp"
#include "postings.hpp"
#include "segmented.hpp"
#include "vectors.hpp"

namespace jiphyeon {

class Store final : public Index {
public:
    Store(const std::filesystem::path& dir, const IndexOptions& options);
    ~Store() override;

    void put(const DocumentWrite& write) override;
    void withdraw(std::string_view document_id) override;
    void remove(std::string_view document_id) override;
    void set_label(std::string_view document_id, std::string_view label) override;
    void put_vectors(std::span<const std::string> chunk_ids, std::span<const float> vectors,
                     std::string_view model) override;

    std::vector<Hit> search_lexical(std::span<const Term> query, std::size_t k, const Scope& scope,
                                    const LexicalOptions& options) const override;
    std::vector<Hit> search_dense(std::span<const float> query, std::size_t k,
                                  const Scope& scope) const override;
    std::vector<float> idf(std::span<const Term> terms, const Scope& scope) const override;
    ScopeStatistics statistics(const Scope& scope) const override;

    std::optional<Chunk> chunk(std::string_view chunk_id, const Scope& scope) const override;
    std::vector<Chunk> chunks_of(std::string_view document_id, const Scope& scope) const override;
    std::optional<DocumentRecord> document(std::string_view document_id) const override;
    std::optional<std::string> view(std::string_view document_id) const override;
    std::optional<std::string> original(std::string_view document_id) const override;
    std::vector<DocumentRecord> documents() const override;
    std::vector<DocumentRecord> versions(std::string_view source_id) const override;
    std::vector<std::string> labels_in_use() const override;
    std::vector<Chunk> not_embedded(std::string_view model, std::size_t limit) const override;
    std::uint64_t generation() const override;

    std::optional<std::string> row(std::string_view space, std::string_view key) const override;
    std::vector<std::pair<std::string, std::string>> rows(std::string_view space) const override;
    void put_rows(std::span<const DocumentWrite::Row> rows) override;
    void remove_row(std::string_view space, std::string_view key) override;

    void backup(const std::filesystem::path& to) const override;
    std::vector<std::string> check() const override;

    void wait_for_graph() const { dense_.wait_until_built(); }  // for tests and measurements

private:
    struct Reading {
        std::shared_ptr<const rocksdb::Snapshot> snapshot;
        std::shared_ptr<const Visible> visible;
        std::shared_ptr<const VectorTable> vectors;
    };
    struct Commit;  // a batch and what it changes in memory
    // Chunks analysed and encoded, before any lock is taken.
    struct Prepared {
        explicit Prepared(std::vector<Chunk> given);
        std::vector<Chunk> chunks;
        std::vector<std::string> encoded;
        std::vector<Lengths> lengths;
        std::map<std::string, std::vector<Posting>>
            terms;  // by postings_prefix; Posting::chunk is the index here
    };

    void load();
    std::shared_ptr<const rocksdb::Snapshot> take_snapshot() const;
    Reading reading(const Scope& scope) const;
    PostingsSource source(const Reading& reading) const;
    std::vector<Hit> fetch(const std::vector<ScoredChunk>& scored, const Reading& reading) const;
    StoredDocument stored(std::string_view id) const;                            // throws not_found
    std::optional<std::uint32_t> chunk_number(std::string_view chunk_id) const;  // within either lock
    std::vector<Chunk> read_chunks(const CatalogEntry& entry, const rocksdb::Snapshot* snapshot) const;

    // Within write_mutex_.
    Commit begin() const;
    void finish(Commit& commit);
    std::uint32_t label_number(std::string_view label, Commit& commit) const;
    void add_chunks(const Prepared& prepared, std::uint32_t label, StoredDocument& stored, Commit& commit);
    void drop_chunks(const CatalogEntry& entry, Commit& commit);
    void carry_vectors(const CatalogEntry& from, const std::vector<Chunk>& old_chunks, std::uint32_t to,
                       const std::vector<Chunk>& chunks, Commit& commit) const;
    void require_writable() const;
    const SecretKey& master_key() const;  // throws bad_request where there is none
    static std::string row_key(std::string_view space, std::string_view key);

    // Parts of check(), within write_mutex_.
    void check_documents(std::vector<std::string>& problems) const;
    void check_postings(std::vector<std::string>& problems) const;
    void check_vectors(std::vector<std::string>& problems) const;
    void check_originals(std::vector<std::string>& problems) const;

    Database database_;
    const IndexOptions options_;
    mutable std::mutex write_mutex_;

    // Written by finish() alone, which holds both mutexes.
    mutable std::shared_mutex state_mutex_;
    Catalog catalog_;
    std::map<std::string, std::uint32_t, std::less<>> label_numbers_;
    std::shared_ptr<const VectorTable> vectors_;  // null while nothing is embedded
    std::shared_ptr<const rocksdb::Snapshot> snapshot_;
    std::uint64_t generation_ = 0;
    std::uint32_t next_chunk_ = 0;

    Segmented<Lengths> lengths_;
    DenseSearch dense_;
};

}  // namespace jiphyeon
