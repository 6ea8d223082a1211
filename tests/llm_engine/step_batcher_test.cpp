#include "step_batcher.hpp"

#include <gtest/gtest.h>

#include <future>

#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

struct Loaded {
    std::string bytes = test::tiny_model({.layers = 1, .width = 64, .inner = 64});
    Gguf file = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    Model model{file, read_shape(file, 512), 1, kernels_for(Isa::best)};
    StepBatcher batcher{model};
};

// One token at position 0.
struct Step {
    Step(const Model& model, TokenId token)
        : pages{std::make_shared<KvPage>(model.shape().kv())}, row{token, 0, 0, 1, &pages}
    {
    }
    bool run(StepBatcher& batcher, const std::atomic<bool>* cancel = nullptr)
    {
        StepBatcher::User user(batcher);
        return user.compute({&row, 1}, std::span(&wanted, 1), out, cancel);
    }
    KvPages pages;
    Row row;
    std::size_t wanted = 0;
    std::vector<float> out;
};

TEST(StepBatcher, EveryCallerGetsHisOwnRows)
{
    Loaded loaded;
    std::vector<std::vector<float>> alone;
    for (TokenId id = 0; id < 16; ++id) {
        Step step(loaded.model, id);
        ASSERT_TRUE(step.run(loaded.batcher));
        alone.push_back(step.out);
    }
    for (int round = 0; round < 20; ++round) {
        std::vector<std::future<std::vector<float>>> callers;
        for (TokenId id = 0; id < 16; ++id) {
            callers.push_back(std::async(std::launch::async, [&loaded, id] {
                Step step(loaded.model, id);
                EXPECT_TRUE(step.run(loaded.batcher));
                return step.out;
            }));
        }
        for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(callers[i].get(), alone[i]);
    }
}

TEST(StepBatcher, WhoIsCancelledBeforeHisStepGetsNone)
{
    Loaded loaded;
    const std::atomic<bool> cancel = true;
    Step step(loaded.model, 1);
    EXPECT_FALSE(step.run(loaded.batcher, &cancel));
    EXPECT_TRUE(step.run(loaded.batcher)) << "and nothing is left behind";
}

TEST(StepBatcher, NobodyWaitsForLongForWhoDoesNotCome)
{
    Loaded loaded;
    Step first(loaded.model, 2);
    StepBatcher::User never_again(loaded.batcher);
    EXPECT_TRUE(never_again.compute({&first.row, 1}, std::span(&first.wanted, 1), first.out, nullptr));
    Step step(loaded.model, 1);
    EXPECT_TRUE(step.run(loaded.batcher));
}

}  // namespace
}  // namespace jiphyeon
