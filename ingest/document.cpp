// Names and the JSON form of a Document: what the worker sends and what the index keeps as a view.
#include <nlohmann/json.hpp>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {
namespace {

using nlohmann::json;

constexpr std::string_view kKindNames[] = {"heading", "paragraph", "list",   "table",   "note",
                                           "header",  "footer",    "figure", "equation"};
constexpr std::string_view kStateNames[] = {"indexed", "unchanged", "refused", "quarantined"};

json box_json(const Box& box)
{
    return json::array({box.page, box.left, box.top, box.right, box.bottom});
}

Box box_from(const json& value)
{
    return {value.at(0), value.at(1), value.at(2), value.at(3), value.at(4)};
}

json cell_json(const Cell& cell)
{
    json out = {{"text", cell.text}, {"row", cell.row}, {"col", cell.col}};
    if (cell.rowspan != 1) out["rowspan"] = cell.rowspan;
    if (cell.colspan != 1) out["colspan"] = cell.colspan;
    if (cell.header) out["header"] = true;
    if (cell.box) out["box"] = box_json(*cell.box);
    return out;
}

Cell cell_from(const json& value)
{
    Cell cell;
    cell.text = value.at("text");
    cell.row = value.at("row");
    cell.col = value.at("col");
    cell.rowspan = value.value("rowspan", 1u);
    cell.colspan = value.value("colspan", 1u);
    cell.header = value.value("header", false);
    if (value.contains("box")) cell.box = box_from(value["box"]);
    return cell;
}

json block_json(const Block& block)
{
    json out = {{"kind", block_kind_name(block.kind)}, {"text", block.text}};
    if (block.page != 0) out["page"] = block.page;
    if (block.page_exact) out["page_exact"] = true;
    if (block.level != 0) out["level"] = block.level;
    if (block.box) out["box"] = box_json(*block.box);
    if (block.confidence < 1) out["confidence"] = block.confidence;
    if (block.rows != 0) {
        out["rows"] = block.rows;
        out["cols"] = block.cols;
        json& cells = out["cells"] = json::array();
        for (const Cell& cell : block.cells) cells.push_back(cell_json(cell));
    }
    if (!block.lines.empty()) {
        json& lines = out["lines"] = json::array();
        for (const Block::Line& line : block.lines)
            lines.push_back(json::array({line.start, line.end, box_json(line.box)}));
    }
    return out;
}

Block block_from(const json& value)
{
    Block block;
    const std::string kind = value.at("kind");
    const auto name = std::find(std::begin(kKindNames), std::end(kKindNames), kind);
    if (name == std::end(kKindNames)) throw IngestError(IngestError::Kind::bad_request, "block kind " + kind);
    block.kind = static_cast<BlockKind>(name - std::begin(kKindNames));
    block.text = value.at("text");
    block.page = value.value("page", 0u);
    block.page_exact = value.value("page_exact", false);
    block.level = value.value("level", 0u);
    if (value.contains("box")) block.box = box_from(value["box"]);
    block.confidence = value.value("confidence", 1.0f);
    block.rows = value.value("rows", 0u);
    block.cols = value.value("cols", 0u);
    if (value.contains("cells"))
        for (const json& cell : value["cells"]) block.cells.push_back(cell_from(cell));
    if (value.contains("lines"))
        for (const json& line : value["lines"]) {
            const std::size_t start = line.at(0), end = line.at(1);
            if (start > end || end > block.text.size())
                throw IngestError(IngestError::Kind::bad_request, "line outside of its block");
            block.lines.push_back({start, end, box_from(line.at(2))});
        }
    return block;
}

}  // namespace

std::string_view block_kind_name(BlockKind kind)
{
    return kKindNames[static_cast<std::size_t>(kind)];
}

std::string_view file_state_name(FileState state)
{
    return kStateNames[static_cast<std::size_t>(state)];
}

std::string Document::to_json() const
{
    json out = {{"format", format}, {"title", title}, {"pages", pages}};
    if (!author.empty()) out["author"] = author;
    if (!document_number.empty()) out["document_number"] = document_number;
    if (effective_from) out["effective_from"] = *effective_from;
    if (effective_to) out["effective_to"] = *effective_to;
    if (withdrawn) out["withdrawn"] = true;
    if (scanned) out["scanned"] = true;
    json& list = out["blocks"] = json::array();
    for (const Block& block : blocks) list.push_back(block_json(block));
    if (!attachments.empty()) {
        json& names = out["attachments"] = json::array();
        for (const Attachment& attachment : attachments) names.push_back(attachment.name);
    }
    if (!warnings.empty()) out["warnings"] = warnings;
    if (!hidden.empty()) {
        json& boxes = out["hidden"] = json::array();
        for (const Box& box : hidden) boxes.push_back(box_json(box));
    }
    if (!hidden_pages.empty()) out["hidden_pages"] = hidden_pages;
    return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Document Document::from_json(std::string_view text)
{
    try {
        const json value = json::parse(text);
        Document document;
        document.format = value.at("format");
        document.title = value.at("title");
        document.pages = value.at("pages");
        document.author = value.value("author", "");
        document.document_number = value.value("document_number", "");
        if (value.contains("effective_from")) document.effective_from = value["effective_from"].get<Day>();
        if (value.contains("effective_to")) document.effective_to = value["effective_to"].get<Day>();
        document.withdrawn = value.value("withdrawn", false);
        document.scanned = value.value("scanned", false);
        for (const json& block : value.at("blocks")) document.blocks.push_back(block_from(block));
        if (value.contains("attachments"))
            for (const json& name : value["attachments"]) document.attachments.push_back({name, ""});
        if (value.contains("warnings")) document.warnings = value["warnings"].get<std::vector<std::string>>();
        if (value.contains("hidden"))
            for (const json& box : value["hidden"]) document.hidden.push_back(box_from(box));
        if (value.contains("hidden_pages"))
            document.hidden_pages = value["hidden_pages"].get<std::vector<std::uint32_t>>();
        return document;
    } catch (const json::exception& e) {
        throw IngestError(IngestError::Kind::bad_request, std::string("document: ") + e.what());
    }
}

}  // namespace jiphyeon
