// Words with boxes as the PDF program sends them: triples of bytes as place and letter.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ingest_documents.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace jiphyeon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    test::AnyWords words(text);
    test::NoOcr ocr;
    try {
        test::check(parse_pdf(words, ocr));
    } catch (const Unreadable&) {  // the other good end
    }
    return 0;
}
