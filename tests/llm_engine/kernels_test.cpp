// Functions of the kernels against the C library in double, and bit for bit between instruction sets.
#include "kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "blocks.hpp"
#include "fixed_math.hpp"
#include "kv_cache.hpp"
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

// The nearest integers to what is left when the scale, rounded to a half, is taken out.
TEST(Functions, BytesAreTheNearestToTheirNumbersAndEqualEverywhere)
{
    for (const float spread : {1.0f, 300.0f, 1e-3f, 1e-6f, 1e-12f, 0.0f, 1e9f, 1e36f}) {
        std::vector<float> x = numbers(32, 1, 11);
        for (float& each : x) each *= spread;
        std::vector<std::int8_t> expected(x.size());
        std::uint16_t scale = 0;
        kernels_for(Isa::scalar).to_bytes(x.data(), x.size(), expected.data(), &scale);
        const double step = static_cast<double>(half_to_float(scale));
        const double largest = static_cast<double>(std::abs(*std::max_element(
            x.begin(), x.end(), [](float a, float b) { return std::abs(a) < std::abs(b); })));
        if (largest > 1e-2 && largest < 8e6) {
            EXPECT_NEAR(step, largest / 127, step / 2000) << spread;
        }
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double inside = std::clamp(static_cast<double>(x[i]), -127 * step, 127 * step);
            EXPECT_NEAR(expected[i] * step, inside, step * 0.5001) << spread;
        }
        for (const Isa isa : available_isas()) {
            std::vector<std::int8_t> got(x.size());
            std::uint16_t own = 0;
            kernels_for(isa).to_bytes(x.data(), x.size(), got.data(), &own);
            EXPECT_EQ(got, expected) << isa_name(isa) << ' ' << spread;
            EXPECT_EQ(own, scale) << isa_name(isa) << ' ' << spread;
        }
    }
}

TEST(Functions, ShortsAreTheNearestToTheirNumbersAndEqualEverywhere)
{
    for (const float spread : {1.0f, 1e-30f, 0.0f, 1e30f}) {
        std::vector<float> x = numbers(48, 1, 12);
        for (float& each : x) each *= spread;
        std::vector<std::int16_t> expected(x.size());
        const float scale = kernels_for(Isa::scalar).to_shorts(x.data(), x.size(), expected.data());
        EXPECT_EQ(std::abs(*std::ranges::max_element(expected, {}, [](int i) { return std::abs(i); })),
                  spread == 0 ? 0 : 32767);
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double step = static_cast<double>(scale);
            EXPECT_NEAR(expected[i] * step, static_cast<double>(x[i]), step * 0.502) << spread;
        }
        for (const Isa isa : available_isas()) {
            std::vector<std::int16_t> got(x.size());
            EXPECT_EQ(kernels_for(isa).to_shorts(x.data(), x.size(), got.data()), scale) << isa_name(isa);
            EXPECT_EQ(got, expected) << isa_name(isa) << ' ' << spread;
        }
    }
}

// Six queries, of which the fifth sees nothing, over a page of one head. k and v: what the page holds.
struct AttentionCase {
    std::size_t head_size;
    KvType type;
    unsigned queries = 6;
    std::vector<float> q, k, v;
    KvShape shape;
    std::shared_ptr<KvPage> page;
    std::vector<int> begin = {0, 0, 5, 40, 0, 100};
    std::vector<int> end = {1, 16, 60, 203, 0, 256};

    AttentionCase(KvType kv, std::size_t size)
        : head_size(size), type(kv), shape{1, 1, size, kv}, page(std::make_shared<KvPage>(shape))
    {
        q = numbers(head_size * queries, 3.2f / std::sqrt(static_cast<float>(size)), 7);
        k = numbers(256 * head_size, 1, 8);
        v = numbers(256 * head_size, 1, 9);
        // As in Qwen's models, some dimensions of keys are much larger than others.
        for (std::size_t i = 5; i < k.size(); i += head_size) k[i] += 30;
        for (std::size_t p = 0; p < 256; ++p) {
            page->store(kernels_for(Isa::scalar), 0, 0, p, &k[p * size], &v[p * size]);
            for (std::size_t d = 0; d < size; ++d) {
                EXPECT_NEAR(key(p, d), k[p * size + d], type == KvType::q8 ? 0.2f : 0.02f);
                EXPECT_NEAR(value(p, d), v[p * size + d], type == KvType::q8 ? 0.025f : 0.002f);
                k[p * size + d] = key(p, d);
                v[p * size + d] = value(p, d);
            }
        }
    }
    static float half(const std::uint8_t* p)
    {
        std::uint16_t bits = 0;
        std::memcpy(&bits, p, sizeof bits);
        return half_to_float(bits);
    }
    float key(std::size_t p, std::size_t d) const
    {
        const std::uint8_t* const of_16 = page->keys(0, 0) + p / 16 * shape.keys_of_16();
        if (type == KvType::f16) return half(of_16 + 2 * (d * 16 + p % 16));
        const std::uint8_t* const block = of_16 + d / kKeyBlock * 16 * (kKeyBlock + 2);
        return half(block + 16 * kKeyBlock + 2 * (p % 16)) *
               static_cast<std::int8_t>(block[(d % kKeyBlock / 2 * 16 + p % 16) * 2 + d % 2]);
    }
    float value(std::size_t p, std::size_t d) const
    {
        const std::uint8_t* const of_16 = page->values(0, 0) + p / 16 * shape.values_of_16();
        if (type == KvType::f16) return half(of_16 + 2 * (p % 16 * head_size + d));
        const float scale = half(of_16 + 16 * head_size + 2 * (p % 16));
        return scale * static_cast<std::int8_t>(of_16[(p % 16 / 2 * head_size + d) * 2 + p % 2]);
    }
    // maximum, sum, out of each query
    void run(const Kernels& kernels, float* out) const
    {
        std::vector<std::int32_t> pairs(queries * head_size / 2);
        std::vector<float> scales(queries);
        for (unsigned t = 0; t < queries; ++t) {
            std::vector<float> one(head_size);
            for (std::size_t d = 0; d < head_size; ++d) one[d] = q[d * queries + t];
            std::vector<std::int16_t> shorts(head_size);
            scales[t] = kernels.to_shorts(one.data(), head_size, shorts.data());
            for (std::size_t i = 0; i < head_size / 2; ++i)
                std::memcpy(&pairs[i * queries + t], &shorts[2 * i], sizeof(std::int32_t));
        }
        AttendChunk chunk;
        chunk.type = type;
        chunk.queries = queries;
        chunk.head_size = head_size;
        chunk.q = q.data();
        chunk.q_pairs = pairs.data();
        chunk.q_scales = scales.data();
        chunk.keys = page->keys(0, 0);
        chunk.values = page->values(0, 0);
        chunk.begin = begin.data();
        chunk.end = end.data();
        chunk.maximum = out;
        chunk.sum = out + queries;
        chunk.out = out + 2 * queries;
        kernels.attend(chunk);
    }
    std::size_t results() const { return queries * (2 + head_size); }
};

