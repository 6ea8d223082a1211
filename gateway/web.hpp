// The web API over `Service`: which request is which call, who is calling, and how an error looks as HTTP.
//
// Browsers are known by the cookie __Host-jiphyeon and, for everything that changes or asks, the header
// X-CSRF-Token; programs by `Authorization: Bearer` with an API token, under /v1 alone.
//
// Threads: any number.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "http_reply.hpp"
#include "http_request.hpp"
#include "jiphyeon/gateway.hpp"
#include "messages.hpp"
#include "static_files.hpp"

namespace jiphyeon {

class Web {
public:
    Web(Service& service, const HttpsOptions& options, const std::atomic<bool>& stopping);

    // Answers in full. Throws Poco::Exception where the client is gone.
    void answer(const HttpRequest& request, HttpReply& reply);
    std::size_t body_max(const std::string& path) const;

private:
    struct Login {
        Caller caller;
        std::string token, csrf;
    };
    using Handler = void (Web::*)(const HttpRequest&, HttpReply&);
    void route(const HttpRequest& request, HttpReply& reply);
    bool route_document(const HttpRequest& request, HttpReply& reply);

    void health(const HttpRequest& request, HttpReply& reply);
    void login(const HttpRequest& request, HttpReply& reply);
    void logout(const HttpRequest& request, HttpReply& reply);
    void session(const HttpRequest& request, HttpReply& reply);
    void ask(const HttpRequest& request, HttpReply& reply);
    void search(const HttpRequest& request, HttpReply& reply);
    void documents(const HttpRequest& request, HttpReply& reply);
    void feedback(const HttpRequest& request, HttpReply& reply);
    void history(const HttpRequest& request, HttpReply& reply);
    void password(const HttpRequest& request, HttpReply& reply);
    void status(const HttpRequest& request, HttpReply& reply);
    // web_openai.cpp
    void chat_completions(const HttpRequest& request, HttpReply& reply);
    void models(const HttpRequest& request, HttpReply& reply);

    // Throws GatewayError not_logged_in, forbidden (no CSRF token, or sent from another site).
    Login logged_in(const HttpRequest& request) const;
    Login logged_in_and_meant(const HttpRequest& request) const;
    Caller bearer(const HttpRequest& request) const;
    void pass_on(const HttpRequest& request, HttpReply& reply, std::string_view method);

    // A stream holds a thread for as long as the model needs: some threads stay free for everybody else.
    class StreamPlace {
    public:
        StreamPlace(Web& web, const std::string& account);  // throws GatewayError busy
        ~StreamPlace();
        StreamPlace(const StreamPlace&) = delete;
        StreamPlace& operator=(const StreamPlace&) = delete;

    private:
        Web& web_;
        std::string account_;
    };

    Service& service_;
    const std::atomic<bool>& stopping_;
    StaticFiles files_;
    std::size_t body_max_, streams_max_;
    std::mutex streams_mutex_;
    std::map<std::string, std::size_t> streams_of_;
    std::size_t streams_ = 0;
};

int http_status(const std::exception& error);

}  // namespace jiphyeon
