#include "http_request.hpp"

#include <algorithm>
#include <array>

namespace jiphyeon {
namespace {

constexpr std::size_t kHeadersMax = 64;
constexpr std::size_t kTargetMax = 2048;

[[noreturn]] void refuse(const char* why, int status = 400)
{
    throw HttpRefused(status, why);
}

bool is_token(std::string_view text)
{
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               kMarks.find(c) != std::string_view::npos;
    });
}

bool is_control(char c)
{
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower_case(std::string_view text)
{
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) refuse("a percent sign without two digits");
        const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
        if (high < 0 || low < 0) refuse("a percent sign without two digits");
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    if (std::any_of(out.begin(), out.end(), is_control)) refuse("a control character in the target");
    return out;
}

void parse_query(std::string_view text, HttpRequest& request)
{
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('&'), text.size());
        const std::string_view pair = text.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        request.query.emplace_back(percent_decoded(pair.substr(0, equals)),
                                   percent_decoded(pair.substr(std::min(equals + 1, pair.size()))));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

void parse_request_line(std::string_view line, HttpRequest& request)
{
    const std::size_t first = line.find(' ');
    const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    if (second == std::string_view::npos) refuse("not a request line");
    request.method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, second - first - 1),
                           version = line.substr(second + 1);
    if (!is_token(request.method)) refuse("the method is no token");
    if (version != "HTTP/1.1" && version != "HTTP/1.0") refuse("the version is neither 1.0 nor 1.1");
    request.http11 = version == "HTTP/1.1";
    if (request.method == "TRACE" || request.method == "CONNECT") refuse("the method is not allowed", 405);
    if (target.empty() || target[0] != '/' || target.size() > kTargetMax) refuse("the target is no path");
    if (std::any_of(target.begin(), target.end(), [](char c) { return c <= 0x20 || c == 0x7F || c == '#'; }))
        refuse("the target has a character that does not belong there");
    const std::size_t mark = std::min(target.find('?'), target.size());
    request.path = percent_decoded(target.substr(0, mark));
    if (mark < target.size()) parse_query(target.substr(mark + 1), request);
}

void parse_header_line(std::string_view line, HttpRequest& request)
{
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) refuse("a header line without colon");
    const std::string_view name = line.substr(0, colon);
    if (!is_token(name)) refuse("a header name that is no token");
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    if (std::any_of(value.begin(), value.end(), is_control)) refuse("a control character in a header");
    if (request.headers.size() == kHeadersMax) refuse("too many headers", 431);
    request.headers.emplace_back(lower_case(name), value);
}

// Of these a second one would leave it to chance which is believed.
void refuse_repeated(const HttpRequest& request)
{
    constexpr std::array<std::string_view, 8> kOnce = {
        "content-length", "transfer-encoding", "host",   "authorization",
        "cookie",         "content-type",      "expect", "x-csrf-token"};
    for (const std::string_view name : kOnce)
        if (std::count_if(request.headers.begin(), request.headers.end(),
                          [&](const auto& header) { return header.first == name; }) > 1)
            refuse("a header that may come once came twice");
}

void read_framing(HttpRequest& request)
{
    const std::string* coding = request.header("transfer-encoding");
    const std::string* length = request.header("content-length");
    if (coding != nullptr) {
        if (*coding != "chunked") refuse("a transfer coding other than chunked");
        if (length != nullptr) refuse("a length beside a transfer coding");
        if (!request.http11) refuse("a transfer coding in HTTP/1.0");
        request.chunked = true;
    }
    if (length != nullptr) {
        const bool digits =
            !length->empty() && length->size() <= 12 &&
            std::all_of(length->begin(), length->end(), [](char c) { return c >= '0' && c <= '9'; });
        if (!digits) refuse("a length that is not digits");
        request.content_length = std::stoull(*length);
    }
    const bool body = request.chunked || request.content_length > 0;
    if (body && request.method != "POST") refuse("a body where none belongs");
}

void read_connection(HttpRequest& request)
{
    const std::string* connection = request.header("connection");
    const std::string options = connection != nullptr ? lower_case(*connection) : "";
    request.wants_close = !request.http11 || options.find("close") != std::string::npos;
    if (const std::string* expect = request.header("expect")) {
        if (lower_case(*expect) != "100-continue") refuse("an expectation that is not known", 417);
        request.expects_continue = request.http11;
    }
    if (request.header("upgrade") != nullptr && options.find("upgrade") != std::string::npos)
        refuse("no other protocol is spoken here");
}

