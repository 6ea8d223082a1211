// A few threads that share out loops. The caller takes part; between loops the others spin briefly and then
// sleep, so that a machine shared with other work is not held up by waiting.
//
// Who gets which part of a loop is not fixed: only work whose result does not depend on it belongs here.
//
// Example:
//     ThreadPool pool(2);
//     pool.run(rows, 16, [&](std::size_t begin, std::size_t end, unsigned thread) { … });
//
// Threads: one caller of run() at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace jiphyeon {

class ThreadPool {
public:
    explicit ThreadPool(unsigned threads);  // at least 1, the caller counted
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    unsigned threads() const { return static_cast<unsigned>(workers_.size()) + 1; }

    // Calls body(begin, end, thread) for pieces of at most `grain` that together are [0, count), and returns
    // when all are done. body must not throw. What it wrote, past the caches too, is seen by the caller and
    // by later pieces.
    template <typename Body>
    void run(std::size_t count, std::size_t grain, Body&& body)
    {
        using Plain = std::remove_reference_t<Body>;
        run_erased(count, grain, const_cast<void*>(static_cast<const void*>(&body)),
                   [](void* b, std::size_t begin, std::size_t end, unsigned thread) noexcept {
                       (*static_cast<Plain*>(b))(begin, end, thread);
                   });
    }

private:
    using Call = void (*)(void* body, std::size_t begin, std::size_t end, unsigned thread) noexcept;

    void run_erased(std::size_t count, std::size_t grain, void* body, Call call);
    void take_pieces(unsigned thread);
    void work(unsigned thread);

    // Written by run() before the generation changes, read by the workers after it.
    void* body_ = nullptr;
    Call call_ = nullptr;
    std::size_t count_ = 0;
    std::size_t grain_ = 1;
    bool ending_ = false;

    alignas(64) std::atomic<std::size_t> next_{0};
    alignas(64) std::atomic<std::uint32_t> generation_{0};
    alignas(64) std::atomic<std::uint32_t> busy_{0};
    std::vector<std::thread> workers_;
};

}  // namespace jiphyeon
