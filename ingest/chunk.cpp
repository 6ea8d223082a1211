// From blocks to chunks. Statutes by article, all else by items under their headings.
#include <algorithm>

#include "chunk_lines.hpp"
#include "code_points.hpp"

namespace jiphyeon {

std::size_t letters(std::string_view text)
{
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string shortened(std::string_view text, std::size_t most)
{
    std::size_t at = 0;
    for (std::size_t count = 0; at < text.size() && count < most; ++count) next_code_point(text, at);
    return at >= text.size() ? std::string(text) : std::string(text.substr(0, at)) + "…";
}

std::vector<Span> sentence_parts(std::string_view text, std::size_t most)
{
    std::vector<Span> parts;
    std::size_t start = 0;
    while (start < text.size()) {
        std::size_t at = start, last_end = start, last_blank = start, count = 0;
        while (at < text.size() && count < most) {
            const char before = at > start ? text[at - 1] : ' ';
            next_code_point(text, at);
            ++count;
            if (at >= text.size() || text[at] != ' ') continue;
            last_blank = at;
            // "다." and "요?" end sentences; "2026." and "1." do not.
            const bool digit = before >= '0' && before <= '9';
            if ((text[at - 1] == '.' || text[at - 1] == '?' || text[at - 1] == '!') && !digit) last_end = at;
        }
        std::size_t end = at;
        if (at < text.size()) end = last_end > start ? last_end : last_blank > start ? last_blank : at;
        parts.push_back({start, end});
        start = end;
        while (start < text.size() && text[start] == ' ') ++start;
    }
    return parts;
}

std::vector<Line> lines_of(const Document& document)
{
    std::vector<Line> lines;
    for (const Block& block : document.blocks) {
        if (block.kind == BlockKind::header || block.kind == BlockKind::footer) continue;
        Line line;
        line.kind = block.kind;
        line.level = block.level;
        line.page = block.page;
        line.page_exact = block.page_exact;
        if (block.kind == BlockKind::table) {
            line.table = &block;
            if (block.box) line.boxes.push_back(*block.box);
            for (const Block::Line& one : block.lines)
                if (!block.box) line.boxes.push_back(one.box);
            lines.push_back(std::move(line));
            continue;
        }
        for (std::size_t start = 0; start < block.text.size();) {
            const std::size_t end = std::min(block.text.find('\n', start), block.text.size());
            Line one = line;
            one.text = block.text.substr(start, end - start);
            for (const Block::Line& box : block.lines)
                if (box.start < end && box.end > start) one.boxes.push_back(box.box);
            if (block.lines.empty() && block.box) one.boxes.push_back(*block.box);
            if (block.kind != BlockKind::note) one.mark = leading_mark(one.text);
            if (one.text.find_first_not_of(' ') != std::string::npos) lines.push_back(std::move(one));
            start = end + 1;
        }
    }
    return lines;
}

void ChunkList::add(ChunkKind kind, const std::vector<std::string>& path, std::string text, Place place)
{
    if (text.empty()) return;
    Chunk chunk;
    chunk.document_id = record_.id;
    chunk.ordinal = static_cast<std::uint32_t>(chunks_.size());
    chunk.kind = kind;
    chunk.header = title_;
    for (const std::string& crumb : path) {
        if (crumb.empty() || crumb == title_) continue;
        chunk.header += chunk.header.empty() ? crumb : " > " + crumb;
    }
    chunk.text = std::move(text);
    chunk.label = record_.label;
    chunk.place = std::move(place);
    chunks_.push_back(std::move(chunk));
}

void ChunkList::add(ChunkKind kind, const std::vector<std::string>& path, std::string section,
                    std::string text, const std::vector<const Line*>& lines)
{
    Place place;
    place.section = std::move(section);
    place.page_exact = !lines.empty();
    for (const Line* line : lines) {
        if (place.page == 0 || line->page < place.page) place.page = line->page;
        place.page_end = std::max(place.page_end, line->page);
        place.page_exact = place.page_exact && line->page_exact;
        place.boxes.insert(place.boxes.end(), line->boxes.begin(), line->boxes.end());
    }
    if (place.page == 0) place.page_exact = false;
    add(kind, path, std::move(text), std::move(place));
}

std::vector<Chunk> chunk_document(const Document& document, const DocumentRecord& record)
{
    const std::vector<Line> lines = lines_of(document);
    ChunkList out(record, record.title.empty() ? document.title : record.title);
    if (!chunk_statute(out, lines))
        chunk_outline(out, lines, 0, lines.size(), {}, "", document.format == "xlsx", ChunkKind::body);
    return out.take();
}

}  // namespace jiphyeon
