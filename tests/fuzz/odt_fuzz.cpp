// The content of an ODT.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ingest_documents.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace jiphyeon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    test::check(test::parse("a.odt", test::make_zip({{"mimetype", "application/vnd.oasis.opendocument.text"},
                                                     {"content.xml", std::string(text)}})));
    return 0;
}
