// Sessions, the brake on guessing, the queue's order and the mask between sentences, each alone with a clock
// that the test holds.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <set>
#include <thread>

#include "admission.hpp"
#include "login_guard.hpp"
#include "messages.hpp"
#include "sentence_mask.hpp"
#include "sessions.hpp"

namespace jiphyeon {
namespace {

using std::chrono::seconds;

class WithClock : public ::testing::Test {
protected:
    Clock clock = [this] { return now; };
    std::chrono::steady_clock::time_point now = std::chrono::steady_clock::time_point(seconds(1'000'000));
};

class SessionsTest : public WithClock {
protected:
    Sessions sessions{{.idle = seconds(30), .absolute = seconds(100)}, clock};
};

TEST_F(SessionsTest, EndsWhenIdleAndAtItsAbsoluteLimitHoweverMuchItIsUsed)
{
    const std::string idle = sessions.open("kim").token, used = sessions.open("kim").token;
    now += seconds(29);
    EXPECT_TRUE(sessions.use(used));
    now += seconds(1);
    EXPECT_FALSE(sessions.use(idle));
    for (int i = 0; i < 2; ++i) {
        now += seconds(28);
        EXPECT_TRUE(sessions.use(used));
    }
    now += seconds(14);
    EXPECT_FALSE(sessions.use(used));  // 100 s after its opening
    EXPECT_EQ(sessions.size(), 0u);
}

TEST_F(SessionsTest, LookingIsNotUsing)
{
    const std::string token = sessions.open("kim").token;
    now += seconds(29);
    EXPECT_TRUE(sessions.look(token));
    now += seconds(1);
    EXPECT_FALSE(sessions.look(token));
}

TEST_F(SessionsTest, TokensAreLongDifferentAndNotInterchangeable)
{
    std::set<std::string> seen;
    for (int i = 0; i < 50; ++i) {
        const Sessions::Opened opened = sessions.open("kim" + std::to_string(i));
        EXPECT_EQ(opened.token.size(), 43u);
        EXPECT_TRUE(seen.insert(opened.token).second);
        EXPECT_TRUE(seen.insert(opened.csrf).second);
        EXPECT_FALSE(sessions.use(opened.csrf));
        EXPECT_FALSE(sessions.use(opened.name));
    }
}

TEST_F(SessionsTest, TheOldestOfTooManyEnds)
{
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i <= Sessions::kPerAccount; ++i) {
        tokens.push_back(sessions.open("kim").token);
        now += seconds(1);
    }
    EXPECT_FALSE(sessions.use(tokens.front()));
    EXPECT_TRUE(sessions.use(tokens[1]));
    EXPECT_TRUE(sessions.use(tokens.back()));
}

class LoginGuardTest : public WithClock {
protected:
    LoginGuard guard{3, seconds(60), clock};
};

TEST_F(LoginGuardTest, LocksAnAccountForAnAddressAndLetsGoAfterAWhile)
{
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(guard.locked("kim", "a"));
        guard.failed("kim", "a");
    }
    EXPECT_TRUE(guard.locked("kim", "a"));
    EXPECT_FALSE(guard.locked("kim", "b"));
    EXPECT_FALSE(guard.locked("lee", "a"));
    now += seconds(60);
    EXPECT_FALSE(guard.locked("kim", "a"));
}

TEST_F(LoginGuardTest, ASuccessForgetsTheFailuresOfItsAddress)
{
    guard.failed("kim", "a");
    guard.failed("kim", "a");
    guard.succeeded("kim", "a");
    guard.failed("kim", "a");
    EXPECT_FALSE(guard.locked("kim", "a"));
}

TEST_F(LoginGuardTest, ManyAddressesTogetherLockTheAccount)
{
    for (unsigned i = 0; i < 3 * LoginGuard::kAddressesFactor; ++i) {
        EXPECT_FALSE(guard.locked("kim", "fresh"));
        guard.failed("kim", "address " + std::to_string(i));
    }
    EXPECT_TRUE(guard.locked("kim", "fresh"));
}

