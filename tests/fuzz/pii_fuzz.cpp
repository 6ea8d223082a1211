// Any bytes: finds are ascending, apart and on character borders, masking keeps everything else, and a
// stream in two pieces hides what the whole text's identifiers are.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>

#include "jiphyeon/pii.hpp"
#include "jiphyeon/policy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    std::size_t end = 0;
    for (const jiphyeon::PiiSpan& span : jiphyeon::find_pii(text)) {
        assert(span.start >= end && span.start < span.end && span.end <= text.size());
        assert(span.confidence > 0 && span.confidence <= 1);
        end = span.end;
    }

    const jiphyeon::Masked masked = jiphyeon::mask(text);
    std::string rebuilt;
    std::size_t done = 0, masked_done = 0;
    for (const jiphyeon::Masked::Piece& piece : masked.pieces) {
        rebuilt += masked.text.substr(masked_done, piece.masked_start - masked_done);
        rebuilt += text.substr(piece.start, piece.end - piece.start);
        assert(piece.start >= done);
        done = piece.end;
        masked_done = piece.masked_end;
    }
    rebuilt += masked.text.substr(masked_done);
    assert(rebuilt == text);

    jiphyeon::StreamMask stream;
    std::string out = stream.push(std::string_view(text).substr(0, size / 2));
    out += stream.push(std::string_view(text).substr(size / 2));
    out += stream.flush();
    if (masked.pieces.empty()) assert(out == text);

    const auto mark = jiphyeon::find_secret_mark(text);
    assert(!mark || (mark->start < mark->end && mark->end <= text.size()));
    return 0;
}
