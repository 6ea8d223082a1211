// What the fuzz targets of ingest share: foreign bytes wrapped into a package, and what every document must
// keep.
#pragma once

#include <span>

#include "../ingest/made_files.hpp"
#include "corpus.hpp"
#include "image.hpp"

namespace jiphyeon::test {

// Grids are whole, lines lie in their text, and the document can be cut into chunks.
inline void check(const Document& document)
{
    for (const Block& block : document.blocks) {
        if (block.rows != 0 && !grid_is_exact(block)) __builtin_trap();
        for (const Block::Line& line : block.lines)
            if (line.start > line.end || line.end > block.text.size()) __builtin_trap();
    }
    DocumentRecord record;
    record.title = document.title;
    for (const Chunk& chunk : chunk_document(document, record))
        if (chunk.text.empty()) __builtin_trap();
}

inline void check(const Extraction& extraction)
{
    if (extraction.document.has_value() == extraction.not_read.has_value()) __builtin_trap();
    if (extraction.document) check(*extraction.document);
}

inline std::string make_xlsx(const std::string& sheet)
{
    return make_zip({{"xl/workbook.xml",
                      "<workbook xmlns:r=\"r\"><sheets><sheet name=\"a\" r:id=\"1\"/></sheets></workbook>"},
                     {"xl/_rels/workbook.xml.rels", "<R><R Id=\"1\" Target=\"s.xml\"/></R>"},
                     {"xl/sharedStrings.xml", "<sst><si><t>text</t></si></sst>"},
                     {"xl/styles.xml",
                      "<s><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"4\"/><xf numFmtId=\"22\"/>"
                      "<xf numFmtId=\"10\"/></cellXfs></s>"},
                     {"xl/s.xml", "<worksheet><sheetData>" + sheet + "</sheetData></worksheet>"}});
}

// A page of words at places that the bytes say.
class AnyWords final : public PdfSource {
public:
    explicit AnyWords(std::string_view bytes) : bytes_(bytes) {}
    PdfInfo info() override { return {2, "", ""}; }
    std::vector<PdfPage> pages(std::uint32_t first, std::uint32_t last) override
    {
        std::vector<PdfPage> out;
        for (std::uint32_t number = first; number <= last; ++number) {
            PdfPage page;
            page.width = page.height = 600;
            for (std::size_t i = number - 1; i + 3 < bytes_.size(); i += 4) {
                const auto at = [&](std::size_t k) {
                    return static_cast<double>(static_cast<unsigned char>(bytes_[i + k]));
                };
                PdfWord word;
                word.text = std::string(1 + static_cast<std::size_t>(at(2)) % 7, bytes_[i + 3]);
                word.left = at(0) * 2.4;
                word.top = at(1) * 2.4;
                word.right = word.left + at(2) - 10;
                word.bottom = word.top + 10;
                word.size = at(3) / 8;
                word.upright = at(2) < 250;
                page.words.push_back(std::move(word));
            }
            out.push_back(std::move(page));
        }
        return out;
    }
    std::string render(std::uint32_t, unsigned, bool) override
    {
        return "P5 2 2 255\n" + std::string(4, '\0');
    }

private:
    std::string_view bytes_;
};

}  // namespace jiphyeon::test
