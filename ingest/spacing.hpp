// Where blanks stand in a recognised line, by the ink of the line itself.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace jiphyeon {

struct Symbol {
    std::string text;
    int left = 0, right = 0;  // as recognised: off by up to half a letter
};

// `ink`: for each column of pixels from `left` on, whether anything is printed. Blanks are inserted where the
// gaps in the ink are wide; which letters lie between two gaps is told by how wide the letters are and where
// the recogniser saw them.
std::string spaced_text(const std::vector<Symbol>& symbols, int left, const std::vector<bool>& ink);

}  // namespace jiphyeon
