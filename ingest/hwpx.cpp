// HWPX (OWPML, KS X 6101). The package's spine gives the order of sections; each is read once as a stream,
// since sections of 40 MB occur. A paragraph becomes a list of nodes: its text, then what is anchored in it.
#include <algorithm>
#include <map>
#include <utility>

#include "archive.hpp"
#include "builder.hpp"
#include "numbering.hpp"
#include "xml.hpp"

namespace jiphyeon {
namespace {

struct Node {
    BlockKind kind = BlockKind::paragraph;
    std::string text;
    std::uint32_t level = 0;
    std::vector<Cell> cells;
    std::uint32_t rows = 0, cols = 0;
};
using Nodes = std::vector<Node>;

struct ParagraphShape {
    enum class Heading : std::uint8_t { none, outline, number, bullet } heading = Heading::none;
    std::string list;
    std::uint32_t level = 0;
};

// Positions of lines in the layout cache: where a page turned when the document was last saved.
struct LineSegment {
    std::int64_t top = 0, left = 0;
};

struct Package {
    std::vector<std::string> sections;
    std::string header;
    std::string title, creator;
};

class HwpxReader {
public:
    explicit HwpxReader(std::string_view bytes) : archive_(bytes), builder_("hwpx") {}
    Document read();

private:
    void refuse_encrypted();
    void read_package();
    void read_header();
    void read_shape(Xml& xml);
    void read_section(const std::string& bytes, const std::string& name);
    void read_top_paragraph(Xml& xml);
    Nodes read_paragraph(Xml& xml, unsigned depth, std::vector<LineSegment>* segments);
    void read_run_child(Xml& xml, std::string_view name, unsigned depth, std::string& text, Nodes& nodes,
                        Nodes& after);
    void read_control(Xml& xml, unsigned depth, std::string& text, Nodes& after);
    void read_text(Xml& xml, std::string& out);
    void read_table(Xml& xml, unsigned depth, Nodes& nodes);
    void read_cell(Xml& xml, unsigned depth, Cell& cell, Nodes& nested);
    void read_shape_object(Xml& xml, unsigned depth, bool picture, Nodes& after);
    Nodes read_list(Xml& xml, unsigned depth);
    Node note(Xml& xml, unsigned depth, BlockKind kind, const std::string& mark);
    void label(Node& node, const ParagraphShape& shape, const std::string& style);
    void turn_pages(bool explicit_break, const std::vector<LineSegment>& segments);

