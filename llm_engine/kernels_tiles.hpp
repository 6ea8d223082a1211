// Products by tile registers, over the `Tiles` of the including file (tiles.hpp) and its `Lanes`: see
// kernels_products.hpp.
//
// Blocks of columns are the outer loop: the block of a panel is unpacked into the first-level cache and meets
// all tokens there, whose results so far are read and written again for every block. A panel's 16 quads are
// the right side of a tile product, the bytes of 16 tokens its left side.
//
// Scales per 256 columns. A tile has no place for the integer scales of sub-blocks, so unpacking multiplies
// them into the weights. The products take at most 14 bits with their sign and lie in two planes of bytes,
// the low ones unsigned and the high ones signed. Per block 4 products of each plane give two sums for each
// output, and
//     sum of the low plane + 256 * sum of the high plane
// is the very integer that the other kernels find: both sums and the result stay below 2^28. What follows is
// the same sequence of float operations. A step is one panel and 32 tokens, so that each loaded tile is used
// twice.
//
// Scales per 32 columns. Tiles are half as deep, and their sums become floats eight times as often; it is
// these that take the time.
//
// Tile products take long to end, and what a tile stores cannot be loaded before it has reached the cache. So
// the floats of a step (or of 32 columns) are computed while the tiles are at the next.
#pragma once

#include "tiles.hpp"

namespace jiphyeon {
namespace {

// --- scales per 256 columns --------------------------------------------------------------------------------

constexpr std::size_t kTileQuads = 16;
constexpr std::size_t kPlaneBytes = kTileQuads * 64;  // of 64 columns

// 4 times a low and a high plane of 64 columns; scales ready to use.
template <bool kHasMinimum>
struct Planes {
    static constexpr std::size_t kBytes = kHasMinimum ? 8576 : 8256;
    static constexpr bool kMinimum = kHasMinimum;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return load_floats(at + 8192); }
    F minimum() const { return load_floats(at + 8256); }
    I minima_pair(int p) const { return load_ints(at + 8320 + p * 64); }
};

// What the stored bytes of a weight are above its value.
template <typename Source>
constexpr int kOffset = 32 * Source::kBiasFactor;
template <>
constexpr int kOffset<SourceQ6K> = 32;

// quad: of the quads of 4 columns of a block.
template <typename Source>
void store_planes(std::uint8_t* block, int quad, B weights, I scale)
{
    constexpr int kQuads = static_cast<int>(kTileQuads);
    std::uint8_t* const low = block + quad / kQuads * 2 * static_cast<int>(kPlaneBytes) + quad % kQuads * 64;
    Lanes::store_products(low, low + kPlaneBytes, Lanes::subtract(weights, kOffset<Source>), scale);
}

template <int kHigh, typename Source>
void unpack_planes_half(const Source& source, int chunk, std::uint8_t* out)
{
    const int j = 2 * chunk + kHigh;
    const I scale = source.sub_scale(j);
    EightQuads::each(JIPHYEON_EACH_QUAD {
        store_planes<Source>(out, 8 * j + kQuad, source.template quad<kHigh, kQuad>(chunk), scale);
    });
}

template <typename Source>
void unpack_planes(const std::uint8_t* block, std::size_t, std::uint8_t* out)
{
    Source source;
    source.block(block);
    for (int chunk = 0; chunk < 4; ++chunk) {
        unpack_planes_half<0>(source, chunk, out);
        unpack_planes_half<1>(source, chunk, out);
    }
    store_floats(out + 8192, source.scale());
    if constexpr (Source::kMinimum) {
        store_floats(out + 8256, source.minimum());
        for (int p = 0; p < 4; ++p) store_ints(out + 8320 + p * 64, source.minima_pair(p));
    }
}

void unpack_planes_6k(const std::uint8_t* block, std::size_t, std::uint8_t* out)
{
    SourceQ6K source;
    source.block(block);
    for (int j = 0; j < 16; ++j) {
        const I scale = source.sub_scale(j);
        FourQuads::each(JIPHYEON_EACH_QUAD {
            store_planes<SourceQ6K>(out, 4 * j + kQuad, source.quad<kQuad>(j), scale);
        });
    }
    store_floats(out + 8192, source.scale());
}

// Registers 0 to 3 hold sums (2 * half of the tokens + plane), 4 and 5 the tokens, 6 and 7 the weights.
constexpr int kTokens = 4;
constexpr int kMoreTokens = 5;
constexpr int kLowWeights = 6;
constexpr int kHighWeights = 7;
constexpr int kTileRows = 16;
constexpr int kLanes = 16;
constexpr std::size_t kStepSums = kStepTokens * kPanelRows;
alignas(64) constexpr float kNothing[kStepSums] = {};  // what is added to in a first block
static_assert(kStepTokens == 2 * kTileRows && kPanelRows == 16 && kTileQuads == 16);

constexpr TileShapes kShapes = [] {
    TileShapes shapes;
    for (int tile = 0; tile < 8; ++tile) {
        shapes.row_bytes[tile] = 64;
        shapes.rows[tile] = kTileRows;
    }
    return shapes;
}();

void enter_planes()
{
    Tiles::set_shapes(kShapes);
}

void leave_tiles()
{
    Tiles::release();
}

// A panel with kStepTokens tokens: what their sums become floats by, and what these are added to.
template <typename Source>
struct Step {
    static constexpr bool kMinimum = Source::kMinimum;
    F panel_scale;
    F panel_minimum;
    I panel_minima[4];
    const float* scales;
    const std::int32_t* pairs;
    const float* before;
    float* after;

