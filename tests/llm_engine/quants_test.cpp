// Weights: dequantised values against the formulas, panels against the file, every kernel against plain C++.
#include "quants.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "frozen_blocks.hpp"
#include "matrix_product.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

constexpr TensorType kTypes[] = {TensorType::f32,    TensorType::f16,  TensorType::bf16, TensorType::q4_0,
                                 TensorType::q4_1,   TensorType::q5_0, TensorType::q5_1, TensorType::q8_0,
                                 TensorType::q4_k,   TensorType::q5_k, TensorType::q6_k, TensorType::iq4_nl,
                                 TensorType::iq4_xs, TensorType::mxfp4};

using test::name_of;
using test::product;

struct RandomMatrix {
    RandomMatrix(TensorType type, std::size_t columns, std::size_t rows) : bytes(made(type, columns, rows)) {}
    static std::string made(TensorType type, std::size_t columns, std::size_t rows)
    {
        std::mt19937 random(3);
        test::GgufWriter writer;
        writer.tensor("m", {columns, rows}, static_cast<std::uint32_t>(type),
                      test::random_tensor(type, columns, rows, random));
        return writer.finish();
    }
    const GgufTensor& tensor() const { return file.tensor("m"); }

    std::string bytes;
    Gguf file = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
};

std::vector<float> random_activations(std::size_t n, unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> out(n);
    for (float& x : out) x = normal(random);
    return out;
}

TEST(Dequantize, FollowsTheFormulasOfTheFormats)
{
    for (const TensorType type : kTypes) {
        const RandomMatrix random(type, 512, 3);
        const std::vector<double> expected = test::elements_of(random.tensor());
        std::vector<float> values(expected.size());
        dequantize(type, random.tensor().data.data(), values.size(), values.data());
        for (std::size_t i = 0; i < values.size(); ++i) {
            ASSERT_NEAR(values[i], expected[i], 1e-6 * (std::abs(expected[i]) + 0.1))
                << name_of(type) << ' ' << i;
        }
    }
}

// data/make_blocks.py says how the values were made.
TEST(Dequantize, GivesTheBitsOfGgufsOwnReference)
{
    std::set<TensorType> seen;
    for (const test::FrozenBlocks& frozen : test::frozen_blocks("blocks.jsonl")) {
        std::vector<float> values(frozen.values.size());
        dequantize(frozen.type, frozen.blocks.data(), values.size(), values.data());
        EXPECT_EQ(std::memcmp(values.data(), frozen.values.data(), values.size() * sizeof(float)), 0)
            << name_of(frozen.type);
        seen.insert(frozen.type);
    }
    EXPECT_EQ(seen, std::set<TensorType>(std::begin(kTypes), std::end(kTypes)));
}

TEST(Dequantize, HalvesOfEveryPattern)
{
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        if ((bits & 0x7c00) == 0x7c00) continue;
        ASSERT_EQ(static_cast<double>(half_to_float(half)), test::value_of_half(half)) << bits;
    }
    EXPECT_TRUE(std::isinf(half_to_float(0x7c00)));
    EXPECT_TRUE(std::isnan(half_to_float(0x7e00)));
}

TEST(Matrix, RowsComeBackFromThePanels)
{
    ThreadPool pool(2);
    for (const TensorType type : kTypes) {
        for (const std::size_t rows : {1u, 16u, 37u}) {
            const RandomMatrix random(type, 512, rows);
            const Matrix matrix(random.tensor(), pool);
            std::vector<float> expected(512 * rows);
            dequantize(type, random.tensor().data.data(), expected.size(), expected.data());
            std::vector<float> row(512);
            for (std::size_t r = 0; r < rows; ++r) {
                matrix.row(r, row.data());
                ASSERT_EQ(std::memcmp(row.data(), expected.data() + r * 512, 2048), 0)
                    << name_of(type) << ' ' << r;
            }
        }
    }
}

