// Functions of the kernels against the C library in double, and bit for bit between instruction sets.
#include "kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "fixed_math.hpp"
#include "quants.hpp"

namespace jiphyeon {
namespace {

std::vector<float> numbers(std::size_t n, float spread, unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> out(n);
    for (float& x : out) x = normal(random);
    return out;
}

// Results of `run` with each available instruction set, which must be equal to the last bit.
std::vector<float> same_on_all(std::size_t n, const std::function<void(const Kernels&, float* out)>& run)
{
    std::vector<float> first(n);
    run(kernels_for(Isa::scalar), first.data());
    for (const Isa isa : available_isas()) {
        std::vector<float> out(n);
        run(kernels_for(isa), out.data());
        EXPECT_EQ(std::memcmp(out.data(), first.data(), n * sizeof(float)), 0) << isa_name(isa);
    }
    return first;
}

std::vector<float> wide_range()
{
    std::vector<float> x = numbers(4096, 5, 1);
    const float special[] = {0.0f,   -0.0f,   1e-40f, -1e-40f, 87.5f, -87.5f,
                             100.0f, -100.0f, 3e38f,  -3e38f,  1e-8f};
    std::copy(std::begin(special), std::end(special), x.begin());
    return x;
}

TEST(Functions, SiluIsAccurateAndEqualEverywhere)
{
    const std::vector<float> x = wide_range();
    const std::vector<float> ones(x.size(), 1.0f);
    const std::vector<float> out = same_on_all(
        x.size(), [&](const Kernels& k, float* y) { k.silu_multiply(x.data(), ones.data(), x.size(), y); });
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double v = x[i];
        const double expected = v / (1 + std::exp(-v));
        ASSERT_NEAR(out[i], expected, 4e-7 * std::abs(expected) + 1e-36) << v;
    }
}

TEST(Functions, GeluIsAccurateAndEqualEverywhere)
{
    const std::vector<float> x = wide_range();
    const std::vector<float> out =
        same_on_all(x.size(), [&](const Kernels& k, float* y) { k.gelu(x.data(), x.size(), y); });
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double v = x[i];
        const double expected = 0.5 * v * std::erfc(-v / std::sqrt(2.0));
        ASSERT_NEAR(out[i], expected, 3e-7 * std::abs(v) + 1e-35) << v;
    }
}

TEST(Functions, NormsAreAccurateAndEqualEverywhere)
{
    const std::size_t n = 1536;
    const std::vector<float> x = numbers(n, 3, 2);
    const std::vector<float> w = numbers(n, 1, 3);
    const std::vector<float> b = numbers(n, 1, 4);
    double mean = 0;
    double square = 0;
    for (const float v : x) mean += v / static_cast<double>(n);
    for (const float v : x) square += static_cast<double>(v) * v / static_cast<double>(n);
    const double variance = square - mean * mean;
    const auto rms =
        same_on_all(n, [&](const Kernels& k, float* y) { k.rms_norm(x.data(), w.data(), n, 1e-6f, y); });
    const auto layer = same_on_all(
        n, [&](const Kernels& k, float* y) { k.layer_norm(x.data(), w.data(), b.data(), n, 1e-12f, y); });
    const auto unit = same_on_all(n, [&](const Kernels& k, float* y) { k.l2_normalize(x.data(), n, y); });
    for (std::size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(rms[i], x[i] * w[i] / std::sqrt(square + 1e-6), 1e-5);
        EXPECT_NEAR(layer[i], (x[i] - mean) / std::sqrt(variance) * w[i] + b[i], 1e-5);
        EXPECT_NEAR(unit[i], x[i] / std::sqrt(square * static_cast<double>(n)), 1e-6);
    }
}

