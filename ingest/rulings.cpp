// Long horizontal and vertical runs of ink are rulings; rulings that touch are one table. Its grid is every
// place where a ruling stands; places without ink between them are one cell. Korean forms leave the outer
// verticals out: the ends of the horizontals stand in for them.
#include "rulings.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "image.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kTablesMax = 200;  // on one page
constexpr std::size_t kLinesMax = 400;   // rows or columns of one
constexpr double kInkOfEdge = 0.6;       // share of an edge that must be drawn

struct Region {
    int left = 0, top = 0, right = 0, bottom = 0;  // pixels, right and bottom exclusive
};

std::vector<Region> components(Pix* pix)
{
    std::vector<Region> out;
    Boxa* boxes = pixConnCompBB(pix, 8);
    if (boxes == nullptr) return out;
    for (l_int32 i = 0; i < boxaGetCount(boxes) && out.size() < 20'000; ++i) {
        l_int32 x = 0, y = 0, w = 0, h = 0;
        boxaGetBoxGeometry(boxes, i, &x, &y, &w, &h);
        out.push_back({x, y, x + w, y + h});
    }
    boxaDestroy(&boxes);
    return out;
}

bool dark(const Pix* pix, int x, int y)
{
    if (x < 0 || y < 0 || x >= static_cast<int>(pix->w) || y >= static_cast<int>(pix->h)) return false;
    const l_uint32* row = pix->data + static_cast<std::ptrdiff_t>(y) * static_cast<std::ptrdiff_t>(pix->wpl);
    return GET_DATA_BIT(row, x) != 0;
}

// Positions that lie within `near` of one another are one ruling.
std::vector<int> clustered(std::vector<int> values, int near)
{
    std::sort(values.begin(), values.end());
    std::vector<int> out;
    std::size_t first = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const bool last = i + 1 == values.size() || values[i + 1] - values[i] > near;
        if (!last) continue;
        out.push_back((values[first] + values[i]) / 2);
        first = i + 1;
    }
    return out;
}

class Grid {
public:
    Grid(const Pix* horizontal, const Pix* vertical, const Region& region, const std::vector<Region>& across,
         const std::vector<Region>& down, int near)
        : horizontal_(horizontal), vertical_(vertical), near_(near)
    {
        std::vector<int> ys = {region.top, region.bottom - 1}, xs = {region.left, region.right - 1};
        for (const Region& line : across)
            if (inside(line, region)) ys.push_back((line.top + line.bottom) / 2);
        for (const Region& line : down)
            if (inside(line, region)) xs.push_back((line.left + line.right) / 2);
        ys_ = clustered(std::move(ys), near_);
        xs_ = clustered(std::move(xs), near_);
        // Strokes of large letters look like short rulings; a ruling reaches from one row's edge to the next.
        prune(xs_, [&](std::size_t col) {
            for (std::size_t row = 0; row + 1 < ys_.size(); ++row)
                if (ys_[row + 1] - ys_[row] > 3 * near_ && drawn_down(col, row)) return true;
            return false;
        });
        prune(ys_, [&](std::size_t row) {
            for (std::size_t col = 0; col + 1 < xs_.size(); ++col)
                if (xs_[col + 1] - xs_[col] > 3 * near_ && drawn_across(row, col)) return true;
            return false;
        });
    }

    bool usable() const
    {
        return ys_.size() >= 2 && xs_.size() >= 2 && ys_.size() <= kLinesMax && xs_.size() <= kLinesMax &&
               (ys_.size() - 1) * (xs_.size() - 1) > 1;
    }

    RuledTable table() const
    {
        const std::size_t rows = ys_.size() - 1, cols = xs_.size() - 1;
        std::vector<std::size_t> group(rows * cols);
        std::iota(group.begin(), group.end(), std::size_t{0});
        const auto find = [&](std::size_t at) {
            while (group[at] != at) at = group[at] = group[group[at]];
            return at;
        };
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t c = 0; c < cols; ++c) {
                if (c + 1 < cols && !drawn_down(c + 1, r)) group[find(r * cols + c + 1)] = find(r * cols + c);
                if (r + 1 < rows && !drawn_across(r + 1, c))
                    group[find((r + 1) * cols + c)] = find(r * cols + c);
            }
        std::map<std::size_t, Region> spans;  // in places of the grid
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t c = 0; c < cols; ++c) {
                const int row = static_cast<int>(r), col = static_cast<int>(c);
                const auto [it, fresh] =
                    spans.try_emplace(find(r * cols + c), Region{col, row, col + 1, row + 1});
                Region& span = it->second;
                if (fresh) continue;
                span = {std::min(span.left, col), std::min(span.top, row), std::max(span.right, col + 1),
                        std::max(span.bottom, row + 1)};
            }
        RuledTable out;
        out.rows = static_cast<std::uint32_t>(rows);
        out.cols = static_cast<std::uint32_t>(cols);
        const double width = horizontal_->w, height = horizontal_->h;
        out.left = xs_.front() / width, out.right = xs_.back() / width;
        out.top = ys_.front() / height, out.bottom = ys_.back() / height;
        for (const auto& [root, span] : spans) {
            RuledCell cell;
            cell.row = static_cast<std::uint32_t>(span.top), cell.col = static_cast<std::uint32_t>(span.left);
            cell.rowspan = static_cast<std::uint32_t>(span.bottom - span.top);
            cell.colspan = static_cast<std::uint32_t>(span.right - span.left);
            cell.left = xs_[static_cast<std::size_t>(span.left)] / width,
            cell.right = xs_[static_cast<std::size_t>(span.right)] / width;
            cell.top = ys_[static_cast<std::size_t>(span.top)] / height,
            cell.bottom = ys_[static_cast<std::size_t>(span.bottom)] / height;
            out.cells.push_back(cell);
        }
        std::sort(out.cells.begin(), out.cells.end(), [](const RuledCell& a, const RuledCell& b) {
            return std::pair(a.row, a.col) < std::pair(b.row, b.col);
        });
        return out;
    }

