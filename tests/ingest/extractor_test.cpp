// The real children: parser and PDF program, caged.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "code_points.hpp"
#include "jiphyeon/ingest.hpp"
#include "made_files.hpp"

namespace jiphyeon {
namespace {

using namespace test;

ExtractorOptions options()
{
    ExtractorOptions given;
    given.program = JIPHYEON_TEST_PARSER;
    given.pdf_program = JIPHYEON_TEST_PDF;
    given.workers = 2;
    return given;
}

std::string read_file(const std::filesystem::path& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::filesystem::path shared_documents()
{
    const char* set = std::getenv("JIPHYEON_SHARED_DATA");
    return (set != nullptr ? std::filesystem::path(set)
                           : std::filesystem::path(JIPHYEON_SOURCE_DIR) / "../shared/data") /
           "documents";
}

TEST(Extractor, TextOfAPdfComesWithPagesAndBoxes)
{
    Extractor extractor(options());
    const std::string pdf = make_pdf({{{72, 100, 11, "First line of the page that is long enough"}},
                                      {{72, 421, 11, "Second page in the middle of the sheet"}}});
    const Extraction seen = extractor.extract("a.hwpx", pdf);  // the name lies, the content decides
    ASSERT_TRUE(seen.document) << seen.not_read->reason;
    EXPECT_EQ(seen.document->format, "pdf");
    EXPECT_EQ(seen.document->pages, 2u);
    ASSERT_EQ(seen.document->blocks.size(), 2u);
    const Block& second = seen.document->blocks[1];
    EXPECT_EQ(second.text, "Second page in the middle of the sheet");
    EXPECT_EQ(second.page, 2u);
    ASSERT_TRUE(second.box);
    EXPECT_NEAR(second.box->left, 121, 3);
    EXPECT_NEAR(second.box->bottom, 500, 8);
    ASSERT_EQ(second.lines.size(), 1u);
    EXPECT_EQ(second.lines[0].end, second.text.size());
}

TEST(Extractor, ColumnsAreReadOneAfterTheOther)
{
    std::vector<PdfText> page = {
        {72, 90, 12, "A title that runs over both of the columns of this whole page here"}};
    for (int line = 0; line < 12; ++line) {
        const std::string number = std::to_string(line);
        page.push_back({72, 130.0 + line * 14, 10, "left column text goes on and on L" + number});
        page.push_back({320, 130.0 + line * 14, 10, "right column text goes on and R" + number});
    }
    Extractor extractor(options());
    const Extraction seen = extractor.extract("columns.pdf", make_pdf({page}));
    ASSERT_TRUE(seen.document) << seen.not_read->reason;
    const std::string text = all_text(*seen.document);
    EXPECT_LT(text.find("L11"), text.find("R0"));
    EXPECT_LT(text.find("both of the columns"), text.find("L0"));
}

// Three rows of three columns, the first two places of the last row in one cell, no outer verticals.
TEST(Extractor, DrawnRulingsMakeATable)
{
    std::string drawing = "0.7 w ";
    for (const int y : {700, 670, 640, 610})
        drawing += "72 " + std::to_string(y) + " m 522 " + std::to_string(y) + " l S ";
    drawing += "222 700 m 222 640 l S 372 700 m 372 610 l S ";
    const auto cell = [](double x, double y, const char* text) { return PdfText{x, 842 - y, 10, text}; };
    const std::vector<PdfText> page = {{72, 60, 11, "Before the table stands a line of text."},
                                       cell(80, 680, "Class"),
                                       cell(230, 680, "Rate"),
                                       cell(380, 680, "Width"),
                                       cell(80, 650, "A good"),
                                       cell(230, 650, "5 percent"),
                                       cell(380, 650, "50 metres"),
                                       cell(80, 620, "No class is given here"),
                                       cell(380, 620, "none"),
                                       {72, 300, 11, "After the table stands another line of text."}};
    Extractor extractor(options());
    const Extraction seen = extractor.extract("table.pdf", make_pdf({page}, drawing));
    ASSERT_TRUE(seen.document) << seen.not_read->reason;
    ASSERT_EQ(seen.document->blocks.size(), 3u) << all_text(*seen.document);
    const Block& table = seen.document->blocks[1];
    EXPECT_EQ(table.kind, BlockKind::table);
    EXPECT_TRUE(grid_is_exact(table));
    EXPECT_EQ(table.rows, 3u);
    EXPECT_EQ(table.cols, 3u);
    EXPECT_EQ(table.text, "Class\tRate\tWidth\nA good\t5 percent\t50 metres\nNo class is given here\tnone");
    EXPECT_EQ(table.cells[6].colspan, 2u);
    ASSERT_TRUE(table.cells[0].box);
    EXPECT_NEAR(table.cells[0].box->right, 373, 4);
}

TEST(Extractor, WhatRecursAtTheEdgeOfMostPagesIsFurnitureAndToldOnce)
{
    std::vector<std::vector<PdfText>> pages;
    for (int number = 1; number <= 4; ++number)
        pages.push_back({{72, 40, 9, "Ministry of Islands"},
                         {72, 300, 11, "Body text of page number " + std::to_string(number)},
                         {290, 820, 9, "- " + std::to_string(number) + " -"}});
    Extractor extractor(options());
    const Extraction seen = extractor.extract("pages.pdf", make_pdf(pages));
    ASSERT_TRUE(seen.document);
    EXPECT_EQ(blocks_of(*seen.document, BlockKind::header).size(), 1u);
    EXPECT_EQ(blocks_of(*seen.document, BlockKind::footer).size(), 1u);
    std::size_t body = 0;
    for (const Block& block : seen.document->blocks) body += block.text.find("Body text") == 0;
    EXPECT_EQ(body, 4u);
}

TEST(Extractor, HostileFilesEndInTheRightStateWithAReasonInKorean)
{
    Extractor extractor(options());
    const std::string pdf = make_pdf({{{72, 100, 11, "text"}}});
    const std::string hwpx = make_hwpx(hwpx_paragraph("글"));
    std::string blanks(64u << 20, ' ');
    const std::string bomb = make_docx("<w:p/>" + blanks);
    struct Case {
        const char* name;
        std::string bytes;
        bool refused;
        const char* kind;
    };
    const Case cases[] = {
        {"빈 파일.pdf", "", true, "empty"},
        {"공백.txt", " \r\n\n", true, "empty"},
        {"프로그램.pdf",
         std::string("\x7F"
                     "ELF\x02\x01\x01\0\0\0\0\0",
                     12) +
             std::string(400, '\x9F') + std::string(40, '\0'),
         true, "unknown_format"},
        {"잘린.pdf", pdf.substr(0, 40), false, "broken"},
        {"잘린.hwpx", hwpx.substr(0, hwpx.size() / 2), false, "truncated"},
        {"폭탄.docx", bomb, false, "bomb"},
        {"바깥.zip", make_zip({{"../../etc/x.txt", "글"}}), false, "escaping"},
        {"옛 한글.hwp", "HWP Document File V3.00 \x1A\x01\x02\x03", true, "hwp3"},
    };
    for (const Case& one : cases) {
        const Extraction seen = extractor.extract(one.name, one.bytes);
        ASSERT_TRUE(seen.not_read) << one.name;
        EXPECT_FALSE(seen.document) << one.name;
        EXPECT_EQ(seen.not_read->refused, one.refused) << one.name;
        EXPECT_EQ(seen.not_read->kind, one.kind) << one.name << ": " << seen.not_read->reason;
        EXPECT_NE(seen.not_read->reason.find("다"), std::string::npos) << one.name;
    }
    EXPECT_TRUE(extractor.extract("또.pdf", pdf).document);  // the children live on
}

TEST(Extractor, PagesAreRenderedPaintedOver)
{
    Extractor extractor(options());
    const std::string pdf = make_pdf({{{72, 100, 20, "a secret number"}}});
    const std::optional<std::string> plain = extractor.render_page(pdf, 1, 60, {});
    const Box hidden{1, 0, 0, 1000, 1000};
    const std::optional<std::string> painted = extractor.render_page(pdf, 1, 60, std::span(&hidden, 1));
    ASSERT_TRUE(plain && painted);
    EXPECT_TRUE(plain->starts_with("\x89PNG"));
    EXPECT_LT(painted->size(), plain->size());  // one colour packs best
    EXPECT_FALSE(extractor.render_page(pdf, 2, 60, {}));
    EXPECT_FALSE(extractor.render_page(make_hwpx(hwpx_paragraph("글")), 1, 60, {}));
}

TEST(Extractor, ManyThreadsShareTheChildren)
{
    Extractor extractor(options());
    std::vector<std::thread> threads;
    std::atomic<int> read = 0;
    for (int i = 0; i < 6; ++i)
        threads.emplace_back([&, i] {
            const std::string text = "문서 번호 " + std::to_string(i);
            const Extraction seen = extractor.extract("글.hwpx", make_hwpx(hwpx_paragraph(text)));
            if (seen.document && seen.document->blocks[0].text == text) ++read;
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(read, 6);
}

std::map<char32_t, int> hangul_of(const Document& document)
{
    std::map<char32_t, int> out;
    for (const Block& block : document.blocks)
        for (std::size_t at = 0; at < block.text.size();) {
            const char32_t c = next_code_point(block.text, at);
            if (c >= 0xAC00 && c <= 0xD7A3) ++out[c];
        }
    return out;
}

// The same document in two formats, read by two readers that share no code.
TEST(Extractor, AHwpxAndItsPdfSayTheSame)
{
    const std::filesystem::path stem =
        shared_documents() / "office/2025년 기부·답례품 실적 지자체 보고서_양식";
    if (!std::filesystem::exists(stem.string() + ".pdf")) GTEST_SKIP() << "no shared documents at " << stem;
    Extractor extractor(options());
    const Extraction hwpx = extractor.extract("a", read_file(stem.string() + ".hwpx"));
    const Extraction pdf = extractor.extract("b", read_file(stem.string() + ".pdf"));
    ASSERT_TRUE(hwpx.document && pdf.document);
    const std::map<char32_t, int> in_pdf = hangul_of(*pdf.document);
    int all = 0, found = 0;
    for (const auto& [letter, count] : hangul_of(*hwpx.document)) {
        all += count;
        const auto there = in_pdf.find(letter);
        found += there == in_pdf.end() ? 0 : std::min(count, there->second);
    }
    EXPECT_GT(found, all * 96 / 100) << found << " of " << all;
    // The long table goes over four pages there, its header repeated on three.
    std::uint32_t longest = 0, rows = 0;
    for (const Block* table : blocks_of(*hwpx.document, BlockKind::table))
        longest = std::max(longest, table->rows);
    for (const Block* table : blocks_of(*pdf.document, BlockKind::table))
        if (table->cols == 3) rows += table->rows;
    EXPECT_EQ(rows, longest + 3);
}

TEST(Extractor, RealHwpxTablesHaveExactGrids)
{
    const std::filesystem::path folder = shared_documents();
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no shared documents at " << folder;
    Extractor extractor(options());
    std::size_t tables = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.path().extension() != ".hwpx") continue;
        const Extraction seen = extractor.extract(entry.path().filename(), read_file(entry.path()));
        if (!seen.document) {
            EXPECT_TRUE(seen.not_read->refused) << entry.path() << ": " << seen.not_read->reason;
            continue;
        }
        for (const Block* table : blocks_of(*seen.document, BlockKind::table)) {
            EXPECT_TRUE(grid_is_exact(*table)) << entry.path();
            ++tables;
        }
    }
    EXPECT_GT(tables, 40u);
}

}  // namespace
}  // namespace jiphyeon
