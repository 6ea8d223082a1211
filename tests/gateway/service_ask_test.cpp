// The way of a question: the record before each release, the reader's rights of the moment, masking, the
// queue, and how each early end closes the record.
#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <thread>

#include "site.hpp"

namespace jiphyeon::test {
namespace {

constexpr const char* kLeave = "연가는 한 해에 21일로 한다.";
constexpr const char* kQuestion = "연가는 한 해에 며칠입니까?";
constexpr const char* kSentence = "연가는 한 해에 21일로 한다.";

class Events {
public:
    Service::OnEvent listener(std::function<bool(const Json&)> and_then = {})
    {
        return [this, and_then = std::move(and_then)](std::string_view text) {
            const Json event = Json::parse(text);
            const std::lock_guard lock(mutex_);
            if (event["event"] != "alive") all_.push_back(event);
            return and_then ? and_then(event) : true;
        };
    }
    std::size_t count(const std::string& name) const
    {
        const std::lock_guard lock(mutex_);
        std::size_t found = 0;
        for (const Json& event : all_) found += event["event"] == name ? 1 : 0;
        return found;
    }
    std::string text() const
    {
        const std::lock_guard lock(mutex_);
        return Json(all_).dump();
    }

private:
    mutable std::mutex mutex_;
    std::vector<Json> all_;
};

class ServiceAsk : public ::testing::Test {
protected:
    void SetUp() override
    {
        site.put("leave", "휴가 규정", "public", kLeave);
        site.engine.sentences = {kSentence};
        site.add("kim", {"user"});
    }
    Json ask(const Service::OnEvent& on_event = {}, const std::string& question = kQuestion)
    {
        return site.call(site.as("kim"), "ask", {{"question", question}}, on_event);
    }
    std::string outcome_in_record() const { return site.leaves("answered").back().outcome; }

