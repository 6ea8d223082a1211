#include "kernels.hpp"

#include <immintrin.h>

namespace jiphyeon {
namespace {

constexpr std::size_t kLanes = 32;

// In one order for all forms: lane i with lane i + 16, then + 8, + 4, + 2, + 1.
float fold(float* lanes)
{
    for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
        for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    }
    return lanes[0];
}

std::int32_t dot_codes_scalar(const std::int8_t* a, const std::int8_t* b, std::size_t n, std::int32_t)
{
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += std::int32_t{a[i]} * std::int32_t{b[i]};
    return sum;
}

float dot_floats_scalar(const float* a, const float* b, std::size_t n)
{
    float lanes[kLanes] = {};
    for (std::size_t i = 0; i < n; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += a[i + j] * b[i + j];
    }
    return fold(lanes);
}

__attribute__((target("avx2"))) std::int32_t sum_of_lanes(__m256i sums)
{
    const __m128i low = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const __m128i two = _mm_add_epi32(low, _mm_shuffle_epi32(low, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
}

__attribute__((target("avx2"))) std::int32_t dot_codes_avx2(const std::int8_t* a, const std::int8_t* b,
                                                            std::size_t n, std::int32_t)
{
    __m256i sums = _mm256_setzero_si256();
    for (std::size_t i = 0; i < n; i += 32) {
        const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i));
        const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + i));
        // |x| * (y with the sign of x): at most 2 * 127 * 127, which 16 bits hold.
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(y, x));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    return sum_of_lanes(sums);
}

__attribute__((target("avx2"))) float dot_floats_avx2(const float* a, const float* b, std::size_t n)
{
    __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    for (std::size_t i = 0; i < n; i += kLanes) {
        for (std::size_t j = 0; j < 4; ++j) {
            const __m256 product =
                _mm256_mul_ps(_mm256_loadu_ps(a + i + 8 * j), _mm256_loadu_ps(b + i + 8 * j));
            sums[j] = _mm256_add_ps(sums[j], product);
        }
    }
    alignas(32) float lanes[kLanes];
    for (std::size_t j = 0; j < 4; ++j) _mm256_store_ps(lanes + 8 * j, sums[j]);
    return fold(lanes);
}

#define JIPHYEON_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

JIPHYEON_AVX512 std::int32_t dot_codes_avx512(const std::int8_t* a, const std::int8_t* b, std::size_t n,
                                              std::int32_t sum_b)
{
    // VNNI multiplies unsigned by signed bytes: (a + 128) * b, and 128 * sum(b) is taken off again.
    const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
    __m512i sums = _mm512_setzero_si512();
    for (std::size_t i = 0; i < n; i += 64) {
        const __m512i x = _mm512_xor_si512(_mm512_loadu_si512(a + i), flip);
        sums = _mm512_dpbusd_epi32(sums, x, _mm512_loadu_si512(b + i));
    }
    const __m256i low = _mm512_maskz_extracti64x4_epi64(0xF, sums, 0);
    const __m256i high = _mm512_maskz_extracti64x4_epi64(0xF, sums, 1);
    return sum_of_lanes(_mm256_add_epi32(low, high)) - 128 * sum_b;
}

JIPHYEON_AVX512 float dot_floats_avx512(const float* a, const float* b, std::size_t n)
{
    __m512 low = _mm512_setzero_ps(), high = _mm512_setzero_ps();
    for (std::size_t i = 0; i < n; i += kLanes) {
        low = _mm512_add_ps(low, _mm512_mul_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i)));
        high = _mm512_add_ps(high, _mm512_mul_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16)));
    }
    alignas(64) float lanes[kLanes];
    _mm512_store_ps(lanes, low);
    _mm512_store_ps(lanes + 16, high);
    return fold(lanes);
}

constexpr Kernels kAvx2 = {"avx2", dot_codes_avx2, dot_floats_avx2};
constexpr Kernels kAvx512 = {"avx512", dot_codes_avx512, dot_floats_avx512};

}  // namespace

const Kernels kScalarKernels = {"scalar", dot_codes_scalar, dot_floats_scalar};

const Kernels* avx2_kernels()
{
    return __builtin_cpu_supports("avx2") ? &kAvx2 : nullptr;
}

const Kernels* avx512_kernels()
{
    const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
    return has ? &kAvx512 : nullptr;
}

const Kernels& best_kernels()
{
    static const Kernels& best = avx512_kernels() != nullptr ? *avx512_kernels()
                                 : avx2_kernels() != nullptr ? *avx2_kernels()
                                                             : kScalarKernels;
    return best;
}

}  // namespace jiphyeon
