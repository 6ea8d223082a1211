#include "kernels.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <vector>

namespace jiphyeon {
namespace {

std::vector<const Kernels*> available()
{
    std::vector<const Kernels*> all = {&kScalarKernels};
    for (const Kernels* kernels : {avx2_kernels(), avx512_kernels()}) {
        if (kernels != nullptr) all.push_back(kernels);
    }
    return all;
}

TEST(Kernels, CodesGiveTheExactSumAtEveryExtreme)
{
    std::mt19937 random(3);
    for (const std::size_t n : {64u, 128u, 384u, 1024u}) {
        for (int round = 0; round < 50; ++round) {
            std::vector<std::int8_t> a(n), b(n);
            std::int64_t expected = 0;
            std::int32_t sum_b = 0;
            for (std::size_t i = 0; i < n; ++i) {
                const auto any = [&] {
                    return static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
                };
                a[i] = round == 0 ? std::int8_t{127} : round == 1 ? std::int8_t{-127} : any();
                b[i] = round <= 1 ? std::int8_t{-127} : any();
                expected += std::int64_t{a[i]} * b[i];
                sum_b += b[i];
            }
            for (const Kernels* kernels : available()) {
                ASSERT_EQ(kernels->dot_codes(a.data(), b.data(), n, sum_b), expected) << kernels->name;
            }
        }
    }
}

TEST(Kernels, FloatsGiveTheSameBitsOnEveryCpu)
{
    std::mt19937 random(4);
    std::normal_distribution<float> normal;
    for (const std::size_t n : {64u, 384u, 768u}) {
        for (int round = 0; round < 200; ++round) {
            std::vector<float> a(n), b(n);
            for (std::size_t i = 0; i < n; ++i) {
                a[i] = normal(random) * (i % 7 == 0 ? 1e6f : 1.0f);
                b[i] = normal(random);
            }
            const auto expected =
                std::bit_cast<std::uint32_t>(kScalarKernels.dot_floats(a.data(), b.data(), n));
            for (const Kernels* kernels : available()) {
                ASSERT_EQ(std::bit_cast<std::uint32_t>(kernels->dot_floats(a.data(), b.data(), n)), expected)
                    << kernels->name;
            }
        }
    }
}

}  // namespace
}  // namespace jiphyeon
