// The vectors in memory, as floats and as 8-bit codes. A chunk's number is its row. A table never changes
// once made: a commit makes the next one, which shares every block it leaves alone. Rows that no table holds
// yet are written in place, since no reader looks at them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "catalog.hpp"

namespace jiphyeon {

inline constexpr std::uint32_t kBlockRows = 2048;

// A row is approximately scale * code; `error` bounds the length of the difference.
struct VectorBlock {
    explicit VectorBlock(std::size_t padded_dim);
    std::vector<float> rows;         // kBlockRows x padded_dim
    std::vector<std::int8_t> codes;  // the same
    std::vector<float> scales, errors, norms;
    std::vector<std::int32_t> code_sums;
};

struct QuantizedQuery {
    QuantizedQuery(std::span<const float> query, std::size_t padded_dim);
    std::vector<float> row;
    std::vector<std::int8_t> code;
    float scale = 0, error = 0, norm = 0;  // norm: of the query
};

struct ScoredChunk {
    std::uint32_t chunk = 0;
    float score = 0;
};
// Best first; of equal ones the lower number.
inline bool ranks_before(const ScoredChunk& a, const ScoredChunk& b)
{
    return a.score != b.score ? a.score > b.score : a.chunk < b.chunk;
}

class VectorTable {
public:
    VectorTable(std::string model, std::size_t dim);

    const std::string& model() const { return model_; }
    std::size_t dim() const { return dim_; }
    std::size_t padded_dim() const { return padded_dim_; }
    std::uint64_t count() const { return count_; }
    bool has(std::uint32_t chunk) const
    {
        return chunk / 64 < present_.size() && ((present_[chunk / 64] >> (chunk % 64)) & 1) != 0;
    }
    const std::vector<std::uint64_t>& present() const { return present_; }
    const float* row(std::uint32_t chunk) const;
    float exact(const QuantizedQuery& query, std::uint32_t chunk) const;
    float approximate(const QuantizedQuery& query, std::uint32_t chunk) const;
    float approximate(std::uint32_t a, std::uint32_t b) const;

    // chunks.size() x dim floats.
    std::shared_ptr<const VectorTable> with(std::span<const std::uint32_t> chunks,
                                            std::span<const float> vectors) const;
    std::shared_ptr<const VectorTable> without(std::uint32_t first_chunk, std::uint32_t count) const;

    // `within`: a bit per chunk number.
    std::uint64_t count_within(std::span<const std::uint64_t> within) const;
    // The k best rows within by exact inner product. Reads the codes of every such row and the floats of
    // those alone whose bound reaches the k-th best.
    std::vector<ScoredChunk> scan(const QuantizedQuery& query, std::size_t k,
                                  std::span<const std::uint64_t> within) const;
    // The k best of `candidates` by exact inner product.
    std::vector<ScoredChunk> rank(const QuantizedQuery& query, std::size_t k,
                                  std::span<const std::uint32_t> candidates) const;

private:
    const VectorBlock& block(std::uint32_t chunk) const { return *blocks_[chunk / kBlockRows]; }

    std::string model_;
    std::size_t dim_, padded_dim_;
    std::vector<std::shared_ptr<VectorBlock>> blocks_;  // null where no row was ever set
    std::vector<std::uint64_t> present_;
    std::uint64_t count_ = 0;
};

}  // namespace jiphyeon
