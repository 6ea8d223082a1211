// DOCX (WordprocessingML). Headings by style and outline level, numbers by the numbering part, tables by grid
// with vertical merges, notes where they are called, headers and footers once.
#include <algorithm>
#include <set>

#include "archive.hpp"
#include "builder.hpp"
#include "numbering.hpp"
#include "ooxml.hpp"
#include "xml.hpp"

namespace jiphyeon {
namespace {

struct Style {
    std::string name, based_on, number_list;
    std::uint32_t outline = 0;  // 1-based; 0: none
    std::uint32_t number_level = 0;
};

struct Paragraph {
    std::string text;
    std::string style, list;
    std::uint32_t outline = 0, level = 0;
    bool break_before = false;
    std::vector<std::string> notes;
    std::vector<std::string> boxes;  // text boxes anchored here
};

class DocxReader {
public:
    explicit DocxReader(std::string_view bytes) : archive_(bytes), builder_("docx") {}
    Document read();

private:
    void read_styles(const std::string& path);
    void read_numbering(const std::string& path);
    void read_notes(const std::string& path, const std::string& kind);
    void read_margin(const std::string& path, BlockKind kind);
    void read_body(Xml& xml, unsigned depth);
    void body_child(Xml& xml, std::string_view name, unsigned depth);
    Paragraph read_paragraph(Xml& xml, unsigned depth);
    void read_properties(Xml& xml, Paragraph& paragraph);
    void read_inline(Xml& xml, std::string_view name, Paragraph& paragraph, unsigned depth);
    void read_text_box(Xml& xml, Paragraph& paragraph, unsigned depth);
    void emit(Paragraph paragraph);
    std::string numbered(const Paragraph& paragraph, std::string text);
    std::uint32_t outline_of(const Paragraph& paragraph) const;
    void read_table(Xml& xml, unsigned depth);
    void read_row(Xml& xml, GridFiller& grid, std::vector<std::size_t>& open,
                  std::vector<std::vector<Cell>>& nested, unsigned depth);
    std::string read_cell_text(Xml& xml, std::vector<std::vector<Cell>>& nested, std::uint32_t& span,
                               bool& merged, bool& restarts, unsigned depth);
    void turn_page();
    static std::string plain(const Paragraph& paragraph);

