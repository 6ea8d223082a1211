#include "web.hpp"

#include <Poco/Exception.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "operator_log.hpp"

namespace jiphyeon {
namespace {

constexpr const char* kCookie = "__Host-jiphyeon";
constexpr const char* kCookieRules = "; Path=/; Secure; HttpOnly; SameSite=Strict";
constexpr const char* kJson = "application/json; charset=utf-8";
constexpr const char* kEvents = "text/event-stream; charset=utf-8";
constexpr std::size_t kLoginBodyMax = 4096;
constexpr std::size_t kThreadsKeptFree = 4;
constexpr std::size_t kStreamsPerAccount = 3;
constexpr auto kHeartbeat = std::chrono::seconds(10);

[[noreturn]] void fail(GatewayError::Kind kind, const std::string& what)
{
    throw GatewayError(kind, what);
}

void send_json(HttpReply& reply, std::string_view body, const HttpHeaders& further = {})
{
    reply.send(200, kJson, body, further);
}

void require_json(const HttpRequest& request)
{
    const std::string* type = request.header("content-type");
    // No HTML form can send this type, so no other site's page can without our consent.
    if (type == nullptr || !type->starts_with("application/json"))
        fail(GatewayError::Kind::bad_request, "Content-Type: application/json");
}

// Browsers say where a request comes from; where they say it, it must be from our own page.
void require_own_site(const HttpRequest& request)
{
    const std::string* site = request.header("sec-fetch-site");
    if (site != nullptr && *site != "same-origin" && *site != "none")
        fail(GatewayError::Kind::forbidden, "다른 사이트에서 보낸 요청입니다.");
    const std::string* origin = request.header("origin");
    if (origin != nullptr && *origin != "https://" + *request.header("host"))
        fail(GatewayError::Kind::forbidden, "다른 사이트에서 보낸 요청입니다.");
}

}  // namespace

int http_status(const std::exception& error)
{
    if (const auto* ours = dynamic_cast<const GatewayError*>(&error)) {
        switch (ours->kind) {
            case GatewayError::Kind::bad_request:
                return 400;
            case GatewayError::Kind::not_logged_in:
                return 401;
            case GatewayError::Kind::forbidden:
                return 403;
            case GatewayError::Kind::not_found:
                return 404;
            case GatewayError::Kind::conflict:
                return 409;
            case GatewayError::Kind::busy:
            case GatewayError::Kind::unavailable:
                return 503;
            case GatewayError::Kind::io:
                return 500;
        }
    }
    if (const auto* policy = dynamic_cast<const PolicyError*>(&error))
        return policy->kind == PolicyError::Kind::not_allowed ? 403 : 400;
    if (const auto* audit = dynamic_cast<const AuditError*>(&error))
        return audit->kind == AuditError::Kind::not_found || audit->kind == AuditError::Kind::erased ? 404
                                                                                                     : 503;
    if (const auto* retriever = dynamic_cast<const RetrieverError*>(&error))
        return retriever->kind == RetrieverError::Kind::bad_request ? 400 : 500;
    if (const auto* engine = dynamic_cast<const EngineError*>(&error))
        return engine->kind == EngineError::Kind::lost ? 503 : 500;
    return 500;
}

Web::Web(Service& service, const HttpsOptions& options, const std::atomic<bool>& stopping)
    : service_(service),
      stopping_(stopping),
      files_(options.ui),
      body_max_(options.body_bytes_max),
      streams_max_(options.threads > 2 * kThreadsKeptFree ? options.threads - kThreadsKeptFree
                                                          : std::max(1u, options.threads / 2))
{
}

std::size_t Web::body_max(const std::string& path) const
{
    return path == "/api/login" || path == "/api/password" ? std::min(kLoginBodyMax, body_max_) : body_max_;
}

void Web::answer(const HttpRequest& request, HttpReply& reply)
{
    try {
        route(request, reply);
    } catch (const Poco::Exception&) {
        throw;  // the connection: there is nobody to answer
    } catch (const std::exception& error) {
        if (reply.begun()) throw;
        HttpHeaders further;
        const int status = http_status(error);
        if (status == 401 && request.path.starts_with("/v1/"))
            further.emplace_back("WWW-Authenticate", "Bearer");
        if (status == 503) further.emplace_back("Retry-After", "10");
        reply.send(status, kJson, error_json(error), further);
    }
}

void Web::route(const HttpRequest& request, HttpReply& reply)
{
    struct Route {
        std::string_view method, path;
        Handler handler;
    };
    static constexpr std::array<Route, 14> kRoutes = {{
        {"GET", "/healthz", &Web::health},
        {"POST", "/api/login", &Web::login},
        {"POST", "/api/logout", &Web::logout},
        {"GET", "/api/session", &Web::session},
        {"POST", "/api/ask", &Web::ask},
        {"POST", "/api/search", &Web::search},
        {"GET", "/api/documents", &Web::documents},
        {"POST", "/api/feedback", &Web::feedback},
        {"GET", "/api/history", &Web::history},
        {"POST", "/api/password", &Web::password},
        {"GET", "/api/status", &Web::status},
        {"POST", "/v1/chat/completions", &Web::chat_completions},
        {"GET", "/v1/models", &Web::models},
        {"GET", "/api/healthz", &Web::health},
    }};
    const bool head = request.method == "HEAD";
    if (head) reply.without_body();
    const std::string_view method = head ? std::string_view("GET") : std::string_view(request.method);
    bool path_known = false;
    for (const Route& candidate : kRoutes) {
        if (candidate.path != request.path) continue;
        path_known = true;
        if (candidate.method == method) return (this->*candidate.handler)(request, reply);
    }
    if (method == "GET" && route_document(request, reply)) return;
    if (const StaticFiles::File* file = files_.find(request.path)) {
        path_known = true;
        if (method == "GET") return reply.send(200, file->type, file->bytes);
    }
    if (path_known) {
        reply.send(405, kJson,
                   R"({"error":{"kind":"bad_request","message":"method not allowed","where":"gateway"}})");
        return;
    }
    fail(GatewayError::Kind::not_found, "그런 주소가 없습니다.");
}

// /api/documents/{id} and /api/documents/{id}/pages/{n}.png
bool Web::route_document(const HttpRequest& request, HttpReply& reply)
{
    constexpr std::string_view kBefore = "/api/documents/", kPages = "/pages/", kPng = ".png";
    if (!request.path.starts_with(kBefore)) return false;
    require_own_site(request);
    const Caller caller = logged_in(request).caller;
    const std::string_view rest = std::string_view(request.path).substr(kBefore.size());
    const std::size_t pages = rest.rfind(kPages);
    if (pages == std::string_view::npos || !rest.ends_with(kPng)) {
        send_json(reply, service_.call(caller, "document", print({{"id", rest}}), {}));
        return true;
    }
    const std::string_view number =
        rest.substr(pages + kPages.size(), rest.size() - pages - kPages.size() - kPng.size());
    std::uint32_t page = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), page);
    std::optional<std::string> image;
    if (error == std::errc() && end == number.data() + number.size())
        image = service_.page_image(caller, rest.substr(0, pages), page);
    if (!image) fail(GatewayError::Kind::not_found, "보여 드릴 쪽 그림이 없습니다.");
    reply.send(200, "image/png", *image);
    return true;
}

