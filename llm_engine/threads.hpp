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

    // The same in pieces of its own choice, for work that goes best on from where it was, as reading memory
    // in order does: a thread's pieces follow each other, until it helps another with what that has left.
    // They shrink to one, so that nobody waits long for the last. count: below 2^32.
    template <typename Body>
    void run_in_order(std::size_t count, Body&& body)
    {
        run(share_out(count), 1, [&](std::size_t part, std::size_t past, unsigned thread) {
            for (; part < past; ++part) {
                for (Piece piece = take(part); piece.begin < piece.end; piece = take(part))
                    body(piece.begin, piece.end, thread);
            }
        });
    }

private:
    struct Piece {
        std::uint32_t begin = 0;
        std::uint32_t end = 0;
    };
    // What is left of the part that one thread begins with.
    struct alignas(64) Part {
        std::atomic<Piece> left;
        static_assert(std::atomic<Piece>::is_always_lock_free);
    };
    // Gives the number of parts.
    std::size_t share_out(std::size_t count);
    // The next piece for who began with that part; an empty one if nothing is left of any.
    Piece take(std::size_t part);

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
    std::vector<Part> parts_;
    std::vector<std::thread> workers_;
};

}  // namespace jiphyeon
