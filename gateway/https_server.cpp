// HTTPS on Poco's TCP server and TLS sockets, with our own reader of requests instead of Poco 1.11's HTTP
// server. That one takes bare line ends, headers without limit, two lengths, a length beside a transfer
// coding, decodes encoded words in headers into line breaks, knows no deadline for a whole request, and runs
// the unread body of one request as the next. Here a head is read strictly (http_request.hpp) and a body is
// read to its end before anything is answered, so nothing can be left over; what is refused closes the
// connection.
//
// Auditors and the administrator work through the control socket, which a flood of readers cannot fill.
#include <Poco/ErrorHandler.h>
#include <Poco/Exception.h>
#include <Poco/Net/SecureServerSocket.h>
#include <Poco/Net/SecureStreamSocket.h>
#include <Poco/Net/TCPServer.h>
#include <Poco/Net/TCPServerConnection.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/ThreadPool.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "jiphyeon/gateway.hpp"
#include "operator_log.hpp"
#include "tls.hpp"
#include "watchdog.hpp"
#include "web.hpp"

namespace jiphyeon {
namespace {

using std::chrono::seconds;

constexpr seconds kIdle{5};     // between two requests of a connection
constexpr seconds kClosing{2};  // for the last bytes of a connection that we end
constexpr int kRequestsPerConnection = 100;
constexpr int kQueued = 32;  // accepted, but no thread yet
constexpr std::size_t kReadAtOnce = 16384;
constexpr std::size_t kDrained = 1u << 20;  // bytes taken in after our last answer

// What Poco's own threads throw (accept, TLS of a stranger) is counted and told to the operator.
class ThreadErrors : public Poco::ErrorHandler {
public:
    void exception(const Poco::Exception& error) override
    {
        log_line("thread of the server", error.displayText());
    }
    void exception(const std::exception& error) override { log_line("thread of the server", error.what()); }
    void exception() override { log_line("thread of the server", "an exception of unknown kind"); }
};

struct Shared {
    Shared(Service& service, const HttpsOptions& given) : options(given), web(service, options, stopping)
    {
        hosts = {"localhost", "127.0.0.1", "[::1]"};
        for (const std::string& host : given.hosts) hosts.push_back(host);
        if (given.address != "0.0.0.0" && given.address != "::") hosts.push_back(given.address);
        for (std::string& host : hosts)
            std::transform(host.begin(), host.end(), host.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            });
    }

    bool host_allowed(std::string_view host) const
    {
        return std::find(hosts.begin(), hosts.end(), host) != hosts.end();
    }

    HttpsOptions options;
    std::atomic<bool> stopping = false;
    std::vector<std::string> hosts;
    Web web;
    Watchdog watchdog;
    std::mutex mutex;
    std::map<std::string, unsigned> connections_of;  // by client address, those that have a thread
    std::atomic<std::uint64_t> refused = 0;
};

class AddressCap : public Poco::Net::TCPServerConnectionFilter {
public:
    explicit AddressCap(Shared& shared) : shared_(shared) {}
    bool accept(const Poco::Net::StreamSocket& socket) override
    {
        const std::string address = socket.peerAddress().host().toString();
        const std::lock_guard lock(shared_.mutex);
        const auto found = shared_.connections_of.find(address);
        return found == shared_.connections_of.end() ||
               found->second < shared_.options.connections_per_address;
    }

private:
    Shared& shared_;
};

class Connection : public Poco::Net::TCPServerConnection {
public:
    Connection(const Poco::Net::StreamSocket& socket, Shared& shared)
        : TCPServerConnection(socket), shared_(shared), socket_(socket)
    {
        address_ = socket.peerAddress().host().toString();
        const std::lock_guard lock(shared_.mutex);
        ++shared_.connections_of[address_];
    }

    ~Connection() override
    {
        const std::lock_guard lock(shared_.mutex);
        if (--shared_.connections_of[address_] == 0) shared_.connections_of.erase(address_);
    }

    void run() override
    {
        Watchdog::Watch watch(shared_.watchdog, socket_.impl()->sockfd());
        try {
            const Poco::Timespan write_limit(shared_.options.write_s, 0);
            socket_.setSendTimeout(write_limit);
            socket_.setReceiveTimeout(
                Poco::Timespan(std::max(shared_.options.header_s, shared_.options.body_s), 0));
            socket_.setNoDelay(true);
            serve(watch);
        } catch (const Poco::Exception& gone) {
            if (watch.expired()) log_line("connection cut at its deadline", address_);
        } catch (const std::exception& error) {
            log_incident("connection", error.what());
        }
    }

private:
    void serve(Watchdog::Watch& watch)
    {
        for (int count = 1; count <= kRequestsPerConnection && !shared_.stopping; ++count) {
            // The first byte of a further request may be long in coming; from then on the head has its limit.
            if (count > 1 && buffer_.empty()) {
                watch.deadline(kIdle);
                if (!receive()) return;
            }
            watch.deadline(seconds(shared_.options.header_s));
            HttpReply reply(socket_, watch, seconds(shared_.options.write_s));
            try {
                std::optional<HttpRequest> request = read_request(watch, reply);
                if (!request) return;
                request->origin = address_;
                if (request->wants_close || count == kRequestsPerConnection || shared_.stopping)
                    reply.close_after();
                watch.deadline(kComputing);
                shared_.web.answer(*request, reply);
            } catch (const HttpRefused& refused) {
                ++shared_.refused;
                log_line("request refused from " + address_, refused.what());
                reply.close_after();
                reply.send(
                    refused.status, "application/json; charset=utf-8",
                    R"({"error":{"kind":"bad_request","message":"malformed request","where":"gateway"}})");
            }
            if (!reply.keep_alive()) return end(watch);
        }
    }

