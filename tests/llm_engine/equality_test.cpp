// The same bytes in every way of computing them: on a tiny random model of each kind of attention, norm and
// feed-forward, and three short prompts on the real model.
#include "equality.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "kernels.hpp"
#include "model_files.hpp"
#include "support/temp_dir.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

using test::Answer;
using test::Way;

// The answers of each way, after all were found equal to those of the first.
std::map<std::string, std::vector<Answer>> equal_answers(const std::filesystem::path& model,
                                                         std::span<const std::vector<TokenId>> prompts,
                                                         const test::Form& form = {}, KvType kv = KvType::f16)
{
    const test::TempDir folder;
    std::vector<Answer> expected;
    std::map<std::string, std::vector<Answer>> all;
    for (const Way& way : test::all_ways(model, folder.path(), kv)) {
        const std::vector<Answer> got = test::answers(model, way, prompts, expected, form);
        if (expected.empty()) expected = got;
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            EXPECT_EQ(got[i].logits_hash, expected[i].logits_hash) << way.name << ", prompt " << i;
            EXPECT_EQ(got[i].text, expected[i].text) << way.name << ", prompt " << i;
        }
        all[way.name] = got;
    }
    return all;
}

struct Tiny {
    test::TinyOptions options;
    KvType kv = KvType::f16;
};

class Equality : public ::testing::TestWithParam<Tiny> {};

TEST_P(Equality, EveryWayGivesTheSameBytes)
{
    const test::TempDir folder;
    const std::filesystem::path model = folder.path() / "tiny.gguf";
    std::ofstream(model, std::ios::binary) << test::tiny_model(GetParam().options);
    const auto tokenizer = open_tokenizer(model);
    std::string text;
    for (int i = 0; text.size() < 1000; ++i) text += "제" + std::to_string(i) + "조 ";
    // Within a page, beyond one, and beyond two.
    std::vector<std::vector<TokenId>> prompts;
    for (const std::size_t size : {30u, 290u, 530u})
        prompts.push_back(tokenizer->encode(std::to_string(size) + text.substr(0, size)));
    for (std::size_t size = prompts.size(); size < 32; ++size)  // for those at once
        prompts.push_back(tokenizer->encode(text.substr(0, size)));

    const auto all = equal_answers(model, prompts, {}, GetParam().kv);
    // Each way was gone indeed.
    for (std::size_t i = 0; i < 3; ++i) {
        const std::size_t size = prompts[i].size() + tokenizer->encode(test::kBeginning).size();
        EXPECT_EQ(all.at("alone")[i].cached_tokens, 0u);
        EXPECT_EQ(all.at("prompt by 7")[i].cached_tokens, (size - 1) / 7 * 7);
        EXPECT_EQ(all.at("cached")[i].cached_tokens, size - 1);
        EXPECT_GE(all.at("from disk")[i].cached_tokens, (size - 1) / kChunkPositions * kChunkPositions);
    }
    const auto steps = [&](const char* way) {
        std::size_t sum = 0;
        for (const Answer& answer : all.at(way)) sum += answer.steps;
        return sum;
    };
    EXPECT_LE(steps("guessing ahead"), steps("alone"));
}

INSTANTIATE_TEST_SUITE_P(
    , Equality, ::testing::ValuesIn([] {
        std::vector<Tiny> chosen;
        for (test::TinyOptions options : test::tiny_families()) {
            for (const char* name : {"llama", "qwen2", "exaone4", "gemma3", "gptneox", "phi3", "apertus"}) {
                if (options.architecture != name || options.window == 0) continue;
                options.matrices = options.others = TensorType::q8_0;
                options.layers = name == std::string("gemma3") ? 6 : 4;  // a whole period of windows
                chosen.push_back({options});
            }
        }
        chosen[1].options.width = chosen[1].options.inner = 256;  // the types of the real model
        chosen[1].options.matrices = TensorType::q4_k;
        chosen[1].options.others = TensorType::q6_k;
        for (const std::size_t i : {1u, 2u}) chosen.push_back({chosen[i].options, KvType::q8});
        return chosen;
    }()),
    [](const auto& parameter) {
        const Tiny& tiny = parameter.param;
        return tiny.options.architecture + (tiny.kv == KvType::q8 ? "_q8" : "");
    });

TEST(Quotations, EveryWayGivesTheSameBytes)
{
    const test::TempDir folder;
    const std::filesystem::path model = folder.path() / "tiny.gguf";
    std::ofstream(model, std::ios::binary) << test::tiny_model({.matrices = TensorType::q8_0});
    const auto tokenizer = open_tokenizer(model);
    const std::string passage = "제12조(휴직) 기간은 3.5년 이내로 한다. 法令이 정하면 그에 따른다.";
    std::vector<std::vector<TokenId>> prompts;
    for (const char* question : {"휴직 기간은?", "제12조는 무엇을 정하나?"})
        prompts.push_back(tokenizer->encode(passage + question));
    const auto all = equal_answers(
        model, prompts,
        {.grammar = "[가-힣]{2} <quote> [a-z]", .quoting = {.passages = {passage}, .characters_max = 12}});
    for (const Answer& answer : all.at("alone")) {
        const std::size_t open = answer.text.find("“");
        const std::size_t close = answer.text.find("”");
        ASSERT_NE(close, std::string::npos) << answer.text;
        EXPECT_NE(passage.find(answer.text.substr(open + 3, close - open - 3)), std::string::npos);
    }
}

TEST(RealModel, SmallPromptsGiveTheSameBytesInEveryWay)
{
    const auto model = test::model_file(test::kQwen15b);
    if (model.empty()) GTEST_SKIP() << "the model is not there (packaging/models.py)";
    const auto tokenizer = open_tokenizer(model);
    std::vector<std::vector<TokenId>> prompts;
    for (const char* text : {"질문: 대한민국의 수도는 어디입니까?", "제1조(목적) 이 규정은", "1 + 2 ="})
        prompts.push_back(tokenizer->encode(text));
    const auto all = equal_answers(model, prompts);
    EXPECT_NE(all.at("alone")[0].text.find("대한민국"), std::string::npos) << all.at("alone")[0].text;
}

}  // namespace
}  // namespace jiphyeon
