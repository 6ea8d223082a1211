#include "threads.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace jiphyeon {
namespace {

// Some 20 microseconds: longer than the serial stretches between the loops of one layer, far shorter than a
// time slice of a shared processor.
constexpr int kSpins = 1000;

void pause()
{
    __builtin_ia32_pause();
}

// Waits until `value` is no longer `old`.
void await_change(const std::atomic<std::uint32_t>& value, std::uint32_t old)
{
    for (int i = 0; i < kSpins; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause();
    }
    while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

// Atomic operations promise nothing about what was written past the caches.
void end_writes()
{
    __builtin_ia32_sfence();
}

}  // namespace

ThreadPool::ThreadPool(unsigned threads) : parts_(std::max(1u, threads))
{
    for (unsigned i = 1; i < std::max(1u, threads); ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool()
{
    ending_ = true;
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_erased(std::size_t count, std::size_t grain, void* body, Call call)
{
    if (count == 0) return;
    if (workers_.empty() || count <= grain) {
        call(body, 0, count, 0);
        end_writes();
        return;
    }
    body_ = body;
    call_ = call;
    count_ = count;
    grain_ = grain;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    take_pieces(0);
    for (std::uint32_t busy = busy_.load(std::memory_order_acquire); busy != 0;
         busy = busy_.load(std::memory_order_acquire)) {
        await_change(busy_, busy);
    }
}

std::size_t ThreadPool::share_out(std::size_t count)
{
    assert(count <= std::numeric_limits<std::uint32_t>::max());
    const std::size_t parts = std::min(count, parts_.size());
    for (std::size_t i = 0; i < parts_.size(); ++i) {
        const auto begin = [&](std::size_t part) {
            return static_cast<std::uint32_t>(part < parts ? count * part / parts : count);
        };
        parts_[i].left.store({begin(i), begin(i + 1)}, std::memory_order_relaxed);
    }
    return parts;
}

ThreadPool::Piece ThreadPool::take(std::size_t part)
{
    for (std::size_t i = 0; i < parts_.size(); ++i) {
        std::atomic<Piece>& shared = parts_[(part + i) % parts_.size()].left;
        Piece left = shared.load(std::memory_order_relaxed);
        while (left.begin < left.end) {
            const std::uint32_t size = std::max(1u, (left.end - left.begin) / 8);
            // A helper takes the end: the other goes on in order.
            const Piece taken =
                i == 0 ? Piece{left.begin, left.begin + size} : Piece{left.end - size, left.end};
            const Piece rest = i == 0 ? Piece{taken.end, left.end} : Piece{left.begin, taken.begin};
            if (shared.compare_exchange_weak(left, rest, std::memory_order_relaxed)) return taken;
        }
    }
    return {};
}

void ThreadPool::take_pieces(unsigned thread)
{
    for (;;) {
        const std::size_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
        if (begin >= count_) break;
        call_(body_, begin, std::min(begin + grain_, count_), thread);
    }
    end_writes();
}

void ThreadPool::work(unsigned thread)
{
    for (std::uint32_t seen = 0;; ++seen) {
        await_change(generation_, seen);
        if (ending_) return;
        take_pieces(thread);
        if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
    }
}

}  // namespace jiphyeon
