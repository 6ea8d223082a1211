// Floats to the blocks of blocks.hpp. What quantize_model() of the public header does to each row.
//
//     F16, BF16           nearest, ties to even
//     Q4_0, Q5_0          the value of largest magnitude becomes the lowest integer, the others are rounded
//     Q4_1, Q5_1          smallest and largest value become the ends of the range
//     Q8_0                the largest magnitude becomes 127
//     IQ4_NL              the scale, out of some that put the largest magnitude near an end of the table,
//                         with the least weighted square error, improved by least squares
//     Q4_K, Q5_K, Q6_K    per sub-block likewise scale and minimum; then scales and minima are rounded to
//                         their own integers and the values once more to what these give
// A value's weight is its magnitude plus the root mean square of its block: large weights matter more.
// Root mean square error on normally distributed weights, relative to theirs: BF16 0.17 %, Q8_0 0.54 %, Q6_K
// 1.7 %, Q5_K 3.6 %, Q5_1 3.8 %, Q5_0 4.3 %, Q4_K 7.2 %, IQ4_NL 7.4 %, Q4_1 7.8 %, Q4_0 8.6 %; within 1 % of
// what llama.cpp's own quantiser reaches without statistics of activations, or better. IQ4_NL and the K types
// take about 40 ns per weight and thread, the others 4.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf.hpp"

namespace jiphyeon {

// The largest magnitude that a value may have.
float largest_weight(TensorType type);
// n: a multiple of the type's block. type: one that is named above.
void quantize(TensorType type, const float* x, std::size_t n, std::uint8_t* out);

}  // namespace jiphyeon
