// The inner loops of the engine, and why every CPU gets the same bits from them.
//
// A weight matrix is kept in panels of 16 rows. In a panel the rows lie interleaved, four columns of row 0,
// four of row 1, … row 15, so that one 64-byte vector holds a "quad" of all 16 rows and a lane of a vector
// register is always one output. No sum ever crosses lanes: the order of every float sum is the order of the
// columns, whatever the register width. quants.hpp gives the layout of each type.
//
// A product of integers is exact. Weights become unsigned bytes (stored value + offset) or signed ones,
// activations signed bytes in [-127, 127] with one scale per 32 columns or per 256, as the type's blocks.
// Then
//     Q4_0 Q5_0 Q8_0   value = d_w * float(sum w a - offset * sum a)                           per 32
//     IQ4_NL MXFP4     the same, where w is the table's entry for a nibble
//     Q4_1 Q5_1        value = fma(m_w, float(sum a), d_w * float(sum w a))                    per 32
//     Q4_K Q5_K        value = fma(-dmin_w, float(sum_j m_j * sum a),                          per 256
//                                  d_w * float(sum_j s_j * sum w a))
//     Q6_K             value = d_w * float(sum_j s_j * (sum w a - 32 sum a))                   per 256
//     IQ4_XS           value = d_w * float(sum_j s_j * sum w a)                                per 256
//                      acc = fma(d_a, value, acc)
// where everything inside float(...) is int32 and fits: the largest, Q6_K, stays below 2^27. VNNI, AMX's
// tiles, AVX2's 16-bit products and plain C reach the same int32 by different ways, and what follows is one
// sequence of IEEE operations. F32, F16 and BF16 weights are summed in four accumulators by column mod 4,
// (s0 + s1) + (s2 + s3).
//
// Other float work (norms, softmax, activation functions, attention) is written once, over a vector of 16
// lanes that each instruction set provides (kernels_body.hpp): element i of a sum belongs to lane i mod 16
// and lanes are added as a tree of halves. Only correctly rounded operations are used (+ - * / sqrt fma),
// exp and the error function are polynomials of these, and -ffp-contract=off keeps the compiler from fusing.
//
// Tokens come in tiles of up to 12 whose activations are interleaved as the weights are, so that one loaded
// weight vector meets 12 broadcasts. The number of tokens, of tiles and of threads decides who computes an
// output, never how. With few tokens weights are unpacked in registers (decoding then runs at the speed of
// memory), with many once per panel, two panels at a time, into a buffer in the second-level cache: there
// a broadcast meets two weight vectors. A last panel that has no second is used as stored. AMX differs from
// AVX-512 only where there are many tokens (kernels_tiles.hpp): there the products go by blocks of columns,
// each with all tokens.
//
// Attention goes over fixed chunks of 256 positions counted from position 0. A chunk gives its own maximum,
// sum and weighted values; chunks are merged in ascending order, by whichever thread. Keys of a chunk lie
// transposed in groups of 16 positions (lane = position), values by position (lane = dimension).
//
// A value in 8 bits has one scale, a key one for every 8 dimensions: keys of some families are a hundred
// times larger in a few dimensions than in the others, for which integers of one scale would be too coarse.
// What meets the bytes is int16: the query, with a scale of its own, and for values the weights of the
// chunk's positions times their scales, with one scale. The products are then exact int32, two bytes of a
// lane at a time (a key's of two dimensions, the values' of two positions):
//     acc    = fma(d_k, float(sum k q), acc)    per 8
//     score  = acc * d_q
//     out    = float(sum v w) * d_w             per chunk
//
// A further instruction set is one more file like kernels_avx2.cpp: a struct Lanes, the body, the table. One
// that adds tile registers gives their functions too, as kernels_avx512.cpp does for AMX.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

inline constexpr std::size_t kPanelRows = 16;
inline constexpr std::size_t kTileTokens = 12;
inline constexpr std::size_t kStepTokens = 32;
inline constexpr std::size_t kChunkPositions = 256;
inline constexpr std::size_t kAttendQueries = 12;
inline constexpr std::size_t kHeadSizeMax = 1024;
inline constexpr std::size_t kKeyBlock = 8;  // dimensions of a key in 8 bits that share a scale
inline constexpr std::size_t kKeyBlockBytes = 16 * (kKeyBlock + sizeof(std::uint16_t));  // of 16 positions

