// Any bytes as a row of the index: read or refused, and what is read is written back to what reads the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "jiphyeon/index.hpp"
#include "postings.hpp"
#include "records.hpp"

namespace {

using namespace jiphyeon;

template <typename Read, typename Write>
void twice(std::string_view bytes, Read read, Write write)
{
    try {
        const std::string written = write(read(bytes));
        if (write(read(written)) != written) std::abort();
    } catch (const IndexError&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    twice(bytes, decode_document, encode_document);
    twice(bytes, decode_chunk, encode_chunk);
    twice(
        bytes,
        [](std::string_view row) {
            std::vector<Posting> list;
            decode_postings(row, 3, list);
            return list;
        },
        [](const std::vector<Posting>& list) { return encode_postings(PostingsKind::add, list); });
    try {
        parse_postings_key(bytes);
    } catch (const IndexError&) {
    }
    return 0;
}
