// Accounts, passwords and API tokens, kept as rows of the index's store (spaces "account" and "api_token").
// Passwords are PBKDF2 hashes with their own parameters; tokens are kept as hashes. Rights are read from the
// store at each call, so that a change takes effect at once.
//
// Threads: any number; changes are serialised.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/index.hpp"
#include "jiphyeon/policy.hpp"

namespace jiphyeon {

struct ApiToken {
    std::string name;
    std::string hash;  // hex of SHA-256; the token itself is shown once
    std::int64_t created_us = 0;
};

struct Account {
    std::string name;
    std::vector<Role> roles;
    Level clearance = Level::open;
    std::set<std::string> departments;
    bool disabled = false;
    bool must_change_password = false;
    crypto::PasswordHash password;
    std::vector<ApiToken> tokens;

    Reader reader() const { return {name, clearance, departments}; }
};

struct AccountChange {
    std::optional<std::vector<Role>> roles;
    std::optional<Level> clearance;
    std::optional<std::set<std::string>> departments;
    std::optional<bool> disabled;
};

class Accounts {
public:
    Accounts(Index& index, std::uint32_t password_iterations);

    std::optional<Account> find(std::string_view name) const;
    std::vector<Account> all() const;

    // Throw GatewayError: bad_request, conflict (exists already), not_found; PolicyError where roles clash.
    void add(const Account& account, std::string_view password);
    void change(std::string_view name, const AccountChange& change);
    void set_password(std::string_view name, std::string_view password, bool must_change);
    std::string add_token(std::string_view name, std::string_view token_name);
    void revoke_token(std::string_view name, std::string_view token_name);
    // The account that a token belongs to, and the token's name.
    std::optional<std::pair<Account, std::string>> by_token(std::string_view token) const;

    // Takes the same time whether or not there is such an account. Hashes again where the stored hash is
    // weaker than today's.
    std::optional<Account> by_password(std::string_view name, std::string_view password);

private:
    void store(const Account& account, std::vector<DocumentWrite::Row> further_rows = {});
    Account get(std::string_view name) const;

    Index& index_;
    std::uint32_t iterations_;
    crypto::PasswordHash nobody_;  // compared with where there is no account
    mutable std::mutex changing_;
};

std::string random_token();  // 32 random bytes, base64url
std::string token_hash(std::string_view token);
Level level_from_text(std::string_view text);  // throws GatewayError bad_request
std::set<std::string> departments_from_texts(const std::vector<std::string>& texts);
std::vector<Role> roles_from_texts(const std::vector<std::string>& texts);

}  // namespace jiphyeon
