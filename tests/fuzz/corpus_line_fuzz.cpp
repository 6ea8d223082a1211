// Lines of a corpus.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ingest_documents.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace jiphyeon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        test::check(read_corpus_line(text).document);
    } catch (const Unreadable&) {  // the other good end
    }
    return 0;
}
