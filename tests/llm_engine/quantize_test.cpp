// Quantising: blocks against PyPI gguf's and against the error that each type may have, and model files made
// by it against the model they were made of.
#include "quantize.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "blocks.hpp"
#include "frozen_blocks.hpp"
#include "support/temp_dir.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

using test::name_of;
namespace fs = std::filesystem;

std::vector<float> through(TensorType type, const std::vector<float>& x)
{
    const TensorTypeInfo& info = *tensor_type_info(static_cast<std::uint32_t>(type));
    std::vector<std::uint8_t> blocks(x.size() / info.block_elements * info.block_bytes);
    quantize(type, x.data(), x.size(), blocks.data());
    std::vector<float> out(x.size());
    dequantize(type, blocks.data(), out.size(), out.data());
    return out;
}

// Root of the mean square of the error as a share of that of the values.
double relative_error(const std::vector<float>& got, const std::vector<float>& expected)
{
    double error = 0;
    double total = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double e = static_cast<double>(got[i]) - static_cast<double>(expected[i]);
        error += e * e;
        total += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
    }
    return std::sqrt(error / total);
}

// data/make_blocks.py says how the blocks were made.
TEST(Quantize, StandardRulesGiveTheBytesOfGgufsOwnReference)
{
    const auto frozen = test::frozen_blocks("quantized.jsonl");
    EXPECT_EQ(frozen.size(), 7u);
    for (const test::FrozenBlocks& one : frozen) {
        std::vector<std::uint8_t> blocks(one.blocks.size());
        quantize(one.type, one.values.data(), one.values.size(), blocks.data());
        EXPECT_EQ(blocks, one.blocks) << name_of(one.type);
    }
}

struct Quality {
    TensorType type;
    double error_max;
};
// On normally distributed values; quantize.hpp states the measured errors, about 2 % smaller.
constexpr Quality kQuality[] = {
    {TensorType::bf16, 0.00172}, {TensorType::f16, 0.00022},  {TensorType::q8_0, 0.00550},
    {TensorType::q6_k, 0.01780}, {TensorType::q5_k, 0.03650}, {TensorType::q5_1, 0.03850},
    {TensorType::q5_0, 0.04350}, {TensorType::q4_k, 0.07280}, {TensorType::iq4_nl, 0.07560},
    {TensorType::q4_1, 0.07950}, {TensorType::q4_0, 0.08720},
};

TEST(Quantize, ErrorsAreThoseOfTheType)
{
    std::mt19937 random(8);
    std::normal_distribution<float> normal(0, 0.03f);
    std::vector<float> x(256 * 400);
    for (float& v : x) v = normal(random);
    for (const auto& [type, error_max] : kQuality) {
        const double error = relative_error(through(type, x), x);
        EXPECT_LT(error, error_max) << name_of(type);
        EXPECT_GT(error, 0.94 * error_max) << name_of(type) << ": the bound is too wide to say anything";
    }
    EXPECT_EQ(std::size(kQuality), quantized_types().size());
}

// Where scales are small, uneven or nought the integers must not run over their range.
TEST(Quantize, UncommonBlocksStayClose)
{
    std::mt19937 random(9);
    std::normal_distribution<float> normal(0, 1);
    std::vector<std::pair<std::string, std::vector<float>>> blocks;
    const auto add = [&](const std::string& name, const std::function<float(int)>& value) {
        std::vector<float> x(256);
        for (int i = 0; i < 256; ++i) x[static_cast<std::size_t>(i)] = value(i);
        blocks.emplace_back(name, x);
    };
    add("zeros", [](int) { return 0.0f; });
    add("equal", [](int) { return 0.5f; });
    add("equal and negative", [](int) { return -0.5f; });
    add("positive", [&](int) { return 1 + std::abs(normal(random)); });
    add("negative", [&](int) { return -1 - std::abs(normal(random)); });
    add("positive between mixed",
        [&](int i) { return i / 32 % 2 == 0 ? normal(random) : 1 + std::abs(normal(random)); });
    // What scales are measured in would be rounded to a fifth less than the largest one needs.
    for (const float unit : {0x1.38p-23f, 0x1.38p-22f}) {
        add("scales that are hardly halves",
            [&](int i) { return unit * 63 * 15 * (static_cast<float>(i % 32) / 31 - 0.5f); });
    }
    add("one stands out", [&](int i) { return i == 77 ? -4000.0f : normal(random); });
    add("largest halves", [](int i) { return i % 2 == 0 ? 65504.0f : -65504.0f; });
    add("far below a half", [](int i) { return 1e-9f * static_cast<float>(i); });
    add("subnormal", [](int i) { return 1e-40f * static_cast<float>(i - 100); });
    add("sub-blocks of every size", [&](int i) { return normal(random) * std::ldexp(1.0f, -i / 32); });
    for (const auto& [type, unused] : kQuality) {
        for (const auto& [name, x] : blocks) {
            const float largest = std::abs(*std::max_element(
                x.begin(), x.end(), [](float a, float b) { return std::abs(a) < std::abs(b); }));
            const std::vector<float> got = through(type, x);
            for (std::size_t i = 0; i < x.size(); ++i) {
                ASSERT_NEAR(got[i], x[i], largest * 0.13f + 1e-6f)
                    << name_of(type) << ' ' << name << ' ' << i;
            }
        }
    }
}