    // nullopt: the client has ended the connection before a request began.
    std::optional<HttpRequest> read_request(Watchdog::Watch& watch, HttpReply& reply)
    {
        std::optional<std::size_t> end = head_end(buffer_);
        while (!end) {
            if (!receive()) {
                if (buffer_.empty()) return std::nullopt;
                throw HttpRefused(400, "the head was cut off");
            }
            end = head_end(buffer_);
        }
        HttpRequest request =
            parse_head(std::string_view(buffer_).substr(0, *end),
                       [this](std::string_view host) { return shared_.host_allowed(host); });
        buffer_.erase(0, *end);
        watch.deadline(seconds(shared_.options.body_s));
        const std::size_t limit = shared_.web.body_max(request.path);
        if (request.content_length > limit) throw HttpRefused(413, "the body is too large");
        if (request.expects_continue && (request.chunked || request.content_length > buffer_.size()))
            reply.send_continue();
        watch.deadline(seconds(shared_.options.body_s));
        if (request.chunked) {
            ChunkedBody body(limit);
            while (true) {
                buffer_.erase(0, body.take(buffer_));
                if (body.done()) break;
                if (!receive()) throw HttpRefused(400, "the body was cut off");
            }
            request.body = std::move(body.body());
        } else {
            while (buffer_.size() < request.content_length)
                if (!receive()) throw HttpRefused(400, "the body was cut off");
            request.body = buffer_.substr(0, request.content_length);
            buffer_.erase(0, request.content_length);
        }
        return request;
    }

    bool receive()
    {
        char bytes[kReadAtOnce];
        const int count = socket_.receiveBytes(bytes, sizeof bytes);
        if (count <= 0) return false;
        buffer_.append(bytes, static_cast<std::size_t>(count));
        return true;
    }

    // Says that this was all (TLS's close_notify, then FIN) and takes in what still comes: bytes of the
    // client that nobody reads would make the kernel reset the connection and take our answer with it. Poco's
    // own shutdown closes both directions, except on a socket that does not block.
    void end(Watchdog::Watch& watch)
    {
        watch.deadline(kClosing);
        socket_.setBlocking(false);
        socket_.shutdown();
        const int fd = socket_.impl()->sockfd();
        ::shutdown(fd, SHUT_WR);
        char bytes[kReadAtOnce];
        for (std::size_t drained = 0; drained < kDrained && !watch.expired();) {
            pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
            if (::poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(kClosing).count())) <= 0) return;
            const ssize_t count = ::recv(fd, bytes, sizeof bytes, 0);
            if (count <= 0) return;
            drained += static_cast<std::size_t>(count);
        }
    }

    Shared& shared_;
    Poco::Net::SecureStreamSocket socket_;
    std::string address_;
    std::string buffer_;  // received, not yet used
};

class ConnectionFactory : public Poco::Net::TCPServerConnectionFactory {
public:
    explicit ConnectionFactory(Shared& shared) : shared_(shared) {}
    Poco::Net::TCPServerConnection* createConnection(const Poco::Net::StreamSocket& socket) override
    {
        return new Connection(socket, shared_);  // Poco takes it over
    }

private:
    Shared& shared_;
};

}  // namespace

struct HttpsServer::State {
    State(Service& service, const HttpsOptions& options)
        : shared(service, options), pool("https", 2, static_cast<int>(std::max(2u, options.threads)))
    {
        previous_errors = Poco::ErrorHandler::set(&errors);
    }
    ~State() { Poco::ErrorHandler::set(previous_errors); }

    ThreadErrors errors;
    Poco::ErrorHandler* previous_errors = nullptr;
    Shared shared;
    Poco::ThreadPool pool;
    std::unique_ptr<Poco::Net::TCPServer> server;
    std::uint16_t port = 0;
    std::mutex stopping;
};

HttpsServer::HttpsServer(Service& service, const HttpsOptions& options)
    : state_(std::make_unique<State>(service, options))
{
    const Poco::Net::Context::Ptr context = tls_context(options);
    try {
        const Poco::Net::SecureServerSocket socket(Poco::Net::SocketAddress(options.address, options.port),
                                                   64, context);
        Poco::Net::TCPServerParams::Ptr params(new Poco::Net::TCPServerParams);
        params->setMaxThreads(static_cast<int>(std::max(2u, options.threads)));
        params->setMaxQueued(kQueued);
        params->setThreadIdleTime(Poco::Timespan(10, 0));
        state_->server = std::make_unique<Poco::Net::TCPServer>(new ConnectionFactory(state_->shared),
                                                                state_->pool, socket, params);
        state_->server->setConnectionFilter(new AddressCap(state_->shared));
        state_->port = state_->server->port();
        state_->server->start();
    } catch (const Poco::Exception& error) {
        throw GatewayError(GatewayError::Kind::io, "cannot listen: " + error.displayText());
    }
}

HttpsServer::~HttpsServer()
{
    stop();
}

std::uint16_t HttpsServer::port() const
{
    return state_->port;
}

void HttpsServer::stop()
{
    const std::lock_guard once(state_->stopping);
    if (!state_->server) return;
    state_->shared.stopping = true;
    state_->server->stop();
    state_->shared.watchdog.close_all_after(kClosing);
    state_->pool.joinAll();
    state_->server.reset();  // closes the listening socket: who comes now is refused, not left waiting
}

}  // namespace jiphyeon
