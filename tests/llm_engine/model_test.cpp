// The forward pass against a second one written in double, and its bits against everything that must not
// matter: instruction set, threads, how a prompt is split, what else is in the step.
#include "model.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <tuple>

#include "kernels_emulated_tiles.hpp"
#include "tiny_forward.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

using test::pages_for;
using test::relative_error;
using test::run;
using test::TinyOptions;

struct Loaded {
    explicit Loaded(const TinyOptions& options, unsigned threads = 1, Isa isa = Isa::best,
                    KvType kv = KvType::f16)
        : Loaded(options, threads, kernels_for(isa), kv)
    {
    }
    Loaded(const TinyOptions& options, unsigned threads, const Kernels& kernels, KvType kv = KvType::f16)
        : bytes(test::tiny_model(options)), model(file, read_shape(file, 4096, kv), threads, kernels)
    {
    }
    std::string bytes;
    Gguf file = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    Model model;
};

std::vector<TokenId> random_tokens(std::size_t n, TokenId most, unsigned seed)
{
    std::mt19937 random(seed);
    std::vector<TokenId> out(n);
    for (TokenId& id : out) id = static_cast<TokenId>(random() % static_cast<unsigned>(most));
    return out;
}

struct Case {
    TinyOptions options;
    double error_max;
};

std::vector<Case> cases()
{
    using T = TensorType;
    std::vector<Case> all;
    for (const char* architecture : {"qwen2", "llama", "bert"}) {
        const auto add = [&](T matrices, T others, double error_max) {
            TinyOptions options;
            options.architecture = architecture;
            options.matrices = matrices;
            options.others = others;
            if (options.architecture == "bert") options.kv_heads = options.heads;
            all.push_back({options, error_max});
        };
        // Keys and values are halves, so F32 files are not exact either.
        add(T::f32, T::f32, 1e-6);
        add(T::f16, T::bf16, 1e-6);
        add(T::q8_0, T::q8_0, 5e-4);
        add(T::q4_0, T::q8_0, 5e-4);
        add(T::q5_0, T::q4_0, 5e-4);
        add(T::q4_1, T::q5_1, 5e-4);
        add(T::iq4_nl, T::mxfp4, 5e-4);
        // One scale for 256 activations is coarser than one for 32.
        add(T::q4_k, T::q6_k, 3e-3);
        add(T::q4_k, T::q5_0, 3e-3);  // both forms of activations in one layer
        add(T::q5_k, T::iq4_xs, 3e-3);
    }
    return all;
}

std::string name_of(const TinyOptions& o)
{
    return o.architecture + ' ' +
           std::string(tensor_type_info(static_cast<std::uint32_t>(o.matrices))->name) + ' ' +
           std::string(tensor_type_info(static_cast<std::uint32_t>(o.others))->name);
}

TEST(Forward, AgreesWithTheReferenceInDouble)
{
    for (const Case& c : cases()) {
        Loaded loaded(c.options);
        const std::vector<TokenId> tokens = random_tokens(20, 30, 5);
        const std::vector<float> got = run(loaded.model, tokens, tokens.size());
        const double error = relative_error(got, test::ReferenceModel(loaded.file).run(tokens));
        EXPECT_LT(error, c.error_max) << name_of(c.options);
        EXPECT_GT(error, 0) << name_of(c.options);
    }
}

TEST(Forward, EveryFamilyAgreesWithTheReferenceInDouble)
{
    for (TinyOptions options : test::tiny_families()) {
        for (const TensorType type : {TensorType::f32, TensorType::q8_0}) {
            options.matrices = options.others = type;
            Loaded loaded(options);
            const std::vector<TokenId> tokens = random_tokens(24, 30, 5);
            const std::vector<float> got = run(loaded.model, tokens, tokens.size());
            EXPECT_LT(relative_error(got, test::ReferenceModel(loaded.file).run(tokens)),
                      type == TensorType::f32 ? 1e-5 : 1e-3)
                << name_of(options);
        }
    }
}

TEST(Forward, KeysAndValuesInBytesComeCloseInEveryFamily)
{
    for (TinyOptions options : test::tiny_families()) {
        Loaded loaded(options);
        if (!loaded.model.shape().generates()) continue;
        Loaded in_bytes(options, 1, Isa::best, KvType::q8);
        const std::vector<TokenId> tokens = random_tokens(24, 30, 5);
        const auto reference = test::ReferenceModel(loaded.file).run(tokens);
        const double error = relative_error(run(in_bytes.model, tokens, tokens.size()), reference);
        EXPECT_LT(error, 4e-4) << name_of(options);
        EXPECT_GT(error, relative_error(run(loaded.model, tokens, tokens.size()), reference))
            << name_of(options) << " in halves";
    }
}

