// Cleaning and assembling. Text is cleaned once, here, so that every parser hands on the same kind of text
// and offsets into it stay true.
#include "builder.hpp"

#include <unicode/normalizer2.h>

#include <algorithm>

#include "code_points.hpp"

namespace jiphyeon {
namespace {

bool is_invisible(char32_t c)
{
    return c == 0x00AD || c == 0x034F || c == 0x061C || c == 0x180E || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0x3164 || c == 0xFFA0 ||
           c == 0xFEFF || (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xFFF9 && c <= 0xFFFB) ||
           (c >= 0xE0000 && c <= 0xE0FFF);
}

bool is_jamo(char32_t c)
{
    return c >= 0x1100 && c <= 0x11FF;
}

bool is_private(char32_t c)
{
    return (c >= 0xE000 && c <= 0xF8FF) || (c >= 0xF0000 && c <= 0xFFFFD) || (c >= 0x100000 && c <= 0x10FFFD);
}

// Symbol-font bullets that office programs write as private-use characters (Wingdings, Hancom).
char32_t known_private(char32_t c)
{
    switch (c) {
        case 0xF0A0:
        case 0xF0A7:
        case 0xF06E:
        case 0xF0A8:
            return 0x25AA;
        case 0xF09F:
        case 0xF0B7:
        case 0xF06C:
            return 0x2022;
        case 0xF076:
        case 0xF075:
            return 0x2756;
        case 0xF0D8:
            return 0x27A2;
        case 0xF0FC:
            return 0x2713;
        case 0xF0F2:
            return 0x21E9;
        case 0xF0FE:
            return 0x2611;
        case 0xF0E0:
        case 0xF0E8:
            return 0x2192;
        case 0xF06F:
        case 0xF071:
            return 0x25A1;
        case 0xF53A:
            return 0x25CB;
        case 0xF0854:
            return 0x300C;
        case 0xF0855:
            return 0x300D;
        default:
            break;
    }
    if (c >= 0xF02B1 && c <= 0xF02C4) return 0x2460 + (c - 0xF02B1);
    return 0;
}

bool is_blank(char32_t c)
{
    return c == ' ' || c == '\t' || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

void to_nfc(std::string& text)
{
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
    if (U_FAILURE(status)) throw IngestError(IngestError::Kind::worker, "ICU has no NFC data");
    if (nfc->isNormalizedUTF8(text, status) && U_SUCCESS(status)) return;
    std::string out;
    icu::StringByteSink<std::string> sink(&out);
    status = U_ZERO_ERROR;
    nfc->normalizeUTF8(0, text, sink, nullptr, status);
    if (U_FAILURE(status)) throw IngestError(IngestError::Kind::worker, "normalisation failed");
    text = std::move(out);
}

}  // namespace

void refuse(std::string kind, std::string reason)
{
    throw Unreadable({.refused = true, .kind = std::move(kind), .reason = std::move(reason)});
}

void quarantine(std::string kind, std::string reason)
{
    throw Unreadable({.refused = false, .kind = std::move(kind), .reason = std::move(reason)});
}

std::string clean_text(std::string_view text, CleanCounts& counts)
{
    std::string out;
    out.reserve(text.size());
    bool blank = false, line_start = true;
    char32_t previous = 0;
    for (std::size_t at = 0; at < text.size();) {
        char32_t c = next_code_point(text, at);
        if (c == kNoCodePoint) {
            ++counts.invalid;
            c = 0xFFFD;
        }
        if (c == 0x0B || c == 0x0C || c == 0x85 || c == 0x2028 || c == 0x2029) c = '\n';
        if (is_blank(c)) {
            blank = true;
            continue;
        }
        if (c == '\n') {
            blank = false;
            line_start = true;
            out.push_back('\n');
            previous = c;
            continue;
        }
        if (c < 0x20 || (c >= 0x7F && c < 0xA0)) continue;
        // Fillers carry old Hangul syllables; alone they are blanks that nobody sees.
        const bool lone_filler = (c == 0x115F || c == 0x1160) && !is_jamo(previous) && at < text.size() &&
                                 !(static_cast<unsigned char>(text[at]) == 0xE1);
        if (is_invisible(c) || lone_filler) {
            ++counts.invisible;
            continue;
        }
        if (is_private(c)) {
            const char32_t known = known_private(c);
            if (known == 0) ++counts.private_use;
            c = known != 0 ? known : 0x25A1;
        }
        if (blank && !line_start) out.push_back(' ');
        blank = false;
        line_start = false;
        append_code_point(out, c);
        previous = c;
    }
    while (!out.empty() && out.back() == '\n') out.pop_back();
    out.erase(0, std::min(out.find_first_not_of('\n'), out.size()));
    to_nfc(out);
    return out;
}

void DocumentBuilder::account(std::size_t bytes)
{
    text_bytes_ += bytes;
    if (text_bytes_ > kTextBytesMax || document_.blocks.size() > kBlocksMax)
        quarantine("too_large", "문서의 내용이 처리 한도를 넘습니다 (" +
                                    std::to_string(document_.blocks.size()) + "개 문단, " +
                                    std::to_string(text_bytes_ >> 20) + " MB).");
}

void DocumentBuilder::add(Block block)
{
    if (block.lines.empty() && block.cells.empty()) block.text = clean(block.text);
    if (block.text.empty() && block.kind != BlockKind::figure) return;
    account(block.text.size());
    document_.blocks.push_back(std::move(block));
}

void DocumentBuilder::add_text(BlockKind kind, std::string_view text, std::uint32_t level, std::uint32_t page,
                               bool page_exact)
{
    Block block;
    block.kind = kind;
    block.text = std::string(text);
    block.level = level;
    block.page = page;
    block.page_exact = page_exact;
    add(std::move(block));
}

void DocumentBuilder::warn(std::string warning)
{
    if (document_.warnings.size() < 200) document_.warnings.push_back(std::move(warning));
}

namespace {

// Cuts overlaps and fills holes. The table's size is what its cells need, within the bounds.
void complete_grid(std::vector<Cell>& cells, std::uint32_t& rows, std::uint32_t& cols)
{
    for (const Cell& cell : cells) {
        rows = std::max(rows, cell.row + 1);
        cols = std::max(cols, cell.col + 1);
    }
    if (cols > kGridColumnsMax || std::uint64_t{rows} * cols > kGridCellsMax)
        quarantine("too_large", "표가 처리 한도를 넘습니다 (" + std::to_string(rows) + "행 " +
                                    std::to_string(cols) + "열).");
    std::stable_sort(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) {
        return std::pair(a.row, a.col) < std::pair(b.row, b.col);
    });
    std::vector<char> busy(std::size_t{rows} * cols, 0);
    const auto at = [&](std::uint32_t row, std::uint32_t col) -> char& {
        return busy[std::size_t{row} * cols + col];
    };
    std::vector<Cell> placed;
    placed.reserve(cells.size());
    for (Cell& cell : cells) {
        if (at(cell.row, cell.col) != 0) {  // two cells claim one place: the text must not be lost
            if (!cell.text.empty() && !placed.empty())
                placed.back().text += (placed.back().text.empty() ? "" : "\n") + cell.text;
            continue;
        }
        cell.rowspan = std::clamp(cell.rowspan, 1u, rows - cell.row);
        cell.colspan = std::clamp(cell.colspan, 1u, cols - cell.col);
        std::uint32_t width = 0;
        while (width < cell.colspan && at(cell.row, cell.col + width) == 0) ++width;
        cell.colspan = width;
        std::uint32_t height = 1;
        while (height < cell.rowspan) {
            bool free = true;
            for (std::uint32_t c = 0; c < width && free; ++c) free = at(cell.row + height, cell.col + c) == 0;
            if (!free) break;
            ++height;
        }
        cell.rowspan = height;
        for (std::uint32_t r = 0; r < height; ++r)
            for (std::uint32_t c = 0; c < width; ++c) at(cell.row + r, cell.col + c) = 1;
        placed.push_back(std::move(cell));
    }
    for (std::uint32_t r = 0; r < rows; ++r)
        for (std::uint32_t c = 0; c < cols; ++c)
            if (at(r, c) == 0) {
                Cell hole;
                hole.row = r;
                hole.col = c;
                placed.push_back(std::move(hole));
            }
    std::stable_sort(placed.begin(), placed.end(), [](const Cell& a, const Cell& b) {
        return std::pair(a.row, a.col) < std::pair(b.row, b.col);
    });
    cells = std::move(placed);
}

}  // namespace

void DocumentBuilder::add_table(std::vector<Cell> cells, std::uint32_t rows, std::uint32_t cols,
                                std::uint32_t page, bool page_exact, std::optional<Box> box)
{
    if (cells.empty()) return;
    std::size_t text = 0;
    for (Cell& cell : cells) {
        cell.text = clean(cell.text);
        text += cell.text.size();
    }
    account(text);
    complete_grid(cells, rows, cols);
    if (text == 0) return;
    if (cells.size() == 1) {
        const std::string framed = std::move(cells.front().text);
        for (std::size_t start = 0; start <= framed.size();) {
            const std::size_t end = std::min(framed.find('\n', start), framed.size());
            add_text(BlockKind::paragraph, std::string_view(framed).substr(start, end - start), 0, page,
                     page_exact);
            start = end + 1;
        }
        return;
    }
    Block block;
    block.kind = BlockKind::table;
    block.text = table_text(cells);
    block.page = page;
    block.page_exact = page_exact;
    block.box = box;
    block.rows = rows;
    block.cols = cols;
    block.cells = std::move(cells);
    document_.blocks.push_back(std::move(block));
}

Document DocumentBuilder::finish()
{
    if (counts_.invisible > 0)
        warn("보이지 않는 문자 " + std::to_string(counts_.invisible) + "개를 지웠습니다.");
    if (counts_.private_use > 0)
        warn("뜻을 알 수 없는 사용자 정의 문자 " + std::to_string(counts_.private_use) +
             "개를 □로 바꾸었습니다.");
    if (counts_.invalid > 0)
        warn("글자로 읽을 수 없는 바이트 " + std::to_string(counts_.invalid) + "개가 있습니다.");
    return std::move(document_);
}

std::string table_text(std::span<const Cell> cells, std::vector<CellRange>* ranges)
{
    std::string out;
    if (ranges != nullptr) ranges->clear();
    std::uint32_t row = 0;
    bool first = true;
    for (const Cell& cell : cells) {
        if (!first) out.push_back(cell.row == row ? '\t' : '\n');
        first = false;
        row = cell.row;
        const std::size_t start = out.size();
        for (const char c : cell.text) out.push_back(c == '\n' || c == '\t' ? ' ' : c);
        if (ranges != nullptr) ranges->push_back({start, out.size()});
    }
    return out;
}

void GridFiller::row()
{
    ++rows_;
    next_col_ = 0;
}

Cell& GridFiller::cell(std::uint32_t rowspan, std::uint32_t colspan)
{
    if (rows_ == 0) row();
    rowspan = std::clamp(rowspan, 1u, 65'535u);
    colspan = std::clamp(colspan, 1u, kGridColumnsMax);
    const std::uint32_t here = rows_ - 1;
    while (next_col_ < busy_until_.size() && busy_until_[next_col_] > here) ++next_col_;
    if (next_col_ + colspan > kGridColumnsMax || cells_.size() >= kGridCellsMax)
        quarantine("too_large", "표의 열 또는 칸이 처리 한도를 넘습니다.");
    Cell cell;
    cell.row = here;
    cell.col = next_col_;
    cell.rowspan = rowspan;
    cell.colspan = colspan;
    next_col_ += colspan;
    if (busy_until_.size() < next_col_) busy_until_.resize(next_col_, 0);
    for (std::uint32_t c = cell.col; c < next_col_; ++c) busy_until_[c] = here + rowspan;
    cols_ = std::max(cols_, next_col_);
    cells_.push_back(std::move(cell));
    return cells_.back();
}

}  // namespace jiphyeon
