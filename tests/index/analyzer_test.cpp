#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "jiphyeon/index.hpp"
#include "utf8.hpp"

namespace jiphyeon {
namespace {

std::vector<std::string> terms(std::string_view text, Field field)
{
    std::vector<std::string> found;
    for (const Term& term : analyze(text)) {
        if (term.field == field) found.push_back(term.text);
    }
    return found;
}
using Words = std::vector<std::string>;
bool has(const Words& words, std::string_view word)
{
    return std::ranges::find(words, word) != words.end();
}

TEST(Analyzer, DocumentAndQuestionMeetInTheStem)
{
    for (const char* form :
         {"연가를", "연가는", "연가의", "연가에서", "연가까지도", "연가로", "연가와", "연가"}) {
        EXPECT_EQ(terms(form, Field::stem), Words{"연가"}) << form;
    }
    for (const char* form :
         {"신청하는", "신청한", "신청합니다", "신청하여야", "신청되었나요", "신청을", "신청"}) {
        EXPECT_EQ(terms(form, Field::stem), Words{"신청"}) << form;
    }
}

TEST(Analyzer, WordsThatEndLikeAParticleStayWhole)
{
    for (const char* word : {"국가", "평가", "휴가", "출산휴가", "제도", "연금제도", "회의", "국무회의",
                             "결과", "조사결과", "미만", "권한", "처분권한", "어린이", "도로", "고속도로"}) {
        EXPECT_EQ(terms(word, Field::stem), Words{word}) << word;
        EXPECT_EQ(terms(std::string(word) + "에서는", Field::stem), Words{word}) << word;
    }
}

TEST(Analyzer, ShortNounsLoseTheirParticle)
{
    EXPECT_EQ(terms("등에 때에 법은 것을", Field::stem), (Words{"등", "때", "법", "것"}));
}

TEST(Analyzer, ParticleFollowsTheSoundBeforeIt)
{
    EXPECT_EQ(terms("정부가", Field::stem), Words{"정부"});
    EXPECT_EQ(terms("당사자가 위원회의 실시한", Field::stem), (Words{"당사자", "위원회", "실시"}));
    EXPECT_EQ(terms("법률을", Field::stem), Words{"법률"});
    EXPECT_EQ(terms("사업장으로", Field::stem), Words{"사업장"});
}

TEST(Analyzer, WordsThatNameNothingWeighLittle)
{
    const std::vector<Term> found = analyze("연가에 관하여 무엇을");
    EXPECT_EQ(found.front().weight, 1);
    EXPECT_EQ(found.front().text, "연가");
    for (const Term& term : found) EXPECT_EQ(term.weight < 1, term.text != "연가") << term.text;
}

TEST(Analyzer, PairsComeFromTheStem)
{
    EXPECT_EQ(terms("육아휴직을", Field::bigram), (Words{"육아", "아휴", "휴직"}));
    EXPECT_TRUE(terms("및", Field::bigram).empty());
}

TEST(Analyzer, ScriptsAreSplitAndLooseParticlesDropped)
{
    EXPECT_EQ(terms("AI를 CCTV와 「형법」에서", Field::stem), (Words{"ai", "cctv", "형법"}));
    EXPECT_EQ(terms("코로나19와", Field::stem), (Words{"코로나", "19"}));
}

TEST(Analyzer, ArticlesAreTermsWithTheirParts)
{
    EXPECT_EQ(terms("제12조의2제3항", Field::exact), (Words{"제12조의2", "제12조의2제3항"}));
    EXPECT_EQ(terms("제 12 조의2 제3항 제1호 가목", Field::exact),
              (Words{"제12조의2", "제12조의2제3항", "제12조의2제3항제1호", "제12조의2제3항제1호가목"}));
    EXPECT_EQ(terms("7조 2항에 따라", Field::exact), (Words{"제7조", "제7조제2항"}));
    EXPECT_EQ(terms("제3장 제2절", Field::exact), (Words{"제3장", "제2절"}));
    EXPECT_EQ(terms("별표 1과 별지 제3호의2서식", Field::exact), (Words{"별표1", "별지3의2"}));
}

TEST(Analyzer, SumsAreNotArticles)
{
    EXPECT_EQ(terms("예산 12조 5,000억 원", Field::exact), Words{"12500000000000원"});
    EXPECT_EQ(terms("12조원", Field::exact), Words{"12000000000000원"});
    EXPECT_EQ(terms("111만 9,000원", Field::exact).front(), "1119000원");
    EXPECT_EQ(terms("₩1,000", Field::exact).front(), "1000원");
    EXPECT_EQ(terms("1.5억 원", Field::exact).front(), "150000000원");
    EXPECT_EQ(terms("9,000원", Field::stem), (Words{"9000", "원"}));
}

TEST(Analyzer, DatesHaveOneForm)
{
    for (const char* form : {"2026. 5. 19.", "2026.5.19", "2026-05-19", "2026/5/19", "2026년 5월 19일",
                             "'26. 5. 19.", "’26.5.19."}) {
        EXPECT_EQ(terms(form, Field::exact), (Words{"2026-05-19", "2026-05"})) << form;
    }
    EXPECT_EQ(terms("2026년 5월", Field::exact), Words{"2026-05"});
    EXPECT_FALSE(has(terms("2026. 13. 40.", Field::exact), "2026-13-40"));
}

TEST(Analyzer, NumbersOfNoticesAndOfficesAreTerms)
{
    EXPECT_TRUE(has(terms("고시 제2023-123호", Field::exact), "제2023-123호"));
    EXPECT_TRUE(has(terms("2023-123호", Field::exact), "제2023-123호"));
    EXPECT_TRUE(has(terms("정보기획담당관-5440(2026. 5. 19.)", Field::exact), "정보기획담당관-5440"));
    EXPECT_TRUE(has(terms("전화 (044) 200-1234", Field::exact), "044-200-1234"));
    EXPECT_TRUE(has(terms("KF-94 마스크", Field::exact), "kf-94"));
}

TEST(Analyzer, ChineseCharactersGetTheReadingTheTextGives)
{
    EXPECT_EQ(terms("구법(舊法)에 따르되 舊法 부칙", Field::stem),
              (Words{"구법", "舊法", "따르되", "舊法", "구법", "부칙"}));
    EXPECT_EQ(terms("漢字(한자)를", Field::stem), (Words{"漢字", "한자"}));
    EXPECT_EQ(terms("공원(公園)", Field::stem), (Words{"공원", "公園"}));
}

TEST(Analyzer, DecomposedAndWideTextGivesTheSameTerms)
{
    EXPECT_EQ(
        analyze("\u110e\u116e\u11af\u1109\u1161\u11ab\u1112\u1172\u1100\u1161\u1105\u1173\u11af ２０２６년"),
        analyze("출산휴가를 2026년"));
}

// Whatever comes in: terms are short, well formed, free of control characters, and of a number that a
// constant times the length bounds.
TEST(Analyzer, HoldsItsBoundsOnAnyText)
{
    std::mt19937 random(11);
    const std::u32string kinds =
        U"제조항호의가를에서0123456789,.-/()[]'₩원억만년월일漢字舊法abc XY\n별표지\u1112\u0301";
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        const std::size_t length = random() % 200;
        for (std::size_t i = 0; i < length; ++i) append_utf8(text, kinds[random() % kinds.size()]);
        if (round % 10 == 0) text.resize(text.size() / 2);  // may cut a character
        const std::vector<Term> found = analyze(text);
        ASSERT_LE(found.size(), 4 * length + 4);
        for (const Term& term : found) {
            ASSERT_FALSE(term.text.empty());
            ASSERT_LE(term.text.size(), 256u);
            ASSERT_EQ(normalize(term.text), term.text);
            for (const char c : term.text) ASSERT_GT(static_cast<unsigned char>(c), 0x20u) << text;
        }
    }
}

TEST(Analyzer, LongRunsAreNoWords)
{
    std::string run;
    for (int i = 0; i < 1000; ++i) run += "가나다";
    EXPECT_TRUE(terms(run, Field::stem).empty());
    EXPECT_GT(terms(run, Field::bigram).size(), 2990u);
    EXPECT_EQ(terms(std::string(100, '7'), Field::stem).size(), 4u);
}

}  // namespace
}  // namespace jiphyeon
