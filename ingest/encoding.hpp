// From bytes of unknown encoding to UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace jiphyeon {

struct Decoded {
    std::string text;      // UTF-8
    std::string encoding;  // "UTF-8", "UTF-16LE", "UTF-16BE", "CP949"; empty: no text
};
// By mark, by validity, by statistics. CP949 is accepted only where it reads without a gap.
Decoded decode_text(std::string_view bytes);
bool is_utf8(std::string_view bytes);
// By a declared name (mail, HTML); falls back to decode_text when the name is unknown.
std::string decode_named(std::string_view bytes, std::string_view charset);
// A name in an archive: UTF-8, or CP949 as Korean Windows writes it.
std::string decode_file_name(std::string_view bytes);

}  // namespace jiphyeon
