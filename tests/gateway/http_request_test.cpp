// The reader of requests, byte by byte: whatever two readers could take differently is refused.
#include "http_request.hpp"

#include <gtest/gtest.h>

namespace jiphyeon {
namespace {

bool ours(std::string_view host)
{
    return host == "localhost" || host == "[::1]";
}

HttpRequest read(const std::string& head)
{
    const std::optional<std::size_t> end = head_end(head);
    if (!end) throw HttpRefused(0, "incomplete");
    return parse_head(std::string_view(head).substr(0, *end), ours);
}

int refused_with(const std::string& head)
{
    try {
        read(head);
        return 200;
    } catch (const HttpRefused& refused) {
        return refused.status;
    }
}

std::string get(const std::string& headers)
{
    return "GET / HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}
std::string post(const std::string& headers)
{
    return "POST / HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}

TEST(HttpRequest, ReadsLineHeadersQueryAndCookies)
{
    const HttpRequest request = read(
        "GET /a%20b/%ED%95%9C?x=1&y=%26&z HTTP/1.1\r\nHOST: LocalHost:8443\r\nCookie: a=1; "
        "__Host-jiphyeon=t=k; b=2\r\n\r\n");
    EXPECT_EQ(request.method, "GET");
    EXPECT_EQ(request.path, "/a b/한");
    EXPECT_EQ(request.query_value("y"), "&");
    EXPECT_EQ(request.query_value("z"), "");
    EXPECT_EQ(request.query_value("w"), std::nullopt);
    EXPECT_EQ(request.cookie("__Host-jiphyeon"), "t=k");
    EXPECT_EQ(request.cookie("jiphyeon"), std::nullopt);
    EXPECT_FALSE(request.wants_close);
}

TEST(HttpRequest, HeadEndsAtTheEmptyLineAndNotBefore)
{
    const std::string head = get("A: b\r\n") + "GET /next";
    for (std::size_t size = 0; size < head.size() - 9; ++size)
        EXPECT_EQ(head_end(std::string_view(head).substr(0, size)), std::nullopt) << size;
    EXPECT_EQ(head_end(head), head.size() - 9);
}

TEST(HttpRequest, RefusesWhatCouldBeReadInTwoWays)
{
    EXPECT_EQ(refused_with(get("")), 200);
    for (const std::string& head : {
             std::string("GET / HTTP/1.1\nHost: localhost\n\n"),      // bare LF
             std::string("GET / HTTP/1.1\r\nHost: localhost\n\r\n"),  // one bare LF
             std::string("GET / HTTP/1.1\r\nHost: localhost\rA: b\r\n\r\n"),
             get("A: b\r\n c: d\r\n"),  // folded
             get("A : b\r\n"),
             get("A b\r\n"),
             get(": b\r\n"),
             get("Ä: b\r\n"),
             get("A: b\x01\r\n"),
             get(std::string("A: b\0c\r\n", 8)),
             get("A: b\tc\r\n"),
             get("Host: localhost\r\n"),  // two
             get("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
             get("Cookie: a=1\r\nCookie: a=2\r\n"),
             std::string("GET / HTTP/1.1\r\n\r\n"),  // no Host
             std::string("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
             std::string("GET / HTTP/1.1\r\nHost: localhost:80a\r\n\r\n"),
             std::string("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"),
             std::string("GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n"),
             std::string("GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
             std::string("GET /\r\nHost: localhost\r\n\r\n"),
             std::string("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
             std::string("GET /%0d%0aA:b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
             std::string("GET /%2 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
             std::string("GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
             std::string("\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
             get("Content-Length: 3\r\n"),  // a body where none belongs
             post("Content-Length: 3\r\nContent-Length: 3\r\n"),
             post("Content-Length: 3\r\nContent-Length: 4\r\n"),
             post("Content-Length: -5\r\n"),
             post("Content-Length: +3\r\n"),
             post("Content-Length: zz\r\n"),
             post("Content-Length: 3, 3\r\n"),
             post("Content-Length: 0x3\r\n"),
             post("Content-Length:\r\n"),
             post("Content-Length: 99999999999999999999\r\n"),
             post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
             post("Transfer-Encoding: gzip, chunked\r\n"),
             post("Transfer-Encoding: identity\r\n"),
             post("Transfer-Encoding: Chunked\r\n"),
             post("Transfer-Encoding : chunked\r\n"),
             post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
             std::string("POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"),
             get("Upgrade: h2c\r\nConnection: Upgrade\r\n"),
         })
        EXPECT_EQ(refused_with(head), 400) << head;
}

TEST(HttpRequest, RefusesByTheRightNameWhereOneIsKnown)
{
    EXPECT_EQ(refused_with("TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n"), 421);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n"), 200);
    EXPECT_EQ(refused_with(post("Expect: something\r\n")), 417);
    std::string many;
    for (int i = 0; i < 64; ++i) many += "A" + std::to_string(i) + ": b\r\n";
    EXPECT_EQ(refused_with(get(many)), 431);
    EXPECT_EQ(refused_with(get("A: " + std::string(9000, 'b') + "\r\n")), 431);
}

TEST(HttpRequest, TwoHundredThousandLinesAreRefusedAtEightKilobytes)
{
    std::string head = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    while (head.size() < kHeadBytesMax) head += "abc\r\n";
    EXPECT_THROW(head_end(head), HttpRefused);
}

TEST(HttpRequest, AnEncodedWordStaysAWord)
{
    const HttpRequest request = read(get("X-Test: =?UTF-8?Q?a=0D=0AInjected:_yes?=\r\n"));
    EXPECT_EQ(*request.header("x-test"), "=?UTF-8?Q?a=0D=0AInjected:_yes?=");
}

class Chunked : public ::testing::Test {
protected:
    // Feeds the bytes in pieces of `step`; returns what was left after the body.
    static std::string feed(ChunkedBody& body, std::string_view bytes, std::size_t step)
    {
        std::string waiting;
        for (std::size_t i = 0; i < bytes.size(); i += step) {
            waiting += bytes.substr(i, step);
            if (!body.done()) waiting.erase(0, body.take(waiting));
        }
        return waiting;
    }
    static int refused_with(const std::string& bytes)
    {
        ChunkedBody body(100);
        try {
            feed(body, bytes, 1);
            return body.done() ? 200 : 0;
        } catch (const HttpRefused& refused) {
            return refused.status;
        }
    }
};

TEST_F(Chunked, GivesTheSameBodyHoweverItArrives)
{
    const std::string bytes = "5\r\nhello\r\n0a\r\n0123456789\r\n0\r\n\r\nGET /";
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        ChunkedBody body(100);
        EXPECT_EQ(feed(body, bytes, step), "GET /") << step;
        ASSERT_TRUE(body.done());
        EXPECT_EQ(body.body(), "hello0123456789");
    }
}

TEST_F(Chunked, RefusesExtensionsTrailersAndLies)
{
    EXPECT_EQ(refused_with("5\r\nhello\r\n0\r\n\r\n"), 200);
    for (const char* bytes :
         {"5;a=b\r\nhello\r\n0\r\n\r\n", "0\r\nX: y\r\n\r\n", "4\r\nhello\r\n0\r\n\r\n",
          "5\nhello\r\n0\r\n\r\n", "\r\n", "-1\r\n", "0x5\r\nhello\r\n", " 5\r\nhello\r\n"})
        EXPECT_EQ(refused_with(bytes), 400) << bytes;
    EXPECT_EQ(refused_with("65\r\n"), 413);  // 101
    EXPECT_EQ(refused_with("ffffffff\r\n"), 413);
    EXPECT_EQ(refused_with("fffffffff\r\n"), 413);
    EXPECT_EQ(refused_with("64\r\n" + std::string(100, 'a') + "\r\n1\r\n"), 413);
}

}  // namespace
}  // namespace jiphyeon
