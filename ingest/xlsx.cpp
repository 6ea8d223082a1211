// XLSX (SpreadsheetML): each sheet's used range is one table; merged cells are spans; numbers are shown as
// the sheet's formats show them as far as dates, percentages and thousands go. The first row of texts is the
// header.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "archive.hpp"
#include "builder.hpp"
#include "ooxml.hpp"
#include "xml.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint32_t kSheetRowsMax = 1'048'576;

struct Address {
    std::uint32_t row = 0, col = 0;  // from 0
};

std::optional<Address> parse_address(std::string_view text)
{
    Address at;
    std::size_t i = 0;
    for (; i < text.size() && text[i] >= 'A' && text[i] <= 'Z' && i < 4; ++i)
        at.col = at.col * 26 + static_cast<std::uint32_t>(text[i] - 'A' + 1);
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), at.row);
    if (i == 0 || error != std::errc{} || end != text.data() + text.size() || at.row == 0 ||
        at.row > kSheetRowsMax)
        return std::nullopt;
    --at.row;
    --at.col;
    return at;
}

std::string date_text(double serial, bool with_time)
{
    // Days since 1899-12-30; the fictional 29 February 1900 lies before anything that is filed here.
    const auto days = static_cast<Day>(std::floor(serial)) - 25569;
    std::string out = day_to_text(days);
    if (with_time) {
        const int minutes = static_cast<int>(std::lround((serial - std::floor(serial)) * 1440)) % 1440;
        char buffer[16];
        std::snprintf(buffer, sizeof buffer, " %02d:%02d", minutes / 60, minutes % 60);
        out += buffer;
    }
    return out;
}

std::string plain_number(double value, int decimals)
{
    char buffer[64];
    if (decimals < 0) {
        const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
        return error == std::errc{} ? std::string(buffer, end) : std::string();
    }
    std::snprintf(buffer, sizeof buffer, "%.*f", std::min(decimals, 10), value);
    return buffer;
}

std::string with_commas(std::string number)
{
    const std::size_t first = number.starts_with("-") ? 1 : 0;
    std::size_t at = std::min(number.find('.'), number.size());
    while (at > first + 3) {
        at -= 3;
        number.insert(at, ",");
    }
    return number;
}

// What a number format asks for. Sections for negative and zero values are not told apart.
struct Format {
    bool date = false, time = false, percent = false, thousands = false;
    int decimals = -1;
};

