#include "threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace jiphyeon {
namespace {

// Each index exactly once, whatever the sizes; what the pieces wrote is seen afterwards without atomics.
TEST(ThreadPool, EveryIndexOnceAndSeenByTheCaller)
{
    for (const unsigned threads : {1u, 2u, 3u, 8u}) {
        ThreadPool pool(threads);
        EXPECT_EQ(pool.threads(), threads);
        for (int round = 0; round < 300; ++round) {
            const std::size_t count = static_cast<std::size_t>(round % 37);
            std::vector<int> times(count);
            pool.run(count, 1 + static_cast<std::size_t>(round % 5),
                     [&](std::size_t begin, std::size_t end, unsigned thread) {
                         EXPECT_LT(thread, threads);
                         for (std::size_t i = begin; i < end; ++i) ++times[i];
                     });
            EXPECT_EQ(times, std::vector<int>(count, 1));
        }
    }
}

TEST(ThreadPool, InOrderEveryIndexOnceAndSeenByTheCaller)
{
    for (const unsigned threads : {1u, 2u, 3u, 16u}) {
        ThreadPool pool(threads);
        for (std::size_t count = 0; count < 300; ++count) {
            std::vector<int> times(count);
            pool.run_in_order(count, [&](std::size_t begin, std::size_t end, unsigned thread) {
                EXPECT_LT(thread, threads);
                EXPECT_LT(begin, end);
                for (std::size_t i = begin; i < end; ++i) ++times[i];
            });
            EXPECT_EQ(times, std::vector<int>(count, 1));
        }
    }
}

TEST(ThreadPool, InOrderAThreadGoesOnWhereItWas)
{
    ThreadPool pool(1);
    std::size_t next = 0;
    pool.run_in_order(1000, [&](std::size_t begin, std::size_t end, unsigned) {
        EXPECT_EQ(begin, next);
        next = end;
    });
    EXPECT_EQ(next, 1000u);
}

// Whoever gets index 0 does nothing more until all that can be done without it is done.
TEST(ThreadPool, InOrderWhatIsLeftOfASlowThreadIsDoneByAnother)
{
    constexpr std::size_t kCount = 1000;
    ThreadPool pool(2);
    std::atomic<std::size_t> done{0};
    pool.run_in_order(kCount, [&](std::size_t begin, std::size_t end, unsigned) {
        const std::size_t others = kCount - (end - begin);
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        if (begin == 0) {
            while (done < others && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
            EXPECT_EQ(done, others);
        }
        done += end - begin;
    });
    EXPECT_EQ(done, kCount);
}

// Long enough between loops for the workers to have gone to sleep.
TEST(ThreadPool, SleepingWorkersWakeUp)
{
    ThreadPool pool(3);
    for (int round = 0; round < 20; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        std::vector<int> times(100);
        pool.run(100, 1, [&](std::size_t begin, std::size_t end, unsigned) {
            for (std::size_t i = begin; i < end; ++i) ++times[i];
        });
        EXPECT_EQ(times, std::vector<int>(100, 1));
    }
}

}  // namespace
}  // namespace jiphyeon
