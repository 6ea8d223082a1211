// Products by tile registers. What the kernels for AMX compute is checked on any processor with emulated
// tiles, and these by an example worked out by hand; the processor's own tiles where it has them.
#include "tiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <random>

#include "emulated_tiles.hpp"
#include "frozen_blocks.hpp"
#include "kernels_emulated_tiles.hpp"
#include "matrix_product.hpp"
#include "quants.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

using test::EmulatedTiles;
using test::kernels_emulated_tiles;
using test::name_of;

constexpr TensorType kTypesPer256[] = {TensorType::q4_k, TensorType::q5_k, TensorType::q6_k,
                                       TensorType::iq4_xs};
constexpr TensorType kTypesPer32[] = {TensorType::q4_0, TensorType::q4_1, TensorType::q5_0,
                                      TensorType::q5_1, TensorType::q8_0, TensorType::iq4_nl,
                                      TensorType::mxfp4};

std::vector<TensorType> all_types()
{
    std::vector<TensorType> all(std::begin(kTypesPer256), std::end(kTypesPer256));
    all.insert(all.end(), std::begin(kTypesPer32), std::end(kTypesPer32));
    return all;
}

bool has_amx()
{
    return available_isas().back() == Isa::amx;
}

// Tiles 0, 1 and 2: sums of m rows and n lanes, left sides of k lanes, right sides of k rows.
TileShapes shapes_of(std::uint8_t m, std::uint8_t k, std::uint8_t n)
{
    TileShapes shapes;
    shapes.rows[0] = shapes.rows[1] = m;
    shapes.rows[2] = k;
    shapes.row_bytes[0] = shapes.row_bytes[2] = static_cast<std::uint16_t>(4 * n);
    shapes.row_bytes[1] = static_cast<std::uint16_t>(4 * k);
    return shapes;
}

TEST(EmulatedTiles, DotsAreThoseOfAnExampleByHand)
{
    const std::int8_t left[2][8] = {{1, -2, 3, -4, 127, -128, 0, 5}, {-1, -1, -1, -1, 0, 0, 0, 0}};
    const std::uint8_t right[2][8] = {{10, 200, 255, 1, 1, 1, 1, 1}, {2, 128, 9, 255, 0, 0, 0, 1}};
    const auto sums_of = [&](void (*dot)()) {
        std::array<std::array<std::int32_t, 3>, 2> sums = {{{1000, 0, 77}, {0, -1, 77}}};
        EmulatedTiles::set_shapes(shapes_of(2, 2, 2));
        EmulatedTiles::load<0>(sums.data(), 12);
        EmulatedTiles::load<1>(left, 8);
        EmulatedTiles::load<2>(right, 8);
        dot();
        EmulatedTiles::store<0>(sums.data(), 12);
        EmulatedTiles::release();
        return sums;
    };
    // Row 0, lane 0: 10 - 400 + 765 - 4 + 254 - 16384 + 0 + 1275 = -14484.
    const std::array<std::array<std::int32_t, 3>, 2> by_unsigned = {
        {{1000 - 14484, -2 + 5, 77}, {-466, -1 - 4, 77}}};
    EXPECT_EQ(sums_of(EmulatedTiles::dot_unsigned<0, 1, 2>), by_unsigned);
    // 200, 255 and 128 are -56, -1 and -128: 10 + 112 - 3 - 4 + 254 + 16384 + 0 - 5 = 16748.
    const std::array<std::array<std::int32_t, 3>, 2> by_signed = {
        {{1000 + 16748, -2 + 5, 77}, {46, -1 - 4, 77}}};
    EXPECT_EQ(sums_of(EmulatedTiles::dot_signed<0, 1, 2>), by_signed);
}

TEST(EmulatedTiles, WhatAProcessorRefusesThrows)
{
    const auto refuses = [](const TileShapes& shapes) {
        EXPECT_THROW(EmulatedTiles::set_shapes(shapes), std::logic_error);
    };
    EXPECT_THROW(EmulatedTiles::zero<0>(), std::logic_error) << "without shapes";
    TileShapes shapes = shapes_of(12, 16, 16);
    EmulatedTiles::set_shapes(shapes);
    EXPECT_NO_THROW((EmulatedTiles::dot_signed<0, 1, 2>()));
    EXPECT_THROW((EmulatedTiles::dot_signed<0, 2, 1>()), std::logic_error) << "sides exchanged";
    EXPECT_THROW((EmulatedTiles::dot_signed<0, 1, 1>()), std::logic_error);
    EXPECT_THROW(EmulatedTiles::zero<3>(), std::logic_error) << "a tile without rows";
    shapes.rows[2] = 15;
    EmulatedTiles::set_shapes(shapes);
    EXPECT_THROW((EmulatedTiles::dot_signed<0, 1, 2>()), std::logic_error) << "inner sizes differ";
    shapes.rows[2] = 17;
    refuses(shapes);
    shapes.rows[2] = 0;
    refuses(shapes);
    shapes = shapes_of(1, 1, 1);
    shapes.reserved[3] = 1;
    refuses(shapes);
    EmulatedTiles::release();
    EXPECT_THROW(EmulatedTiles::zero<0>(), std::logic_error) << "released";
}

