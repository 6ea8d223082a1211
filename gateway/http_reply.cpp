#include "http_reply.hpp"

#include <Poco/Net/NetException.h>
#include <poll.h>

namespace jiphyeon {
namespace {

// Scripts, styles and pictures of our own only; no frame around us, no form that posts elsewhere.
constexpr const char* kSecurityHeaders =
    "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    "frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Permissions-Policy: camera=(), microphone=(), geolocation=()\r\n"
    "Cache-Control: no-store\r\n";

const char* reason(int status)
{
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 413:
            return "Content Too Large";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 421:
            return "Misdirected Request";
        case 431:
            return "Request Header Fields Too Large";
        case 503:
            return "Service Unavailable";
        default:
            return "Internal Server Error";
    }
}

}  // namespace

void HttpReply::send(int status, std::string_view content_type, std::string_view body,
                     const HttpHeaders& further)
{
    begun_ = true;
    std::string bytes = "HTTP/1.1 " + std::to_string(status) + " " + reason(status) + "\r\n";
    bytes += kSecurityHeaders;
    bytes += "Content-Type: " + std::string(content_type) + "\r\n";
    bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    for (const auto& [name, value] : further) bytes.append(name).append(": ").append(value).append("\r\n");
    bytes += keep_alive_ ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    if (!head_only_) bytes += body;
    send_bytes(bytes);
}

void HttpReply::send_continue()
{
    send_bytes("HTTP/1.1 100 Continue\r\n\r\n");
}

void HttpReply::begin_stream(std::string_view content_type)
{
    begun_ = true;
    keep_alive_ = false;
    std::string bytes = "HTTP/1.1 200 OK\r\n";
    bytes += kSecurityHeaders;
    bytes += "Content-Type: " + std::string(content_type) +
             "\r\nX-Accel-Buffering: no\r\nConnection: close\r\n\r\n";
    send_bytes(bytes);
}

void HttpReply::write(std::string_view bytes)
{
    send_bytes(bytes);
}

void HttpReply::send_bytes(std::string_view bytes)
{
    watch_.deadline(write_limit_);
    while (!bytes.empty()) {
        const int sent =
            socket_.sendBytes(bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 16)));
        if (sent <= 0) throw Poco::Net::ConnectionResetException("nothing could be sent");
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    watch_.deadline(kComputing);
}

bool HttpReply::client_gone() const
{
    pollfd entry{.fd = socket_.impl()->sockfd(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

}  // namespace jiphyeon
