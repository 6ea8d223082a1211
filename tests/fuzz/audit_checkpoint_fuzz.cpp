// The text of a checkpoint or of a verifier key is read or refused; one that is read has one spelling.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>

#include "checkpoint.hpp"

using namespace jiphyeon;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const std::string public_key = crypto::SigningKey::generate().public_key_der();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const CheckpointText facts = parse_checkpoint(text);
        const std::string_view root(reinterpret_cast<const char*>(facts.root.data()), facts.root.size());
        assert(text.starts_with(facts.origin + "\n" + std::to_string(facts.size) + "\n" +
                                crypto::base64(root) + "\n\n"));
        assert(!checkpoint_signed_by(text, public_key));  // nobody has its private half
    } catch (const AuditError& e) {
        assert(e.kind == AuditError::Kind::corrupt);
    }
    try {
        const VerifierKey key = parse_verifier_key(text);
        assert(text.starts_with(verifier_key(key.origin, key.public_key_der)));
    } catch (const AuditError& e) {
        assert(e.kind == AuditError::Kind::corrupt);
    }
    return 0;
}
