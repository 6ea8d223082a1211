// One HTTP/1.x request out of bytes, read strictly: what two readers could understand differently is refused,
// and the connection is closed with it. Pure functions of bytes; no sockets here.
//
// Refused: bare CR or LF, folded lines, a line without colon, names that are no tokens, control characters,
// repeated framing or identity headers, Transfer-Encoding other than exactly `chunked` or beside a length,
// lengths that are not digits, chunk extensions and trailers, absolute targets, other versions than 1.0 and
// 1.1, a missing or unknown Host.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jiphyeon {

class HttpRefused : public std::runtime_error {
public:
    HttpRefused(int refused_status, const std::string& why) : std::runtime_error(why), status(refused_status)
    {
    }
    int status;
};

inline constexpr std::size_t kHeadBytesMax = 8192;

struct HttpRequest {
    std::string method;
    std::string path;  // percent-decoded, begins with '/'
    std::vector<std::pair<std::string, std::string>> query;
    bool http11 = true;
    std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
    std::string body;
    std::string origin;  // address of the client

    const std::string* header(std::string_view name) const;
    std::optional<std::string> query_value(std::string_view name) const;
    std::optional<std::string> cookie(std::string_view name) const;

    bool chunked = false;
    std::size_t content_length = 0;
    bool wants_close = false;
    bool expects_continue = false;
};

// Where the head ends (after its empty line), or nullopt while it is incomplete. Throws HttpRefused as soon
// as it cannot become one: a bare LF, a control character, more than kHeadBytesMax.
std::optional<std::size_t> head_end(std::string_view bytes);

// `host_allowed` gets the Host header's name without port, in lower case.
HttpRequest parse_head(std::string_view head, const std::function<bool(std::string_view host)>& host_allowed);

// Takes a chunked body as it comes. Throws HttpRefused (400, or 413 over `size_max`).
class ChunkedBody {
public:
    explicit ChunkedBody(std::size_t size_max) : size_max_(size_max) {}
    // Takes what it can from the front of `bytes`; returns how much. done() says whether the body is
    // complete.
    std::size_t take(std::string_view bytes);
    bool done() const { return state_ == State::done; }
    std::string& body() { return body_; }

private:
    enum class State { size, size_lf, data, data_cr, data_lf, last_cr, last_lf, done };
    void take_size_digit(char c);
    std::size_t size_max_;
    State state_ = State::size;
    std::size_t left_ = 0;
    unsigned digits_ = 0;
    std::string body_;
};

}  // namespace jiphyeon
