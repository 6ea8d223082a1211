// Low-rank adapters (LoRA, arXiv 2106.09685) in GGUF files, as llama.cpp's converter writes them: for a
// matrix W of the model the tensors W.lora_a [rank][columns] and W.lora_b [rows][rank]. The model then
// computes W x + s B (A x) with s = scale * alpha / rank; nothing is merged, so the model file stays the
// approved one.
//
// The sums are plain loops in one order, vectorised over outputs only, and the same code runs on every CPU;
// so results keep the promise of kernels.hpp. What they cost: 2 * rank * (rows + columns) operations a token
// and matrix, and 4 bytes for each number of the adapter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gguf.hpp"

namespace jiphyeon {

// What an adapter adds to the outputs of a matrix, or of some of its rows.
struct LowRank {
    std::size_t rank = 0;
    std::size_t columns = 0;
    std::size_t rows = 0;
    std::vector<float> a;  // [columns][rank]
    std::vector<float> b;  // [rank][rows]
    float scale = 0;

    // out[r] += scale * sum over k of b[k][r] * (sum over c of a[c][k] * x[c]). `space` is written to.
    void add(const float* x, std::vector<float>& space, float* out) const;
};

class Adapter {
public:
    // For a model of this architecture. Throws EngineError: malformed, unsupported (another kind of adapter,
    // or for another architecture), bad_request (scale).
    Adapter(Gguf file, std::string_view architecture, float scale);

    // What it adds to rows [first, first + count) of the matrix of this name, which has so many rows and
    // columns; nothing where it leaves the matrix alone. Throws malformed.
    std::optional<LowRank> part(const std::string& matrix, std::size_t first, std::size_t count,
                                std::size_t rows, std::size_t columns);
    // What no part was made of belongs to another model. Throws malformed.
    void refuse_the_rest() const;

    const Gguf& file() const { return file_; }
    float scale() const { return scale_; }
    std::uint64_t memory_bytes() const;  // of all parts

private:
    Gguf file_;
    float scale_ = 1;
    double alpha_ = 0;  // 0: `scale` alone counts
    std::set<std::string_view> used_;
};

}  // namespace jiphyeon
