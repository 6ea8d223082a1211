// Weight matrices in panels, activations in tiles or blocks, and their product. kernels.hpp has the
// arithmetic.
//
// Panels (16 rows; a quad is 4 columns of each row, 64 bytes), per block of columns, sizes in bytes. "Bytes
// of the file" of 16 rows lie byte by byte: byte 0 of row 0, of row 1, ...
//     F32        column: 16 floats (64)            F16, BF16  column: 16 halves (32)
//     Q4_0, IQ4_NL  32 columns: 16 halves d; 4 vectors, low nibbles quad e, high nibbles quad e + 4  (288)
//     Q4_1       32 columns: 16 halves d; 16 halves m; as Q4_0                                    (320)
//     Q5_0       32 columns: 16 halves d; 1 vector of fifth bits, bit q for quad q; as Q4_0        (352)
//     Q5_1       32 columns: 16 halves d; 16 halves m; as Q5_0                                    (384)
//     Q8_0       32 columns: 16 halves d; 8 quads of signed bytes                                 (544)
//     MXFP4      32 columns: 16 exponents; as Q4_0                                                (272)
//     Q4_K       256 columns: 16 halves d; 16 halves dmin; the 12 scale bytes of the file; 4 chunks of 8
//                vectors, low nibbles of sub-block 2c, high ones of 2c + 1                       (2304)
//     Q5_K       256 columns: as Q4_K, but before the chunks 8 vectors of fifth bits, one per sub-block, bit
//                q for quad q                                                                   (2816)
//     Q6_K       256 columns: 16 halves d; 16 x 16 scales; per sub-block of 16 columns 2 vectors of nibbles
//                (quads 0|1, 2|3) and one of upper bits, bits 2q and 2q + 1 for quad q           (3360)
//     IQ4_XS     256 columns: 16 halves d; the 6 scale bytes of the file; per sub-block of 32 columns 4
//                vectors as Q4_0                                                                (2176)
// A row takes as many bytes as in the file, and a matrix lies in memory in the order in which it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "aligned.hpp"
#include "blocks.hpp"
#include "gguf.hpp"
#include "kernels.hpp"
#include "threads.hpp"

namespace jiphyeon {

// Rows that whole panels hold.
inline std::size_t whole_panels(std::size_t rows)
{
    return (rows + kPanelRows - 1) / kPanelRows * kPanelRows;
}
// A matrix takes whole pages of this size.
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;
inline std::uint64_t whole_huge_pages(std::uint64_t bytes)
{
    return (bytes + kHugePage - 1) / kHugePage * kHugePage;
}
// Bytes of one panel.
std::size_t panel_bytes(TensorType type, std::size_t columns);

class Matrix {
public:
    Matrix() = default;
    // Throws EngineError unsupported (type), malformed (a row that is no multiple of 4 columns).
    Matrix(const GgufTensor& tensor, ThreadPool& pool);

    TensorType type() const { return type_; }
    std::size_t rows() const { return rows_; }
    std::size_t columns() const { return columns_; }
    std::size_t padded_rows() const { return whole_panels(rows_); }
    std::size_t panels() const { return padded_rows() / kPanelRows; }
    const std::uint8_t* panel(std::size_t i) const { return bytes_.get() + i * panel_bytes_; }
    explicit operator bool() const { return rows_ != 0; }
    std::size_t panel_bytes() const { return panel_bytes_; }
    std::size_t bytes() const { return panels() * panel_bytes_; }

    // Row r as floats: columns() of them.
    void row(std::size_t r, float* out) const;

private:
    struct Unmap {
        std::size_t size;
        void operator()(std::uint8_t* p) const noexcept;
    };
    TensorType type_ = TensorType::f32;
    std::size_t rows_ = 0;
    std::size_t columns_ = 0;
    std::size_t panel_bytes_ = 0;
    std::unique_ptr<std::uint8_t, Unmap> bytes_{nullptr, Unmap{0}};
};

// The inputs of a product, in the forms that its matrices want.
class Activations {
public:
    // Room for `tokens` x `columns` in each form that is asked for, as `kernels` want them; earlier contents
    // are lost.
    void shape(const Kernels& kernels, std::size_t tokens, std::size_t columns, bool plain, bool per_32,
               bool per_256);
    // Writes all tokens, which lie `stride` floats apart.
    void fill(const Kernels& kernels, ThreadPool& pool, const float* x, std::size_t stride);
    // Writes columns [first, past) of all tokens; `first` is a multiple of 256, `past` too or the end. `x`
    // begins with column `first`. Threads may write different columns at a time. As in fill(), `kernels` are
    // those that shape() was given.
    void fill_columns(const Kernels& kernels, std::size_t first, std::size_t past, const float* x,
                      std::size_t stride);