class Attention : public ::testing::TestWithParam<std::tuple<KvType, std::size_t>> {
protected:
    AttentionCase made() const { return {std::get<0>(GetParam()), std::get<1>(GetParam())}; }
};

INSTANTIATE_TEST_SUITE_P(, Attention,
                         ::testing::Combine(::testing::Values(KvType::f16, KvType::q8),
                                            ::testing::Values(64, 80, 96, 128, 256, 1024)),
                         [](const auto& parameter) {
                             return std::string(kv_type_name(std::get<0>(parameter.param))) + "_" +
                                    std::to_string(std::get<1>(parameter.param));
                         });

TEST_P(Attention, AChunkIsSoftmaxOfWhatEachQuerySees)
{
    const AttentionCase c = made();
    const auto out = same_on_all(c.results(), [&](const Kernels& k, float* y) { c.run(k, y); });
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
        // In q8 queries and weights are rounded to 16 bits.
        const double error_max = c.type == KvType::f16 ? 1e-4 : 4e-3;
        EXPECT_NEAR(out[c.queries + t], total, error_max * total);
        for (std::size_t d = 0; d < c.head_size; ++d) {
            EXPECT_NEAR(out[2 * c.queries + t * c.head_size + d], expected[d],
                        error_max * std::max(1.0, total));
        }
    }
    EXPECT_EQ(out[c.queries + 4], 0.0f);
}

// A query beside others, or with another number of padding queries, gets the same bits.
TEST_P(Attention, AQueryDoesNotDependOnItsNeighbours)
{
    const AttentionCase c = made();
    const Kernels& kernels = kernels_for(Isa::best);
    std::vector<float> together(c.results());
    c.run(kernels, together.data());
    for (unsigned t = 0; t < c.queries; ++t) {
        for (const unsigned padded : {1u, 2u, 8u, 12u}) {
            AttentionCase alone = c;
            alone.queries = padded;
            alone.q.assign(c.head_size * padded, 0.0f);
            for (std::size_t d = 0; d < c.head_size; ++d) alone.q[d * padded] = c.q[d * c.queries + t];
            alone.begin.assign(padded, 0);
            alone.end.assign(padded, 0);
            alone.begin[0] = c.begin[t];
            alone.end[0] = c.end[t];
            std::vector<float> out(alone.results());
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

// Of a page that is filled in part, and of its copy, whatever memory held there before.
TEST_P(Attention, PositionsThatWereNotStoredCountForNothing)
{
    constexpr std::size_t kStored = 203;
    AttentionCase filled = made();
    filled.end.back() = kStored;
    AttentionCase in_part = filled;
    in_part.page = std::make_shared<KvPage>(filled.shape);
    std::ranges::fill(in_part.page->bytes(), '\xff');  // as f16 these are no numbers
    for (std::size_t p = 0; p < 256; ++p) {
        const std::size_t at = p * filled.head_size;
        filled.page->store(kernels_for(Isa::best), 0, 0, p, &filled.k[at], &filled.v[at]);
        if (p < kStored) in_part.page->store(kernels_for(Isa::best), 0, 0, p, &filled.k[at], &filled.v[at]);
    }
    AttentionCase copied = in_part;
    copied.page = in_part.page->copy(kStored);
    const auto run = [](const AttentionCase& c) {
        return same_on_all(c.results(), [&](const Kernels& k, float* y) { c.run(k, y); });
    };
    EXPECT_EQ(run(in_part), run(filled));
    EXPECT_EQ(run(copied), run(filled));
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
