// Weights as a file stores them: blocks of one row. Sizes are in tensor_type_info().
//
// d, m, dmin and s are halves of a scale each, q the stored integer of an element, T a table below.
//     F32, F16, BF16   one element; BF16 is the upper half of a float
//     Q4_0             d, 16 bytes of nibbles (the low one of byte j is element j, the high one j + 16)
//                      d * (q - 8)
//     Q4_1             d, m, 16 bytes as above                                                 d * q + m
//     Q5_0             d, 4 bytes of fifth bits (bit j of element j), 16 bytes as above       d * (q - 16)
//     Q5_1             d, m, 4 bytes, 16 bytes as in Q5_0                                      d * q + m
//     Q8_0             d, 32 signed bytes                                                      d * q
//     IQ4_NL           d, 16 bytes of nibbles as in Q4_0                                       d * T[q]
//     MXFP4            1 byte e, 16 bytes of nibbles as in Q4_0                2^(e - 128) * doubled FP4
//     Q4_K             d, dmin, 12 bytes of packed scales s and minima m (6 bits) of 8 sub-blocks of 32, 4
//                      times 32 bytes of nibbles, low ones of sub-block 2k, high ones of 2k + 1
//                      (d * s) * q - dmin * m
//     Q5_K             d, dmin, 12 bytes, 32 bytes of fifth bits (bit j of byte l for element l of sub-block
//                      j), nibbles as in Q4_K                                  (d * s) * q - dmin * m
//     Q6_K             128 bytes of low nibbles, 64 of upper bits, 16 signed scales, d
//                      (d * s) * (q - 32)
//     IQ4_XS           d, 8 x 2 upper bits and 8 x 4 lower bits of scales, nibbles of 8 sub-blocks, each as
//                      in Q4_0                                                 (d * (s - 32)) * T[q]
#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf.hpp"

namespace jiphyeon {

// What the nibbles of IQ4_NL and IQ4_XS stand for, and those of MXFP4, doubled to be integers.
inline constexpr std::int8_t kNonLinear4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                1,    13,   25,  38,  53,  69,  89,  113};
inline constexpr std::int8_t kDoubledFp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

float half_to_float(std::uint16_t half);
std::uint16_t float_to_half(float x);  // nearest, ties to even

// Scale and minimum of sub-block j from the 12 bytes of Q4_K and Q5_K.
struct SubScale {
    int scale = 0;
    int minimum = 0;
};
SubScale sub_scale_k(const std::uint8_t* bytes, std::size_t j);
void put_sub_scale_k(SubScale sub, std::size_t j, std::uint8_t* bytes);  // of zeros, in any order

// The 256 six-bit values of a Q6_K block in the order of the elements, 0 … 63.
void unpack_q6_k(const std::uint8_t* block, std::uint8_t* out);
// Puts them back: writes the first 192 bytes of a block.
void pack_q6_k(const std::uint8_t* values, std::uint8_t* block);

// n elements of whole blocks, by the formulas of the formats.
void dequantize(TensorType type, const std::uint8_t* data, std::size_t n, float* out);

}  // namespace jiphyeon
