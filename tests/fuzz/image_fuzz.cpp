// Pictures, read page by page and painted.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ingest_documents.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace jiphyeon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        test::NoOcr ocr;
        test::check(parse_image(text, ocr));
        const jiphyeon::Box hidden{1, 100, 100, 900, 900};
        if (const PixPtr page = read_picture_page(text, 1))
            paint_page(page.get(), 1, 20, std::span(&hidden, 1));
    } catch (const Unreadable&) {  // the other good end
    }
    return 0;
}