TEST(Functions, HalvesAreRoundedToNearestEvenEverywhere)
{
    std::vector<float> x;
    for (unsigned bits = 0; bits < 0x7c00; bits += 3) {
        const float here = half_to_float(static_cast<std::uint16_t>(bits));
        const float next = half_to_float(static_cast<std::uint16_t>(bits + 1));
        const float middle = bits + 1 < 0x7c00 ? (here + next) / 2 : here;
        for (const float v : {here, middle, std::nextafter(middle, 0.0f), std::nextafter(middle, 1e9f)}) {
            x.push_back(v);
            x.push_back(-v);
        }
    }
    x.insert(x.end(), {65520.0f, 65519.0f, 1e30f, std::numeric_limits<float>::infinity(), 1e-30f});
    x.resize((x.size() + 15) / 16 * 16);
    std::vector<std::uint16_t> expected(x.size());
    kernels_for(Isa::scalar).to_half(x.data(), x.size(), expected.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double v = std::abs(static_cast<double>(x[i]));
        if (v > 65519) continue;
        const auto magnitude = static_cast<std::uint16_t>(expected[i] & 0x7fff);
        const double mine = std::abs(static_cast<double>(half_to_float(magnitude)) - v);
        for (const int other : {magnitude - 1, magnitude + 1}) {
            if (other < 0 || other >= 0x7c00) continue;
            const double theirs =
                std::abs(static_cast<double>(half_to_float(static_cast<std::uint16_t>(other))) - v);
            ASSERT_TRUE(mine < theirs || (mine == theirs && magnitude % 2 == 0)) << x[i];
        }
    }
    for (const Isa isa : available_isas()) {
        std::vector<std::uint16_t> out(x.size());
        kernels_for(isa).to_half(x.data(), x.size(), out.data());
        EXPECT_EQ(out, expected) << isa_name(isa);
    }
}

TEST(FixedMath, AgreesWithTheLibrary)
{
    for (int i = 1; i < 20000; ++i) {
        const double x = i * 1.37;
        ASSERT_NEAR(fixed_sin(x), std::sin(x), 1e-15) << x;
        ASSERT_NEAR(fixed_cos(x), std::cos(x), 1e-15) << x;
        ASSERT_NEAR(fixed_log(x), std::log(x), 4e-16 * std::abs(std::log(x)) + 1e-16) << x;
        ASSERT_NEAR(fixed_exp(-x / 100), std::exp(-x / 100), 1e-15 * std::exp(-x / 100)) << x;
    }
    EXPECT_NEAR(fixed_sin(1e6), std::sin(1e6), 1e-12);
}

struct AttentionCase {
    std::size_t head_size = 64;
    unsigned queries = 6;
    std::vector<float> q, k, v;
    std::vector<std::uint16_t> keys, values;
    std::vector<int> begin, end;

    AttentionCase()
    {
        q = numbers(head_size * queries, 0.4f, 7);
        k = numbers(256 * head_size, 1, 8);
        v = numbers(256 * head_size, 1, 9);
        keys.resize(k.size());
        values.resize(v.size());
        kernels_for(Isa::scalar).to_half(v.data(), v.size(), values.data());
        std::vector<std::uint16_t> half(k.size());
        kernels_for(Isa::scalar).to_half(k.data(), k.size(), half.data());
        for (std::size_t p = 0; p < 256; ++p) {
            for (std::size_t d = 0; d < head_size; ++d) {
                keys[(p / 16 * head_size + d) * 16 + p % 16] = half[p * head_size + d];
                k[p * head_size + d] = half_to_float(half[p * head_size + d]);
                v[p * head_size + d] = half_to_float(values[p * head_size + d]);
            }
        }
        begin = {0, 0, 5, 40, 0, 100};
        end = {1, 16, 60, 203, 0, 256};  // the fifth sees nothing
    }
    // maximum, sum, out of each query
    void run(const Kernels& kernels, float* out) const
    {
        AttendChunk chunk;
        chunk.queries = queries;
        chunk.head_size = head_size;
        chunk.q = q.data();
        chunk.keys = keys.data();
        chunk.values = values.data();
        chunk.begin = begin.data();
        chunk.end = end.data();
        chunk.maximum = out;
        chunk.sum = out + queries;
        chunk.out = out + 2 * queries;
        kernels.attend(chunk);
    }
};

