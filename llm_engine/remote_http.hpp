// One request to the one server that a remote engine speaks to, and the answer as it comes.
//
// Poco speaks HTTP and TLS. Added to it here: a bound on everything that can be long, and a watch that cuts
// the connection when the caller cancels or the server keeps still for too long, wherever the caller's thread
// is stuck by then. Each request has a connection of its own: what a connection costs is little beside what a
// model's words cost, and there is nothing to be kept in step.
//
// Example:
//     HttpExchange exchange(server, "POST", "/completions", body, 60s, cancel);
//     if (exchange.status() == 200)
//         while (exchange.read(bytes)) …
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::remote {

// A failure after which the same request may succeed: nobody answers, too busy, too slow.
class Transient : public EngineError {
public:
    explicit Transient(const std::string& detail) : EngineError(Kind::lost, detail) {}
};

// The caller's flag was seen; told apart from all failures.
class Cancelled {};

class HttpServer {
public:
    // Throws EngineError bad_request: an address or a file of authorities that cannot be used.
    explicit HttpServer(const RemoteOptions& options);
    ~HttpServer();
    const std::string& url() const { return url_; }

private:
    friend class HttpExchange;
    struct Tls;
    struct Address;
    Address address() const;
    std::string url_;
    std::string host_, path_;
    std::uint16_t port_ = 0;
    std::unique_ptr<Tls> tls_;  // null: plain, on this machine
    std::string api_key_;
    std::chrono::milliseconds connect_timeout_;
};

class HttpExchange {
public:
    static constexpr std::size_t kAnswerMax = 16u << 20;  // bytes of a body

    // Sends and waits for the head of the answer. `server` and `cancel` must outlive this; `cancel` may be
    // null. `body`: JSON; empty for GET. `within`: see expect_within. Throws Transient, Cancelled,
    // EngineError: lost (a certificate that the authorities did not sign for this host), malformed (no HTTP).
    HttpExchange(const HttpServer& server, const std::string& method, const std::string& path,
                 const std::string& body, std::chrono::milliseconds within, const std::atomic<bool>* cancel);
    ~HttpExchange();  // closes: a server that still writes is told so

    int status() const;
    const std::string& content_type() const;  // without parameters, in lower case
    // From now on what was asked for must come within this time, or reading throws Transient. Mere bytes do
    // not count: servers send comments to show that they are alive.
    void expect_within(std::chrono::milliseconds time);
    // The next bytes of the body; false at its end, which a server that goes away brings about just so: only
    // what is read says whether it is complete. Throws as the constructor.
    bool read(std::string& bytes);
    // All that is left of the body. Throws malformed for more than `most`.
    std::string read_all(std::size_t most);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace jiphyeon::remote
