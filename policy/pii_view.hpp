// Text as the recognisers see it: code points, each with the bytes of the original it came from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

struct View {
    std::u32string text;
    std::vector<std::uint32_t> start, end;  // bytes of the original, one entry per code point of `text`

    void add(char32_t c, std::size_t from, std::size_t to)
    {
        text += c;
        start.push_back(static_cast<std::uint32_t>(from));
        end.push_back(static_cast<std::uint32_t>(to));
    }
};

// One code point per code point; an invalid byte becomes U+FFFD.
View plain_view(std::string_view text);

// Digits of any script and shape to ASCII, full width to half, dashes to '-', middle dots to '.', blanks to
// ' ', jamo sequences to syllables; what cannot be seen is left out. Nothing where that changes nothing.
std::optional<View> folded_view(const View& plain);

// On top of a folded view: numerals written in Hangul ("공일공에 …") and letters that OCR and typists put for
// digits (O, l, S, …) become digits, where a long enough run of them stands. Nothing where there is none.
std::optional<View> guessed_view(const View& folded);

bool is_invisible(char32_t c);

}  // namespace jiphyeon
