// What goes back over one connection. Every answer, also every error, bears the security headers.
#pragma once

#include <Poco/Net/SecureStreamSocket.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "watchdog.hpp"

namespace jiphyeon {

// While we compute and nothing is written, no deadline runs: the steps of the work have limits of their own.
inline constexpr std::chrono::hours kComputing{24};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

class HttpReply {
public:
    HttpReply(Poco::Net::SecureStreamSocket& socket, Watchdog::Watch& watch, std::chrono::seconds write_limit)
        : socket_(socket), watch_(watch), write_limit_(write_limit)
    {
    }

    // All throw Poco::Exception when the client is gone or too slow.
    void send(int status, std::string_view content_type, std::string_view body,
              const HttpHeaders& further = {});
    void send_continue();
    // A body whose length is not known: ends with the connection.
    void begin_stream(std::string_view content_type);
    void write(std::string_view bytes);

    bool client_gone() const;  // he has closed his side; nothing is read
    void close_after() { keep_alive_ = false; }
    void without_body() { head_only_ = true; }
    bool keep_alive() const { return keep_alive_; }
    bool begun() const { return begun_; }

private:
    void send_bytes(std::string_view bytes);
    Poco::Net::SecureStreamSocket& socket_;
    Watchdog::Watch& watch_;
    std::chrono::seconds write_limit_;
    bool keep_alive_ = true, head_only_ = false, begun_ = false;
};

}  // namespace jiphyeon