template <typename Tiles>
std::vector<std::int32_t> random_sums(const TileShapes& shapes, unsigned seed)
{
    std::mt19937 random(seed);
    std::vector<std::uint8_t> bytes(3 * 1024);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    std::vector<std::int32_t> sums(2 * 256);
    Tiles::set_shapes(shapes);
    for (std::int32_t* out = sums.data(); out <= sums.data() + 256; out += 256) {
        Tiles::template load<0>(bytes.data(), 64);
        Tiles::template load<1>(bytes.data() + 1024, 64);
        Tiles::template load<2>(bytes.data() + 2048, 64);
        out == sums.data() ? Tiles::template dot_unsigned<0, 1, 2>() : Tiles::template dot_signed<0, 1, 2>();
        Tiles::template store<0>(out, 64);
    }
    Tiles::release();
    return sums;
}

TEST(AmxTiles, ComputeWhatEmulatedOnesDo)
{
    if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
    for (const TileShapes& shapes : {shapes_of(12, 16, 16), shapes_of(1, 3, 5), shapes_of(16, 1, 2)}) {
        for (unsigned seed = 0; seed < 20; ++seed)
            EXPECT_EQ(random_sums<AmxTiles>(shapes, seed), random_sums<EmulatedTiles>(shapes, seed));
    }
}

class OneMatrix {
public:
    // Blocks of bytes that are `fill` but for the float scales, or random.
    OneMatrix(TensorType type, std::size_t rows, std::size_t columns, std::optional<std::uint8_t> fill = {})
    {
        std::mt19937 random(17);
        std::string blocks = test::random_tensor(type, columns, rows, random);
        const std::size_t block = tensor_type_info(static_cast<std::uint32_t>(type))->block_bytes;
        for (std::size_t i = 0; fill && i < blocks.size(); ++i) {
            const std::size_t at = i % block;
            if (at >= 4 && at < block - 2) blocks[i] = static_cast<char>(*fill);
        }
        const GgufTensor tensor{
            .name = "m",
            .type_id = static_cast<std::uint32_t>(type),
            .dimensions = 2,
            .shape = {columns, rows, 1, 1},
            .data = {reinterpret_cast<const std::uint8_t*>(blocks.data()), blocks.size()}};
        matrix_ = Matrix(tensor, pool_);
    }

    std::vector<float> times(const std::vector<float>& x, const Kernels& kernels, unsigned threads = 1) const
    {
        return test::product(matrix_, x, x.size() / matrix_.columns(), kernels, threads);
    }

private:
    ThreadPool pool_{1};
    Matrix matrix_;
};

void expect_tiles_give_the_bits_of_plain_code(const OneMatrix& matrix, const std::vector<float>& x,
                                              unsigned threads, const std::string& what)
{
    const std::vector<float> expected = matrix.times(x, kernels_for(Isa::scalar));
    std::vector<const Kernels*> by_tiles = {&kernels_emulated_tiles()};
    if (has_amx()) by_tiles.push_back(&kernels_for(Isa::amx));
    for (const Kernels* const kernels : by_tiles) {
        const std::vector<float> got = matrix.times(x, *kernels, threads);
        EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
            << what << (kernels == by_tiles[0] ? ", emulated" : "");
    }
}

std::vector<float> random_tokens(std::size_t tokens, std::size_t columns, std::mt19937& random)
{
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> x(tokens * columns);
    for (float& value : x) value = normal(random);
    std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(3 * columns), columns / 2, 0.0f);
    return x;
}

// From 37 tokens on: parts of a second step of 32 tokens, all of it, and a third; a pair of panels and one
// alone.
TEST(ProductByTiles, BitsAreThoseOfPlainCodeForEveryNumberOfTokens)
{
    std::mt19937 random(5);
    const auto expect = [&](TensorType type, std::size_t columns) {
        const OneMatrix matrix(type, 33, columns);
        for (unsigned tokens = 37; tokens <= (columns == 512 ? 66u : 40u); ++tokens) {
            expect_tiles_give_the_bits_of_plain_code(matrix, random_tokens(tokens, columns, random),
                                                     tokens % 3 + 1,
                                                     name_of(type) + ' ' + std::to_string(columns) +
                                                         " columns " + std::to_string(tokens) + " tokens");
        }
    };
    for (const TensorType type : kTypesPer256) {
        for (const std::size_t columns : {256u, 512u, 768u, 1280u}) expect(type, columns);
    }
    for (const TensorType type : kTypesPer32) {
        for (const std::size_t columns : {32u, 96u, 256u, 288u, 512u, 896u}) expect(type, columns);
    }
}

