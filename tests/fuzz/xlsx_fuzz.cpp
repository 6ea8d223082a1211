// A sheet of an XLSX, with shared strings and number formats beside it.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ingest_documents.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace jiphyeon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    test::check(test::parse("a.xlsx", test::make_xlsx(std::string(text))));
    return 0;
}