std::string slurp(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

class QuantizeModel : public testing::Test {
protected:
    fs::path save(const std::string& name, const std::string& bytes) const
    {
        std::ofstream(dir_.path() / name, std::ios::binary) << bytes;
        return dir_.path() / name;
    }
    QuantizeReport quantize_to(const std::string& type, const fs::path& in, const fs::path& out,
                               bool replace = false, unsigned threads = 2) const
    {
        QuantizeOptions options;
        options.type = type;
        options.replace = replace;
        options.threads = threads;
        return quantize_model(in, out, options);
    }
    fs::path out() const { return dir_.path() / "결과.gguf"; }
    std::vector<std::string> names() const
    {
        std::vector<std::string> all;
        for (const auto& entry : fs::directory_iterator(dir_.path())) all.push_back(entry.path().filename());
        std::sort(all.begin(), all.end());
        return all;
    }

    const test::TempDir dir_;
};

TEST_F(QuantizeModel, AnswersNearlyAsTheModelItWasMadeOf)
{
    const std::string original = test::tiny_model({});
    const fs::path in = save("in.gguf", original);
    const std::vector<TokenId> tokens = {7, 200, 31, 8, 120, 66, 2, 19, 5, 91};
    const Gguf parsed =
        Gguf::parse({reinterpret_cast<const std::uint8_t*>(original.data()), original.size()});
    const std::vector<double> last = test::ReferenceModel(parsed).run(tokens).back();
    const std::vector<float> expected(last.begin(), last.end());
    for (const auto& [type, weight_error] : kQuality) {
        const QuantizeReport report = quantize_to(name_of(type), in, out(), true);
        EXPECT_EQ(report.converted, 16u);  // 2 x 7 matrices of the layers, embeddings and output
        EXPECT_EQ(report.converted_twice, 0u);
        EXPECT_EQ(report.bytes_before, original.size());
        EXPECT_EQ(report.bytes_after, fs::file_size(out()));
        const auto engine = open_engine(out(), {.threads = 1});
        EXPECT_EQ(engine->info().quantization.substr(0, name_of(type).size()), name_of(type));
        const double error = relative_error(engine->next_logits(tokens, ""), expected);
        // Each product adds its own, and in random weights nothing evens them out; activations are rounded
        // to 8 bits besides.
        EXPECT_LT(error, 5.5 * weight_error + 0.02) << name_of(type);
        EXPECT_GT(error, weight_error / 2) << name_of(type);
    }
}

TEST_F(QuantizeModel, KeepsMetadataVectorsAndTables)
{
    std::mt19937 random(4);
    test::GgufWriter writer;
    writer.string("general.architecture", "llama");
    writer.integer("general.file_type", 0);
    writer.string("general.name", "한글 이름");
    writer.strings("tokenizer.ggml.tokens", {"가", "나"});
    writer.boolean("x.flag", true);
    const auto add = [&](const std::string& name, std::size_t columns, std::size_t rows, TensorType type) {
        writer.tensor(name, {columns, rows}, static_cast<std::uint32_t>(type),
                      test::random_tensor(type, columns, rows, random));
    };
    add("whole.weight", 512, 3, TensorType::f16);
    add("by_32.weight", 96, 3, TensorType::f32);
    add("by_16.weight", 48, 5, TensorType::f32);
    add("already.weight", 256, 2, TensorType::q4_k);
    add("worse.weight", 256, 2, TensorType::q5_0);
    add("position_embd.weight", 256, 4, TensorType::f32);
    add("half_norm.weight", 256, 1, TensorType::f16);
    writer.tensor("norm.weight", {256}, 0, test::random_tensor(TensorType::f32, 256, 1, random, 1));
    writer.tensor("table.weight", {8, 2}, 26, std::string(64, '\1'));  // I32
    const std::string bytes = writer.finish();
    const QuantizeReport report = quantize_to("Q4_K", save("in.gguf", bytes), out());

    const Gguf before = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    const Gguf after = Gguf::open(out());
    EXPECT_EQ(after.string("general.name"), "한글 이름");
    EXPECT_EQ(after.strings("tokenizer.ggml.tokens"), before.strings("tokenizer.ggml.tokens"));
    EXPECT_EQ(after.find_bool("x.flag"), true);
    EXPECT_EQ(after.integer("general.file_type"), 14u);
    EXPECT_EQ(after.integer("general.quantization_version"), 2u);
    EXPECT_EQ(after.entries().size(), before.entries().size() + 1);
    const auto type_of = [&](const std::string& name) {
        return std::string(tensor_type_info(after.tensor(name).type_id)->name);
    };
    EXPECT_EQ(type_of("whole.weight"), "Q4_K");
    EXPECT_EQ(type_of("by_32.weight"), "Q8_0");
    EXPECT_EQ(type_of("by_16.weight"), "F16");
    EXPECT_EQ(type_of("worse.weight"), "Q4_K");
    EXPECT_EQ(type_of("half_norm.weight"), "F32");
    const std::vector<double> half_norm = test::elements_of(before.tensor("half_norm.weight"));
    EXPECT_EQ(test::elements_of(after.tensor("half_norm.weight")), half_norm);
    for (const char* same : {"already.weight", "position_embd.weight", "norm.weight", "table.weight"}) {
        const GgufTensor& old = before.tensor(same);
        const GgufTensor& now = after.tensor(same);
        EXPECT_EQ(now.type_id, old.type_id) << same;
        EXPECT_EQ(now.dimensions, old.dimensions) << same;
        EXPECT_EQ(now.shape, old.shape) << same;
        EXPECT_TRUE(std::equal(now.data.begin(), now.data.end(), old.data.begin(), old.data.end())) << same;
    }
    EXPECT_EQ(report.converted, 4u);
    EXPECT_EQ(report.converted_twice, 1u);
    EXPECT_EQ(report.other_type, (std::vector<std::string>{"by_32.weight", "by_16.weight"}));
}

TEST_F(QuantizeModel, BytesDoNotDependOnThreads)
{
    const fs::path in = save("in.gguf", test::tiny_model({}));
    quantize_to("Q4_K", in, dir_.path() / "1.gguf", false, 1);
    quantize_to("Q4_K", in, dir_.path() / "3.gguf", false, 3);
    EXPECT_TRUE(slurp(dir_.path() / "1.gguf") == slurp(dir_.path() / "3.gguf"));
}

EngineError::Kind refused(const std::function<void()>& call)
{
    try {
        call();
    } catch (const EngineError& error) {
        return error.kind;
    }
    ADD_FAILURE() << "done";
    return EngineError::Kind::lost;
}

TEST_F(QuantizeModel, WritesOverAFileOnlyWhenToldTo)
{
    const fs::path in = save("in.gguf", test::tiny_model({}));
    save("결과.gguf", "somebody's");
    EXPECT_EQ(refused([&] { quantize_to("Q8_0", in, out()); }), EngineError::Kind::bad_request);
    EXPECT_EQ(slurp(out()), "somebody's");
    quantize_to("Q8_0", in, out(), true);
    EXPECT_EQ(slurp(out()).substr(0, 4), "GGUF");
    EXPECT_EQ(Gguf::open(out()).integer("general.file_type"), 7u);
}

TEST_F(QuantizeModel, AFailureLeavesNothingBehind)
{
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), 1e6f}) {
        test::GgufWriter writer;
        writer.string("general.architecture", "llama");
        std::vector<float> values(64 * 4, 0.5f);
        values[200] = bad;
        writer.tensor("a.weight", {64, 4}, 0,
                      std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4));
        const fs::path in = save("in.gguf", writer.finish());
        EXPECT_EQ(refused([&] { quantize_to("Q4_0", in, out()); }), EngineError::Kind::malformed);
        EXPECT_EQ(names(), std::vector<std::string>{"in.gguf"});
    }
    const fs::path in = save("in.gguf", test::tiny_model({}));
    EXPECT_EQ(refused([&] { quantize_to("Q3_K", in, out()); }), EngineError::Kind::bad_request);
    EXPECT_EQ(refused([&] { quantize_to("Q4_0", in, dir_.path() / "no" / "x.gguf"); }),
              EngineError::Kind::io);
    QuantizeOptions options;
    options.type = "Q4_0";
    options.on_progress = [](std::string_view, std::uint64_t done, std::uint64_t total) {
        if (2 * done > total) throw std::runtime_error("enough");
    };
    EXPECT_THROW(quantize_model(in, out(), options), std::runtime_error);
    EXPECT_EQ(names(), std::vector<std::string>{"in.gguf"});
}

TEST_F(QuantizeModel, TheModelItselfAndFilesWithNamesLikeItsAreLeftAlone)
{
    const std::string bytes = test::tiny_model({});
    const fs::path in = save("결과.gguf.new", bytes);
    quantize_to("Q8_0", in, out());
    EXPECT_EQ(fs::file_size(in), bytes.size());
    QuantizeOptions over;
    over.type = "Q4_0";
    over.replace = true;
    EXPECT_EQ(refused([&] { quantize_model(in, in, over); }), EngineError::Kind::bad_request);
    fs::create_symlink(in, dir_.path() / "link.gguf");
    EXPECT_EQ(refused([&] { quantize_model(in, dir_.path() / "link.gguf", over); }),
              EngineError::Kind::bad_request);
    EXPECT_EQ(fs::file_size(in), bytes.size());
}

}  // namespace
}  // namespace jiphyeon
