// Joins the steps that requests want at about the same time into one: weights are then read once for all.
//
// There is no thread of its own. Of the callers that wait, the first runs the step for those behind it that
// fit, in the order in which they came, and hands out the results. A row's result does not depend on the
// other rows of a step (kernels.hpp), so nobody can tell who was with him but by the clock.
//
// Threads: any number.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <span>
#include <vector>

#include "model.hpp"

namespace jiphyeon {

class StepBatcher {
public:
    explicit StepBatcher(Model& model) : model_(model) {}

    // One who computes one step after the other. From the end of a step until his next one, pause() or his
    // end he is expected: others' small steps wait for him, but not for long.
    class User {
    public:
        explicit User(StepBatcher& batcher) : batcher_(batcher) {}
        ~User() { pause(); }
        User(const User&) = delete;
        User& operator=(const User&) = delete;

        // Model::forward() of rows that no other user has, at most Model::kStepRows. False, and nothing is
        // computed, when `cancel` became true before it began. An exception of the step reaches all who were
        // in it.
        bool compute(std::span<const Row> rows, std::span<const std::size_t> wanted, std::vector<float>& out,
                     const std::atomic<bool>* cancel);
        void pause();

    private:
        friend class StepBatcher;
        StepBatcher& batcher_;
    };

private:
    struct Wish {
        User* user;
        std::span<const Row> rows;
        std::span<const std::size_t> wanted;
        std::vector<float>* out;
        const std::atomic<bool>* cancel;
        bool taken = false;
        bool done = false;
        std::exception_ptr error = nullptr;

        bool cancelled() const { return cancel != nullptr && cancel->load(); }
    };
    bool wait_for(Wish& wish);
    void lead(std::unique_lock<std::mutex>& lock);
    void run(std::span<Wish* const> wishes);
    void expect_no_more(User& user);

    Model& model_;  // used by the leader alone
    std::mutex mutex_;
    std::condition_variable gathered_;  // nobody is expected any more: for who leads
    std::condition_variable changed_;
    // Guarded by mutex_.
    std::vector<Wish*> waiting_;
    bool led_ = false;
    std::vector<User*> expected_;
};

}  // namespace jiphyeon
