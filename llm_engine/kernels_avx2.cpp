// AVX2 with FMA and F16C: a vector of 16 lanes is two registers.
#include <immintrin.h>

#include "kernels.hpp"
#include "lanes_256.hpp"

namespace jiphyeon {
namespace {

struct Lanes : Lanes256 {
    struct F {
        __m256 a, b;
    };
    struct I {
        __m256i a, b;
    };
    using B = I;
    static constexpr bool kSigned8 = true;  // vpmaddubsw would saturate with weights up to 255

    static F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
    static void store(float* p, F x)
    {
        _mm256_storeu_ps(p, x.a);
        _mm256_storeu_ps(p + 8, x.b);
    }
    static void store_past_caches(float* p, F x)
    {
        _mm256_stream_ps(p, x.a);
        _mm256_stream_ps(p + 8, x.b);
    }
    static F set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
    static F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
    static F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
    static F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
    static F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
    static F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
    static F sqrt(F x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
    static F fma(F x, F y, F z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
    static F fnma(F x, F y, F z)
    {
        return {_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)};
    }
    static F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
    static F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
    static F abs(F x)
    {
        const __m256 sign = _mm256_set1_ps(-0.0f);
        return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
    }
    static F load_half(const std::uint16_t* p)
    {
        return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
                _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
    }
    static F load_bfloat(const std::uint16_t* p) { return {bfloat_half(p), bfloat_half(p + 8)}; }
    // 2^(e - 128) of 16 bytes e. Powers below 2^-126 are subnormal: there the second is the larger.
    static F load_powers(const std::uint8_t* p)
    {
        const I e = load_u8(p);
        return {powers_half(e.a), powers_half(e.b)};
    }
    static void store_half(std::uint16_t* p, F x)
    {
        constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x.a, kNearest));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(x.b, kNearest));
    }
    static F zero_below(F x, F limit, F y) { return select_below(x, limit, zero(), y); }
    static F select_below(F x, F limit, F below, F other)
    {
        return {_mm256_blendv_ps(other.a, below.a, _mm256_cmp_ps(x.a, limit.a, _CMP_LT_OQ)),
                _mm256_blendv_ps(other.b, below.b, _mm256_cmp_ps(x.b, limit.b, _CMP_LT_OQ))};
    }
    static F keep_between(F x, int begin, int end, F other)
    {
        const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        return {_mm256_blendv_ps(other.a, x.a, between(lanes, begin, end)),
                _mm256_blendv_ps(other.b, x.b, between(lanes, begin - 8, end - 8))};
    }
    // y * 2^n, where the low bits of t hold n.
    static F scale_by_power(F y, F t) { return {scale_half(y.a, t.a), scale_half(y.b, t.b)}; }
    static void store_low(std::int8_t* p, F x)
    {
        const __m256i pick = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0,
                                              4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        const __m256i order = _mm256_setr_epi32(0, 4, 1, 1, 1, 1, 1, 1);
        const __m256i a =
            _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(_mm256_castps_si256(x.a), pick), order);
        const __m256i b =
            _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(_mm256_castps_si256(x.b), pick), order);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(a));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 8), _mm256_castsi256_si128(b));
    }
    static void store_low(std::int16_t* p, F x)
    {
        const __m256i both = _mm256_packs_epi32(low_short(x.a), low_short(x.b));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(both, 0xd8));
    }
    static float reduce_add(F x) { return sum_of(_mm256_add_ps(x.a, x.b)); }
    static float reduce_max(F x) { return largest_of(_mm256_max_ps(x.a, x.b)); }

    static I zero_int() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
    static I load_int(const std::int32_t* p) { return load_bytes(reinterpret_cast<const std::uint8_t*>(p)); }
    static void store_int(std::int32_t* p, I x) { store_bytes(reinterpret_cast<std::uint8_t*>(p), x); }
    static I load_u8(const std::uint8_t* p)
    {
        return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))),
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)))};
    }
    static I load_s8(const std::int8_t* p)
    {
        return {_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))),
                _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)))};
    }
    // 32 bytes as int16, two to a lane.
    static I load_pairs(const std::int8_t* p)
    {
        return {_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16)))};
    }
    static I join16(I low, I high)
    {
        return {_mm256_or_si256(low.a, _mm256_slli_epi32(high.a, 16)),
                _mm256_or_si256(low.b, _mm256_slli_epi32(high.b, 16))};
    }
    static I add_int(I x, I y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
    static I mul_int(I x, I y) { return {_mm256_mullo_epi32(x.a, y.a), _mm256_mullo_epi32(x.b, y.b)}; }
    static F to_float(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
    static I dot_pair(I acc, I pairs, std::int32_t a)
    {
        const __m256i v = _mm256_set1_epi32(a);
        return {_mm256_add_epi32(acc.a, _mm256_madd_epi16(pairs.a, v)),
                _mm256_add_epi32(acc.b, _mm256_madd_epi16(pairs.b, v))};
    }

    static B load_bytes(const std::uint8_t* p)
    {
        return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
    }
    static void store_bytes(std::uint8_t* p, B x)
    {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.a);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), x.b);
    }
    static B and_bytes(B x, int mask)
    {
        const __m256i m = _mm256_set1_epi8(static_cast<char>(mask));
        return {_mm256_and_si256(x.a, m), _mm256_and_si256(x.b, m)};
    }
    static B or_bytes(B x, B y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
    static B left(B x, int bits) { return {_mm256_slli_epi16(x.a, bits), _mm256_slli_epi16(x.b, bits)}; }
    static B right(B x, int bits) { return {_mm256_srli_epi16(x.a, bits), _mm256_srli_epi16(x.b, bits)}; }
    static B low4(B x) { return and_bytes(x, 15); }
    static B high4(B x) { return and_bytes(right(x, 4), 15); }
    // The byte that each nibble stands for.
    static B look_up(const std::uint8_t* table, B nibbles)
    {
        const __m256i both =
            _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
        return {_mm256_shuffle_epi8(both, nibbles.a), _mm256_shuffle_epi8(both, nibbles.b)};
    }
    static B flip_sign(B x) { return x; }  // never needed: weights stay signed
    // Bit kQuad of each byte of `bits` as bit 4.
    template <int kQuad>
    static B or_bit4(B low, B bits)
    {
        return or_bytes(low, and_bytes(kQuad <= 4 ? left(bits, 4 - kQuad) : right(bits, kQuad - 4), 16));
    }
    // Bits 2 kQuad and 2 kQuad + 1 of each byte of `bits` as bits 4 and 5.
    template <int kQuad>
    static B or_bits45(B low, B bits)
    {
        return or_bytes(low, and_bytes(kQuad <= 2 ? left(bits, 4 - 2 * kQuad) : right(bits, 2), 48));
    }
    static void unpack_6bit(const std::uint8_t* p, std::uint8_t* scales, std::uint8_t* minima)
    {
        const B first = load_bytes(p);
        const B second = load_bytes(p + 64);
        const B third = load_bytes(p + 128);
        store_bytes(scales, and_bytes(first, 63));
        store_bytes(minima, and_bytes(second, 63));
        store_bytes(scales + 64, or_bytes(low4(third), and_bytes(right(first, 2), 48)));
        store_bytes(minima + 64, or_bytes(high4(third), and_bytes(right(second, 2), 48)));
    }

    // vpmaddubsw adds two products in int16, here widened at once.
    template <int kMaxWeight>
    struct Sub {
        static constexpr int kScaledQuads = 8;
        I total;
        void start(std::int32_t bias) { total = {_mm256_set1_epi32(bias), _mm256_set1_epi32(bias)}; }
        void dot(B weights, std::int32_t a)
        {
            const __m256i v = _mm256_set1_epi32(a);
            const __m256i ones = _mm256_set1_epi16(1);
            if constexpr (kMaxWeight > 127) {
                const I x = {
                    _mm256_maddubs_epi16(_mm256_abs_epi8(weights.a), _mm256_sign_epi8(v, weights.a)),
                    _mm256_maddubs_epi16(_mm256_abs_epi8(weights.b), _mm256_sign_epi8(v, weights.b))};
                total = add_int(total, {_mm256_madd_epi16(x.a, ones), _mm256_madd_epi16(x.b, ones)});
            } else {
                const I x = {_mm256_maddubs_epi16(weights.a, v), _mm256_maddubs_epi16(weights.b, v)};
                total = add_int(total, {_mm256_madd_epi16(x.a, ones), _mm256_madd_epi16(x.b, ones)});
            }
        }
        I finish() const { return total; }
        static I multiplier(I scale) { return scale; }
        I add_scaled(I to, I multiplier) const { return add_int(to, mul_int(total, multiplier)); }
    };

    // The same where so many quads fit: a lane's even columns are summed in its low half, beside the bias,
    // and the odd ones in its high half. With weights up to 15 and their bias of -8 times the activations
    // eight quads fit (8 * 2 * 8 * 127 and as much of the bias are 32512), with 63 and -32 two.
    template <int kQuads>
    struct Sub16 {
        static constexpr int kScaledQuads = kQuads;
        I sums;
        void start(std::int32_t bias)
        {
            const __m256i low = _mm256_blend_epi16(_mm256_set1_epi32(bias), _mm256_setzero_si256(), 0xaa);
            sums = {low, low};
        }
        void dot(B weights, std::int32_t a)
        {
            const __m256i v = _mm256_set1_epi32(a);
            sums = {_mm256_add_epi16(sums.a, _mm256_maddubs_epi16(weights.a, v)),
                    _mm256_add_epi16(sums.b, _mm256_maddubs_epi16(weights.b, v))};
        }
        I finish() const { return add_scaled(zero_int(), {_mm256_set1_epi16(1), _mm256_set1_epi16(1)}); }
        static I multiplier(I scale)
        {
            return {_mm256_blend_epi16(scale.a, _mm256_slli_epi32(scale.a, 16), 0xaa),
                    _mm256_blend_epi16(scale.b, _mm256_slli_epi32(scale.b, 16), 0xaa)};
        }
        I add_scaled(I to, I multiplier) const
        {
            return add_int(
                to, {_mm256_madd_epi16(sums.a, multiplier.a), _mm256_madd_epi16(sums.b, multiplier.b)});
        }
    };

private:
    static __m256 bfloat_half(const std::uint16_t* p)
    {
        const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(upper), 16));
    }
    static __m256 powers_half(__m256i e)
    {
        const __m256i one = _mm256_set1_epi32(1);
        const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23);
        const __m256i subnormal = _mm256_slli_epi32(_mm256_add_epi32(e, one), 21);
        return _mm256_castsi256_ps(_mm256_max_epi32(normal, subnormal));
    }
    static __m256i low_short(__m256 x)
    {
        return _mm256_srai_epi32(_mm256_slli_epi32(_mm256_castps_si256(x), 16), 16);
    }
    static __m256 between(__m256i lanes, int begin, int end)
    {
        const __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32(begin), lanes);
        const __m256i high = _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lanes);
        return _mm256_castsi256_ps(_mm256_andnot_si256(low, high));
    }
    static __m256 scale_half(__m256 y, __m256 t)
    {
        return _mm256_castsi256_ps(
            _mm256_add_epi32(_mm256_castps_si256(y), _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
    }
};

template <>
struct Lanes::Sub<15> : Lanes::Sub16<8> {
};
template <>
struct Lanes::Sub<63> : Lanes::Sub16<2> {
};

}  // namespace
}  // namespace jiphyeon

#define JIPHYEON_UNROLL(n) _Pragma("GCC unroll 12")
#include "kernels_body.hpp"

namespace jiphyeon {
constinit const Kernels kKernelsAvx2 = make_kernels(Isa::avx2);
}