Format format_of(std::string_view code)
{
    Format format;
    bool quoted = false;
    std::string bare;
    for (std::size_t i = 0; i < code.size(); ++i) {
        const char c = code[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            continue;
        else if (c == '\\')
            ++i;
        else if (c == '[')
            i = std::min(code.find(']', i), code.size());
        else if (c == ';')
            break;
        else
            bare.push_back(c);
    }
    if (bare == "General" || bare.empty()) return format;
    format.date = bare.find('y') != std::string::npos || bare.find('d') != std::string::npos;
    format.time = bare.find('h') != std::string::npos;
    format.percent = bare.find('%') != std::string::npos;
    format.thousands = bare.find("#,#") != std::string::npos || bare.find("0,0") != std::string::npos;
    if (bare.find('0') != std::string::npos || bare.find('#') != std::string::npos) {
        const std::size_t point = bare.find('.');
        format.decimals = 0;
        for (std::size_t i = point;
             point != std::string::npos && ++i < bare.size() && (bare[i] == '0' || bare[i] == '#');)
            ++format.decimals;
    }
    return format;
}

Format built_in_format(std::uint32_t id)
{
    switch (id) {
        case 1:
            return format_of("0");
        case 2:
            return format_of("0.00");
        case 3:
        case 37:
        case 38:
        case 41:
        case 42:
            return format_of("#,##0");
        case 4:
        case 39:
        case 40:
        case 43:
        case 44:
            return format_of("#,##0.00");
        case 9:
            return format_of("0%");
        case 10:
            return format_of("0.00%");
        case 14:
        case 15:
        case 16:
        case 17:
        case 27:
        case 28:
        case 29:
        case 30:
        case 31:
        case 36:
        case 50:
        case 57:
            return {.date = true};
        case 22:
            return {.date = true, .time = true};
        case 18:
        case 19:
        case 20:
        case 21:
        case 32:
        case 33:
            return {.time = true};
        default:
            return {};
    }
}

class XlsxReader {
public:
    explicit XlsxReader(std::string_view bytes) : archive_(bytes), builder_("xlsx") {}
    Document read();

private:
    struct Sheet {
        std::string name, path;
    };
    std::vector<Sheet> read_workbook();
    void read_strings();
    void read_styles();
    void read_sheet(const Sheet& sheet, std::uint32_t number);
    void read_cell(Xml& xml, std::uint32_t row, std::uint32_t& next_col, std::vector<Cell>& cells);
    std::string shown(const std::string& value, std::uint32_t style) const;
    std::string string_item(Xml& xml);
    void emit(const Sheet& sheet, std::uint32_t number, std::vector<Cell> cells);

    Archive archive_;
    DocumentBuilder builder_;
    std::vector<std::string> strings_;
    std::vector<Format> styles_;
    std::size_t cells_ = 0;
};

std::vector<XlsxReader::Sheet> XlsxReader::read_workbook()
{
    const std::string part = "xl/workbook.xml";
    const auto relations = ooxml_relations(archive_, part);
    std::vector<Sheet> sheets;
    const std::string bytes = archive_.read(part);
    Xml xml(bytes, part);
    xml.root();
    xml.children([&](std::string_view name) {
        if (name != "sheets") return;
        xml.children([&](std::string_view) {
            const auto target = relations.find(xml.attribute("id"));
            if (target != relations.end()) sheets.push_back({xml.attribute("name"), target->second});
        });
    });
    if (sheets.empty()) quarantine("broken", "엑셀 파일에 시트가 없습니다.");
    return sheets;
}

std::string XlsxReader::string_item(Xml& xml)
{
    std::string text;
    xml.children([&](std::string_view name) {
        if (name == "t")
            text += xml.text();
        else if (name == "r")
            xml.children([&](std::string_view inner) {
                if (inner == "t") text += xml.text();
            });
    });
    return text;
}

void XlsxReader::read_strings()
{
    if (!archive_.has("xl/sharedStrings.xml")) return;
    const std::string bytes = archive_.read("xl/sharedStrings.xml");
    Xml xml(bytes, "xl/sharedStrings.xml");
    xml.root();
    xml.children([&](std::string_view name) {
        if (name == "si") strings_.push_back(string_item(xml));
    });
}

void XlsxReader::read_styles()
{
    if (!archive_.has("xl/styles.xml")) return;
    const std::string bytes = archive_.read("xl/styles.xml");
    Xml xml(bytes, "xl/styles.xml");
    std::map<std::uint32_t, Format> own;
    xml.root();
    xml.children([&](std::string_view name) {
        if (name == "numFmts") {
            xml.children([&](std::string_view) {
                own[xml.number("numFmtId", 0)] = format_of(xml.attribute("formatCode"));
            });
        } else if (name == "cellXfs") {
            xml.children([&](std::string_view) {
                const std::uint32_t id = xml.number("numFmtId", 0);
                styles_.push_back(own.contains(id) ? own[id] : built_in_format(id));
            });
        }
    });
}

std::string XlsxReader::shown(const std::string& value, std::uint32_t style) const
{
    double number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size() || !std::isfinite(number)) return value;
    const Format format = style < styles_.size() ? styles_[style] : Format{};
    if ((format.date || format.time) && number > 0 && number < 2'958'466) {
        if (format.date) return date_text(number, format.time);
        return date_text(number, true).substr(11);
    }
    if (std::abs(number) >= 1e15) return value;
    std::string text = plain_number(format.percent ? number * 100 : number, format.decimals);
    if (format.thousands) text = with_commas(std::move(text));
    return format.percent ? text + "%" : text;
}

void XlsxReader::read_cell(Xml& xml, std::uint32_t row, std::uint32_t& next_col, std::vector<Cell>& cells)
{
    const std::string type = xml.attribute("t");
    const std::uint32_t style = xml.number("s", 0);
    const std::optional<Address> address = parse_address(xml.attribute("r"));
    Cell cell;
    cell.row = address ? address->row : row;
    cell.col = address ? address->col : next_col;
    next_col = cell.col + 1;
    std::string value;
    xml.children([&](std::string_view name) {
        if (name == "v")
            value = xml.text();
        else if (name == "is")
            cell.text = string_item(xml);
    });
    if (type == "s") {
        std::size_t index = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), index);
        if (error == std::errc{} && index < strings_.size()) cell.text = strings_[index];
    } else if (type == "b") {
        cell.text = value == "1" ? "참" : "거짓";
    } else if (type == "str" || type == "e") {
        cell.text = value;
    } else if (type != "inlineStr") {
        cell.text = shown(value, style);
    }
    if (cell.text.empty()) return;
    if (++cells_ > kGridCellsMax) quarantine("too_large", "엑셀 파일의 칸이 처리 한도를 넘습니다.");
    cells.push_back(std::move(cell));
}

