// Accounts, sessions, rights, documents, the auditor's calls, jobs.
#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <map>
#include <set>

#include "site.hpp"

namespace jiphyeon::test {
namespace {

class ServiceTest : public ::testing::Test {
protected:
    Json error(const Caller& caller, const std::string& method, const Json& params = Json::object())
    {
        return error_of([&] { site.call(caller, method, params); });
    }
    std::string kind(const Caller& caller, const std::string& method, const Json& params = Json::object())
    {
        const Json told = error(caller, method, params);
        return told.is_null() ? "" : told["kind"].get<std::string>();
    }
    bool logs_in(const char* password, const char* origin = "192.0.2.7")
    {
        try {
            site.service->login("kim", password, origin);
            return true;
        } catch (const GatewayError& told) {
            last_refusal = told.what();
            return false;
        }
    }
    Site site;
    std::string last_refusal;
};

TEST_F(ServiceTest, LoginGivesASessionThatLogoutEnds)
{
    site.add("kim", {"user"}, "internal", {"총무과"});
    const Service::Login login = site.service->login("kim", Site::kPassword, "192.0.2.7");
    EXPECT_GE(login.token.size(), 43u);  // 32 bytes
    EXPECT_FALSE(login.must_change_password);
    const auto caller = site.service->session(login.token, "192.0.2.7");
    ASSERT_TRUE(caller);
    EXPECT_EQ(caller->account, "kim");
    EXPECT_EQ(caller->reader.clearance, Level::internal);
    EXPECT_EQ(site.service->csrf(login.token), login.csrf);
    site.service->logout(login.token);
    EXPECT_FALSE(site.service->session(login.token, "192.0.2.7"));
    EXPECT_EQ(site.leaves("login").back().session, caller->session);
    EXPECT_EQ(site.leaves("logout").size(), 1u);
}

TEST_F(ServiceTest, TokensAndPasswordsAreNotStoredInClear)
{
    site.add("kim", {"user"});
    const std::string token =
        site.call(site.as("kim"), "add_token", {{"account", "kim"}, {"name", "script"}})["token"];
    const Service::Login login = site.service->login("kim", Site::kPassword, "192.0.2.7");
    for (const auto& space : {"account", "api_token"})
        for (const auto& [key, value] : site.index->rows(space)) {
            EXPECT_EQ((key + value).find(token), std::string::npos);
            EXPECT_EQ((key + value).find(token.substr(4)), std::string::npos);
            EXPECT_EQ((key + value).find(login.token), std::string::npos);
            EXPECT_EQ((key + value).find(Site::kPassword), std::string::npos);
        }
}

TEST_F(ServiceTest, AWrongPasswordAnUnknownAccountAndALockLookTheSame)
{
    site.add("kim", {"user"});
    EXPECT_FALSE(logs_in("틀린 비밀번호"));
    const std::string wrong = last_refusal;
    EXPECT_THROW(site.service->login("nobody", "틀린 비밀번호", "192.0.2.7"), GatewayError);
    const Json unknown = error_of([&] { site.service->login("nobody", "틀린 비밀번호", "192.0.2.7"); });
    EXPECT_EQ(unknown["message"], wrong);
    for (int i = 0; i < 4; ++i) logs_in("틀린 비밀번호");
    EXPECT_FALSE(logs_in(Site::kPassword));  // locked by now
    EXPECT_EQ(last_refusal, wrong);
    EXPECT_EQ(site.leaves("login").back().outcome, "locked");
    EXPECT_EQ(site.leaves("login").front().actor, "kim");
}

TEST_F(ServiceTest, WhoFailsOnPurposeLocksOutHimselfAlone)
{
    site.add("kim", {"user"});
    for (int i = 0; i < 6; ++i) EXPECT_FALSE(logs_in("틀린 비밀번호", "203.0.113.9"));
    EXPECT_FALSE(logs_in(Site::kPassword, "203.0.113.9"));
    EXPECT_TRUE(logs_in(Site::kPassword, "192.0.2.7"));
}

TEST_F(ServiceTest, TheRecordDoesNotNameAStrangerByWhatHeTyped)
{
    EXPECT_THROW(site.service->login("my-password-1234", "x", "192.0.2.7"), GatewayError);
    EXPECT_EQ(site.leaves("login").back().actor, "unknown");
}

TEST_F(ServiceTest, AFirstPasswordMustBeChangedBeforeAnythingElse)
{
    const std::string first = site.console("add_user", {{"account", "kim"}})["password"];
    EXPECT_TRUE(site.service->login("kim", first, "192.0.2.7").must_change_password);
    EXPECT_EQ(kind(site.as("kim"), "status"), "forbidden");
    EXPECT_EQ(site.call(site.as("kim"), "whoami")["must_change_password"], true);
    EXPECT_EQ(kind(site.as("kim"), "change_password", {{"old", first}, {"new", "짧다"}}), "bad_request");
    EXPECT_EQ(kind(site.as("kim"), "change_password", {{"old", "아니다"}, {"new", Site::kPassword}}),
              "forbidden");
    EXPECT_EQ(kind(site.as("kim"), "change_password", {{"old", first}, {"new", Site::kPassword}}), "");
    EXPECT_EQ(kind(site.as("kim"), "status"), "");
}

TEST_F(ServiceTest, ANewPasswordEndsTheOtherSessionsAndDisablingEndsAll)
{
    site.add("kim", {"user"});
    const auto here = site.service->login("kim", Site::kPassword, "192.0.2.7");
    const auto there = site.service->login("kim", Site::kPassword, "192.0.2.8");
    const Caller caller = *site.service->session(here.token, "192.0.2.7");
    site.call(caller, "change_password", {{"old", Site::kPassword}, {"new", "다른 비밀번호 하나"}});
    EXPECT_TRUE(site.service->session(here.token, "192.0.2.7"));
    EXPECT_FALSE(site.service->session(there.token, "192.0.2.8"));
    site.console("set_user", {{"account", "kim"}, {"disabled", true}});
    EXPECT_FALSE(site.service->session(here.token, "192.0.2.7"));
    EXPECT_EQ(kind(caller, "status"), "not_logged_in");
}

TEST_F(ServiceTest, AnApiTokenWorksUntilItIsRevoked)
{
    site.add("kim", {"user"});
    const std::string token =
        site.call(site.as("kim"), "add_token", {{"account", "kim"}, {"name", "script"}})["token"];
    ASSERT_TRUE(site.service->api_token(token, "192.0.2.7"));
    EXPECT_EQ(site.service->api_token(token, "192.0.2.7")->account, "kim");
    EXPECT_EQ(site.service->authenticate("kim", token, "console").account, "kim");
    EXPECT_THROW(site.service->authenticate("lee", token, "console"), GatewayError);
    std::string other = token;
    other.back() = other.back() == 'A' ? 'B' : 'A';
    EXPECT_FALSE(site.service->api_token(other, "192.0.2.7"));
    site.call(site.as("kim"), "revoke_token", {{"account", "kim"}, {"name", "script"}});
    EXPECT_FALSE(site.service->api_token(token, "192.0.2.7"));
}

// For each method, which roles may call it; no other may, and a refusal is a leaf.
TEST_F(ServiceTest, EachRoleMayDoItsOwnAndNothingElse)
{
    const std::vector<std::string> roles = {"user", "librarian", "administrator", "security_officer",
                                            "auditor"};
    for (const std::string& role : roles) site.add("a-" + role, {role});
    using Names = std::set<std::string>;
    const Names readers = {"user", "librarian", "security_officer"};
    const Names watchers = {"administrator", "security_officer", "auditor"};
    const Names all(roles.begin(), roles.end());
    const std::map<std::string, Names> table = {
        {"ask", readers},
        {"search", readers},
        {"documents", readers},
        {"document", readers},
        {"feedback", readers},
        {"history", all},
        {"status", all},
        {"whoami", all},
        {"ingest", {"librarian"}},
        {"withdraw", {"librarian"}},
        {"jobs", {"librarian"}},
        {"stop_job", {"librarian"}},
        {"quarantine", {"librarian"}},
        {"label_document", {"librarian", "security_officer"}},
        {"labels", {"librarian", "security_officer"}},
        {"users", {"administrator"}},
        {"add_user", {"administrator"}},
        {"set_user", {"administrator"}},
        {"reset_password", {"administrator"}},
        {"audit_list", {"security_officer", "auditor"}},
        {"audit_show", {"auditor"}},
        {"audit_verify", watchers},
        {"audit_prove", watchers},
        {"audit_replay", watchers},
        {"audit_checkpoint", watchers},
        {"audit_erase", {"auditor"}},
        {"backup", {"administrator"}},
        {"models", {"administrator", "security_officer", "auditor", "librarian"}},
        {"selftest", watchers},
    };
    for (const auto& [method, may] : table)
        for (const std::string& role : roles) {
            const std::uint64_t before = site.audit.size();
            const bool forbidden = kind(site.as("a-" + role), method) == "forbidden";
            EXPECT_EQ(forbidden, !may.contains(role)) << role << " " << method;
            if (forbidden) {
                EXPECT_EQ(site.audit.leaf(before).outcome, "refused");
                EXPECT_EQ(site.audit.leaf(before).action, method);
            }
        }
}

TEST_F(ServiceTest, NobodyGrantsHimselfAndDutiesStayApart)
{
    site.add("root", {"administrator"});
    site.add("kim", {"user"});
    EXPECT_EQ(kind(site.as("root"), "set_user", {{"account", "root"}, {"clearance", "confidential"}}),
              "forbidden");
    EXPECT_EQ(kind(site.as("root"), "add_token", {{"account", "kim"}, {"name", "x"}}), "forbidden");
    EXPECT_EQ(kind(site.as("root"), "set_user", {{"account", "kim"}, {"roles", {"user", "auditor"}}}),
              "not_allowed");
    EXPECT_EQ(kind(site.as("root"), "add_user", {{"account", "x"}, {"roles", {"administrator", "auditor"}}}),
              "not_allowed");
    EXPECT_EQ(kind(site.as("root"), "add_user", {{"account", "console"}}), "bad_request");
    EXPECT_EQ(kind(site.as("root"), "add_user", {{"account", "kim"}}), "conflict");
    EXPECT_EQ(kind(site.as("nobody"), "status"), "not_logged_in");
}

TEST_F(ServiceTest, AGrantTakesEffectAtTheNextCall)
{
    site.put("plan", "업무 계획", "internal:총무과", "청사 이전은 10월에 한다.");
    site.add("kim", {"user"});
    const auto hits = [&] {
        return site.call(site.as("kim"), "search", {{"text", "청사 이전"}})["hits"].size();
    };
    EXPECT_EQ(hits(), 0u);
    site.console("set_user", {{"account", "kim"}, {"clearance", "internal"}, {"departments", {"총무과"}}});
    EXPECT_EQ(hits(), 1u);
    site.console("set_user", {{"account", "kim"}, {"departments", Json::array()}});
    EXPECT_EQ(hits(), 0u);
}

TEST_F(ServiceTest, AForbiddenDocumentAndOneThatNeverWasAreTheSameToTheByte)
{
    site.put("plan", "업무 계획", "confidential:감사관", "비밀스러운 내용");
    site.put("gone", "철회된 공고", "public", "철회된 내용");
    site.console("withdraw", {{"id", "gone"}});
    site.add("kim", {"user"});
    const auto told = [&](const char* id) {
        try {
            site.service->call(site.as("kim"), "document", Json{{"id", id}}.dump(), {});
        } catch (const std::exception& error) {
            return error_json(error);
        }
        return std::string("shown");
    };
    EXPECT_EQ(told("plan"), told("never-was"));
    EXPECT_EQ(told("gone"), told("never-was"));
    EXPECT_EQ(told("plan").find("plan"), std::string::npos);
    EXPECT_FALSE(site.service->page_image(site.as("kim"), "plan", 1));
    EXPECT_FALSE(site.service->page_image(site.as("kim"), "never-was", 1));
    EXPECT_EQ(site.call(site.as("kim"), "documents")["documents"], Json::array());
    EXPECT_EQ(site.leaves("view refused").size(), 7u);  // attempts are on record
}

TEST_F(ServiceTest, ADocumentIsShownWithItsTextAndEachViewIsALeaf)
{
    site.put("leave", "휴가 규정", "public", "연가는 21일로 한다.");
    site.add("kim", {"user"});
    const Json document = site.call(site.as("kim"), "document", {{"id", "leave"}});
    EXPECT_EQ(document["title"], "휴가 규정");
    EXPECT_EQ(document["view"]["blocks"][0]["text"], "연가는 21일로 한다.");
    EXPECT_FALSE(document["view"].contains("hidden"));  // where something was masked is nobody's business
    EXPECT_FALSE(document["view"].contains("author"));
    EXPECT_EQ(document["versions"].size(), 1u);
    EXPECT_EQ(site.service->page_image(site.as("kim"), "leave", 1), "PNG");
    EXPECT_FALSE(site.service->page_image(site.as("kim"), "leave", 3));
    EXPECT_EQ(site.leaves("viewed").size(), 2u);
    EXPECT_EQ(site.leaves("viewed").back().objects, std::vector<std::string>{"leave"});
}

TEST_F(ServiceTest, WithoutALeafNothingIsShownOrChanged)
{
    site.put("leave", "휴가 규정", "public", "연가는 21일로 한다.");
    site.add("kim", {"user"});
    site.audit.note_fails = true;
    EXPECT_THROW(site.call(site.as("kim"), "search", {{"text", "연가"}}), AuditError);
    Site other;
    other.put("leave", "휴가 규정", "public", "연가는 21일로 한다.");
    other.add("kim", {"user"});
    other.audit.note_fails = true;
    EXPECT_THROW(other.console("withdraw", {{"id", "leave"}}), AuditError);
    EXPECT_EQ(other.index->document("leave")->state, DocumentState::current);
    Site third;
    third.add("kim", {"user"});
    third.audit.note_fails = true;
    EXPECT_THROW(third.service->login("kim", Site::kPassword, "192.0.2.7"), AuditError);
    EXPECT_THROW(third.console("add_user", {{"account", "lee"}}), AuditError);
    EXPECT_FALSE(third.index->row("account", "lee"));
}

TEST_F(ServiceTest, HistoryIsOnesOwnAndHidesWhatOneMayNoLongerRead)
{
    site.put("plan", "업무 계획", "internal", "청사 이전은 10월에 한다.");
    site.engine.sentences = {"청사 이전은 10월에 한다."};
    site.add("kim", {"user"}, "internal");
    site.add("lee", {"user"}, "internal");
    const Json answer = site.call(site.as("kim"), "ask", {{"question", "청사 이전은 몇 월에 합니까?"}});
    ASSERT_EQ(answer["outcome"], "answered");
    const Json mine = site.call(site.as("kim"), "history")["records"];
    ASSERT_EQ(mine.size(), 1u);
    EXPECT_EQ(mine[0]["question"], "청사 이전은 몇 월에 합니까?");
    EXPECT_EQ(mine[0]["answer"], answer["answer"]);
    EXPECT_EQ(mine[0]["leaf"], answer["record"]);
    EXPECT_EQ(site.call(site.as("lee"), "history")["records"], Json::array());

    const Json verdict = {
        {"leaf", answer["record"]}, {"verdict", "bad"}, {"comment", "전화 010-1234-5678로 연락"}};
    EXPECT_EQ(kind(site.as("lee"), "feedback", verdict), "not_found");
    EXPECT_EQ(kind(site.as("kim"), "feedback", verdict), "");
    const Leaf leaf = site.leaves("feedback").back();
    EXPECT_EQ(leaf.outcome, "bad");
    const StoredRecord written = site.audit.record(leaf.sequence);
    EXPECT_NE((written.question + written.body).find("연락"), std::string::npos);
    EXPECT_EQ((written.question + written.body).find("1234-5678"), std::string::npos);

    site.console("set_user", {{"account", "kim"}, {"clearance", "public"}});
    const Json later = site.call(site.as("kim"), "history")["records"];
    EXPECT_EQ(later[0]["withheld"], true);
    EXPECT_EQ(later.dump().find("10월에 한다"), std::string::npos);
}

TEST_F(ServiceTest, TheAuditorReadsABodyForAWrittenReasonThatIsItselfALeaf)
{
    site.put("leave", "휴가 규정", "public", "연가는 21일로 한다.");
    site.engine.sentences = {"연가는 21일로 한다."};
    site.add("kim", {"user"});
    site.add("audrey", {"auditor"});
    const Json answer = site.call(site.as("kim"), "ask", {{"question", "연가는 며칠입니까?"}});
    const Json leaf = {{"leaf", answer["receipt"]["leaf"]}};
    Json params = leaf;
    EXPECT_EQ(kind(site.as("audrey"), "audit_show", params), "bad_request");
    params["reason"] = "너무 짧다";
    EXPECT_EQ(kind(site.as("audrey"), "audit_show", params), "bad_request");
    params["reason"] = "정기 점검: 휴가 문의의 답을 확인함";
    const Json shown = site.call(site.as("audrey"), "audit_show", params);
    EXPECT_EQ(shown["question"]["question"], "연가는 며칠입니까?");
    EXPECT_EQ(shown["body"]["answer"], answer["answer"]);
    const Leaf opened = site.leaves("record opened").back();
    EXPECT_EQ(opened.actor, "audrey");
    EXPECT_EQ(opened.objects, std::vector<std::string>{"record:" + answer["record"].dump()});

    params["reason"] = "정보주체의 삭제 요구에 따른 파기";
    site.call(site.as("audrey"), "audit_erase", params);
    EXPECT_EQ(kind(site.as("audrey"), "audit_show", params), "erased");
    EXPECT_EQ(site.call(site.as("kim"), "history")["records"], Json::array());
    EXPECT_EQ(site.call(site.as("audrey"), "audit_verify")["ok"], true);
}

TEST_F(ServiceTest, ProofsOfTheRecordHoldOutside)
{
    site.add("audrey", {"auditor"});
    for (int i = 0; i < 5; ++i) site.console("selftest");
    const Json checkpoint = site.call(site.as("audrey"), "audit_checkpoint");
    const Json proof = site.call(site.as("audrey"), "audit_prove", {{"leaf", 2}});
    const auto digest = [](const Json& text) {
        const std::string bytes = crypto::from_base64(text.get<std::string>());
        Digest out{};
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(out.data()));
        return out;
    };
    std::vector<Digest> path;
    for (const Json& item : proof["proof"]) path.push_back(digest(item));
    EXPECT_TRUE(verify_inclusion(digest(proof["leaf_hash"]), 2, proof["size"], digest(proof["root"]), path));
    EXPECT_FALSE(verify_inclusion(digest(proof["leaf_hash"]), 1, proof["size"], digest(proof["root"]), path));
    EXPECT_EQ(leaf_hash(crypto::from_base64(proof["leaf_bytes"].get<std::string>())),
              digest(proof["leaf_hash"]));
    site.console("selftest");
    const Json later =
        site.call(site.as("audrey"), "audit_verify", {{"remembered", checkpoint["checkpoint"]}});
    EXPECT_EQ(later["ok"], true);
    EXPECT_GT(later["size"].get<int>(), checkpoint["size"].get<int>());
    EXPECT_EQ(kind(site.as("audrey"), "audit_prove", {{"leaf", 100'000}}), "not_found");
}

TEST_F(ServiceTest, AnAnswerIsReplayedAndADifferenceIsNamed)
{
    site.put("leave", "휴가 규정", "public", "연가는 21일로 한다.");
    site.engine.sentences = {"연가는 21일로 한다."};
    site.add("kim", {"user"});
    site.add("audrey", {"auditor"});
    const Json answer = site.call(site.as("kim"), "ask", {{"question", "연가는 며칠입니까?"}});
    const Json params = {{"leaf", answer["record"]}};
    const Json same = site.call(site.as("audrey"), "audit_replay", params);
    EXPECT_EQ(same["same"], true) << same.dump();
    EXPECT_EQ(same["generated"], true);
    EXPECT_EQ(same["index_generation"]["then"], same["index_generation"]["now"]);
    site.engine.sentences = {"연가는 20일로 한다."};
    EXPECT_EQ(site.call(site.as("audrey"), "audit_replay", params)["same"], false);
    site.engine.sentences = {"연가는 21일로 한다."};
    site.engine.hold_keys_and_values_in(KvType::q8);
    const Json otherwise = site.call(site.as("audrey"), "audit_replay", params);
    EXPECT_EQ(otherwise["same"], false);
    EXPECT_EQ(otherwise["differences"], Json::array({"keys and values in f16 then, in q8 now"}));
    site.engine.hold_keys_and_values_in(KvType::f16);
    site.index->remove("leave");
    const Json gone = site.call(site.as("audrey"), "audit_replay", params);
    EXPECT_EQ(gone["same"], false);
    EXPECT_NE(gone["differences"].dump().find("no longer there"), std::string::npos);
    EXPECT_LT(gone["index_generation"]["then"], gone["index_generation"]["now"]);
}

// A server's answer must not pass for one that can be computed again, nor its model for the file here.
TEST_F(ServiceTest, RecordOfAServersAnswerSaysWhoWroteItAndThatItCannotBeReplayed)
{
    site.engine.be_remote("https://llm.부처.go.kr/v1");
    site.put("leave", "휴가 규정", "public", "연가는 한 해에 21일로 한다.");
    site.engine.sentences = {"연가는 한 해에 21일로 한다."};
    site.add("kim", {"user"});
    site.add("audrey", {"auditor"});
    const Json reply = site.call(site.as("kim"), "ask", {{"question", "연가는 한 해에 며칠입니까?"}});
    EXPECT_EQ(reply["outcome"], "answered");
    EXPECT_EQ(reply["replayable"], false);

    const Json leaf{{"leaf", reply["receipt"]["leaf"]}};
    const Json shown = site.call(site.as("audrey"), "audit_show",
                                 {{"leaf", leaf["leaf"]}, {"reason", "누가 썼는지 확인하려고 함"}});
    const Json& generation = shown["body"]["generation"];
    EXPECT_EQ(generation["replayable"], false);
    EXPECT_EQ(generation["remote"]["server"], "https://llm.부처.go.kr/v1");
    EXPECT_EQ(generation["remote"]["model"], "scripted");
    EXPECT_EQ(generation["remote"]["text"], "연가는 한 해에 21일로 한다. [1]");
    EXPECT_EQ(generation["tokens"], Json::array());
    EXPECT_EQ(shown["model_sha256"], "");

    const Json replayed = site.call(site.as("audrey"), "audit_replay", leaf);
    EXPECT_EQ(replayed["same"], false);
    EXPECT_EQ(replayed["replayable"], false);
    ASSERT_EQ(replayed["differences"].size(), 1u);
    EXPECT_NE(replayed["differences"][0].get<std::string>().find("https://llm.부처.go.kr/v1"),
              std::string::npos);
    EXPECT_EQ(site.leaves("replayed").back().outcome, "not replayable");
}

TEST_F(ServiceTest, OneBatchRunsAtATimeAndCanBeStoppedByName)
{
    std::promise<void> third_step, go_on;
    site.archive.step = [&](int done) {
        if (done != 3) return;
        third_step.set_value();
        go_on.get_future().wait();
    };
    const Json params = {{"paths", {"/archive"}}, {"label", "restricted:인사과+감사관"}};
    std::atomic<int> events = 0;
    auto run = std::async(std::launch::async, [&] {
        return site.call(Caller::console("operator"), "ingest", params,
                         [&](std::string_view) { return ++events > 0; });
    });
    third_step.get_future().wait();
    const Json jobs = site.console("jobs")["jobs"];
    ASSERT_EQ(jobs.size(), 1u);
    EXPECT_EQ(jobs[0]["state"], "running");
    EXPECT_EQ(jobs[0]["progress"]["files_done"], 2);
    EXPECT_EQ(kind(Caller::console("operator"), "ingest", params), "conflict");
    site.console("stop_job", {{"id", jobs[0]["id"]}});
    EXPECT_EQ(site.console("jobs")["jobs"][0]["state"], "stopping");
    go_on.set_value();
    const Json report = run.get();
    EXPECT_EQ(report["stopped"], true);
    EXPECT_EQ(report["indexed"], 4);
    EXPECT_EQ(events, 4);
    EXPECT_EQ(site.console("jobs")["jobs"][0]["state"], "stopped");
    EXPECT_EQ(site.leaves("ingested").back().outcome, "stopped");
    EXPECT_EQ(kind(Caller::console("operator"), "stop_job", {{"id", jobs[0]["id"]}}), "not_found");
    EXPECT_EQ(kind(Caller::console("operator"), "ingest", {{"paths", {"relative/path"}}}), "bad_request");
    EXPECT_EQ(kind(Caller::console("operator"), "ingest", {{"paths", {"/archive"}}, {"label", "classified"}}),
              "bad_label");
}

TEST_F(ServiceTest, ACopyHoldsIndexAndRecord)
{
    site.put("leave", "휴가 규정", "public", "연가는 21일로 한다.");
    const auto to = site.dir.path() / "copy";
    site.console("backup", {{"to", to.string()}});
    EXPECT_TRUE(Index::open(to / "index", {.master_key = &site.key})->document("leave"));
    EXPECT_TRUE(std::filesystem::exists(to / "audit"));
    EXPECT_EQ(kind(Caller::console("operator"), "backup", {{"to", to.string()}}), "conflict");
}

TEST_F(ServiceTest, AnUnknownMethodOrBrokenJsonIsABadRequest)
{
    EXPECT_EQ(kind(Caller::console("operator"), "no_such_method"), "bad_request");
    for (const char* text : {"", "[]", "{", "null", "\xff", R"({"a":1}{"b":2})"})
        EXPECT_EQ(
            error_of([&] { site.service->call(Caller::console("operator"), "status", text, {}); })["kind"],
            "bad_request")
            << text;
}

TEST(ErrorJson, TellsWordsOfOursAndKeepsTheRestForTheOperator)
{
    EXPECT_EQ(Json::parse(error_json(
                  GatewayError(GatewayError::Kind::conflict, "이미 있습니다.")))["error"]["message"],
              "이미 있습니다.");
    const IndexError index(IndexError::Kind::corrupt, "/srv/data/index/000012.sst");
    const std::runtime_error foreign("libwhatever 1.2.3");
    for (const std::exception* error :
         {static_cast<const std::exception*>(&index), static_cast<const std::exception*>(&foreign)}) {
        const Json told = Json::parse(error_json(*error))["error"];
        EXPECT_EQ(told["message"].get<std::string>().find(error->what()), std::string::npos);
        EXPECT_NE(told["message"].get<std::string>().find("사건 번호"), std::string::npos);
    }
}

}  // namespace
}  // namespace jiphyeon::test
