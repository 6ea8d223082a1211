// Dot products for vector search, in the best form that this CPU has. FAISS of Debian is built for the oldest
// x86-64 and is given these instead.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jiphyeon {

// Rows of codes and floats are padded with zeros to a multiple of this many elements.
inline constexpr std::size_t kRowAlign = 64;
inline std::size_t padded(std::size_t dim)
{
    return (dim + kRowAlign - 1) / kRowAlign * kRowAlign;
}

struct Kernels {
    const char* name;
    // Exact. a_i and b_i within [-127, 127]; n: a multiple of kRowAlign; sum_b: sum of b.
    std::int32_t (*dot_codes)(const std::int8_t* a, const std::int8_t* b, std::size_t n, std::int32_t sum_b);
    // 32 partial sums, lane by lane, then added in one fixed order: the same bits from every form.
    float (*dot_floats)(const float* a, const float* b, std::size_t n);
};

extern const Kernels kScalarKernels;
const Kernels* avx2_kernels();    // nullptr where the CPU lacks it
const Kernels* avx512_kernels();  // with VNNI
const Kernels& best_kernels();

}  // namespace jiphyeon
