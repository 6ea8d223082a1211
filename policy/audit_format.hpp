// The byte layouts of FORMAT.md: frames of the log, slots of keys and places, the head.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "audit_file.hpp"
#include "jiphyeon/audit.hpp"

namespace jiphyeon {

inline constexpr const char* kLogFile = "log";
inline constexpr const char* kKeysFile = "keys";
inline constexpr const char* kHeadFile = "head";
inline constexpr const char* kTreeFile = "tree";
inline constexpr const char* kPlacesFile = "places";
inline constexpr const char* kPublicKeyFile = "public_key";

inline constexpr std::uint64_t kFileHeaderBytes = 16;  // magic, format number: of log, keys, tree and places
std::string file_header(std::string_view magic);
inline constexpr std::string_view kLogMagic = "JIPALOG ";
inline constexpr std::string_view kKeysMagic = "JIPAKEYS";
inline constexpr std::string_view kTreeMagic = "JIPATREE";
inline constexpr std::string_view kPlacesMagic = "JIPAPLCS";
// Throws corrupt (another magic) or wrong_version.
void check_file_header(const AuditFile& file, std::string_view magic);

// One entry of the log.
enum class FrameKind : std::uint8_t {
    leaf = 1,
    question = 2,
    piece = 3,
    answer = 4,
    checkpoint = 5,
    note = 6
};
struct Frame {
    FrameKind kind{};
    bool last = false;         // of the entries that one call wrote: what follows a kill is whole calls
    std::uint64_t record = 0;  // leaf: its sequence; bodies: leaf of the record; checkpoint: size
    std::uint64_t before =
        0;  // where the body of the same record, or the checkpoint, before this one lies; 0: none
    std::uint64_t offset = 0;
    std::string payload;
    bool check_holds = true;

    std::uint64_t end() const;
    bool is_body() const { return kind != FrameKind::leaf && kind != FrameKind::checkpoint; }
};
inline constexpr std::uint32_t kPayloadMax = 64u << 20;
std::string encode_frame(const Frame& frame);
// nullopt where no frame can be: its head does not hold, or it reaches beyond `end`.
std::optional<Frame> read_frame(const AuditFile& log, std::uint64_t offset, std::uint64_t end);

// Bodies: the plain text of a question, an answer and a note begins with the salt of their commitment.
inline constexpr std::size_t kSaltBytes = 32;
std::string fresh_salt();
std::string body_context(RecordId record, FrameKind kind, std::uint64_t number);
// Of a commitment: SHA-256 over the salt and each part with its length before it.
class Commitment {
public:
    explicit Commitment(std::string_view salt) { hash_.update(salt); }
    void add(std::string_view part);
    Digest finish() { return hash_.finish(); }
    Commitment clone() const { return Commitment(hash_.clone()); }

private:
    explicit Commitment(crypto::Sha256 hash) : hash_(std::move(hash)) {}

    crypto::Sha256 hash_;
};

// Keys: slot i belongs to the record that leaf i opened.
inline constexpr std::uint64_t kKeySlotBytes = 64;
inline constexpr char kErasedMark = '\xff';
std::uint64_t key_slot_offset(RecordId record);
std::string wrap_key(const SecretKey& wrapping, const SecretKey& key, RecordId record);  // a whole slot
enum class KeyState { present, erased, missing };
KeyState key_state(const AuditFile& keys, RecordId record);
SecretKey unwrap_key(const AuditFile& keys, const SecretKey& wrapping,
                     RecordId record);  // CryptoError, AuditError

// Tree: hash i in the order of merkle.hpp.
std::uint64_t tree_offset(std::uint64_t place);

// Places: what finds leaves and bodies; derived from the log.
struct Place {
    std::uint64_t leaf = 0;       // offset of the leaf's frame
    std::uint64_t last_body = 0;  // of the record that the leaf opened; 0 where it opened none
    std::uint64_t closed_by = 0;  // leaf number + 1; 0 while open
};
inline constexpr std::uint64_t kPlaceBytes = 24;
std::uint64_t place_offset(std::uint64_t leaf);
std::string encode_place(const Place& place);
Place decode_place(std::string_view bytes);

// Head: what has been acknowledged. Two slots, written in turn, so that a torn write costs none.
struct Head {
    std::uint64_t counter = 0;
    std::uint64_t size = 0;
    std::uint64_t log_bytes = 0;
    std::uint64_t last_checkpoint = 0;  // offset of its frame; 0: none
    bool clean = false;                 // closed in order
    Digest root{};
};
void write_head(const AuditFile& file, const SecretKey& key, const Head& head);
// The newer of the slots that hold. Without a key the seals are not looked at.
std::optional<Head> read_head(const AuditFile& file, const SecretKey* key);

SecretKey wrapping_key_of(const SecretKey& bodies);
SecretKey head_key_of(const SecretKey& bodies);

}  // namespace jiphyeon
