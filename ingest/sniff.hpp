// What a file is, by its bytes alone.
#pragma once

#include <cstdint>
#include <string_view>

namespace jiphyeon {

enum class FileKind : std::uint8_t { hwpx, hwp5, hwp3, docx, xlsx, odt, zip, pdf, image, html, eml, text };

// Throws Unreadable: empty, password (locked office documents), unknown_format, truncated.
FileKind sniff(std::string_view bytes);

}  // namespace jiphyeon