// Each output is the exact product of weights and rounded activations, up to the rounding of a float sum.
TEST(Product, IsThatOfDequantizedWeightsAndActivations)
{
    ThreadPool pool(1);
    for (const TensorType type : kTypes) {
        const RandomMatrix random(type, 1024, 33);
        const Matrix matrix(random.tensor(), pool);
        const std::vector<float> x = random_activations(1024, 5);
        const std::size_t block = act_form(type) == ActForm::per_32    ? 32
                                  : act_form(type) == ActForm::per_256 ? 256
                                                                       : 1;
        std::vector<double> rounded(x.begin(), x.end());
        for (std::size_t b = 0; block > 1 && b < x.size(); b += block) {
            double largest = 0;
            for (std::size_t i = b; i < b + block; ++i) largest = std::max(largest, std::abs(rounded[i]));
            for (std::size_t i = b; i < b + block; ++i) {
                rounded[i] = std::nearbyint(rounded[i] * 127 / largest) * largest / 127;
            }
        }
        const std::vector<double> weights = test::elements_of(random.tensor());
        const std::vector<float> out = product(matrix, x, 1, kernels_for(Isa::scalar), 1);
        for (std::size_t r = 0; r < 33; ++r) {
            double expected = 0;
            for (std::size_t c = 0; c < 1024; ++c) expected += weights[r * 1024 + c] * rounded[c];
            EXPECT_NEAR(out[r], expected, 2e-4) << name_of(type) << " row " << r;
        }
        for (std::size_t r = 33; r < 48; ++r) EXPECT_EQ(out[r], 0.0f) << "padding";
    }
}

// Whether a byte of a block belongs to its halves or is its exponent.
bool is_float_scale(TensorType type, std::size_t at)
{
    switch (type) {
        case TensorType::q6_k:
            return at >= 208;
        case TensorType::q4_1:
        case TensorType::q5_1:
        case TensorType::q4_k:
        case TensorType::q5_k:
            return at < 4;
        case TensorType::mxfp4:
            return at < 1;
        default:
            return at < 2;
    }
}

// The largest sums that the formats allow: an overflow of int16 or int32 anywhere would show.
TEST(Product, ExtremeWeightsAndActivationsDoNotOverflow)
{
    ThreadPool pool(1);
    for (const TensorType type : kTypes) {
        const std::size_t block = tensor_type_info(static_cast<std::uint32_t>(type))->block_bytes;
        if (act_form(type) == ActForm::plain) continue;
        for (const int fill : {0xff, 0x7f, 0x80, 0x00}) {
            RandomMatrix random(type, 256, 16);
            const std::size_t begin = static_cast<std::size_t>(
                random.tensor().data.data() - reinterpret_cast<const std::uint8_t*>(random.bytes.data()));
            for (std::size_t i = 0; i < random.tensor().data.size(); ++i) {
                if (!is_float_scale(type, i % block)) random.bytes[begin + i] = static_cast<char>(fill);
            }
            const Matrix matrix(random.tensor(), pool);
            const std::vector<double> weights = test::elements_of(random.tensor());
            for (const float sign : {1.0f, -1.0f}) {
                const std::vector<float> x(256, sign * 127.0f);
                for (const Isa isa : available_isas()) {
                    const std::vector<float> out = product(matrix, x, 1, kernels_for(isa), 1);
                    for (std::size_t r = 0; r < 16; ++r) {
                        double expected = 0;
                        for (std::size_t c = 0; c < 256; ++c)
                            expected += weights[r * 256 + c] * static_cast<double>(x[c]);
                        ASSERT_NEAR(out[r], expected, 1e-5 * (std::abs(expected) + 1))
                            << name_of(type) << " filled with " << fill << ' ' << isa_name(isa);
                    }
                }
            }
        }
    }
}

