#include "blocks.hpp"

#include <bit>
#include <cstring>

namespace jiphyeon {
namespace {

float load_half(const std::uint8_t* p)
{
    std::uint16_t half;
    std::memcpy(&half, p, sizeof half);
    return half_to_float(half);
}

void dequantize_f32(const std::uint8_t* p, float* out)
{
    std::memcpy(out, p, 4);
}

void dequantize_f16(const std::uint8_t* p, float* out)
{
    *out = load_half(p);
}

void dequantize_bf16(const std::uint8_t* p, float* out)
{
    std::uint16_t upper;
    std::memcpy(&upper, p, sizeof upper);
    *out = std::bit_cast<float>(std::uint32_t{upper} << 16);
}

// The 32 integers of nibbles as Q4_0 has them, with fifth bits or without.
void unpack_nibbles(const std::uint8_t* nibbles, std::uint32_t fifth, int* out)
{
    for (unsigned j = 0; j < 16; ++j) {
        out[j] = (nibbles[j] & 15) | static_cast<int>((fifth >> j & 1u) << 4);
        out[j + 16] = (nibbles[j] >> 4) | static_cast<int>((fifth >> (j + 16) & 1u) << 4);
    }
}

// Q4_0, Q4_1, Q5_0 and Q5_1.
template <bool kMinimum, bool kFifth>
void dequantize_linear(const std::uint8_t* p, float* out)
{
    const float d = load_half(p);
    p += 2;
    const float minimum = kMinimum ? load_half(p) : 0.0f;
    p += kMinimum ? 2 : 0;
    std::uint32_t fifth = 0;
    if (kFifth) std::memcpy(&fifth, p, 4);
    p += kFifth ? 4 : 0;
    int q[32];
    unpack_nibbles(p, fifth, q);
    constexpr int kMiddle = kFifth ? 16 : 8;
    for (int i = 0; i < 32; ++i) {
        out[i] = kMinimum ? d * static_cast<float>(q[i]) + minimum : d * static_cast<float>(q[i] - kMiddle);
    }
}

void dequantize_q8_0(const std::uint8_t* p, float* out)
{
    const float d = load_half(p);
    for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(static_cast<std::int8_t>(p[2 + j]));
}

void dequantize_table(const std::uint8_t* nibbles, float d, const std::int8_t (&table)[16], float* out)
{
    int q[32];
    unpack_nibbles(nibbles, 0, q);
    for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(table[q[i]]);
}

void dequantize_iq4_nl(const std::uint8_t* p, float* out)
{
    dequantize_table(p + 2, load_half(p), kNonLinear4, out);
}

void dequantize_mxfp4(const std::uint8_t* p, float* out)
{
    const std::uint32_t e = *p;
    const float d = std::bit_cast<float>(e < 2 ? 0x200000u << e : (e - 1) << 23);  // 2^(e - 128)
    dequantize_table(p + 1, d, kDoubledFp4, out);
}

template <bool kFifth>
void dequantize_k(const std::uint8_t* p, float* out)
{
    const float d = load_half(p);
    const float dmin = load_half(p + 2);
    const std::uint8_t* const fifth = p + 16;
    const std::uint8_t* const nibbles = p + (kFifth ? 48 : 16);
    for (std::size_t j = 0; j < 8; ++j) {
        const SubScale sub = sub_scale_k(p + 4, j);
        const float step = d * static_cast<float>(sub.scale);
        const float shift = dmin * static_cast<float>(sub.minimum);
        for (std::size_t l = 0; l < 32; ++l) {
            const int byte = nibbles[j / 2 * 32 + l];
            int q = j % 2 == 0 ? byte & 15 : byte >> 4;
            if (kFifth) q |= (fifth[l] >> j & 1) << 4;
            out[32 * j + l] = step * static_cast<float>(q) - shift;
        }
    }
}

void dequantize_q6_k(const std::uint8_t* p, float* out)
{
    const float d = load_half(p + 208);
    std::uint8_t values[256];
    unpack_q6_k(p, values);
    for (int i = 0; i < 256; ++i) {
        const float step = d * static_cast<float>(static_cast<std::int8_t>(p[192 + i / 16]));
        out[i] = step * static_cast<float>(values[i] - 32);
    }
}

void dequantize_iq4_xs(const std::uint8_t* p, float* out)
{
    const float d = load_half(p);
    for (std::size_t j = 0; j < 8; ++j) {
        const int upper = p[2 + j / 4] >> (j % 4 * 2) & 3;
        const int lower = p[4 + j / 2] >> (j % 2 * 4) & 15;
        const float step = d * static_cast<float>((upper << 4 | lower) - 32);
        dequantize_table(p + 8 + 16 * j, step, kNonLinear4, out + 32 * j);
    }
}

using DequantizeBlock = void (*)(const std::uint8_t* block, float* out);

DequantizeBlock dequantize_block(TensorType type)
{
    switch (type) {
        case TensorType::f32:
            return dequantize_f32;
        case TensorType::f16:
            return dequantize_f16;
        case TensorType::bf16:
            return dequantize_bf16;
        case TensorType::q4_0:
            return dequantize_linear<false, false>;
        case TensorType::q4_1:
            return dequantize_linear<true, false>;
        case TensorType::q5_0:
            return dequantize_linear<false, true>;
        case TensorType::q5_1:
            return dequantize_linear<true, true>;
        case TensorType::q8_0:
            return dequantize_q8_0;
        case TensorType::iq4_nl:
            return dequantize_iq4_nl;
        case TensorType::mxfp4:
            return dequantize_mxfp4;
        case TensorType::q4_k:
            return dequantize_k<false>;
        case TensorType::q5_k:
            return dequantize_k<true>;
        case TensorType::iq4_xs:
            return dequantize_iq4_xs;
        case TensorType::q6_k:
            break;
    }
    return dequantize_q6_k;
}

}  // namespace

float half_to_float(std::uint16_t half)
{
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    const std::uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) {
        return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    }
    if (magnitude >= 0x400u) return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
    const float subnormal = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(subnormal));
}