// The sums of all panels would not fit where they are kept, so a thread goes about them in several passes.
TEST(ProductByTiles, BitsAreThoseOfPlainCodeForMorePanelsThanAtOnce)
{
    std::mt19937 random(6);
    constexpr std::size_t kTokens = 2049;       // two panels at once
    const std::size_t rows = 16 * (8 * 4 + 3);  // four in the first piece of work
    for (const TensorType type : {TensorType::q4_k, TensorType::q4_0}) {
        const OneMatrix matrix(type, rows, 256);
        expect_tiles_give_the_bits_of_plain_code(matrix, random_tokens(kTokens, 256, random), 1,
                                                 name_of(type));
    }
}

// All bits of the quants and of the integer scales alike: the largest and smallest bytes in both planes.
TEST(ProductByTiles, ExtremeWeightsAndActivationsDoNotOverflow)
{
    for (const TensorType type : all_types()) {
        for (const int fill : {0x00, 0x0f, 0x1f, 0x70, 0x7f, 0x80, 0x88, 0xf0, 0xff}) {
            const OneMatrix matrix(type, 32, 512, static_cast<std::uint8_t>(fill));
            std::vector<float> x(37 * 512);
            for (std::size_t i = 0; i < x.size(); ++i) {
                const std::size_t token = i / 512;
                const bool negative = token % 3 == 0 || (token % 3 == 1 && i % 2 == 0);
                x[i] = negative ? -127.0f : 127.0f;
            }
            expect_tiles_give_the_bits_of_plain_code(matrix, x, 1,
                                                     name_of(type) + " of " + std::to_string(fill));
        }
    }
}

// Every nibble and sub-scale in turn, against one activation at a time: no column or row is exchanged.
TEST(ProductByTiles, EveryColumnMeetsItsOwnActivation)
{
    constexpr std::size_t kColumns = 512;
    for (const TensorType type : all_types()) {
        const OneMatrix matrix(type, 32, kColumns);
        for (std::size_t first = 0; first < kColumns; first += 64) {
            std::vector<float> x(64 * kColumns);
            for (std::size_t t = 0; t < 64; ++t)
                x[t * kColumns + first + t] = static_cast<float>(t % 2 == 0 ? 1 : -1);
            expect_tiles_give_the_bits_of_plain_code(matrix, x, 1,
                                                     name_of(type) + " from " + std::to_string(first));
        }
    }
}

// Only AVX-512 is needed to unpack what AMX multiplies.
TEST(ProductByTiles, PanelsAreUnpackedAsInPlainCode)
{
    const std::vector<Isa> isas = available_isas();
    if (std::ranges::find(isas, Isa::avx512) == isas.end()) GTEST_SKIP() << "this processor has no AVX-512";
    std::mt19937 random(7);
    for (const TensorType type : all_types()) {
        const TileKernels& plain = kernels_emulated_tiles().of(type).tiles;
        const TileKernels& vectors = kKernelsAmx.of(type).tiles;
        std::vector<std::uint8_t> block(panel_bytes(type, 256));
        for (std::uint8_t& byte : block) byte = static_cast<std::uint8_t>(random());
        ASSERT_EQ(vectors.block_bytes, plain.block_bytes);
        std::vector<std::uint8_t> expected(plain.block_bytes);
        std::vector<std::uint8_t> got(expected.size());
        plain.unpack(block.data(), 256, expected.data());
        vectors.unpack(block.data(), 256, got.data());
        EXPECT_EQ(got, expected) << name_of(type);
    }
}

TEST(ProductByTiles, TilesAreGivenUpAfterwards)
{
    const OneMatrix matrix(TensorType::q4_k, 32, 256);
    matrix.times(std::vector<float>(40 * 256, 1.0f), kernels_emulated_tiles());
    EXPECT_THROW(EmulatedTiles::zero<0>(), std::logic_error);
}

TEST(ProductByTiles, ActivationsLieByBlockOnlyForThem)
{
    Activations activations;
    const auto lie_by_block = [&](std::size_t tokens, const Kernels& kernels) {
        activations.shape(kernels, tokens, 256, false, false, true);
        return activations.by_block();
    };
    EXPECT_TRUE(lie_by_block(40, kernels_emulated_tiles()));
    EXPECT_FALSE(lie_by_block(36, kernels_emulated_tiles())) << "panels are not unpacked for so few";
    EXPECT_FALSE(lie_by_block(40, kernels_for(Isa::scalar)));
}

}  // namespace
}  // namespace jiphyeon
