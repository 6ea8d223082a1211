#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "jiphyeon/index.hpp"
#include "utf8.hpp"

namespace jiphyeon {
namespace {

TEST(Normalize, DecomposedHangulBecomesSyllables)
{
    EXPECT_EQ(normalize("\u1112\u1172\u1100\u1161"), "휴가");
    EXPECT_EQ(normalize("\u1112\u1161\u11ab\u200b\u1100\u1173\u11af"), "한글");
}

TEST(Normalize, WidthCaseQuotesDotsAndDashesAreFolded)
{
    EXPECT_EQ(normalize("ＡＢＣ１２３　Kim"), "abc123 kim");
    EXPECT_EQ(normalize("안전ㆍ보건‧환경・위생"), "안전·보건·환경·위생");
    EXPECT_EQ(normalize("안전\u119e보건"), "안전·보건");
    EXPECT_EQ(normalize("“규정”과 ‘지침’ 2026–2027 ￦1,000"), "\"규정\"과 '지침' 2026-2027 ₩1,000");
    EXPECT_EQ(normalize("휴\u00ad가\ufeff"), "휴가");
    EXPECT_EQ(normalize("가\x01\x02나\r\n다"), "가  나 \n다");
}

TEST(Normalize, CompatibilityIdeographsAreUnified)
{
    EXPECT_EQ(normalize("\uf914園"), "樂園");
}

TEST(Normalize, BrokenUtf8IsReplacedNotRead)
{
    EXPECT_EQ(normalize("가\xff나"), "가\ufffd나");
    EXPECT_EQ(normalize("\xea\xb0"), "\ufffd");
    EXPECT_EQ(normalize(std::string_view("a\0b", 3)), "a b");
}

TEST(Normalize, IsAFixedPointOnAnyText)
{
    std::mt19937 random(7);
    const std::u32string kinds =
        U"가각힣ㄱㆍ\u1100\u1161\u11a8\u119e漢Aaé\u0301\u0308Ａ．１\u212b\u2126\u0130\u00b4\u200b ";
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (int i = 0; i < 12; ++i) {
            const bool known = random() % 3 != 0;
            char32_t c = known ? kinds[random() % kinds.size()] : static_cast<char32_t>(random() % 0x11000);
            if (c >= 0xD800 && c < 0xE000) c = U'x';
            append_utf8(text, c);
        }
        const std::string once = normalize(text);
        ASSERT_EQ(normalize(once), once) << text;
    }
}

TEST(Normalize, RunsOfCombiningMarksAreCut)
{
    std::string text = "a";
    for (int i = 0; i < 100'000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0323";
    EXPECT_LT(normalize(text).size(), 100u);
}

}  // namespace
}  // namespace jiphyeon
