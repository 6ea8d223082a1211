// Searching goes to a real index. The language model's part is spoken by a script here, so that each way an
// answer can take is taken; answer_test.cpp lets the real model speak.
#include "jiphyeon/retriever.hpp"

#include <gtest/gtest.h>

#include "archive.hpp"
#include "query.hpp"
#include "words.hpp"

namespace jiphyeon {
namespace {

using test::Archive;
using test::kToday;
using test::open_scope;

class CharacterTokenizer : public Tokenizer {
public:
    std::vector<TokenId> encode(std::string_view text, bool) const override
    {
        std::vector<TokenId> ids;
        for (const char32_t c : to_code_points(text)) ids.push_back(static_cast<TokenId>(c));
        return ids;
    }
    std::string piece(TokenId id) const override
    {
        return to_utf8(std::u32string(1, static_cast<char32_t>(id)));
    }
    std::optional<TokenId> control(std::string_view) const override { return std::nullopt; }
    bool ends_generation(TokenId) const override { return false; }
    std::size_t size() const override { return 0x10000; }
};

// Says its sentences one by one, each followed by the slot, as the grammar has it.
class ScriptedEngine : public Engine {
public:
    std::vector<std::string> script;
    float yes = 3;
    std::string surest_where;  // its 예 is stronger by half where the prompt has these words
    std::string mute_where;    // it says nothing there
    mutable std::string last_prompt;

    const ModelInfo& info() const override { return info_; }
    const Tokenizer& tokenizer() const override { return tokenizer_; }
    std::vector<TokenId> chat_prompt(std::span<const ChatTurn> turns) const override
    {
        last_prompt.clear();
        for (const ChatTurn& turn : turns) last_prompt += turn.role + ": " + turn.text + "\n";
        return tokenizer_.encode(last_prompt, false);
    }
    Generated generate(const GenerateRequest& request, const GenerateEvents& events) override
    {
        Generated out;
        out.prompt_tokens = request.prompt.size();
        for (const std::string& sentence : script) {
            if (!mute_where.empty() && last_prompt.find(mute_where) != std::string::npos) break;
            if (request.cancel != nullptr && request.cancel->load()) {
                out.finish = Generated::Finish::cancelled;
                break;
            }
            const GenerateEvents::SlotFill fill = events.on_slot("cite", sentence);
            out.text += sentence + fill.text;
            out.finish = Generated::Finish::slot;
            if (fill.stop) break;
        }
        out.tokens = tokenizer_.encode(out.text, false);
        return out;
    }
    std::vector<float> next_logits(std::span<const TokenId>, std::string_view) override
    {
        std::vector<float> logits(0x10000, 0.0f);
        const bool surest = !surest_where.empty() && last_prompt.find(surest_where) != std::string::npos;
        logits[U'예'] = yes + (surest ? 0.5f : 0.0f);
        return logits;
    }
    std::vector<float> embed(std::span<const std::string>) override { return {}; }

private:
    CharacterTokenizer tokenizer_;
    ModelInfo info_;
};

std::vector<std::string> sources(const std::vector<Evidence>& evidence)
{
    std::vector<std::string> out;
    for (const Evidence& e : evidence) out.push_back(e.source_id);
    return out;
}

class RetrieverTest : public ::testing::Test {
protected:
    Answer ask(const std::string& text, const AskEvents& events = {})
    {
        const Retriever retriever(archive.index(), &engine, nullptr, {});
        return retriever.ask({.text = text, .scope = open_scope(), .cache_domain = "t"}, events);
    }
    std::vector<std::string> search(const std::string& text, std::size_t k = 3,
                                    const Scope& scope = open_scope())
    {
        const Retriever retriever(archive.index(), nullptr, nullptr, {});
        return sources(retriever.search(text, Leg::hybrid, k, scope));
    }

