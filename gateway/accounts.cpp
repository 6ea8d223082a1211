#include "accounts.hpp"

#include <algorithm>
#include <chrono>
#include <span>

#include "jiphyeon/gateway.hpp"
#include "messages.hpp"

namespace jiphyeon {
namespace {

constexpr const char* kAccountSpace = "account";
constexpr const char* kTokenSpace = "api_token";
constexpr int kFormat = 1;
constexpr std::size_t kNameMax = 64;
constexpr std::size_t kPasswordMin = 10, kPasswordMax = 128;  // bytes; more only costs the hash time
constexpr std::size_t kTokensMax = 20;
constexpr std::string_view kTokenPrefix = "jph_";  // lets a leak scanner know what it has found

[[noreturn]] void bad(const std::string& what)
{
    throw GatewayError(GatewayError::Kind::bad_request, what);
}

void check_name(std::string_view name)
{
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    };
    if (name.empty() || name.size() > kNameMax || !std::all_of(name.begin(), name.end(), allowed))
        bad("계정 이름은 영문자, 숫자, 점, 밑줄, 붙임표로 64자까지입니다.");
    // The operator at the machine and the record's word for a caller that we do not know.
    if (name == "console" || name == "unknown") bad("쓸 수 없는 계정 이름입니다.");
}

void check_password(std::string_view name, std::string_view password)
{
    if (password.size() < kPasswordMin) bad("비밀번호는 10자 이상이어야 합니다.");
    if (password.size() > kPasswordMax) bad("비밀번호가 너무 깁니다.");
    if (password == name) bad("비밀번호가 계정 이름과 같습니다.");
}

std::uint8_t nibble(char c)
{
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
    throw GatewayError(GatewayError::Kind::io, "a stored account holds no hexadecimal where it should");
}

template <std::size_t N>
std::array<std::uint8_t, N> from_hex(const std::string& text)
{
    std::array<std::uint8_t, N> bytes{};
    if (text.size() != 2 * N)
        throw GatewayError(GatewayError::Kind::io, "a stored account has a value of wrong size");
    for (std::size_t i = 0; i < N; ++i)
        bytes[i] = static_cast<std::uint8_t>(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
    return bytes;
}

std::string account_row(const Account& account)
{
    Json roles = Json::array(), tokens = Json::array();
    for (const Role role : account.roles) roles.push_back(role_name(role));
    for (const ApiToken& token : account.tokens)
        tokens.push_back({{"name", token.name}, {"hash", token.hash}, {"created_us", token.created_us}});
    return print({{"format", kFormat},
                  {"name", account.name},
                  {"roles", roles},
                  {"clearance", Label{account.clearance, {}}.to_text()},
                  {"departments", account.departments},
                  {"disabled", account.disabled},
                  {"must_change_password", account.must_change_password},
                  {"password",
                   {{"iterations", account.password.iterations},
                    {"salt", crypto::hex(account.password.salt)},
                    {"hash", crypto::hex(account.password.hash)}}},
                  {"tokens", tokens}});
}

// A row that we cannot read in full denies: no rights are guessed.
Account account_from_row(const std::string& row)
{
    try {
        const Json object = Json::parse(row);
        if (object.at("format").get<int>() != kFormat)
            throw GatewayError(GatewayError::Kind::io, "an account is stored in another format");
        Account account;
        account.name = object.at("name").get<std::string>();
        account.roles = roles_from_texts(object.at("roles").get<std::vector<std::string>>());
        account.clearance = level_from_text(object.at("clearance").get<std::string>());
        account.departments = object.at("departments").get<std::set<std::string>>();
        account.disabled = object.at("disabled").get<bool>();
        account.must_change_password = object.at("must_change_password").get<bool>();
        const Json& password = object.at("password");
        account.password.iterations = password.at("iterations").get<std::uint32_t>();
        account.password.salt = from_hex<16>(password.at("salt").get<std::string>());
        account.password.hash = from_hex<32>(password.at("hash").get<std::string>());
        for (const Json& token : object.at("tokens"))
            account.tokens.push_back({.name = token.at("name").get<std::string>(),
                                      .hash = token.at("hash").get<std::string>(),
                                      .created_us = token.at("created_us").get<std::int64_t>()});
        return account;
    } catch (const Json::exception& broken) {
        throw GatewayError(GatewayError::Kind::io,
                           std::string("a stored account cannot be read: ") + broken.what());
    }
}

}  // namespace

std::string random_token()
{
    std::array<std::uint8_t, 32> bytes{};
    crypto::random(bytes);
    std::string text =
        crypto::base64(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    text.erase(std::find(text.begin(), text.end(), '='), text.end());
    return text;
}

std::string token_hash(std::string_view token)
{
    return hex_text(crypto::sha256(token));
}

Level level_from_text(std::string_view text)
{
    const Label label = Label::parse(text);
    if (!label.departments.empty()) bad("clearance: a level without departments is meant");
    return label.level;
}

std::set<std::string> departments_from_texts(const std::vector<std::string>& texts)
{
    std::set<std::string> departments;
    for (const std::string& text : texts) {
        const Label label = Label::parse("internal:" + text);  // its rules for names are the rules here
        if (label.departments.size() != 1) bad("departments: one name each");
        departments.insert(*label.departments.begin());
    }
    return departments;
}

std::vector<Role> roles_from_texts(const std::vector<std::string>& texts)
{
    std::vector<Role> roles;
    for (const std::string& text : texts) {
        const std::optional<Role> role = role_from_name(text);
        if (!role) bad("roles: there is no role " + text);
        if (std::find(roles.begin(), roles.end(), *role) == roles.end()) roles.push_back(*role);
    }
    return roles;
}

Accounts::Accounts(Index& index, std::uint32_t password_iterations)
    : index_(index),
      iterations_(password_iterations),
      nobody_(crypto::hash_password(random_token(), password_iterations))
{
}

std::optional<Account> Accounts::find(std::string_view name) const
{
    const std::optional<std::string> row = index_.row(kAccountSpace, name);
    if (!row) return std::nullopt;
    return account_from_row(*row);
}

Account Accounts::get(std::string_view name) const
{
    std::optional<Account> account = find(name);
    if (!account) throw GatewayError(GatewayError::Kind::not_found, "그런 계정이 없습니다.");
    return std::move(*account);
}

std::vector<Account> Accounts::all() const
{
    std::vector<Account> accounts;
    for (const auto& [name, row] : index_.rows(kAccountSpace)) accounts.push_back(account_from_row(row));
    return accounts;
}

void Accounts::store(const Account& account, std::vector<DocumentWrite::Row> further_rows)
{
    further_rows.push_back({.space = kAccountSpace, .key = account.name, .value = account_row(account)});
    index_.put_rows(further_rows);
}

void Accounts::add(const Account& wanted, std::string_view password)
{
    check_name(wanted.name);
    check_password(wanted.name, password);
    check_separation(wanted.roles);
    Account account = wanted;
    account.password = crypto::hash_password(password, iterations_);
    account.tokens.clear();
    const std::lock_guard lock(changing_);
    if (find(account.name))
        throw GatewayError(GatewayError::Kind::conflict, "같은 이름의 계정이 이미 있습니다.");
    store(account);
}

void Accounts::change(std::string_view name, const AccountChange& change)
{
    const std::lock_guard lock(changing_);
    Account account = get(name);
    if (change.roles) account.roles = *change.roles;
    if (change.clearance) account.clearance = *change.clearance;
    if (change.departments) account.departments = *change.departments;
    if (change.disabled) account.disabled = *change.disabled;
    check_separation(account.roles);
    store(account);
}

void Accounts::set_password(std::string_view name, std::string_view password, bool must_change)
{
    check_password(name, password);
    const crypto::PasswordHash hash = crypto::hash_password(password, iterations_);
    const std::lock_guard lock(changing_);
    Account account = get(name);
    account.password = hash;
    account.must_change_password = must_change;
    store(account);
}

std::string Accounts::add_token(std::string_view name, std::string_view token_name)
{
    if (token_name.empty() || token_name.size() > kNameMax) bad("토큰 이름은 64바이트까지입니다.");
    std::string token = std::string(kTokenPrefix) + random_token();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::lock_guard lock(changing_);
    Account account = get(name);
    if (account.tokens.size() >= kTokensMax)
        throw GatewayError(GatewayError::Kind::conflict,
                           "토큰이 너무 많습니다. 쓰지 않는 것을 먼저 없애십시오.");
    for (const ApiToken& existing : account.tokens)
        if (existing.name == token_name)
            throw GatewayError(GatewayError::Kind::conflict, "같은 이름의 토큰이 이미 있습니다.");
    account.tokens.push_back(
        {.name = std::string(token_name),
         .hash = token_hash(token),
         .created_us = std::chrono::duration_cast<std::chrono::microseconds>(now).count()});
    store(account, {{.space = kTokenSpace, .key = account.tokens.back().hash, .value = account.name}});
    return token;
}

void Accounts::revoke_token(std::string_view name, std::string_view token_name)
{
    const std::lock_guard lock(changing_);
    Account account = get(name);
    const auto found = std::find_if(account.tokens.begin(), account.tokens.end(),
                                    [&](const ApiToken& token) { return token.name == token_name; });
    if (found == account.tokens.end())
        throw GatewayError(GatewayError::Kind::not_found, "그런 토큰이 없습니다.");
    const std::string hash = found->hash;
    account.tokens.erase(found);
    store(account);  // from here on the token is dead: by_token wants both rows
    index_.remove_row(kTokenSpace, hash);
}

std::optional<std::pair<Account, std::string>> Accounts::by_token(std::string_view token) const
{
    if (!token.starts_with(kTokenPrefix)) return std::nullopt;
    const std::string hash = token_hash(token);
    const std::optional<std::string> owner = index_.row(kTokenSpace, hash);
    if (!owner) return std::nullopt;
    std::optional<Account> account = find(*owner);
    if (!account || account->disabled) return std::nullopt;
    for (const ApiToken& known : account->tokens)
        if (crypto::equal(known.hash, hash)) return std::pair(std::move(*account), known.name);
    return std::nullopt;
}

std::optional<Account> Accounts::by_password(std::string_view name, std::string_view password)
{
    std::optional<Account> account = name.size() <= kNameMax ? find(name) : std::nullopt;
    if (password.size() > kPasswordMax) password = password.substr(0, kPasswordMax + 1);  // never matches
    const bool right = crypto::verify_password(password, account ? account->password : nobody_);
    if (!account || !right || account->disabled) return std::nullopt;
    if (account->password.iterations < iterations_) {
        const crypto::PasswordHash stronger = crypto::hash_password(password, iterations_);
        const std::lock_guard lock(changing_);
        Account present = get(name);
        if (present.password.hash == account->password.hash) {
            present.password = stronger;
            store(present);
            account = present;
        }
    }
    return account;
}

}  // namespace jiphyeon