TEST(AdmissionTest, ServesInOrderOfComing)
{
    Admission admission(1, 8);
    std::optional<Admission::Slot> held;
    ASSERT_EQ(admission.enter([](std::size_t) { return true; }, held), Admission::Entry::entered);
    std::mutex mutex;
    std::vector<int> order;
    std::vector<std::future<void>> waiting;
    for (int i = 0; i < 4; ++i) {
        std::promise<void> in_line;
        waiting.push_back(std::async(std::launch::async, [&, i] {
            std::optional<Admission::Slot> slot;
            bool told = false;
            const auto on_place = [&](std::size_t place) {
                if (!told) {
                    EXPECT_EQ(place, static_cast<std::size_t>(i) + 1);
                    told = true;
                    in_line.set_value();
                }
                return true;
            };
            EXPECT_EQ(admission.enter(on_place, slot), Admission::Entry::entered);
            const std::lock_guard lock(mutex);
            order.push_back(i);
        }));
        in_line.get_future().wait();
    }
    held.reset();
    for (auto& each : waiting) each.get();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

TEST(AdmissionTest, WorkInTheBackgroundWaitsWhileSomebodyAsksButNotForEver)
{
    using Clock = std::chrono::steady_clock;
    Admission admission(1, 8);
    admission.wait_for_quiet(std::chrono::hours(1));  // nobody asks
    std::optional<Admission::Slot> held;
    ASSERT_EQ(admission.enter([](std::size_t) { return true; }, held), Admission::Entry::entered);
    const Clock::time_point begin = Clock::now();
    admission.wait_for_quiet(std::chrono::milliseconds(100));
    EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(100));
    std::atomic<bool> answered = false;
    std::thread question([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        answered = true;
        held.reset();
    });
    admission.wait_for_quiet(std::chrono::hours(1));
    EXPECT_TRUE(answered);
    question.join();
}

TEST(AdmissionTest, WhoLeavesTheLineMakesRoom)
{
    Admission admission(1, 1);
    std::optional<Admission::Slot> held, other;
    ASSERT_EQ(admission.enter([](std::size_t) { return true; }, held), Admission::Entry::entered);
    EXPECT_EQ(admission.enter([](std::size_t) { return false; }, other), Admission::Entry::left);
    EXPECT_THROW(admission.enter([](std::size_t) -> bool { throw std::runtime_error("gone"); }, other),
                 std::runtime_error);
    EXPECT_EQ(admission.state().waiting, 0u);
    held.reset();
    EXPECT_EQ(admission.enter([](std::size_t) { return true; }, other), Admission::Entry::entered);
}

Sentence said(const std::string& text, std::vector<Sentence::Span> spans = {})
{
    Sentence sentence;
    sentence.text = text;
    sentence.citations = {1};
    sentence.spans = std::move(spans);
    return sentence;
}

std::vector<std::string> through(const std::vector<std::string>& texts)
{
    SentenceMask mask;
    std::vector<std::string> out;
    const auto take = [&](const std::vector<Sentence>& sentences) {
        for (const Sentence& sentence : sentences) out.push_back(sentence.text);
    };
    for (const std::string& text : texts) take(mask.push(said(text)));
    take(mask.flush());
    return out;
}

TEST(SentenceMaskTest, AnOrdinarySentenceLeavesAtOnceAndUnchanged)
{
    SentenceMask mask;
    const Sentence sentence = said("연가는 21일로 한다.", {{1, 0, 3}});
    const std::vector<Sentence> out = mask.push(sentence);
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(out[0].text, sentence.text);
    EXPECT_EQ(out[0].citations, sentence.citations);
    EXPECT_EQ(out[0].spans.size(), 1u);
    EXPECT_TRUE(mask.flush().empty());
}

TEST(SentenceMaskTest, ANumberSplitOverTwoSentencesIsCaught)
{
    const std::vector<std::string> out = through({"번호는 900101-", "1234568 이다."});
    ASSERT_EQ(out.size(), 2u);
    EXPECT_EQ((out[0] + out[1]).find("900101"), std::string::npos);
    EXPECT_EQ((out[0] + out[1]).find("1234568"), std::string::npos);
}

TEST(SentenceMaskTest, SpansOfAChangedSentenceAreDropped)
{
    SentenceMask mask;
    const auto out = mask.push(said("주민등록번호는 900101-1234568이다.", {{1, 0, 3}}));
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(out[0].text.find("900101"), std::string::npos);
    EXPECT_TRUE(out[0].spans.empty());
}

TEST(SentenceMaskTest, NothingIsLostOrReorderedWhateverTheEndings)
{
    const std::vector<std::string> texts = {"가", "나 3", "다.", "라 ２", "마-", "바다.", "abc", "끝 구"};
    EXPECT_EQ(through(texts), texts);
}

// What a record keeps of the passages that could be quoted is what replay needs to quote them again.
TEST(MessagesTest, WhatCouldBeQuotedIsReadAsItWasRecorded)
{
    Generation generation;
    generation.grammar = "root ::= <quote>";
    generation.quoting = {.passages = {"연가는 15일", ""},
                          .open = "「",
                          .close = "」",
                          .characters_min = 3,
                          .characters_max = 9};
    const Json recorded = to_json(generation);
    const Quoting again = generation_from_json(recorded).quoting;
    EXPECT_EQ(again.passages, generation.quoting.passages);
    EXPECT_EQ(again.open + again.close, "「」");
    EXPECT_EQ(again.characters_min, 3u);
    EXPECT_EQ(again.characters_max, 9u);

    Json older = recorded;
    older.erase("quoting");
    EXPECT_TRUE(generation_from_json(older).quoting.passages.empty());
}

}  // namespace
}  // namespace jiphyeon
