#include "quantize.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "blocks.hpp"

namespace jiphyeon {
namespace {

// For magnitudes below 2^22: adding 1.5 * 2^23 leaves no bits for a fraction.
int nearest(float x)
{
    constexpr float kRounder = 12582912.0f;
    return static_cast<int>((x + kRounder) - kRounder);
}

// 0 for what is too small to be divided by; its half is 0 as well.
float inverse_of(float scale)
{
    return std::abs(scale) > 1e-30f ? 1.0f / scale : 0.0f;
}

float store_half(float x, std::uint8_t* out)
{
    const std::uint16_t half = float_to_half(x);
    std::memcpy(out, &half, sizeof half);
    return half_to_float(half);
}

// The next half that is no smaller in magnitude: what scales are measured in must reach the largest of them,
// also where halves are few.
float store_half_above(float x, std::uint8_t* out)
{
    std::uint16_t half = float_to_half(x);
    if (std::abs(half_to_float(half)) < std::abs(x)) ++half;
    std::memcpy(out, &half, sizeof half);
    return half_to_float(half);
}

// The value of largest magnitude, with its sign.
float extreme_of(const float* x, std::size_t n)
{
    float extreme = 0;
    for (std::size_t i = 0; i < n; ++i) {
        if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
    }
    return extreme;
}

void weigh(const float* x, std::size_t n, float* weights)
{
    float squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += x[i] * x[i];
    const float typical = std::sqrt(squares / static_cast<float>(n));
    for (std::size_t i = 0; i < n; ++i) weights[i] = typical + std::abs(x[i]);
}

void quantize_f16(const float* x, std::uint8_t* out)
{
    store_half(*x, out);
}

void quantize_bf16(const float* x, std::uint8_t* out)
{
    const auto bits = std::bit_cast<std::uint32_t>(*x);
    const auto upper = static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    std::memcpy(out, &upper, sizeof upper);
}

void pack_nibbles(const int* q, std::uint8_t* out)
{
    for (int j = 0; j < 16; ++j) out[j] = static_cast<std::uint8_t>((q[j] & 15) | (q[j + 16] & 15) << 4);
}

void pack_fifth_bits(const int* q, std::uint8_t* out)
{
    std::uint32_t bits = 0;
    for (int j = 0; j < 32; ++j) bits |= static_cast<std::uint32_t>(q[j] >> 4) << j;
    std::memcpy(out, &bits, sizeof bits);
}

// Q4_0, Q4_1, Q5_0 and Q5_1.
template <bool kMinimum, bool kFifth>
void quantize_linear(const float* x, std::uint8_t* out)
{
    constexpr int kLevels = kFifth ? 31 : 15;
    constexpr int kMiddle = kFifth ? 16 : 8;
    const auto [low, high] = std::minmax_element(x, x + 32);
    const float d = kMinimum ? (*high - *low) / kLevels : extreme_of(x, 32) / static_cast<float>(-kMiddle);
    const float inverse = inverse_of(d);
    int q[32];
    for (int i = 0; i < 32; ++i) {
        const float level =
            kMinimum ? (x[i] - *low) * inverse + 0.5f : x[i] * inverse + (static_cast<float>(kMiddle) + 0.5f);
        q[i] = std::min(static_cast<int>(level), kLevels);
    }
    store_half(d, out);
    out += 2;
    if (kMinimum) {
        store_half(*low, out);
        out += 2;
    }
    if (kFifth) {
        pack_fifth_bits(q, out);
        out += 4;
    }
    pack_nibbles(q, out);
}

void quantize_q8_0(const float* x, std::uint8_t* out)
{
    const float d = std::abs(extreme_of(x, 32)) / 127.0f;
    const float inverse = inverse_of(d);
    store_half(d, out);
    for (int i = 0; i < 32; ++i) {
        const float level = std::abs(x[i] * inverse);  // ties go away from zero
        const int whole = static_cast<int>(level);
        const int rounded = whole + static_cast<int>(2 * (level - static_cast<float>(whole)));
        out[2 + i] = static_cast<std::uint8_t>(x[i] * inverse < 0 ? -rounded : rounded);
    }
}

// The nibble of IQ4_NL whose entry is nearest to an integer, from -128 on.
constexpr auto kNearestNonLinear = [] {
    const auto distance = [](int a, int b) { return a < b ? b - a : a - b; };
    std::array<std::uint8_t, 256> table{};
    for (int value = -128; value < 128; ++value) {
        int best = 0;
        for (int i = 1; i < 16; ++i) {
            if (distance(kNonLinear4[i], value) < distance(kNonLinear4[best], value)) best = i;
        }
        table[static_cast<std::size_t>(value + 128)] = static_cast<std::uint8_t>(best);
    }
    return table;
}();

int nearest_non_linear(float x)
{
    return kNearestNonLinear[static_cast<std::size_t>(std::clamp(nearest(x), -128, 127) + 128)];
}

void quantize_iq4_nl(const float* x, std::uint8_t* out)
{
    const float extreme = extreme_of(x, 32);
    float weights[32];
    weigh(x, 32, weights);
    float d = 0;
    float best = 0;  // how much of the weighted square of x is explained
    for (const int end : {-127, 113}) {
        for (int shift = -6; shift <= 6; ++shift) {
            const float inverse = static_cast<float>(end + shift) * inverse_of(extreme);
            float xt = 0;
            float tt = 0;
            for (int i = 0; i < 32; ++i) {
                const float t = kNonLinear4[nearest_non_linear(x[i] * inverse)];
                xt += weights[i] * x[i] * t;
                tt += weights[i] * t * t;
            }
            if (xt * xt > best * tt) {
                best = xt * xt / tt;
                d = xt / tt;
            }
        }
    }
    const float inverse = inverse_of(store_half(d, out));
    int q[32];
    for (int i = 0; i < 32; ++i) q[i] = nearest_non_linear(x[i] * inverse);
    pack_nibbles(q, out + 2);
}

// Sums over a sub-block, in eight lanes so that the compiler can keep them in vectors.
struct LaneSum {
    float lanes[8] = {};
    float total() const
    {
        return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
               ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
    }
};

// x is about scale * q - minimum for q from 0 to `levels`; both are at least 0.
struct Line {
    float scale = 0;
    float minimum = 0;
};

Line fit_line(const float* x, const float* weights, int levels)
{
    const auto [lowest, highest] = std::minmax_element(x, x + 32);
    const float low = std::min(*lowest, 0.0f);  // a minimum cannot lift values
    const float range = *highest - low;
    Line best{0, -low};
    if (!(range > 1e-30f)) return best;
    LaneSum w1, wx;
    for (int i = 0; i < 32; ++i) {
        w1.lanes[i % 8] += weights[i];
        wx.lanes[i % 8] += weights[i] * x[i];
    }
    const float w = w1.total();
    const float sum_x = wx.total();
    float least = std::numeric_limits<float>::infinity();
    // Ends of the range that fall a little beyond the ends of the levels, or short of them.
    for (int step = -10; step <= 10; ++step) {
        const float inverse = (static_cast<float>(levels) + 0.1f * static_cast<float>(step)) / range;
        float q[32];
        LaneSum wq, wqq, wqx;
        for (int g = 0; g < 32; g += 8) {
            for (int l = 0; l < 8; ++l) {
                constexpr float kRounder = 12582912.0f;
                const float level = (inverse * (x[g + l] - low) + kRounder) - kRounder;
                const float v = std::min(level, static_cast<float>(levels));
                q[g + l] = v;
                wq.lanes[l] += weights[g + l] * v;
                wqq.lanes[l] += weights[g + l] * v * v;
                wqx.lanes[l] += weights[g + l] * v * x[g + l];
            }
        }
        const float sum_q = wq.total();
        const float sum_qq = wqq.total();
        const float sum_qx = wqx.total();
        if (!(sum_qq > 0)) continue;
        Line line{sum_qx / sum_qq, 0};
        // Nearly 0 where all values fall on one level.
        const float determinant = w * sum_qq - sum_q * sum_q;
        if (determinant > 1e-5f * w * sum_qq) {
            const float offset = (sum_qq * sum_x - sum_q * sum_qx) / determinant;
            if (offset < 0) line = {(w * sum_qx - sum_x * sum_q) / determinant, -offset};
        }
        if (!(line.scale > 0)) continue;
        LaneSum errors;
        for (int g = 0; g < 32; g += 8) {
            for (int l = 0; l < 8; ++l) {
                const float e = line.scale * q[g + l] - line.minimum - x[g + l];
                errors.lanes[l] += weights[g + l] * e * e;
            }
        }
        if (const float error = errors.total(); error < least) {
            least = error;
            best = line;
        }
    }
    return best;
}

// Q4_K and Q5_K.
template <bool kFifth>
void quantize_k(const float* x, std::uint8_t* out)
{
    constexpr int kLevels = kFifth ? 31 : 15;
    Line lines[8];
    float largest_scale = 0;
    float largest_minimum = 0;
    for (std::size_t j = 0; j < 8; ++j) {
        float weights[32];
        weigh(x + 32 * j, 32, weights);
        lines[j] = fit_line(x + 32 * j, weights, kLevels);
        largest_scale = std::max(largest_scale, lines[j].scale);
        largest_minimum = std::max(largest_minimum, lines[j].minimum);
    }
    const float d = store_half_above(largest_scale / 63.0f, out);
    const float dmin = store_half_above(largest_minimum / 63.0f, out + 2);
    std::uint8_t* const scales = out + 4;
    std::uint8_t* const fifth = out + 16;
    std::uint8_t* const nibbles = out + (kFifth ? 48 : 16);
    std::memset(scales, 0, static_cast<std::size_t>(nibbles - scales) + 128);
    for (std::size_t j = 0; j < 8; ++j, x += 32) {
        const int scale = nearest(lines[j].scale * inverse_of(d));
        const int minimum = nearest(lines[j].minimum * inverse_of(dmin));
        put_sub_scale_k({scale, minimum}, j, scales);
        const float inverse = inverse_of(d * static_cast<float>(scale));
        const float shift = dmin * static_cast<float>(minimum);
        for (std::size_t l = 0; l < 32; ++l) {
            const int q = std::clamp(nearest((x[l] + shift) * inverse), 0, kLevels);
            std::uint8_t& byte = nibbles[j / 2 * 32 + l];
            byte = static_cast<std::uint8_t>(byte | (q & 15) << (j % 2 * 4));
            if (kFifth) fifth[l] = static_cast<std::uint8_t>(fifth[l] | (q >> 4) << j);
        }
    }
}

// x is about scale * q for q from -32 to 31.
float fit_scale_6(const float* x, const float* weights)
{
    const float extreme = extreme_of(x, 16);
    float scale = 0;
    float best = 0;
    for (int step = -9; step <= 9; ++step) {
        const float inverse = (-32.0f + 0.1f * static_cast<float>(step)) * inverse_of(extreme);
        float xq = 0;
        float qq = 0;
        for (int i = 0; i < 16; ++i) {
            const auto q = static_cast<float>(std::clamp(nearest(x[i] * inverse), -32, 31));
            xq += weights[i] * x[i] * q;
            qq += weights[i] * q * q;
        }
        if (xq * xq > best * qq) {
            best = xq * xq / qq;
            scale = xq / qq;
        }
    }
    return scale;
}

void quantize_q6_k(const float* x, std::uint8_t* out)
{
    float scales[16];
    for (std::size_t j = 0; j < 16; ++j) {
        float weights[16];
        weigh(x + 16 * j, 16, weights);
        scales[j] = fit_scale_6(x + 16 * j, weights);
    }
    const float d = store_half_above(extreme_of(scales, 16) / -128.0f, out + 208);
    std::uint8_t values[256];
    for (std::size_t j = 0; j < 16; ++j) {
        const int scale = std::clamp(nearest(scales[j] * inverse_of(d)), -128, 127);
        out[192 + j] = static_cast<std::uint8_t>(scale);
        const float inverse = inverse_of(d * static_cast<float>(scale));
        for (std::size_t i = 16 * j; i < 16 * j + 16; ++i) {
            values[i] = static_cast<std::uint8_t>(std::clamp(nearest(x[i] * inverse), -32, 31) + 32);
        }
    }
    pack_q6_k(values, out);
}

using QuantizeBlock = void (*)(const float* x, std::uint8_t* out);

// nullptr where there is none.
QuantizeBlock quantize_block(TensorType type)
{
    switch (type) {
        case TensorType::f16:
            return quantize_f16;
        case TensorType::bf16:
            return quantize_bf16;
        case TensorType::q4_0:
            return quantize_linear<false, false>;
        case TensorType::q4_1:
            return quantize_linear<true, false>;
        case TensorType::q5_0:
            return quantize_linear<false, true>;
        case TensorType::q5_1:
            return quantize_linear<true, true>;
        case TensorType::q8_0:
            return quantize_q8_0;
        case TensorType::iq4_nl:
            return quantize_iq4_nl;
        case TensorType::q4_k:
            return quantize_k<false>;
        case TensorType::q5_k:
            return quantize_k<true>;
        case TensorType::q6_k:
            return quantize_q6_k;
        case TensorType::f32:
        case TensorType::iq4_xs:
        case TensorType::mxfp4:
            break;
    }
    return nullptr;
}

}  // namespace

float largest_weight(TensorType type)
{
    if (type == TensorType::f32) return std::numeric_limits<float>::max();
    if (type == TensorType::bf16) return 0x1.fep127f;
    return 65504.0f;  // the largest half
}

void quantize(TensorType type, const float* x, std::size_t n, std::uint8_t* out)
{
    const TensorTypeInfo& info = *tensor_type_info(static_cast<std::uint32_t>(type));
    const QuantizeBlock block = quantize_block(type);
    assert(block != nullptr);
    for (std::size_t i = 0; i < n; i += info.block_elements, out += info.block_bytes) block(x + i, out);
}

}  // namespace jiphyeon
