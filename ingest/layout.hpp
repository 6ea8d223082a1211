// From words with boxes to lines in reading order, as a person reads the page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parse.hpp"

namespace jiphyeon {

struct TextLine {
    std::string text;
    double left = 0, top = 0, right = 0, bottom = 0;  // points
    double size = 0;                                  // of most of its letters
    std::uint32_t column = 0;  // lines of one column follow one another; a new number is a new column
    double column_left = 0, column_right = 0;
};

// Upright words become lines; then columns are found, and each is read to its end before the next. Words that
// do not stand upright come last, each run as a line of its own.
std::vector<TextLine> read_lines(const PdfPage& page);

// Whether the text layer is what a person sees: Hangul outside KS X 1001, too few or too many finals,
// replacement and private-use characters tell of a font without a map to Unicode.
bool text_is_garbage(const PdfPage& page);

}  // namespace jiphyeon