private:
    // Keeps the outer positions and those of which `holds`.
    template <class Holds>
    static void prune(std::vector<int>& positions, const Holds& holds)
    {
        std::vector<int> kept;
        for (std::size_t i = 0; i < positions.size(); ++i)
            if (i == 0 || i + 1 == positions.size() || holds(i)) kept.push_back(positions[i]);
        positions = std::move(kept);
    }
    static bool inside(const Region& line, const Region& region)
    {
        return line.left >= region.left && line.right <= region.right && line.top >= region.top &&
               line.bottom <= region.bottom;
    }
    // Is the ruling at xs_[col] drawn beside the row?
    bool drawn_down(std::size_t col, std::size_t row) const
    {
        return drawn(ys_[row], ys_[row + 1], xs_[col],
                     [this](int along, int across) { return dark(vertical_, across, along); });
    }
    bool drawn_across(std::size_t row, std::size_t col) const
    {
        return drawn(xs_[col], xs_[col + 1], ys_[row],
                     [this](int along, int across) { return dark(horizontal_, along, across); });
    }
    // Whether the ruling near `line` is inked between two crossings.
    template <typename Inked>
    bool drawn(int begin, int end, int line, const Inked& inked_at) const
    {
        const int from = begin + near_, to = end - near_;
        int inked = 0;
        for (int along = from; along < to; ++along) {
            bool any = false;
            for (int across = line - near_; across <= line + near_ && !any; ++across)
                any = inked_at(along, across);
            inked += any;
        }
        return to <= from || inked >= kInkOfEdge * (to - from);
    }

    const Pix* horizontal_;
    const Pix* vertical_;
    int near_;
    std::vector<int> ys_, xs_;
};

}  // namespace

std::vector<RuledTable> find_ruled_tables(std::string_view pgm, unsigned dpi)
{
    std::vector<RuledTable> out;
    const PixPtr gray = read_picture(pgm);
    const PixPtr binary(gray ? pixConvertTo1(gray.get(), 170) : nullptr);
    if (!binary) return out;
    const int inch = static_cast<int>(dpi);
    const PixPtr horizontal(pixOpenBrick(nullptr, binary.get(), std::max(inch * 35 / 100, 8), 1));
    const PixPtr vertical(pixOpenBrick(nullptr, binary.get(), 1, std::max(inch * 14 / 100, 6)));
    const PixPtr both(horizontal && vertical ? pixOr(nullptr, horizontal.get(), vertical.get()) : nullptr);
    if (!both) return out;
    // Thin gaps where rulings should meet.
    const PixPtr joined(pixCloseSafeBrick(nullptr, both.get(), 3, 3));
    if (!joined) return out;
    const int near = std::max(inch / 33, 2);
    // Filled areas (shaded header cells) are no rulings.
    const auto thin = [&](std::vector<Region> lines, bool across) {
        std::erase_if(lines, [&](const Region& line) {
            return (across ? line.bottom - line.top : line.right - line.left) > near + 3;
        });
        return lines;
    };
    const std::vector<Region> across = thin(components(horizontal.get()), true);
    const std::vector<Region> down = thin(components(vertical.get()), false);
    for (const Region& region : components(joined.get())) {
        if (out.size() >= kTablesMax) break;
        if (region.right - region.left < inch / 2 || region.bottom - region.top < inch * 14 / 100) continue;
        const Grid grid(horizontal.get(), vertical.get(), region, across, down, near);
        if (!grid.usable()) continue;
        RuledTable table = grid.table();
        if (table.cells.size() > 1) out.push_back(std::move(table));
    }
    std::sort(out.begin(), out.end(), [](const RuledTable& a, const RuledTable& b) {
        return std::pair(a.top, a.left) < std::pair(b.top, b.left);
    });
    // A table within a cell of another is read as part of that cell.
    std::vector<RuledTable> apart;
    for (RuledTable& table : out) {
        const bool within = std::any_of(apart.begin(), apart.end(), [&](const RuledTable& other) {
            return table.left >= other.left && table.right <= other.right && table.top >= other.top &&
                   table.bottom <= other.bottom;
        });
        if (!within) apart.push_back(std::move(table));
    }
    return apart;
}

}  // namespace jiphyeon
