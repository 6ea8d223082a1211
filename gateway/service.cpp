// Who may call what, and in which order: rights of this moment, then the record, then the act.
#include <algorithm>
#include <array>
#include <span>

#include "jiphyeon/pii.hpp"
#include "operator_log.hpp"
#include "service_state.hpp"

namespace jiphyeon {
namespace {

struct Method {
    std::string_view name;
    std::vector<Act> acts;  // any of them suffices; none: every account
    Json (*run)(const Call&);
};

const std::vector<Method>& methods()
{
    static const std::vector<Method> all = {
        {"ask", {Act::ask}, call_ask},
        {"search", {Act::ask}, call_search},
        {"documents", {Act::ask, Act::ingest}, call_documents},
        {"document", {Act::ask}, call_document},
        {"history", {}, call_history},
        {"feedback", {Act::ask}, call_feedback},
        {"status", {}, call_status},
        {"whoami", {}, call_whoami},
        {"ingest", {Act::ingest}, call_ingest},
        {"withdraw", {Act::withdraw_document}, call_withdraw},
        {"jobs", {Act::ingest}, call_jobs},
        {"stop_job", {Act::ingest}, call_stop_job},
        {"quarantine", {Act::ingest}, call_quarantine},
        {"label_document", {Act::ingest, Act::manage_labels}, call_label_document},
        {"labels", {Act::ingest, Act::manage_labels}, call_labels},
        {"users", {Act::manage_accounts}, call_users},
        {"add_user", {Act::manage_accounts}, call_add_user},
        {"set_user", {Act::manage_accounts}, call_set_user},
        {"reset_password", {Act::manage_accounts}, call_reset_password},
        {"change_password", {}, call_change_password},
        {"add_token", {}, call_add_token},
        {"revoke_token", {}, call_revoke_token},
        {"audit_list", {Act::read_audit}, call_audit_list},
        {"audit_show", {Act::read_audit_bodies}, call_audit_show},
        {"audit_verify", {Act::verify_audit}, call_audit_verify},
        {"audit_prove", {Act::verify_audit}, call_audit_prove},
        {"audit_replay", {Act::verify_audit}, call_audit_replay},
        {"audit_checkpoint", {Act::verify_audit}, call_audit_checkpoint},
        {"audit_erase", {Act::read_audit_bodies}, call_audit_erase},
        {"backup", {Act::backup}, call_backup},
        {"models", {Act::read_status}, call_models},
        {"selftest", {Act::verify_audit}, call_selftest},
    };
    return all;
}

const Method& method_named(std::string_view name)
{
    const auto found = std::find_if(methods().begin(), methods().end(),
                                    [&](const Method& method) { return method.name == name; });
    if (found == methods().end())
        throw GatewayError(GatewayError::Kind::bad_request, "그런 명령이 없습니다.");
    return *found;
}

constexpr const char* kWrongLogin = "계정이나 비밀번호가 맞지 않거나, 실패가 이어져 잠시 잠겨 있습니다.";

}  // namespace

// ---- State ------------------------------------------------------------------------------------------------

ServiceState::ServiceState(const ServiceParts& given)
    : parts(given),
      accounts(given.index, given.limits.password_iterations),
      sessions({.idle = std::chrono::seconds(given.limits.session_idle_s),
                .absolute = std::chrono::seconds(given.limits.session_s)},
               std::chrono::steady_clock::now),
      guard(given.limits.login_failures, std::chrono::seconds(given.limits.login_lock_s),
            std::chrono::steady_clock::now),
      admission(given.limits.asking_at_once, given.limits.waiting),
      jobs(given.index)
{
}

void ServiceState::record_failed(const AuditError& error)
{
    // Erased and unknown records are ordinary answers; everything else means that we cannot keep the record.
    if (error.kind == AuditError::Kind::not_found || error.kind == AuditError::Kind::erased) return;
    if (!record_closed.exchange(true))
        log_line("the record is closed: nothing will be answered", error.what());
}

void ServiceState::require_record() const
{
    if (record_closed)
        throw AuditError(AuditError::Kind::io, "the record failed earlier; start the service again");
}

LeafFacts ServiceState::facts(const Caller& caller, std::string_view action, std::string_view outcome,
                              std::vector<std::string> objects) const
{
    return {.actor = caller.account,
            .os_user = caller.os_user,
            .session = caller.session,
            .origin = caller.origin,
            .action = std::string(action),
            .outcome = std::string(outcome),
            .objects = std::move(objects),
            .model_sha256 = {}};
}

RecordId ServiceState::begin(const Caller& caller, std::string_view action, const Json& body)
{
    require_record();
    try {
        return parts.audit.begin(facts(caller, action, ""), print(body));
    } catch (const AuditError& error) {
        record_failed(error);
        throw;
    }
}

void ServiceState::append(RecordId record, const Json& piece)
{
    require_record();
    try {
        parts.audit.append(record, print(piece));
    } catch (const AuditError& error) {
        record_failed(error);
        throw;
    }
}

Receipt ServiceState::finish(RecordId record, const LeafFacts& facts, const Json& body)
{
    require_record();
    try {
        return parts.audit.finish(record, facts, print(body));
    } catch (const AuditError& error) {
        record_failed(error);
        throw;
    }
}

Receipt ServiceState::note(const Caller& caller, std::string_view action, std::string_view outcome,
                           std::vector<std::string> objects, const Json& body)
{
    require_record();
    try {
        return parts.audit.note(facts(caller, action, outcome, std::move(objects)), print(body));
    } catch (const AuditError& error) {
        record_failed(error);
        throw;
    }
}

Caller ServiceState::present(const Caller& caller, std::string_view method) const
{
    if (caller.account == "console") return caller;
    const std::optional<Account> account = accounts.find(caller.account);
    if (!account || account->disabled)
        throw GatewayError(GatewayError::Kind::not_logged_in, "다시 로그인해 주십시오.");
    if (account->must_change_password && method != "change_password" && method != "whoami")
        throw GatewayError(GatewayError::Kind::forbidden, "먼저 비밀번호를 바꾸어야 합니다.");
    Caller now = caller;
    now.reader = account->reader();
    now.roles = account->roles;
    return now;
}

Scope ServiceState::scope_of(const Reader& reader, std::optional<Day> as_of) const
{
    Scope scope{.labels = {}, .day = as_of ? *as_of : local_today(), .all_versions = false};
    const Decision decision = readable_labels(reader, parts.index.labels_in_use());
    if (const auto* granted = std::get_if<Granted>(&decision)) scope.labels = granted->labels;
    return scope;
}

bool ServiceState::readable(const Reader& reader, std::string_view label) const
{
    try {
        return std::holds_alternative<Granted>(may_read(reader, Label::parse(label)));
    } catch (const PolicyError&) {
        return false;  // a label that we do not know
    }
}

bool tell(const Service::OnEvent& on_event, const Json& event)
{
    return !on_event || on_event(print(event));
}

std::size_t characters(std::string_view utf8)
{
    std::size_t count = 0;
    for (std::size_t i = 0; i < utf8.size(); ++count) {
        const auto lead = static_cast<unsigned char>(utf8[i]);
        const std::size_t length = lead < 0x80                   ? 1
                                   : lead >= 0xC2 && lead < 0xE0 ? 2
                                   : lead >= 0xE0 && lead < 0xF0 ? 3
                                   : lead >= 0xF0 && lead < 0xF5 ? 4
                                                                 : 0;
        bool sound = length > 0 && i + length <= utf8.size();
        for (std::size_t k = 1; sound && k < length; ++k)
            sound = (static_cast<unsigned char>(utf8[i + k]) & 0xC0) == 0x80;
        if (!sound)
            throw GatewayError(GatewayError::Kind::bad_request, "UTF-8로 읽을 수 없는 글자가 있습니다.");
        i += length;
    }
    return count;
}

// ---- Service ----------------------------------------------------------------------------------------------

struct Service::State : ServiceState {
    using ServiceState::ServiceState;

