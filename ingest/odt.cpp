// ODT (OpenDocument text). Headings carry their level; lists nest; tables repeat cells and name covered ones.
#include <algorithm>

#include "archive.hpp"
#include "builder.hpp"
#include "xml.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint32_t kRepeatMax = 1024;  // spreadsheet-like tails of empty cells

class OdtReader {
public:
    explicit OdtReader(std::string_view bytes) : archive_(bytes), builder_("odt") {}
    Document read();

private:
    void read_meta();
    void read_break_styles(Xml& xml);
    void read_content(Xml& xml, unsigned depth, std::uint32_t list_level);
    void read_list(Xml& xml, unsigned depth, std::uint32_t level);
    std::string read_paragraph(Xml& xml, std::vector<std::string>& notes, unsigned depth);
    void read_inline(Xml& xml, std::string& text, std::vector<std::string>& notes, unsigned depth);
    std::string read_note(Xml& xml, std::vector<std::string>& notes, unsigned depth);
    std::string read_cell(Xml& xml, std::vector<GridFiller>& nested, std::vector<std::string>& notes,
                          unsigned depth);
    void read_rows(Xml& xml, GridFiller& grid, std::vector<GridFiller>& nested,
                   std::vector<std::string>& notes, bool header, unsigned depth);
    void read_table(Xml& xml, unsigned depth);
    void break_before(const std::string& style);
    void check(unsigned depth)
    {
        if (depth > kNestingMax) quarantine("too_large", "문서의 요소가 지나치게 깊이 겹쳐 있습니다.");
    }

    Archive archive_;
    DocumentBuilder builder_;
    std::map<std::string, bool> breaks_;  // paragraph styles that begin a page
    std::uint32_t page_ = 1;
    bool paged_ = false;
};

void OdtReader::read_meta()
{
    if (archive_.has("META-INF/manifest.xml") &&
        archive_.read("META-INF/manifest.xml").find("encryption-data") != std::string::npos)
        refuse("password", "암호로 보호된 ODT 문서입니다. 암호를 푼 파일을 넣어 주십시오.");
    if (!archive_.has("meta.xml")) return;
    const std::string bytes = archive_.read("meta.xml");
    Xml xml(bytes, "meta.xml");
    xml.root();
    xml.children([&](std::string_view) {
        xml.children([&](std::string_view name) {
            if (name == "title")
                builder_.document().title = xml.text();
            else if (name == "creator" || name == "initial-creator")
                builder_.document().author = xml.text();
        });
    });
}

void OdtReader::read_break_styles(Xml& xml)
{
    xml.children([&](std::string_view name) {
        if (name != "style") return;
        const std::string style = xml.attribute("name");
        xml.children([&](std::string_view part) {
            if (part == "paragraph-properties" && xml.attribute("break-before") == "page")
                breaks_[style] = true;
        });
    });
}

void OdtReader::break_before(const std::string& style)
{
    if (!breaks_.contains(style) || builder_.empty()) return;
    paged_ = true;
    if (++page_ > kPagesMax) quarantine("too_large", "쪽수가 처리 한도를 넘습니다.");
}

std::string OdtReader::read_note(Xml& xml, std::vector<std::string>& notes, unsigned depth)
{
    check(depth);
    std::string mark, body;
    xml.children([&](std::string_view name) {
        if (name == "note-citation")
            mark = xml.text() + ")";
        else if (name == "note-body")
            xml.children([&](std::string_view) {
                const std::string more = read_paragraph(xml, notes, depth + 1);
                if (!more.empty()) body += (body.empty() ? "" : "\n") + more;
            });
    });
    notes.push_back(mark + " " + body);
    return mark;
}

void OdtReader::read_inline(Xml& xml, std::string& text, std::vector<std::string>& notes, unsigned depth)
{
    check(depth / 3);
    xml.children(
        [&](std::string_view name) {
            if (name == "s")
                text.append(std::min(xml.number("c", 1), 64u), ' ');
            else if (name == "tab")
                text.push_back(' ');
            else if (name == "line-break")
                text.push_back('\n');
            else if (name == "note")
                text += read_note(xml, notes, depth + 1);
            else if (name == "annotation" || name == "tracked-changes" || name == "object")
                return;
            else if (name == "p" || name == "h") {
                if (!text.empty()) text.push_back('\n');
                read_inline(xml, text, notes, depth + 1);
            } else
                read_inline(xml, text, notes, depth + 1);
        },
        [&](std::string_view more) {
            for (const char c : more) text.push_back(c == '\n' || c == '\r' ? ' ' : c);  // layout of the XML
        });
}

std::string OdtReader::read_paragraph(Xml& xml, std::vector<std::string>& notes, unsigned depth)
{
    std::string text;
    read_inline(xml, text, notes, depth);
    return text;
}

