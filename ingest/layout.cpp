// Lines by overlap, then columns by the one gutter that fewest lines cross. Lines that cross it (titles, wide
// tables) are barriers: columns are read to their ends between two barriers. A table has gutters too; what
// tells text columns from it is that their lines fill them.
#include "layout.hpp"

#include <unicode/ucnv.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "code_points.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kColumnLinesMin = 5;
constexpr double kGutterMin = 6;  // points

void add_word(TextLine& line, const PdfWord& word, bool spaced)
{
    if (!line.text.empty() && spaced) line.text.push_back(' ');
    line.text += word.text;
    line.left = std::min(line.left, word.left);
    line.right = std::max(line.right, word.right);
    line.top = std::min(line.top, word.top);
    line.bottom = std::max(line.bottom, word.bottom);
}

TextLine line_of(const PdfWord& word)
{
    TextLine line;
    line.text = word.text;
    line.left = word.left;
    line.top = word.top;
    line.right = word.right;
    line.bottom = word.bottom;
    line.size = word.size;
    return line;
}

// Words that stand on one line and near to one another. A wide gap begins another fragment: it may be a
// gutter or a table's cell.
std::vector<TextLine> fragments(std::vector<const PdfWord*> words)
{
    std::stable_sort(words.begin(), words.end(), [](const PdfWord* a, const PdfWord* b) {
        return a->top + a->bottom < b->top + b->bottom;
    });
    std::vector<std::vector<const PdfWord*>> rows;
    for (const PdfWord* word : words) {
        const double middle = (word->top + word->bottom) / 2;
        bool placed = false;
        for (std::size_t back = 0; back < 4 && back < rows.size() && !placed; ++back) {
            std::vector<const PdfWord*>& row = rows[rows.size() - 1 - back];
            const double row_middle = (row.front()->top + row.front()->bottom) / 2;
            const double height = std::min(word->bottom - word->top, row.front()->bottom - row.front()->top);
            if (std::abs(middle - row_middle) < height * 0.45) {
                row.push_back(word);
                placed = true;
            }
        }
        if (!placed) rows.push_back({word});
    }
    std::vector<TextLine> lines;
    for (std::vector<const PdfWord*>& row : rows) {
        std::stable_sort(row.begin(), row.end(),
                         [](const PdfWord* a, const PdfWord* b) { return a->left < b->left; });
        const PdfWord* before = nullptr;
        for (const PdfWord* word : row) {
            const double size = std::max(word->size, 4.0);
            const double gap = before == nullptr ? 0 : word->left - before->right;
            if (before == nullptr || gap > size * 1.6) {
                lines.push_back(line_of(*word));
            } else {
                add_word(lines.back(), *word, before->space_after || gap > size * 0.18);
            }
            before = word;
        }
    }
    return lines;
}