    // Password check with the brake on guessing. The leaf names an account only where there is one: people
    // type passwords into the name field.
    Account check_password(std::string_view account, std::string_view password, std::string_view origin)
    {
        require_record();
        const LoginGuard::Turn turn(guard);
        const bool locked = guard.locked(account, origin);
        std::optional<Account> found = accounts.by_password(account, password);
        if (found && !locked) {
            guard.succeeded(account, origin);
            return std::move(*found);
        }
        if (!locked) guard.failed(account, origin);
        Caller stranger;
        stranger.account = account.size() <= 64 && accounts.find(account) ? std::string(account) : "unknown";
        stranger.origin = origin;
        note(stranger, "login", locked ? "locked" : "refused", {});
        throw GatewayError(GatewayError::Kind::not_logged_in, kWrongLogin);
    }
};

namespace {

Caller caller_of(const Account& account, std::string session, std::string_view origin)
{
    return {.account = account.name,
            .reader = account.reader(),
            .roles = account.roles,
            .session = std::move(session),
            .origin = std::string(origin),
            .os_user = {}};
}

}  // namespace

Caller Caller::console(std::string os_user)
{
    return {.account = "console",
            .reader = {.account = "console", .clearance = Level::open, .departments = {}},
            .roles = {Role::user, Role::librarian, Role::administrator},
            .session = {},
            .origin = "console",
            .os_user = std::move(os_user)};
}

Service::Service(const ServiceParts& parts) : state_(std::make_unique<State>(parts)) {}
Service::~Service() = default;

std::string Service::call(const Caller& caller, std::string_view name, std::string_view params_json,
                          const OnEvent& on_event)
{
    const Method& method = method_named(name);
    const Json params = parse_object(params_json);
    const Caller now = state_->present(caller, name);
    state_->require_record();
    const bool may = method.acts.empty() || std::any_of(method.acts.begin(), method.acts.end(),
                                                        [&](Act act) { return may_act(now.roles, act); });
    if (!may) {
        state_->note(now, name, "refused", {});
        throw GatewayError(GatewayError::Kind::forbidden, "이 일을 할 권한이 없습니다.");
    }
    try {
        return print(method.run({.state = *state_,
                                 .caller = now,
                                 .fields = Fields(params),
                                 .params = params,
                                 .on_event = on_event}));
    } catch (const AuditError& error) {
        state_->record_failed(error);
        throw;
    }
}

Service::Login Service::login(std::string_view account, std::string_view password, std::string_view origin)
{
    const Account found = state_->check_password(account, password, origin);
    const Sessions::Opened session = state_->sessions.open(found.name);
    try {
        state_->note(caller_of(found, session.name, origin), "login", "granted", {});
    } catch (...) {
        state_->sessions.close(session.token);  // no leaf, no session
        throw;
    }
    return {.token = session.token, .csrf = session.csrf, .must_change_password = found.must_change_password};
}

void Service::logout(std::string_view token)
{
    const std::optional<Sessions::Found> found = state_->sessions.look(token);
    state_->sessions.close(token);
    if (!found) return;
    Caller caller;
    caller.account = found->account;
    caller.session = found->name;
    state_->note(caller, "logout", "done", {});
}

std::optional<Caller> Service::session(std::string_view token, std::string_view origin)
{
    const std::optional<Sessions::Found> found = state_->sessions.use(token);
    if (!found) return std::nullopt;
    const std::optional<Account> account = state_->accounts.find(found->account);
    if (!account || account->disabled) {
        state_->sessions.close(token);
        return std::nullopt;
    }
    return caller_of(*account, found->name, origin);
}

std::optional<std::string> Service::csrf(std::string_view token) const
{
    const std::optional<Sessions::Found> found = state_->sessions.look(token);
    if (!found) return std::nullopt;
    return found->csrf;
}

Caller Service::authenticate(std::string_view account, std::string_view secret, std::string_view origin)
{
    if (std::optional<Caller> caller = api_token(secret, origin); caller && caller->account == account)
        return std::move(*caller);
    return caller_of(state_->check_password(account, secret, origin), "password", origin);
}

std::optional<Caller> Service::api_token(std::string_view token, std::string_view origin)
{
    const auto found = state_->accounts.by_token(token);
    if (!found) return std::nullopt;
    return caller_of(found->first, "token:" + found->second, origin);
}

std::optional<std::string> Service::page_image(const Caller& caller, std::string_view document_id,
                                               std::uint32_t page)
{
    const Caller now = state_->present(caller, "page_image");
    if (!may_act(now.roles, Act::ask)) return std::nullopt;
    const Json params = Json::object();
    try {
        const DocumentRecord document = readable_document(
            {.state = *state_, .caller = now, .fields = Fields(params), .params = params, .on_event = {}},
            document_id);
        if (page == 0 || page > document.pages) return std::nullopt;
        std::optional<std::string> image = state_->parts.archive.page_image(document, page);
        if (image) state_->note(now, "viewed", "page " + std::to_string(page), {document.id});
        return image;
    } catch (const GatewayError& error) {
        if (error.kind == GatewayError::Kind::not_found) return std::nullopt;
        throw;
    }
}

void Service::wait_for_quiet(std::chrono::milliseconds at_most) const
{
    state_->admission.wait_for_quiet(at_most);
}

bool Service::healthy() const
{
    return !state_->record_closed;
}

}  // namespace jiphyeon