std::string OdtReader::read_cell(Xml& xml, std::vector<GridFiller>& nested, std::vector<std::string>& notes,
                                 unsigned depth)
{
    check(depth);
    std::string text;
    xml.children([&](std::string_view name) {
        std::string more;
        if (name == "table") {
            GridFiller grid;
            std::vector<GridFiller> inner;
            read_rows(xml, grid, inner, notes, false, depth + 1);
            nested.push_back(std::move(grid));
            std::move(inner.begin(), inner.end(), std::back_inserter(nested));
        } else if (name == "p" || name == "h" || name == "list") {
            more = read_paragraph(xml, notes, depth + 1);
        }
        if (!more.empty()) text += (text.empty() ? "" : "\n") + more;
    });
    return text;
}

void OdtReader::read_rows(Xml& xml, GridFiller& grid, std::vector<GridFiller>& nested,
                          std::vector<std::string>& notes, bool header, unsigned depth)
{
    check(depth);
    xml.children([&](std::string_view name) {
        if (name == "table-header-rows" || name == "table-rows" || name == "table-row-group") {
            read_rows(xml, grid, nested, notes, header || name == "table-header-rows", depth + 1);
        } else if (name == "table-row") {
            grid.row();
            xml.children([&](std::string_view cell_name) {
                if (cell_name != "table-cell") return;  // covered cells lie under a span already
                const std::uint32_t rows = xml.number("number-rows-spanned", 1);
                const std::uint32_t cols = xml.number("number-columns-spanned", 1);
                const std::uint32_t repeat = std::min(xml.number("number-columns-repeated", 1), kRepeatMax);
                const std::string text = read_cell(xml, nested, notes, depth + 1);
                for (std::uint32_t i = 0; i < repeat; ++i) {
                    Cell& cell = grid.cell(rows, cols);
                    cell.text = text;
                    cell.header = header;
                }
            });
        }
    });
}

void OdtReader::read_table(Xml& xml, unsigned depth)
{
    GridFiller grid;
    std::vector<GridFiller> nested;
    std::vector<std::string> notes;
    read_rows(xml, grid, nested, notes, false, depth + 1);
    builder_.add_table(grid.take(), grid.rows(), grid.cols(), page_);
    for (GridFiller& inner : nested) builder_.add_table(inner.take(), inner.rows(), inner.cols(), page_);
    for (const std::string& note : notes) builder_.add_text(BlockKind::note, note, 0, page_);
}

void OdtReader::read_list(Xml& xml, unsigned depth, std::uint32_t level)
{
    check(depth);
    xml.children([&](std::string_view name) {
        if (name == "list-item" || name == "list-header") read_content(xml, depth + 1, level);
    });
}

void OdtReader::read_content(Xml& xml, unsigned depth, std::uint32_t list_level)
{
    check(depth);
    xml.children([&](std::string_view name) {
        if (name == "h" || name == "p") {
            break_before(xml.attribute("style-name"));
            const bool heading = name == "h";
            const std::uint32_t level = heading ? xml.number("outline-level", 1) : list_level;
            std::vector<std::string> notes;
            const std::string text = read_paragraph(xml, notes, 0);
            const BlockKind kind = heading          ? BlockKind::heading
                                   : list_level > 0 ? BlockKind::list
                                                    : BlockKind::paragraph;
            builder_.add_text(kind, text, level, page_);
            for (const std::string& note : notes) builder_.add_text(BlockKind::note, note, 0, page_);
        } else if (name == "list") {
            read_list(xml, depth + 1, list_level + 1);
        } else if (name == "table") {
            break_before(xml.attribute("style-name"));
            read_table(xml, depth);
        } else if (name == "section" || name == "index-body" || name == "table-of-content") {
            read_content(xml, depth + 1, list_level);
        } else if (name == "soft-page-break") {
            paged_ = true;
            if (++page_ > kPagesMax) quarantine("too_large", "쪽수가 처리 한도를 넘습니다.");
        } else if (name == "frame") {
            std::vector<std::string> notes;
            builder_.add_text(BlockKind::paragraph, read_paragraph(xml, notes, 0), 0, page_);
        }
    });
}

Document OdtReader::read()
{
    read_meta();
    const std::string bytes = archive_.read("content.xml");
    Xml xml(bytes, "content.xml");
    xml.root();
    xml.children([&](std::string_view name) {
        if (name == "automatic-styles")
            read_break_styles(xml);
        else if (name == "body")
            xml.children([&](std::string_view inner) {
                if (inner == "text") read_content(xml, 0, 0);
            });
    });
    Document document = builder_.finish();
    document.pages = paged_ ? page_ : 0;
    if (!paged_)
        for (Block& block : document.blocks) block.page = 0;
    return document;
}

}  // namespace

Document parse_odt(std::string_view bytes)
{
    return OdtReader(bytes).read();
}

}  // namespace jiphyeon