std::uint16_t float_to_half(float x)
{
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
    if (magnitude >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
    if (magnitude < 0x38800000u) {
        // Adding 0.5 puts the last bit of a subnormal half at the last bit of the sum.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
    }
    const std::uint32_t odd = magnitude >> 13 & 1u;
    return static_cast<std::uint16_t>(sign | (magnitude - (112u << 23) + 0xfffu + odd) >> 13);
}

SubScale sub_scale_k(const std::uint8_t* b, std::size_t j)
{
    if (j < 4) return {b[j] & 63, b[j + 4] & 63};
    return {(b[j + 4] & 15) | ((b[j - 4] >> 6) << 4), (b[j + 4] >> 4) | ((b[j] >> 6) << 4)};
}

void put_sub_scale_k(SubScale sub, std::size_t j, std::uint8_t* b)
{
    const auto put = [b](std::size_t at, int bits) { b[at] = static_cast<std::uint8_t>(b[at] | bits); };
    if (j < 4) {
        put(j, sub.scale);
        put(j + 4, sub.minimum);
    } else {
        put(j + 4, (sub.scale & 15) | (sub.minimum & 15) << 4);
        put(j - 4, sub.scale >> 4 << 6);
        put(j, sub.minimum >> 4 << 6);
    }
}

void unpack_q6_k(const std::uint8_t* block, std::uint8_t* out)
{
    for (int half = 0; half < 2; ++half, out += 128) {
        const std::uint8_t* const low = block + 64 * half;
        const std::uint8_t* const high = block + 128 + 32 * half;
        for (int l = 0; l < 32; ++l) {
            out[l] = static_cast<std::uint8_t>((low[l] & 15) | (high[l] & 3) << 4);
            out[l + 32] = static_cast<std::uint8_t>((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4);
            out[l + 64] = static_cast<std::uint8_t>(low[l] >> 4 | (high[l] >> 4 & 3) << 4);
            out[l + 96] = static_cast<std::uint8_t>(low[l + 32] >> 4 | high[l] >> 6 << 4);
        }
    }
}

void pack_q6_k(const std::uint8_t* values, std::uint8_t* block)
{
    for (std::size_t half = 0; half < 2; ++half, values += 128) {
        for (std::size_t l = 0; l < 32; ++l) {
            const std::uint8_t v[4] = {values[l], values[l + 32], values[l + 64], values[l + 96]};
            std::uint8_t* const low = block + 64 * half + l;
            low[0] = static_cast<std::uint8_t>((v[0] & 15) | (v[2] & 15) << 4);
            low[32] = static_cast<std::uint8_t>((v[1] & 15) | (v[3] & 15) << 4);
            block[128 + 32 * half + l] =
                static_cast<std::uint8_t>(v[0] >> 4 | v[1] >> 4 << 2 | v[2] >> 4 << 4 | v[3] >> 4 << 6);
        }
    }
}

void dequantize(TensorType type, const std::uint8_t* data, std::size_t n, float* out)
{
    const TensorTypeInfo& info = *tensor_type_info(static_cast<std::uint32_t>(type));
    const DequantizeBlock block = dequantize_block(type);
    for (std::size_t i = 0; i < n; i += info.block_elements, data += info.block_bytes) block(data, out + i);
}

}  // namespace jiphyeon