TEST(Forward, EveryFamilysBitsDependOnNeitherInstructionSetNorSteps)
{
    for (TinyOptions options : test::tiny_families()) {
        options.matrices = options.others = TensorType::q8_0;
        const std::vector<TokenId> tokens = random_tokens(20, 30, 6);
        Loaded first(options);
        const std::vector<float> expected = run(first.model, tokens, 512);
        for (const Isa isa : available_isas()) {
            Loaded loaded(options, 2, isa);
            const std::vector<float> got =
                run(loaded.model, tokens, loaded.model.shape().family->causal ? 7 : 512);
            ASSERT_EQ(got.size(), expected.size());
            EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
                << name_of(options) << ' ' << isa_name(isa);
        }
    }
}

// With the types that tiles multiply, and enough tokens in a step that they do.
TEST(Forward, EveryFamilysBitsAreTheSameByTiles)
{
    for (TinyOptions options : test::tiny_families()) {
        options.width = options.inner = 256;
        options.head_size = 0;  // the heads together are 256 wide
        options.layers = 1;
        const std::vector<TokenId> tokens = random_tokens(64, 30, 6);
        for (const auto& [matrices, others] :
             {std::pair{TensorType::q4_k, TensorType::q6_k}, std::pair{TensorType::q5_k, TensorType::iq4_xs},
              std::pair{TensorType::q4_k, TensorType::q5_0}, std::pair{TensorType::q8_0, TensorType::q4_1}}) {
            options.matrices = matrices;
            options.others = others;
            Loaded vectors(options);
            Loaded tiles(options, 3, test::kernels_emulated_tiles());
            const std::vector<float> expected = run(vectors.model, tokens, 512);
            const std::vector<float> got =
                run(tiles.model, tokens, tiles.model.shape().family->causal ? 40 : 512);
            ASSERT_EQ(got.size(), expected.size());
            EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
                << name_of(options);
        }
    }
}

// With many tokens and so many inner numbers a piece of these goes through the activation and into the input
// of the next product at once; with few tokens, or for so many threads, all lie in memory in between.
TEST(Forward, EveryFamilysBitsAreTheSameWhereInnerNumbersAreTakenInPieces)
{
    // With a gate, without one, with halves side by side and with xIELU: emulated tiles take their time.
    const std::set<std::string> emulated = {"qwen2", "bert", "gptneox", "apertus"};
    for (TinyOptions options : test::tiny_families()) {
        options.layers = 1;
        for (const auto& [matrices, others, inner] :
             {std::tuple{TensorType::q4_k, TensorType::q6_k, 2304u},
              std::tuple{TensorType::q8_0, TensorType::q4_0, 2080u},  // the last piece is a small one
              std::tuple{TensorType::f16, TensorType::f32, 2064u}}) {
            options.matrices = matrices;
            options.others = others;
            options.inner = inner;
            if (matrices == TensorType::q4_k) {
                options.width = 256;
                options.head_size = 0;
            }
            const std::vector<TokenId> tokens = random_tokens(45, 30, 6);
            Loaded whole(options, 3);
            const std::vector<float> expected = run(whole.model, tokens, 512);
            std::vector<const Kernels*> all = {&kernels_for(Isa::best)};
            if (emulated.contains(options.architecture)) all.push_back(&test::kernels_emulated_tiles());
            for (const Kernels* const kernels : all) {
                ASSERT_TRUE(worth_taking(45, inner, 1));
                ASSERT_FALSE(worth_taking(45, inner, 3));
                Loaded pieces(options, 1, *kernels);
                const std::vector<float> got = run(pieces.model, tokens, 512);
                ASSERT_EQ(got.size(), expected.size());
                EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
                    << name_of(options);
            }
        }
    }
}

TEST(Forward, ThreadsTakeInnerNumbersAtTheSameTime)
{
    TinyOptions options;
    options.layers = 1;
    options.width = 256;
    options.inner = 4096;
    const std::vector<TokenId> tokens = random_tokens(70, 30, 6);
    for (const TensorType type : {TensorType::q4_k, TensorType::q8_0}) {
        options.matrices = options.others = type;
        for (const Kernels* const kernels : {&kernels_for(Isa::best), &test::kernels_emulated_tiles()}) {
            ASSERT_TRUE(worth_taking(70, options.inner, 2));
            Loaded one(options, 1, *kernels);
            Loaded two(options, 2, *kernels);
            EXPECT_EQ(run(one.model, tokens, 35), run(two.model, tokens, 512)) << name_of(options);
        }
    }
}

