// Between UTF-8 and code points.
#pragma once

#include <string>
#include <string_view>

namespace jiphyeon {

void append_utf8(std::string& out, char32_t c);
std::string encode_utf8(std::u32string_view text);
std::u32string decode_utf8(std::string_view well_formed);

}  // namespace jiphyeon