// What a weight type wants of the activations.
enum class ActForm : std::uint8_t { plain, per_32, per_256 };
ActForm act_form(TensorType type);

inline constexpr std::size_t kBiasRows32 = 4;
inline constexpr std::size_t kBiasRows256 = 32;

// Activations of `tokens` rows, interleaved; only the arrays of one form are set. T = tokens.
struct ActTile {
    unsigned tokens = 0;
    const float* values = nullptr;        // plain: [columns][T]
    const std::int32_t* quads = nullptr;  // [columns / 4][T], four signed bytes each
    const float* scales = nullptr;        // [blocks][T]
    // per_32: [blocks][4][T], -8, -16, -128 and 1 times the sum of the block.
    // per_256: [blocks][32][T], -32 times the sums of 8 columns.
    const std::int32_t* bias = nullptr;
    const std::int32_t* pairs = nullptr;  // per_256: [blocks][4][T], the sums of two 32s as two int16
};
// The same arrays, to be written.
struct ActTileOut {
    unsigned tokens = 0;
    std::int32_t* quads = nullptr;
    float* scales = nullptr;
    std::int32_t* bias = nullptr;
    std::int32_t* pairs = nullptr;
};

// For tile registers activations lie by block of 256 columns (per_32, the last may have fewer): of one block
// those of all tokens, whose number is rounded up to a multiple of kStepTokens. What the added ones hold
// does not matter.
struct ActBlock {
    std::size_t tokens = 0;
    std::size_t columns = 0;
    // per_256: [tokens / 16][4][16][64], per_32: [tokens / 16][columns / 32][16][32]. So a tile lies
    // together.
    const std::int8_t* rows = nullptr;
    const float* scales = nullptr;        // per_256: [tokens], per_32: [tokens / 16][columns / 32][16]
    const float* totals = nullptr;        // per_32, as the scales: the sums of 32
    const std::int32_t* pairs = nullptr;  // per_256: [tokens / kStepTokens][4][kStepTokens], as in ActTile
};
// The same arrays of the first block of some, to be written.
struct ActBlockOut {
    std::size_t tokens = 0;
    std::int8_t* rows = nullptr;
    float* scales = nullptr;
    float* totals = nullptr;
    std::int32_t* pairs = nullptr;
};

// Where the products of panels with a tile go: 16 floats of each panel for token t at row(t).
struct TileResult {
    float* out = nullptr;      // begins a line of the cache
    std::size_t stride = 0;    // a multiple of 16
    bool past_caches = false;  // where wanted; only ThreadPool orders such writes
    float* row(int t) const { return out + static_cast<std::size_t>(t) * stride; }
};

// The products of one type by tile registers, a block of columns at a time (ActBlock), of one or two panels.
// Their sums lie by steps of kStepTokens tokens: [tokens / kStepTokens][panels][kStepTokens][16].
struct TileKernels {
    // A thread calls this before unpack and add, and Kernels::leave_tiles behind them: in between its
    // switches to other threads cost more.
    void (*enter)() = nullptr;
    std::size_t block_bytes = 0;  // of what `unpack` makes of a block of a panel
    void (*unpack)(const std::uint8_t* block, std::size_t columns, std::uint8_t* out) = nullptr;
    // `blocks`: of so many panels, unpacked one behind the other. first: the sums begin with this block.
    void (*add)(const std::uint8_t* blocks, std::size_t panels, const ActBlock& tokens, bool first,
                float* sums) = nullptr;
};

// One type's products of panels with a tile. tile_tokens(): the sizes a tile may have.
using TileProduct = void (*)(const std::uint8_t* panels, std::size_t columns, const ActTile& tile,
                             const TileResult& result);
struct TypeKernels {
    TileProduct product = nullptr;       // of one panel as stored
    TileProduct product_pair = nullptr;  // of two that `unpack` wrote one behind the other
    void (*unpack)(const std::uint8_t* panel, std::size_t columns, std::uint8_t* out) = nullptr;
    std::size_t unpacked_bytes_per_256 = 0;
    TileKernels tiles{};  // empty where the kernels have none for the type
};

