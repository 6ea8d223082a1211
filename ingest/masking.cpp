#include "masking.hpp"

#include <algorithm>
#include <set>

#include "builder.hpp"
#include "veil.hpp"

namespace jiphyeon {
namespace {

// From offsets in the inspected text to offsets in the masked one. An offset inside of a hidden place goes to
// its end: the tag stands where the place begins, what comes after begins behind it.
class Shift {
public:
    explicit Shift(const Inspection& inspection) : inspection_(inspection) {}

    std::size_t operator()(std::size_t offset) const
    {
        const auto& pieces = inspection_.pieces;
        const auto next =
            std::upper_bound(pieces.begin(), pieces.end(), offset,
                             [](std::size_t at, const Inspection::Piece& piece) { return at < piece.end; });
        if (next != pieces.end() && next->start < offset) return next->masked_end;
        if (next == pieces.begin()) return offset;
        const Inspection::Piece& before = *std::prev(next);
        return before.masked_end + (offset - before.end);
    }

    std::string text(std::size_t start, std::size_t end) const
    {
        const std::size_t from = (*this)(start), to = std::max((*this)(end), from);
        return inspection_.text.substr(from, to - from);
    }

private:
    const Inspection& inspection_;
};

bool touches(const Inspection& inspection, std::size_t start, std::size_t end)
{
    return std::any_of(
        inspection.pieces.begin(), inspection.pieces.end(),
        [&](const Inspection::Piece& piece) { return piece.start < end && piece.end > start; });
}

void check(const Inspection& inspection, std::size_t size)
{
    std::size_t at = 0, masked_at = 0;
    for (const Inspection::Piece& piece : inspection.pieces) {
        const bool sound = piece.start >= at && piece.end >= piece.start && piece.end <= size &&
                           piece.masked_start >= masked_at && piece.masked_end >= piece.masked_start &&
                           piece.masked_end <= inspection.text.size();
        if (!sound)
            throw IngestError(IngestError::Kind::bad_request, "the inspection's pieces do not fit its text");
        at = piece.end;
        masked_at = piece.masked_end;
    }
}

class Masking {
public:
    Masking(Document& document, const Inspection& inspection)
        : document_(document), inspection_(inspection), shift_(inspection)
    {
    }

    void block(Block& block, std::size_t start)
    {
        const std::size_t end = start + block.text.size();
        if (!touches(inspection_, start, end)) return;
        hide_boxes(block, start);
        for (Block::Line& line : block.lines) {
            const std::size_t base = shift_(start);
            line.start = shift_(start + line.start) - base;
            line.end = std::max(shift_(start + line.end) - base, line.start);
        }
        if (block.cells.empty()) {
            block.text = shift_.text(start, end);
        } else {
            std::vector<CellRange> ranges;
            table_text(block.cells, &ranges);
            for (std::size_t i = 0; i < block.cells.size(); ++i)
                if (touches(inspection_, start + ranges[i].start, start + ranges[i].end))
                    block.cells[i].text = shift_.text(start + ranges[i].start, start + ranges[i].end);
            block.text = table_text(block.cells);
            block.lines.clear();  // offsets into the text as it was
        }
    }

private:
    void hide_boxes(const Block& block, std::size_t start)
    {
        const std::size_t before = document_.hidden.size();
        for (const Block::Line& line : block.lines)
            if (touches(inspection_, start + line.start, start + line.end))
                document_.hidden.push_back(line.box);
        if (!block.cells.empty() && block.lines.empty()) {
            std::vector<CellRange> ranges;
            table_text(block.cells, &ranges);
            bool all = true;
            for (std::size_t i = 0; i < block.cells.size(); ++i) {
                if (!touches(inspection_, start + ranges[i].start, start + ranges[i].end)) continue;
                if (block.cells[i].box)
                    document_.hidden.push_back(*block.cells[i].box);
                else
                    all = false;
            }
            if (!all) document_.hidden.resize(before);
        }
        if (document_.hidden.size() == before && block.box) document_.hidden.push_back(*block.box);
        if (document_.hidden.size() == before) document_.hidden_pages.push_back(block.page);
    }

    Document& document_;
    const Inspection& inspection_;
    Shift shift_;
};

}  // namespace

MaskedDocument mask_document(Document& document, const Inspect& inspect)
{
    MaskedDocument out;
    if (!inspect) return out;
    std::string all;
    std::vector<std::size_t> starts;
    for (const Block& block : document.blocks) {
        starts.push_back(all.size());
        all += block.text;
        all.push_back('\n');
    }
    const Inspection inspection = inspect(all);
    if (inspection.secret_mark) {
        out.secret_mark = inspection.secret_mark;
        return out;
    }
    check(inspection, all.size());
    Veil veil;
    if (!inspection.pieces.empty()) {
        for (std::size_t i = 0; i < document.blocks.size(); ++i)
            veil.look(document.blocks[i], [&](std::size_t start, std::size_t end) {
                return touches(inspection, starts[i] + start, starts[i] + end);
            });
        veil.draw(document);
    }
    Masking masking(document, inspection);
    for (std::size_t i = 0; i < document.blocks.size(); ++i) masking.block(document.blocks[i], starts[i]);
    out.hidden = static_cast<std::uint32_t>(inspection.pieces.size());
    for (std::string* text : {&document.title, &document.author, &document.document_number}) {
        Inspection own = inspect(*text);
        out.hidden += static_cast<std::uint32_t>(own.pieces.size());
        *text = std::move(own.text);
    }
    std::sort(document.hidden_pages.begin(), document.hidden_pages.end());
    document.hidden_pages.erase(std::unique(document.hidden_pages.begin(), document.hidden_pages.end()),
                                document.hidden_pages.end());
    return out;
}

}  // namespace jiphyeon
