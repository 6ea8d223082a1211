#include "watchdog.hpp"

#include <sys/socket.h>

#include <algorithm>

namespace jiphyeon {

Watchdog::Watchdog() : thread_([this](const std::stop_token& stop) { watch(stop); }) {}
Watchdog::~Watchdog() = default;

Watchdog::Watch::Watch(Watchdog& watchdog, int fd) : watchdog_(watchdog)
{
    const std::lock_guard lock(watchdog_.mutex_);
    id_ = watchdog_.next_++;
    watchdog_.entries_[id_] = {.fd = fd, .deadline = watchdog_.end_, .expired = false};
}

Watchdog::Watch::~Watch()
{
    const std::lock_guard lock(watchdog_.mutex_);
    watchdog_.entries_.erase(id_);
}

void Watchdog::Watch::deadline(std::chrono::milliseconds from_now)
{
    {
        const std::lock_guard lock(watchdog_.mutex_);
        watchdog_.entries_.at(id_).deadline =
            std::min(std::chrono::steady_clock::now() + from_now, watchdog_.end_);
    }
    watchdog_.changed_.notify_one();
}

bool Watchdog::Watch::expired() const
{
    const std::lock_guard lock(watchdog_.mutex_);
    return watchdog_.entries_.at(id_).expired;
}

void Watchdog::close_all_after(std::chrono::milliseconds from_now)
{
    {
        const std::lock_guard lock(mutex_);
        end_ = std::chrono::steady_clock::now() + from_now;
        for (auto& [id, entry] : entries_) entry.deadline = std::min(entry.deadline, end_);
    }
    changed_.notify_one();
}

std::uint64_t Watchdog::cut() const
{
    const std::lock_guard lock(mutex_);
    return cut_;
}

void Watchdog::watch(const std::stop_token& stop)
{
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        auto next = std::chrono::steady_clock::now() + std::chrono::hours(1);
        for (const auto& [id, entry] : entries_)
            if (!entry.expired) next = std::min(next, entry.deadline);
        changed_.wait_until(lock, stop, next, [&] {
            return std::any_of(entries_.begin(), entries_.end(), [&](const auto& item) {
                return !item.second.expired && item.second.deadline < next;
            });
        });
        const auto now = std::chrono::steady_clock::now();
        for (auto& [id, entry] : entries_) {
            if (entry.expired || entry.deadline > now) continue;
            entry.expired = true;
            ++cut_;
            ::shutdown(entry.fd, SHUT_RDWR);
        }
    }
}

}  // namespace jiphyeon