Web::Login Web::logged_in(const HttpRequest& request) const
{
    if (const std::optional<std::string> token = request.cookie(kCookie)) {
        const std::optional<Caller> caller = service_.session(*token, request.origin);
        const std::optional<std::string> csrf = caller ? service_.csrf(*token) : std::nullopt;
        if (csrf) return {.caller = *caller, .token = *token, .csrf = *csrf};
    }
    fail(GatewayError::Kind::not_logged_in, "로그인이 필요합니다.");
}

Web::Login Web::logged_in_and_meant(const HttpRequest& request) const
{
    require_own_site(request);
    Login login = logged_in(request);
    const std::string* csrf = request.header("x-csrf-token");
    if (csrf == nullptr || !crypto::equal(*csrf, login.csrf))
        fail(GatewayError::Kind::forbidden, "요청을 확인할 수 없습니다. 화면을 새로 고쳐 주십시오.");
    return login;
}

Caller Web::bearer(const HttpRequest& request) const
{
    constexpr std::string_view kScheme = "Bearer ";
    const std::string* authorization = request.header("authorization");
    if (authorization != nullptr && authorization->starts_with(kScheme))
        if (std::optional<Caller> caller =
                service_.api_token(std::string_view(*authorization).substr(kScheme.size()), request.origin))
            return *caller;
    fail(GatewayError::Kind::not_logged_in, "API 토큰이 필요합니다.");
}

