// The record on disk (FORMAT.md). audit_log.cpp writes and reads, audit_open.cpp creates and recovers,
// audit_verify.cpp reads a folder again from nothing.
//
// A call is staged (all bytes made, nothing changed), written, and then made durable: log and keys first,
// then the head that acknowledges them. One caller syncs for all who wrote before it; the others wait for it.
// The first failure poisons the log: after a failed fdatasync nobody can say what the disk holds.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "audit_format.hpp"
#include "merkle.hpp"

namespace jiphyeon {

class AuditLogFiles final : public AuditLog {
public:
    AuditLogFiles(std::filesystem::path dir, const SecretKey& bodies, crypto::SigningKey signer,
                  std::string origin);
    ~AuditLogFiles() override;

    RecordId begin(const LeafFacts& facts, std::string_view body) override;
    void append(RecordId record, std::string_view piece) override;
    Receipt finish(RecordId record, const LeafFacts& facts, std::string_view body) override;
    Receipt note(const LeafFacts& facts, std::string_view body) override;
    std::uint64_t size() const override;
    Leaf leaf(std::uint64_t sequence) const override;
    StoredRecord record(RecordId id) const override;
    Receipt erase_body(RecordId id, const LeafFacts& facts) override;
    Checkpoint checkpoint() override;
    std::vector<Digest> inclusion_proof(std::uint64_t leaf, std::uint64_t size) const override;
    std::vector<Digest> consistency_proof(std::uint64_t from, std::uint64_t to) const override;
    void backup(const std::filesystem::path& to) const override;
    AuditReport verify(std::string_view remembered,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress) override;

private:
    using Lock = std::unique_lock<std::mutex>;

    struct OpenRecord {
        SecretKey key;
        std::string salt;  // of the closing leaf's commitment
        Commitment closing;
        std::uint64_t last_body = 0;
        std::uint64_t pieces = 0;
    };
    // How far the log reaches, and what the next leaf needs to know.
    struct Extent {
        std::uint64_t size = 0;
        std::uint64_t log_bytes = kFileHeaderBytes;
        std::uint64_t last_checkpoint = 0;
        std::uint64_t checkpoint_size = 0;
        std::chrono::steady_clock::time_point checkpoint_time{};
        Digest previous{};
        MerkleFrontier frontier;
    };
    // What one call is about to write.
    struct Staged {
        Extent extent;
        std::vector<Frame> frames;
        std::vector<Digest> hashes;  // at the end of the tree file
        std::map<std::uint64_t, Place> places;
    };
    struct Scan;  // audit_open.cpp

    void create() const;
    void resume(const Head& head);
    void recover(const Head& head);
    Scan scan(const Head& head) const;
    bool derived_files_hold(const Head& head) const;
    void rebuild_derived_files(const Scan& found) const;
    bool key_opens(RecordId id) const;
    void reopen_record(RecordId id, std::uint64_t last_body);

    void require_usable() const;
    Staged stage() const { return {.extent = extent_, .frames = {}, .hashes = {}, .places = {}}; }
    std::uint64_t add_frame(Staged& staged, FrameKind kind, std::uint64_t record, std::uint64_t before,
                            std::string payload) const;
    Receipt add_leaf(Staged& staged, Leaf leaf, std::uint64_t last_body) const;
    Receipt add_closing(Staged& staged, RecordId id, OpenRecord& open, const LeafFacts& facts,
                        std::string_view body);
    void add_checkpoint(Staged& staged) const;
    void write(Staged staged);
    void flush(Lock& lock, bool clean = false);
    std::pair<std::uint64_t, Receipt> open_record(Staged& staged, const SecretKey& key, FrameKind kind,
                                                  const LeafFacts& facts, std::string_view body) const;
    Receipt close_open_record(RecordId id, const LeafFacts& facts, std::string_view body);
    void store_key(RecordId id, const SecretKey& key);
    void destroy_key(RecordId id);
    Leaf leaf_of(const LeafFacts& facts, const char* default_action) const;
    Place place(std::uint64_t leaf) const;
    Digest stored_hash(std::uint64_t place) const;
    std::vector<Frame> bodies_of(std::uint64_t last_body) const;
    std::string open_body(const SecretKey& key, const Frame& frame, std::uint64_t number) const;

    const std::filesystem::path dir_;
    const SecretKey bodies_;
    const SecretKey wrapping_key_;
    const SecretKey head_key_;
    const crypto::SigningKey signer_;
    const std::string origin_;
    std::string boot_id_;
    AuditFile log_, keys_, head_, tree_, places_;

    mutable std::shared_mutex erasing_;  // before mutex_; held shared by who reads keys
    mutable std::mutex mutex_;           // all below
    std::condition_variable flushed_;
    Extent extent_;
    std::map<RecordId, OpenRecord> open_;
    std::string failure_;
    std::uint64_t durable_bytes_ = 0;
    std::uint64_t head_counter_ = 0;
    bool flushing_ = false;
    bool keys_changed_ = false;
    bool clean_ = false;  // what the head on disk says
};

}  // namespace jiphyeon
