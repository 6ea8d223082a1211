#include "code_points.hpp"

#include <unicode/utf8.h>

#include <cstdint>

namespace jiphyeon {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"  // ICU's macros narrow on purpose
char32_t next_code_point(std::string_view text, std::size_t& at)
{
    auto next = static_cast<std::int64_t>(at);
    UChar32 c = 0;
    U8_NEXT(text.data(), next, static_cast<std::int64_t>(text.size()), c);
    at = static_cast<std::size_t>(next);
    return c < 0 ? kNoCodePoint : static_cast<char32_t>(c);
}

void append_code_point(std::string& out, char32_t code_point)
{
    char buffer[4];
    int length = 0;
    U8_APPEND_UNSAFE(buffer, length, code_point);
    out.append(buffer, static_cast<std::size_t>(length));
}
#pragma GCC diagnostic pop

}  // namespace jiphyeon