    Archive archive_;
    DocumentBuilder builder_;
    std::map<std::string, Style> styles_;
    std::map<std::string, std::string> list_of_;  // numId to abstract list
    std::map<std::string, NumberLevels> lists_;
    std::map<std::string, std::string> notes_;  // "footnote:2" to text
    Numbering numbering_;
    std::uint32_t page_ = 1;
    bool rendered_breaks_ = false;  // Word left marks where pages turned; then breaks are among them
    bool paged_ = false;
    std::uint32_t note_number_ = 0;
};

void DocxReader::turn_page()
{
    paged_ = true;
    if (++page_ > kPagesMax) quarantine("too_large", "쪽수가 처리 한도를 넘습니다.");
}

void DocxReader::read_styles(const std::string& path)
{
    if (!archive_.has(path)) return;
    const std::string bytes = archive_.read(path);
    Xml xml(bytes, path);
    xml.root();
    xml.children([&](std::string_view name) {
        if (name != "style") return;
        Style style;
        const std::string id = xml.attribute("styleId");
        xml.children([&](std::string_view part) {
            if (part == "name")
                style.name = xml.attribute("val");
            else if (part == "basedOn")
                style.based_on = xml.attribute("val");
            else if (part == "pPr")
                xml.children([&](std::string_view inner) {
                    if (inner == "outlineLvl")
                        style.outline = xml.number("val", 8) + 1;
                    else if (inner == "numPr")
                        xml.children([&](std::string_view number) {
                            if (number == "numId")
                                style.number_list = xml.attribute("val");
                            else if (number == "ilvl")
                                style.number_level = xml.number("val", 0);
                        });
                });
        });
        styles_[id] = std::move(style);
    });
}

void DocxReader::read_numbering(const std::string& path)
{
    if (!archive_.has(path)) return;
    const std::string bytes = archive_.read(path);
    Xml xml(bytes, path);
    xml.root();
    xml.children([&](std::string_view name) {
        if (name == "num") {
            const std::string id = xml.attribute("numId");
            xml.children([&](std::string_view part) {
                if (part == "abstractNumId") list_of_[id] = xml.attribute("val");
            });
        }
        if (name != "abstractNum") return;
        NumberLevels levels;
        const std::string id = xml.attribute("abstractNumId");
        xml.children([&](std::string_view part) {
            if (part != "lvl") return;
            const std::uint32_t level = xml.number("ilvl", 0);
            if (level >= kNumberLevels) return;
            xml.children([&](std::string_view inner) {
                NumberLevel& own = levels[level];
                if (inner == "start")
                    own.start = xml.number("val", 1);
                else if (inner == "lvlText")
                    own.text = xml.attribute("val");
                else if (inner == "numFmt") {
                    const std::string format = xml.attribute("val");
                    own.bullet = format == "bullet";
                    own.format = number_format(format);
                }
            });
        });
        lists_[id] = std::move(levels);
    });
}

std::string DocxReader::plain(const Paragraph& paragraph)
{
    std::string out = paragraph.text;
    for (const std::string& box : paragraph.boxes) out += (out.empty() ? "" : "\n") + box;
    return out;
}

void DocxReader::read_notes(const std::string& path, const std::string& kind)
{
    if (!archive_.has(path)) return;
    const std::string bytes = archive_.read(path);
    Xml xml(bytes, path);
    xml.root();
    xml.children([&](std::string_view) {
        const std::string type = xml.attribute("type");
        const std::string id = xml.attribute("id");
        std::string text;
        xml.children([&](std::string_view name) {
            if (name != "p") return;
            const std::string more = plain(read_paragraph(xml, 1));
            if (!more.empty()) text += (text.empty() ? "" : "\n") + more;
        });
        if (type.empty() || type == "normal") notes_[kind + ":" + id] = std::move(text);
    });
}

void DocxReader::read_margin(const std::string& path, BlockKind kind)
{
    const std::string bytes = archive_.read(path);
    Xml xml(bytes, path);
    xml.root();
    std::string text;
    xml.children([&](std::string_view name) {
        if (name != "p") return;
        const std::string more = plain(read_paragraph(xml, 1));
        if (!more.empty()) text += (text.empty() ? "" : "\n") + more;
    });
    builder_.add_text(kind, text);
}

void DocxReader::read_properties(Xml& xml, Paragraph& paragraph)
{
    xml.children([&](std::string_view name) {
        if (name == "pStyle")
            paragraph.style = xml.attribute("val");
        else if (name == "outlineLvl")
            paragraph.outline = xml.number("val", 8) + 1;
        else if (name == "pageBreakBefore")
            paragraph.break_before = xml.attribute("val") != "0";
        else if (name == "numPr")
            xml.children([&](std::string_view inner) {
                if (inner == "numId")
                    paragraph.list = xml.attribute("val");
                else if (inner == "ilvl")
                    paragraph.level = xml.number("val", 0);
            });
    });
}

void DocxReader::read_text_box(Xml& xml, Paragraph& paragraph, unsigned depth)
{
    if (depth > kNestingMax) quarantine("too_large", "글상자가 지나치게 깊이 겹쳐 있습니다.");
    xml.children([&](std::string_view name) {
        if (name == "txbxContent") {
            std::string text;
            xml.children([&](std::string_view inner) {
                if (inner != "p") return;
                const std::string more = plain(read_paragraph(xml, depth + 1));
                if (!more.empty()) text += (text.empty() ? "" : "\n") + more;
            });
            if (!text.empty()) paragraph.boxes.push_back(std::move(text));
        } else if (name == "oMath" || name == "oMathPara") {
            paragraph.text += xml.text();
        } else if (name == "Fallback") {
            return;  // says the same as the Choice beside it
        } else {
            read_text_box(xml, paragraph, depth + 1);
        }
    });
}

void DocxReader::read_inline(Xml& xml, std::string_view name, Paragraph& paragraph, unsigned depth)
{
    if (depth > 64) quarantine("too_large", "문단 안의 요소가 지나치게 깊습니다.");
    if (name == "t") {
        paragraph.text += xml.text();
    } else if (name == "tab" || name == "ptab") {
        paragraph.text.push_back(' ');
    } else if (name == "br" || name == "cr") {
        if (xml.attribute("type") == "page") {
            if (!rendered_breaks_) turn_page();
        } else {
            paragraph.text.push_back('\n');
        }
    } else if (name == "lastRenderedPageBreak") {
        turn_page();
    } else if (name == "noBreakHyphen") {
        paragraph.text.push_back('-');
    } else if (name == "sym") {
        paragraph.text += "\xE2\x96\xA1";
    } else if (name == "footnoteReference" || name == "endnoteReference") {
        const std::string key = std::string(name.substr(0, name.size() - 9)) + ":" + xml.attribute("id");
        const auto note = notes_.find(key);
        if (note == notes_.end()) return;
        const std::string mark = std::to_string(++note_number_) + ")";
        paragraph.text += mark;
        paragraph.notes.push_back(mark + " " + note->second);
    } else if (name == "r" || name == "hyperlink" || name == "ins" || name == "smartTag" || name == "sdt" ||
               name == "sdtContent" || name == "fldSimple" || name == "dir" || name == "bdo" ||
               name == "moveTo") {
        xml.children([&](std::string_view inner) { read_inline(xml, inner, paragraph, depth + 1); });
    } else if (name == "drawing" || name == "pict" || name == "object" || name == "AlternateContent") {
        read_text_box(xml, paragraph, 1);
    } else if (name == "oMath" || name == "oMathPara") {
        paragraph.text += xml.text();
    }
}

Paragraph DocxReader::read_paragraph(Xml& xml, unsigned depth)
{
    if (depth > kNestingMax) quarantine("too_large", "문단이 지나치게 깊이 겹쳐 있습니다.");
    Paragraph paragraph;
    xml.children([&](std::string_view name) {
        if (name == "pPr")
            read_properties(xml, paragraph);
        else
            read_inline(xml, name, paragraph, depth);
    });
    return paragraph;
}

std::uint32_t DocxReader::outline_of(const Paragraph& paragraph) const
{
    if (paragraph.outline > 0) return paragraph.outline <= 9 ? paragraph.outline : 0;
    std::string id = paragraph.style;
    std::set<std::string> seen;
    while (!id.empty() && seen.insert(id).second) {
        const auto style = styles_.find(id);
        if (style == styles_.end()) {
            // Writers that leave out the styles part still use the built-in names.
            if (id.starts_with("Heading") && id.size() == 8 && id[7] >= '1' && id[7] <= '9')
                return static_cast<std::uint32_t>(id[7] - '0');
            return id == "Title" ? 1 : 0;
        }
        if (style->second.outline > 0) return style->second.outline <= 9 ? style->second.outline : 0;
        const std::string& name = style->second.name;
        if (name == "Title" || name == "제목") return 1;
        if (name.starts_with("heading ") && name.size() == 9)
            return static_cast<std::uint32_t>(name[8] - '0');
        id = style->second.based_on;
    }
    return 0;
}

std::string DocxReader::numbered(const Paragraph& paragraph, std::string text)
{
    std::string list = paragraph.list;
    std::size_t level = paragraph.level;
    if (list.empty()) {
        const auto style = styles_.find(paragraph.style);
        if (style == styles_.end() || style->second.number_list.empty()) return text;
        list = style->second.number_list;
        level = style->second.number_level;
    }
    const auto abstract = list_of_.find(list);
    if (abstract == list_of_.end()) return text;
    const auto levels = lists_.find(abstract->second);
    if (levels == lists_.end()) return text;
    const std::string number = numbering_.next(abstract->second, levels->second, level);
    return number.empty() ? text : number + " " + text;
}

void DocxReader::emit(Paragraph paragraph)
{
    if (paragraph.text.find_first_not_of(" \n\t") != std::string::npos) {
        const std::uint32_t outline = outline_of(paragraph);
        const bool listed = !paragraph.list.empty() && paragraph.list != "0";
        const BlockKind kind = outline > 0 ? BlockKind::heading
                               : listed    ? BlockKind::list
                                           : BlockKind::paragraph;
        const std::uint32_t level = outline > 0 ? outline : listed ? paragraph.level + 1 : 0;
        builder_.add_text(kind, numbered(paragraph, std::move(paragraph.text)), level, page_);
    }
    for (const std::string& box : paragraph.boxes) builder_.add_text(BlockKind::paragraph, box, 0, page_);
    for (const std::string& note : paragraph.notes) builder_.add_text(BlockKind::note, note, 0, page_);
}

std::string DocxReader::read_cell_text(Xml& xml, std::vector<std::vector<Cell>>& nested, std::uint32_t& span,
                                       bool& merged, bool& restarts, unsigned depth)
{
    std::string text;
    xml.children([&](std::string_view name) {
        if (name == "tcPr") {
            xml.children([&](std::string_view inner) {
                if (inner == "gridSpan")
                    span = xml.number("val", 1);
                else if (inner == "vMerge")
                    (xml.attribute("val") == "restart" ? restarts : merged) = true;
            });
        } else if (name == "p") {
            Paragraph paragraph = read_paragraph(xml, depth + 1);
            std::string more = plain(paragraph);
            if (!more.empty() && !paragraph.list.empty()) more = numbered(paragraph, std::move(more));
            if (!more.empty()) text += (text.empty() ? "" : "\n") + more;
            for (const std::string& note : paragraph.notes) text += "\n" + note;
        } else if (name == "tbl") {
            if (depth > kNestingMax) quarantine("too_large", "표가 지나치게 깊이 겹쳐 있습니다.");
            GridFiller grid;
            std::vector<std::size_t> open;
            xml.children([&](std::string_view inner) {
                if (inner == "tr") read_row(xml, grid, open, nested, depth + 1);
            });
            nested.push_back(grid.take());
        }
    });
    return text;
}

void DocxReader::read_row(Xml& xml, GridFiller& grid, std::vector<std::size_t>& open,
                          std::vector<std::vector<Cell>>& nested, unsigned depth)
{
    constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    grid.row();
    bool header = false;
    std::uint32_t skip = 0;
    xml.children([&](std::string_view name) {
        if (name == "trPr") {
            xml.children([&](std::string_view inner) {
                if (inner == "tblHeader")
                    header = xml.attribute("val") != "0";
                else if (inner == "gridBefore")
                    skip = std::min(xml.number("val", 0), kGridColumnsMax);
            });
            if (skip > 0) grid.cell(1, skip);
        } else if (name == "tc") {
            std::uint32_t span = 1;
            bool merged = false, restarts = false;
            std::string text = read_cell_text(xml, nested, span, merged, restarts, depth);
            Cell& cell = grid.cell(1, span);
            const std::size_t index = grid.cells().size() - 1;
            if (open.size() < cell.col + std::size_t{1}) open.resize(cell.col + std::size_t{1}, kNone);
            std::size_t& above = open[cell.col];
            if (merged && above != kNone && grid.cells()[above].colspan == cell.colspan) {
                // Part of the cell above: the grown cell takes the place, this one goes.
                const std::uint32_t row = cell.row;
                grid.cells().pop_back();
                grid.cells()[above].rowspan = row - grid.cells()[above].row + 1;
                if (!text.empty()) grid.cells()[above].text += "\n" + text;
                return;
            }
            cell.text = std::move(text);
            cell.header = header;
            above = restarts ? index : kNone;
        }
    });
}

void DocxReader::read_table(Xml& xml, unsigned depth)
{
    GridFiller grid;
    std::vector<std::size_t> open;
    std::vector<std::vector<Cell>> nested;
    xml.children([&](std::string_view name) {
        if (name == "tr") read_row(xml, grid, open, nested, depth + 1);
    });
    builder_.add_table(grid.take(), grid.rows(), grid.cols(), page_);
    for (std::vector<Cell>& inner : nested) builder_.add_table(std::move(inner), 0, 0, page_);
}

void DocxReader::body_child(Xml& xml, std::string_view name, unsigned depth)
{
    if (depth > kNestingMax) quarantine("too_large", "본문이 지나치게 깊이 겹쳐 있습니다.");
    if (name == "p") {
        const std::uint32_t before = page_;
        Paragraph paragraph = read_paragraph(xml, 0);
        if (paragraph.break_before && !rendered_breaks_ && !builder_.empty()) turn_page();
        // A break before any word belongs before the paragraph, one after its words behind it.
        const std::uint32_t after = page_;
        if (!paragraph.text.empty() && !paragraph.break_before) page_ = before;
        emit(std::move(paragraph));
        page_ = after;
    } else if (name == "tbl") {
        read_table(xml, depth);
    } else if (name == "sdt" || name == "sdtContent" || name == "customXml" || name == "ins") {
        xml.children([&](std::string_view inner) { body_child(xml, inner, depth + 1); });
    }
}

void DocxReader::read_body(Xml& xml, unsigned depth)
{
    xml.children([&](std::string_view name) { body_child(xml, name, depth); });
}

Document DocxReader::read()
{
    const std::string main = "word/document.xml";
    read_core_properties(archive_, builder_.document());
    read_styles("word/styles.xml");
    read_numbering("word/numbering.xml");
    read_notes("word/footnotes.xml", "footnote");
    read_notes("word/endnotes.xml", "endnote");
    const std::string bytes = archive_.read(main);
    rendered_breaks_ = bytes.find("lastRenderedPageBreak") != std::string::npos;
    {
        Xml xml(bytes, main);
        xml.root();
        xml.children([&](std::string_view name) {
            if (name == "body") read_body(xml, 0);
        });
    }
    for (const auto& [id, target] : ooxml_relations(archive_, main)) {
        if (target.find("/header") != std::string::npos && archive_.has(target))
            read_margin(target, BlockKind::header);
        if (target.find("/footer") != std::string::npos && archive_.has(target))
            read_margin(target, BlockKind::footer);
    }
    Document document = builder_.finish();
    document.pages = paged_ ? page_ : 0;
    if (!paged_)
        for (Block& block : document.blocks) block.page = 0;
    return document;
}

}  // namespace

Document parse_docx(std::string_view bytes)
{
    return DocxReader(bytes).read();
}

}  // namespace jiphyeon
