// Sessions of the web, in memory alone: a restart logs everybody out. Only hashes of tokens are held.
// Threads: any number.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace jiphyeon {

using Clock = std::function<std::chrono::steady_clock::time_point()>;

struct SessionLimits {
    std::chrono::seconds idle, absolute;
};

class Sessions {
public:
    Sessions(SessionLimits limits, Clock clock);

    struct Opened {
        std::string token, csrf, name;
    };
    // The oldest session of the account ends where it would have more than kPerAccount.
    Opened open(std::string_view account);
    struct Found {
        std::string account, csrf, name;
    };
    // Also counts as use. nullopt when unknown or expired.
    std::optional<Found> use(std::string_view token);
    std::optional<Found> look(std::string_view token) const;
    void close(std::string_view token);
    // All of an account but the one named `except`.
    void close_all_of(std::string_view account, std::string_view except = {});
    std::size_t size() const;

    static constexpr std::size_t kPerAccount = 10;

private:
    struct Session {
        std::string account, csrf, name;
        std::chrono::steady_clock::time_point opened, used;
    };
    bool expired(const Session& session) const;
    void drop_expired();

    SessionLimits limits_;
    Clock clock_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, Session> by_hash_;
};

}  // namespace jiphyeon