// A chunk's share of attention for T queries of one key/value head.
struct AttendChunk {
    KvType type = KvType::f16;
    unsigned queries = 0;                   // T: 1, 2, 4, 6, 8 or 12
    std::size_t head_size = 0;              // a multiple of 16
    float cap = 0;                          // scores s become cap * tanh(s / cap); 0: no cap
    const float* q = nullptr;               // f16: [head_size][T], scaled
    const std::int32_t* q_pairs = nullptr;  // q8: [head_size / 2][T], two int16 each, and
    const float* q_scales = nullptr;        // [T] what they are to be multiplied with
    // Of 16 positions at a time, as KvShape says.
    const std::uint8_t* keys = nullptr;
    const std::uint8_t* values = nullptr;
    const int* begin = nullptr;  // [T] first position of the chunk that the query sees, and
    const int* end = nullptr;    // [T] one past the last
    float* maximum = nullptr;    // [T] out; -infinity where it sees nothing
    float* sum = nullptr;        // [T] out
    float* out = nullptr;        // [T][head_size]
};

struct Kernels {
    Isa isa;
    TypeKernels types[kTensorTypes];  // by TensorType; empty where there is no such type

    // Columns of a whole tile, whose tokens lie `stride` floats apart. columns: a multiple of 32, or 256.
    void (*quantize_32)(const float* x, std::size_t stride, std::size_t columns, const ActTileOut& out);
    void (*quantize_256)(const float* x, std::size_t stride, std::size_t columns, const ActTileOut& out);
    // Of one token, number `token` of those of the blocks.
    void (*quantize_blocks_32)(const float* x, std::size_t columns, std::size_t token,
                               const ActBlockOut& out);
    void (*quantize_blocks_256)(const float* x, std::size_t columns, std::size_t token,
                                const ActBlockOut& out);

    // n: a multiple of 16 everywhere. `out` may be `x`.
    void (*rms_norm)(const float* x, const float* weight, std::size_t n, float epsilon, float* out);
    void (*layer_norm)(const float* x, const float* weight, const float* bias, std::size_t n, float epsilon,
                       float* out);
    void (*silu_multiply)(const float* gate, const float* up, std::size_t n, float* out);
    void (*gelu)(const float* x, std::size_t n, float* out);  // by the error function
    void (*gelu_tanh)(const float* x, std::size_t n, float* out);
    // x > 0: p x^2 + b x, else n (e^min(x, eps) - 1 - x) + b x.
    void (*xielu)(const float* x, std::size_t count, float p, float n, float b, float eps, float* out);
    void (*soft_cap)(const float* x, std::size_t n, float cap, float* out);  // cap * tanh(x / cap)
    void (*l2_normalize)(const float* x, std::size_t n, float* out);
    void (*to_half)(const float* x, std::size_t n, std::uint16_t* out);
    // The integers nearest to x / scale, with the scale that brings the largest to 127 (an f16) or to 32767
    // (returned).
    void (*to_bytes)(const float* x, std::size_t n, std::int8_t* out, std::uint16_t* scale);
    float (*to_shorts)(const float* x, std::size_t n, std::int16_t* out);

    void (*attend)(const AttendChunk& chunk);
    // Adds a chunk's (maximum, sum, out) to a running one that starts as (-infinity, 0, 0).
    void (*merge)(float* maximum, float* sum, float* out, float chunk_maximum, float chunk_sum,
                  const float* chunk_out, std::size_t head_size);

    // Only where there are TileKernels.
    // The sums of panels, of two after two, each of `padded` tokens, to the results of the first `tokens`.
    void (*take_sums)(const float* sums, std::size_t panels, std::size_t padded, std::size_t tokens,
                      const TileResult& result) = nullptr;
    void (*leave_tiles)() = nullptr;
    bool has_tiles() const { return leave_tiles != nullptr; }

    const TypeKernels& of(TensorType type) const { return types[static_cast<std::size_t>(type)]; }
};

// Throws unsupported where this CPU cannot run them. best: the fastest that it can; where it has AMX the
// first call finds out in some milliseconds whether that is faster than AVX-512.
const Kernels& kernels_for(Isa isa);

// The largest size a tile may have that is at most `tokens`: 12, 8, 6, 4, 3, 2 or 1.
unsigned tile_tokens(std::size_t tokens);
// The smallest number of queries an AttendChunk may have that is at least `queries` (at most 12).
unsigned attend_queries(std::size_t queries);

extern const Kernels kKernelsScalar;
extern const Kernels kKernelsAvx2;
extern const Kernels kKernelsAvx512;
extern const Kernels kKernelsAmx;

}  // namespace jiphyeon
