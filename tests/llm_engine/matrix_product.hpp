// The product of a matrix with the tokens of one step.
#pragma once

#include <cstddef>
#include <vector>

#include "aligned.hpp"
#include "quants.hpp"

namespace jiphyeon::test {

// x: matrix.columns() numbers of each token. Of each token the result has matrix.padded_rows().
inline std::vector<float> product(const Matrix& matrix, const std::vector<float>& x, std::size_t tokens,
                                  const Kernels& kernels, unsigned threads)
{
    ThreadPool pool(threads);
    ProductSpace space(pool.threads());
    Activations activations;
    activations.shape(kernels, tokens, matrix.columns(), true, true, matrix.columns() % 256 == 0);
    activations.fill(kernels, pool, x.data(), matrix.columns());
    AlignedVector<float> out(tokens * matrix.padded_rows());
    const Product product{&matrix, out.data(), matrix.padded_rows()};
    multiply(pool, kernels, space, activations, {&product, 1});
    return {out.begin(), out.end()};
}

}  // namespace jiphyeon::test