void Web::pass_on(const HttpRequest& request, HttpReply& reply, std::string_view method)
{
    const Login login = logged_in_and_meant(request);
    require_json(request);
    send_json(reply, service_.call(login.caller, method, request.body, {}));
}

void Web::health(const HttpRequest&, HttpReply& reply)
{
    if (service_.healthy())
        send_json(reply, R"({"healthy":true})");
    else
        reply.send(503, kJson, R"({"healthy":false})");
}

void Web::login(const HttpRequest& request, HttpReply& reply)
{
    require_own_site(request);
    require_json(request);
    const Json body = parse_object(request.body);
    const Fields fields(body);
    const Service::Login login =
        service_.login(fields.text("account"), fields.text("password"), request.origin);
    send_json(reply, print({{"csrf", login.csrf}, {"must_change_password", login.must_change_password}}),
              {{"Set-Cookie", std::string(kCookie) + "=" + login.token + kCookieRules}});
}

void Web::logout(const HttpRequest& request, HttpReply& reply)
{
    service_.logout(logged_in_and_meant(request).token);
    send_json(reply, "{}",
              {{"Set-Cookie", std::string(kCookie) + "=" + kCookieRules + "; Max-Age=0"},
               {"Clear-Site-Data", "\"cache\", \"storage\""}});
}

void Web::session(const HttpRequest& request, HttpReply& reply)
{
    require_own_site(request);
    const Login login = logged_in(request);
    Json body = parse_object(service_.call(login.caller, "whoami", "{}", {}));
    body["csrf"] = login.csrf;
    send_json(reply, print(body));
}

void Web::search(const HttpRequest& request, HttpReply& reply)
{
    pass_on(request, reply, "search");
}
void Web::feedback(const HttpRequest& request, HttpReply& reply)
{
    pass_on(request, reply, "feedback");
}
void Web::password(const HttpRequest& request, HttpReply& reply)
{
    pass_on(request, reply, "change_password");
}

void Web::documents(const HttpRequest& request, HttpReply& reply)
{
    require_own_site(request);
    send_json(reply, service_.call(logged_in(request).caller, "documents", "{}", {}));
}

void Web::history(const HttpRequest& request, HttpReply& reply)
{
    require_own_site(request);
    send_json(reply, service_.call(logged_in(request).caller, "history", "{}", {}));
}

void Web::status(const HttpRequest& request, HttpReply& reply)
{
    require_own_site(request);
    send_json(reply, service_.call(logged_in(request).caller, "status", "{}", {}));
}

void Web::ask(const HttpRequest& request, HttpReply& reply)
{
    const Login login = logged_in_and_meant(request);
    require_json(request);
    const StreamPlace place(*this, login.caller.account);
    parse_object(request.body);  // what is malformed is told as an ordinary error, before the stream begins
    reply.begin_stream(kEvents);
    auto last_sign = std::chrono::steady_clock::now();
    const auto send = [&](std::string_view name, std::string_view data) {
        reply.write("event: " + std::string(name) + "\ndata: " + std::string(data) + "\n\n");
        last_sign = std::chrono::steady_clock::now();
    };
    const auto on_event = [&](std::string_view event) {
        if (stopping_ || reply.client_gone()) return false;
        const std::string name = parse_object(event).at("event").get<std::string>();
        if (name != "alive") {
            send(name, event);
        } else if (std::chrono::steady_clock::now() - last_sign >= kHeartbeat) {
            reply.write(": \n\n");
            last_sign = std::chrono::steady_clock::now();
        }
        return true;
    };
    try {
        send("done", service_.call(login.caller, "ask", request.body, on_event));
    } catch (const Poco::Exception&) {
        throw;
    } catch (const std::exception& error) {
        send("error", error_json(error));
    }
}

Web::StreamPlace::StreamPlace(Web& web, const std::string& account) : web_(web), account_(account)
{
    const std::lock_guard lock(web_.streams_mutex_);
    if (web_.streams_ >= web_.streams_max_ || web_.streams_of_[account_] >= kStreamsPerAccount)
        fail(GatewayError::Kind::busy, "지금은 질문이 많습니다. 잠시 뒤에 다시 물어 주십시오.");
    ++web_.streams_;
    ++web_.streams_of_[account_];
}

Web::StreamPlace::~StreamPlace()
{
    const std::lock_guard lock(web_.streams_mutex_);
    --web_.streams_;
    if (--web_.streams_of_[account_] == 0) web_.streams_of_.erase(account_);
}

}  // namespace jiphyeon
