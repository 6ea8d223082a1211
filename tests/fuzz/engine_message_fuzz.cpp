// A message between the parent and the engine's process. It is refused, or what was read writes the same
// bytes.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>

#include "worker_messages.hpp"

namespace {

using namespace jiphyeon;
using namespace jiphyeon::worker;

std::string rewritten(Header header, std::string_view body)
{
    const std::uint32_t id = header.id;
    switch (header.type) {
        case Type::open:
            return write(id, read_open(body));
        case Type::encode:
            return write(id, read_encode(body));
        case Type::control:
        case Type::text:
            return write_text(header, read_text(body));
        case Type::chat:
            return write(id, read_chat(body));
        case Type::logits:
            return write(id, read_logits(body));
        case Type::embed:
            return write(id, read_embed(body));
        case Type::rerank:
            return write(id, read_rerank(body));
        case Type::generate:
            return write(id, read_generate(body));
        case Type::cancel:
            return write_empty(header) + std::string(body);  // has no fields, and no reader
        case Type::go_on:
            return write_flag(header, read_flag(body));
        case Type::fill:
            return write(id, read_fill(body));
        case Type::opened:
            return write(id, read_opened(body));
        case Type::failed:
            return write(id, read_failed(body));
        case Type::tokens:
            return write_tokens(id, read_tokens(body));
        case Type::floats:
            return write_floats(id, read_floats(body));
        case Type::generated:
            return write(id, read_generated(body));
        case Type::slot:
            return write(id, read_slot(body));
        case Type::progress:
            return write(id, read_progress(body));
    }
    return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view message(reinterpret_cast<const char*>(data), size);
    std::string_view body = message;
    try {
        const Header header = read_header(body);
        assert(rewritten(header, body) == message);
    } catch (const EngineError& error) {
        assert(error.kind == EngineError::Kind::malformed);
    }
    return 0;
}
