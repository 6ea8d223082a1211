// A table for searching: every row says what its values are, so that a row alone can be understood and cited.
#include <algorithm>

#include "chunk_lines.hpp"

namespace jiphyeon {
namespace {

// cell_at[row][col]: index of the cell that covers the place.
std::vector<std::vector<std::size_t>> cover(const Block& table)
{
    std::vector<std::vector<std::size_t>> at(table.rows,
                                             std::vector<std::size_t>(table.cols, table.cells.size()));
    for (std::size_t i = 0; i < table.cells.size(); ++i) {
        const Cell& cell = table.cells[i];
        for (std::uint32_t r = cell.row; r < std::min(cell.row + cell.rowspan, table.rows); ++r)
            for (std::uint32_t c = cell.col; c < std::min(cell.col + cell.colspan, table.cols); ++c)
                at[r][c] = i;
    }
    return at;
}

bool is_number(std::string_view text)
{
    return !text.empty() && std::any_of(text.begin(), text.end(), [](char c) {
        return c >= '0' && c <= '9';
    }) && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || c == ',' || c == '.' || c == '-' || c == '%' || c == ' ' || c == '+';
    });
}

struct Head {
    std::uint32_t titles = 0;  // rows above the columns that hold a single text
    std::uint32_t end = 0;     // first row of the body
};

// Where no cell is marked, a first row of words without a gap is taken for the header.
Head find_head(const Block& table, const std::vector<std::vector<std::size_t>>& at)
{
    std::vector<std::size_t> texts(table.rows, 0);
    std::vector<bool> marked(table.rows, true);
    for (const Cell& cell : table.cells) {
        if (cell.text.empty()) continue;
        ++texts[cell.row];
        if (!cell.header) marked[cell.row] = false;
    }
    Head head;
    while (head.titles + 2 < table.rows && texts[head.titles] == 1 && table.cols > 1) ++head.titles;
    head.end = head.titles;
    while (head.end < table.rows && marked[head.end] && texts[head.end] > 0) ++head.end;
    if (head.end == table.rows) return {};
    if (head.end > head.titles) return head;
    const std::uint32_t row = head.titles;
    bool names = row + 2 < table.rows && table.cols > 1;
    for (std::uint32_t c = 0; c < table.cols && names; ++c) {
        const std::string& text = table.cells[at[row][c]].text;
        names = !text.empty() && !is_number(text) && letters(text) <= 30;
    }
    if (names) head.end = row + 1;
    return head;
}

std::string one_line(std::string text)
{
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

std::vector<std::string> column_names(const Block& table, const std::vector<std::vector<std::size_t>>& at,
                                      Head head)
{
    std::vector<std::string> names(table.cols);
    for (std::uint32_t c = 0; c < table.cols; ++c) {
        std::size_t before = table.cells.size();
        for (std::uint32_t r = head.titles; r < head.end; ++r) {
            const std::size_t cell = at[r][c];
            // A title over the whole table names no column.
            if (cell == before || table.cells[cell].text.empty() || table.cells[cell].colspan == table.cols)
                continue;
            before = cell;
            names[c] += (names[c].empty() ? "" : " ") + one_line(table.cells[cell].text);
        }
    }
    return names;
}

std::string row_text(const Block& table, const std::vector<std::vector<std::size_t>>& at, std::uint32_t row,
                     std::uint32_t head, const std::vector<std::string>& names)
{
    std::string out;
    const bool pairs = names.empty() && table.cols == 2;
    std::size_t before = table.cells.size();
    for (std::uint32_t c = 0; c < table.cols; ++c) {
        const std::size_t cell = at[row][c];
        if (cell == before || cell >= table.cells.size()) continue;
        before = cell;
        if (!names.empty() && table.cells[cell].row < head) continue;  // a name that hangs into the body
        const std::string value = one_line(table.cells[cell].text);
        if (value.empty()) continue;
        const std::string name = names.empty() ? "" : names[c];
        if (!out.empty()) out += pairs ? ": " : " / ";
        out += name.empty() || name == value ? value : name + ": " + value;
    }
    return out;
}

std::string column_letters(std::uint32_t col)
{
    std::string out;
    for (++col; col > 0; col = (col - 1) / 26)
        out.insert(out.begin(), static_cast<char>('A' + (col - 1) % 26));
    return out;
}

}  // namespace

void chunk_table(ChunkList& out, const Line& line, const std::vector<std::string>& path,
                 const std::string& section, const std::string& caption, bool spreadsheet, ChunkKind kind)
{
    const Block& table = *line.table;
    const auto at = cover(table);
    const Head head = find_head(table, at);
    const std::vector<std::string> names =
        head.end > head.titles ? column_names(table, at, head) : std::vector<std::string>{};
    std::string lead = caption;
    for (const Cell& cell : table.cells)  // titles above the columns, such as the unit of all amounts
        if (cell.row < head.titles && !cell.text.empty())
            lead += (lead.empty() ? "" : "\n") + one_line(cell.text);
    const std::size_t lead_letters = letters(lead);
    std::string text = lead;
    std::size_t size = lead_letters;
    std::uint32_t first = head.end;
    const auto flush = [&](std::uint32_t end) {
        if (first == end) return;
        Place place;
        place.page = place.page_end = line.page;
        place.page_exact = line.page_exact && line.page != 0;
        place.section = section;
        if (spreadsheet && line.page_exact) {
            place.section = "시트 " + section + " A" + std::to_string(first + 1) + ":" +
                            column_letters(table.cols - 1) + std::to_string(end);
        } else if (!caption.empty()) {
            place.section += (place.section.empty() ? "" : " > ") + shortened(caption, 60);
        }
        // Boxes of the rows where cells have some, else of the whole table.
        for (const Cell& cell : table.cells)
            if (cell.box && cell.row >= first && cell.row < end) place.boxes.push_back(*cell.box);
        if (place.boxes.empty()) place.boxes = line.boxes;
        out.add(kind == ChunkKind::addendum ? kind : ChunkKind::table, path, std::move(text),
                std::move(place));
        text = lead;
        size = lead_letters;
        first = end;
    };
    for (std::uint32_t r = head.end; r < table.rows; ++r) {
        std::string row = row_text(table, at, r, head.end, names);
        if (row.empty()) continue;
        const std::size_t length = letters(row);
        if (size + length > kChunkLetters && size > lead_letters) flush(r);
        if (length > kChunkLetters) {  // a cell that holds a page of text
            const std::vector<Span> parts = sentence_parts(row, kChunkLetters);
            for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
                text +=
                    (text.empty() ? "" : "\n") + row.substr(parts[i].start, parts[i].end - parts[i].start);
                const std::uint32_t row_number = r;
                first = row_number;
                flush(r + 1);
                first = row_number;
            }
            row = row.substr(parts.back().start);
        }
        text += (text.empty() ? "" : "\n") + row;
        size += length + 1;
    }
    if (text.size() > lead.size() || head.end == 0) flush(table.rows);
}

}  // namespace jiphyeon