TEST(Forward, TiedEmbeddingsServeAsOutput)
{
    TinyOptions options;
    options.matrices = TensorType::q4_k;
    options.others = TensorType::q6_k;
    options.tied = true;
    Loaded loaded(options);
    const std::vector<TokenId> tokens = random_tokens(10, 30, 5);
    EXPECT_LT(relative_error(run(loaded.model, tokens, 10), test::ReferenceModel(loaded.file).run(tokens)),
              3e-3);
}

// With 300 tokens one of them reaches into the second chunk of attention.
TEST(Forward, BitsDependOnNeitherInstructionSetNorThreadsNorSteps)
{
    for (const Case& c : cases()) {
        if (c.options.architecture == "bert") continue;
        TinyOptions options = c.options;
        options.layers = 1;
        const bool two_chunks = options.others == TensorType::q6_k && options.architecture == "qwen2";
        const std::vector<TokenId> tokens = random_tokens(two_chunks ? 300 : 20, 258, 6);
        Loaded first(options);
        const std::vector<float> expected = run(first.model, tokens, 512);
        for (const Isa isa : available_isas()) {
            for (const unsigned threads : {1u, 2u, 3u}) {
                Loaded loaded(options, threads, isa);
                for (const std::size_t step : {1u, 7u, 64u, 512u}) {
                    // The whole matrix once; one combination of each of the others, and little of what is
                    // slow.
                    if (!two_chunks && (threads != 2 || step != 7)) continue;
                    if (isa == Isa::scalar && (threads != 2 || step == 1 || step == 64)) continue;
                    const std::vector<float> got = run(loaded.model, tokens, step);
                    ASSERT_EQ(got.size(), expected.size());
                    ASSERT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
                        << name_of(options) << ' ' << isa_name(isa) << ' ' << threads << " threads, steps of "
                        << step;
                }
            }
        }
    }
}

TEST(Forward, AStepMayHoldSeveralSequences)
{
    TinyOptions options;
    options.matrices = TensorType::q4_k;
    options.others = TensorType::q6_k;
    Loaded loaded(options, 2);
    Model& model = loaded.model;
    std::vector<std::vector<TokenId>> texts;
    std::vector<std::vector<float>> alone;
    std::vector<KvPages> pages;
    for (unsigned i = 0; i < 5; ++i) {
        texts.push_back(random_tokens(3 + 9 * i, 258, i));
        alone.push_back(run(model, texts[i], 512));
        pages.push_back(pages_for(model, texts[i].size()));
    }
    std::vector<Row> rows;
    std::vector<std::size_t> wanted;
    for (unsigned i = 0; i < 5; ++i) {
        for (std::size_t p = 0; p < texts[i].size(); ++p)
            rows.push_back({texts[i][p], p, 0, p + 1, &pages[i]});
        wanted.push_back(rows.size() - 1);
    }
    std::vector<float> out;
    model.forward(rows, wanted, out);
    const std::size_t vocabulary = model.shape().vocabulary;
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(std::memcmp(out.data() + i * vocabulary, alone[i].data() + alone[i].size() - vocabulary,
                              vocabulary * sizeof(float)),
                  0)
            << "sequence " << i;
    }
}

TEST(ReadShape, UnsoundModelsAreRefused)
{
    const auto kind_of = [](const std::function<void(test::GgufWriter&)>& change) {
        test::GgufWriter writer;
        writer.string("general.architecture", "llama");
        writer.integer("llama.block_count", 1);
        writer.integer("llama.feed_forward_length", 64);
        writer.integer("llama.context_length", 64);
        change(writer);
        writer.tensor("token_embd.weight", {64, 4}, 0, std::string(1024, '\0'));
        const std::string bytes = writer.finish();
        const Gguf file = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
        try {
            const ModelShape shape = read_shape(file, 64);
            Model(file, shape, 1, kernels_for(Isa::scalar));
        } catch (const EngineError& error) {
            return error.kind;
        }
        ADD_FAILURE() << "accepted";
        return EngineError::Kind::io;
    };
    const auto heads = [](test::GgufWriter& w, std::uint32_t n) {
        w.integer("llama.attention.head_count", n);
    };
    const auto width = [](test::GgufWriter& w, std::uint32_t n) { w.integer("llama.embedding_length", n); };
    using Kind = EngineError::Kind;
    EXPECT_EQ(kind_of([&](auto& w) { heads(w, 2); }), Kind::malformed) << "no width";
    EXPECT_EQ(kind_of([&](auto& w) { heads(w, 0), width(w, 64); }), Kind::malformed) << "no heads";
    EXPECT_EQ(kind_of([&](auto& w) { heads(w, 3), width(w, 64); }), Kind::malformed) << "heads do not divide";
    EXPECT_EQ(kind_of([&](auto& w) { heads(w, 8), width(w, 64); }), Kind::unsupported) << "heads of 8";
    EXPECT_EQ(kind_of([&](auto& w) { heads(w, 2), width(w, 64); }), Kind::malformed) << "no layers";
    EXPECT_EQ(kind_of([&](auto& w) { heads(w, 2), width(w, 128); }), Kind::malformed) << "narrow embedding";
    EXPECT_EQ(kind_of([&](auto& w) {
                  heads(w, 2), width(w, 64);
                  w.string("llama.rope.scaling.type", "spiral");
              }),
              Kind::unsupported);
    EXPECT_EQ(kind_of([&](auto& w) {
                  heads(w, 2), width(w, 64);
                  w.integer("llama.rope.dimension_count", 7);
              }),
              Kind::malformed);
}

