// PDF from the words that the PDF program sees. Pages without a usable text layer are rendered and read by
// OCR; lines become paragraphs by marks, indents, gaps and the right margin; what recurs at the edges of most
// pages is a running header or footer.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

#include "builder.hpp"
#include "layout.hpp"
#include "ocr.hpp"
#include "rulings.hpp"
#include "structure.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint32_t kPagesAtOnce = 16;
constexpr unsigned kOcrDpi = 200;
constexpr unsigned kProbeDpi = 40;  // to see whether a page without words is blank
constexpr unsigned kRulingDpi = 100;
constexpr std::size_t kCellLinesMax = 25;  // a frame around running text is no table
constexpr double kEdge = 0.08;             // of the page's height: where running headers stand
constexpr std::size_t kTextMin = 20;       // letters; fewer is no text layer
constexpr double kInkMin = 0.004;          // share of dark pixels that makes a page worth reading

struct PageTable {
    RuledTable ruled;
    std::vector<std::vector<TextLine>> texts;  // of each cell
};

struct PageLines {
    std::uint32_t number = 0;
    double width = 0, height = 0;
    std::vector<TextLine> lines;
    std::vector<PageTable> tables;
    bool scanned = false;
};

Box to_box(double left, double top, double right, double bottom, const PageLines& page)
{
    const auto part = [](double v, double whole) {
        return static_cast<std::uint16_t>(std::clamp(std::lround(v / whole * 1000), 0L, 1000L));
    };
    return {page.number, part(left, page.width), part(top, page.height), part(right, page.width),
            part(bottom, page.height)};
}

Box line_box(const TextLine& line, const PageLines& page)
{
    return to_box(line.left, line.top, line.right, line.bottom, page);
}

void include(std::optional<Box>& whole, const Box& part)
{
    if (!whole) {
        whole = part;
        return;
    }
    whole->left = std::min(whole->left, part.left);
    whole->top = std::min(whole->top, part.top);
    whole->right = std::max(whole->right, part.right);
    whole->bottom = std::max(whole->bottom, part.bottom);
}

// Share of dark pixels of a PGM ("P5 w h 255\n" and bytes).
double ink(std::string_view pgm)
{
    const std::size_t start = pgm.find('\n');
    if (start == std::string_view::npos || start + 1 >= pgm.size()) return 0;
    const std::string_view pixels = pgm.substr(start + 1);
    const auto dark = std::count_if(pixels.begin(), pixels.end(),
                                    [](char c) { return static_cast<unsigned char>(c) < 160; });
    return static_cast<double>(dark) / static_cast<double>(pixels.size());
}