    Site site;
    Events events;
};

TEST_F(ServiceAsk, AnswersWithCitationAndReceiptThatTheRecordProves)
{
    const Json reply = ask(events.listener());
    EXPECT_EQ(reply["outcome"], "answered");
    EXPECT_EQ(reply["answer"], std::string(kSentence) + " [1]");
    ASSERT_EQ(reply["sentences"].size(), 1u);
    EXPECT_EQ(reply["sentences"][0]["citations"], Json::array({1}));
    EXPECT_EQ(reply["sentences"][0]["support"], "supported");
    ASSERT_EQ(reply["evidence"].size(), 1u);
    EXPECT_EQ(reply["evidence"][0]["document"], "휴가 규정");
    EXPECT_EQ(reply["evidence"][0]["document_id"], "leave");
    EXPECT_EQ(reply["evidence"][0]["page"], 1);
    EXPECT_EQ(reply["evidence"][0]["cited"], true);
    EXPECT_EQ(reply["label"], "public");
    EXPECT_EQ(events.count("evidence"), 1u);
    EXPECT_EQ(events.count("sentence"), 1u);

    const Leaf closing = site.audit.leaf(reply["receipt"]["leaf"].get<std::uint64_t>());
    EXPECT_EQ(closing.action, "answered");
    EXPECT_EQ(closing.outcome, "answered");
    EXPECT_EQ(closing.actor, "kim");
    EXPECT_EQ(closing.objects, std::vector<std::string>{"leave"});
    ASSERT_TRUE(closing.record);
    EXPECT_EQ(site.audit.leaf(*closing.record).action, "asked");
    EXPECT_TRUE(site.audit.verify({}, {}).ok);
}

TEST_F(ServiceAsk, ASentenceIsInTheRecordBeforeItIsShown)
{
    site.engine.sentences = {kSentence, "제7조에 따라 연가는 한 해에 21일로 한다."};
    std::vector<std::size_t> recorded;
    ask(events.listener([&](const Json& event) {
        if (event["event"] != "sentence") return true;
        const StoredRecord record = site.audit.record(site.leaves("asked").back().sequence);
        std::size_t sentences = 0;
        for (const std::string& piece : record.pieces)
            sentences += Json::parse(piece).contains("sentence") ? 1 : 0;
        recorded.push_back(sentences - event["n"].get<std::size_t>());
        EXPECT_EQ(Json::parse(record.pieces.back())["sentence"], event["sentence"]);
        return true;
    }));
    ASSERT_FALSE(recorded.empty());
    for (const std::size_t behind : recorded) EXPECT_EQ(behind, 0u);
}

TEST_F(ServiceAsk, WithoutADurablePieceNoSentenceIsShownAndTheServiceCloses)
{
    site.audit.append_fails = true;
    EXPECT_THROW(ask(events.listener()), AuditError);
    EXPECT_EQ(events.count("sentence"), 0u);
    EXPECT_EQ(events.text().find("21일"), std::string::npos);
    EXPECT_FALSE(site.service->healthy());

    site.audit.append_fails = false;
    EXPECT_THROW(ask(events.listener()), AuditError);  // until it is opened again
    EXPECT_THROW(site.service->login("kim", Site::kPassword, "192.0.2.7"), AuditError);
    EXPECT_EQ(events.count("sentence"), 0u);
}

TEST_F(ServiceAsk, WithoutAnOpeningLeafTheModelIsNotAsked)
{
    site.audit.begin_fails = true;
    bool asked = false;
    site.engine.before_sentence = [&](std::size_t, const std::atomic<bool>&) { asked = true; };
    EXPECT_THROW(ask(events.listener()), AuditError);
    EXPECT_FALSE(asked);
    EXPECT_EQ(events.text(), "[]");
}

TEST_F(ServiceAsk, WithoutAClosingLeafThereIsNoReceipt)
{
    site.audit.finish_fails = true;
    EXPECT_THROW(ask(), AuditError);
    EXPECT_FALSE(site.service->healthy());
}

TEST_F(ServiceAsk, AForbiddenDocumentLeavesNoTrace)
{
    const Json before = ask({}, "감사 계획의 표본은 몇 건입니까?");
    site.put("audit-plan", "비공개 감사 계획", "restricted:감사관", "감사 계획의 표본은 417건으로 한다.");
    site.engine.sentences = {"감사 계획의 표본은 417건으로 한다."};
    const Json after = ask(events.listener(), "감사 계획의 표본은 몇 건입니까?");
    EXPECT_EQ(after["outcome"], before["outcome"]);
    EXPECT_EQ(after["answer"], before["answer"]);
    EXPECT_EQ(after["evidence"], before["evidence"]);
    EXPECT_EQ((after.dump() + events.text()).find("417"), std::string::npos);
    EXPECT_EQ((after.dump() + events.text()).find("감사관"), std::string::npos);

    site.add("park", {"user"}, "restricted", {"감사관"});
    const Json his = site.call(site.as("park"), "ask", {{"question", "감사 계획의 표본은 몇 건입니까?"}});
    EXPECT_EQ(his["outcome"], "answered");
    EXPECT_EQ(his["label"], "restricted:감사관");
}

TEST_F(ServiceAsk, ReadersOfDifferentRightsShareNoCache)
{
    site.put("audit-plan", "비공개 감사 계획", "restricted:감사관", "감사 계획의 표본은 417건으로 한다.");
    site.add("park", {"user"}, "restricted", {"감사관"});
    site.add("lee", {"user"});
    ask();
    site.call(site.as("lee"), "ask", {{"question", kQuestion}});
    site.call(site.as("park"), "ask", {{"question", kQuestion}});
    ASSERT_EQ(site.engine.domains.size(), 3u);
    EXPECT_EQ(site.engine.domains[0], site.engine.domains[1]);
    EXPECT_NE(site.engine.domains[0], site.engine.domains[2]);
    EXPECT_NE(site.engine.domains[0], "");
}

TEST_F(ServiceAsk, PersonalDataIsMaskedInTheRecordAndOnTheWayOut)
{
    // Stored as no ingest would store it, so that the last mask is the only one.
    site.put("staff", "직원 명부", "public", "김민준의 주민등록번호는 900101-1234568로 등록한다.");
    site.engine.sentences = {"김민준의 주민등록번호는 900101-1234568로 등록한다."};
    const Json reply = ask(events.listener(),
                           "주민등록번호 850505-2345674 또는 김민준의 주민등록번호는 무엇으로 등록합니까?");
    EXPECT_EQ(reply["sentences"].size(), 1u);
    for (const char* number : {"1234568", "900101", "2345674"}) {
        EXPECT_EQ(reply.dump().find(number), std::string::npos) << number;
        EXPECT_EQ(events.text().find(number), std::string::npos) << number;
        const StoredRecord record = site.audit.record(site.leaves("asked").back().sequence);
        std::string all = record.question;
        for (const std::string& piece : record.pieces) all += piece;
        EXPECT_EQ(all.find(number), std::string::npos) << number;
        EXPECT_EQ(Json::parse(record.body)["answer"].dump().find(number), std::string::npos) << number;
    }
    EXPECT_NE(reply["answer"].get<std::string>().find("[주민등록번호]"), std::string::npos);
}

TEST_F(ServiceAsk, AQuestionWithASecretMarkIsRefusedAndNotWrittenDown)
{
    const Json reply = ask(events.listener(), "Ⅱ급비밀\n작전 예비 계획의 암호명 무지개를 요약해 주십시오.");
    EXPECT_EQ(reply["outcome"], "refused");
    EXPECT_EQ(reply["evidence"], Json::array());
    const StoredRecord record = site.audit.record(site.leaves("asked").back().sequence);
    EXPECT_EQ((record.question + record.body).find("무지개"), std::string::npos);
    EXPECT_EQ(outcome_in_record(), "refused");
}

TEST_F(ServiceAsk, CancelledAtTheFirstSentenceEndsTheRecordAsCancelled)
{
    site.engine.sentences = {kSentence, "제7조에 따라 연가는 한 해에 21일로 한다."};
    const Json reply = ask(events.listener([](const Json& event) { return event["event"] != "sentence"; }));
    EXPECT_EQ(reply["outcome"], "cancelled");
    EXPECT_EQ(reply["sentences"].size(), 1u);
    EXPECT_EQ(outcome_in_record(), "cancelled");
}

TEST_F(ServiceAsk, ACallerWhoIsGoneStopsTheModelWhileItComputes)
{
    site.engine.before_sentence = [](std::size_t, const std::atomic<bool>& cancel) {
        while (!cancel) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    };
    const Json reply = ask([](std::string_view text) { return Json::parse(text)["event"] != "alive"; });
    EXPECT_EQ(reply["outcome"], "cancelled");
    EXPECT_EQ(reply["sentences"], Json::array());
    EXPECT_EQ(outcome_in_record(), "cancelled");
}

TEST_F(ServiceAsk, AFailureOfTheModelClosesTheRecordAsFailed)
{
    site.engine.before_sentence = [](std::size_t, const std::atomic<bool>&) {
        throw EngineError(EngineError::Kind::lost, "gone: /secret/path");
    };
    const Json error = error_of([&] { ask(); });
    EXPECT_EQ(error["kind"], "lost");
    EXPECT_EQ(error.dump().find("/secret/path"), std::string::npos);
    EXPECT_EQ(outcome_in_record(), "failed");
    EXPECT_TRUE(site.service->healthy());
}

TEST_F(ServiceAsk, ABadQuestionIsRefusedBeforeItIsALeaf)
{
    const std::uint64_t before = site.audit.size();
    for (const char* bad : {"", " \n", "\x01 연가"})
        EXPECT_EQ(error_of([&] { ask({}, bad); })["kind"], "bad_request") << bad;
    std::string longer;
    for (int i = 0; i < 2001; ++i) longer += "가";
    EXPECT_EQ(error_of([&] { ask({}, longer); })["kind"], "bad_request");
    EXPECT_EQ(error_of([&] { site.call(site.as("kim"), "ask", {{"question", 7}}); })["kind"], "bad_request");
    EXPECT_EQ(error_of([&] {
                  site.call(site.as("kim"), "ask", {{"question", kQuestion}, {"as_of", "2026-02-30"}});
              })["kind"],
              "bad_request");
    EXPECT_EQ(site.audit.size(), before);
}

class ServiceQueue : public ::testing::Test {};

TEST_F(ServiceQueue, TellsThePlaceAndSendsAwayWhoComesWhenItIsFull)
{
    ServiceLimits limits = Site::quick_limits();
    limits.waiting = 1;
    Site site(limits);
    site.put("leave", "휴가 규정", "public", kLeave);
    site.engine.sentences = {kSentence};
    site.add("kim", {"user"});
    std::promise<void> begun, go_on;
    std::shared_future<void> released = go_on.get_future().share();
    std::atomic<bool> first = true;
    site.engine.before_sentence = [&](std::size_t, const std::atomic<bool>&) {
        if (first.exchange(false)) begun.set_value();
        released.wait();
    };
    const auto ask = [&](const Service::OnEvent& on_event) {
        return site.call(site.as("kim"), "ask", {{"question", kQuestion}}, on_event)["outcome"]
            .get<std::string>();
    };
    auto running = std::async(std::launch::async, [&] { return ask({}); });
    begun.get_future().wait();

    std::promise<std::size_t> place;
    std::atomic<bool> told = false;
    auto waiting = std::async(std::launch::async, [&] {
        return ask([&](std::string_view text) {
            const Json event = Json::parse(text);
            if (event["event"] == "queued" && !told.exchange(true))
                place.set_value(event["place"].get<std::size_t>());
            return true;
        });
    });
    EXPECT_EQ(place.get_future().get(), 1u);
    EXPECT_EQ(site.console("status")["queue"], (Json{{"asking", 1}, {"waiting", 1}}));
    EXPECT_EQ(ask({}), "busy");
    EXPECT_EQ(site.leaves("answered").back().outcome, "busy");
    go_on.set_value();
    EXPECT_EQ(running.get(), "answered");
    EXPECT_EQ(waiting.get(), "answered");
    EXPECT_EQ(site.console("status")["queue"], (Json{{"asking", 0}, {"waiting", 0}}));
}

TEST_F(ServiceQueue, RightsTakenAwayWhileWaitingCount)
{
    Site site;
    site.put("audit-plan", "비공개 감사 계획", "restricted:감사관", "감사 계획의 표본은 417건으로 한다.");
    site.put("leave", "휴가 규정", "public", kLeave);
    site.engine.sentences = {"감사 계획의 표본은 417건으로 한다."};
    site.add("kim", {"user"});
    site.add("park", {"user"}, "restricted", {"감사관"});
    std::promise<void> begun, go_on;
    std::atomic<bool> first = true;
    site.engine.before_sentence = [&](std::size_t, const std::atomic<bool>&) {
        if (!first.exchange(false)) return;
        begun.set_value();
        go_on.get_future().wait();
    };
    auto running = std::async(std::launch::async, [&] {
        site.call(site.as("kim"), "ask", {{"question", kQuestion}});
    });
    begun.get_future().wait();
    std::promise<void> queued;
    std::atomic<bool> told = false;
    auto waiting = std::async(std::launch::async, [&] {
        return site.call(site.as("park"), "ask", {{"question", "감사 계획의 표본은 몇 건입니까?"}},
                         [&](std::string_view text) {
                             if (Json::parse(text)["event"] == "queued" && !told.exchange(true))
                                 queued.set_value();
                             return true;
                         });
    });
    queued.get_future().wait();
    site.console("set_user", {{"account", "park"}, {"clearance", "public"}, {"departments", Json::array()}});
    go_on.set_value();
    running.wait();
    EXPECT_EQ(waiting.get().dump().find("417"), std::string::npos);
}

}  // namespace
}  // namespace jiphyeon::test
