// Low-rank adapters: what they add against a second forward pass in double, its bits against all that must
// not matter, and every way in which a file may be none for the model.
#include "adapter.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "model.hpp"
#include "support/temp_dir.hpp"
#include "tiny_forward.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

using Kind = EngineError::Kind;
using test::relative_error;
using test::TinyOptions;

Gguf parsed(const std::string& bytes)
{
    return Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

// Logits of every position, or hidden states, in steps of `step` tokens.
std::vector<float> run(const Gguf& file, std::span<Adapter> adapters, std::span<const TokenId> tokens,
                       std::size_t step = 512, unsigned threads = 1, Isa isa = Isa::best)
{
    const ModelShape shape = read_shape(file, 512);
    Model model(file, shape, threads, kernels_for(isa), adapters);
    return test::run(model, tokens, step);
}

std::vector<TokenId> tokens()
{
    return {5, 17, 2, 29, 11, 11, 3, 8, 23, 1, 14, 20};
}

TEST(Adapter, EveryFamilyWithTwoOfThemAgreesWithTheReferenceInDouble)
{
    for (const TinyOptions& options : test::tiny_families()) {
        const std::string bytes = test::tiny_model(options);
        const Gguf model = parsed(bytes);
        const std::string one = test::tiny_adapter(model, 6, TensorType::f32, 2);
        const std::string two = test::tiny_adapter(model, 32, TensorType::q8_0, 3);
        const Gguf files[] = {parsed(one), parsed(two)};
        std::vector<Adapter> adapters;
        adapters.emplace_back(parsed(one), options.architecture, 0.5f);
        adapters.emplace_back(parsed(two), options.architecture, -0.25f);
        const std::vector<float> got = run(model, adapters, tokens());
        const test::ReferenceModel adapted(model, {{&files[0], 0.5}, {&files[1], -0.25}});
        EXPECT_LT(relative_error(got, adapted.run(tokens())), 1e-5) << options.architecture;
        EXPECT_NE(got, run(model, {}, tokens())) << options.architecture;
    }
}

TEST(Adapter, BitsDependOnNeitherInstructionSetNorThreadsNorSteps)
{
    TinyOptions options;
    options.matrices = options.others = TensorType::q8_0;
    const std::string bytes = test::tiny_model(options);
    const Gguf model = parsed(bytes);
    const std::string file = test::tiny_adapter(model, 16, TensorType::f16, 4);
    const auto adapted = [&](std::size_t step, unsigned threads, Isa isa) {
        std::vector<Adapter> adapters;
        adapters.emplace_back(parsed(file), "qwen2", 1.0f);
        return run(model, adapters, tokens(), step, threads, isa);
    };
    const std::vector<float> expected = adapted(512, 1, Isa::scalar);
    for (const Isa isa : available_isas()) {
        for (const std::size_t step : {1u, 5u}) {
            const std::vector<float> got = adapted(step, 3, isa);
            ASSERT_EQ(got.size(), expected.size());
            EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
                << isa_name(isa) << ' ' << step;
        }
    }
}

// So many inner numbers go into the next product in pieces, but not where an adapter wants all of a token.
TEST(Adapter, CountsWithManyTokensAndManyInnerNumbersToo)
{
    TinyOptions options;
    options.inner = 2048;
    options.layers = 1;
    const std::string bytes = test::tiny_model(options);
    const Gguf model = parsed(bytes);
    const std::string file = test::tiny_adapter(model, 6, TensorType::f32, 4);
    std::vector<TokenId> many;
    for (std::size_t i = 0; i < 48; ++i) many.push_back(tokens()[i % tokens().size()]);
    ASSERT_TRUE(worth_taking(many.size(), options.inner, 1));
    const auto adapted = [&](std::size_t step) {
        std::vector<Adapter> adapters;
        adapters.emplace_back(parsed(file), "qwen2", 1.0f);
        return run(model, adapters, many, step);
    };
    EXPECT_EQ(adapted(512), adapted(12));
}

TEST(Adapter, WithoutWeightItChangesNothing)
{
    const std::string bytes = test::tiny_model({});
    const Gguf model = parsed(bytes);
    const std::string file = test::tiny_adapter(model, 4, TensorType::f32, 5);
    std::vector<Adapter> adapters;
    adapters.emplace_back(parsed(file), "qwen2", 0.0f);
    EXPECT_EQ(run(model, adapters, tokens()), run(model, {}, tokens()));
}

TEST(Adapter, EnginesSayWhichTheyHaveAndCountTheirMemory)
{
    const test::TempDir folder;
    const std::string bytes = test::tiny_model({});
    const std::string file = test::tiny_adapter(parsed(bytes), 8, TensorType::f32, 6);
    std::ofstream(folder.path() / "model.gguf", std::ios::binary) << bytes;
    std::ofstream(folder.path() / "adapter.gguf", std::ios::binary) << file;
    EngineOptions options;
    options.adapters = {{.file = folder.path() / "adapter.gguf",
                         .sha256 = hash_model(folder.path() / "adapter.gguf"),
                         .scale = 0.5f}};
    const auto plain = open_engine(folder.path() / "model.gguf", {});
    const auto local = open_engine(folder.path() / "model.gguf", options);
    const auto caged = spawn_engine(JIPHYEON_ENGINE_CHILD, {"model"}, folder.path() / "model.gguf", options);
    for (const Engine* engine : {local.get(), caged.get()}) {
        ASSERT_EQ(engine->info().adapters.size(), 1u);
        EXPECT_EQ(engine->info().adapters[0].name, "예산과 말투");
        EXPECT_EQ(engine->info().adapters[0].sha256, *options.adapters[0].sha256);
        EXPECT_EQ(engine->info().adapters[0].scale, 0.5f);
        EXPECT_GE(engine->info().memory.weights, plain->info().memory.weights + 8 * 256 * 4);
    }
    const std::vector<TokenId> prompt = local->tokenizer().encode("제3조");
    EXPECT_EQ(caged->next_logits(prompt, ""), local->next_logits(prompt, ""));
    EXPECT_NE(plain->next_logits(prompt, ""), local->next_logits(prompt, ""));
    options.adapters[0].sha256->front() ^= 1;
    try {
        open_engine(folder.path() / "model.gguf", options);
        ADD_FAILURE() << "another adapter than the approved one";
    } catch (const EngineError& error) {
        EXPECT_EQ(error.kind, Kind::hash_mismatch);
    }
}

class Refused : public testing::Test {
protected:
    // Opens what the writer holds for a tiny qwen2 of width 256.
    void expect(Kind kind, const test::GgufWriter& w, const std::string& why, float scale = 1)
    {
        const std::string bytes = w.finish();
        try {
            std::vector<Adapter> adapters;
            adapters.emplace_back(parsed(bytes), "qwen2", scale);
            run(model_, adapters, tokens());
            ADD_FAILURE() << "accepted: " << why;
        } catch (const EngineError& error) {
            EXPECT_EQ(error.kind, kind) << why << ": " << error.what();
        }
    }
    static void pair(test::GgufWriter& w, const std::string& name, std::uint64_t columns,
                     std::uint64_t rank_a, std::uint64_t rank_b, std::uint64_t rows)
    {
        w.tensor(name + ".lora_a", {columns, rank_a}, 0, std::string(columns * rank_a * 4, '\0'));
        w.tensor(name + ".lora_b", {rank_b, rows}, 0, std::string(rank_b * rows * 4, '\0'));
    }

    std::string bytes_ = test::tiny_model({});
    Gguf model_ = parsed(bytes_);
};

TEST_F(Refused, FilesThatAreNoAdapterForTheModel)
{
    const std::string q = "blk.0.attn_q.weight";
    test::GgufWriter model;
    model.string("general.architecture", "qwen2");
    expect(Kind::malformed, model, "a model");
    test::GgufWriter kind;
    kind.string("general.type", "adapter");
    kind.string("general.architecture", "qwen2");
    kind.string("adapter.type", "ia3");
    expect(Kind::unsupported, kind, "another kind");
    const auto with = [&](const std::string& architecture, const auto& write) {
        test::GgufWriter w = test::adapter_keys(architecture, 8.0f);
        write(w);
        return w;
    };
    const auto right = [&](test::GgufWriter& w) { pair(w, q, 256, 4, 4, 256); };
    expect(Kind::unsupported, with("llama", right), "another family");
    expect(Kind::malformed, with("qwen2", [](auto&) {}), "no tensors");
    expect(Kind::malformed, with("qwen2", [&](auto& w) { pair(w, q, 256, 4, 5, 256); }), "two ranks");
    expect(Kind::malformed, with("qwen2", [&](auto& w) { pair(w, q, 128, 4, 4, 256); }), "columns");
    expect(Kind::malformed, with("qwen2", [&](auto& w) { pair(w, q, 256, 4, 4, 512); }), "rows");
    expect(Kind::malformed, with("qwen2", [&](auto& w) { pair(w, "blk.9.attn_q.weight", 256, 4, 4, 256); }),
           "no such layer");
    expect(Kind::malformed, with("qwen2", [&](auto& w) { pair(w, "blk.0.attn_q.bias", 256, 4, 4, 256); }),
           "of a bias");
    expect(Kind::unsupported, with("qwen2", [&](auto& w) { pair(w, "token_embd.weight", 256, 4, 4, 261); }),
           "of the embedding");
    expect(Kind::unsupported,
           with("qwen2",
                [&](auto& w) {
                    right(w);
                    w.tensor("output_norm.weight", {256}, 0, std::string(1024, '\0'));
                }),
           "a whole tensor");
    expect(Kind::malformed,
           with("qwen2",
                [&](auto& w) {
                    w.tensor(q + ".lora_a", {256, 4}, 0, std::string(4096, '\0'));
                }),
           "half of a pair");
    expect(Kind::bad_request, with("qwen2", right), "a scale that is no number", std::nanf(""));
    test::GgufWriter alpha = test::adapter_keys("qwen2", INFINITY);
    right(alpha);
    expect(Kind::malformed, alpha, "alpha");
}

}  // namespace
}  // namespace jiphyeon
