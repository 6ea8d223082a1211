#include "login_guard.hpp"

#include <algorithm>

#include "jiphyeon/gateway.hpp"

namespace jiphyeon {
namespace {

std::string key(std::string_view account, std::string_view origin)
{
    return std::string(account.substr(0, 64)) + "\n" + std::string(origin);
}

}  // namespace

LoginGuard::LoginGuard(std::uint32_t failures, std::chrono::seconds lock, Clock clock)
    : failures_(failures), lock_(lock), clock_(std::move(clock))
{
}

bool LoginGuard::locked(std::string_view account, std::string_view origin)
{
    const auto now = clock_();
    const std::lock_guard lock(mutex_);
    const auto over = [&](const std::string& name, std::uint32_t limit) {
        const auto found = counts_.find(name);
        if (found == counts_.end()) return false;
        if (now - found->second.last >= lock_) {
            counts_.erase(found);
            return false;
        }
        return found->second.failures >= limit;
    };
    const bool here = over(key(account, origin), failures_);
    const bool anywhere = over(key(account, ""), failures_ * kAddressesFactor);
    return here || anywhere;
}

void LoginGuard::failed(std::string_view account, std::string_view origin)
{
    const auto now = clock_();
    const std::lock_guard lock(mutex_);
    if (counts_.size() >= kRemembered) forget_old();
    for (const std::string& name : {key(account, origin), key(account, "")}) {
        Count& count = counts_[name];
        ++count.failures;
        count.last = now;
    }
}

void LoginGuard::succeeded(std::string_view account, std::string_view origin)
{
    const std::lock_guard lock(mutex_);
    counts_.erase(key(account, origin));
}

void LoginGuard::forget_old()
{
    const auto now = clock_();
    std::erase_if(counts_, [&](const auto& entry) { return now - entry.second.last >= lock_; });
    while (counts_.size() >= kRemembered)
        counts_.erase(std::min_element(counts_.begin(), counts_.end(), [](const auto& a, const auto& b) {
            return a.second.last < b.second.last;
        }));
}

LoginGuard::Turn::Turn(LoginGuard& guard) : guard_(guard)
{
    std::unique_lock lock(guard_.mutex_);
    if (guard_.hashing_ >= kHashingAtOnce && guard_.waiting_ >= kWaiting)
        throw GatewayError(GatewayError::Kind::busy, "로그인 요청이 많습니다. 잠시 뒤에 다시 해 주십시오.");
    ++guard_.waiting_;
    guard_.turn_free_.wait(lock, [this] { return guard_.hashing_ < kHashingAtOnce; });
    --guard_.waiting_;
    ++guard_.hashing_;
}

LoginGuard::Turn::~Turn()
{
    {
        const std::lock_guard lock(guard_.mutex_);
        --guard_.hashing_;
    }
    guard_.turn_free_.notify_one();
}

}  // namespace jiphyeon
