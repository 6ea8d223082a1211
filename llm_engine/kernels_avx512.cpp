// AVX-512 with VNNI: a vector of 16 lanes is one register. AMX on top of it.
#include <immintrin.h>

#include "kernels.hpp"
#include "lanes_256.hpp"
#include "tiles.hpp"

namespace jiphyeon {
namespace {

struct Lanes : Lanes256 {
    using F = __m512;
    using I = __m512i;
    using B = __m512i;
    static constexpr bool kSigned8 = false;  // vpdpbusd takes unsigned weights only

    static F load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
    static void store_past_caches(float* p, F x) { _mm512_stream_ps(p, x); }
    static F set1(float x) { return _mm512_set1_ps(x); }
    static F zero() { return _mm512_setzero_ps(); }
    static F add(F a, F b) { return _mm512_add_ps(a, b); }
    static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
    static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    static F div(F a, F b) { return _mm512_div_ps(a, b); }
    static F sqrt(F a) { return _mm512_sqrt_ps(a); }
    static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    static F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
    static F max(F a, F b) { return _mm512_max_ps(a, b); }
    static F min(F a, F b) { return _mm512_min_ps(a, b); }
    static F abs(F a) { return _mm512_abs_ps(a); }
    static F load_half(const std::uint16_t* p)
    {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static F load_bfloat(const std::uint16_t* p)
    {
        const __m256i upper = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16));
    }
    // 2^(e - 128) of 16 bytes e. Powers below 2^-126 are subnormal: there the second is the larger.
    static F load_powers(const std::uint8_t* p)
    {
        const I e = load_u8(p);
        const I one = _mm512_set1_epi32(1);
        const I normal = _mm512_slli_epi32(_mm512_sub_epi32(e, one), 23);
        const I subnormal = _mm512_slli_epi32(_mm512_add_epi32(e, one), 21);
        return _mm512_castsi512_ps(_mm512_max_epi32(normal, subnormal));
    }
    static void store_half(std::uint16_t* p, F x)
    {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                            _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    static F zero_below(F x, F limit, F y)
    {
        return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ), y, _mm512_setzero_ps());
    }
    static F select_below(F x, F limit, F below, F other)
    {
        return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ), other, below);
    }
    static F keep_between(F x, int begin, int end, F other)
    {
        return _mm512_mask_blend_ps(static_cast<__mmask16>(first_lanes(end) & ~first_lanes(begin)), other, x);
    }
    // y * 2^n, where the low bits of t hold n.
    static F scale_by_power(F y, F t)
    {
        return _mm512_castsi512_ps(
            _mm512_add_epi32(_mm512_castps_si512(y), _mm512_slli_epi32(_mm512_castps_si512(t), 23)));
    }
    static void store_low(std::int8_t* p, F x)
    {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_castps_si512(x)));
    }
    static void store_low(std::int16_t* p, F x)
    {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_castps_si512(x)));
    }
    static float reduce_add(F x)
    {
        return sum_of(_mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1)));
    }
    static float reduce_max(F x)
    {
        return largest_of(_mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1)));
    }

    static I zero_int() { return _mm512_setzero_si512(); }
    static I load_int(const std::int32_t* p) { return _mm512_loadu_si512(p); }
    static void store_int(std::int32_t* p, I x) { _mm512_storeu_si512(p, x); }
    static I load_u8(const std::uint8_t* p)
    {
        return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static I load_s8(const std::int8_t* p)
    {
        return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    // low + 256 * high
    static I join_planes(I low, I high) { return _mm512_add_epi32(low, _mm512_slli_epi32(high, 8)); }
    // 32 bytes as int16, two to a lane.
    static I load_pairs(const std::int8_t* p)
    {
        return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static I join16(I low, I high) { return _mm512_or_si512(low, _mm512_slli_epi32(high, 16)); }
    static I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
    static I mul_int(I a, I b) { return _mm512_mullo_epi32(a, b); }
    static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
    static I dot_pair(I acc, I pairs, std::int32_t a)
    {
        return _mm512_dpwssd_epi32(acc, pairs, _mm512_set1_epi32(a));
    }

    static B load_bytes(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
    static void store_bytes(std::uint8_t* p, B x) { _mm512_storeu_si512(p, x); }
    static B low4(B x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
    static B high4(B x) { return low4(_mm512_srli_epi16(x, 4)); }
    // The byte that each nibble stands for.
    static B look_up(const std::uint8_t* table, B nibbles)
    {
        const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(table));
        return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), nibbles);
    }
    static B flip_sign(B x) { return _mm512_xor_si512(x, _mm512_set1_epi8(-128)); }
    // Bit kQuad of each byte of `bits` as bit 4.
    template <int kQuad>
    static B or_bit4(B low, B bits)
    {
        const B moved = kQuad <= 4 ? _mm512_slli_epi16(bits, kQuad <= 4 ? 4 - kQuad : 0)
                                   : _mm512_srli_epi16(bits, kQuad > 4 ? kQuad - 4 : 0);
        return _mm512_or_si512(low, _mm512_and_si512(moved, _mm512_set1_epi8(16)));
    }
    // Bits 2 kQuad and 2 kQuad + 1 of each byte of `bits` as bits 4 and 5.
    template <int kQuad>
    static B or_bits45(B low, B bits)
    {
        const B moved =
            kQuad <= 2 ? _mm512_slli_epi16(bits, kQuad <= 2 ? 4 - 2 * kQuad : 0) : _mm512_srli_epi16(bits, 2);
        return _mm512_or_si512(low, _mm512_and_si512(moved, _mm512_set1_epi8(48)));
    }
    static B subtract(B x, int y) { return _mm512_sub_epi8(x, _mm512_set1_epi8(static_cast<char>(y))); }
    // Products of signed bytes with their lane's scale, which fit 16 bits: the low bytes, and the high ones.
    static void store_products(std::uint8_t* low, std::uint8_t* high, B x, I scale)
    {
        constexpr __mmask64 kOdd = 0xaaaaaaaaaaaaaaaa;
        const I twice = _mm512_or_si512(_mm512_srli_epi32(_mm512_slli_epi32(scale, 16), 16),
                                        _mm512_slli_epi32(scale, 16));
        const I even = _mm512_mullo_epi16(_mm512_srai_epi16(_mm512_slli_epi16(x, 8), 8), twice);
        const I odd = _mm512_mullo_epi16(_mm512_srai_epi16(x, 8), twice);
        store_bytes(low, _mm512_mask_blend_epi8(kOdd, even, _mm512_slli_epi16(odd, 8)));
        store_bytes(high, _mm512_mask_blend_epi8(kOdd, _mm512_srli_epi16(even, 8), odd));
    }
    static void unpack_6bit(const std::uint8_t* p, std::uint8_t* scales, std::uint8_t* minima)
    {
        const B first = load_bytes(p);
        const B second = load_bytes(p + 64);
        const B third = load_bytes(p + 128);
        const B six = _mm512_set1_epi8(63);
        const B top = _mm512_set1_epi8(48);
        store_bytes(scales, _mm512_and_si512(first, six));
        store_bytes(minima, _mm512_and_si512(second, six));
        store_bytes(scales + 64,
                    _mm512_or_si512(low4(third), _mm512_and_si512(_mm512_srli_epi16(first, 2), top)));
        store_bytes(minima + 64,
                    _mm512_or_si512(high4(third), _mm512_and_si512(_mm512_srli_epi16(second, 2), top)));
    }

    // Sums that fit 16 bits are multiplied by their scale and added in one instruction, others in three. They
    // fit with weights up to 15 and four quads (4 * 4 * 15 * 127 = 30480), and with weights up to 63 and a
    // bias that makes them -32 to 31, and two quads (2 * 4 * 32 * 127 = 32512).
    template <int kMaxWeight>
    struct Sub {
        static constexpr int kScaledQuads = kMaxWeight == 15 ? 4 : kMaxWeight == 63 ? 2 : 8;
        I total;
        void start(std::int32_t bias) { total = _mm512_set1_epi32(bias); }
        void dot(B weights, std::int32_t a)
        {
            total = _mm512_dpbusd_epi32(total, weights, _mm512_set1_epi32(a));
        }
        I finish() const { return total; }
        static I multiplier(I scale)
        {
            return kScaledQuads == 8 ? scale : _mm512_and_si512(scale, _mm512_set1_epi32(0xffff));
        }
        I add_scaled(I to, I multiplier) const
        {
            return kScaledQuads == 8 ? add_int(to, mul_int(total, multiplier))
                                     : _mm512_dpwssd_epi32(to, total, multiplier);
        }
    };

private:
    static unsigned first_lanes(int count)
    {
        return count <= 0 ? 0u : count >= 16 ? 0xffffu : (1u << count) - 1u;
    }
};

}  // namespace
}  // namespace jiphyeon

#define JIPHYEON_UNROLL(n) _Pragma("GCC unroll 12")
#include "kernels_body.hpp"

// The kernels of processors with AMX are these and products by its tiles.
using Tiles = jiphyeon::AmxTiles;
#include "kernels_tiles.hpp"

namespace jiphyeon {
constinit const Kernels kKernelsAvx512 = make_kernels(Isa::avx512);
constinit const Kernels kKernelsAmx = with_tiles(make_kernels(Isa::amx));
}  // namespace jiphyeon
