#include "remote_http.hpp"

#include <Poco/Exception.h>
#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SSLException.h>
#include <Poco/Net/SecureStreamSocket.h>
#include <Poco/URI.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace jiphyeon::remote {
namespace {

using Kind = EngineError::Kind;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kCancelPoll{20};                   // how soon the caller's `cancel` flag is seen
const Poco::Timespan kLongerThanAnyWatch(1, 0, 0, 0, 0);  // a day
constexpr const char* kTls12 =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES128-GCM-SHA256";

Poco::Timespan timespan(milliseconds time)
{
    return {time.count() * Poco::Timespan::MILLISECONDS};
}

// Cuts a connection that its user waits on for too long, or no longer wants. Shutting the socket down is all
// that it does to it: the user's thread then finds the connection ended, and asks here why.
class Watch {
public:
    enum class Reason { none, cancelled, late };

    Watch(int fd, const std::atomic<bool>* cancel, milliseconds first)
        : deadline_(Clock::now() + first), thread_([this, fd, cancel](const std::stop_token& stop) {
              std::unique_lock lock(mutex_);
              while (!wake_.wait_for(lock, stop, kCancelPoll, [&] { return stop.stop_requested(); })) {
                  if (cancel != nullptr && *cancel)
                      reason_ = Reason::cancelled;
                  else if (Clock::now() > deadline_)
                      reason_ = Reason::late;
                  else
                      continue;
                  ::shutdown(fd, SHUT_RDWR);
                  return;
              }
          })
    {
    }

    void expect_within(milliseconds time)
    {
        const std::lock_guard lock(mutex_);
        deadline_ = Clock::now() + time;
    }
    Reason reason()
    {
        const std::lock_guard lock(mutex_);
        return reason_;
    }

private:
    std::mutex mutex_;
    std::condition_variable_any wake_;
    Clock::time_point deadline_;
    Reason reason_ = Reason::none;
    std::jthread thread_;  // last: it uses the others
};

}  // namespace

struct HttpServer::Tls {
    Poco::Net::Context::Ptr context;
};

struct HttpServer::Address {
    Poco::Net::SocketAddress of;
};

// Looked up each time: a server may move. Without TLS it may not leave this machine.
HttpServer::Address HttpServer::address() const
{
    const Address address{Poco::Net::SocketAddress(host_, port_)};
    if (!tls_ && !address.of.host().isLoopback())
        throw EngineError(Kind::bad_request, "the server's address " + url_ +
                                                 ": without TLS only a server on this machine is spoken to");
    return address;
}

HttpServer::HttpServer(const RemoteOptions& options)
    : api_key_(options.api_key), connect_timeout_(options.connect_timeout)
{
    const auto refuse = [&](const std::string& why) {
        throw EngineError(Kind::bad_request, "the server's address " + options.url + ": " + why);
    };
    if (std::any_of(api_key_.begin(), api_key_.end(), [](char c) { return c <= ' ' || c == 0x7F; }))
        throw EngineError(Kind::bad_request, "the server's key has characters that no key has");
    try {
        const Poco::URI uri(options.url);
        if (uri.getScheme() != "https" && uri.getScheme() != "http") refuse("neither https:// nor http://");
        if (uri.getHost().empty()) refuse("no host");
        if (!uri.getUserInfo().empty() || !uri.getRawQuery().empty() || !uri.getFragment().empty())
            refuse("only scheme, host, port and path have a place in it");
        url_ = options.url;
        host_ = uri.getHost();
        port_ = uri.getPort();
        path_ = uri.getPath();
        while (path_.ends_with('/')) path_.pop_back();
        if (uri.getScheme() == "http") {
            address();
            return;
        }
        if (options.authorities.empty()) refuse("https:// needs a file of authorities");
        // Strict: every other mode lets any name pass for a server on this machine.
        tls_ = std::make_unique<Tls>();
        tls_->context =
            new Poco::Net::Context(Poco::Net::Context::TLS_CLIENT_USE, "", "", options.authorities.string(),
                                   Poco::Net::Context::VERIFY_STRICT, 9, false, kTls12);
        tls_->context->requireMinimumProtocol(Poco::Net::Context::PROTO_TLSV1_2);
    } catch (const Poco::Exception& error) {
        refuse(error.displayText());
    }
}

HttpServer::~HttpServer() = default;

struct HttpExchange::State {
    Poco::Net::StreamSocket socket;
    std::unique_ptr<Poco::Net::HTTPClientSession> session;
    Poco::Net::HTTPResponse response;
    std::istream* body = nullptr;  // of the session
    std::string content_type;
    std::size_t read = 0;
    std::unique_ptr<Watch> watch;  // last: it goes before the socket's number can be another's

