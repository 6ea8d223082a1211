#include <gtest/gtest.h>

#include "jiphyeon/policy.hpp"

namespace jiphyeon {
namespace {

TEST(SecretMark, HeaderAndFooterLinesAreMarks)
{
    for (const auto& [text, what] : std::vector<std::pair<std::string, std::string>>{
             {"Ⅱ급비밀\n\n2026년 을지연습 통합 계획\n", "Ⅱ급비밀"},
             {"비상대비 계획\n본문이 이어진다.\n- Ⅲ급비밀 -\n", "Ⅲ급비밀"},
             {"본문\n   3/12      군사 Ⅱ급 비밀\n", "Ⅱ급비밀"},
             {"[ II급비밀 ]\n계획\n", "Ⅱ급비밀"},
             {"１급비밀\n계획\n", "Ⅰ급비밀"},
             {"Ⅰ 급 비 밀\n계획\n", "Ⅰ급비밀"},
             {"사본번호 3-1 Ⅲ급비밀\n계획\n", "Ⅲ급비밀"},
             {"\u110B\n본문\nⅡ\u1100\u1173\u11B8\u1107\u1175\u1106\u1175\u11AF\n", "Ⅱ급비밀"},
             {"TOP SECRET\nplan\n", "SECRET"}}) {
        const auto mark = find_secret_mark(text);
        ASSERT_TRUE(mark) << text;
        EXPECT_EQ(mark->what, what) << text;
        EXPECT_LT(mark->start, mark->end);
    }
}

TEST(SecretMark, TheRangeIsTheLine)
{
    const std::string text = "계획\nⅡ급비밀\n본문\n";
    const auto mark = find_secret_mark(text);
    ASSERT_TRUE(mark);
    EXPECT_EQ(text.substr(mark->start, mark->end - mark->start), "Ⅱ급비밀");
}

TEST(SecretMark, NoticeBlockWithItsPeriodIsAMark)
{
    EXPECT_TRUE(find_secret_mark("예 고 문\n보호기간: 2029. 12. 31.까지\n보존기간: 30년\n"));
    EXPECT_TRUE(find_secret_mark(
        "작전 개요\n\n예고문\n원본 : 2030. 12. 31. 일반문서로 재분류\n사본 : 2027. 6. 30. 파기\n"));
}

// Regulations about secrets are public texts; so are lists of the grades and notices of 대외비.
TEST(SecretMark, TextsThatOnlyTalkOfSecretsAreNotMarked)
{
    for (const std::string text :
         {"제4조(비밀의 구분) 비밀은 그 중요성과 가치의 정도에 따라 다음 각 호와 같이 구분한다.\n"
          "1. Ⅰ급비밀: 누설될 경우 대한민국과 외교관계가 단절되는 비밀\n2. Ⅱ급비밀: 누설될 경우 막대한 "
          "지장을 끼칠 우려가 있는 비밀\n",
          "제14조(예고문) 모든 비밀에는 보호기간과 보존기간을 명시하기 위하여 예고문을 기재하여야 한다.\n",
          "비밀의 종류\nⅠ급비밀\nⅡ급비밀\nⅢ급비밀\n", "1. Ⅰ급비밀\n가. Ⅱ급비밀\n",
          "Ⅱ급비밀 취급 인가를 받은 사람은 다음 각 호의 의무를 진다.\n", "Ⅱ급비밀취급인가자\n",
          "대외비\n예고문\n보호기간: 2027. 12. 31.까지 대외비로 관리\n",
          "예고문\n이 규정에서 정하는 예고문의 서식은 별지와 같다.\n", "비밀번호 변경 안내\n영업비밀\n",
          "급비밀\n", "4급비밀\n", ""})
        EXPECT_FALSE(find_secret_mark(text)) << text;
}

}  // namespace
}  // namespace jiphyeon
