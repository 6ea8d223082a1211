#include "step_batcher.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace jiphyeon {
namespace {

constexpr std::size_t kTogether = 64;              // callers in one step
constexpr std::chrono::milliseconds kPatience{6};  // a fraction of a step
constexpr std::chrono::milliseconds kCancelPoll{20};

}  // namespace

// The mutex is held.
void StepBatcher::expect_no_more(User& user)
{
    std::erase(expected_, &user);
    if (expected_.empty()) gathered_.notify_one();
}

void StepBatcher::User::pause()
{
    const std::lock_guard lock(batcher_.mutex_);
    batcher_.expect_no_more(*this);
}

bool StepBatcher::User::compute(std::span<const Row> rows, std::span<const std::size_t> wanted,
                                std::vector<float>& out, const std::atomic<bool>* cancel)
{
    Wish wish{this, rows, wanted, &out, cancel};
    return batcher_.wait_for(wish);
}

bool StepBatcher::wait_for(Wish& wish)
{
    std::unique_lock lock(mutex_);
    expected_.reserve(expected_.size() + waiting_.size() + kTogether);  // for lead(), which must not fail
    waiting_.push_back(&wish);
    expect_no_more(*wish.user);
    while (!wish.done) {
        if (!wish.taken && wish.cancelled()) {
            std::erase(waiting_, &wish);
            changed_.notify_all();
            return false;
        }
        if (!led_ && !wish.taken && waiting_.front() == &wish) {
            lead(lock);
        } else if (wish.cancel == nullptr || wish.taken) {
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
    // Who does not come is not waited for again until he has been here.
    if (!gathered_.wait_for(lock, kPatience, [this] { return expected_.empty(); })) expected_.clear();
    std::array<Wish*, kTogether> together{};
    std::size_t count = 0;
    std::size_t rows = 0;
    for (Wish* const wish : waiting_) {
        if (wish->cancelled()) continue;
        rows += wish->rows.size();
        if (count == kTogether || (count > 0 && rows > Model::kStepRows)) break;
        wish->taken = true;
        together[count++] = wish;
    }
    std::erase_if(waiting_, [](const Wish* wish) { return wish->taken; });
    lock.unlock();
    if (count > 0) run(std::span(together).first(count));
    lock.lock();
    for (Wish* const wish : std::span(together).first(count)) {
        wish->done = true;
        expected_.push_back(wish->user);
    }
    led_ = false;
    changed_.notify_all();
}

void StepBatcher::run(std::span<Wish* const> wishes)
{
    try {
        const std::size_t size = model_.result_size();
        std::vector<Row> rows;
        std::vector<std::size_t> wanted;
        std::vector<float*> out;
        for (const Wish* const wish : wishes) {
            wish->out->resize(wish->wanted.size() * size);
            for (std::size_t i = 0; i < wish->wanted.size(); ++i) {
                wanted.push_back(rows.size() + wish->wanted[i]);
                out.push_back(wish->out->data() + i * size);
            }
            rows.insert(rows.end(), wish->rows.begin(), wish->rows.end());
        }
        model_.forward(rows, wanted, out);
    } catch (...) {
        for (Wish* const wish : wishes) wish->error = std::current_exception();
    }
}

}  // namespace jiphyeon