TEST(Attention, AChunkIsSoftmaxOfWhatEachQuerySees)
{
    const AttentionCase c;
    const auto out =
        same_on_all(c.queries * (2 + c.head_size), [&](const Kernels& k, float* y) { c.run(k, y); });
    for (unsigned t = 0; t < c.queries; ++t) {
        std::vector<double> expected(c.head_size);
        double total = 0;
        for (int p = c.begin[t]; p < c.end[t]; ++p) {
            double dot = 0;
            const std::size_t at = static_cast<std::size_t>(p) * c.head_size;
            for (std::size_t d = 0; d < c.head_size; ++d) {
                dot += static_cast<double>(c.q[d * c.queries + t]) * static_cast<double>(c.k[at + d]);
            }
            const double weight = std::exp(dot - static_cast<double>(out[t]));
            total += weight;
            for (std::size_t d = 0; d < c.head_size; ++d)
                expected[d] += weight * static_cast<double>(c.v[at + d]);
        }
        EXPECT_NEAR(out[c.queries + t], total, 1e-4 * total);
        for (std::size_t d = 0; d < c.head_size; ++d) {
            EXPECT_NEAR(out[2 * c.queries + t * c.head_size + d], expected[d], 1e-4);
        }
    }
    EXPECT_EQ(out[c.queries + 4], 0.0f);
}

// A query beside others, or with another number of padding queries, gets the same bits.
TEST(Attention, AQueryDoesNotDependOnItsNeighbours)
{
    const AttentionCase c;
    const Kernels& kernels = kernels_for(Isa::best);
    std::vector<float> together(c.queries * (2 + c.head_size));
    c.run(kernels, together.data());
    for (unsigned t = 0; t < c.queries; ++t) {
        for (const unsigned padded : {1u, 2u, 8u, 12u}) {
            AttentionCase alone;
            alone.queries = padded;
            alone.q.assign(c.head_size * padded, 0.0f);
            for (std::size_t d = 0; d < c.head_size; ++d) alone.q[d * padded] = c.q[d * c.queries + t];
            alone.begin.assign(padded, 0);
            alone.end.assign(padded, 0);
            alone.begin[0] = c.begin[t];
            alone.end[0] = c.end[t];
            std::vector<float> out(padded * (2 + c.head_size));
            alone.run(kernels, out.data());
            EXPECT_EQ(out[0], together[t]);
            EXPECT_EQ(out[padded], together[c.queries + t]);
            EXPECT_EQ(std::memcmp(out.data() + 2 * padded, together.data() + 2 * c.queries + t * c.head_size,
                                  c.head_size * sizeof(float)),
                      0)
                << "query " << t << " of " << padded;
        }
    }
}

TEST(Isas, NamesAndAvailability)
{
    for (const Isa isa : {Isa::best, Isa::scalar, Isa::avx2, Isa::avx512, Isa::amx}) {
        EXPECT_EQ(isa_from_name(isa_name(isa)), isa);
    }
    EXPECT_FALSE(isa_from_name("neon"));
    EXPECT_EQ(available_isas().front(), Isa::scalar);
    for (const Isa isa : available_isas()) EXPECT_EQ(kernels_for(isa).isa, isa);
    const std::vector<Isa> isas = available_isas();
    if (std::ranges::find(isas, Isa::amx) == isas.end()) {
        EXPECT_THROW(kernels_for(Isa::amx), EngineError);
        EXPECT_EQ(kernels_for(Isa::best).isa, isas.back());
    } else {  // a trial chooses
        EXPECT_GE(kernels_for(Isa::best).isa, Isa::avx512);
    }
}

}  // namespace
}  // namespace jiphyeon