    Step(const std::uint8_t* planes, const ActBlock& block, std::size_t token, const float* from, float* to)
        : scales(block.scales + token), pairs(block.pairs + 4 * token), before(from), after(to)
    {
        Source source;
        source.block(planes);
        panel_scale = source.scale();
        if constexpr (kMinimum) {
            panel_minimum = source.minimum();
            for (int p = 0; p < 4; ++p) panel_minima[p] = source.minima_pair(p);
        }
    }
    F scale() const { return panel_scale; }
    F minimum() const { return panel_minimum; }
    I minima_pair(int p) const { return panel_minima[p]; }
};

using StepSums = std::int32_t[4][kTileRows][kPanelRows];  // by register

template <int kSum>
[[gnu::always_inline]] inline void store_sum(StepSums& sums)
{
    Tiles::store<kSum>(sums[kSum], 64);
}

// The floats of two of a step's tokens.
template <typename Source>
[[gnu::always_inline]] inline void add_two_tokens(const Step<Source>& step, const StepSums& sums, int first)
{
    const auto& low = sums[first / kTileRows * 2];
    const auto& high = sums[first / kTileRows * 2 + 1];
    I total[2];
    F acc[2];
    JIPHYEON_UNROLL(2)
    for (int t = 0; t < 2; ++t) {
        const int row = first % kTileRows + t;
        total[t] = Lanes::join_planes(Lanes::load_int(low[row]), Lanes::load_int(high[row]));
        acc[t] = Lanes::load(step.before + (first + t) * kLanes);
    }
    add_block<kStepTokens>(acc, step, step.scales + first, total, step.pairs + first);
    JIPHYEON_UNROLL(2)
    for (int t = 0; t < 2; ++t) Lanes::store(step.after + (first + t) * kLanes, acc[t]);
}

// What surrounds the 16 tile products of a step: the sums of the step before leave a register when it is
// needed, and two tokens of them become floats behind every product from the second on.
template <bool kHasBefore, int kSum>
[[gnu::always_inline]] inline void before_product(int i, StepSums& sums)
{
    if (i != 0) return;
    if constexpr (kHasBefore) store_sum<kSum>(sums);
    Tiles::zero<kSum>();
}
template <bool kHasBefore, typename Source>
[[gnu::always_inline]] inline void behind_product(int product, const Step<Source>& before,
                                                  const StepSums& sums)
{
    if constexpr (kHasBefore) {
        if (product == 1) add_two_tokens(before, sums, 0);
        if (product >= 1) add_two_tokens(before, sums, 2 * product);
    }
}

// The products of a step, and meanwhile the floats of the one before.
template <bool kHasBefore, typename Source>
[[gnu::always_inline]] inline void dot_step(const std::uint8_t* planes, const std::int8_t* rows,
                                            const Step<Source>& before, StepSums& sums)
{
    constexpr std::size_t kMore = kTileRows * 256;
    JIPHYEON_UNROLL(4)
    for (int i = 0; i < 4; ++i, planes += 2 * kPlaneBytes, rows += kTileRows * 64) {
        Tiles::load<kTokens>(rows, 64);
        Tiles::load<kLowWeights>(planes, 64);
        before_product<kHasBefore, 0>(i, sums);
        Tiles::dot_unsigned<0, kTokens, kLowWeights>();
        behind_product<kHasBefore>(4 * i, before, sums);
        Tiles::load<kHighWeights>(planes + kPlaneBytes, 64);
        before_product<kHasBefore, 1>(i, sums);
        Tiles::dot_signed<1, kTokens, kHighWeights>();
        behind_product<kHasBefore>(4 * i + 1, before, sums);
        Tiles::load<kMoreTokens>(rows + kMore, 64);
        before_product<kHasBefore, 2>(i, sums);
        Tiles::dot_unsigned<2, kMoreTokens, kLowWeights>();
        behind_product<kHasBefore>(4 * i + 2, before, sums);
        before_product<kHasBefore, 3>(i, sums);
        Tiles::dot_signed<3, kMoreTokens, kHighWeights>();
        behind_product<kHasBefore>(4 * i + 3, before, sums);
    }
}

template <typename Source>
void add_block_by_tiles(const std::uint8_t* planes, std::size_t panels, const ActBlock& block, bool first,
                        float* results)
{
    const auto step_of = [&](std::size_t panel, std::size_t token, float* at) {
        return Step<Source>(planes + panel * Source::kBytes, block, token, first ? kNothing : at, at);
    };
    alignas(64) StepSums sums;
    Step<Source> before = step_of(0, 0, results);
    dot_step<false>(planes, block.rows, before, sums);
    const std::size_t steps = block.tokens / kStepTokens * panels;
    std::size_t token = 0;
    std::size_t panel = 0;
    for (std::size_t i = 1; i < steps; ++i) {
        if (++panel == panels) {
            panel = 0;
            token += kStepTokens;
        }
        dot_step<true>(planes + panel * Source::kBytes, block.rows + token * 256, before, sums);
        before = step_of(panel, token, results + i * kStepSums);
    }
    store_sum<0>(sums);
    store_sum<1>(sums);
    store_sum<2>(sums);
    store_sum<3>(sums);
    for (int t = 0; t < static_cast<int>(kStepTokens); t += 2) add_two_tokens(before, sums, t);
}

// --- scales per 32 columns ---------------------------------------------------------------------------------

// Of 8 times 32 columns 8 quads of signed bytes each; scales ready to use.
template <bool kHasMinimum>
struct Signed32 {
    static constexpr std::size_t kScales = 4096;
    static constexpr std::size_t kMinima = kScales + 512;
    static constexpr std::size_t kBytes = kHasMinimum ? kMinima + 512 : kMinima;
    static constexpr bool kMinimum = kHasMinimum;
};

template <typename Source>
constexpr int kOffset32 = Source::kBias == kBias8                         ? 8
                          : Source::kBias == kBias16                      ? 16
                          : Source::kMaxWeight == 255 && !Lanes::kSigned8 ? 128
                                                                          : 0;

template <int kQuad, typename Source>
void store_signed(const Source& source, std::uint8_t* out)
{
    Lanes::store_bytes(out + kQuad * 64, Lanes::subtract(source.template quad<kQuad>(), kOffset32<Source>));
}

template <typename Source>
void unpack_signed(const std::uint8_t* block, std::size_t columns, std::uint8_t* out)
{
    using Out = Signed32<Source::kMinimum>;
    Source source;
    for (std::size_t b = 0; b < columns / 32; ++b) {
        source.block(block + b * Source::kBytes);
        std::uint8_t* const quads = out + b * 512;
        store_signed<0>(source, quads);
        store_signed<1>(source, quads);
        store_signed<2>(source, quads);
        store_signed<3>(source, quads);
        store_signed<4>(source, quads);
        store_signed<5>(source, quads);
        store_signed<6>(source, quads);
        store_signed<7>(source, quads);
        store_floats(out + Out::kScales + b * 64, source.scale());
        if constexpr (Source::kMinimum) store_floats(out + Out::kMinima + b * 64, source.minimum());
    }
}

// Register 0 holds sums, 1 their tokens, 2 their weights.
constexpr int kSignedTokens = 1;
constexpr int kSignedWeights = 2;
constexpr TileShapes kShapes32 = [] {
    TileShapes shapes;
    for (int tile = 0; tile < 3; ++tile) {
        shapes.row_bytes[tile] = tile == kSignedTokens ? 32 : 64;
        shapes.rows[tile] = tile == kSignedWeights ? 8 : kTileRows;
    }
    return shapes;
}();

void enter_signed()
{
    Tiles::set_shapes(kShapes32);
}

// Half a step: a panel with 16 tokens, whose results fit the registers. Loops of 8 are unrolled.
constexpr int kHalf = kTileRows / 2;
using Results32 = F[2][kHalf];
using Sums32 = std::int32_t[kTileRows][kPanelRows];

// Goes through the products of 32 columns: 16 tokens with one panel after the other, then the next 16. Behind
// the last come the first again.
template <bool kMinimum>
class Products32 {
public:
    Products32(const std::uint8_t* signed_panels, std::size_t panels, const ActBlock& block)
        : signed_panels_(signed_panels), panels_(panels), block_(block)
    {
        start_half_step();
    }
    [[gnu::always_inline]] inline void begin_next()
    {
        Tiles::zero<0>();
        Tiles::load<kSignedTokens>(rows_, 32);
        Tiles::load<kSignedWeights>(weights_, 64);
        Tiles::dot_signed<0, kSignedTokens, kSignedWeights>();
        rows_ += 512;
        weights_ += 512;
        if (--left_ > 0) return;
        if (++panel_ == panels_) {
            panel_ = 0;
            token_ += kTileRows;
            if (token_ == block_.tokens) token_ = 0;
        }
        start_half_step();
    }

private:
    [[gnu::always_inline]] inline void start_half_step()
    {
        rows_ = block_.rows + token_ * block_.columns;
        weights_ = signed_panels_ + panel_ * Signed32<kMinimum>::kBytes;
        left_ = block_.columns / 32;
    }
    const std::uint8_t* const signed_panels_;
    const std::size_t panels_;
    const ActBlock& block_;
    std::size_t token_ = 0;
    std::size_t panel_ = 0;
    const std::int8_t* rows_ = nullptr;
    const std::uint8_t* weights_ = nullptr;
    std::size_t left_ = 0;  // of the half step
};

[[gnu::always_inline]] inline void load_results(Results32& acc, const float* results)
{
    JIPHYEON_UNROLL(2)
    for (int half = 0; half < 2; ++half) {
        JIPHYEON_UNROLL(8)
        for (int t = 0; t < kHalf; ++t) acc[half][t] = Lanes::load(results + (half * kHalf + t) * kLanes);
    }
}
[[gnu::always_inline]] inline void store_results(const Results32& acc, float* results)
{
    JIPHYEON_UNROLL(2)
    for (int half = 0; half < 2; ++half) {
        JIPHYEON_UNROLL(8)
        for (int t = 0; t < kHalf; ++t) Lanes::store(results + (half * kHalf + t) * kLanes, acc[half][t]);
    }
}

// scales, totals: of 16 tokens.
template <bool kMinimum>
[[gnu::always_inline]] inline void add_sums(Results32& acc, const Sums32& sums, const std::uint8_t* weights,
                                            std::size_t b, const float* scales, const float* totals)
{
    const F scale = load_floats(weights + Signed32<kMinimum>::kScales + b * 64);
    JIPHYEON_UNROLL(2)
    for (int half = 0; half < 2; ++half) {
        JIPHYEON_UNROLL(8)
        for (int t = 0; t < kHalf; ++t) {
            const int token = half * kHalf + t;
            F value = Lanes::mul(scale, Lanes::to_float(Lanes::load_int(sums[token])));
            if constexpr (kMinimum) {
                const F minimum = load_floats(weights + Signed32<kMinimum>::kMinima + b * 64);
                value = Lanes::fma(minimum, Lanes::set1(totals[token]), value);
            }
            acc[half][t] = Lanes::fma(Lanes::set1(scales[token]), value, acc[half][t]);
        }
    }
}

// While sums become floats, the next ones leave their register and the products of those behind begin.
template <bool kMinimum>
void add_signed_by_tiles(const std::uint8_t* signed_panels, std::size_t panels, const ActBlock& block,
                         bool first, float* results)
{
    const std::size_t of_half_step = block.columns / 32;
    alignas(64) Sums32 both[2];
    Sums32* sums = &both[0];
    Sums32* next = &both[1];
    Products32<kMinimum> products(signed_panels, panels, block);
    products.begin_next();
    Tiles::store<0>(*sums, 64);
    products.begin_next();
    const float* scales = block.scales;
    const float* totals = block.totals;
    for (std::size_t token = 0; token < block.tokens; token += kTileRows) {
        for (std::size_t panel = 0; panel < panels; ++panel) {
            float* const at = results + (token / kStepTokens * panels + panel) * kStepSums +
                              token % kStepTokens * kPanelRows;
            const std::uint8_t* const weights = signed_panels + panel * Signed32<kMinimum>::kBytes;
            Results32 acc;
            load_results(acc, first ? kNothing : at);
            for (std::size_t b = 0; b < of_half_step; ++b) {
                Tiles::store<0>(*next, 64);
                products.begin_next();
                add_sums<kMinimum>(acc, *sums, weights, b, scales + b * kTileRows, totals + b * kTileRows);
                Sums32* const emptied = sums;
                sums = next;
                next = emptied;
            }
            store_results(acc, at);
        }
        scales += of_half_step * kTileRows;
        totals += of_half_step * kTileRows;
    }
}

// A token at a time, as its results lie together.
void take_sums(const float* sums, std::size_t panels, std::size_t padded, std::size_t tokens,
               const TileResult& result)
{
    for (std::size_t t = 0; t < tokens; ++t) {
        float* out = result.out + t * result.stride;
        for (std::size_t first = 0; first < panels; first += 2) {
            const std::size_t of_pair = panels - first < 2 ? 1 : 2;
            const float* from = sums + first * kPanelRows * padded + t / kStepTokens * of_pair * kStepSums +
                                t % kStepTokens * kPanelRows;
            for (std::size_t p = 0; p < of_pair; ++p, from += kStepSums, out += kPanelRows) {
                const F x = Lanes::load(from);
                result.past_caches ? Lanes::store_past_caches(out, x) : Lanes::store(out, x);
            }
        }
    }
}

template <bool kMinimum>
constexpr TileKernels tiles_of_planes(void (*unpack)(const std::uint8_t*, std::size_t, std::uint8_t*))
{
    return {enter_planes, Planes<kMinimum>::kBytes, unpack, add_block_by_tiles<Planes<kMinimum>>};
}
template <typename Source>
constexpr TileKernels tiles_32()
{
    return {enter_signed, Signed32<Source::kMinimum>::kBytes, unpack_signed<Source>,
            add_signed_by_tiles<Source::kMinimum>};
}

// `kernels` with products of blocks by tiles.
constexpr Kernels with_tiles(Kernels kernels)
{
    const auto of = [&](TensorType type) -> TileKernels& {
        return kernels.types[static_cast<std::size_t>(type)].tiles;
    };
    of(TensorType::q4_0) = tiles_32<SourceLinear<false, false>>();
    of(TensorType::q4_1) = tiles_32<SourceLinear<true, false>>();
    of(TensorType::q5_0) = tiles_32<SourceLinear<false, true>>();
    of(TensorType::q5_1) = tiles_32<SourceLinear<true, true>>();
    of(TensorType::q8_0) = tiles_32<SourceQ80>();
    of(TensorType::iq4_nl) = tiles_32<SourceIQ4NL>();
    of(TensorType::mxfp4) = tiles_32<SourceMXFP4>();
    of(TensorType::q4_k) = tiles_of_planes<true>(unpack_planes<SourceK<false>>);
    of(TensorType::q5_k) = tiles_of_planes<true>(unpack_planes<SourceK<true>>);
    of(TensorType::iq4_xs) = tiles_of_planes<false>(unpack_planes<SourceIQ4XS>);
    of(TensorType::q6_k) = tiles_of_planes<false>(unpack_planes_6k);
    kernels.take_sums = take_sums;
    kernels.leave_tiles = leave_tiles;
    return kernels;
}

}  // namespace
}  // namespace jiphyeon
