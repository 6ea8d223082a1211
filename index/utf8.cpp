#include "utf8.hpp"

namespace jiphyeon {

void append_utf8(std::string& out, char32_t c)
{
    if (c < 0x80) {
        out += static_cast<char>(c);
        return;
    }
    if (c < 0x800) {
        out += static_cast<char>(0xC0 | (c >> 6));
    } else {
        if (c < 0x10000) {
            out += static_cast<char>(0xE0 | (c >> 12));
        } else {
            out += static_cast<char>(0xF0 | (c >> 18));
            out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
        }
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    }
    out += static_cast<char>(0x80 | (c & 0x3F));
}

std::string encode_utf8(std::u32string_view text)
{
    std::string out;
    out.reserve(text.size() * 3);
    for (const char32_t c : text) append_utf8(out, c);
    return out;
}

std::u32string decode_utf8(std::string_view well_formed)
{
    std::u32string out;
    out.reserve(well_formed.size() / 2);
    for (std::size_t i = 0; i < well_formed.size();) {
        const auto lead = static_cast<unsigned char>(well_formed[i]);
        const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        char32_t c = length == 1 ? lead : lead & (0x7Fu >> length);
        for (std::size_t j = 1; j < length; ++j) {
            c = (c << 6) | (static_cast<unsigned char>(well_formed[i + j]) & 0x3F);
        }
        out += c;
        i += length;
    }
    return out;
}

}  // namespace jiphyeon
