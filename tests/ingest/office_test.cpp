// DOCX, XLSX, ODT.
#include <gtest/gtest.h>

#include "made_files.hpp"

namespace jiphyeon {
namespace {

using namespace test;

std::string run(const std::string& text)
{
    return "<w:r><w:t>" + text + "</w:t></w:r>";
}

TEST(Docx, HeadingsListsAndNotesKeepTheirRank)
{
    const std::string space = " xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";
    const std::string styles =
        "<w:styles" + space +
        "><w:style w:styleId=\"1\"><w:name w:val=\"heading 1\"/></w:style>"
        "<w:style w:styleId=\"a\"><w:name w:val=\"본문제목\"/><w:basedOn w:val=\"1\"/></w:style></w:styles>";
    const std::string numbering = "<w:numbering" + space +
                                  "><w:abstractNum w:abstractNumId=\"7\"><w:lvl w:ilvl=\"0\"><w:start "
                                  "w:val=\"1\"/><w:numFmt w:val=\"ganada\"/>"
                                  "<w:lvlText w:val=\"%1.\"/></w:lvl></w:abstractNum><w:num "
                                  "w:numId=\"3\"><w:abstractNumId w:val=\"7\"/></w:num></w:numbering>";
    const std::string notes = "<w:footnotes" + space + "><w:footnote w:id=\"2\"><w:p>" + run("근거 법령") +
                              "</w:p></w:footnote></w:footnotes>";
    const std::string item =
        "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"3\"/></w:numPr></w:pPr>";
    const std::string body = "<w:p><w:pPr><w:pStyle w:val=\"a\"/></w:pPr>" + run("추진 배경") + "</w:p>" +
                             item + run("첫째") + "</w:p>" + item + run("둘째") + "</w:p><w:p>" +
                             run("본문") +
                             "<w:r><w:footnoteReference w:id=\"2\"/></w:r><w:del><w:r><w:delText>지운 "
                             "글</w:delText></w:r></w:del></w:p>";
    const Extraction seen = parse("글.docx", make_docx(body, {{"word/styles.xml", styles},
                                                              {"word/numbering.xml", numbering},
                                                              {"word/footnotes.xml", notes}}));
    ASSERT_TRUE(seen.document) << seen.not_read->reason;
    const std::vector<Block>& blocks = seen.document->blocks;
    ASSERT_EQ(blocks.size(), 5u);
    EXPECT_EQ(blocks[0].kind, BlockKind::heading);
    EXPECT_EQ(blocks[0].level, 1u);
    EXPECT_EQ(blocks[1].text, "가. 첫째");
    EXPECT_EQ(blocks[2].text, "나. 둘째");
    EXPECT_EQ(blocks[3].text, "본문1)");
    EXPECT_EQ(blocks[4].kind, BlockKind::note);
    EXPECT_EQ(blocks[4].text, "1) 근거 법령");
}

TEST(Docx, VerticalAndHorizontalMergesBecomeSpans)
{
    const auto cell = [](const std::string& properties, const std::string& text) {
        return "<w:tc><w:tcPr>" + properties + "</w:tcPr><w:p>" + run(text) + "</w:p></w:tc>";
    };
    const std::string table = "<w:tbl><w:tr><w:trPr><w:tblHeader/></w:trPr>" +
                              cell("<w:gridSpan w:val=\"2\"/>", "구분") + cell("", "비고") + "</w:tr><w:tr>" +
                              cell("<w:vMerge w:val=\"restart\"/>", "가") + cell("", "1") + cell("", "a") +
                              "</w:tr><w:tr>" + cell("<w:vMerge/>", "") + cell("", "2") + cell("", "b") +
                              "</w:tr></w:tbl>";
    const Extraction seen = parse("표.docx", make_docx(table));
    ASSERT_TRUE(seen.document);
    const auto tables = blocks_of(*seen.document, BlockKind::table);
    ASSERT_EQ(tables.size(), 1u);
    EXPECT_TRUE(grid_is_exact(*tables[0]));
    EXPECT_EQ(tables[0]->text, "구분\t비고\n가\t1\ta\n2\tb");
    EXPECT_EQ(tables[0]->cells[2].rowspan, 2u);
    EXPECT_TRUE(tables[0]->cells[0].header);
    EXPECT_FALSE(tables[0]->cells[2].header);
}

std::string make_xlsx(const std::string& sheet_data, const std::string& after = "")
{
    const std::string space = " xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"";
    return make_zip(
        {{"xl/workbook.xml",
          "<workbook" + space +
              " xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets>"
              "<sheet name=\"예산\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"},
         {"xl/_rels/workbook.xml.rels",
          "<Relationships><Relationship Id=\"rId1\" Target=\"worksheets/sheet1.xml\"/></Relationships>"},
         {"xl/sharedStrings.xml",
          "<sst" + space + "><si><t>세부사업</t></si><si><r><t>금</t></r><r><t>액</t></r></si></sst>"},
         {"xl/styles.xml", "<styleSheet" + space +
                               "><numFmts><numFmt numFmtId=\"164\" formatCode=\"yyyy&quot;년&quot; "
                               "m&quot;월&quot;\"/></numFmts>"
                               "<cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"3\"/><xf numFmtId=\"14\"/><xf "
                               "numFmtId=\"9\"/></cellXfs></styleSheet>"},
         {"xl/worksheets/sheet1.xml",
          "<worksheet" + space + "><sheetData>" + sheet_data + "</sheetData>" + after + "</worksheet>"}});
}

TEST(Xlsx, CellsAreShownAsTheSheetShowsThemAtTheirAddress)
{
    const std::string rows =
        "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c><c r=\"C1\" "
        "t=\"inlineStr\"><is><t>날짜</t></is></c></row>"
        "<row r=\"2\"><c r=\"A2\" t=\"str\"><v>운임 지원</v></c><c r=\"B2\" s=\"1\"><v>1234567</v></c><c "
        "r=\"C2\" s=\"2\"><v>46023</v></c></row>"
        "<row r=\"3\"><c r=\"B3\" s=\"3\"><v>0.25</v></c></row>";
    const Extraction seen =
        parse("예산.xlsx", make_xlsx(rows, "<mergeCells><mergeCell ref=\"A2:A3\"/></mergeCells>"));
    ASSERT_TRUE(seen.document) << seen.not_read->reason;
    EXPECT_EQ(seen.document->blocks[0].text, "예산");
    const auto tables = blocks_of(*seen.document, BlockKind::table);
    ASSERT_EQ(tables.size(), 1u);
    EXPECT_TRUE(grid_is_exact(*tables[0]));
    EXPECT_EQ(tables[0]->text, "세부사업\t금액\t날짜\n운임 지원\t1,234,567\t2026-01-01\n25%\t");
    EXPECT_TRUE(tables[0]->cells[0].header);
    EXPECT_EQ(tables[0]->cells[3].rowspan, 2u);
}

TEST(Xlsx, TwoCellsAMillionRowsApartMakeNoMillionRows)
{
    const std::string rows =
        "<row r=\"1\"><c r=\"A1\" t=\"str\"><v>처음</v></c></row>"
        "<row r=\"1048576\"><c r=\"XFD1048576\" t=\"str\"><v>끝</v></c></row>";
    const Extraction seen = parse("넓은.xlsx", make_xlsx(rows));
    ASSERT_TRUE(seen.document) << seen.not_read->reason;
    const auto tables = blocks_of(*seen.document, BlockKind::table);
    ASSERT_EQ(tables.size(), 1u);
    EXPECT_EQ(tables[0]->rows, 2u);
    EXPECT_TRUE(grid_is_exact(*tables[0]));
}

TEST(Odt, HeadingsTablesNotesAndRepeatedCells)
{
    const std::string content =
        "<office:document-content xmlns:office=\"o\" xmlns:text=\"t\" "
        "xmlns:table=\"b\"><office:body><office:text>"
        "<text:h text:outline-level=\"2\">신청 "
        "방법</text:h><text:p>방문<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body><text:p>평일</text:p></text:note-body></text:note> 신청</text:p>"
        "<table:table><table:table-header-rows><table:table-row><table:table-cell "
        "table:number-columns-spanned=\"2\">"
        "<text:p>창구</text:p></table:table-cell><table:covered-table-cell/></table:table-row></"
        "table:table-header-rows>"
        "<table:table-row><table:table-cell "
        "table:number-columns-repeated=\"2\"><text:p>가</text:p></table:table-cell>"
        "</table:table-row></table:table></office:text></office:body></office:document-content>";
    const Extraction seen =
        parse("글.odt",
              make_zip({{"mimetype", "application/vnd.oasis.opendocument.text"}, {"content.xml", content}}));
    ASSERT_TRUE(seen.document) << seen.not_read->reason;
    EXPECT_EQ(seen.document->blocks[0].level, 2u);
    EXPECT_EQ(seen.document->blocks[1].text, "방문1) 신청");
    EXPECT_EQ(seen.document->blocks[2].kind, BlockKind::note);
    const auto tables = blocks_of(*seen.document, BlockKind::table);
    ASSERT_EQ(tables.size(), 1u);
    EXPECT_TRUE(grid_is_exact(*tables[0]));
    EXPECT_EQ(tables[0]->text, "창구\n가\t가");
    EXPECT_TRUE(tables[0]->cells[0].header);
}

}  // namespace
}  // namespace jiphyeon
