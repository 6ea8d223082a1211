// The way of a question without any transport (`Service`), and HTTPS on top of it (`HttpsServer`).
//
// Every act goes: who is calling → may he → leaf → act → check → mask → leaf. Without a leaf there is no
// answer: an AuditError ends the call and, until the log is open again, every later one.
//
// `call` takes a method's name and its parameters as JSON and returns its reply as JSON: the command line,
// the control socket and the web API all go through it, so a field has one meaning. Names and fields of the
// replies are those of the command line (README, "The command line"). gateway/api.md lists each method.
//
// Example:
//     Service service({.index = *index, .retriever = *retriever, .audit = *log, .archive = archive});
//     const std::string reply = service.call(Caller::console(), "ask", R"({"question":"연가는
//     며칠입니까?"})", {});
//
// Threads: any number may call at once.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/audit.hpp"
#include "jiphyeon/index.hpp"
#include "jiphyeon/policy.hpp"
#include "jiphyeon/retriever.hpp"

namespace jiphyeon {

class GatewayError : public std::runtime_error {
public:
    enum class Kind { bad_request, not_logged_in, forbidden, not_found, busy, conflict, unavailable, io };
    GatewayError(Kind k, const std::string& detail) : std::runtime_error(detail), kind(k) {}
    Kind kind;
};
std::string_view gateway_error_name(GatewayError::Kind kind);

// Who is calling. Made by login, by an API token, or for the operator at the console.
struct Caller {
    std::string account;  // "console" for the operator
    Reader reader;
    std::vector<Role> roles;
    std::string session;  // a public name of the session, for the record
    std::string origin;   // client address, "console"
    std::string os_user;

    // Reads what is labelled public; may do what the machine's operator may (accounts, labels, ingest,
    // backup).
    static Caller console(std::string os_user);
};

// What lies behind ingestion and page images; bound in app, so that gateway need not know parsers.
class Archive {
public:
    virtual ~Archive() = default;
    // params and reply as of the `ingest` command; progress as JSON objects. Blocks.
    virtual std::string ingest(std::string_view params_json,
                               const std::function<void(std::string_view)>& progress,
                               const std::atomic<bool>& stop) = 0;
    virtual std::string quarantine_json() const = 0;
    // PNG, painted over where personal data is hidden; nullopt where there is no image to show.
    virtual std::optional<std::string> page_image(const DocumentRecord& document, std::uint32_t page) = 0;
    virtual std::string models_json() const = 0;
};

struct ServiceLimits {
    std::size_t asking_at_once = 1;
    std::size_t waiting = 16;  // more are told `busy`
    std::size_t question_characters = 2000;
    std::uint32_t session_idle_s = 1800, session_s = 8 * 3600;
    std::uint32_t login_failures = 5, login_lock_s = 300;
    std::uint32_t password_iterations = 600'000;  // of PBKDF2; weaker stored hashes are renewed at login
};

struct ServiceParts {
    Index& index;
    const Retriever& retriever;
    AuditLog& audit;
    Archive& archive;
    ServiceLimits limits = {};
    std::string model_sha256;  // hex, for the leaves
};

class Service {
public:
    explicit Service(const ServiceParts& parts);
    ~Service();

    // Events of a running call as JSON objects with a field "event": queued, evidence, sentence, progress,
    // and each second `alive`, which says nothing but lets a caller who has gone away cancel. One at a time,
    // but not all from the calling thread.
    using OnEvent = std::function<bool(std::string_view event_json)>;  // false cancels
    // Throws GatewayError, AuditError, IndexError, RetrieverError, EngineError, PolicyError.
    std::string call(const Caller& caller, std::string_view method, std::string_view params_json,
                     const OnEvent& on_event);

    // Sessions. A wrong password, an unknown account and a locked one look the same and take the same time.
    struct Login {
        std::string token;  // 32 random bytes, base64url; the server keeps its hash
        std::string csrf;
        bool must_change_password = false;
    };
    Login login(std::string_view account, std::string_view password, std::string_view origin);
    void logout(std::string_view token);
    std::optional<Caller> session(std::string_view token, std::string_view origin);
    std::optional<std::string> csrf(std::string_view token) const;
    // For the command line and API clients: password or API token of an account.
    Caller authenticate(std::string_view account, std::string_view secret, std::string_view origin);
    std::optional<Caller> api_token(std::string_view token, std::string_view origin);

    // Page image after the reader's right was checked now; nullopt: nothing to show, or nothing for him.
    std::optional<std::string> page_image(const Caller& caller, std::string_view document_id,
                                          std::uint32_t page);
    bool healthy() const;
    // For work in the background: blocks while questions are being answered, but not longer than this.
    void wait_for_quiet(std::chrono::milliseconds at_most) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

// {"error": {"kind", "message", "where"}} of any exception of ours; anything else becomes "internal" with an
// incident number, its text going to the operator's log alone.
std::string error_json(const std::exception& error);

// The reply of `audit_verify`, also for a report that was made without a Service because the record refuses
// to open (`verify_audit_log`).
std::string audit_report_json(const AuditReport& report);

struct HttpsOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8443;               // 0: any free one
    std::filesystem::path certificate, key;  // PEM
    std::string key_pem;                     // instead of `key`: never on disk in clear
    std::filesystem::path ui;                // the folder ui_static
    std::vector<std::string> hosts;          // allowed Host names besides address and localhost
    unsigned threads = 16;
    unsigned connections_per_address = 32;
    std::uint32_t header_s = 10, body_s = 30, write_s = 20;
    std::size_t body_bytes_max = 1u << 20;
};

class HttpsServer {
public:
    HttpsServer(Service& service, const HttpsOptions& options);  // listens; throws GatewayError io
    ~HttpsServer();
    std::uint16_t port() const;
    void stop();  // no new connections; running calls are cancelled and closed

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace jiphyeon