std::size_t letters(const PdfPage& page)
{
    std::size_t count = 0;
    for (const PdfWord& word : page.words)
        for (const char c : word.text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return count;
}

// "- 12 -" and "13 / 40" are the same line of two pages.
std::string without_digits(const std::string& text)
{
    std::string out;
    for (const char c : text) {
        const bool digit = c >= '0' && c <= '9';
        if (c == ' ' || (digit && !out.empty() && out.back() == '#')) continue;
        out.push_back(digit ? '#' : c);
    }
    return out;
}

class PdfReader {
public:
    PdfReader(PdfSource& source, Ocr& ocr) : source_(source), ocr_(ocr), builder_("pdf") {}
    Document read();

private:
    void read_page(const PdfPage& page, std::uint32_t number);
    void take_tables(PdfPage& page, PageLines& lines);
    std::vector<TextLine> clean_lines(const PdfPage& page);
    void emit_table(const PageTable& table, const PageLines& page);
    void find_furniture();
    bool at_edge(const TextLine& line, const PageLines& page) const;
    void emit_page(PageLines& page);
    bool continues(const TextLine& before, const TextLine& line) const;
    bool joined_without_blank(const std::string& before, const std::string& after) const;
    void begin_block(const TextLine& line, const PageLines& page);
    void flush();
    std::uint32_t heading_level(const Block& block) const;
    void count_words();

    PdfSource& source_;
    Ocr& ocr_;
    DocumentBuilder builder_;
    std::vector<PageLines> pages_;
    std::map<std::uint32_t, OcrPage> scanned_;
    std::set<std::string> furniture_;
    std::set<std::string> furniture_told_;
    std::unordered_map<std::string, unsigned> words_;
    double body_size_ = 10;
    Block block_;
    double block_size_ = 0;
};

void PdfReader::read_page(const PdfPage& page, std::uint32_t number)
{
    PageLines lines;
    lines.number = number;
    lines.width = std::max(page.width, 1.0);
    lines.height = std::max(page.height, 1.0);
    const bool few = letters(page) < kTextMin;
    const bool garbage = !few && text_is_garbage(page);
    // A page with a line or two may still be a scan with a stamped number.
    bool scan = garbage;
    if (few)
        scan = ink(source_.render(number, kProbeDpi, true)) > (page.words.empty() ? kInkMin : 4 * kInkMin);
    if (scan) {
        if (garbage)
            builder_.warn(std::to_string(number) + "쪽: 글자 층을 쓸 수 없어 문자 인식으로 읽었습니다.");
        scanned_[number] = ocr_.read(source_.render(number, kOcrDpi, true), kOcrDpi, number);
        lines.scanned = true;
    } else {
        PdfPage rest = page;
        if (!few) take_tables(rest, lines);
        lines.lines = clean_lines(rest);
    }
    pages_.push_back(std::move(lines));
}

std::vector<TextLine> PdfReader::clean_lines(const PdfPage& page)
{
    std::vector<TextLine> lines = read_lines(page);
    for (TextLine& line : lines) line.text = builder_.clean(line.text);
    std::erase_if(lines, [](const TextLine& line) { return line.text.empty(); });
    return lines;
}

// Moves the words that stand in ruled cells out of the page.
void PdfReader::take_tables(PdfPage& page, PageLines& lines)
{
    for (RuledTable& ruled : find_ruled_tables(source_.render(lines.number, kRulingDpi, true), kRulingDpi)) {
        PageTable table;
        std::vector<PdfPage> cells(ruled.cells.size());
        std::vector<std::size_t> cell_of(page.words.size(), cells.size());
        for (std::size_t w = 0; w < page.words.size(); ++w) {
            const double x = (page.words[w].left + page.words[w].right) / 2 / lines.width;
            const double y = (page.words[w].top + page.words[w].bottom) / 2 / lines.height;
            for (std::size_t c = 0; c < ruled.cells.size() && cell_of[w] == cells.size(); ++c) {
                const RuledCell& cell = ruled.cells[c];
                if (x >= cell.left && x < cell.right && y >= cell.top && y < cell.bottom) cell_of[w] = c;
            }
            if (cell_of[w] < cells.size()) cells[cell_of[w]].words.push_back(page.words[w]);
        }
        std::size_t filled = 0, longest = 0;
        for (PdfPage& cell : cells) {
            cell.width = page.width;
            cell.height = page.height;
            table.texts.push_back(clean_lines(cell));
            filled += !table.texts.back().empty();
            longest = std::max(longest, table.texts.back().size());
        }
        // Boxes of a drawing stand in places that no table has: whole rows are empty.
        std::vector<bool> row_filled(ruled.rows, false);
        for (std::size_t c = 0; c < ruled.cells.size(); ++c)
            if (!table.texts[c].empty()) row_filled[ruled.cells[c].row] = true;
        const bool empty_row = std::find(row_filled.begin(), row_filled.end(), false) != row_filled.end();
        if (filled < 2 || longest > kCellLinesMax || (empty_row && filled * 2 <= ruled.cells.size()))
            continue;
        std::vector<PdfWord> rest;
        for (std::size_t w = 0; w < page.words.size(); ++w)
            if (cell_of[w] == cells.size()) rest.push_back(std::move(page.words[w]));
        page.words = std::move(rest);
        table.ruled = std::move(ruled);
        lines.tables.push_back(std::move(table));
    }
}

bool PdfReader::at_edge(const TextLine& line, const PageLines& page) const
{
    return line.bottom < page.height * kEdge || line.top > page.height * (1 - kEdge);
}

void PdfReader::find_furniture()
{
    std::map<std::string, std::set<std::uint32_t>> seen;
    std::size_t with_text = 0;
    for (const PageLines& page : pages_) {
        with_text += !page.lines.empty();
        for (const TextLine& line : page.lines)
            if (at_edge(line, page)) seen[without_digits(line.text)].insert(page.number);
    }
    for (const auto& [text, numbers] : seen)
        if (numbers.size() >= 3 && numbers.size() * 10 >= with_text * 6) furniture_.insert(text);
    // A page's number alone is furniture however few pages there are.
    for (const std::string number : {"-#-", "#", "#/#", "–#–"}) furniture_.insert(number);
}

void PdfReader::count_words()
{
    std::vector<std::pair<double, std::size_t>> sizes;
    const auto count = [&](const TextLine& line) {
        sizes.emplace_back(line.size, line.text.size());
        for (std::size_t start = 0; start < line.text.size();) {
            const std::size_t end = std::min(line.text.find(' ', start), line.text.size());
            if (end > start) ++words_[line.text.substr(start, end - start)];
            start = end + 1;
        }
    };
    for (const PageLines& page : pages_) {
        for (const TextLine& line : page.lines) count(line);
        for (const PageTable& table : page.tables)
            for (const std::vector<TextLine>& cell : table.texts)
                for (const TextLine& line : cell) count(line);
    }
    std::sort(sizes.begin(), sizes.end());
    std::size_t total = 0, sum = 0;
    for (const auto& [size, length] : sizes) total += length;
    for (const auto& [size, length] : sizes) {
        sum += length;
        if (sum * 2 >= total) {
            body_size_ = std::max(size, 4.0);
            break;
        }
    }
}

// Writers break Korean lines inside of words. The rest of the document says whether the two parts are one
// word.
bool PdfReader::joined_without_blank(const std::string& before, const std::string& after) const
{
    const std::size_t blank = before.rfind(' ');
    const std::string tail = blank == std::string::npos ? before : before.substr(blank + 1);
    const std::string head = after.substr(0, std::min(after.find(' '), after.size()));
    const auto count = [&](const std::string& word) {
        const auto it = words_.find(word);
        return it == words_.end() ? 0u : it->second;
    };
    if (tail.empty() || head.empty()) return false;
    return count(tail + head) > 0 && (count(tail) <= 1 || count(head) <= 1);
}

bool PdfReader::continues(const TextLine& before, const TextLine& line) const
{
    if (line.column != before.column) return false;
    const double size = std::max(before.size, 4.0);
    if (std::abs(line.size - before.size) > 0.12 * size) return false;
    if (line.top - before.bottom > 1.1 * size || line.top < before.top - size) return false;
    if (begins_item(line.text)) return false;
    const double missing = before.column_right - before.right;
    // The line before must have been full: the next word would not have fitted.
    const double first_word = (line.right - line.left) *
                              static_cast<double>(std::min(line.text.find(' '), line.text.size())) /
                              static_cast<double>(std::max<std::size_t>(line.text.size(), 1));
    return missing < std::max(first_word + size, 2.5 * size);
}

void PdfReader::flush()
{
    if (block_.text.empty()) return;
    if (block_.kind == BlockKind::paragraph) {
        block_.level = heading_level(block_);
        if (block_.level > 0) block_.kind = BlockKind::heading;
    }
    builder_.add(std::move(block_));
    block_ = Block{};
}

std::uint32_t PdfReader::heading_level(const Block& block) const
{
    if (block.text.size() > 240 || block.lines.size() > 3) return 0;
    const double ratio = block_size_ / body_size_;
    if (ratio >= 1.6) return 1;
    if (ratio >= 1.35) return 2;
    return ratio >= 1.18 ? 3 : 0;
}

void PdfReader::begin_block(const TextLine& line, const PageLines& page)
{
    flush();
    block_.text = line.text;
    block_.page = page.number;
    block_.page_exact = true;
    block_.box = line_box(line, page);
    block_.lines.push_back({0, line.text.size(), *block_.box});
    block_size_ = line.size;
}

void PdfReader::emit_table(const PageTable& table, const PageLines& page)
{
    flush();
    const auto box = [&](double left, double top, double right, double bottom) {
        return to_box(left * page.width, top * page.height, right * page.width, bottom * page.height, page);
    };
    std::vector<Cell> cells;
    for (std::size_t i = 0; i < table.texts.size(); ++i) {
        const RuledCell& ruled = table.ruled.cells[i];
        Cell cell;
        cell.row = ruled.row;
        cell.col = ruled.col;
        cell.rowspan = ruled.rowspan;
        cell.colspan = ruled.colspan;
        cell.box = box(ruled.left, ruled.top, ruled.right, ruled.bottom);
        for (const TextLine& line : table.texts[i]) {
            if (!cell.text.empty() && begins_item(line.text))
                cell.text.push_back('\n');
            else if (!cell.text.empty() && !joined_without_blank(cell.text, line.text))
                cell.text.push_back(' ');
            cell.text += line.text;
        }
        cells.push_back(std::move(cell));
    }
    const RuledTable& ruled = table.ruled;
    builder_.add_table(std::move(cells), ruled.rows, ruled.cols, page.number, true,
                       box(ruled.left, ruled.top, ruled.right, ruled.bottom));
}

void PdfReader::emit_page(PageLines& page)
{
    const TextLine* before = nullptr;
    std::size_t next_table = 0;
    for (const TextLine& line : page.lines) {
        // A table stands before the first line below it that shares its width.
        while (next_table < page.tables.size() && !at_edge(line, page)) {
            const RuledTable& ruled = page.tables[next_table].ruled;
            const bool below = line.top >= ruled.bottom * page.height - 2;
            if (!below || line.right < ruled.left * page.width || line.left > ruled.right * page.width) break;
            emit_table(page.tables[next_table++], page);
            before = nullptr;
        }
        if (at_edge(line, page) && furniture_.contains(without_digits(line.text))) {
            flush();
            before = nullptr;
            if (!furniture_told_.insert(without_digits(line.text)).second) continue;
            begin_block(line, page);
            block_.kind = line.bottom < page.height / 2 ? BlockKind::header : BlockKind::footer;
            flush();
            continue;
        }
        if (before != nullptr && continues(*before, line)) {
            if (!joined_without_blank(block_.text, line.text)) block_.text.push_back(' ');
            const std::size_t start = block_.text.size();
            block_.text += line.text;
            const Box box = line_box(line, page);
            block_.lines.push_back({start, block_.text.size(), box});
            include(block_.box, box);
        } else {
            begin_block(line, page);
        }
        before = &line;
    }
    flush();
    while (next_table < page.tables.size()) emit_table(page.tables[next_table++], page);
}

Document PdfReader::read()
{
    const PdfInfo info = source_.info();
    if (info.pages > kPagesMax)
        quarantine("too_large", "쪽수가 처리 한도를 넘습니다 (" + std::to_string(info.pages) + "쪽).");
    for (std::uint32_t first = 1; first <= info.pages; first += kPagesAtOnce) {
        const std::uint32_t last = std::min(first + kPagesAtOnce - 1, info.pages);
        std::uint32_t number = first;
        for (const PdfPage& page : source_.pages(first, last)) read_page(page, number++);
    }
    find_furniture();
    count_words();
    for (PageLines& page : pages_) {
        if (page.scanned)
            add_ocr_page(builder_, scanned_[page.number], page.number);
        else
            emit_page(page);
    }
    Document document = builder_.finish();
    document.pages = info.pages;
    document.title = builder_.clean(info.title);
    document.author = builder_.clean(info.author);
    document.scanned = !scanned_.empty();
    return document;
}

}  // namespace

Document parse_pdf(PdfSource& source, Ocr& ocr)
{
    return PdfReader(source, ocr).read();
}

}  // namespace jiphyeon
