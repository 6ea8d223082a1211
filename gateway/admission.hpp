// The queue before the language model: so many ask at once, so many wait in the order of their coming and are
// told their place, and who comes then is sent away.
// Threads: any number.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace jiphyeon {

class Admission {
public:
    Admission(std::size_t at_once, std::size_t waiting) : at_once_(at_once), waiting_(waiting) {}

    class Slot {
    public:
        explicit Slot(Admission& admission) : admission_(&admission) {}
        Slot(Slot&& other) noexcept : admission_(std::exchange(other.admission_, nullptr)) {}
        Slot& operator=(Slot&&) = delete;
        ~Slot();

    private:
        Admission* admission_;
    };
    enum class Entry { entered, full, left };
    // Blocks until it is the caller's turn. on_place(place from 1) is called from this thread where one has
    // to wait, when the place changes and every second; false leaves the queue.
    Entry enter(const std::function<bool(std::size_t place)>& on_place, std::optional<Slot>& slot);

    struct State {
        std::size_t asking = 0, waiting = 0;
    };
    State state() const;
    // Blocks while anybody asks, but not longer than this.
    void wait_for_quiet(std::chrono::milliseconds at_most);

private:
    void leave();

    std::size_t at_once_, waiting_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::uint64_t> line_;
    std::uint64_t next_ticket_ = 0;
    std::size_t asking_ = 0;
};

}  // namespace jiphyeon
