#include "checkpoint.hpp"

#include <algorithm>

#include "audit_bytes.hpp"

namespace jiphyeon {

namespace {

constexpr std::string_view kDash = "\xe2\x80\x94 ";  // em dash and a space
constexpr char kEcdsa = 2;
constexpr std::size_t kKeyIdBytes = 4;
constexpr std::size_t kNoteMax = 65'536;

AuditError corrupt(const char* what)
{
    return {AuditError::Kind::corrupt, what};
}

std::string key_id(std::string_view public_key_der)
{
    return std::string(as_text(crypto::sha256(public_key_der)).substr(0, kKeyIdBytes));
}

// What was signed: up to and with the newline before the blank line that stands last.
std::string_view signed_part(std::string_view note)
{
    const std::size_t blank = note.rfind("\n\n");
    if (blank == std::string_view::npos) throw corrupt("a checkpoint without signatures");
    return note.substr(0, blank + 1);
}

std::string_view take_line(std::string_view& rest)
{
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) throw corrupt("a checkpoint that ends within a line");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return line;
}

std::uint64_t parse_size(std::string_view text)
{
    if (text.empty() || text.size() > 19 || (text.size() > 1 && text[0] == '0') ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
        throw corrupt("a checkpoint whose size is not a number");
    std::uint64_t value = 0;
    for (const char c : text) value = value * 10 + static_cast<std::uint64_t>(c - '0');
    return value;
}

std::string decode_base64(std::string_view text)
{
    try {
        return crypto::from_base64(text);
    } catch (const CryptoError&) {
        throw corrupt("a checkpoint with something else where base64 belongs");
    }
}

}  // namespace

void check_origin(std::string_view origin)
{
    const bool plain =
        std::all_of(origin.begin(), origin.end(), [](char c) { return c > ' ' && c != '+' && c != 0x7f; });
    // All beyond ASCII is refused with the rest: among it are Unicode's spaces.
    if (origin.empty() || origin.size() > 255 || !plain)
        throw corrupt("not a name for a log: spaces, '+' or no ASCII");
}

Checkpoint sign_checkpoint(const crypto::SigningKey& signer, const std::string& origin, std::uint64_t size,
                           const Digest& root)
{
    std::string text = origin + "\n" + std::to_string(size) + "\n" + crypto::base64(as_text(root)) + "\n";
    const std::string signature = key_id(signer.public_key_der()) + signer.sign(text);
    text += "\n" + std::string(kDash) + origin + " " + crypto::base64(signature) + "\n";
    return {.text = std::move(text), .size = size, .root = root};
}

CheckpointText parse_checkpoint(std::string_view text)
{
    if (text.size() > kNoteMax) throw corrupt("a checkpoint of more than 64 KiB");
    std::string_view rest = signed_part(text);
    CheckpointText out;
    out.origin = take_line(rest);
    check_origin(out.origin);
    out.size = parse_size(take_line(rest));
    const std::string root = decode_base64(take_line(rest));
    if (root.size() != out.root.size()) throw corrupt("a checkpoint whose root is not 32 bytes");
    std::transform(root.begin(), root.end(), out.root.begin(),
                   [](char c) { return static_cast<std::uint8_t>(c); });
    if (!rest.empty()) throw corrupt("a checkpoint with lines that this log does not write");
    return out;
}

bool checkpoint_signed_by(std::string_view text, std::string_view public_key_der)
{
    const CheckpointText facts = parse_checkpoint(text);
    const std::string_view message = signed_part(text);
    const std::string id = key_id(public_key_der);
    for (std::string_view rest = text.substr(message.size() + 1); !rest.empty();) {
        std::string_view line = take_line(rest);
        if (!line.starts_with(kDash)) throw corrupt("a signature line that is none");
        line.remove_prefix(kDash.size());
        const std::size_t space = line.find(' ');
        if (space == std::string_view::npos) throw corrupt("a signature line that is none");
        const std::string signature = decode_base64(line.substr(space + 1));
        if (line.substr(0, space) != facts.origin || !signature.starts_with(id)) continue;
        return crypto::verify(public_key_der, message, std::string_view(signature).substr(kKeyIdBytes));
    }
    return false;
}

std::string verifier_key(std::string_view origin, std::string_view public_key_der)
{
    const std::string id = key_id(public_key_der);
    return std::string(origin) + "+" +
           crypto::hex({reinterpret_cast<const std::uint8_t*>(id.data()), id.size()}) + "+" +
           crypto::base64(kEcdsa + std::string(public_key_der));
}

VerifierKey parse_verifier_key(std::string_view text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    const std::size_t first = text.find('+');
    const std::size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
    if (second == std::string_view::npos) throw corrupt("not a verifier key");
    VerifierKey key;
    key.origin = text.substr(0, first);
    check_origin(key.origin);
    key.public_key_der = decode_base64(text.substr(second + 1));
    if (key.public_key_der.empty() || key.public_key_der[0] != kEcdsa)
        throw corrupt("a verifier key of another kind");
    key.public_key_der.erase(0, 1);
    if (verifier_key(key.origin, key.public_key_der) != text)
        throw corrupt("a verifier key whose id does not fit");
    return key;
}

}  // namespace jiphyeon
