// The tamper-evident record. A Merkle tree (RFC 6962 hashing) of leaves that hold commitments; bodies lie
// beside it, each sealed under a key of its own, so that a body can be erased and the tree still proves.
// Signed checkpoints (C2SP tlog-checkpoint, ECDSA P-256) bind size and root. On disk: policy/FORMAT.md.
//
// A record is opened by `begin` (leaf "asked"), grows by `append` (each piece durable before it returns) and
// is closed by `finish` (leaf "answered"). A record that a crash left open is closed at the next start by a
// leaf "interrupted". An act that is one moment (login, grant, ingest) is `note`d: one leaf with its body.
//
// Writing fails closed: after AuditError nothing may be answered until the log is open again.
//
// Example:
//     AuditLog log = AuditLog::open(dir, keys);
//     const RecordId id = log.begin({.actor = "kim", .action = "ask"}, question_json);
//     log.append(id, "첫 문장. [1]");     // durable now: may be shown
//     const Receipt r = log.finish(id, "answered", body_json);
//
// Threads: one AuditLog per data folder; all members may be called from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/crypto.hpp"

namespace jiphyeon {

class AuditError : public std::runtime_error {
public:
    enum class Kind {
        io,             // could not be made durable: nothing may be answered
        corrupt,        // what is stored does not match the tree
        rolled_back,    // fewer leaves than were acknowledged
        wrong_version,  // another format number
        not_found,
        erased,
    };
    AuditError(Kind k, const std::string& detail) : std::runtime_error(detail), kind(k) {}
    Kind kind;
};

using RecordId = std::uint64_t;  // leaf number of the record's first leaf

// The fields of a leaf, in the order in which they are encoded (each with its length before it).
struct Leaf {
    std::uint64_t sequence = 0;
    std::int64_t utc_us = 0;       // microseconds since 1970
    std::int64_t boottime_us = 0;  // since the machine started: shows steps of the clock
    std::string boot_id;
    std::string actor;  // account, or "console"
    std::string os_user;
    std::string session;             // a public name of the session, not its token
    std::string origin;              // address of the client
    std::string action;              // "asked", "answered", "interrupted", "login", "grant", "ingest", …
    std::optional<RecordId> record;  // of "answered" and "interrupted": the leaf that opened it
    std::string outcome;
    std::vector<std::string> objects;  // document ids and the like
    std::string model_sha256;          // hex, empty where no model file took part
    Digest commitment{};  // SHA-256 over a salt and the body's parts; the salt lies sealed with the body
    Digest previous{};    // hash of the leaf before: order shows without the tree

    std::string encode() const;                  // canonical bytes
    static Leaf decode(std::string_view bytes);  // throws corrupt
};
Digest leaf_hash(std::string_view encoded);  // SHA-256(0x00 || encoded)

// What the caller knows of an act; the log adds sequence, times, commitment and chain.
struct LeafFacts {
    std::string actor{};
    std::string os_user{};
    std::string session{};
    std::string origin{};
    std::string action{};
    std::string outcome{};
    std::vector<std::string> objects{};
    std::string model_sha256{};
};

struct Receipt {
    std::uint64_t leaf = 0;
    std::uint64_t size = 0;  // leaves in the tree whose root this is
    Digest root{};
};

struct Checkpoint {
    std::string text;  // C2SP signed note: origin, size, root, signature
    std::uint64_t size = 0;
    Digest root{};
};

struct AuditProblem {
    std::uint64_t leaf = 0;
    std::string what;
};
struct AuditReport {
    bool ok = false;
    std::uint64_t records = 0;
    std::uint64_t size = 0;
    Digest root{};
    std::vector<AuditProblem> problems;
    std::vector<std::string> not_checked;  // e.g. "bodies: no key given"
};

struct StoredRecord {
    Leaf opened;
    std::optional<Leaf> closed;
    std::string question;             // body given to begin
    std::vector<std::string> pieces;  // appended
    std::string body;                 // body given to finish; empty while open
};

class AuditLog {
public:
    // Opens or creates. `bodies`: wraps each record's own key. `signer`: signs checkpoints under `origin`.
    // Closes records left open, after a leaf "unclean start". Throws AuditError; rolled_back when fewer
    // leaves are found than the head file acknowledges.
    static std::unique_ptr<AuditLog> open(const std::filesystem::path& dir, const SecretKey& bodies,
                                          crypto::SigningKey signer, std::string origin);
    virtual ~AuditLog() = default;

    virtual RecordId begin(const LeafFacts& facts, std::string_view body) = 0;
    virtual void append(RecordId record, std::string_view piece) = 0;
    virtual Receipt finish(RecordId record, const LeafFacts& facts, std::string_view body) = 0;
    virtual Receipt note(const LeafFacts& facts, std::string_view body) = 0;

    virtual std::uint64_t size() const = 0;
    virtual Leaf leaf(std::uint64_t sequence) const = 0;
    virtual StoredRecord record(RecordId id) const = 0;
    // Destroys the key of a record's body, noted by a leaf of its own. The tree stays provable.
    virtual Receipt erase_body(RecordId id, const LeafFacts& facts) = 0;

    virtual Checkpoint checkpoint() = 0;  // of the present size, signed, durable
    virtual std::vector<Digest> inclusion_proof(std::uint64_t leaf, std::uint64_t size) const = 0;
    virtual std::vector<Digest> consistency_proof(std::uint64_t from, std::uint64_t to) const = 0;
    // A consistent copy of everything up to the present size, which opens as a log; `to` must not exist.
    virtual void backup(const std::filesystem::path& to) const = 0;
    // Re-derives every leaf and the tree from stored bytes, checks chain, commitments, checkpoints and, where
    // `remembered` (checkpoint text) is given, that this log continues it.
    virtual AuditReport verify(
        std::string_view remembered = {},
        const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {}) = 0;
};

// What a verification of stored files is told.
struct AuditVerification {
    const SecretKey* bodies = nullptr;  // without it commitments and the head's seal are not checked
    // Without a key of the auditor's own the one beside the log is taken, which proves nothing against those
    // who may write there.
    std::string public_key_der;
    std::string origin;           // with public_key_der
    std::string remembered;       // checkpoint text
    std::uint64_t log_bytes = 0;  // 0: to the end of the file
    std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};
// AuditLog::verify for a folder that is not open, or that AuditLog::open refuses. Writes nothing. What cannot
// be read is a problem of the report; throws AuditError io only.
AuditReport verify_audit_log(const std::filesystem::path& dir, const AuditVerification& with);

bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size, const Digest& root,
                      const std::vector<Digest>& proof);
bool verify_consistency(std::uint64_t from, const Digest& from_root, std::uint64_t to, const Digest& to_root,
                        const std::vector<Digest>& proof);

}  // namespace jiphyeon
