#include "made_files.hpp"

#include <zip.h>

#include <cstdio>
#include <stdexcept>

namespace jiphyeon::test {

std::string make_zip(const Members& members)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* buffer = zip_source_buffer_create(nullptr, 0, 0, &error);
    zip_t* archive = zip_open_from_source(buffer, ZIP_TRUNCATE, &error);
    if (archive == nullptr) throw std::runtime_error("zip");
    zip_source_keep(buffer);
    for (const auto& [name, bytes] : members) {
        zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
        if (zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8) < 0)
            throw std::runtime_error("zip add");
    }
    if (zip_close(archive) != 0) throw std::runtime_error("zip close");
    zip_source_open(buffer);
    zip_source_seek(buffer, 0, SEEK_END);
    const auto size = static_cast<std::size_t>(zip_source_tell(buffer));
    zip_source_seek(buffer, 0, SEEK_SET);
    std::string out(size, '\0');
    zip_source_read(buffer, out.data(), size);
    zip_source_close(buffer);
    zip_source_free(buffer);
    return out;
}

std::string hwpx_paragraph(const std::string& text, const std::string& attributes)
{
    return "<hp:p " + attributes + "><hp:run><hp:t>" + text + "</hp:t></hp:run></hp:p>";
}

std::string make_hwpx(const std::string& section, const std::string& header, const std::string& title)
{
    const std::string spaces =
        " xmlns:hp=\"http://www.hancom.co.kr/hwpml/2011/paragraph\" "
        "xmlns:hs=\"http://www.hancom.co.kr/hwpml/2011/section\""
        " xmlns:hh=\"http://www.hancom.co.kr/hwpml/2011/head\" "
        "xmlns:hc=\"http://www.hancom.co.kr/hwpml/2011/core\""
        " xmlns:opf=\"http://www.idpf.org/2007/opf/\"";
    return make_zip(
        {{"mimetype", "application/hwp+zip"},
         {"Contents/content.hpf",
          "<opf:package" + spaces + "><opf:metadata><opf:title>" + title +
              "</opf:title></opf:metadata><opf:manifest><opf:item id=\"header\" "
              "href=\"Contents/header.xml\"/>"
              "<opf:item id=\"section0\" href=\"Contents/section0.xml\"/></opf:manifest>"
              "<opf:spine><opf:itemref idref=\"header\"/><opf:itemref "
              "idref=\"section0\"/></opf:spine></opf:package>"},
         {"Contents/header.xml", "<hh:head" + spaces + "><hh:refList>" + header + "</hh:refList></hh:head>"},
         {"Contents/section0.xml", "<hs:sec" + spaces + ">" + section + "</hs:sec>"}});
}

std::string make_docx(const std::string& body, Members more)
{
    const std::string space = " xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";
    more.emplace_back("word/document.xml",
                      "<w:document" + space + "><w:body>" + body + "</w:body></w:document>");
    more.emplace_back("[Content_Types].xml", "<Types/>");
    return make_zip(more);
}

std::string make_pdf(const std::vector<std::vector<PdfText>>& pages, const std::string& drawing)
{
    std::vector<std::string> objects = {"<< /Type /Catalog /Pages 2 0 R >>", "",
                                        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"};
    std::string kids;
    for (const std::vector<PdfText>& page : pages) {
        std::string content = drawing;
        for (const PdfText& text : page) {
            char head[96];
            std::snprintf(head, sizeof head, "BT /F1 %.1f Tf %.1f %.1f Td (", text.size, text.x,
                          842 - text.y);
            content += head + text.text + ") Tj ET\n";
        }
        objects.push_back("<< /Length " + std::to_string(content.size()) + " >>\nstream\n" + content +
                          "endstream");
        const std::string stream = std::to_string(objects.size());
        objects.push_back("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents " + stream +
                          " 0 R /Resources << /Font << /F1 3 0 R >> >> >>");
        kids += std::to_string(objects.size()) + " 0 R ";
    }
    objects[1] = "<< /Type /Pages /Kids [" + kids + "] /Count " + std::to_string(pages.size()) + " >>";
    std::string out = "%PDF-1.4\n";
    std::string table = "0000000000 65535 f \n";
    for (std::size_t i = 0; i < objects.size(); ++i) {
        char entry[32];
        std::snprintf(entry, sizeof entry, "%010zu 00000 n \n", out.size());
        table += entry;
        out += std::to_string(i + 1) + " 0 obj\n" + objects[i] + "\nendobj\n";
    }
    const std::string start = std::to_string(out.size());
    const std::string count = std::to_string(objects.size() + 1);
    return out + "xref\n0 " + count + "\n" + table + "trailer << /Size " + count +
           " /Root 1 0 R >>\nstartxref\n" + start + "\n%%EOF\n";
}

Extraction parse(const std::string& name, std::string_view bytes)
{
    NoPdf pdf;
    NoOcr ocr;
    return parse_file(name, bytes, pdf, ocr);
}

std::vector<const Block*> blocks_of(const Document& document, BlockKind kind)
{
    std::vector<const Block*> out;
    for (const Block& block : document.blocks)
        if (block.kind == kind) out.push_back(&block);
    return out;
}

bool grid_is_exact(const Block& table)
{
    std::vector<int> covered(std::size_t{table.rows} * table.cols, 0);
    for (const Cell& cell : table.cells)
        for (std::uint32_t r = cell.row; r < cell.row + cell.rowspan; ++r)
            for (std::uint32_t c = cell.col; c < cell.col + cell.colspan; ++c) {
                if (r >= table.rows || c >= table.cols) return false;
                ++covered[std::size_t{r} * table.cols + c];
            }
    for (const int times : covered)
        if (times != 1) return false;
    return true;
}

std::string all_text(const Document& document)
{
    std::string out;
    for (const Block& block : document.blocks) out += block.text + "\n";
    return out;
}

}  // namespace jiphyeon::test
