// Cross-encoders that score a passage for a query: against the second forward pass in double, alone and
// together, through the cage, and what happens to texts that are too long.
#include <gtest/gtest.h>

#include <fstream>

#include "jiphyeon/crypto.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "support/temp_dir.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

using test::tiny_reranker;

class Rerank : public testing::Test {
protected:
    std::filesystem::path file(const std::string& bytes)
    {
        const std::filesystem::path path = folder_.path() / ("m" + std::to_string(files_++) + ".gguf");
        std::ofstream(path, std::ios::binary) << bytes;
        return path;
    }
    test::TempDir folder_;
    int files_ = 0;
    const std::vector<std::string> passages_ = {"annual leave is fifteen days", "the lighthouse opens",
                                                "연가", "", std::string(90, 'q')};
};

TEST_F(Rerank, ScoresAreThoseOfTheReferenceInDouble)
{
    for (const bool inner_layer : {true, false}) {
        const std::string bytes = tiny_reranker(inner_layer);
        const Gguf model = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
        const auto engine = open_engine(file(bytes), {});
        EXPECT_TRUE(engine->info().reranks);
        EXPECT_FALSE(engine->info().embeds);
        const std::vector<float> scores = engine->rerank("how many days", passages_);
        ASSERT_EQ(scores.size(), passages_.size());
        for (std::size_t i = 0; i < scores.size(); ++i) {
            // <s> query </s></s> passage </s>
            std::vector<TokenId> ids = engine->tokenizer().encode("how many days", true);
            const std::vector<TokenId> passage = engine->tokenizer().encode(passages_[i]);
            ids.push_back(2);
            ids.insert(ids.end(), passage.begin(), passage.end());
            ids.push_back(2);
            std::vector<double> x = test::ReferenceModel(model).run(ids)[0];
            const auto layer = [&](const std::string& name) {
                const std::vector<double> w = test::elements_of(model.tensor(name + ".weight"));
                std::vector<double> y = test::elements_of(model.tensor(name + ".bias"));
                for (std::size_t r = 0; r < y.size(); ++r)
                    for (std::size_t c = 0; c < x.size(); ++c) y[r] += w[r * x.size() + c] * x[c];
                x = y;
            };
            if (inner_layer) {
                layer("cls");
                for (double& v : x) v = std::tanh(v);
            }
            layer("cls.output");
            EXPECT_NEAR(scores[i], x[0], 2e-3 * (1 + std::abs(x[0]))) << i << ' ' << inner_layer;
        }
        EXPECT_NE(scores[0], scores[1]);
    }
}

TEST_F(Rerank, ScoresAreTheSameAloneTogetherAndInTheCage)
{
    const std::filesystem::path model = file(tiny_reranker(true));
    const auto engine = open_engine(model, {.threads = 3});
    const auto caged = spawn_engine(JIPHYEON_ENGINE_CHILD, {"model"}, model, {.isa = Isa::scalar});
    std::vector<std::string> many;
    for (int i = 0; i < 12; ++i) many.insert(many.end(), passages_.begin(), passages_.end());
    const std::vector<float> together = engine->rerank("leave", many);
    EXPECT_TRUE(caged->info().reranks);
    EXPECT_EQ(caged->rerank("leave", many), together);
    for (std::size_t i = 0; i < passages_.size(); ++i) {
        EXPECT_EQ(engine->rerank("leave", {&passages_[i], 1}), std::vector<float>{together[i]}) << i;
        EXPECT_EQ(together[i + passages_.size()], together[i]);
    }
}

TEST_F(Rerank, TextsThatAreTooLongAreCut)
{
    const auto engine = open_engine(file(tiny_reranker(true)), {});
    const std::vector<std::string> passages = {std::string(120, 'a'), std::string(4000, 'a')};
    const std::vector<float> scores = engine->rerank("leave", passages);
    EXPECT_EQ(scores[0], scores[1]);  // both are cut at the same place
    const std::string passage = "abc";
    EXPECT_EQ(engine->rerank(std::string(70, 'b'), {&passage, 1}),
              engine->rerank(std::string(3000, 'b'), {&passage, 1}));
}

TEST_F(Rerank, OtherModelsScoreNothingAndRerankersDoNothingElse)
{
    const auto kind_of = [](const auto& call) {
        try {
            call();
        } catch (const EngineError& error) {
            return error.kind;
        }
        return EngineError::Kind::lost;
    };
    const auto generator = open_engine(file(test::tiny_model({})), {});
    const auto engine = open_engine(file(tiny_reranker(false)), {});
    EXPECT_EQ(kind_of([&] { generator->rerank("q", passages_); }), EngineError::Kind::bad_request);
    EXPECT_EQ(kind_of([&] { engine->embed(passages_); }), EngineError::Kind::bad_request);
    EXPECT_EQ(kind_of([&] { open_engine(file(tiny_reranker(true, false)), {}); }),
              EngineError::Kind::malformed);
}

}  // namespace
}  // namespace jiphyeon
