// A grammar, a zero byte, and a text for it; after another zero byte a passage to quote from. Whatever the
// grammar, it is refused with a place or it runs; a text is taken in pieces as it is taken whole, what is
// forced is accepted, and what is quoted stands in the passage.
#include "grammar.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "jiphyeon/llm_engine.hpp"

namespace {

void check_quoted(const jiphyeon::GrammarState& state, std::string_view written, std::string_view passage)
{
    for (const auto& [end, span] : state.quoted()) {
        const std::size_t start = state.grammar().quotable()->source_of(span).start;
        assert(span.bytes > 0);
        assert(passage.substr(start, span.bytes) == written.substr(end - span.bytes, span.bytes));
        assert(written.substr(0, end - span.bytes).ends_with("“") && written.substr(end).starts_with("”"));
    }
}

void run(jiphyeon::GrammarState state, std::string_view text, std::string_view passage)
{
    std::string written;
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
        } else if (state.advance(byte)) {
            written += byte;
        } else {
            break;
        }
    }
    check_quoted(state, written, passage);
}

std::shared_ptr<const jiphyeon::Quotable> quotable_of(std::string_view passage)
{
    if (passage.empty()) return nullptr;
    return std::make_shared<jiphyeon::Quotable>(jiphyeon::Quoting{.passages = {std::string(passage)}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto after_zero = [](std::string_view part) {
        const std::size_t zero = part.find('\0');
        return zero == std::string_view::npos ? std::string_view() : part.substr(zero + 1);
    };
    const std::string_view rest = after_zero(input);
    const std::string_view passage = after_zero(rest);
    try {
        const auto grammar =
            jiphyeon::Grammar::parse(input.substr(0, input.find('\0')), quotable_of(passage));
        run(jiphyeon::GrammarState(grammar), rest.substr(0, rest.find('\0')), passage);
    } catch (const jiphyeon::EngineError& error) {
        assert(error.kind == jiphyeon::EngineError::Kind::bad_request);
    }
    return 0;
}
