// A server on loopback that does to each connection what the test says, right or wrong, over a real socket.
#pragma once

#include <Poco/Net/NetException.h>
#include <Poco/Net/SecureServerSocket.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocket.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace jiphyeon::test {

class Connection {
public:
    explicit Connection(Poco::Net::StreamSocket socket) : socket_(std::move(socket))
    {
        socket_.setReceiveTimeout(Poco::Timespan(10, 0));
        socket_.setNoDelay(true);
    }
    // Head and body; empty where the client closed before.
    std::string read_request()
    {
        std::string request;
        std::size_t wanted = std::string::npos;
        while (request.size() < wanted) {
            char bytes[4096];
            const int count = socket_.receiveBytes(bytes, sizeof bytes);
            if (count <= 0) return {};
            request.append(bytes, static_cast<std::size_t>(count));
            const std::size_t head = request.find("\r\n\r\n");
            if (head == std::string::npos) continue;
            const std::size_t length = request.find("Content-Length: ");
            wanted = head + 4 + (length < head ? std::stoul(request.substr(length + 16)) : 0);
        }
        return request;
    }
    // False when the client is gone.
    bool send(std::string_view bytes)
    {
        try {
            while (!bytes.empty()) {
                const int count = socket_.sendBytes(bytes.data(), static_cast<int>(bytes.size()));
                if (count <= 0) return false;
                bytes.remove_prefix(static_cast<std::size_t>(count));
            }
            return true;
        } catch (const Poco::Exception&) {
            return false;
        }
    }
    bool send_stream_head()
    {
        return send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n");
    }
    bool send_json(int status, const std::string& body)
    {
        return send("HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    static std::string event(const std::string& text, const char* finish = nullptr)
    {
        const nlohmann::json event{
            {"model", "small-v1"},
            {"choices",
             {{{"text", text}, {"finish_reason", finish == nullptr ? nlohmann::json() : finish}}}}};
        return "data: " + event.dump() + "\n\n";
    }
    // A whole answer, as a good server gives it.
    bool send_words(const std::vector<std::string>& words, const char* finish = "stop")
    {
        if (!send_stream_head()) return false;
        for (const std::string& word : words)
            if (!send(event(word))) return false;
        return send(event("", finish) + "data: [DONE]\n\n");
    }
    // Waits until the client hangs up; false after ten seconds.
    bool sees_the_end()
    {
        try {
            char byte = 0;
            return socket_.receiveBytes(&byte, 1) <= 0;
        } catch (const Poco::TimeoutException&) {
            return false;
        } catch (const Poco::Exception&) {
            return true;  // reset
        }
    }

private:
    Poco::Net::StreamSocket socket_;
};

class HttpScript {
public:
    // Answers the n-th request to /completions; the last one also answers all after it. /models is answered
    // properly, with the model "small", unless there is a `models`.
    using Act = std::function<void(Connection&, const nlohmann::json& body)>;

    explicit HttpScript(std::vector<Act> acts, Act models = {}, Poco::Net::Context::Ptr tls = {})
        : acts_(std::move(acts)),
          models_(std::move(models)),
          socket_(tls ? Poco::Net::SecureServerSocket(Poco::Net::SocketAddress("127.0.0.1", 0), 64, tls)
                      : Poco::Net::ServerSocket(Poco::Net::SocketAddress("127.0.0.1", 0)))
    {
        ::signal(SIGPIPE, SIG_IGN);
        thread_ = std::thread([this] { run(); });
    }
    ~HttpScript()
    {
        stop_ = true;
        thread_.join();
        for (std::thread& each : connections_) each.join();
    }
    std::string host() const { return "127.0.0.1:" + std::to_string(socket_.address().port()); }
    std::string url() const { return "http://" + host() + "/v1"; }
    // Bodies of the requests to /completions so far.
    std::vector<nlohmann::json> requests()
    {
        const std::lock_guard lock(mutex_);
        return requests_;
    }
    std::vector<std::string> heads()
    {
        const std::lock_guard lock(mutex_);
        return heads_;
    }

private:
    void run()
    {
        while (!stop_) {
            if (!socket_.poll(Poco::Timespan(0, 10'000), Poco::Net::Socket::SELECT_READ)) continue;
            try {
                connections_.emplace_back(
                    [this, connection = Connection(socket_.acceptConnection())]() mutable {
                        try {
                            serve(connection);
                        } catch (const Poco::Exception&) {
                            // The client is gone.
                        }
                    });
            } catch (const Poco::Exception&) {
                // The client is gone already.
            }
        }
    }
    void serve(Connection& connection)
    {
        const std::string request = connection.read_request();
        if (request.empty()) return;
        const std::size_t head = request.find("\r\n\r\n");
        if (request.starts_with("GET /v1/models ")) {
            if (models_)
                models_(connection, {});
            else
                connection.send_json(200, R"({"data": [{"id": "other"}, {"id": "small"}]})");
            return;
        }
        const nlohmann::json body = nlohmann::json::parse(request.substr(head + 4));
        Act act;
        {
            const std::lock_guard lock(mutex_);
            heads_.push_back(request.substr(0, head));
            requests_.push_back(body);
            act = acts_.at(std::min(requests_.size(), acts_.size()) - 1);
        }
        act(connection, body);
    }

    std::vector<Act> acts_;
    Act models_;
    Poco::Net::ServerSocket socket_;
    std::mutex mutex_;
    std::vector<nlohmann::json> requests_;
    std::vector<std::string> heads_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
    std::vector<std::thread> connections_;  // of thread_ alone, until it has ended
};

}  // namespace jiphyeon::test
