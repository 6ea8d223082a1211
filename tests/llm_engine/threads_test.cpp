#include "threads.hpp"

#include <gtest/gtest.h>

#include <chrono>

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
