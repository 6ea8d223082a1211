// Small documents that the tests make themselves.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "parse.hpp"

namespace jiphyeon::test {

using Members = std::vector<std::pair<std::string, std::string>>;
std::string make_zip(const Members& members);
// `section`: the paragraphs of one section, in the namespace hp.
std::string make_hwpx(const std::string& section, const std::string& header = "",
                      const std::string& title = "시험 문서");
// `body`: children of w:body; more parts by name.
std::string make_docx(const std::string& body, Members more = {});
std::string hwpx_paragraph(const std::string& text, const std::string& attributes = "");

// A PDF of Latin text in Helvetica: each page a list of {x, y from the top, size, text}.
struct PdfText {
    double x, y, size;
    std::string text;
};
// `drawing`: operators put on every page before its text.
std::string make_pdf(const std::vector<std::vector<PdfText>>& pages, const std::string& drawing = "");

// For parsers that must not ask for pages or pictures.
class NoPdf final : public PdfSource {
public:
    PdfInfo info() override { quarantine("crashed", "no PDF program here"); }
    std::vector<PdfPage> pages(std::uint32_t, std::uint32_t) override { return {}; }
    std::string render(std::uint32_t, unsigned, bool) override { return {}; }
};
class NoOcr final : public Ocr {
public:
    OcrPage read(std::string_view, unsigned, std::uint32_t) override { return {}; }
};
Extraction parse(const std::string& name, std::string_view bytes);

std::vector<const Block*> blocks_of(const Document& document, BlockKind kind);
// The grid's spans cover rows x columns exactly once.
bool grid_is_exact(const Block& table);
std::string all_text(const Document& document);

}  // namespace jiphyeon::test