// Scales of MXFP4 go down to where floats are subnormal.
TEST(Product, SmallestExponentsAreExact)
{
    ThreadPool pool(1);
    RandomMatrix random(TensorType::mxfp4, 32, 16);
    auto* const blocks =
        reinterpret_cast<std::uint8_t*>(random.bytes.data()) +
        (random.tensor().data.data() - reinterpret_cast<const std::uint8_t*>(random.bytes.data()));
    for (std::uint8_t r = 0; r < 16; ++r) blocks[17 * r] = r;
    const Matrix matrix(random.tensor(), pool);
    const std::vector<double> weights = test::elements_of(random.tensor());
    std::vector<float> x(32);
    for (int i = 0; i < 32; ++i) x[static_cast<std::size_t>(i)] = static_cast<float>(i * 8 - 121);  // to 127
    for (const Isa isa : available_isas()) {
        const std::vector<float> out = product(matrix, x, 1, kernels_for(isa), 1);
        for (std::size_t r = 0; r < 16; ++r) {
            double expected = 0;
            for (std::size_t c = 0; c < 32; ++c) expected += weights[r * 32 + c] * static_cast<double>(x[c]);
            EXPECT_EQ(static_cast<double>(out[r]), expected) << isa_name(isa) << " 2^" << r << " - 128";
        }
    }
}

// One token at a time in plain C++ gives the same bits as any tile size, instruction set and number of
// threads, from panels as stored (up to 36 tokens, and the last of an odd number) and from unpacked pairs.
TEST(Product, BitsDependOnNothingButTheNumbers)
{
    ThreadPool pool(1);
    constexpr std::size_t kColumns = 768;
    constexpr std::size_t kTokens = 44;  // tiles of 12, 12, 12 and 8
    for (const TensorType type : kTypes) {
        const RandomMatrix random(type, kColumns, 70);
        const Matrix matrix(random.tensor(), pool);
        const std::vector<float> x = random_activations(kColumns * kTokens, 11);
        std::vector<float> expected;
        for (std::size_t t = 0; t < kTokens; ++t) {
            const std::vector<float> one(x.begin() + static_cast<std::ptrdiff_t>(t * kColumns),
                                         x.begin() + static_cast<std::ptrdiff_t>((t + 1) * kColumns));
            const std::vector<float> out = product(matrix, one, 1, kernels_for(Isa::scalar), 1);
            expected.insert(expected.end(), out.begin(), out.end());
        }
        for (const Isa isa : available_isas()) {
            for (std::size_t tokens = 1; tokens <= kTokens; tokens = tokens == 13 ? 37 : tokens + 1) {
                for (const unsigned threads : {1u, 3u}) {
                    const std::vector<float> out = product(matrix, x, tokens, kernels_for(isa), threads);
                    ASSERT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)), 0)
                        << name_of(type) << ' ' << isa_name(isa) << ' ' << tokens << " tokens " << threads
                        << " threads";
                }
            }
        }
    }
}

// So many results of a step are written past the caches.
TEST(Product, OfAWholeStepIsThatOfItsHalves)
{
    ThreadPool pool(1);
    constexpr std::size_t kRows = 4112;
    constexpr std::size_t kTokens = 512;
    for (const TensorType type : {TensorType::q8_0, TensorType::q4_k, TensorType::q6_k}) {
        const std::size_t columns = type == TensorType::q8_0 ? 32 : 256;
        const RandomMatrix random(type, columns, kRows);
        const Matrix matrix(random.tensor(), pool);
        const std::vector<float> x = random_activations(columns * kTokens, 13);
        for (const Isa isa : available_isas()) {
            if (isa == Isa::scalar && columns > 32) continue;  // takes long
            const Kernels& kernels = kernels_for(isa);
            const std::vector<float> whole = product(matrix, x, kTokens, kernels, 2);
            for (const std::size_t half : {std::size_t{0}, std::size_t{1}}) {
                const auto from = x.begin() + static_cast<std::ptrdiff_t>(half * x.size() / 2);
                const std::vector<float> part(from, from + static_cast<std::ptrdiff_t>(x.size() / 2));
                const std::vector<float> out = product(matrix, part, kTokens / 2, kernels, 2);
                ASSERT_EQ(
                    std::memcmp(out.data(), whole.data() + half * out.size(), out.size() * sizeof(float)), 0)
                    << name_of(type) << ' ' << isa_name(isa) << " half " << half;
            }
        }
    }
}

}  // namespace
}  // namespace jiphyeon
