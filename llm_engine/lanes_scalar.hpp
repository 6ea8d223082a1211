// The vectors of 16 lanes in plain C++ (kernels_body.hpp says what for).
#pragma once

#include <cstdint>

namespace jiphyeon {
namespace {

std::uint32_t bits_of(float x)
{
    return __builtin_bit_cast(std::uint32_t, x);
}
float float_of(std::uint32_t bits)
{
    return __builtin_bit_cast(float, bits);
}

float from_half(std::uint16_t half)
{
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    const std::uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) {  // infinity, or a number that is none, made quiet
        const std::uint32_t quiet = magnitude > 0x7c00u ? 0x400000u : 0u;
        return float_of(sign | 0x7f800000u | quiet | ((magnitude & 0x3ffu) << 13));
    }
    if (magnitude >= 0x400u) return float_of(sign | ((magnitude << 13) + (112u << 23)));
    const float subnormal = static_cast<float>(magnitude) * 5.9604644775390625e-8f;  // 2^-24, exact
    return float_of(sign | bits_of(subnormal));
}

// Nearest, ties to even.
std::uint16_t to_half_one(float x)
{
    const std::uint32_t bits = bits_of(x);
    const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
    if (magnitude < 0x38800000u) {
        // Adding 0.5 puts the last bit of a subnormal half at the last bit of the sum.
        const std::uint32_t shifted = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
        return static_cast<std::uint16_t>(sign | shifted);
    }
    const std::uint32_t odd = (magnitude >> 13) & 1u;
    return static_cast<std::uint16_t>(sign | ((magnitude - (112u << 23) + 0xfffu + odd) >> 13));
}

struct Lanes {
    struct F {
        float v[16];
    };
    struct I {
        std::int32_t v[16];
    };
    struct B {
        std::uint8_t v[64];
    };
    static constexpr bool kSigned8 = true;

    template <typename Op>
    static F each(Op op)
    {
        F out;
        for (int i = 0; i < 16; ++i) out.v[i] = op(i);
        return out;
    }
    template <typename Op>
    static I each_int(Op op)
    {
        I out;
        for (int i = 0; i < 16; ++i) out.v[i] = op(i);
        return out;
    }
    template <typename Op>
    static B each_byte(Op op)
    {
        B out;
        for (int i = 0; i < 64; ++i) out.v[i] = static_cast<std::uint8_t>(op(i));
        return out;
    }

