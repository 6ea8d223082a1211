// The server over TLS on loopback: hostile requests by raw sockets (each is refused and closed, or cut at its
// deadline), then the doors of the API.
#include <Poco/Net/Context.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SecureStreamSocket.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <fstream>
#include <future>

#include "site.hpp"

namespace jiphyeon::test {
namespace {

using namespace std::string_literals;

Poco::Net::Context::Ptr client_context()
{
    return new Poco::Net::Context(Poco::Net::Context::TLS_CLIENT_USE, "", Poco::Net::Context::VERIFY_NONE, 9,
                                  false);
}

struct Answer {
    int status = 0;
    std::string head, body;
    Json json() const { return Json::parse(body); }
    std::string header(const std::string& name) const
    {
        const std::size_t at = head.find("\r\n" + name + ": ");
        if (at == std::string::npos) return "";
        const std::size_t start = at + name.size() + 4;
        return head.substr(start, head.find("\r\n", start) - start);
    }
};

class Client {
public:
    explicit Client(std::uint16_t port)
        : socket_(Poco::Net::SocketAddress("127.0.0.1", port), client_context())
    {
        socket_.setReceiveTimeout(Poco::Timespan(30, 0));
    }
    void send(const std::string& bytes)
    {
        for (std::size_t at = 0; at < bytes.size();)
            at += static_cast<std::size_t>(
                socket_.sendBytes(bytes.data() + at, static_cast<int>(bytes.size() - at)));
    }
    // One answer with a length; nullopt where the connection ended instead.
    std::optional<Answer> answer()
    {
        while (buffer_.find("\r\n\r\n") == std::string::npos)
            if (!receive()) return std::nullopt;
        Answer answer;
        const std::size_t end = buffer_.find("\r\n\r\n") + 4;
        answer.head = buffer_.substr(0, end);
        answer.status = std::stoi(answer.head.substr(9, 3));
        buffer_.erase(0, end);
        const std::string length = answer.header("Content-Length");
        if (length.empty()) {
            while (receive()) {
            }
            answer.body = std::exchange(buffer_, "");
        } else {
            const std::size_t size = std::stoull(length);
            while (buffer_.size() < size)
                if (!receive()) return std::nullopt;
            answer.body = buffer_.substr(0, size);
            buffer_.erase(0, size);
        }
        return answer;
    }
    bool receive()
    {
        char bytes[4096];
        try {
            const int count = socket_.receiveBytes(bytes, sizeof bytes);
            if (count <= 0) return false;
            buffer_.append(bytes, static_cast<std::size_t>(count));
            return true;
        } catch (const Poco::TimeoutException&) {
            ADD_FAILURE() << "the server neither answered nor closed";
            return false;
        } catch (const Poco::Exception&) {
            return false;  // reset or cut
        }
    }
    // Everything until the server closes.
    std::string rest()
    {
        while (receive()) {
        }
        return std::exchange(buffer_, "");
    }
    const std::string& buffer() const { return buffer_; }
    void close() { socket_.close(); }

private:
    Poco::Net::SecureStreamSocket socket_;
    std::string buffer_;
};

class Https : public ::testing::Test {
protected:
    void SetUp() override
    {
        const crypto::SigningKey key = crypto::SigningKey::generate();
        std::ofstream(site.dir.path() / "tls.crt")
            << key.self_signed_certificate("test", {"localhost"}, {"127.0.0.1"}, 30);
        std::filesystem::create_directories(site.dir.path() / "ui");
        std::ofstream(site.dir.path() / "ui" / "index.html") << "<!doctype html><title>집현</title>";
        std::ofstream(site.dir.path() / "secret.html") << "not to be served";
        options.certificate = site.dir.path() / "tls.crt";
        options.key_pem = key.to_pem();
        options.port = 0;
        options.ui = site.dir.path() / "ui";
        options.header_s = 1;
        options.body_s = 2;
        options.write_s = 2;
        start();
        site.put("leave", "휴가 규정", "public", "연가는 한 해에 21일로 한다.");
        site.engine.sentences = {"연가는 한 해에 21일로 한다."};
        site.add("kim", {"user"});
    }
    void start() { server = std::make_unique<HttpsServer>(*site.service, options); }
    Client client() const { return Client(server->port()); }