    std::size_t tokens() const { return tokens_; }
    std::size_t tiles() const { return tiles_.size(); }
    std::size_t tile_first(std::size_t i) const { return tiles_[i].first; }
    ActTile tile(std::size_t i, ActForm form) const;

    // Whether they were written for tile registers: by block of columns instead of by tile.
    bool by_block() const { return by_block_; }
    // Tokens in a block: tokens(), rounded up.
    std::size_t block_tokens() const { return whole_steps(tokens_); }
    ActBlock block(std::size_t i, ActForm form) const;  // of 256 columns, or what is left

private:
    struct Span {
        std::size_t first = 0;
        unsigned tokens = 0;
    };
    struct Form {
        bool used = false;
        AlignedVector<float> scales;
        AlignedVector<std::int32_t> pairs;
        AlignedVector<std::int32_t> quads;  // these two by tile only
        AlignedVector<std::int32_t> bias;
        AlignedVector<std::int8_t> rows;  // these two by block only
        AlignedVector<float> totals;
    };
    static std::size_t whole_steps(std::size_t tokens)
    {
        return (tokens + kStepTokens - 1) / kStepTokens * kStepTokens;
    }
    // Columns [first, past) of a tile; `x` begins with column `first` of its first token.
    void fill_tile(const Kernels& kernels, const Span& span, std::size_t first, std::size_t past,
                   const float* x, std::size_t stride);
    void fill_tokens(const Kernels& kernels, const Span& span, std::size_t first, std::size_t columns,
                     const float* x, std::size_t stride);
    // Where a tile's part from `column` on goes, in blocks of `block` columns.
    ActTileOut out(Form& form, const Span& span, std::size_t block, std::size_t column) const;

    std::size_t tokens_ = 0;
    std::size_t columns_ = 0;
    std::vector<Span> tiles_;
    bool plain_ = false;
    AlignedVector<float> values_;
    Form per_32_;
    Form per_256_;
    bool by_block_ = false;
};

struct Product {
    const Matrix* matrix = nullptr;
    float* out = nullptr;    // [tokens][stride]; begins a line of the cache
    std::size_t stride = 0;  // at least matrix->padded_rows(), a multiple of 16
};

// What a thread unpacks panels into, and has pieces of results in.
class ProductSpace {
public:
    explicit ProductSpace(unsigned threads) : buffers_(threads) {}
    std::uint8_t* unpacked(unsigned thread, std::size_t bytes)
    {
        return grown(buffers_[thread].unpacked, bytes);
    }
    float* results(unsigned thread, std::size_t count) { return grown(buffers_[thread].results, count); }

private:
    template <typename T>
    static T* grown(AlignedVector<T>& buffer, std::size_t size)
    {
        if (buffer.size() < size) buffer.resize(size);
        return buffer.data();
    }
    struct Buffers {
        AlignedVector<std::uint8_t> unpacked;
        AlignedVector<float> results;
    };
    std::vector<Buffers> buffers_;
};

// All products of the same activations in one go.
void multiply(ThreadPool& pool, const Kernels& kernels, ProductSpace& space, const Activations& activations,
              std::span<const Product> products);

// Rows [first, past) of some products.
struct ResultRows {
    std::size_t first = 0;
    std::size_t past = 0;
    float* results = nullptr;  // [products][tokens][stride], of row `first` first
    std::size_t stride = 0;
    float* of(std::size_t product, std::size_t tokens, std::size_t t) const
    {
        return results + (product * tokens + t) * stride;
    }
};
// Products with matrices of as many rows, whose results are done with as soon as they are there: `take` gets
// kRowsAtOnce rows of all of them (at the end fewer), in the cache of the thread that it is called on.
inline constexpr std::size_t kRowsAtOnce = 256;
static_assert(kRowsAtOnce % 256 == 0, "Activations::fill_columns");
void multiply_and_take(ThreadPool& pool, const Kernels& kernels, ProductSpace& space,
                       const Activations& activations, std::span<const Matrix* const> matrices,
                       const std::function<void(const ResultRows&)>& take);
// Whether that is worth it: results of few tokens stay in the cache anyway, and with few pieces threads would
// be without work for long at the end.
bool worth_taking(std::size_t tokens, std::size_t rows, unsigned threads);

}  // namespace jiphyeon