    // Why the connection came to an end, where we ended it ourselves.
    void check_watch() const
    {
        switch (watch->reason()) {
            case Watch::Reason::none:
                return;
            case Watch::Reason::cancelled:
                throw Cancelled();
            case Watch::Reason::late:
                throw Transient("the server keeps still for too long");
        }
    }
};

HttpExchange::HttpExchange(const HttpServer& server, const std::string& method, const std::string& path,
                           const std::string& body, milliseconds within, const std::atomic<bool>* cancel)
    : state_(std::make_unique<State>())
{
    State& s = *state_;
    const std::string who = "the server " + server.url_ + ": ";
    if (cancel != nullptr && *cancel) throw Cancelled();
    try {
        s.socket.connect(server.address().of, timespan(server.connect_timeout_));
    } catch (const Poco::Exception& error) {
        throw Transient(who + error.displayText());
    }
    try {
        s.watch = std::make_unique<Watch>(s.socket.impl()->sockfd(), cancel, within);
        s.socket.setReceiveTimeout(kLongerThanAnyWatch);
        s.socket.setSendTimeout(kLongerThanAnyWatch);
        s.socket.setNoDelay(true);
        if (server.tls_) {
            auto secure = Poco::Net::SecureStreamSocket::attach(s.socket, server.host_, server.tls_->context);
            secure.verifyPeerCertificate(server.host_);
            s.socket = secure;
        }
        // Of the plain class in both cases: the one for HTTPS connects by itself.
        s.session = std::make_unique<Poco::Net::HTTPClientSession>(s.socket);
        s.session->setTimeout(kLongerThanAnyWatch);

        Poco::Net::HTTPRequest request(method, server.path_ + path, Poco::Net::HTTPMessage::HTTP_1_1);
        request.setHost(server.host_, server.port_);
        request.set("Accept", "application/json, text/event-stream");
        if (!server.api_key_.empty()) request.set("Authorization", "Bearer " + server.api_key_);
        if (!body.empty()) {
            request.setContentType("application/json");
            request.setContentLength64(static_cast<Poco::Int64>(body.size()));
        }
        std::ostream& out = s.session->sendRequest(request);
        out << body << std::flush;
        s.body = &s.session->receiveResponse(s.response);
    } catch (const Poco::Net::CertificateValidationException& error) {
        throw EngineError(Kind::lost, who + error.displayText());
    } catch (const Poco::Net::SSLException& error) {
        s.check_watch();
        throw EngineError(Kind::lost, who + error.displayText());
    } catch (const Poco::Net::MessageException& error) {
        s.check_watch();
        // No answer at all is what a server that restarts looks like.
        if (dynamic_cast<const Poco::Net::NoMessageException*>(&error) != nullptr)
            throw Transient(who + "it closed the connection");
        throw EngineError(Kind::malformed, who + error.displayText());
    } catch (const Poco::Exception& error) {
        s.check_watch();
        throw Transient(who + error.displayText());
    }
    s.content_type = s.response.getContentType();
    s.content_type.resize(std::min(s.content_type.size(), s.content_type.find(';')));
    std::transform(s.content_type.begin(), s.content_type.end(), s.content_type.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
}

HttpExchange::~HttpExchange() = default;

int HttpExchange::status() const
{
    return state_->response.getStatus();
}

const std::string& HttpExchange::content_type() const
{
    return state_->content_type;
}

void HttpExchange::expect_within(milliseconds time)
{
    state_->watch->expect_within(time);
}

bool HttpExchange::read(std::string& bytes)
{
    State& s = *state_;
    // Waits for one byte, then takes what came with it.
    const bool any = s.body->peek() != std::istream::traits_type::eof();
    s.check_watch();
    if (!any) {
        if (s.body->bad()) throw Transient("the connection broke off");
        return false;
    }
    bytes.resize(16u << 10);
    bytes.resize(
        static_cast<std::size_t>(s.body->readsome(bytes.data(), static_cast<std::streamsize>(bytes.size()))));
    s.read += bytes.size();
    if (s.read > kAnswerMax) throw EngineError(Kind::malformed, "the server's answer has no end");
    return true;
}

std::string HttpExchange::read_all(std::size_t most)
{
    std::string all, bytes;
    while (read(bytes)) {
        if (bytes.size() > most - all.size())
            throw EngineError(Kind::malformed, "the server's answer is longer than any should be");
        all += bytes;
    }
    return all;
}

}  // namespace jiphyeon::remote