    static std::string request(const std::string& line, const std::string& headers = "",
                               const std::string& body = "")
    {
        std::string text = line + " HTTP/1.1\r\nHost: localhost\r\n" + headers;
        if (!body.empty() || line.starts_with("POST"))
            text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
        return text + "\r\n" + body;
    }
    Answer get(const std::string& path, const std::string& headers = "") const
    {
        Client one = client();
        one.send(request("GET " + path, headers));
        return one.answer().value_or(Answer());
    }
    Answer post(const std::string& path, const std::string& headers, const Json& body) const
    {
        Client one = client();
        one.send(request("POST " + path, "Content-Type: application/json\r\n" + headers, body.dump()));
        return one.answer().value_or(Answer());
    }
    void log_in()
    {
        const Answer answer = post("/api/login", "", {{"account", "kim"}, {"password", Site::kPassword}});
        ASSERT_EQ(answer.status, 200) << answer.body;
        const std::string set = answer.header("Set-Cookie");
        cookie = "Cookie: " + set.substr(0, set.find(';')) + "\r\n";
        csrf = "X-CSRF-Token: " + answer.json()["csrf"].get<std::string>() + "\r\n";
    }
    std::uint64_t leaves() const { return site.audit.size(); }

    Site site;
    HttpsOptions options;
    std::unique_ptr<HttpsServer> server;
    std::string cookie, csrf;
};

void expect_security_headers(const Answer& answer)
{
    EXPECT_EQ(answer.header("Strict-Transport-Security"), "max-age=31536000; includeSubDomains");
    const std::string policy = answer.header("Content-Security-Policy");
    for (const char* rule : {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'",
                             "base-uri 'none'", "object-src 'none'"})
        EXPECT_NE(policy.find(rule), std::string::npos) << rule;
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(answer.header("Referrer-Policy"), "no-referrer");
    EXPECT_EQ(answer.header("Cross-Origin-Opener-Policy"), "same-origin");
    EXPECT_EQ(answer.header("Cache-Control"), "no-store");
    EXPECT_EQ(answer.header("Server"), "");
}

// ---- What is hostile --------------------------------------------------------------------------------------

struct Hostile {
    const char* name;
    std::string bytes;
    int status = 400;
};
void PrintTo(const Hostile& hostile, std::ostream* out)
{
    *out << hostile.name;
}

class HttpsHostile : public Https, public ::testing::WithParamInterface<Hostile> {};

TEST_P(HttpsHostile, IsRefusedClosedAndNeverRunAsTheNextRequest)
{
    const std::string smuggled = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    Client one = client();
    try {
        one.send(GetParam().bytes + smuggled);
    } catch (const Poco::Exception&) {
        // closed while we were still sending: refused early
    }
    const std::string all = one.rest();
    EXPECT_EQ(all.substr(0, 12), "HTTP/1.1 " + std::to_string(GetParam().status));
    EXPECT_NE(all.find("Connection: close"), std::string::npos);
    EXPECT_NE(all.find("Strict-Transport-Security"), std::string::npos);
    EXPECT_EQ(all.find("healthy"), std::string::npos);
    EXPECT_EQ(all.find("HTTP/1.1", 1), std::string::npos) << "a second answer";
    EXPECT_EQ(all.find("Injected"), std::string::npos);
    EXPECT_EQ(get("/healthz").status, 200);
}

std::string lines_without_colon()
{
    std::string text = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    for (int i = 0; i < 200'000; ++i) text += "abcde\r\n";
    return text + "\r\n";
}

INSTANTIATE_TEST_SUITE_P(
    Table, HttpsHostile,
    ::testing::Values(
        Hostile{"length_and_chunked",
                "POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: "
                "chunked\r\n\r\n0\r\n\r\n"},
        Hostile{"space_before_colon",
                "POST /api/ask HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
        Hostile{
            "two_lengths",
            "POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 4\r\n\r\n"},
        Hostile{"gzip_chunked",
                "POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: gzip, "
                "chunked\r\n\r\n"},
        Hostile{"negative_length", "POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n"},
        Hostile{"signed_length",
                "POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: +3\r\n\r\nabc"},
        Hostile{"length_of_letters",
                "POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: zz\r\n\r\n"},
        Hostile{"bare_line_feeds", "GET / HTTP/1.1\nHost: localhost\n\n"},
        Hostile{"missing_host", "GET / HTTP/1.1\r\n\r\n"},
        Hostile{"foreign_host", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
        Hostile{"version_nine", "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"},
        Hostile{"lines_without_colon", lines_without_colon(), 431},
        Hostile{"five_megabytes_after_the_version", "GET / HTTP/1.1" + std::string(5 << 20, 'a') + "\r\n\r\n",
                431},
        Hostile{"control_character", "GET / HTTP/1.1\r\nHost: localhost\r\nA: b\0c\r\n\r\n"s},
        Hostile{"chunk_trailer",
                "POST /api/ask HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "
                "y\r\n\r\n"},
        Hostile{"body_over_the_limit",
                "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n", 413},
        Hostile{"trace", "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
        Hostile{"two_hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST_F(Https, AnUnwantedBodyIsReadToItsEndOnEveryRouteAndNeverRun)
{
    const std::string inner = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (const char* path :
         {"/nowhere", "/", "/healthz", "/api/login", "/api/logout", "/api/session", "/api/ask", "/api/search",
          "/api/documents", "/api/documents/x", "/api/documents/x/pages/1.png", "/api/feedback",
          "/api/history", "/api/password", "/api/status", "/v1/chat/completions"}) {
        Client one = client();
        one.send(request("POST " + std::string(path), "", inner));
        one.send("GET /sentinel HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        const std::optional<Answer> first = one.answer();
        ASSERT_TRUE(first) << path;
        EXPECT_GE(first->status, 400) << path;
        expect_security_headers(*first);
        const std::optional<Answer> second = one.answer();  // the sentinel's, not the smuggled one's
        ASSERT_TRUE(second) << path;
        EXPECT_EQ(second->status, 404) << path;
        EXPECT_FALSE(one.answer()) << path;
    }
}

TEST_F(Https, AnEncodedWordInAHeaderInjectsNothing)
{
    const Answer answer = get("/healthz", "X-Request-Id: =?UTF-8?Q?a=0D=0AInjected:_yes?=\r\n");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.head.find("Injected"), std::string::npos);
}

TEST_F(Https, ADripOfBytesDoesNotMoveTheDeadlineOfAHead)
{
    Client drip = client();
    EXPECT_THROW(
        for (;;) {
            drip.send("G");
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
        },
        Poco::Exception);
}

TEST_F(Https, UnfinishedHeadsAreCutAndOthersAreServedThen)
{
    // As many as there are threads would starve a server without deadlines for whole steps.
    std::vector<std::unique_ptr<Client>> drips;
    for (unsigned i = 0; i < options.threads; ++i) {
        drips.push_back(std::make_unique<Client>(server->port()));
        drips.back()->send("GET / HT");
    }
    EXPECT_EQ(get("/healthz").status, 200);
    for (auto& drip : drips) {
        EXPECT_EQ(drip->rest().find("200 OK"), std::string::npos);
    }
}

TEST_F(Https, ABodyThatDoesNotComeIsCut)
{
    Client one = client();
    one.send("POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
    EXPECT_EQ(one.rest().find("200 OK"), std::string::npos);
    Client silent = client();
    silent.send("G");
    EXPECT_EQ(silent.rest().find("200 OK"), std::string::npos);
}

TEST_F(Https, AClientThatNeverReadsIsLetGo)
{
    std::ofstream(site.dir.path() / "ui" / "large.css") << std::string(32 << 20, 'a');
    server.reset();
    start();
    Client one = client();
    one.send(request("GET /large.css"));
    // The writer gives up after its limit: what was sent ends before the whole.
    std::this_thread::sleep_for(std::chrono::seconds(options.write_s + 1));
    EXPECT_LT(one.rest().size(), std::size_t(32 << 20));
    EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(Https, AnAddressHasOnlySoManyConnections)
{
    server.reset();
    options.connections_per_address = 2;
    options.header_s = 20;
    start();
    Client first = client(), second = client();
    for (Client* each : {&first, &second}) {
        each->send(request("GET /healthz"));
        ASSERT_TRUE(each->answer());
    }
    bool third_served = true;
    try {
        Client third = client();
        third.send(request("GET /healthz"));
        third_served = third.answer().has_value();
    } catch (const Poco::Exception&) {
        third_served = false;
    }
    EXPECT_FALSE(third_served);
}

TEST_F(Https, OldProtocolsAndWeakSuitesAreNotSpoken)
{
    Poco::Net::Context::Ptr old = client_context();
    SSL_CTX_set_max_proto_version(old->sslContext(), TLS1_1_VERSION);
    EXPECT_THROW(Poco::Net::SecureStreamSocket(Poco::Net::SocketAddress("127.0.0.1", server->port()), old)
                     .sendBytes("a", 1),
                 Poco::Exception);
    for (const char* suite : {"AES256-SHA", "ECDHE-ECDSA-AES256-SHA", "AECDH-AES256-SHA"}) {
        Poco::Net::Context::Ptr weak = client_context();
        SSL_CTX_set_max_proto_version(weak->sslContext(), TLS1_2_VERSION);
        SSL_CTX_set_security_level(weak->sslContext(), 0);
        SSL_CTX_set_cipher_list(weak->sslContext(), suite);
        EXPECT_THROW(
            Poco::Net::SecureStreamSocket(Poco::Net::SocketAddress("127.0.0.1", server->port()), weak)
                .sendBytes("a", 1),
            Poco::Exception)
            << suite;
    }
    Poco::Net::Context::Ptr aria = client_context();
    SSL_CTX_set_max_proto_version(aria->sslContext(), TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(aria->sslContext(), "ECDHE-ECDSA-ARIA256-GCM-SHA384");
    EXPECT_NO_THROW(Poco::Net::SecureStreamSocket(Poco::Net::SocketAddress("127.0.0.1", server->port()), aria)
                        .sendBytes("a", 1));
}

// ---- The doors --------------------------------------------------------------------------------------------

TEST_F(Https, ServesItsPagesAndNothingBesideThem)
{
    const Answer page = get("/");
    EXPECT_EQ(page.status, 200);
    EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
    EXPECT_NE(page.body.find("집현"), std::string::npos);
    expect_security_headers(page);
    for (const char* path : {"/../secret.html", "/%2e%2e/secret.html", "/ui/../secret.html", "//etc/passwd",
                             "/index.html/", "/secret.html"})
        EXPECT_EQ(get(path).status, 404) << path;
    Client one = client();
    one.send(request("HEAD /", "Connection: close\r\n"));
    EXPECT_EQ(one.rest().find("doctype"), std::string::npos);
}

TEST_F(Https, EveryErrorBearsTheSecurityHeaders)
{
    for (const Answer& answer :
         {get("/nowhere"), get("/api/status"), get("/api/login"), post("/api/login", "", {{"account", 7}}),
          post("/v1/chat/completions", "", Json::object())}) {
        EXPECT_GE(answer.status, 400);
        expect_security_headers(answer);
        EXPECT_TRUE(answer.json().contains("error"));
    }
}

TEST_F(Https, TheCookieIsLockedToThisHostAndScriptsCannotReadIt)
{
    const Answer answer = post("/api/login", "", {{"account", "kim"}, {"password", Site::kPassword}});
    const std::string set = answer.header("Set-Cookie");
    EXPECT_TRUE(set.starts_with("__Host-jiphyeon="));
    for (const char* rule : {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"})
        EXPECT_NE(set.find(rule), std::string::npos) << rule;
    EXPECT_EQ(set.find("Domain"), std::string::npos);
    const Answer wrong = post("/api/login", "", {{"account", "kim"}, {"password", "틀린 비밀번호"}});
    const Answer unknown = post("/api/login", "", {{"account", "nobody"}, {"password", "틀린 비밀번호"}});
    EXPECT_EQ(wrong.status, 401);
    EXPECT_EQ(wrong.body, unknown.body);
    EXPECT_EQ(wrong.header("Set-Cookie"), "");
}

TEST_F(Https, WithoutTheTokenOfThePageNothingIsDone)
{
    log_in();
    const std::uint64_t before = leaves();
    const Json question = {{"question", "연가는 한 해에 며칠입니까?"}};
    for (const std::string& headers :
         {cookie, cookie + "X-CSRF-Token: x\r\n", csrf, cookie + csrf + "Sec-Fetch-Site: cross-site\r\n",
          cookie + csrf + "Sec-Fetch-Site: same-site\r\n",
          cookie + csrf + "Origin: https://evil.example\r\n"})
        for (const char* path :
             {"/api/ask", "/api/search", "/api/feedback", "/api/password", "/api/logout"}) {
            const int status = post(path, headers, question).status;
            EXPECT_TRUE(status == 403 || status == 401) << path << " " << headers;
        }
    Client form = client();  // as an HTML form of another site could send it
    form.send(
        request("POST /api/search", cookie + csrf + "Content-Type: text/plain\r\n", R"({"text":"연가"})"));
    EXPECT_EQ(form.answer()->status, 400);
    EXPECT_EQ(leaves(), before);
    EXPECT_EQ(
        post("/api/search", cookie + csrf + "Sec-Fetch-Site: same-origin\r\nOrigin: https://localhost\r\n",
             {{"text", "연가"}})
            .status,
        200);
}

TEST_F(Https, AsksOverAStreamOfEvents)
{
    log_in();
    const Answer answer = post("/api/ask", cookie + csrf, {{"question", "연가는 한 해에 며칠입니까?"}});
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("Content-Type"), "text/event-stream; charset=utf-8");
    EXPECT_EQ(answer.header("X-Accel-Buffering"), "no");
    expect_security_headers(answer);
    const std::size_t evidence = answer.body.find("event: evidence\n"),
                      sentence = answer.body.find("event: sentence\n"),
                      done = answer.body.find("event: done\n");
    ASSERT_NE(done, std::string::npos) << answer.body;
    EXPECT_LT(evidence, sentence);
    EXPECT_LT(sentence, done);
    const std::size_t data = answer.body.find("data: ", done) + 6;
    const Json reply = Json::parse(answer.body.substr(data, answer.body.find("\n\n", data) - data));
    EXPECT_EQ(reply["outcome"], "answered");
    EXPECT_EQ(site.audit.leaf(reply["receipt"]["leaf"].get<std::uint64_t>()).origin, "127.0.0.1");
    EXPECT_EQ(post("/api/ask", cookie + csrf, {{"question", ""}}).body.find("event: error"), 0u);
}

TEST_F(Https, AStreamOutlivesTheWriteLimitWhileTheModelComputes)
{
    log_in();
    const std::chrono::seconds longer(options.write_s + 1);
    site.engine.before_sentence = [&](std::size_t, const std::atomic<bool>&) {
        std::this_thread::sleep_for(longer);
    };
    const Answer answer = post("/api/ask", cookie + csrf, {{"question", "연가는 한 해에 며칠입니까?"}});
    EXPECT_NE(answer.body.find("event: done\n"), std::string::npos) << answer.body;
}

TEST_F(Https, AClientThatGoesAwayEndsTheQuestion)
{
    log_in();
    std::promise<void> begun;
    site.engine.before_sentence = [&](std::size_t, const std::atomic<bool>& cancel) {
        begun.set_value();
        while (!cancel) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    };
    Client one = client();
    one.send(request("POST /api/ask", "Content-Type: application/json\r\n" + cookie + csrf,
                     Json{{"question", "연가는 한 해에 며칠입니까?"}}.dump()));
    begun.get_future().wait();
    one.close();
    while (site.leaves("answered").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(site.leaves("answered").back().outcome, "cancelled");
}

TEST_F(Https, DocumentsAndPagesAreForTheirReaders)
{
    site.put("plan", "감사 계획", "restricted:감사관", "표본은 417건");
    log_in();
    EXPECT_EQ(get("/api/documents/leave").status, 401);
    EXPECT_EQ(get("/api/documents/leave", cookie).json()["title"], "휴가 규정");
    EXPECT_EQ(get("/api/documents/leave/pages/1.png", cookie).header("Content-Type"), "image/png");
    EXPECT_EQ(get("/api/documents/leave/pages/9.png", cookie).status, 404);
    EXPECT_EQ(get("/api/documents/leave/pages/-1.png", cookie).status, 404);
    const Answer hidden = get("/api/documents/plan", cookie),
                 unknown = get("/api/documents/never-was", cookie);
    EXPECT_EQ(hidden.status, 404);
    EXPECT_EQ(hidden.body, unknown.body);
    EXPECT_EQ(get("/api/documents/plan/pages/1.png", cookie).body,
              get("/api/documents/never-was/pages/1.png", cookie).body);
    EXPECT_EQ(get("/api/documents", cookie).json()["documents"].size(), 1u);
    EXPECT_EQ(get("/api/session", cookie).json()["account"], "kim");
    EXPECT_EQ(get("/api/history", cookie).json()["records"], Json::array());
}

TEST_F(Https, TheOpenAiDoorAnswersWithCitations)
{
    const std::string token =
        site.call(site.as("kim"), "add_token", {{"account", "kim"}, {"name", "script"}})["token"];
    const std::string bearer = "Authorization: Bearer " + token + "\r\n";
    const Json body = {{"model", "jiphyeon"},
                       {"messages",
                        {{{"role", "system"}, {"content", "무시하라"}},
                         {{"role", "user"}, {"content", "연가는 한 해에 며칠입니까?"}}}}};
    EXPECT_EQ(post("/v1/chat/completions", "Authorization: Bearer jph_wrong\r\n", body).status, 401);
    log_in();
    EXPECT_EQ(post("/v1/chat/completions", cookie + csrf, body).status, 401);  // cookies do not count here
    const Json whole = post("/v1/chat/completions", bearer, body).json();
    EXPECT_EQ(whole["object"], "chat.completion");
    EXPECT_EQ(whole["choices"][0]["message"]["content"], "연가는 한 해에 21일로 한다. [1]");
    EXPECT_EQ(whole["citations"][0]["document_id"], "leave");
    EXPECT_TRUE(whole["receipt"].contains("root"));

    Json streaming = body;
    streaming["stream"] = true;
    const Answer stream = post("/v1/chat/completions", bearer, streaming);
    std::string said;
    for (std::size_t at = 0; (at = stream.body.find("data: {", at)) != std::string::npos;) {
        const std::size_t start = at + 6, end = stream.body.find("\n\n", start);
        const Json chunk = Json::parse(stream.body.substr(start, end - start));
        EXPECT_EQ(chunk["object"], "chat.completion.chunk");
        said += chunk["choices"][0]["delta"].value("content", "");
        at = end;
    }
    EXPECT_EQ(said, "연가는 한 해에 21일로 한다. [1]");
    EXPECT_TRUE(stream.body.ends_with("data: [DONE]\n\n"));
    EXPECT_EQ(get("/v1/models", bearer).json()["data"][0]["id"], "jiphyeon");
}

TEST_F(Https, OneConnectionCarriesManyRequestsAndAChunkedBody)
{
    Client one = client();
    for (int i = 0; i < 3; ++i) {
        one.send(
            "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
            "application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            "2\r\n{}\r\n0\r\n\r\n");
        EXPECT_EQ(one.answer()->status, 400);  // account: is missing
        one.send(request("GET /healthz"));
        EXPECT_EQ(one.answer()->status, 200);
    }
    Client patient = client();
    patient.send(
        "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
        "2\r\nExpect: 100-continue\r\n\r\n");
    ASSERT_TRUE(patient.receive());
    EXPECT_TRUE(patient.buffer().starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
}

TEST_F(Https, HealthFollowsTheRecord)
{
    EXPECT_EQ(get("/healthz").status, 200);
    site.audit.note_fails = true;
    EXPECT_EQ(post("/api/login", "", {{"account", "kim"}, {"password", Site::kPassword}}).status, 503);
    EXPECT_EQ(get("/healthz").status, 503);
}

TEST_F(Https, StoppingEndsRunningQuestions)
{
    log_in();
    std::promise<void> begun;
    site.engine.before_sentence = [&](std::size_t, const std::atomic<bool>& cancel) {
        begun.set_value();
        while (!cancel) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    };
    auto asking = std::async(std::launch::async, [&] {
        return post("/api/ask", cookie + csrf, {{"question", "연가는 한 해에 며칠입니까?"}});
    });
    begun.get_future().wait();
    server->stop();
    asking.wait();
    EXPECT_EQ(site.leaves("answered").back().outcome, "cancelled");
    EXPECT_THROW(client(), Poco::Exception);
}

}  // namespace
}  // namespace jiphyeon::test
