// Against guessing: failures are counted per account and address, so that a stranger who fails on purpose
// locks out himself and not the account's owner; a far higher count per account stops guessing from many
// addresses. And hashing a password costs most of a second of a core, so few are hashed at once.
// Threads: any number.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "sessions.hpp"

namespace jiphyeon {

class LoginGuard {
public:
    LoginGuard(std::uint32_t failures, std::chrono::seconds lock, Clock clock);

    bool locked(std::string_view account, std::string_view origin);
    void failed(std::string_view account, std::string_view origin);
    void succeeded(std::string_view account, std::string_view origin);

    // Held while a password is hashed. Throws GatewayError busy where too many wait already.
    class Turn {
    public:
        explicit Turn(LoginGuard& guard);
        ~Turn();
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

    private:
        LoginGuard& guard_;
    };

    static constexpr std::uint32_t kAddressesFactor = 10;  // failures of an account from all addresses
    static constexpr std::size_t kHashingAtOnce = 2, kWaiting = 32;
    static constexpr std::size_t kRemembered = 100'000;  // counters; beyond, the oldest are forgotten

private:
    struct Count {
        std::uint32_t failures = 0;
        std::chrono::steady_clock::time_point last;
    };
    void forget_old();

    std::uint32_t failures_;
    std::chrono::seconds lock_;
    Clock clock_;
    std::mutex mutex_;
    std::map<std::string, Count> counts_;  // "account\naddress" and "account\n"
    std::condition_variable turn_free_;
    std::size_t hashing_ = 0, waiting_ = 0;
};

}  // namespace jiphyeon
