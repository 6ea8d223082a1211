// HTML. What a browser would not show is dropped: scripts, styles, hidden elements.
#include <libxml/HTMLparser.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "builder.hpp"
#include "encoding.hpp"

namespace jiphyeon {
namespace {

constexpr unsigned kElementDepthMax = 400;

struct DocDeleter {
    void operator()(xmlDoc* doc) const noexcept { xmlFreeDoc(doc); }
};

std::string lower(std::string_view text)
{
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

std::string attribute(const xmlNode* node, const char* name)
{
    xmlChar* value = xmlGetProp(node, reinterpret_cast<const xmlChar*>(name));
    if (value == nullptr) return {};
    std::string out(reinterpret_cast<const char*>(value));
    xmlFree(value);
    return out;
}

bool has_attribute(const xmlNode* node, const char* name)
{
    return xmlHasProp(node, reinterpret_cast<const xmlChar*>(name)) != nullptr;
}

std::uint32_t span(const xmlNode* node, const char* name)
{
    const std::string text = attribute(node, name);
    return text.empty() ? 1u : static_cast<std::uint32_t>(std::clamp(std::atoi(text.c_str()), 1, 1000));
}

bool hidden(const xmlNode* node, const std::string& tag)
{
    static const std::set<std::string> kDropped = {"script", "style", "noscript", "template", "iframe",
                                                   "object", "embed", "svg",      "math",     "button",
                                                   "select", "input", "textarea", "head"};
    if (kDropped.contains(tag) || has_attribute(node, "hidden")) return true;
    std::string style = lower(attribute(node, "style"));
    std::erase(style, ' ');
    return style.find("display:none") != std::string::npos ||
           style.find("visibility:hidden") != std::string::npos ||
           style.find("font-size:0") != std::string::npos || style.find("opacity:0;") != std::string::npos;
}

bool breaks_line(const std::string& tag)
{
    static const std::set<std::string> kBlocks = {
        "p",  "div",  "section",  "article", "header",     "footer",  "main",    "aside", "nav",
        "ul", "ol",   "dl",       "dt",      "dd",         "li",      "h1",      "h2",    "h3",
        "h4", "h5",   "h6",       "pre",     "table",      "tr",      "td",      "th",    "blockquote",
        "hr", "form", "fieldset", "figure",  "figcaption", "address", "caption", "body"};
    return kBlocks.contains(tag);
}

class HtmlReader {
public:
    explicit HtmlReader(std::string format) : builder_(std::move(format)) {}
    Document read(std::string_view utf8);

private:
    void walk(const xmlNode* node, unsigned depth);
    void element(const xmlNode* node, unsigned depth);
    void table(const xmlNode* node, unsigned depth);
    void table_rows(const xmlNode* node, GridFiller& grid, bool header, unsigned depth);
    std::string cell_text(const xmlNode* node, unsigned depth);
    void flush();
    void find_title(const xmlNode* node, unsigned depth);

    DocumentBuilder builder_;
    std::string text_;
    BlockKind kind_ = BlockKind::paragraph;
    std::uint32_t level_ = 0, list_depth_ = 0;
    bool pre_ = false;
    std::vector<const xmlNode*> nested_;
};

void HtmlReader::flush()
{
    builder_.add_text(kind_, text_, level_);
    text_.clear();
    kind_ = BlockKind::paragraph;
    level_ = 0;
}

std::string HtmlReader::cell_text(const xmlNode* node, unsigned depth)
{
    std::string out;
    if (depth > kElementDepthMax) return out;
    for (const xmlNode* child = node->children; child != nullptr; child = child->next) {
        if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) {
            for (const char* c = reinterpret_cast<const char*>(child->content); c != nullptr && *c != '\0';
                 ++c)
                out.push_back(*c == '\n' || *c == '\r' || *c == '\t' ? ' ' : *c);
        } else if (child->type == XML_ELEMENT_NODE) {
            const std::string tag = lower(reinterpret_cast<const char*>(child->name));
            if (hidden(child, tag)) continue;
            if (tag == "table") {
                nested_.push_back(child);
                continue;
            }
            if (tag == "br" || (breaks_line(tag) && !out.empty())) out.push_back('\n');
            out += cell_text(child, depth + 1);
        }
    }
    return out;
}

void HtmlReader::table_rows(const xmlNode* node, GridFiller& grid, bool header, unsigned depth)
{
    if (depth > kElementDepthMax) return;
    for (const xmlNode* child = node->children; child != nullptr; child = child->next) {
        if (child->type != XML_ELEMENT_NODE) continue;
        const std::string tag = lower(reinterpret_cast<const char*>(child->name));
        if (hidden(child, tag)) continue;
        if (tag == "thead" || tag == "tbody" || tag == "tfoot") {
            table_rows(child, grid, tag == "thead", depth + 1);
        } else if (tag == "tr") {
            grid.row();
            for (const xmlNode* cell = child->children; cell != nullptr; cell = cell->next) {
                if (cell->type != XML_ELEMENT_NODE) continue;
                const std::string name = lower(reinterpret_cast<const char*>(cell->name));
                if ((name != "td" && name != "th") || hidden(cell, name)) continue;
                std::string text = cell_text(cell, depth + 1);
                Cell& placed = grid.cell(span(cell, "rowspan"), span(cell, "colspan"));
                placed.text = std::move(text);
                placed.header = header || (name == "th" && placed.row == 0);
            }
        }
    }
}

void HtmlReader::table(const xmlNode* node, unsigned depth)
{
    flush();
    for (const xmlNode* child = node->children; child != nullptr; child = child->next)
        if (child->type == XML_ELEMENT_NODE && lower(reinterpret_cast<const char*>(child->name)) == "caption")
            builder_.add_text(BlockKind::paragraph, cell_text(child, depth + 1));
    GridFiller grid;
    std::vector<const xmlNode*> outer = std::exchange(nested_, {});
    table_rows(node, grid, false, depth);
    builder_.add_table(grid.take(), grid.rows(), grid.cols());
    const std::vector<const xmlNode*> inner = std::exchange(nested_, std::move(outer));
    if (depth < kNestingMax * 4)
        for (const xmlNode* one : inner) table(one, depth + 8);
}

void HtmlReader::element(const xmlNode* node, unsigned depth)
{
    const std::string tag = lower(reinterpret_cast<const char*>(node->name));
    if (hidden(node, tag)) return;
    if (tag == "table") {
        table(node, depth);
        return;
    }
    if (tag == "br") {
        text_.push_back('\n');
        return;
    }
    const bool block = breaks_line(tag);
    if (block) flush();
    if (tag.size() == 2 && tag[0] == 'h' && tag[1] >= '1' && tag[1] <= '6') {
        kind_ = BlockKind::heading;
        level_ = static_cast<std::uint32_t>(tag[1] - '0');
    } else if (tag == "li") {
        kind_ = BlockKind::list;
        level_ = std::max(list_depth_, 1u);
    } else if (tag == "ul" || tag == "ol") {
        ++list_depth_;
    }
    const bool pre_before = pre_;
    pre_ = pre_ || tag == "pre";
    walk(node, depth + 1);
    pre_ = pre_before;
    if (tag == "ul" || tag == "ol") --list_depth_;
    if (block) flush();
}

void HtmlReader::walk(const xmlNode* node, unsigned depth)
{
    if (depth > kElementDepthMax) return;
    for (const xmlNode* child = node->children; child != nullptr; child = child->next) {
        if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) {
            for (const char* c = reinterpret_cast<const char*>(child->content); c != nullptr && *c != '\0';
                 ++c)
                text_.push_back(!pre_ && (*c == '\n' || *c == '\r' || *c == '\t') ? ' ' : *c);
        } else if (child->type == XML_ELEMENT_NODE) {
            element(child, depth);
        }
    }
}

void HtmlReader::find_title(const xmlNode* node, unsigned depth)
{
    if (depth > 6) return;
    for (const xmlNode* child = node->children; child != nullptr; child = child->next) {
        if (child->type != XML_ELEMENT_NODE) continue;
        const std::string tag = lower(reinterpret_cast<const char*>(child->name));
        if (tag == "title" && builder_.document().title.empty())
            builder_.document().title = builder_.clean(cell_text(child, 0));
        else if (tag == "html" || tag == "head")
            find_title(child, depth + 1);
    }
}

Document HtmlReader::read(std::string_view utf8)
{
    if (utf8.size() > kMemberBytesMax / 2) quarantine("too_large", "HTML이 처리 한도를 넘습니다.");
    const std::unique_ptr<xmlDoc, DocDeleter> doc(
        htmlReadMemory(utf8.data(), static_cast<int>(utf8.size()), nullptr, "UTF-8",
                       HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET));
    if (!doc) quarantine("broken", "HTML을 읽을 수 없습니다.");
    const auto* root = reinterpret_cast<const xmlNode*>(doc.get());
    find_title(root, 0);
    walk(root, 0);
    flush();
    return builder_.finish();
}

std::string declared_charset(std::string_view bytes)
{
    const std::string head = lower(bytes.substr(0, 4096));
    std::size_t at = head.find("charset=");
    if (at == std::string::npos) return {};
    at += std::strlen("charset=");
    while (at < head.size() && (head[at] == '"' || head[at] == '\'' || head[at] == ' ')) ++at;
    std::size_t end = at;
    while (end < head.size() &&
           (std::isalnum(static_cast<unsigned char>(head[end])) || head[end] == '-' || head[end] == '_'))
        ++end;
    return head.substr(at, end - at);
}

}  // namespace

Document parse_html_text(std::string_view utf8)
{
    return HtmlReader("html").read(utf8);
}

Document parse_html(std::string_view bytes)
{
    if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
    const std::string text =
        is_utf8(bytes) ? std::string(bytes) : decode_named(bytes, declared_charset(bytes));
    return parse_html_text(text);
}

}  // namespace jiphyeon
