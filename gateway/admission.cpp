#include "admission.hpp"

#include <algorithm>

namespace jiphyeon {

Admission::Slot::~Slot()
{
    if (admission_ != nullptr) admission_->leave();
}

Admission::Entry Admission::enter(const std::function<bool(std::size_t place)>& on_place,
                                  std::optional<Slot>& slot)
{
    std::unique_lock lock(mutex_);
    if (asking_ < at_once_ && line_.empty()) {
        ++asking_;
        slot.emplace(*this);
        return Entry::entered;
    }
    if (line_.size() >= waiting_) return Entry::full;
    const std::uint64_t ticket = next_ticket_++;
    line_.push_back(ticket);
    while (asking_ >= at_once_ || line_.front() != ticket) {
        const auto place = std::find(line_.begin(), line_.end(), ticket) - line_.begin() + 1;
        lock.unlock();  // the caller may write to a slow client
        bool stays = false;
        try {
            stays = on_place(static_cast<std::size_t>(place));
        } catch (...) {
            lock.lock();
            std::erase(line_, ticket);
            changed_.notify_all();
            throw;
        }
        lock.lock();
        if (!stays) {
            std::erase(line_, ticket);
            changed_.notify_all();
            return Entry::left;
        }
        changed_.wait_for(lock, std::chrono::seconds(1), [&] {
            const auto now = std::find(line_.begin(), line_.end(), ticket) - line_.begin() + 1;
            return now != place || (asking_ < at_once_ && line_.front() == ticket);
        });
    }
    line_.pop_front();
    ++asking_;
    slot.emplace(*this);
    changed_.notify_all();
    return Entry::entered;
}

Admission::State Admission::state() const
{
    const std::lock_guard lock(mutex_);
    return {.asking = asking_, .waiting = line_.size()};
}

void Admission::wait_for_quiet(std::chrono::milliseconds at_most)
{
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, at_most, [this] { return asking_ == 0 && line_.empty(); });
}

void Admission::leave()
{
    {
        const std::lock_guard lock(mutex_);
        --asking_;
    }
    changed_.notify_all();
}

}  // namespace jiphyeon
