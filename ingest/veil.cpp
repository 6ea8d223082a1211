#include "veil.hpp"

#include <algorithm>
#include <set>

namespace jiphyeon {
namespace {

constexpr std::uint16_t kWhole = 1000;
constexpr std::size_t kDigitsOfNumber = 6;
// Lines are boxed at their ink, and painting takes some pixels more on each side; thousandths.
constexpr std::uint16_t kMarginX = 6, kMarginY = 5;

Box with_margin(const Box& box)
{
    const auto less = [](std::uint16_t v, std::uint16_t m) {
        return static_cast<std::uint16_t>(v - std::min(v, m));
    };
    const auto more = [](std::uint16_t v, std::uint16_t m) {
        return static_cast<std::uint16_t>(std::min<unsigned>(v + m, kWhole));
    };
    return {box.page, less(box.left, kMarginX), less(box.top, kMarginY), more(box.right, kMarginX),
            more(box.bottom, kMarginY)};
}

using Span = std::pair<std::uint16_t, std::uint16_t>;  // left, right

// What lies between the boxes that cross a band of the page from its top to its bottom.
std::vector<Span> gaps_of_band(std::span<const Box> boxes, std::uint16_t top, std::uint16_t bottom)
{
    std::vector<Span> taken, gaps;
    for (const Box& box : boxes)
        if (box.top <= top && box.bottom >= bottom) taken.emplace_back(box.left, box.right);
    std::sort(taken.begin(), taken.end());
    std::uint16_t at = 0;
    for (const auto& [left, right] : taken) {
        if (left > at) gaps.emplace_back(at, left);
        at = std::max(at, right);
    }
    if (at < kWhole) gaps.emplace_back(at, kWhole);
    return gaps;
}

}  // namespace

bool Veil::may_hold_number(std::string_view text)
{
    std::size_t digits = 0;
    for (const char c : text) {
        if (c == ' ') digits = 0;
        if (c >= '0' && c <= '9' && ++digits >= kDigitsOfNumber) return true;
    }
    return false;
}

void Veil::draw(Document& document) const
{
    std::set<std::uint32_t> read;
    for (const Block& block : document.blocks) read.insert(block.page);
    for (const auto& [page, boxes] : shown_) {
        if (boxes.empty()) document.hidden_pages.push_back(page);
        const std::vector<Box> rest = outside_of(page, boxes);
        document.hidden.insert(document.hidden.end(), rest.begin(), rest.end());
    }
    if (!document.scanned) return;
    for (std::uint32_t page = 1; page <= document.pages; ++page)
        if (!read.contains(page)) document.hidden_pages.push_back(page);
}

std::vector<Box> outside_of(std::uint32_t page, std::span<const Box> boxes)
{
    std::vector<Box> shown;
    std::set<std::uint16_t> edges = {0, kWhole};
    for (const Box& box : boxes) {
        shown.push_back(with_margin(box));
        edges.insert({shown.back().top, shown.back().bottom});
    }
    std::vector<Box> out;
    std::map<Span, std::size_t> above;  // gaps of the band before: where they are in `out`
    for (auto top = edges.begin(); std::next(top) != edges.end(); ++top) {
        const std::uint16_t bottom = *std::next(top);
        std::map<Span, std::size_t> here;
        for (const Span& gap : gaps_of_band(shown, *top, bottom)) {
            if (const auto same = above.find(gap); same != above.end()) {
                out[same->second].bottom = bottom;
                here[gap] = same->second;
            } else {
                here[gap] = out.size();
                out.push_back({page, gap.first, *top, gap.second, bottom});
            }
        }
        above = std::move(here);
    }
    return out;
}

}  // namespace jiphyeon
