// Signed tree heads: C2SP tlog-checkpoint in a C2SP signed note with ECDSA (signature type 0x02).
#pragma once

#include <string>
#include <string_view>

#include "jiphyeon/audit.hpp"

namespace jiphyeon {

// The name of a key in notes: no space, no plus, no control character, not empty. Throws corrupt.
void check_origin(std::string_view origin);

Checkpoint sign_checkpoint(const crypto::SigningKey& signer, const std::string& origin, std::uint64_t size,
                           const Digest& root);

struct CheckpointText {
    std::string origin;
    std::uint64_t size = 0;
    Digest root{};
};
// The three facts, unsigned. Throws corrupt when the text is not a checkpoint in its one spelling.
CheckpointText parse_checkpoint(std::string_view text);
// Whether the key has signed it. Signatures of other keys (witnesses) are passed over.
bool checkpoint_signed_by(std::string_view text, std::string_view public_key_der);

// "<origin>+<key id in hex>+<base64 of 0x02 and the key>": the form in which an auditor keeps the key.
std::string verifier_key(std::string_view origin, std::string_view public_key_der);
struct VerifierKey {
    std::string origin;
    std::string public_key_der;
};
VerifierKey parse_verifier_key(std::string_view text);  // throws corrupt

}  // namespace jiphyeon
