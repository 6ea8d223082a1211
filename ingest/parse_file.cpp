// From bytes to a finished Document or the reason why there is none.
#include "builder.hpp"
#include "metadata.hpp"
#include "parse.hpp"
#include "sniff.hpp"
#include "structure.hpp"

namespace jiphyeon {
namespace {

Document parse_kind(FileKind kind, std::string_view bytes, PdfSource& pdf, Ocr& ocr)
{
    switch (kind) {
        case FileKind::hwpx:
            return parse_hwpx(bytes);
        case FileKind::docx:
            return parse_docx(bytes);
        case FileKind::xlsx:
            return parse_xlsx(bytes);
        case FileKind::odt:
            return parse_odt(bytes);
        case FileKind::zip:
            return parse_zip(bytes);
        case FileKind::pdf:
            return parse_pdf(pdf, ocr);
        case FileKind::image:
            return parse_image(bytes, ocr);
        case FileKind::html:
            return parse_html(bytes);
        case FileKind::eml:
            return parse_eml(bytes);
        case FileKind::text:
            return parse_text(bytes);
        case FileKind::hwp5:
            refuse("hwp5",
                   "한글 문서(HWP 5)는 이 판에서 아직 읽지 못합니다. HWPX나 PDF로 바꾸어 넣어 주십시오.");
        case FileKind::hwp3:
            refuse("hwp3", "한글 3.0 문서는 이 판에서 읽지 못합니다. HWPX나 PDF로 바꾸어 넣어 주십시오.");
    }
    refuse("unknown_format", "알 수 없는 형식의 파일입니다.");
}

}  // namespace

Extraction parse_file(const std::string& name, std::string_view bytes, PdfSource& pdf, Ocr& ocr)
{
    Extraction out;
    try {
        Document document = parse_kind(sniff(bytes), bytes, pdf, ocr);
        if (document.blocks.empty() && document.attachments.empty())
            refuse("empty",
                   document.scanned ? "그림에서 글자를 찾지 못했습니다." : "문서에 읽을 글이 없습니다.");
        classify_blocks(document);
        complete_metadata(document, name);
        out.document = std::move(document);
    } catch (const Unreadable& e) {
        out.not_read = e.not_read;
    } catch (const std::bad_alloc&) {
        out.not_read = NotRead{false, "too_large", "문서를 읽는 데 기억 장치가 모자랍니다."};
    }
    return out;
}

}  // namespace jiphyeon
