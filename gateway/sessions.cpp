#include "sessions.hpp"

#include "accounts.hpp"

namespace jiphyeon {

Sessions::Sessions(SessionLimits limits, Clock clock) : limits_(limits), clock_(std::move(clock)) {}

bool Sessions::expired(const Session& session) const
{
    const auto now = clock_();
    return now - session.used >= limits_.idle || now - session.opened >= limits_.absolute;
}

void Sessions::drop_expired()
{
    std::erase_if(by_hash_, [this](const auto& entry) { return expired(entry.second); });
}

Sessions::Opened Sessions::open(std::string_view account)
{
    Opened opened{.token = random_token(), .csrf = random_token(), .name = random_token().substr(0, 12)};
    const auto now = clock_();
    const std::lock_guard lock(mutex_);
    drop_expired();
    std::size_t count = 0;
    auto oldest = by_hash_.end();
    for (auto it = by_hash_.begin(); it != by_hash_.end(); ++it) {
        if (it->second.account != account) continue;
        ++count;
        if (oldest == by_hash_.end() || it->second.used < oldest->second.used) oldest = it;
    }
    if (count >= kPerAccount) by_hash_.erase(oldest);
    by_hash_[token_hash(opened.token)] = {.account = std::string(account),
                                          .csrf = opened.csrf,
                                          .name = opened.name,
                                          .opened = now,
                                          .used = now};
    return opened;
}

std::optional<Sessions::Found> Sessions::use(std::string_view token)
{
    const std::lock_guard lock(mutex_);
    const auto found = by_hash_.find(token_hash(token));
    if (found == by_hash_.end()) return std::nullopt;
    if (expired(found->second)) {
        by_hash_.erase(found);
        return std::nullopt;
    }
    found->second.used = clock_();
    return Found{found->second.account, found->second.csrf, found->second.name};
}

std::optional<Sessions::Found> Sessions::look(std::string_view token) const
{
    const std::lock_guard lock(mutex_);
    const auto found = by_hash_.find(token_hash(token));
    if (found == by_hash_.end() || expired(found->second)) return std::nullopt;
    return Found{found->second.account, found->second.csrf, found->second.name};
}

void Sessions::close(std::string_view token)
{
    const std::lock_guard lock(mutex_);
    by_hash_.erase(token_hash(token));
}

void Sessions::close_all_of(std::string_view account, std::string_view except)
{
    const std::lock_guard lock(mutex_);
    std::erase_if(by_hash_, [&](const auto& entry) {
        return entry.second.account == account && (except.empty() || entry.second.name != except);
    });
}

std::size_t Sessions::size() const
{
    const std::lock_guard lock(mutex_);
    std::size_t alive = 0;
    for (const auto& [hash, session] : by_hash_)
        if (!expired(session)) ++alive;
    return alive;
}

}  // namespace jiphyeon
