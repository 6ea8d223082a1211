// A stored leaf decodes to what encodes to the same bytes, or is refused.
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "jiphyeon/audit.hpp"

using namespace jiphyeon;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    try {
        const Leaf leaf = Leaf::decode(bytes);
        assert(leaf.encode() == bytes);
    } catch (const AuditError& e) {
        assert(e.kind == AuditError::Kind::corrupt);
    }
    return 0;
}
