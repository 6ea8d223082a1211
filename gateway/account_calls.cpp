// Accounts and grants. Each change is a leaf before it is made. Nobody changes his own rights; the operator
// at the console stands outside of this, and his acts name the operating system's user.
#include "service_state.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kOneTimePassword = 16;  // characters of crypto::random_text: 80 bits

std::string account_of(const Call& call)
{
    return call.fields.text("account");
}

void require_exists(const Call& call, const std::string& account)
{
    if (!call.state.accounts.find(account))
        throw GatewayError(GatewayError::Kind::not_found, "그런 계정이 없습니다.");
}

AccountChange change_of(const Call& call)
{
    AccountChange change;
    if (const auto roles = call.fields.maybe_texts("roles")) change.roles = roles_from_texts(*roles);
    if (const auto clearance = call.fields.maybe_text("clearance"))
        change.clearance = level_from_text(*clearance);
    if (const auto departments = call.fields.maybe_texts("departments"))
        change.departments = departments_from_texts(*departments);
    change.disabled = call.fields.maybe_flag("disabled");
    return change;
}

Json body_of(const AccountChange& change)
{
    Json body = Json::object();
    if (change.roles) {
        body["roles"] = Json::array();
        for (const Role role : *change.roles) body["roles"].push_back(role_name(role));
    }
    if (change.clearance) body["clearance"] = Label{*change.clearance, {}}.to_text();
    if (change.departments) body["departments"] = *change.departments;
    if (change.disabled) body["disabled"] = *change.disabled;
    return body;
}

std::string object_name(const std::string& account)
{
    return "account:" + account;
}

// One's own account, or anybody's for the operator at the console: an administrator who could make a token
// for a colleague could ask in his name.
void require_own(const Call& call, const std::string& account)
{
    if (call.caller.account != account && call.caller.account != "console")
        throw GatewayError(GatewayError::Kind::forbidden, "자기 계정의 토큰만 다룰 수 있습니다.");
}

}  // namespace

Json call_whoami(const Call& call)
{
    const Caller& caller = call.caller;
    const std::optional<Account> account = call.state.accounts.find(caller.account);
    Json roles = Json::array();
    const std::vector<Role>& held = account ? account->roles : caller.roles;
    for (const Role role : held) roles.push_back(role_name(role));
    const Reader reader = account ? account->reader() : caller.reader;
    return {{"account", caller.account},
            {"roles", roles},
            {"clearance", Label{reader.clearance, {}}.to_text()},
            {"departments", reader.departments},
            {"may_ask", may_act(held, Act::ask)},
            {"must_change_password", account && account->must_change_password}};
}

Json call_users(const Call& call)
{
    Json users = Json::array();
    for (const Account& account : call.state.accounts.all()) {
        Json roles = Json::array(), tokens = Json::array();
        for (const Role role : account.roles) roles.push_back(role_name(role));
        for (const ApiToken& token : account.tokens) tokens.push_back(token.name);
        users.push_back({{"account", account.name},
                         {"roles", roles},
                         {"clearance", Label{account.clearance, {}}.to_text()},
                         {"departments", account.departments},
                         {"disabled", account.disabled},
                         {"must_change_password", account.must_change_password},
                         {"tokens", tokens}});
    }
    return {{"users", std::move(users)}};
}

Json call_add_user(const Call& call)
{
    const AccountChange wish = change_of(call);
    const std::optional<std::string> given = call.fields.maybe_text("password");
    Account account;
    account.name = account_of(call);
    account.roles = wish.roles.value_or(std::vector<Role>{Role::user});
    account.clearance = wish.clearance.value_or(Level::open);
    account.departments = wish.departments.value_or(std::set<std::string>());
    account.must_change_password = true;  // whoever chose it is not the one who will use it
    check_separation(account.roles);
    if (call.state.accounts.find(account.name))
        throw GatewayError(GatewayError::Kind::conflict, "같은 이름의 계정이 이미 있습니다.");
    const Receipt receipt =
        call.state.note(call.caller, "account added", "granted", {object_name(account.name)},
                        body_of({.roles = account.roles,
                                 .clearance = account.clearance,
                                 .departments = account.departments,
                                 .disabled = {}}));
    const std::string password = given ? *given : crypto::random_text(kOneTimePassword);
    call.state.accounts.add(account, password);
    Json reply{{"account", account.name}};
    if (!given) reply["password"] = password;
    reply["receipt"] = to_json(receipt);
    return reply;
}

Json call_set_user(const Call& call)
{
    const std::string account = account_of(call);
    if (account == call.caller.account)
        throw GatewayError(GatewayError::Kind::forbidden, "자기 계정의 권한은 스스로 바꿀 수 없습니다.");
    const AccountChange change = change_of(call);
    if (change.roles) check_separation(*change.roles);
    require_exists(call, account);
    const Receipt receipt =
        call.state.note(call.caller, "grant", "granted", {object_name(account)}, body_of(change));
    call.state.accounts.change(account, change);
    if (change.disabled.value_or(false)) call.state.sessions.close_all_of(account);
    return {{"receipt", to_json(receipt)}};
}

Json call_reset_password(const Call& call)
{
    const std::string account = account_of(call);
    require_exists(call, account);
    const Receipt receipt = call.state.note(call.caller, "password reset", "granted", {object_name(account)});
    const std::string password = crypto::random_text(kOneTimePassword);
    call.state.accounts.set_password(account, password, true);
    call.state.sessions.close_all_of(account);
    return {{"password", password}, {"receipt", to_json(receipt)}};
}

Json call_change_password(const Call& call)
{
    const std::string &account = call.caller.account, old = call.fields.text("old"),
                      wanted = call.fields.text("new");
    if (account == "console")
        throw GatewayError(GatewayError::Kind::bad_request, "계정으로 로그인해야 합니다 (--as).");
    if (old == wanted) throw GatewayError(GatewayError::Kind::bad_request, "새 비밀번호가 지금과 같습니다.");
    {
        const LoginGuard::Turn turn(call.state.guard);
        const bool locked = call.state.guard.locked(account, call.caller.origin);
        if (!call.state.accounts.by_password(account, old) || locked) {
            call.state.guard.failed(account, call.caller.origin);
            call.state.note(call.caller, "password", "refused", {});
            throw GatewayError(GatewayError::Kind::forbidden, "지금 비밀번호가 맞지 않습니다.");
        }
        call.state.accounts.set_password(account, wanted, false);
    }
    const Receipt receipt = call.state.note(call.caller, "password", "changed", {});
    call.state.sessions.close_all_of(account, call.caller.session);
    return {{"receipt", to_json(receipt)}};
}

Json call_add_token(const Call& call)
{
    const std::string account = account_of(call), name = call.fields.text("name");
    require_own(call, account);
    require_exists(call, account);
    const Receipt receipt =
        call.state.note(call.caller, "token added", "granted", {object_name(account)}, {{"name", name}});
    const std::string token = call.state.accounts.add_token(account, name);
    return {{"token", token}, {"receipt", to_json(receipt)}};
}

Json call_revoke_token(const Call& call)
{
    const std::string account = account_of(call), name = call.fields.text("name");
    if (!may_act(call.caller.roles, Act::manage_accounts)) require_own(call, account);
    require_exists(call, account);
    const Receipt receipt =
        call.state.note(call.caller, "token revoked", "granted", {object_name(account)}, {{"name", name}});
    call.state.accounts.revoke_token(account, name);
    return {{"receipt", to_json(receipt)}};
}

}  // namespace jiphyeon