    Archive archive;
    ScriptedEngine engine;
};

TEST_F(RetrieverTest, TheNamedArticleComesFirst)
{
    EXPECT_EQ(search("제8조의2에 따른 수당은?", 1), std::vector<std::string>{"산림휴가-8조"});
    EXPECT_EQ(search("산림청사 지침 제7조의 내용", 1), std::vector<std::string>{"산림휴가-2026"});
}

TEST_F(RetrieverTest, AQuestionAboutAPastDaySeesThatDaysVersion)
{
    EXPECT_EQ(search("하계휴가는 며칠인가요?", 1), std::vector<std::string>{"산림휴가-2026"});
    EXPECT_EQ(search("2025년 3월 기준으로 하계휴가는 며칠인가요?", 1),
              std::vector<std::string>{"산림휴가-2024"});
    EXPECT_EQ(search("2025. 3. 2. 당시 하계휴가 일수", 1), std::vector<std::string>{"산림휴가-2024"});
}

TEST_F(RetrieverTest, WhatTheScopeHidesIsNotThere)
{
    for (const std::string& id : search("벌채 보조금이 잘못 지급된 건수는?", 10)) EXPECT_NE(id, "감사");
    Scope auditor = open_scope();
    auditor.labels.push_back("restricted:감사관");
    EXPECT_EQ(search("벌채 보조금이 잘못 지급된 건수는?", 1, auditor), std::vector<std::string>{"감사"});
}

TEST_F(RetrieverTest, CheckedSentencesComeOutOneByOneWithTheirSource)
{
    engine.script = {"하계휴가는 5일입니다.", "하계휴가는 6월부터 9월까지 나누어 쓸 수 있습니다."};
    std::vector<std::string> released;
    bool evidence_first = false;
    const Answer answer = ask(
        "하계휴가는 며칠인가요?",
        {.on_evidence = [&](std::span<const Evidence> e) { evidence_first = !e.empty() && released.empty(); },
         .on_sentence =
             [&](const Sentence& s) {
                 released.push_back(s.text);
                 return true;
             },
         .cancel = nullptr});
    EXPECT_EQ(answer.outcome, Outcome::answered);
    EXPECT_TRUE(evidence_first);
    EXPECT_EQ(released, engine.script);
    ASSERT_EQ(answer.sentences.size(), 2u);
    for (const Sentence& s : answer.sentences) {
        ASSERT_EQ(s.citations.size(), 1u);
        const Evidence& e = answer.evidence.at(s.citations[0] - 1);
        EXPECT_EQ(e.source_id, "산림휴가-2026");
        EXPECT_TRUE(e.cited);
        EXPECT_EQ(s.support, Support::supported);
        ASSERT_EQ(s.spans.size(), 1u);
        EXPECT_LE(s.spans[0].end, e.chunk.text.size());
        EXPECT_LT(s.spans[0].start, s.spans[0].end);
    }
    EXPECT_EQ(answer.text, "하계휴가는 5일입니다. [1] 하계휴가는 6월부터 9월까지 나누어 쓸 수 있습니다. [1]");
    ASSERT_TRUE(answer.generation);
    EXPECT_EQ(answer.generation->fills.size(), 2u);
}

TEST_F(RetrieverTest, AnInventedNumberIsNeverReleased)
{
    engine.script = {"하계휴가는 5일입니다.", "하계휴가는 10일까지 늘릴 수 있습니다."};
    const Answer answer = ask("하계휴가는 며칠인가요?");
    EXPECT_EQ(answer.outcome, Outcome::partly_supported);
    ASSERT_EQ(answer.sentences.size(), 1u);
    EXPECT_EQ(answer.text.find("10일"), std::string::npos);

    engine.script = {"하계휴가는 25일입니다.", "하계휴가는 26일입니다.", "하계휴가는 5일입니다."};
    const Answer second = ask("하계휴가는 며칠인가요?");
    EXPECT_EQ(second.text.find("25일"), std::string::npos);
    EXPECT_NE(second.outcome, Outcome::answered);
}

TEST_F(RetrieverTest, TheModelAnswersFromTheOnePassageItIsSurestOf)
{
    engine.script = {"하계휴가는 5일입니다."};
    engine.surest_where = "하계휴가는 5일로 한다";
    const Answer answer = ask("당직 수당을 받는 사람의 하계휴가는 며칠인가요?");
    EXPECT_EQ(answer.outcome, Outcome::answered);
    ASSERT_GT(answer.evidence.size(), 1u);
    EXPECT_NE(engine.last_prompt.find("하계휴가는 5일로 한다"), std::string::npos);
    EXPECT_EQ(engine.last_prompt.find("당직 수당은 하룻밤에"), std::string::npos);
}

TEST_F(RetrieverTest, WhereThatPassageGivesNothingTheNextBestIsTried)
{
    engine.script = {"하계휴가는 5일입니다."};
    engine.surest_where = engine.mute_where = "당직 수당은 하룻밤에";
    const Answer answer = ask("당직 수당을 받는 사람의 하계휴가는 며칠인가요?");
    EXPECT_EQ(answer.outcome, Outcome::answered);
    ASSERT_EQ(answer.sentences.size(), 1u);
    ASSERT_TRUE(answer.generation);
    EXPECT_EQ(answer.generation->fills.size(), 1u);  // of the attempt that spoke
}

TEST_F(RetrieverTest, DocumentsThatContradictEachOtherAreBothShown)
{
    engine.script = {"백운봉 대피소에는 40명이 묵을 수 있습니다."};
    const Answer answer = ask("백운봉 대피소에는 몇 명이 묵을 수 있나요?");
    EXPECT_EQ(answer.outcome, Outcome::conflicting);
    ASSERT_EQ(answer.sentences.size(), 2u);
    EXPECT_NE(answer.sentences[1].text.find("60명"), std::string::npos);
    EXPECT_NE(answer.sentences[0].citations, answer.sentences[1].citations);
}

TEST_F(RetrieverTest, TheSameTextIsEvidenceOnce)
{
    const Answer answer = ask("백운봉 대피소는 예약을 언제부터 받나요?");
    const std::vector<std::string> found = sources(answer.evidence);
    EXPECT_EQ(
        std::count(found.begin(), found.end(), "대피소") + std::count(found.begin(), found.end(), "복사본"),
        1);
    EXPECT_EQ(std::count(found.begin(), found.end(), "대피소-홍보"), 1);  // another number: another text
}

TEST_F(RetrieverTest, EachEndHasItsOutcome)
{
    EXPECT_EQ(ask("안녕하세요").outcome, Outcome::out_of_scope);
    EXPECT_EQ(ask("12 * 34 = ?").outcome, Outcome::out_of_scope);
    const Answer nothing = ask("우주 정거장 도킹 절차와 연료 보급 주기는?");
    EXPECT_EQ(nothing.outcome, Outcome::not_found);
    EXPECT_TRUE(nothing.evidence.empty());

    engine.script = {"문서에서 답을 찾을 수 없습니다."};
    const Answer declined = ask("하계휴가 정산은 며칠 안에 합니까?");
    EXPECT_EQ(declined.outcome, Outcome::not_enough);
    EXPECT_TRUE(declined.sentences.empty());
    EXPECT_FALSE(declined.evidence.empty());
    // Where the passage plainly tells, it is quoted as it stands.
    const Answer quoted = ask("하계휴가는 며칠인가요?");
    EXPECT_EQ(quoted.outcome, Outcome::partly_supported);
    ASSERT_EQ(quoted.sentences.size(), 1u);
    EXPECT_EQ(quoted.sentences[0].text, "하계휴가는 5일로 한다.");

    const Retriever without_model(archive.index(), nullptr, nullptr, {});
    const Answer evidence_only =
        without_model.ask({.text = "하계휴가는 며칠인가요?", .scope = open_scope(), .cache_domain = ""}, {});
    EXPECT_EQ(evidence_only.outcome, Outcome::search_only);
    EXPECT_EQ(evidence_only.evidence.at(0).source_id, "산림휴가-2026");

    // No labels: nothing, and in the same words as for what does not exist.
    const Retriever retriever(archive.index(), &engine, nullptr, {});
    const Answer hidden =
        retriever.ask({.text = "하계휴가는 며칠인가요?", .scope = {}, .cache_domain = ""}, {});
    EXPECT_EQ(hidden.outcome, Outcome::not_found);
    EXPECT_EQ(hidden.text, nothing.text);
}

TEST_F(RetrieverTest, CancellingStopsAndARecordThatFailsPassesThrough)
{
    engine.script = {"하계휴가는 5일입니다.", "하계휴가는 6월부터 9월까지 나누어 쓸 수 있습니다."};
    const Answer answer =
        ask("하계휴가는 며칠인가요?",
            {.on_evidence = {}, .on_sentence = [](const Sentence&) { return false; }, .cancel = nullptr});
    EXPECT_EQ(answer.outcome, Outcome::cancelled);
    EXPECT_EQ(answer.sentences.size(), 1u);
    const std::atomic<bool> cancel = true;
    EXPECT_EQ(
        ask("하계휴가는 며칠인가요?", {.on_evidence = {}, .on_sentence = {}, .cancel = &cancel}).outcome,
        Outcome::cancelled);
    EXPECT_THROW(ask("하계휴가는 며칠인가요?",
                     {.on_evidence = {},
                      .on_sentence = [](const Sentence&) -> bool { throw std::runtime_error("record"); },
                      .cancel = nullptr}),
                 std::runtime_error);
}

TEST_F(RetrieverTest, TheSameQuestionGivesTheSameAnswer)
{
    engine.script = {"당직 수당은 하룻밤에 6만 원입니다."};
    const Answer first = ask("당직 수당은 얼마인가요?"), second = ask("당직 수당은 얼마인가요?");
    EXPECT_EQ(first.text, second.text);
    EXPECT_EQ(sources(first.evidence), sources(second.evidence));
    EXPECT_EQ(first.generation->prompt, second.generation->prompt);
}

TEST(Query, FunctionWordsAreNoContentAndIdentifiersAreWhole)
{
    const Query query =
        analyze_question("「산불 대응 요령」 제12조의2제3항과 제2023-123호에 대해 알려 주세요", kToday);
    EXPECT_NE(std::find(query.identifiers.begin(), query.identifiers.end(), "제12조의2제3항"),
              query.identifiers.end());
    EXPECT_NE(std::find(query.identifiers.begin(), query.identifiers.end(), "제2023-123호"),
              query.identifiers.end());
    ASSERT_EQ(query.phrases.size(), 1u);
    EXPECT_EQ(query.phrases[0], "산불대응요령");
    for (const Word& word : query.words) EXPECT_NE(word.stem, "알려");
    EXPECT_FALSE(query.is_small_talk);
}

TEST(Query, AQuestionForANumberIsNotAnsweredWithoutOne)
{
    const auto wanted = [](std::string_view text) { return analyze_question(text, kToday).wanted; };
    EXPECT_EQ(wanted("몇 명이 묵을 수 있나요?").unit, "명");
    EXPECT_EQ(wanted("하계휴가는 며칠인가요?").unit, "일");
    EXPECT_EQ(wanted("한 달에 몇 번까지 됩니까?").unit, "회");
    EXPECT_EQ(wanted("언제부터 신청합니까?").kind, Wanted::Kind::time);
    EXPECT_EQ(wanted("누가 신청합니까?").kind, Wanted::Kind::anything);
    EXPECT_EQ(wanted("멘토의 시급은 얼마인가요?").unit, "원");
    EXPECT_FALSE(tells("멘토의 시급은 520시간 이내입니다.", wanted("멘토의 시급은 얼마인가요?")));
    EXPECT_TRUE(tells("수수료는 이용료의 10퍼센트입니다.", wanted("취소 수수료는 얼마입니까?")));
    EXPECT_EQ(wanted("이용료 감면은 얼마 동안 받을 수 있나요?").kind, Wanted::Kind::time);
    EXPECT_TRUE(tells("대피소에는 40명이 묵을 수 있습니다.", wanted("몇 명이 묵을 수 있나요?")));
    EXPECT_FALSE(tells("대피소는 해발 1,240m에 있습니다.", wanted("몇 명이 묵을 수 있나요?")));
    EXPECT_FALSE(tells("신청서를 냅니다.", wanted("언제부터 신청합니까?")));
    EXPECT_TRUE(tells("이용료는 무료입니다.", wanted("이용료는 얼마인가요?")));
}

TEST(Query, AsOfNeedsADateAndAWordForIt)
{
    const auto day = [](std::string_view text) { return analyze_question(text, kToday).as_of; };
    EXPECT_EQ(day("2024. 7. 1. 기준 운임"), day_from_text("2024-07-01"));
    EXPECT_EQ(day("2024년 2월 당시 규정"), day_from_text("2024-02-29"));
    EXPECT_EQ(day("2024년 기준 예산"), day_from_text("2024-12-31"));
    EXPECT_EQ(day("2026년 기준 예산"), kToday);  // the year is not over
    EXPECT_EQ(day("2024년 예산은 얼마인가요"), std::nullopt);
    EXPECT_EQ(day("현재 규정"), std::nullopt);
}

}  // namespace
}  // namespace jiphyeon
