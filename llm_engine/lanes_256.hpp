// What the lanes of AVX2 and of AVX-512 do alike, on vectors of 256 bits. Only their files include it, which
// are compiled with their own -m flags; internal linkage for the reason that kernels_body.hpp gives.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace jiphyeon {
namespace {

struct Lanes256 {
    // Of 32 bytes, each 8.
    static void sums_of_8(const std::int8_t* p, std::int64_t* sums)
    {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        // Raised by 128, as the instruction's sums know no sign.
        const __m256i raised = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
        const __m256i total = _mm256_sad_epu8(raised, _mm256_setzero_si256());
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums),
                            _mm256_sub_epi64(total, _mm256_set1_epi64x(8 * 128)));
    }
    // As a tree of halves.
    static float sum_of(__m256 x)
    {
        const __m128 by4 = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
        return _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)));
    }
    static float largest_of(__m256 x)
    {
        const __m128 by4 = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        const __m128 by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
        return _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)));
    }
};

}  // namespace
}  // namespace jiphyeon
