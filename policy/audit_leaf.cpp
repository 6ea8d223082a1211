// The canonical bytes of a leaf: a format number, then each field with its length before it. There is one
// encoding of each leaf, and decode refuses every other, so that equal leaves have equal hashes.
#include "audit_bytes.hpp"
#include "jiphyeon/audit.hpp"

namespace jiphyeon {

namespace {

constexpr char kLeafFormat = 1;

std::string eight_bytes(std::uint64_t value)
{
    std::string out;
    put_number(out, value, 8);
    return out;
}

// A number whose field has the length that encode gives it.
std::uint64_t number_field(ByteReader& reader)
{
    ByteReader field(reader.field());
    const std::uint64_t value = field.number(8);
    if (!field.empty()) throw AuditError(AuditError::Kind::corrupt, "a number of a leaf has a wrong length");
    return value;
}

Digest digest_field(ByteReader& reader)
{
    ByteReader field(reader.field());
    const Digest value = field.digest();
    if (!field.empty()) throw AuditError(AuditError::Kind::corrupt, "a hash of a leaf has a wrong length");
    return value;
}

}  // namespace

std::string Leaf::encode() const
{
    std::string out(1, kLeafFormat);
    put_field(out, eight_bytes(sequence));
    put_field(out, eight_bytes(static_cast<std::uint64_t>(utc_us)));
    put_field(out, eight_bytes(static_cast<std::uint64_t>(boottime_us)));
    for (const std::string* text : {&boot_id, &actor, &os_user, &session, &origin, &action})
        put_field(out, *text);
    put_field(out, record ? eight_bytes(*record) : std::string());
    put_field(out, outcome);
    std::string list;
    for (const std::string& object : objects) put_field(list, object);
    put_field(out, list);
    put_field(out, model_sha256);
    put_field(out, as_text(commitment));
    put_field(out, as_text(previous));
    return out;
}

Leaf Leaf::decode(std::string_view bytes)
{
    ByteReader reader(bytes);
    if (reader.take(1)[0] != kLeafFormat)
        throw AuditError(AuditError::Kind::corrupt, "a leaf of a format that is not known here");
    Leaf leaf;
    leaf.sequence = number_field(reader);
    leaf.utc_us = static_cast<std::int64_t>(number_field(reader));
    leaf.boottime_us = static_cast<std::int64_t>(number_field(reader));
    for (std::string* text :
         {&leaf.boot_id, &leaf.actor, &leaf.os_user, &leaf.session, &leaf.origin, &leaf.action})
        *text = reader.field();
    if (ByteReader record(reader.field()); !record.empty()) {
        leaf.record = record.number(8);
        if (!record.empty())
            throw AuditError(AuditError::Kind::corrupt, "a number of a leaf has a wrong length");
    }
    leaf.outcome = reader.field();
    for (ByteReader list(reader.field()); !list.empty();) leaf.objects.emplace_back(list.field());
    leaf.model_sha256 = reader.field();
    leaf.commitment = digest_field(reader);
    leaf.previous = digest_field(reader);
    if (!reader.empty()) throw AuditError(AuditError::Kind::corrupt, "bytes after the end of a leaf");
    return leaf;
}

Digest leaf_hash(std::string_view encoded)
{
    crypto::Sha256 hash;
    hash.update(std::string_view("\0", 1));
    hash.update(encoded);
    return hash.finish();
}

}  // namespace jiphyeon
