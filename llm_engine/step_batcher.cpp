#include "step_batcher.hpp"

#include <algorithm>
#include <chrono>

namespace jiphyeon {
namespace {

constexpr std::size_t kSmall = 64;                 // rows of a step that is worth waiting for others
constexpr std::chrono::milliseconds kPatience{6};  // a fraction of a step
constexpr std::chrono::milliseconds kCancelPoll{20};

}  // namespace

// The mutex is held.
void StepBatcher::expect(User& user, bool expected)
{
    if (user.expected_ == expected) return;
    user.expected_ = expected;
    if (expected) {
        ++expected_;
    } else if (--expected_ == 0) {
        changed_.notify_all();
    }
}

void StepBatcher::User::pause()
{
    const std::lock_guard lock(batcher_.mutex_);
    batcher_.expect(*this, false);
}

bool StepBatcher::User::compute(std::span<const Row> rows, std::span<const std::size_t> wanted,
                                std::vector<float>& out, const std::atomic<bool>* cancel)
{
    Wish wish{this, rows, wanted, &out};
    return batcher_.wait_for(wish, cancel);
}

bool StepBatcher::wait_for(Wish& wish, const std::atomic<bool>* cancel)
{
    std::unique_lock lock(mutex_);
    waiting_.push_back(&wish);
    expect(*wish.user, false);
    while (!wish.done) {
        if (!wish.taken && cancel != nullptr && cancel->load()) {
            std::erase(waiting_, &wish);
            changed_.notify_all();
            return false;
        }
        if (!led_ && !wish.taken && waiting_.front() == &wish) {
            lead(lock);
        } else if (cancel == nullptr || wish.taken) {
            changed_.wait(lock);
        } else {
            changed_.wait_for(lock, kCancelPoll);
        }
    }
    if (wish.error) std::rethrow_exception(wish.error);
    return true;
}

// Runs the step of the first who waits and of those behind that fit.
void StepBatcher::lead(std::unique_lock<std::mutex>& lock)
{
    led_ = true;
    if (waiting_.front()->rows.size() <= kSmall) {
        changed_.wait_for(lock, kPatience, [this] { return expected_ == 0; });
    }
    std::vector<Wish*> together;
    std::size_t rows = 0;
    for (Wish* const wish : waiting_) {
        rows += wish->rows.size();
        if (!together.empty() && rows > Model::kStepRows) break;
        wish->taken = true;
        together.push_back(wish);
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(together.size()));
    lock.unlock();
    run(together);
    lock.lock();
    for (Wish* const wish : together) {
        wish->done = true;
        expect(*wish->user, true);
    }
    led_ = false;
    changed_.notify_all();
}

void StepBatcher::run(std::span<Wish* const> wishes)
{
    try {
        if (wishes.size() == 1) return model_.forward(wishes[0]->rows, wishes[0]->wanted, *wishes[0]->out);
        std::vector<Row> rows;
        std::vector<std::size_t> wanted;
        for (const Wish* const wish : wishes) {
            for (const std::size_t i : wish->wanted) wanted.push_back(rows.size() + i);
            rows.insert(rows.end(), wish->rows.begin(), wish->rows.end());
        }
        std::vector<float> out;
        model_.forward(rows, wanted, out);
        const std::size_t size = wanted.empty() ? 0 : out.size() / wanted.size();
        const float* from = out.data();
        for (const Wish* const wish : wishes) {
            wish->out->assign(from, from + wish->wanted.size() * size);
            from += wish->wanted.size() * size;
        }
    } catch (...) {
        for (Wish* const wish : wishes) wish->error = std::current_exception();
    }
}

}  // namespace jiphyeon
