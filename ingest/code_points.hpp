// Walking over UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace jiphyeon {

// The code point at `at`, which moves behind it; kNoCodePoint for a byte that begins none.
char32_t next_code_point(std::string_view text, std::size_t& at);
inline constexpr char32_t kNoCodePoint = static_cast<char32_t>(-1);
void append_code_point(std::string& out, char32_t code_point);

}  // namespace jiphyeon