void XlsxReader::emit(const Sheet& sheet, std::uint32_t number, std::vector<Cell> cells)
{
    builder_.add_text(BlockKind::heading, sheet.name, 1, number, true);
    if (cells.empty()) return;
    // The grid begins at A1, so that rows and columns are the sheet's. Far-flung cells would make a grid of
    // nothing: then only used rows and columns are kept, and page_exact says that addresses are not the
    // sheet's.
    std::map<std::uint32_t, std::uint32_t> rows, cols;  // used ones to their order
    for (const Cell& cell : cells) {
        rows[cell.row] = 0;
        cols[cell.col] = 0;
    }
    std::uint32_t order = 0;
    for (auto& [row, place] : rows) place = order++;
    order = 0;
    for (auto& [col, place] : cols) place = order++;
    const bool sparse = std::size_t{rows.rbegin()->first} > rows.size() * 2 + 256 ||
                        std::size_t{cols.rbegin()->first} > cols.size() * 2 + 64;
    std::uint32_t height = 0, width = 0;
    for (Cell& cell : cells) {
        if (sparse) {
            cell.row = rows[cell.row];
            cell.col = cols[cell.col];
            cell.rowspan = cell.colspan = 1;
        }
        height = std::max(height, cell.row + cell.rowspan);
        width = std::max(width, cell.col + cell.colspan);
    }
    builder_.add_table(std::move(cells), height, width, number, !sparse);
}

void XlsxReader::read_sheet(const Sheet& sheet, std::uint32_t number)
{
    const std::string bytes = archive_.read(sheet.path);
    Xml xml(bytes, sheet.path);
    xml.root();
    std::vector<Cell> cells;
    std::vector<std::pair<Address, Address>> merges;
    xml.children([&](std::string_view name) {
        if (name == "sheetData") {
            std::uint32_t row = 0;
            xml.children([&](std::string_view) {
                row = std::clamp(xml.number("r", row + 1), 1u, kSheetRowsMax);
                std::uint32_t next_col = 0;
                xml.children([&](std::string_view inner) {
                    if (inner == "c") read_cell(xml, row - 1, next_col, cells);
                });
            });
        } else if (name == "mergeCells") {
            xml.children([&](std::string_view) {
                const std::string range = xml.attribute("ref");
                const std::size_t colon = range.find(':');
                if (colon == std::string::npos || merges.size() > kGridCellsMax) return;
                const auto from = parse_address(std::string_view(range).substr(0, colon));
                const auto to = parse_address(std::string_view(range).substr(colon + 1));
                if (from && to && from->row <= to->row && from->col <= to->col)
                    merges.emplace_back(*from, *to);
            });
        }
    });
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> at;
    for (std::size_t i = 0; i < cells.size(); ++i) at.emplace(std::pair(cells[i].row, cells[i].col), i);
    for (const auto& [from, to] : merges) {
        const auto cell = at.find({from.row, from.col});
        if (cell == at.end()) continue;
        cells[cell->second].rowspan = std::min(to.row - from.row + 1, 65'535u);
        cells[cell->second].colspan = std::min(to.col - from.col + 1, kGridColumnsMax);
    }
    // The header is the first row of more than one cell: a lone cell above it is the table's title.
    std::map<std::uint32_t, std::pair<std::size_t, std::uint32_t>> per_row;  // cells, deepest span
    for (const Cell& cell : cells) {
        auto& [count, depth] = per_row[cell.row];
        ++count;
        depth = std::max(depth, cell.rowspan);
    }
    for (const auto& [row, what] : per_row) {
        if (what.first < 2) continue;
        for (Cell& cell : cells) cell.header = cell.row >= row && cell.row < row + what.second;
        break;
    }
    emit(sheet, number, std::move(cells));
}

Document XlsxReader::read()
{
    read_core_properties(archive_, builder_.document());
    read_strings();
    read_styles();
    const std::vector<Sheet> sheets = read_workbook();
    std::uint32_t number = 0;
    for (const Sheet& sheet : sheets) {
        ++number;
        if (archive_.has(sheet.path)) read_sheet(sheet, number);
    }
    Document document = builder_.finish();
    document.pages = number;
    return document;
}

}  // namespace

Document parse_xlsx(std::string_view bytes)
{
    return XlsxReader(bytes).read();
}

}  // namespace jiphyeon