    Archive archive_;
    DocumentBuilder builder_;
    Package package_;
    std::map<std::string, ParagraphShape> shapes_;
    std::map<std::string, NumberLevels> numberings_;
    std::map<std::string, std::string> bullets_, styles_;
    Numbering numbering_;
    std::string outline_;   // numbering of this section's outline
    bool deleted_ = false;  // between the marks of a tracked deletion
    std::uint32_t page_ = 1;
    bool layout_seen_ = false, break_seen_ = false, first_paragraph_ = true;
    LineSegment last_line_{-1, 0};
};

bool blank(std::string_view text)
{
    return text.find_first_not_of(" \t\n") == std::string_view::npos;
}

std::string resolve(const Archive& archive, const std::string& href)
{
    for (const std::string& candidate :
         {href, "Contents/" + href, href.starts_with("/") ? href.substr(1) : href})
        if (archive.has(candidate)) return candidate;
    return {};
}

void HwpxReader::refuse_encrypted()
{
    if (!archive_.has("META-INF/manifest.xml")) return;
    const std::string manifest = archive_.read("META-INF/manifest.xml");
    if (manifest.find("encryption-data") != std::string::npos)
        refuse("password", "암호로 보호된 한글 문서(HWPX)입니다. 암호를 푼 파일을 넣어 주십시오.");
}

void HwpxReader::read_package()
{
    if (archive_.has("Contents/content.hpf")) {
        const std::string bytes = archive_.read("Contents/content.hpf");
        Xml xml(bytes, "content.hpf");
        xml.root();
        std::map<std::string, std::string> items;
        std::vector<std::string> spine;
        xml.children([&](std::string_view part) {
            if (part == "metadata") {
                xml.children([&](std::string_view name) {
                    if (name == "title")
                        package_.title = xml.text();
                    else if (name == "meta" && xml.attribute("name") == "creator")
                        package_.creator = xml.text();
                });
            } else if (part == "manifest") {
                xml.children([&](std::string_view) { items[xml.attribute("id")] = xml.attribute("href"); });
            } else if (part == "spine") {
                xml.children([&](std::string_view) { spine.push_back(xml.attribute("idref")); });
            }
        });
        if (items.contains("header")) package_.header = resolve(archive_, items["header"]);
        for (const std::string& id : spine) {
            const std::string path = resolve(archive_, items[id]);
            if (!path.empty() && path.find("section") != std::string::npos) package_.sections.push_back(path);
        }
    }
    if (package_.header.empty() && archive_.has("Contents/header.xml"))
        package_.header = "Contents/header.xml";
    // Without a usable spine: by number.
    if (package_.sections.empty())
        for (std::size_t n = 0; archive_.has("Contents/section" + std::to_string(n) + ".xml"); ++n)
            package_.sections.push_back("Contents/section" + std::to_string(n) + ".xml");
    if (package_.sections.empty()) quarantine("broken", "한글 문서(HWPX)에 본문 구역이 없습니다.");
}

void HwpxReader::read_shape(Xml& xml)
{
    const std::string id = xml.attribute("id");
    ParagraphShape shape;
    xml.children([&](std::string_view name) {
        if (name != "heading") return;
        const std::string type = xml.attribute("type");
        using Heading = ParagraphShape::Heading;
        shape.heading = type == "OUTLINE"  ? Heading::outline
                        : type == "NUMBER" ? Heading::number
                        : type == "BULLET" ? Heading::bullet
                                           : Heading::none;
        shape.list = xml.attribute("idRef");
        shape.level = std::min(xml.number("level", 0), static_cast<std::uint32_t>(kNumberLevels - 1));
    });
    shapes_[id] = shape;
}

void HwpxReader::read_header()
{
    if (package_.header.empty()) return;
    const std::string bytes = archive_.read(package_.header);
    Xml xml(bytes, "header.xml");
    xml.root();
    xml.children([&](std::string_view part) {
        if (part != "refList") return;
        xml.children([&](std::string_view list) {
            if (list == "numberings") {
                xml.children([&](std::string_view) {
                    NumberLevels levels;
                    const std::string id = xml.attribute("id");
                    xml.children([&](std::string_view name) {
                        if (name != "paraHead") return;
                        const std::uint32_t level = xml.number("level", 1);
                        if (level < 1 || level > kNumberLevels) return;
                        NumberLevel& own = levels[level - 1];
                        own.start = xml.number("start", 1);
                        own.format = number_format(xml.attribute("numFormat"));
                        own.text = xml.text();
                    });
                    numberings_[id] = levels;
                });
            } else if (list == "bullets") {
                xml.children(
                    [&](std::string_view) { bullets_[xml.attribute("id")] = xml.attribute("char"); });
            } else if (list == "paraProperties") {
                xml.children([&](std::string_view) { read_shape(xml); });
            } else if (list == "styles") {
                xml.children([&](std::string_view) { styles_[xml.attribute("id")] = xml.attribute("name"); });
            }
        });
    });
}

void HwpxReader::read_text(Xml& xml, std::string& out)
{
    xml.children(
        [&](std::string_view name) {
            if (name == "deleteBegin")
                deleted_ = true;
            else if (name == "deleteEnd")
                deleted_ = false;
            else if (deleted_)
                return;
            else if (name == "lineBreak")
                out.push_back('\n');
            else if (name == "tab" || name == "nbSpace" || name == "fwSpace")
                out.push_back(' ');
            else if (name == "hyphen")
                out.push_back('-');
        },
        [&](std::string_view text) {
            if (!deleted_) out += text;
        });
}

Nodes HwpxReader::read_list(Xml& xml, unsigned depth)
{
    if (depth > kNestingMax) quarantine("too_large", "표와 글상자가 지나치게 깊이 겹쳐 있습니다.");
    Nodes nodes;
    xml.children([&](std::string_view name) {
        if (name != "p") return;
        Nodes more = read_paragraph(xml, depth, nullptr);
        std::move(more.begin(), more.end(), std::back_inserter(nodes));
    });
    return nodes;
}

std::string joined_text(const Nodes& nodes)
{
    std::string out;
    for (const Node& node : nodes) {
        if (node.kind == BlockKind::table) {
            if (!out.empty()) out.push_back('\n');
            out += table_text(node.cells);
        } else if (!node.text.empty()) {
            if (!out.empty()) out.push_back('\n');
            out += node.text;
        }
    }
    return out;
}

Node HwpxReader::note(Xml& xml, unsigned depth, BlockKind kind, const std::string& mark)
{
    Node node;
    node.kind = kind;
    xml.children([&](std::string_view name) {
        if (name == "subList") node.text = joined_text(read_list(xml, depth + 1));
    });
    if (!mark.empty() && !node.text.empty()) node.text = mark + " " + node.text;
    return node;
}

void HwpxReader::read_control(Xml& xml, unsigned depth, std::string& text, Nodes& after)
{
    xml.children([&](std::string_view name) {
        if (name == "footNote" || name == "endNote") {
            const std::string number = xml.attribute("number");
            const std::string mark = number.empty() ? "" : number + ")";
            text += mark;
            after.push_back(note(xml, depth, BlockKind::note, mark));
        } else if (name == "header") {
            after.push_back(note(xml, depth, BlockKind::header, ""));
        } else if (name == "footer") {
            after.push_back(note(xml, depth, BlockKind::footer, ""));
        } else if (name == "autoNum") {
            // The number of a note stands before its text already; captions carry theirs here.
            const std::string type = xml.attribute("numType");
            if (type == "TABLE" || type == "PICTURE" || type == "EQUATION") text += xml.attribute("num");
        }
    });
}

void HwpxReader::read_cell(Xml& xml, unsigned depth, Cell& cell, Nodes& nested)
{
    cell.header = xml.attribute("header") == "1";
    xml.children([&](std::string_view name) {
        if (name == "subList") {
            for (Node& node : read_list(xml, depth + 1)) {
                if (node.kind == BlockKind::table || node.kind == BlockKind::note ||
                    node.kind == BlockKind::equation || node.kind == BlockKind::header ||
                    node.kind == BlockKind::footer) {
                    nested.push_back(std::move(node));
                } else if (!node.text.empty()) {
                    if (!cell.text.empty()) cell.text.push_back('\n');
                    cell.text += node.text;
                }
            }
        } else if (name == "cellAddr") {
            cell.row = xml.number("rowAddr", 0);
            cell.col = xml.number("colAddr", 0);
        } else if (name == "cellSpan") {
            cell.rowspan = xml.number("rowSpan", 1);
            cell.colspan = xml.number("colSpan", 1);
        }
    });
}

void HwpxReader::read_table(Xml& xml, unsigned depth, Nodes& nodes)
{
    Node table;
    table.kind = BlockKind::table;
    table.rows = xml.number("rowCnt", 0);
    table.cols = xml.number("colCnt", 0);
    const bool repeats = xml.attribute("repeatHeader") == "1";
    Nodes nested, caption;
    bool caption_below = false;
    xml.children([&](std::string_view name) {
        if (name == "caption") {
            const std::string side = xml.attribute("side");
            caption_below = side == "BOTTOM" || side == "RIGHT";
            xml.children([&](std::string_view inner) {
                if (inner == "subList") caption = read_list(xml, depth + 1);
            });
        } else if (name == "tr") {
            xml.children([&](std::string_view inner) {
                if (inner != "tc") return;
                Cell cell;
                read_cell(xml, depth, cell, nested);
                if (cell.row >= kGridCellsMax || cell.col >= kGridColumnsMax ||
                    table.cells.size() >= kGridCellsMax)
                    quarantine("too_large", "표의 행이나 열 번호가 처리 한도를 넘습니다.");
                table.cells.push_back(std::move(cell));
            });
        }
    });
    // A repeated first row is a header row even where no cell says so.
    const bool marked =
        std::any_of(table.cells.begin(), table.cells.end(), [](const Cell& c) { return c.header; });
    if (repeats && !marked && table.rows > 1)
        for (Cell& cell : table.cells)
            if (cell.row == 0) cell.header = true;
    if (!caption_below) std::move(caption.begin(), caption.end(), std::back_inserter(nodes));
    nodes.push_back(std::move(table));
    if (caption_below) std::move(caption.begin(), caption.end(), std::back_inserter(nodes));
    std::move(nested.begin(), nested.end(), std::back_inserter(nodes));
}

void HwpxReader::read_shape_object(Xml& xml, unsigned depth, bool picture, Nodes& after)
{
    if (depth > kNestingMax) quarantine("too_large", "그리기 개체가 지나치게 깊이 겹쳐 있습니다.");
    Nodes caption;
    xml.children([&](std::string_view name) {
        if (name == "drawText") {
            xml.children([&](std::string_view inner) {
                if (inner != "subList") return;
                Nodes more = read_list(xml, depth + 1);
                std::move(more.begin(), more.end(), std::back_inserter(after));
            });
        } else if (name == "caption") {
            xml.children([&](std::string_view inner) {
                if (inner == "subList") caption = read_list(xml, depth + 1);
            });
        } else if (name == "rect" || name == "ellipse" || name == "polygon" || name == "curve" ||
                   name == "arc" || name == "container" || name == "connectLine" || name == "line" ||
                   name == "pic") {
            read_shape_object(xml, depth + 1, name == "pic", after);
        } else if (name == "tbl") {
            read_table(xml, depth + 1, after);
        }
    });
    for (Node& node : caption) {
        if (picture && node.kind == BlockKind::paragraph) node.kind = BlockKind::figure;
        after.push_back(std::move(node));
    }
}

void HwpxReader::read_run_child(Xml& xml, std::string_view name, unsigned depth, std::string& text,
                                Nodes& nodes, Nodes& after)
{
    if (name == "t") {
        read_text(xml, text);
    } else if (name == "tbl") {
        Node before;
        before.text = std::exchange(text, {});
        if (!blank(before.text)) nodes.push_back(std::move(before));
        read_table(xml, depth, nodes);
    } else if (name == "ctrl") {
        read_control(xml, depth, text, after);
    } else if (name == "equation") {
        Node node;
        node.kind = BlockKind::equation;
        xml.children([&](std::string_view inner) {
            if (inner == "script") node.text = xml.text();
        });
        after.push_back(std::move(node));
    } else if (name == "secPr") {
        const std::string outline = xml.attribute("outlineShapeIDRef");
        if (!outline.empty()) outline_ = outline;
    } else if (name == "switch") {
        bool taken = false;  // the branches say the same in different dialects
        xml.children([&](std::string_view branch) {
            if (taken || (branch != "case" && branch != "default")) return;
            taken = true;
            xml.children(
                [&](std::string_view inner) { read_run_child(xml, inner, depth + 1, text, nodes, after); });
        });
    } else {
        read_shape_object(xml, depth + 1, name == "pic", after);
    }
}

void HwpxReader::label(Node& node, const ParagraphShape& shape, const std::string& style)
{
    using Heading = ParagraphShape::Heading;
    std::string number;
    if (shape.heading == Heading::bullet) {
        number = bullets_[shape.list];
    } else if (shape.heading != Heading::none) {
        const std::string& list = shape.heading == Heading::outline ? outline_ : shape.list;
        const auto levels = numberings_.find(list);
        if (levels != numberings_.end()) number = numbering_.next(list, levels->second, shape.level);
    }
    const bool short_text = node.text.size() < 200;
    if (shape.heading == Heading::outline && short_text) {
        node.kind = BlockKind::heading;
        node.level = shape.level + 1;
    } else if (shape.heading != Heading::none) {
        node.kind = BlockKind::list;
        node.level = shape.level + 1;
    } else if ((style == "제목" || style == "Title") && short_text) {
        node.kind = BlockKind::heading;
        node.level = 1;
    }
    if (!number.empty()) node.text = number + " " + node.text;
}

Nodes HwpxReader::read_paragraph(Xml& xml, unsigned depth, std::vector<LineSegment>* segments)
{
    if (depth > kNestingMax) quarantine("too_large", "문단이 지나치게 깊이 겹쳐 있습니다.");
    const auto shape = shapes_.find(xml.attribute("paraPrIDRef"));
    const auto style = styles_.find(xml.attribute("styleIDRef"));
    Nodes nodes, after;
    std::string text;
    xml.children([&](std::string_view name) {
        if (name == "run") {
            xml.children(
                [&](std::string_view inner) { read_run_child(xml, inner, depth, text, nodes, after); });
        } else if (name == "linesegarray" && segments != nullptr) {
            xml.children([&](std::string_view) {
                // Offsets above 2^31 are negative numbers written unsigned.
                segments->push_back({static_cast<std::int32_t>(xml.number("vertpos", 0)),
                                     static_cast<std::int32_t>(xml.number("horzpos", 0))});
            });
        }
    });
    Node own;
    own.text = std::move(text);
    if (!blank(own.text)) nodes.push_back(std::move(own));
    // The paragraph's number stands before its first words.
    const auto first = std::find_if(nodes.begin(), nodes.end(),
                                    [](const Node& n) { return n.kind == BlockKind::paragraph; });
    if (first != nodes.end())
        label(*first, shape == shapes_.end() ? ParagraphShape{} : shape->second,
              style == styles_.end() ? "" : style->second);
    std::move(after.begin(), after.end(), std::back_inserter(nodes));
    return nodes;
}

void HwpxReader::turn_pages(bool explicit_break, const std::vector<LineSegment>& segments)
{
    if (explicit_break && !first_paragraph_) {
        ++page_;
        break_seen_ = true;
        last_line_ = {-1, 0};
    } else if (!segments.empty() && last_line_.top > segments.front().top &&
               last_line_.left >= segments.front().left) {
        ++page_;
    }
    if (!segments.empty()) {
        layout_seen_ = true;
        last_line_ = segments.front();
    }
}

void HwpxReader::read_top_paragraph(Xml& xml)
{
    const bool explicit_break = xml.attribute("pageBreak") == "1";
    std::vector<LineSegment> segments;
    Nodes nodes = read_paragraph(xml, 0, &segments);
    turn_pages(explicit_break, segments);
    first_paragraph_ = false;
    for (Node& node : nodes) {
        if (node.kind == BlockKind::table)
            builder_.add_table(std::move(node.cells), node.rows, node.cols, page_);
        else
            builder_.add_text(node.kind, node.text, node.level, page_);
    }
    for (std::size_t i = 1; i < segments.size(); ++i) {
        if (segments[i].top < segments[i - 1].top && segments[i].left <= segments[i - 1].left) ++page_;
        last_line_ = segments[i];
    }
    if (page_ > kPagesMax) quarantine("too_large", "쪽수가 처리 한도를 넘습니다.");
}

void HwpxReader::read_section(const std::string& bytes, const std::string& name)
{
    Xml xml(bytes, name);
    xml.root();
    xml.children([&](std::string_view child) {
        if (child == "p") read_top_paragraph(xml);
    });
}

Document HwpxReader::read()
{
    refuse_encrypted();
    read_package();
    read_header();
    for (std::size_t i = 0; i < package_.sections.size(); ++i) {
        if (i > 0 && !builder_.empty()) {
            ++page_;
            break_seen_ = true;
            last_line_ = {-1, 0};
        }
        deleted_ = false;
        first_paragraph_ = true;
        read_section(archive_.read(package_.sections[i]), package_.sections[i]);
    }
    Document document = builder_.finish();
    document.title = package_.title;
    document.author = package_.creator;
    document.pages = page_;
    // Pages counted from breaks alone are exact only where nothing flows over; the layout cache is a guess.
    const bool exact = break_seen_ && !layout_seen_;
    for (Block& block : document.blocks) block.page_exact = exact;
    return document;
}

}  // namespace

Document parse_hwpx(std::string_view bytes)
{
    return HwpxReader(bytes).read();
}

}  // namespace jiphyeon
