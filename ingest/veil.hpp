// What a page image of a scan may show beside personal data that was found on it.
#pragma once

#include <map>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

// Recognition misses lines, and misreads numbers so that they are not known for what they are. Where personal
// data was found in a scan, its images therefore show only what was read, and of that no line that looks as
// if it held a number of a person. Collects what may be shown; the rest becomes boxes to paint over.
class Veil {
public:
    // A block as it was read, before masking. hides(start, end): whether something in this range of its text
    // is masked. Blocks that were not recognised from a picture are passed over.
    template <typename Hides>
    void look(const Block& block, const Hides& hides)
    {
        if (block.confidence >= 1) return;
        std::vector<Box>& shown = shown_[block.page];
        for (const Block::Line& line : block.lines)
            if (!hides(line.start, line.end) && !may_hold_number(line_text(block, line)))
                shown.push_back(line.box);
        if (block.lines.empty() && block.box && !hides(0, block.text.size()) && !may_hold_number(block.text))
            shown.push_back(*block.box);
    }
    // Paints over the rest of every recognised page; a page of which nothing may be shown has no image.
    void draw(Document& document) const;

private:
    static bool may_hold_number(std::string_view text);
    static std::string_view line_text(const Block& block, const Block::Line& line)
    {
        return std::string_view(block.text).substr(line.start, line.end - line.start);
    }

    std::map<std::uint32_t, std::vector<Box>> shown_;  // by page
};

// The part of a page outside of `boxes`, as boxes.
std::vector<Box> outside_of(std::uint32_t page, std::span<const Box> boxes);

}  // namespace jiphyeon
