// Blocks of one document in the making: clean text, whole grids, bounds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "parse.hpp"

namespace jiphyeon {

struct CleanCounts {
    std::uint64_t invisible = 0;    // zero-width, bidirectional controls, tags: removed
    std::uint64_t invalid = 0;      // bytes that are no UTF-8: U+FFFD
    std::uint64_t private_use = 0;  // glyphs of unknown meaning: U+25A1
};

// NFC, without control and invisible characters; private-use bullets mapped; runs of blanks become one blank;
// lines trimmed. Newlines stay.
std::string clean_text(std::string_view text, CleanCounts& counts);

class DocumentBuilder {
public:
    explicit DocumentBuilder(std::string format) { document_.format = std::move(format); }

    // Cleans the texts; a block without text is dropped. Throws Unreadable past the bounds. `block.lines`
    // must lie in text that is clean already (see clean()).
    void add(Block block);
    void add_text(BlockKind kind, std::string_view text, std::uint32_t level = 0, std::uint32_t page = 0,
                  bool page_exact = false);
    // Cells with their addresses and spans: overlaps cut, holes filled, so that the spans cover rows x cols
    // exactly once. A single cell is a frame: it becomes paragraphs.
    void add_table(std::vector<Cell> cells, std::uint32_t rows, std::uint32_t cols, std::uint32_t page = 0,
                   bool page_exact = false, std::optional<Box> box = {});
    std::string clean(std::string_view text) { return clean_text(text, counts_); }
    void warn(std::string warning);

    Document& document() { return document_; }
    bool empty() const { return document_.blocks.empty(); }
    Document finish();  // warnings of the counts added

private:
    void account(std::size_t bytes);
    Document document_;
    CleanCounts counts_;
    std::size_t text_bytes_ = 0;
};

// Where each cell's text lies in the text that stands for the table: rows by newline, cells by tab.
struct CellRange {
    std::size_t start = 0, end = 0;
};
std::string table_text(std::span<const Cell> cells, std::vector<CellRange>* ranges = nullptr);

// Addresses for cells that come row by row without any (HTML, DOCX, ODT).
class GridFiller {
public:
    void row();
    // Returns the placed cell; the caller may go on writing into its text.
    Cell& cell(std::uint32_t rowspan, std::uint32_t colspan);
    std::vector<Cell> take() { return std::move(cells_); }
    std::vector<Cell>& cells() { return cells_; }
    std::uint32_t rows() const { return rows_; }
    std::uint32_t cols() const { return cols_; }

private:
    std::vector<Cell> cells_;
    std::vector<std::uint32_t> busy_until_;  // per column: first row that is free again
    std::uint32_t rows_ = 0, cols_ = 0, next_col_ = 0;
};

}  // namespace jiphyeon