double median(std::vector<double> values)
{
    if (values.empty()) return 0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// Do the lines fill the width they stand in, as running text does?
bool fills(const std::vector<const TextLine*>& lines, double& left, double& right)
{
    if (lines.size() < kColumnLinesMin) return false;
    left = 1e9, right = -1e9;
    for (const TextLine* line : lines) {
        left = std::min(left, line->left);
        right = std::max(right, line->right);
    }
    std::vector<double> widths;
    for (const TextLine* line : lines) widths.push_back(line->right - line->left);
    return right - left > 90 && median(widths) > 0.62 * (right - left);
}

struct Columns {
    double gutter = 0;
    bool found = false;
};

Columns find_gutter(const std::vector<TextLine>& lines, double left, double right)
{
    Columns best;
    std::size_t best_crossing = lines.size();
    const double width = right - left;
    for (double x = left + width * 0.25; x <= left + width * 0.75; x += 2) {
        std::size_t crossing = 0;
        std::vector<const TextLine*> before, after;
        double gap_left = left, gap_right = right;
        for (const TextLine& line : lines) {
            if (line.right <= x) {
                before.push_back(&line);
                gap_left = std::max(gap_left, line.right);
            } else if (line.left >= x) {
                after.push_back(&line);
                gap_right = std::min(gap_right, line.left);
            } else {
                ++crossing;
            }
        }
        double l = 0, r = 0;
        if (crossing * 3 > lines.size() || crossing >= best_crossing || gap_right - gap_left < kGutterMin)
            continue;
        if (!fills(before, l, r) || !fills(after, l, r)) continue;
        best = {(gap_left + gap_right) / 2, true};
        best_crossing = crossing;
    }
    return best;
}

class Reader {
public:
    std::vector<TextLine> read(std::vector<TextLine> lines)
    {
        region(std::move(lines), 0);
        return std::move(out_);
    }

private:
    void region(std::vector<TextLine> lines, unsigned depth)
    {
        if (lines.empty()) return;
        double left = 1e9, right = -1e9;
        for (const TextLine& line : lines) {
            left = std::min(left, line.left);
            right = std::max(right, line.right);
        }
        const Columns columns = depth < 3 ? find_gutter(lines, left, right) : Columns{};
        if (!columns.found) {
            rows(std::move(lines), left, right);
            return;
        }
        std::stable_sort(lines.begin(), lines.end(),
                         [](const TextLine& a, const TextLine& b) { return a.top < b.top; });
        std::vector<TextLine> first, second, barrier;
        const auto flush = [&] {
            region(std::exchange(first, {}), depth + 1);
            region(std::exchange(second, {}), depth + 1);
        };
        for (TextLine& line : lines) {
            const bool crosses = line.left < columns.gutter && line.right > columns.gutter;
            if (crosses) {
                flush();
                barrier.push_back(std::move(line));
                continue;
            }
            if (!barrier.empty()) rows(std::exchange(barrier, {}), left, right);
            (line.right <= columns.gutter ? first : second).push_back(std::move(line));
        }
        if (!barrier.empty()) rows(std::move(barrier), left, right);
        flush();
    }

    // Top to bottom; fragments of one row become one line again.
    void rows(std::vector<TextLine> lines, double left, double right)
    {
        ++column_;
        std::stable_sort(lines.begin(), lines.end(), [](const TextLine& a, const TextLine& b) {
            return a.top + a.bottom < b.top + b.bottom;
        });
        std::vector<std::vector<TextLine>> grouped;
        for (TextLine& line : lines) {
            const bool same = !grouped.empty() &&
                              std::abs((grouped.back().front().top + grouped.back().front().bottom) / 2 -
                                       (line.top + line.bottom) / 2) <
                                  0.4 * std::min(grouped.back().front().bottom - grouped.back().front().top,
                                                 line.bottom - line.top);
            if (!same) grouped.emplace_back();
            grouped.back().push_back(std::move(line));
        }
        for (std::vector<TextLine>& group : grouped) {
            std::stable_sort(group.begin(), group.end(),
                             [](const TextLine& a, const TextLine& b) { return a.left < b.left; });
            TextLine whole = std::move(group.front());
            for (std::size_t i = 1; i < group.size(); ++i) {
                whole.text += " " + group[i].text;
                whole.right = std::max(whole.right, group[i].right);
                whole.top = std::min(whole.top, group[i].top);
                whole.bottom = std::max(whole.bottom, group[i].bottom);
                whole.size = std::max(whole.size, group[i].size);
            }
            whole.column = column_;
            whole.column_left = left;
            whole.column_right = right;
            out_.push_back(std::move(whole));
        }
    }

    std::vector<TextLine> out_;
    std::uint32_t column_ = 0;
};

// KS X 1001 holds 2,350 syllables; no Korean public text was seen to use another. Made once from the
// converter.
const std::vector<bool>& common_syllables()
{
    static const std::vector<bool> kTable = [] {
        std::vector<bool> table(11'172, false);
        UErrorCode status = U_ZERO_ERROR;
        UConverter* euc = ucnv_open("EUC-KR", &status);
        for (int high = 0xB0; U_SUCCESS(status) && high <= 0xC8; ++high)
            for (int low = 0xA1; low <= 0xFE; ++low) {
                const char bytes[2] = {static_cast<char>(high), static_cast<char>(low)};
                UChar out[4];
                UErrorCode one = U_ZERO_ERROR;
                const int32_t length = ucnv_toUChars(euc, out, 4, bytes, 2, &one);
                if (U_SUCCESS(one) && length == 1 && out[0] >= 0xAC00 && out[0] <= 0xD7A3)
                    table[out[0] - 0xAC00u] = true;
            }
        ucnv_close(euc);
        return table;
    }();
    return kTable;
}

}  // namespace

std::vector<TextLine> read_lines(const PdfPage& page)
{
    std::vector<const PdfWord*> upright;
    std::vector<TextLine> turned;
    for (const PdfWord& word : page.words) {
        const bool visible = word.right > word.left && word.bottom > word.top && word.right > 0 &&
                             word.bottom > 0 && word.left < page.width && word.top < page.height &&
                             !word.text.empty();
        if (!visible) continue;
        if (word.upright) {
            upright.push_back(&word);
        } else if (!turned.empty() && std::abs(turned.back().left - word.left) < word.size) {
            add_word(turned.back(), word, true);
        } else {
            turned.push_back(line_of(word));
        }
    }
    std::vector<TextLine> lines = Reader().read(fragments(std::move(upright)));
    const std::uint32_t next = lines.empty() ? 1 : lines.back().column + 1;
    for (TextLine& line : turned) {
        line.column = next;
        line.column_left = line.left;
        line.column_right = line.right;
        lines.push_back(std::move(line));
    }
    return lines;
}

bool text_is_garbage(const PdfPage& page)
{
    std::size_t all = 0, hangul = 0, rare = 0, finals = 0, wrong = 0;
    const std::vector<bool>& common = common_syllables();
    for (const PdfWord& word : page.words) {
        for (std::size_t at = 0; at < word.text.size();) {
            const char32_t c = next_code_point(word.text, at);
            ++all;
            if (c >= 0xAC00 && c <= 0xD7A3) {
                ++hangul;
                rare += !common[static_cast<std::size_t>(c - 0xAC00)];
                finals += (c - 0xAC00) % 28 != 0;
            } else if (c == kNoCodePoint || c == 0xFFFD || c < 0x20 || (c >= 0xE000 && c <= 0xF8FF) ||
                       (c >= 0xA000 && c <= 0xA4CF) || (c >= 0x1200 && c <= 0x139F) ||
                       (c >= 0x3400 && c <= 0x4DBF)) {
                ++wrong;
            }
        }
    }
    if (all < 40) return false;
    if (wrong * 50 > all) return wrong > 10;
    if (hangul < 200) return false;
    if (rare > 4 && rare * 500 > hangul) return true;
    const double share = static_cast<double>(finals) / static_cast<double>(hangul);
    return share < 0.30 || share > 0.66;
}

}  // namespace jiphyeon
