// Any bytes as a template: it renders or is refused, within the bounds, and no byte of a turn's text comes
// out as one of the template's.
#include "jinja.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "jiphyeon/llm_engine.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace jiphyeon;
    using namespace jiphyeon::jinja;
    const std::string_view source(reinterpret_cast<const char*>(data), size);
    // Only a template that holds the second byte, or an escape, can write the character of its own.
    constexpr std::string_view kTurn = "\xED\x9E\xA3 \xED\x9E\xA3\n";  // U+D7A3
    const auto turn = [&](std::string_view role) {
        return mapping_of(
            {{"role", text_of(Text::of_template(role))}, {"content", text_of(Text::of_turn(kTurn))}});
    };
    const bool names_it =
        source.find('\x9E') != std::string_view::npos || source.find('\\') != std::string_view::npos;
    try {
        const Text text =
            Template(source).render({{"messages", list_of({turn("system"), turn("user"), turn("assistant")})},
                                     {"add_generation_prompt", {true}},
                                     {"bos_token", text_of(Text::of_template("<s>"))}});
        for (std::size_t at = text.bytes().find(kTurn.substr(0, 3)); at != std::string::npos && !names_it;
             at = text.bytes().find(kTurn.substr(0, 3), at + 1)) {
            for (std::size_t i = at; i < at + 3; ++i) assert(!text.is_of_template(i));
        }
    } catch (const EngineError& error) {
        assert(error.kind == EngineError::Kind::unsupported || error.kind == EngineError::Kind::too_large ||
               error.kind == EngineError::Kind::bad_request);
    }
    return 0;
}
