// One character of UTF-8, decoded strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstdint>
#include <string_view>

namespace jiphyeon {

struct Utf8Character {
    std::uint32_t code = 0;
    std::uint32_t length = 0;  // bytes; 0 where the text does not begin with a character
};

inline Utf8Character first_character(std::string_view text)
{
    const auto byte = [&](std::size_t i) -> std::uint32_t { return static_cast<std::uint8_t>(text[i]); };
    if (text.empty()) return {};
    const std::uint32_t lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    if (lead < 0xC2 || lead > 0xF4) return {};
    const std::uint32_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (text.size() < length) return {};
    std::uint32_t code = lead & (0x7Fu >> length);
    for (std::uint32_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3F);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
    return {code, length};
}

}  // namespace jiphyeon
