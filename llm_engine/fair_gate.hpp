// Hands out a limited number of units, first come, first served. Who wants many waits until they are free and
// is not overtaken by those who want few.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace jiphyeon {

class FairGate {
public:
    explicit FairGate(std::size_t units) : free_(units) {}

    // False, and nothing taken, when `cancel` becomes true first.
    bool enter(std::size_t units, const std::atomic<bool>* cancel)
    {
        std::unique_lock lock(mutex_);
        const std::uint64_t ticket = next_ticket_++;
        waiting_.push_back(ticket);
        while (waiting_.front() != ticket || free_ < units) {
            if (cancel == nullptr) {
                changed_.wait(lock);
            } else {
                if (cancel->load()) {
                    std::erase(waiting_, ticket);
                    changed_.notify_all();
                    return false;
                }
                changed_.wait_for(lock, std::chrono::milliseconds(20));
            }
        }
        waiting_.erase(waiting_.begin());
        free_ -= units;
        changed_.notify_all();
        return true;
    }
    void leave(std::size_t units)
    {
        const std::lock_guard lock(mutex_);
        free_ += units;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::uint64_t> waiting_;
    std::uint64_t next_ticket_ = 0;
    std::size_t free_;
};

// Units held for a scope; held() is false where `cancel` came first.
class Units {
public:
    Units(FairGate& gate, std::size_t units, const std::atomic<bool>* cancel)
        : gate_(gate), units_(units), held_(gate.enter(units, cancel))
    {
    }
    ~Units()
    {
        if (held_) gate_.leave(units_);
    }
    Units(const Units&) = delete;
    Units& operator=(const Units&) = delete;
    bool held() const { return held_; }

private:
    FairGate& gate_;
    std::size_t units_;
    bool held_;
};

}  // namespace jiphyeon
