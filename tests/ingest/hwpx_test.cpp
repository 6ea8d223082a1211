#include <gtest/gtest.h>

#include "made_files.hpp"

namespace jiphyeon {
namespace {

using namespace test;

std::string cell(int row, int col, int rowspan, int colspan, const std::string& content)
{
    return "<hp:tc header=\"" + std::string(row == 0 ? "1" : "0") + "\"><hp:subList>" + content +
           "</hp:subList><hp:cellAddr colAddr=\"" + std::to_string(col) + "\" rowAddr=\"" +
           std::to_string(row) + "\"/><hp:cellSpan colSpan=\"" + std::to_string(colspan) + "\" rowSpan=\"" +
           std::to_string(rowspan) + "\"/></hp:tc>";
}

TEST(Hwpx, MergedCellsKeepTheirPlaceAndTheGridIsExact)
{
    const std::string table =
        "<hp:p><hp:run><hp:tbl rowCnt=\"3\" colCnt=\"3\"><hp:tr>" + cell(0, 0, 1, 2, hwpx_paragraph("구분")) +
        cell(0, 2, 2, 1, hwpx_paragraph("금액")) + "</hp:tr><hp:tr>" +
        cell(1, 0, 2, 1, hwpx_paragraph("가")) + cell(1, 1, 1, 1, hwpx_paragraph("나")) + "</hp:tr><hp:tr>" +
        cell(2, 1, 1, 1, hwpx_paragraph("다")) + cell(2, 2, 1, 1, hwpx_paragraph("1,000")) +
        "</hp:tr></hp:tbl></hp:run></hp:p>";
    const Extraction seen = parse("표.hwpx", make_hwpx(table));
    ASSERT_TRUE(seen.document) << seen.not_read->reason;
    const auto tables = blocks_of(*seen.document, BlockKind::table);
    ASSERT_EQ(tables.size(), 1u);
    EXPECT_TRUE(grid_is_exact(*tables[0]));
    EXPECT_EQ(tables[0]->text, "구분\t금액\n가\t나\n다\t1,000");
    EXPECT_EQ(tables[0]->cells[0].colspan, 2u);
    EXPECT_TRUE(tables[0]->cells[1].header);
    EXPECT_EQ(tables[0]->cells[1].rowspan, 2u);
}

// A table that states fewer cells than rows x columns must still become a whole grid.
TEST(Hwpx, HolesInATableAreFilledAndOverlapsCut)
{
    const std::string table = "<hp:p><hp:run><hp:tbl rowCnt=\"2\" colCnt=\"2\"><hp:tr>" +
                              cell(0, 0, 2, 2, hwpx_paragraph("넓은 칸")) +
                              cell(1, 1, 1, 1, hwpx_paragraph("겹친 칸")) + "</hp:tr><hp:tr>" +
                              cell(3, 0, 1, 1, hwpx_paragraph("먼 칸")) + "</hp:tr></hp:tbl></hp:run></hp:p>";
    const Extraction seen = parse("표.hwpx", make_hwpx(table));
    ASSERT_TRUE(seen.document);
    const auto tables = blocks_of(*seen.document, BlockKind::table);
    ASSERT_EQ(tables.size(), 1u);
    EXPECT_TRUE(grid_is_exact(*tables[0]));
    EXPECT_EQ(tables[0]->rows, 4u);
    EXPECT_NE(tables[0]->text.find("겹친 칸"), std::string::npos);
}

TEST(Hwpx, ATableInATableIsATableOfItsOwn)
{
    const std::string inner = "<hp:p><hp:run><hp:tbl rowCnt=\"1\" colCnt=\"2\"><hp:tr>" +
                              cell(0, 0, 1, 1, hwpx_paragraph("안쪽 하나")) +
                              cell(0, 1, 1, 1, hwpx_paragraph("안쪽 둘")) +
                              "</hp:tr></hp:tbl></hp:run></hp:p>";
    const std::string table = "<hp:p><hp:run><hp:tbl rowCnt=\"1\" colCnt=\"2\"><hp:tr>" +
                              cell(0, 0, 1, 1, hwpx_paragraph("바깥") + inner) +
                              cell(0, 1, 1, 1, hwpx_paragraph("옆")) + "</hp:tr></hp:tbl></hp:run></hp:p>";
    const Extraction seen = parse("표.hwpx", make_hwpx(table));
    ASSERT_TRUE(seen.document);
    const auto tables = blocks_of(*seen.document, BlockKind::table);
    ASSERT_EQ(tables.size(), 2u);
    EXPECT_EQ(tables[0]->text, "바깥\t옆");
    EXPECT_EQ(tables[1]->text, "안쪽 하나\t안쪽 둘");
}

TEST(Hwpx, AutomaticNumbersStandInTheText)
{
    const std::string header =
        "<hh:numberings><hh:numbering id=\"1\"><hh:paraHead start=\"1\" level=\"1\" "
        "numFormat=\"DIGIT\">^1.</hh:paraHead>"
        "<hh:paraHead start=\"1\" level=\"2\" "
        "numFormat=\"HANGUL_SYLLABLE\">^2.</hh:paraHead></hh:numbering></hh:numberings>"
        "<hh:bullets><hh:bullet id=\"1\" char=\"□\"/></hh:bullets>"
        "<hh:paraProperties><hh:paraPr id=\"1\"><hh:heading type=\"NUMBER\" idRef=\"1\" "
        "level=\"0\"/></hh:paraPr>"
        "<hh:paraPr id=\"2\"><hh:heading type=\"NUMBER\" idRef=\"1\" level=\"1\"/></hh:paraPr>"
        "<hh:paraPr id=\"3\"><hh:heading type=\"BULLET\" idRef=\"1\" "
        "level=\"0\"/></hh:paraPr></hh:paraProperties>";
    const std::string section =
        hwpx_paragraph("목적", "paraPrIDRef=\"1\"") + hwpx_paragraph("대상", "paraPrIDRef=\"2\"") +
        hwpx_paragraph("기간", "paraPrIDRef=\"2\"") + hwpx_paragraph("절차", "paraPrIDRef=\"1\"") +
        hwpx_paragraph("서류", "paraPrIDRef=\"2\"") + hwpx_paragraph("알림", "paraPrIDRef=\"3\"");
    const Extraction seen = parse("번호.hwpx", make_hwpx(section, header));
    ASSERT_TRUE(seen.document);
    EXPECT_EQ(all_text(*seen.document), "1. 목적\n가. 대상\n나. 기간\n2. 절차\n가. 서류\n□ 알림\n");
}

TEST(Hwpx, NotesBoxesAndEquationsFollowTheirParagraphAndDeletedTextIsGone)
{
    const std::string section =
        "<hp:p><hp:run><hp:t>본문<hp:deleteBegin/>지운 글<hp:deleteEnd/>이다.</hp:t><hp:ctrl><hp:footNote "
        "number=\"1\"><hp:subList>" +
        hwpx_paragraph("각주의 글") +
        "</hp:subList></hp:footNote></hp:ctrl><hp:rect><hp:drawText><hp:subList>" +
        hwpx_paragraph("글상자의 글") +
        "</hp:subList></hp:drawText></hp:rect><hp:equation><hp:script>a over "
        "b</hp:script></hp:equation></hp:run></hp:p>"
        "<hp:p><hp:run><hp:ctrl><hp:header><hp:subList>" +
        hwpx_paragraph("머리말") + "</hp:subList></hp:header></hp:ctrl></hp:run></hp:p>";
    const Extraction seen = parse("주석.hwpx", make_hwpx(section));
    ASSERT_TRUE(seen.document);
    ASSERT_EQ(seen.document->blocks.size(), 5u);
    EXPECT_EQ(seen.document->blocks[0].text, "본문이다.1)");
    EXPECT_EQ(seen.document->blocks[1].kind, BlockKind::note);
    EXPECT_EQ(seen.document->blocks[1].text, "1) 각주의 글");
    EXPECT_EQ(seen.document->blocks[2].text, "글상자의 글");
    EXPECT_EQ(seen.document->blocks[3].kind, BlockKind::equation);
    EXPECT_EQ(seen.document->blocks[4].kind, BlockKind::header);
}

TEST(Hwpx, ExplicitBreaksCountPagesExactlyAndTheLayoutCacheOnlyRoughly)
{
    const std::string breaks = hwpx_paragraph("첫째 쪽") + hwpx_paragraph("둘째 쪽", "pageBreak=\"1\"");
    const Extraction exact = parse("쪽.hwpx", make_hwpx(breaks));
    ASSERT_TRUE(exact.document);
    EXPECT_EQ(exact.document->pages, 2u);
    EXPECT_EQ(exact.document->blocks[1].page, 2u);
    EXPECT_TRUE(exact.document->blocks[1].page_exact);

    const auto with_line = [](const std::string& text, int top) {
        return "<hp:p><hp:run><hp:t>" + text + "</hp:t></hp:run><hp:linesegarray><hp:lineseg vertpos=\"" +
               std::to_string(top) + "\" horzpos=\"0\"/></hp:linesegarray></hp:p>";
    };
    const Extraction rough =
        parse("쪽.hwpx", make_hwpx(with_line("위", 0) + with_line("아래", 60000) + with_line("다음 쪽", 0)));
    ASSERT_TRUE(rough.document);
    EXPECT_EQ(rough.document->pages, 2u);
    EXPECT_EQ(rough.document->blocks[2].page, 2u);
    EXPECT_FALSE(rough.document->blocks[2].page_exact);
}

TEST(Hwpx, EncryptedPackagesAreRefusedByName)
{
    const std::string bytes =
        make_zip({{"mimetype", "application/hwp+zip"},
                  {"META-INF/manifest.xml",
                   "<odf:manifest xmlns:odf=\"x\"><odf:file-entry><odf:encryption-data/>"
                   "</odf:file-entry></odf:manifest>"},
                  {"Contents/section0.xml", "\x12\x34"}});
    const Extraction seen = parse("암호.hwpx", bytes);
    ASSERT_TRUE(seen.not_read);
    EXPECT_TRUE(seen.not_read->refused);
    EXPECT_EQ(seen.not_read->kind, "password");
}

TEST(Hwpx, BrokenXmlIsQuarantinedWithItsPlace)
{
    const Extraction seen = parse("깨진.hwpx", make_hwpx("<hp:p><hp:run><hp:t>글</hp:run></hp:p>"));
    ASSERT_TRUE(seen.not_read);
    EXPECT_FALSE(seen.not_read->refused);
    EXPECT_NE(seen.not_read->reason.find("section0.xml"), std::string::npos);
}

TEST(Hwpx, InvisibleCharactersAreRemovedAndReportedAndTextIsComposed)
{
    // "한글" in conjoining jamo, a zero-width space, a bidirectional override.
    const Extraction seen =
        parse("글.hwpx", make_hwpx(hwpx_paragraph("\u1112\u1161\u11AB\u1100\u1173\u11AF\u200B 문\u202E서")));
    ASSERT_TRUE(seen.document);
    EXPECT_EQ(seen.document->blocks[0].text, "한글 문서");
    ASSERT_EQ(seen.document->warnings.size(), 1u);
    EXPECT_NE(seen.document->warnings[0].find("2개"), std::string::npos);
}

}  // namespace
}  // namespace jiphyeon
