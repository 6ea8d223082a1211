#include <gtest/gtest.h>

#include "chunk_lines.hpp"
#include "made_files.hpp"

namespace jiphyeon {
namespace {

Document document_of(const std::vector<std::string>& paragraphs)
{
    Document document;
    document.format = "hwpx";
    document.title = "휴가 운영 규정";
    for (const std::string& text : paragraphs) {
        Block block;
        block.text = text;
        block.page = 1 + static_cast<std::uint32_t>(document.blocks.size() / 4);
        block.page_exact = true;
        document.blocks.push_back(std::move(block));
    }
    classify_blocks(document);
    return document;
}

std::vector<Chunk> chunks_of(const Document& document)
{
    DocumentRecord record;
    record.id = "d";
    record.title = document.title;
    record.label = "public";
    return chunk_document(document, record);
}

std::string long_text(const std::string& start, std::size_t sentences)
{
    std::string out = start;
    for (std::size_t i = 0; i < sentences; ++i)
        out += " 이 항의 " + std::to_string(i) +
               "번째 문장은 길이를 늘리기 위하여 적은 것이며 따로 뜻을 가지지 아니한다.";
    return out;
}

TEST(ChunkStatute, EachArticleIsAUnitUnderItsChapter)
{
    const std::vector<Chunk> chunks = chunks_of(document_of(
        {"제1장 총칙", "제1조(목적) 이 규정은 휴가를 정한다.", "제2장 휴가",
         "제2조(연가) ① 연가는 21일로 한다.", "② 남은 연가는 저축한다.", "제2조의2(병가) 병가는 60일로 한다.",
         "부칙 <제3호, 2025. 1. 1.>", "제1조(시행일) 이 규정은 2025년 1월 1일부터 시행한다."}));
    ASSERT_EQ(chunks.size(), 4u);
    EXPECT_EQ(chunks[0].header, "휴가 운영 규정 > 제1장 총칙 > 제1조(목적)");
    EXPECT_EQ(chunks[1].place.section, "제2조");
    EXPECT_EQ(chunks[1].text, "제2조(연가) ① 연가는 21일로 한다.\n② 남은 연가는 저축한다.");
    EXPECT_EQ(chunks[1].place.page, 1u);
    EXPECT_EQ(chunks[1].place.page_end, 2u);
    EXPECT_EQ(chunks[2].place.section, "제2조의2");
    EXPECT_EQ(chunks[3].kind, ChunkKind::addendum);
    EXPECT_EQ(chunks[3].place.section, "부칙 제1조");
    EXPECT_EQ(chunks[3].ordinal, 3u);
}

TEST(ChunkStatute, ALongArticleIsSplitAtItsParagraphsAndItems)
{
    const std::vector<Chunk> chunks = chunks_of(
        document_of({"제1조(목적) 이 규정은 휴가를 정한다.", "제2조(연가) " + long_text("① 첫째 항이다.", 8),
                     long_text("② 둘째 항의 요건은 다음 각 호와 같다.", 1), long_text("1. 첫째 호", 12),
                     long_text("2. 둘째 호", 12)}));
    ASSERT_EQ(chunks.size(), 4u);
    EXPECT_EQ(chunks[1].place.section, "제2조제1항");
    EXPECT_EQ(chunks[2].place.section, "제2조제2항제1호");
    EXPECT_EQ(chunks[3].place.section, "제2조제2항제2호");
    // Each part repeats the sentence that leads it in.
    EXPECT_EQ(chunks[3].text.find("② 둘째 항의 요건은 다음 각 호와 같다."), 0u);
    EXPECT_EQ(chunks[3].header, "휴가 운영 규정 > 제2조(연가) 제2항");
}

TEST(ChunkStatute, ReferencesAndDatesBeginNothing)
{
    const std::vector<Chunk> chunks = chunks_of(document_of(
        {"제1조(목적) 이 규정은 휴가를 정한다.", "제5조(연가)에 따른다는 말은 없다.", "제3조에 따라 정한다.",
         "2025. 9. 19. 개정하였다.", "제2조(적용) 모든 직원에게 적용한다.", "제1조(목적)은 앞에 있다."}));
    ASSERT_GE(chunks.size(), 2u);
    EXPECT_EQ(chunks[0].place.section, "제1조");
    EXPECT_NE(chunks[0].text.find("제3조에 따라 정한다.\n2025. 9. 19. 개정하였다."), std::string::npos);
    EXPECT_NE(chunks.back().text.find("제1조(목적)은 앞에 있다."), std::string::npos);
}

// What is in the document is in the chunks: every line occurs in a text or in a breadcrumb.
TEST(ChunkOutline, NothingIsLostAndItemsStandUnderTheirParents)
{
    Document document =
        document_of({"Ⅰ. 추진 배경", "□ 섬 교통의 개선", "○ 운임 지원을 넓힌다.", "- 월 20회까지 지원한다.",
                     "※ 세부 기준은 별도로 정한다.", "Ⅱ. 추진 계획", "1. 교육", "□ 직원 교육을 두 차례 연다.",
                     "Ⅲ. 행정 사항"});
    const std::vector<Chunk> chunks = chunks_of(document);
    for (const Block& block : document.blocks) {
        bool found = false;
        for (const Chunk& chunk : chunks)
            found = found || chunk.text.find(block.text) != std::string::npos ||
                    chunk.header.find(block.text) != std::string::npos;
        EXPECT_TRUE(found) << block.text;
    }
    EXPECT_EQ(chunks[0].header, "휴가 운영 규정 > Ⅰ. 추진 배경");
    EXPECT_EQ(chunks[0].place.section, "Ⅰ. 추진 배경 > □ 섬 교통의 개선");
    EXPECT_EQ(
        chunks[0].text,
        "□ 섬 교통의 개선\n○ 운임 지원을 넓힌다.\n- 월 20회까지 지원한다.\n※ 세부 기준은 별도로 정한다.");
}

TEST(ChunkOutline, NoChunkIsLongerThanTheLimitAndLongParagraphsAreCutAtSentences)
{
    const std::vector<Chunk> chunks =
        chunks_of(document_of({long_text("머리말이다.", 60), "다음 문단이다."}));
    ASSERT_GT(chunks.size(), 2u);
    for (const Chunk& chunk : chunks) {
        EXPECT_LE(letters(chunk.text), kChunkLetters);
        EXPECT_TRUE(chunk.text.ends_with("다.")) << chunk.text;
    }
}

TEST(ChunkTable, EveryRowNamesItsValuesAndSpansAreRepeated)
{
    Document document = document_of({"표 1. 지원 기준"});
    Block table;
    table.kind = BlockKind::table;
    table.rows = 3;
    table.cols = 3;
    const auto cell = [&](const std::string& text, std::uint32_t row, std::uint32_t col,
                          std::uint32_t rowspan, bool header) {
        Cell one;
        one.text = text;
        one.row = row;
        one.col = col;
        one.rowspan = rowspan;
        one.header = header;
        table.cells.push_back(one);
    };
    cell("구분", 0, 0, 1, true);
    cell("섬", 0, 1, 1, true);
    cell("금액", 0, 2, 1, true);
    cell("서부", 1, 0, 2, false);
    cell("가온도", 1, 1, 1, false);
    cell("1,000", 1, 2, 1, false);
    cell("누리도", 2, 1, 1, false);
    cell("2,000", 2, 2, 1, false);
    document.blocks.push_back(table);
    const std::vector<Chunk> chunks = chunks_of(document);
    ASSERT_EQ(chunks.size(), 1u);
    EXPECT_EQ(chunks[0].kind, ChunkKind::table);
    EXPECT_EQ(
        chunks[0].text,
        "표 1. 지원 기준\n구분: 서부 / 섬: 가온도 / 금액: 1,000\n구분: 서부 / 섬: 누리도 / 금액: 2,000");
}

TEST(LeadingMark, TellsUnitsFromTextThatLooksLikeThem)
{
    const auto unit = [](std::string_view text) {
        const std::optional<Mark> mark = leading_mark(text);
        return mark ? static_cast<int>(mark->unit) : -1;
    };
    EXPECT_EQ(unit("제12조의2(정의) 다음"), static_cast<int>(Unit::article));
    EXPECT_EQ(leading_mark("제12조의2(정의) 다음")->label, "제12조의2");
    EXPECT_EQ(leading_mark("제12조의2(정의) 다음")->title, "정의");
    EXPECT_EQ(unit("제12조에 따라"), -1);
    EXPECT_EQ(unit("제3장 보칙"), static_cast<int>(Unit::chapter));
    EXPECT_EQ(unit("부칙 <제3호>"), static_cast<int>(Unit::addendum));
    EXPECT_EQ(unit("부칙에 정한다"), -1);
    EXPECT_EQ(unit("별표 1 지급 기준"), static_cast<int>(Unit::annex));
    EXPECT_EQ(unit("① 항"), static_cast<int>(Unit::paragraph));
    EXPECT_EQ(leading_mark("㉑ 항")->number, 21u);
    EXPECT_EQ(unit("1. 목적"), static_cast<int>(Unit::item));
    EXPECT_EQ(unit("2025. 9. 19. 개정"), -1);
    EXPECT_EQ(unit("9. 19.(금)"), -1);
    EXPECT_EQ(unit("5.5% 인상"), -1);
    EXPECT_EQ(unit("가. 대상"), static_cast<int>(Unit::subitem));
    EXPECT_EQ(unit("다만, 이 경우"), -1);
    EXPECT_EQ(unit("- 세부"), static_cast<int>(Unit::dash));
    EXPECT_EQ(unit("-5도"), -1);
    EXPECT_EQ(unit("ㅇ 항목"), static_cast<int>(Unit::circle));
    EXPECT_EQ(unit("붙임 1. 계획"), static_cast<int>(Unit::attachment));
    EXPECT_EQ(unit("붙임성"), -1);
}

}  // namespace
}  // namespace jiphyeon