void check_host(const HttpRequest& request, const std::function<bool(std::string_view)>& host_allowed)
{
    const std::string* host = request.header("host");
    if (host == nullptr || host->empty()) refuse("no Host");
    std::string name = lower_case(*host);
    const std::size_t bracket = name.rfind(']');
    const std::size_t colon = name.rfind(':');
    if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
        const std::string_view port = std::string_view(name).substr(colon + 1);
        if (port.empty() ||
            !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }))
            refuse("a port that is not digits");
        name.resize(colon);
    }
    if (!host_allowed(name)) refuse("a Host that is not ours", 421);
}

}  // namespace

const std::string* HttpRequest::header(std::string_view name) const
{
    for (const auto& [key, value] : headers)
        if (key == name) return &value;
    return nullptr;
}

std::optional<std::string> HttpRequest::query_value(std::string_view name) const
{
    for (const auto& [key, value] : query)
        if (key == name) return value;
    return std::nullopt;
}

std::optional<std::string> HttpRequest::cookie(std::string_view name) const
{
    const std::string* all = header("cookie");
    if (all == nullptr) return std::nullopt;
    std::string_view rest = *all;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(';'), rest.size());
        std::string_view pair = rest.substr(0, end);
        while (!pair.empty() && pair.front() == ' ') pair.remove_prefix(1);
        if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
            return std::string(pair.substr(name.size() + 1));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return std::nullopt;
}

std::optional<std::size_t> head_end(std::string_view bytes)
{
    const std::string_view head = bytes.substr(0, kHeadBytesMax);
    for (std::size_t i = 0; i < head.size(); ++i) {
        const char c = head[i];
        if (c == '\n') {
            if (i == 0 || head[i - 1] != '\r') refuse("a line that ends without CR");
            if (i >= 3 && head[i - 2] == '\n') return i + 1;
        } else if (i > 0 && head[i - 1] == '\r') {
            refuse("a CR inside a line");
        } else if (is_control(c) && c != '\r' && c != '\t') {
            refuse("a control character in the head");
        }
    }
    if (bytes.size() >= kHeadBytesMax) refuse("the head is too long", 431);
    return std::nullopt;
}

HttpRequest parse_head(std::string_view head, const std::function<bool(std::string_view host)>& host_allowed)
{
    HttpRequest request;
    bool first = true;
    while (true) {
        const std::size_t end = head.find("\r\n");
        if (end == std::string_view::npos) refuse("the head does not end");
        const std::string_view line = head.substr(0, end);
        head.remove_prefix(end + 2);
        if (first)
            parse_request_line(line, request);
        else if (line.empty())
            break;
        else
            parse_header_line(line, request);
        first = false;
    }
    refuse_repeated(request);
    read_framing(request);
    read_connection(request);
    check_host(request, host_allowed);
    return request;
}

void ChunkedBody::take_size_digit(char c)
{
    if (c == '\r') {
        if (digits_ == 0) refuse("a chunk without size");
        state_ = State::size_lf;
        return;
    }
    const int value = hex_value(c);
    if (value < 0) refuse("a chunk size that is no number");
    if (++digits_ > 8) refuse("the body is too large", 413);
    left_ = left_ * 16 + static_cast<std::size_t>(value);
    if (left_ > size_max_ - body_.size()) refuse("the body is too large", 413);
}

std::size_t ChunkedBody::take(std::string_view bytes)
{
    const auto expect = [](char c, char wanted) {
        if (c != wanted) refuse("a chunk that does not end where it said");
    };
    std::size_t i = 0;
    while (i < bytes.size() && state_ != State::done) {
        if (state_ == State::data) {
            const std::size_t count = std::min(left_, bytes.size() - i);
            body_.append(bytes.substr(i, count));
            i += count;
            left_ -= count;
            if (left_ == 0) state_ = State::data_cr;
            continue;
        }
        const char c = bytes[i++];
        switch (state_) {
            case State::size:
                take_size_digit(c);
                break;
            case State::size_lf:
                expect(c, '\n');
                state_ = left_ == 0 ? State::last_cr : State::data;
                digits_ = 0;
                break;
            case State::data_cr:
                expect(c, '\r');
                state_ = State::data_lf;
                break;
            case State::data_lf:
                expect(c, '\n');
                state_ = State::size;
                break;
            case State::last_cr:
                if (c != '\r') refuse("trailers are not taken");
                state_ = State::last_lf;
                break;
            case State::last_lf:
                expect(c, '\n');
                state_ = State::done;
                break;
            case State::data:
            case State::done:
                break;
        }
    }
    return i;
}

}  // namespace jiphyeon