    static F load(const float* p)
    {
        return each([&](int i) { return p[i]; });
    }
    static void store(float* p, const F& x)
    {
        for (int i = 0; i < 16; ++i) p[i] = x.v[i];
    }
    static void store_past_caches(float* p, const F& x) { store(p, x); }
    static F set1(float x)
    {
        return each([&](int) { return x; });
    }
    static F zero() { return set1(0.0f); }
    static F add(const F& a, const F& b)
    {
        return each([&](int i) { return a.v[i] + b.v[i]; });
    }
    static F sub(const F& a, const F& b)
    {
        return each([&](int i) { return a.v[i] - b.v[i]; });
    }
    static F mul(const F& a, const F& b)
    {
        return each([&](int i) { return a.v[i] * b.v[i]; });
    }
    static F div(const F& a, const F& b)
    {
        return each([&](int i) { return a.v[i] / b.v[i]; });
    }
    static F sqrt(const F& a)
    {
        return each([&](int i) { return __builtin_sqrtf(a.v[i]); });
    }
    static F fma(const F& a, const F& b, const F& c)
    {
        return each([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
    }
    static F fnma(const F& a, const F& b, const F& c)
    {
        return each([&](int i) { return __builtin_fmaf(-a.v[i], b.v[i], c.v[i]); });
    }
    // As vmaxps and vminps: the second where they are equal or one is no number.
    static F max(const F& a, const F& b)
    {
        return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
    }
    static F min(const F& a, const F& b)
    {
        return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
    }
    static F abs(const F& a)
    {
        return each([&](int i) { return float_of(bits_of(a.v[i]) & 0x7fffffffu); });
    }
    static F load_half(const std::uint16_t* p)
    {
        return each([&](int i) { return from_half(p[i]); });
    }
    static F load_bfloat(const std::uint16_t* p)
    {
        return each([&](int i) { return float_of(static_cast<std::uint32_t>(p[i]) << 16); });
    }
    // 2^(e - 128) of 16 bytes e. Powers below 2^-126 are subnormal: there the second is the larger.
    static F load_powers(const std::uint8_t* p)
    {
        return each([&](int i) {
            const std::int32_t normal = (p[i] - 1) * (1 << 23);
            const std::int32_t subnormal = (p[i] + 1) * (1 << 21);
            return float_of(static_cast<std::uint32_t>(normal > subnormal ? normal : subnormal));
        });
    }
    static void store_half(std::uint16_t* p, const F& x)
    {
        for (int i = 0; i < 16; ++i) p[i] = to_half_one(x.v[i]);
    }
    static F zero_below(const F& x, const F& limit, const F& y) { return select_below(x, limit, zero(), y); }
    static F select_below(const F& x, const F& limit, const F& below, const F& other)
    {
        return each([&](int i) { return x.v[i] < limit.v[i] ? below.v[i] : other.v[i]; });
    }
    static F keep_between(const F& x, int begin, int end, const F& other)
    {
        return each([&](int i) { return begin <= i && i < end ? x.v[i] : other.v[i]; });
    }
    // y * 2^n, where the low bits of t hold n.
    static F scale_by_power(const F& y, const F& t)
    {
        return each([&](int i) { return float_of(bits_of(y.v[i]) + (bits_of(t.v[i]) << 23)); });
    }
    static void store_low(std::int8_t* p, const F& x)
    {
        for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(bits_of(x.v[i]) & 0xffu);
    }
    static void store_low(std::int16_t* p, const F& x)
    {
        for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int16_t>(bits_of(x.v[i]) & 0xffffu);
    }
    // Of 32 bytes, each 8.
    static void sums_of_8(const std::int8_t* p, std::int64_t* sums)
    {
        for (int i = 0; i < 4; ++i) sums[i] = 0;
        for (int i = 0; i < 32; ++i) sums[i / 8] += p[i];
    }
    static float reduce_add(const F& x)
    {
        float v[8];
        for (int i = 0; i < 8; ++i) v[i] = x.v[i] + x.v[i + 8];
        for (int i = 0; i < 4; ++i) v[i] += v[i + 4];
        for (int i = 0; i < 2; ++i) v[i] += v[i + 2];
        return v[0] + v[1];
    }
    static float reduce_max(const F& x)
    {
        float largest = x.v[0];
        for (int i = 1; i < 16; ++i) largest = x.v[i] > largest ? x.v[i] : largest;
        return largest;
    }

    static I zero_int()
    {
        return each_int([](int) { return 0; });
    }
    static I load_int(const std::int32_t* p)
    {
        return each_int([&](int i) { return p[i]; });
    }
    static void store_int(std::int32_t* p, const I& x)
    {
        for (int i = 0; i < 16; ++i) p[i] = x.v[i];
    }
    static I load_u8(const std::uint8_t* p)
    {
        return each_int([&](int i) { return static_cast<std::int32_t>(p[i]); });
    }
    static I load_s8(const std::int8_t* p)
    {
        return each_int([&](int i) { return static_cast<std::int32_t>(p[i]); });
    }
    // 32 bytes as int16, two to a lane.
    static I load_pairs(const std::int8_t* p)
    {
        return each_int([&](int i) { return (p[2 * i] & 0xffff) | (p[2 * i + 1] * 0x10000); });
    }
    static I join16(const I& low, const I& high)
    {
        return each_int([&](int i) { return low.v[i] | (high.v[i] << 16); });
    }
    // low + 256 * high
    static I join_planes(const I& low, const I& high)
    {
        return each_int([&](int i) { return low.v[i] + 256 * high.v[i]; });
    }
    static I add_int(const I& a, const I& b)
    {
        return each_int([&](int i) { return a.v[i] + b.v[i]; });
    }
    static I mul_int(const I& a, const I& b)
    {
        return each_int([&](int i) { return a.v[i] * b.v[i]; });
    }
    static F to_float(const I& a)
    {
        return each([&](int i) { return static_cast<float>(a.v[i]); });
    }
    static I dot_pair(const I& acc, const I& pairs, std::int32_t a)
    {
        const std::int32_t low = static_cast<std::int16_t>(a & 0xffff);
        const std::int32_t high = a >> 16;
        return each_int([&](int i) {
            return acc.v[i] + static_cast<std::int16_t>(pairs.v[i] & 0xffff) * low +
                   (pairs.v[i] >> 16) * high;
        });
    }

    static B load_bytes(const std::uint8_t* p)
    {
        B out;
        __builtin_memcpy(out.v, p, 64);
        return out;
    }
    static void store_bytes(std::uint8_t* p, const B& x) { __builtin_memcpy(p, x.v, 64); }
    static B low4(const B& x)
    {
        return each_byte([&](int i) { return x.v[i] & 15; });
    }
    static B high4(const B& x)
    {
        return each_byte([&](int i) { return x.v[i] >> 4; });
    }
    // The byte that each nibble stands for.
    static B look_up(const std::uint8_t* table, const B& nibbles)
    {
        return each_byte([&](int i) { return table[nibbles.v[i]]; });
    }
    static B flip_sign(const B& x) { return x; }  // never needed: weights stay signed
    // Bit kQuad of each byte of `bits` as bit 4.
    template <int kQuad>
    static B or_bit4(const B& low, const B& bits)
    {
        return each_byte([&](int i) { return low.v[i] | (((bits.v[i] >> kQuad) & 1) << 4); });
    }
    // Bits 2 kQuad and 2 kQuad + 1 of each byte of `bits` as bits 4 and 5.
    template <int kQuad>
    static B or_bits45(const B& low, const B& bits)
    {
        return each_byte([&](int i) { return low.v[i] | (((bits.v[i] >> (2 * kQuad)) & 3) << 4); });
    }
    static B subtract(const B& x, int y)
    {
        return each_byte([&](int i) { return x.v[i] - y; });
    }
    // Products of signed bytes with their lane's scale, which fit 16 bits: the low bytes, and the high ones.
    static void store_products(std::uint8_t* low, std::uint8_t* high, const B& x, const I& scale)
    {
        for (int i = 0; i < 64; ++i) {
            const std::int32_t product = static_cast<std::int8_t>(x.v[i]) * scale.v[i / 4];
            low[i] = static_cast<std::uint8_t>(product);
            high[i] = static_cast<std::uint8_t>(product >> 8);
        }
    }
    static void unpack_6bit(const std::uint8_t* p, std::uint8_t* scales, std::uint8_t* minima)
    {
        for (int i = 0; i < 64; ++i) {
            scales[i] = p[i] & 63;
            minima[i] = p[64 + i] & 63;
            scales[64 + i] = static_cast<std::uint8_t>((p[128 + i] & 15) | ((p[i] >> 6) << 4));
            minima[64 + i] = static_cast<std::uint8_t>((p[128 + i] >> 4) | ((p[64 + i] >> 6) << 4));
        }
    }

    // The sums of up to 8 quads and of a bias; for add_scaled of up to kScaledQuads, with their scale made a
    // multiplier.
    template <int kMaxWeight>
    struct Sub {
        static constexpr int kScaledQuads = 8;
        I total;
        void start(std::int32_t bias)
        {
            for (std::int32_t& lane : total.v) lane = bias;
        }
        [[gnu::noinline]] void dot(const B& weights, std::int32_t a)
        {
            for (int i = 0; i < 16; ++i) {
                std::int32_t sum = 0;
                for (int k = 0; k < 4; ++k) {
                    const std::uint8_t w = weights.v[4 * i + k];
                    const std::int32_t weight = kMaxWeight > 127 ? static_cast<std::int8_t>(w) : w;
                    sum += weight * static_cast<std::int8_t>(a >> (8 * k));
                }
                total.v[i] += sum;
            }
        }
        const I& finish() const { return total; }
        static const I& multiplier(const I& scale) { return scale; }
        I add_scaled(const I& to, const I& multiplier) const
        {
            return add_int(to, mul_int(total, multiplier));
        }
    };
};

}  // namespace
}  // namespace jiphyeon