// A tensor that nothing reads would have changed the result in the engine that the file was made for.
TEST(Model, ATensorThatTheFamilyHasNoPlaceForIsRefused)
{
    const auto refused = [](const std::string& name) {
        TinyOptions options;
        options.width = 64;
        options.layers = 1;
        const std::string bytes = test::tiny_model(
            options, "", [&](test::GgufWriter& w) { w.tensor(name, {64}, 0, std::string(256, '\0')); });
        const Gguf file = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
        try {
            Model(file, read_shape(file, 64), 1, kernels_for(Isa::scalar));
        } catch (const EngineError& error) {
            EXPECT_NE(std::string(error.what()).find(name), std::string::npos);
            return error.kind == EngineError::Kind::unsupported;
        }
        return false;
    };
    EXPECT_TRUE(refused("blk.0.ffn_gate_inp.weight"));
    EXPECT_TRUE(refused("blk.0.attn_sinks.weight"));
    EXPECT_FALSE(refused("blk.7.attn_q.weight")) << "a layer beyond the last";
}

// What a file leaves out or contradicts is not guessed.
TEST(ReadShape, KeysThatAFamilyCannotDoWithoutOrThatDenyItAreRefused)
{
    const auto kind_of = [](const std::string& architecture,
                            const std::function<void(test::GgufWriter&)>& more) {
        test::GgufWriter writer;
        writer.string("general.architecture", architecture);
        for (const char* key : {"block_count", "attention.head_count"})
            writer.integer(architecture + "." + key, 2);
        for (const char* key : {"feed_forward_length", "context_length", "embedding_length"})
            writer.integer(architecture + "." + key, 64);
        more(writer);
        writer.tensor("token_embd.weight", {64, 4}, 0, std::string(1024, '\0'));
        const std::string bytes = writer.finish();
        const Gguf file = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
        try {
            read_shape(file, 64);
        } catch (const EngineError& error) {
            return std::optional(error.kind);
        }
        return std::optional<EngineError::Kind>();
    };
    using Kind = EngineError::Kind;
    EXPECT_EQ(kind_of("qwen2", [](auto&) {}), std::nullopt);
    EXPECT_EQ(kind_of("qwen2", [](auto& w) { w.boolean("qwen2.attention.causal", false); }),
              Kind::unsupported);
    EXPECT_EQ(kind_of("apertus", [](auto&) {}), Kind::malformed) << "no xielu.alpha_p";
    EXPECT_EQ(kind_of("apertus",
                      [](auto& w) {
                          for (const char* name : {"alpha_p", "alpha_n", "beta", "eps"})
                              w.real(std::string("xielu.") + name, 0.1f);
                      }),
              std::nullopt);
}

TEST(ReadShape, AWindowPatternIsReadAsFilesMeanIt)
{
    const auto windowed = [](std::uint32_t period) {
        test::TinyOptions options;
        options.architecture = "gemma2";
        options.width = 64;
        options.layers = 4;
        const std::string bytes = test::tiny_model(options, "", [&](test::GgufWriter& w) {
            w.integer("gemma2.attention.sliding_window_pattern", period);
        });
        const Gguf file = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
        return read_shape(file, 64).windowed;
    };
    EXPECT_EQ(windowed(0), (std::vector<bool>{true, true, true, true}));
    EXPECT_EQ(windowed(1), (std::vector<bool>{false, false, false, false}));
    EXPECT_EQ(windowed(3), (std::vector<bool>{true, true, false, true}));
}

}  // namespace
}  // namespace jiphyeon
