// What a parser child sends, and what the index keeps as a view.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ingest_documents.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace jiphyeon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const Document document = Document::from_json(text);
        const Document again = Document::from_json(document.to_json());
        if (again.blocks.size() != document.blocks.size()) __builtin_trap();
    } catch (const IngestError&) {  // the other good end
    }
    return 0;
}
