// Mutation test of the support check: true sentences, and the same with one thing made wrong. What counts is
// how many wrong ones are caught and how many true ones are let through.
#include <gtest/gtest.h>

#include <functional>

#include "attribution.hpp"
#include "facts.hpp"

namespace jiphyeon {
namespace {

struct Pair {
    std::string header, passage;
    std::string said;     // true, in the words of an answer
    std::string number;   // the same with a number changed; empty: none in it
    std::string agency;   // the same with another name; empty: none in it
    std::string negated;  // the same, denied or affirmed
};

// Written for this test; the ministry and its rules do not exist.
const std::vector<Pair> kPairs = {
    {"산림문화 체험관 운영 규정 > 제5조(이용료)",
     "체험관의 이용료는 어른 3,000원, 어린이 1,500원으로 한다. 65세 이상인 사람에게는 이용료를 받지 "
     "아니한다. 단체는 20명 이상일 때 10퍼센트를 깎아 준다.",
     "체험관의 어른 이용료는 3,000원입니다.", "체험관의 어른 이용료는 3,500원입니다.", "",
     "체험관은 65세 이상인 사람에게 이용료를 받습니다."},
    {"산림문화 체험관 운영 규정 > 제9조(휴관)",
     "체험관은 매주 월요일에 쉰다. 다만 월요일이 공휴일이면 그 다음 날에 쉰다. 관장은 시설을 고칠 때 7일 "
     "이내로 임시 휴관을 정할 수 있다.",
     "관장은 시설을 고칠 때 7일 이내로 임시 휴관을 정할 수 있습니다.",
     "관장은 시설을 고칠 때 14일 이내로 임시 휴관을 정할 수 있습니다.", "",
     "관장은 시설을 고칠 때 7일 이내로 임시 휴관을 정할 수 없습니다."},
    {"목재 이용 촉진 지원 지침 > 제3조(지원 대상)",
     "지원 대상은 국산 목재로 창호를 바꾸는 마을회관으로 한다. 지원금은 한 곳에 최대 1,200만 원이며 "
     "목재산업과에서 심사한다. 준공 후 5년이 지나지 아니한 건물은 지원 대상에서 제외한다.",
     "마을회관 한 곳에 최대 1,200만 원을 지원하며 목재산업과에서 심사합니다.",
     "마을회관 한 곳에 최대 1,500만 원을 지원하며 목재산업과에서 심사합니다.",
     "마을회관 한 곳에 최대 1,200만 원을 지원하며 산촌정책과에서 심사합니다.",
     "준공 후 5년이 지나지 아니한 건물도 지원 대상입니다."},
    {"산불 대응 교육 계획 > 2. 교육 일정",
     "교육은 2026년 3월 9일부터 3월 13일까지 닷새 동안 산림교육원에서 한다. 교육 인원은 한 기에 40명이다. "
     "모든 교육생은 방염복을 갖추어야 한다.",
     "교육은 2026년 3월 9일부터 산림교육원에서 하며 한 기에 40명입니다.",
     "교육은 2026년 3월 19일부터 산림교육원에서 하며 한 기에 40명입니다.",
     "교육은 2026년 3월 9일부터 국토교육원에서 하며 한 기에 40명입니다.",
     "교육생은 방염복을 갖추지 않아도 됩니다."},
    {"숲길 관리 요령 > 제7조(점검)",
     "숲길관리팀은 분기마다 한 번 이상 숲길을 점검하고 그 결과를 점검 후 10일 이내에 지방산림청에 보고한다. "
     "낙석 위험이 있는 구간은 통행을 금지한다.",
     "숲길관리팀은 점검 결과를 10일 이내에 지방산림청에 보고합니다.",
     "숲길관리팀은 점검 결과를 15일 이내에 지방산림청에 보고합니다.",
     "숲길관리팀은 점검 결과를 10일 이내에 시설안전공단에 보고합니다.",
     "낙석 위험이 있는 구간도 통행할 수 있습니다."},
    {"직원 연수 운영 기준 > 제4조",
     "국외 연수는 근속 5년 이상인 직원 가운데에서 뽑는다. 연수 기간은 6개월 이하로 하고, 연수를 마친 사람은 "
     "30일 이내에 보고서를 낸다. 징계를 받은 날부터 2년이 지나지 아니한 사람은 뽑지 아니한다.",
     "국외 연수는 근속 5년 이상인 직원 가운데에서 뽑습니다.",
     "국외 연수는 근속 3년 이상인 직원 가운데에서 뽑습니다.", "",
     "연수를 마친 사람은 보고서를 내지 않습니다."},
    {"종자 보급 사업 안내",
     "보급 종자는 소나무와 잣나무 두 가지이며, 신청은 4월 30일까지 종자관리센터에 한다. 한 사람이 신청할 수 "
     "있는 양은 20kg 이하이다.",
     "종자 신청은 4월 30일까지 종자관리센터에 합니다.", "종자 신청은 4월 20일까지 종자관리센터에 합니다.",
     "종자 신청은 4월 30일까지 농업지원센터에 합니다.", "종자관리센터에 신청할 수 없습니다."},
    {"임업직 근무 규정 > 제12조(야간 순찰)",
     "야간 순찰은 두 명이 한 조가 되어 22시부터 다음 날 6시까지 한다. 순찰에 나선 사람에게는 제15조제2항에 "
     "따른 수당을 지급한다. 비가 30mm 이상 내린 날에는 순찰하지 아니한다.",
     "야간 순찰에 나선 사람에게는 제15조제2항에 따른 수당을 지급합니다.",
     "야간 순찰에 나선 사람에게는 제16조제2항에 따른 수당을 지급합니다.", "",
     "야간 순찰에 나선 사람에게는 수당을 지급하지 않습니다."},
    {"예산 집행 현황",
     "2025년 숲가꾸기 사업비는 3억 5천만 원이고 이 가운데 82.4%를 집행하였다. 남은 돈은 산림재정과가 다음 "
     "해로 넘겼다.",
     "2025년 숲가꾸기 사업비 3억 5천만 원 가운데 82.4%를 집행하였습니다.",
     "2025년 숲가꾸기 사업비 3억 5천만 원 가운데 84.2%를 집행하였습니다.", "",
     "2025년 숲가꾸기 사업비는 집행하지 않았습니다."},
    {"민원 처리 지침 > 제6조",
     "벌채 허가 민원은 접수한 날부터 14일 안에 처리한다. 현장 조사가 필요하면 한 번에 한하여 7일을 늘릴 수 "
     "있다. 처리 결과는 산림민원실이 문자로 알린다.",
     "벌채 허가 민원은 접수한 날부터 14일 안에 처리합니다.",
     "벌채 허가 민원은 접수한 날부터 24일 안에 처리합니다.",
     "벌채 허가 민원의 처리 결과는 기획조정실이 문자로 알립니다.", "처리 결과는 문자로 알리지 않습니다."},
    {"수목원 주차 안내",
     "주차장은 승용차 120대와 버스 15대를 세울 수 있다. 전기차 충전기는 8기를 갖추었다. 캠핑용 차량은 세울 "
     "수 없다.",
     "주차장에는 승용차 120대와 버스 15대를 세울 수 있습니다.",
     "주차장에는 승용차 150대와 버스 15대를 세울 수 있습니다.", "", "캠핑용 차량도 세울 수 있습니다."},
    {"협약서 > 제3조(역할)",
     "가온대학교는 병해충 연구를 맡고, 국립숲연구원은 시험림 12㏊를 제공한다. 협약의 유효 기간은 체결일부터 "
     "3년으로 한다. 연구 결과는 어느 한쪽의 동의 없이 공개하지 아니한다.",
     "협약의 유효 기간은 체결일부터 3년입니다.", "협약의 유효 기간은 체결일부터 5년입니다.",
     "나래대학교는 병해충 연구를 맡습니다.", "연구 결과는 동의 없이 공개합니다."},
};

const Query kNoQuestion{};

std::vector<float> equal_rarity(std::span<const Term> terms)
{
    return std::vector<float>(terms.size(), 1.0f);
}

std::vector<Evidence> evidence_of(const std::vector<const Pair*>& pairs)
{
    std::vector<Evidence> out;
    for (const Pair* pair : pairs) {
        Evidence e;
        e.n = static_cast<unsigned>(out.size() + 1);
        e.chunk.document_id = "d" + std::to_string(out.size());
        e.chunk.header = pair->header;
        e.chunk.text = pair->passage;
        e.source_id = e.chunk.document_id;
        out.push_back(std::move(e));
    }
    return out;
}

// Every sentence is judged against all passages at once, as in an answer.
class SupportCheck : public ::testing::Test {
protected:
    SupportCheck()
    {
        std::vector<const Pair*> all;
        for (const Pair& pair : kPairs) all.push_back(&pair);
        evidence_ = evidence_of(all);
        attribution_.emplace(evidence_, kNoQuestion, equal_rarity);
    }

