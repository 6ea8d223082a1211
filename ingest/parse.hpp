// What all parsers share: how they refuse, what bounds them, and the sources of pages and of recognised text.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

// Thrown by a parser when the file as a whole gives no document.
struct Unreadable : std::runtime_error {
    explicit Unreadable(NotRead what) : std::runtime_error(what.reason), not_read(std::move(what)) {}
    NotRead not_read;
};
[[noreturn]] void refuse(std::string kind, std::string reason);
[[noreturn]] void quarantine(std::string kind, std::string reason);

// Bounds on what one file may become. A real section of 40 MB and a header of 5 MB were seen in HWPX.
inline constexpr std::uint64_t kInflatedBytesMax = 768ull << 20;  // all members of an archive together
inline constexpr std::uint64_t kMemberBytesMax = 256ull << 20;
inline constexpr std::uint64_t kRatioMax = 400;  // inflated : packed, above kRatioFrom
inline constexpr std::uint64_t kRatioFrom = 8ull << 20;
inline constexpr std::size_t kMembersMax = 20'000;
inline constexpr std::size_t kBlocksMax = 500'000;
inline constexpr std::size_t kTextBytesMax = 192u << 20;
inline constexpr std::size_t kGridCellsMax = 2'000'000;  // rows x columns of one table
inline constexpr std::uint32_t kGridColumnsMax = 4096;
inline constexpr unsigned kNestingMax = 24;  // tables in tables, parts in parts
inline constexpr std::uint32_t kPagesMax = 20'000;

struct PdfWord {
    std::string text;
    double left = 0, top = 0, right = 0, bottom = 0;  // points from the page's top left corner
    double size = 0;
    std::string font;
    bool space_after = true;
    bool upright = true;
};
struct PdfPage {
    double width = 0, height = 0;  // points
    std::vector<PdfWord> words;    // in the program's order
};
struct PdfInfo {
    std::uint32_t pages = 0;
    std::string title, author;
};
// Pages as the PDF program sees them. Throws Unreadable.
class PdfSource {
public:
    virtual ~PdfSource() = default;
    virtual PdfInfo info() = 0;
    virtual std::vector<PdfPage> pages(std::uint32_t first, std::uint32_t last) = 0;
    virtual std::string render(std::uint32_t page, unsigned dpi, bool gray) = 0;  // PGM or PPM
};

struct OcrLine {
    std::string text;
    Box box;
    float confidence = 0;  // 0..1
    bool tabular = false;  // wide gaps inside: a row of cells
};
struct OcrPage {
    std::vector<OcrLine> lines;
    float confidence = 0;
};
class Ocr {
public:
    virtual ~Ocr() = default;
    // `image`: an encoded picture (PNM, PNG, JPEG, one TIFF page) of about `dpi`.
    virtual OcrPage read(std::string_view image, unsigned dpi, std::uint32_t page) = 0;
};

// Parsers. Each throws Unreadable, and nothing else on foreign bytes.
Document parse_hwpx(std::string_view bytes);
Document parse_docx(std::string_view bytes);
Document parse_xlsx(std::string_view bytes);
Document parse_odt(std::string_view bytes);
Document parse_text(std::string_view bytes);
Document parse_html(std::string_view bytes);
Document parse_eml(std::string_view bytes);
Document parse_zip(std::string_view bytes);
Document parse_pdf(PdfSource& source, Ocr& ocr);
Document parse_image(std::string_view bytes, Ocr& ocr);

// From HTML inside other formats: mail bodies.
Document parse_html_text(std::string_view utf8);

// All of it: tells the kind, parses, completes the metadata. `pdf` may be asked only for PDF files.
Extraction parse_file(const std::string& name, std::string_view bytes, PdfSource& pdf, Ocr& ocr);

}  // namespace jiphyeon
