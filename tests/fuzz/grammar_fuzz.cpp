// A grammar, a zero byte, and a text for it. Whatever the grammar, it is refused with a place or it runs; a
// text is taken in pieces as it is taken whole, and what is forced is accepted.
#include "grammar.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "jiphyeon/llm_engine.hpp"

namespace {

void run(jiphyeon::GrammarState state, std::string_view text)
{
    for (std::size_t i = 0; i < text.size() && i < 256; ++i) {
        const std::string_view byte = text.substr(i, 1);
        const std::string_view piece = text.substr(i, 3);
        jiphyeon::GrammarState whole = state;
        const bool accepted = state.accepts(piece);
        assert(whole.advance(piece) == accepted);
        jiphyeon::GrammarState bytewise = state;
        bool taken = true;
        for (const char& c : piece) taken = taken && bytewise.advance({&c, 1});
        assert(taken == accepted);
        if (accepted)
            assert(whole.may_end() == bytewise.may_end() && whole.first_bytes() == bytewise.first_bytes());

        const std::string forced = state.forced();
        assert(state.accepts(forced));
        if (const auto slot = state.at_slot()) {
            assert(state.first_bytes().none() && !state.may_end());
            state.pass_slot(*slot);
        } else if (!state.advance(byte)) {
            return;
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = input.find('\0');
    const std::string_view text = end == std::string_view::npos ? input : input.substr(end + 1);
    try {
        run(jiphyeon::GrammarState(jiphyeon::Grammar::parse(input.substr(0, end))), text);
    } catch (const jiphyeon::EngineError& error) {
        assert(error.kind == jiphyeon::EngineError::Kind::bad_request);
    }
    return 0;
}
