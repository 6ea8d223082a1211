// Tables by their drawn lines, found in a picture of the page.
#pragma once

#include <string_view>
#include <vector>

#include "parse.hpp"

namespace jiphyeon {

struct RuledCell {
    std::uint32_t row = 0, col = 0, rowspan = 1, colspan = 1;
    double left = 0, top = 0, right = 0, bottom = 0;  // shares of the page's width and height, 0..1
};
struct RuledTable {
    std::uint32_t rows = 0, cols = 0;
    double left = 0, top = 0, right = 0, bottom = 0;
    std::vector<RuledCell> cells;  // row by row; frames of a single cell are left out
};
// `pgm`: the page at about `dpi`. Tables from top to bottom, not overlapping.
std::vector<RuledTable> find_ruled_tables(std::string_view pgm, unsigned dpi);

}  // namespace jiphyeon
