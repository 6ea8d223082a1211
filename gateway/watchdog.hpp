// Deadlines of whole steps (head, body, one write, idling) for sockets: a client that drips a byte a second
// resets every per-read timeout, but not this. At the deadline the socket is shut, and whoever reads or
// writes it gets an error. Threads: one per Watch; the Watchdog itself any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>

namespace jiphyeon {

class Watchdog {
public:
    Watchdog();
    ~Watchdog();

    // Watches `fd` for its own lifetime, which must end before the descriptor is closed.
    class Watch {
    public:
        Watch(Watchdog& watchdog, int fd);
        ~Watch();
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;
        void deadline(std::chrono::milliseconds from_now);
        bool expired() const;

    private:
        Watchdog& watchdog_;
        std::uint64_t id_;
    };
    // No socket lives longer than this from now on, also not one that comes later.
    void close_all_after(std::chrono::milliseconds from_now);
    std::uint64_t cut() const;  // sockets shut so far

private:
    struct Entry {
        int fd = -1;
        std::chrono::steady_clock::time_point deadline;
        bool expired = false;
    };
    void watch(const std::stop_token& stop);

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::map<std::uint64_t, Entry> entries_;
    std::uint64_t next_ = 0, cut_ = 0;
    std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::time_point::max();
    std::jthread thread_;
};

}  // namespace jiphyeon
