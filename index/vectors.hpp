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

// A vector less the table's centre is a rest, of about scale * code.
struct Quantized {
    float scale = 0;
    float error = 0;   // length of what the code leaves out, at most
    float norm = 0;    // length of the rest, at most
    float offset = 0;  // inner product of the rest with the centre
    std::int32_t code_sum = 0;
};

struct VectorBlock {
    explicit VectorBlock(std::size_t padded_dim);
    std::vector<float> rows;         // kBlockRows x padded_dim
    std::vector<std::int8_t> codes;  // the same
    std::vector<Quantized> quantized;
};

struct QuantizedQuery {
    std::vector<float> row;
    std::vector<std::int8_t> code;
    Quantized quantized;
    float slack = 0;  // more than the rounding of any inner product with a row
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
    // Good for this table alone.
    QuantizedQuery quantize(std::span<const float> query) const;
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
    Quantized quantize(const float* row, std::int8_t* code) const;
    void quantize_row(VectorBlock& block, std::size_t row);
    void recentre();

    std::string model_;
    std::size_t dim_, padded_dim_;
    std::vector<std::shared_ptr<VectorBlock>> blocks_;  // null where no row was ever set
    std::vector<std::uint64_t> present_;
    std::uint64_t count_ = 0;
    std::vector<float> centre_;        // padded
    float centre_square_ = 0;          // its length, squared
    std::uint64_t centred_count_ = 0;  // rows it is the mean of
    float norm_max_ = 0;               // of all rows there ever were
};

}  // namespace jiphyeon