    bool released(const std::string& sentence, std::size_t* source = nullptr,
                  std::string* doubt = nullptr) const
    {
        const auto found = attribution_->source_of(sentence);
        if (found && source != nullptr) *source = found->window.evidence;
        if (found && doubt != nullptr) *doubt = found->check.doubt;
        return found && found->check.support == Support::supported;
    }

    // How many of the mutants are caught, and which are not.
    void expect_caught(const std::function<std::string(const Pair&)>& mutant, double rate_min)
    {
        int made = 0, caught = 0;
        std::string missed;
        for (const Pair& pair : kPairs) {
            const std::string text = mutant(pair);
            if (text.empty()) continue;
            ++made;
            if (!released(text))
                ++caught;
            else
                missed += "\n  " + text;
        }
        ASSERT_GT(made, 4);
        EXPECT_GE(caught, static_cast<int>(rate_min * made)) << caught << " of " << made << missed;
    }

    std::vector<Evidence> evidence_;
    std::optional<Attribution> attribution_;
};

TEST_F(SupportCheck, TrueSentencesAreReleasedWithTheRightSource)
{
    for (std::size_t i = 0; i < kPairs.size(); ++i) {
        std::size_t source = kPairs.size();
        std::string doubt;
        EXPECT_TRUE(released(kPairs[i].said, &source, &doubt)) << kPairs[i].said << " " << doubt;
        EXPECT_EQ(source, i) << kPairs[i].said;
    }
}

TEST_F(SupportCheck, ChangedNumbersAreCaught)
{
    expect_caught([](const Pair& p) { return p.number; }, 1.0);
}

// Each digit of each true sentence, raised by one.
TEST_F(SupportCheck, EveryDigitCounts)
{
    int made = 0, caught = 0;
    std::string missed;
    for (const Pair& pair : kPairs)
        for (std::size_t i = 0; i < pair.said.size(); ++i) {
            if (pair.said[i] < '0' || pair.said[i] > '9') continue;
            std::string text = pair.said;
            text[i] = text[i] == '9' ? '1' : static_cast<char>(text[i] + 1);
            ++made;
            if (!released(text))
                ++caught;
            else
                missed += "\n  " + text;
        }
    EXPECT_GT(made, 30);
    EXPECT_GE(caught, made * 97 / 100) << caught << " of " << made << missed;
}

TEST_F(SupportCheck, SwappedAgenciesAreCaught)
{
    expect_caught([](const Pair& p) { return p.agency; }, 1.0);
}

TEST_F(SupportCheck, DeniedAndAffirmedStatementsAreMostlyCaught)
{
    expect_caught([](const Pair& p) { return p.negated; }, 0.75);
}

// The subject of one sentence with the statement of another.
TEST_F(SupportCheck, SplicedSentencesAreCaught)
{
    expect_caught(
        [](const Pair& p) {
            const std::size_t at = static_cast<std::size_t>(&p - kPairs.data());
            const std::string& other = kPairs[(at + 5) % kPairs.size()].said;
            const std::size_t cut = p.said.find(' ', p.said.size() / 3),
                              from = other.find(' ', other.size() / 3);
            return p.said.substr(0, cut) + other.substr(from);
        },
        0.9);
}

TEST_F(SupportCheck, AnotherLimitIsNotTheSameLimit)
{
    EXPECT_FALSE(released("국외 연수는 근속 5년 이하인 직원 가운데에서 뽑습니다."));
    EXPECT_FALSE(released("한 사람이 신청할 수 있는 종자의 양은 20kg 이상입니다."));
    EXPECT_TRUE(released("한 사람이 신청할 수 있는 종자의 양은 20kg 이하입니다."));
}

// The asker's own numbers and names are not invented, but the passage does not say them either.
TEST(Support, WhatTheAskerSaidHoldsInPart)
{
    const Query question = analyze_question("단체로 32명이 가면 체험관 이용료를 얼마나 깎아 주나요?", 20000);
    const std::vector<Evidence> evidence = evidence_of({&kPairs[0]});
    const Attribution attribution(evidence, question, equal_rarity);
    const auto source = attribution.source_of("단체 32명은 체험관 이용료를 10퍼센트 깎아 줍니다.");
    ASSERT_TRUE(source);
    EXPECT_EQ(source->check.support, Support::partial);
    EXPECT_NE(source->check.doubt.find("32명"), std::string::npos) << source->check.doubt;
    const auto invented = attribution.source_of("단체 33명은 체험관 이용료를 10퍼센트 깎아 줍니다.");
    ASSERT_TRUE(invented);
    EXPECT_EQ(invented->check.support, Support::unsupported);
}

// What was in force on that day need not name it.
TEST(Support, TheDayThatWasAskedAboutNeedNotStandInThePassage)
{
    const Query question = analyze_question("2026년 5월 기준으로 체험관의 어른 이용료는 얼마인가요?", 20000);
    ASSERT_TRUE(question.as_of);
    const std::vector<Evidence> evidence = evidence_of({&kPairs[0]});
    const Attribution attribution(evidence, question, equal_rarity);
    const auto support = [&](std::string_view sentence) {
        return attribution.source_of(sentence)->check.support;
    };
    EXPECT_NE(support("2026년 5월 체험관의 어른 이용료는 3,000원입니다."), Support::unsupported);
    EXPECT_EQ(support("2025년 5월 체험관의 어른 이용료는 3,000원입니다."), Support::unsupported);
}

TEST_F(SupportCheck, WhatNobodyWroteIsUnsupported)
{
    for (const std::string text : {"수도권 집값은 크게 올랐습니다.", "우주선은 화성에 도착하였습니다.",
                                   "직원의 봉급은 매달 말일에 줍니다."})
        EXPECT_FALSE(released(text)) << text;
}

TEST(Facts, NumbersMeetHoweverTheyAreWritten)
{
    const auto value = [](std::string_view text) {
        const Facts facts = read_facts(text);
        return facts.quantities.size() == 1
                   ? std::to_string(static_cast<long long>(facts.quantities[0].value)) +
                         facts.quantities[0].unit
                   : "none of " + std::to_string(facts.quantities.size());
    };
    EXPECT_EQ(value("35,000원"), "35000원");
    EXPECT_EQ(value("3만 5천 원"), "35000원");
    EXPECT_EQ(value("3만5천원"), "35000원");
    EXPECT_EQ(value("3억 5,000만 원"), "350000000원");
    EXPECT_EQ(value("12억 원"), "1200000000원");
    EXPECT_EQ(value("１５명"), "15명");
    EXPECT_EQ(value("열흘 동안"), "10일");
    EXPECT_EQ(value("일곱 곳이며"), "7곳");
    EXPECT_EQ(value("두 차례"), "2회");
    EXPECT_EQ(value("자부담은 5만 원입니다"), "50000원");
    EXPECT_EQ(value("80퍼센트"), "80%");
    EXPECT_EQ(value("6개월"), "6개월");
    EXPECT_EQ(value("한글로 쓴 문서"), "none of 0");
}

TEST(Facts, ADeclaredUnitIsMeantForBareNumbers)
{
    const auto holds = [](std::string_view text, double value, std::string_view unit) {
        const Facts facts = read_facts(text);
        return std::any_of(facts.quantities.begin(), facts.quantities.end(),
                           [&](const Quantity& q) { return q.value == value && q.unit == unit; });
    };
    const std::string table = "분야별 예산 (단위: 백만원)\n항로표지 | 41,287 | 3명";
    EXPECT_TRUE(holds(table, 41'287e6, "원"));
    EXPECT_TRUE(holds(table, 41'287, ""));
    EXPECT_TRUE(holds(table, 3, "명"));
    EXPECT_FALSE(holds(table, 3e6, "원"));
    EXPECT_TRUE(holds("등대 현황(단위 : 기)\n유인 12", 12, ""));
    // Of two declared units nobody can tell which is whose.
    EXPECT_FALSE(holds("(단위: 명, 천원)\n섬 12 | 340", 12, "명"));
    EXPECT_FALSE(holds("(단위: 명, 천원)\n섬 12 | 340", 340e3, "원"));
}

TEST(Facts, DatesMeetHoweverTheyAreWritten)
{
    for (const std::string text :
         {"2026년 5월 19일", "2026. 5. 19.", "2026.5.19.", "2026-05-19", "2026/5/19"}) {
        const Facts facts = read_facts(text);
        ASSERT_EQ(facts.dates.size(), 1u) << text;
        EXPECT_EQ(facts.dates[0].text(), "2026년 5월 19일") << text;
        EXPECT_TRUE(facts.quantities.empty()) << text;
    }
    EXPECT_EQ(read_facts("5월 19일까지").dates.at(0).text(), "5월 19일");
    EXPECT_EQ(read_facts("2026년도 예산").dates.at(0).text(), "2026년");
    EXPECT_TRUE(read_facts("2026명").dates.empty());
}

}  // namespace
}  // namespace jiphyeon
