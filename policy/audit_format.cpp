#include "audit_format.hpp"

#include <algorithm>

#include "audit_bytes.hpp"

namespace jiphyeon {

namespace {

constexpr std::uint32_t kFormat = 1;
constexpr std::uint64_t kFrameHeadBytes = 4 + 1 + 8 + 8;
constexpr std::uint64_t kFrameCheckBytes = 8;
constexpr unsigned kLastBit = 0x80;
constexpr std::string_view kHeadMagic = "JIPAHEAD";
constexpr std::size_t kHeadPlainBytes = 8 + 4 + 8 * 4 + 1 + 32;
constexpr std::size_t kHeadSlotBytes = kHeadPlainBytes + 32;
constexpr std::uint64_t kHeadSlotDistance = 4096;

// The place is in the check, so a frame copied elsewhere does not pass.
std::string frame_check(std::uint64_t offset, std::string_view head_and_payload)
{
    std::string bytes;
    put_number(bytes, offset, 8);
    crypto::Sha256 hash;
    hash.update(bytes);
    hash.update(head_and_payload);
    return std::string(as_text(hash.finish()).substr(0, kFrameCheckBytes));
}

std::optional<Head> parse_head(std::string_view slot, const SecretKey* key)
{
    if (slot.size() != kHeadSlotBytes || !slot.starts_with(kHeadMagic)) return std::nullopt;
    const std::string_view plain = slot.substr(0, kHeadPlainBytes);
    ByteReader reader(slot.substr(kHeadMagic.size()));
    if (reader.number(4) != kFormat)
        throw AuditError(AuditError::Kind::wrong_version, "the head of the record has another format number");
    if (key != nullptr && !crypto::equal(as_text(crypto::mac(*key, plain)), slot.substr(kHeadPlainBytes)))
        return std::nullopt;
    Head head;
    head.counter = reader.number(8);
    head.size = reader.number(8);
    head.log_bytes = reader.number(8);
    head.last_checkpoint = reader.number(8);
    head.clean = reader.number(1) == 1;
    head.root = reader.digest();
    return head;
}

}  // namespace

std::string file_header(std::string_view magic)
{
    std::string out(magic);
    put_number(out, kFormat, 4);
    put_number(out, 0, 4);
    return out;
}

void check_file_header(const AuditFile& file, std::string_view magic)
{
    const std::string header = file.read(0, kFileHeaderBytes);
    if (header.size() != kFileHeaderBytes || !header.starts_with(magic))
        throw AuditError(AuditError::Kind::corrupt,
                         "a file of the record does not begin as " + std::string(magic));
    if (header != file_header(magic))
        throw AuditError(AuditError::Kind::wrong_version, std::string(magic) + " has another format number");
}

std::uint64_t Frame::end() const
{
    return offset + kFrameHeadBytes + payload.size() + kFrameCheckBytes;
}

std::string encode_frame(const Frame& frame)
{
    std::string out;
    put_number(out, frame.payload.size(), 4);
    put_number(out, static_cast<unsigned>(frame.kind) | (frame.last ? kLastBit : 0u), 1);
    put_number(out, frame.record, 8);
    put_number(out, frame.before, 8);
    out += frame.payload;
    return out + frame_check(frame.offset, out);
}

std::optional<Frame> read_frame(const AuditFile& log, std::uint64_t offset, std::uint64_t end)
{
    if (end < offset || end - offset < kFrameHeadBytes + kFrameCheckBytes) return std::nullopt;
    // Most frames are small: one read brings the whole.
    constexpr std::size_t kGuess = 1024;
    std::string bytes =
        log.read(offset, static_cast<std::size_t>(std::min<std::uint64_t>(kGuess, end - offset)));
    if (bytes.size() < kFrameHeadBytes) return std::nullopt;
    ByteReader head(bytes);
    const std::uint64_t length = head.number(4);
    const auto kind = static_cast<unsigned>(head.number(1));
    Frame frame{.kind = static_cast<FrameKind>(kind & ~kLastBit),
                .last = (kind & kLastBit) != 0,
                .record = head.number(8),
                .before = head.number(8),
                .offset = offset,
                .payload = {}};
    const std::uint64_t whole = kFrameHeadBytes + length + kFrameCheckBytes;
    if (length > kPayloadMax || whole > end - offset || frame.kind < FrameKind::leaf ||
        frame.kind > FrameKind::note)
        return std::nullopt;
    if (whole > bytes.size())
        bytes += log.read(offset + bytes.size(), static_cast<std::size_t>(whole - bytes.size()));
    if (bytes.size() < whole) return std::nullopt;
    const std::string_view plain = std::string_view(bytes).substr(0, kFrameHeadBytes + length);
    frame.payload = plain.substr(kFrameHeadBytes);
    frame.check_holds =
        frame_check(offset, plain) == std::string_view(bytes).substr(plain.size(), kFrameCheckBytes);
    return frame;
}

std::string fresh_salt()
{
    std::string salt(kSaltBytes, '\0');
    crypto::random({reinterpret_cast<std::uint8_t*>(salt.data()), salt.size()});
    return salt;
}

std::string body_context(RecordId record, FrameKind kind, std::uint64_t number)
{
    return "jiphyeon audit body " + std::to_string(record) + " " +
           std::to_string(static_cast<unsigned>(kind)) + " " + std::to_string(number);
}

void Commitment::add(std::string_view part)
{
    std::string length;
    put_number(length, part.size(), 4);
    hash_.update(length);
    hash_.update(part);
}

std::uint64_t key_slot_offset(RecordId record)
{
    return kFileHeaderBytes + record * kKeySlotBytes;
}

namespace {

std::string key_context(RecordId record)
{
    return "jiphyeon audit key " + std::to_string(record);
}

constexpr std::size_t kWrappedBytes = 1 + 12 + 32 + 16;

}  // namespace

std::string wrap_key(const SecretKey& wrapping, const SecretKey& key, RecordId record)
{
    const auto bytes = key.bytes();
    std::string slot = crypto::seal(wrapping, {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                    key_context(record));
    slot.resize(kKeySlotBytes, '\0');
    return slot;
}

KeyState key_state(const AuditFile& keys, RecordId record)
{
    const std::string slot = keys.read(key_slot_offset(record), kKeySlotBytes);
    if (slot.size() < kKeySlotBytes || slot[0] == '\0') return KeyState::missing;
    return slot[0] == kErasedMark ? KeyState::erased : KeyState::present;
}

SecretKey unwrap_key(const AuditFile& keys, const SecretKey& wrapping, RecordId record)
{
    const std::string slot = keys.read_exactly(key_slot_offset(record), kKeySlotBytes);
    std::string bytes =
        crypto::open(wrapping, std::string_view(slot).substr(0, kWrappedBytes), key_context(record));
    SecretKey key =
        SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    bytes.assign(bytes.size(), '\0');
    return key;
}

std::uint64_t tree_offset(std::uint64_t place)
{
    return kFileHeaderBytes + place * 32;
}
std::uint64_t place_offset(std::uint64_t leaf)
{
    return kFileHeaderBytes + leaf * kPlaceBytes;
}

std::string encode_place(const Place& place)
{
    std::string out;
    put_number(out, place.leaf, 8);
    put_number(out, place.last_body, 8);
    put_number(out, place.closed_by, 8);
    return out;
}

Place decode_place(std::string_view bytes)
{
    ByteReader reader(bytes);
    Place place;
    place.leaf = reader.number(8);
    place.last_body = reader.number(8);
    place.closed_by = reader.number(8);
    return place;
}

void write_head(const AuditFile& file, const SecretKey& key, const Head& head)
{
    std::string slot(kHeadMagic);
    put_number(slot, kFormat, 4);
    put_number(slot, head.counter, 8);
    put_number(slot, head.size, 8);
    put_number(slot, head.log_bytes, 8);
    put_number(slot, head.last_checkpoint, 8);
    put_number(slot, head.clean ? 1 : 0, 1);
    slot += as_text(head.root);
    slot += as_text(crypto::mac(key, slot));
    file.write((head.counter % 2) * kHeadSlotDistance, slot);
}

std::optional<Head> read_head(const AuditFile& file, const SecretKey* key)
{
    std::optional<Head> newest;
    for (const std::uint64_t slot : {0u, 1u}) {
        const std::optional<Head> head = parse_head(file.read(slot * kHeadSlotDistance, kHeadSlotBytes), key);
        if (head && (!newest || head->counter > newest->counter)) newest = head;
    }
    return newest;
}

SecretKey wrapping_key_of(const SecretKey& bodies)
{
    return crypto::derive(bodies, "jiphyeon audit body keys");
}
SecretKey head_key_of(const SecretKey& bodies)
{
    return crypto::derive(bodies, "jiphyeon audit head");
}

}  // namespace jiphyeon
