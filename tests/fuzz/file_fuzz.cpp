// Any bytes, told apart by content: archives, text of any encoding, pictures.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ingest_documents.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace jiphyeon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    test::check(test::parse("file", text));
    return 0;
}
