// Products of weight panels (kernels_panels.hpp) with activation tiles, over the `Lanes` of the including
// file: see kernels_body.hpp.
#pragma once

#include "kernels_panels.hpp"

namespace jiphyeon {
namespace {

// Panels as stored come from memory in the order in which they lie there. With several tokens they are used
// up too slowly for the processor to look far enough ahead by itself, so the products ask for what they will
// need: as far ahead as memory takes to answer at its full rate, into the second-level cache, which can wait
// for more lines at once than the first can; and nearer into the first. They ask for a line or none with
// every quad: lines asked for together would wait for each other, and the quads' loads behind them.
constexpr std::size_t kPrefetchAhead = 8192;
constexpr std::size_t kPrefetchNear = 2048;
// Of the lines that lie so far ahead of the kBytes from `at` on, those of part kPart of kParts.
template <std::size_t kBytes, std::size_t kParts, std::size_t kPart>
[[gnu::always_inline]] inline void prefetch_ahead(const std::uint8_t* at)
{
    constexpr std::size_t kLine = 64;
    constexpr std::size_t kFirst = (kPart * kBytes / kParts + kLine - 1) / kLine;
    constexpr std::size_t kPast = ((kPart + 1) * kBytes / kParts + kLine - 1) / kLine;
    if constexpr (kFirst < kPast) {
        // The compiler would put what is asked for together again.
        asm volatile("" ::: "memory");
        JIPHYEON_UNROLL(12)
        for (std::size_t i = kFirst; i < kPast; ++i) {
            __builtin_prefetch(at + kPrefetchAhead + i * kLine, 0, 2);
            __builtin_prefetch(at + kPrefetchNear + i * kLine);
        }
        asm volatile("" ::: "memory");
    }
}

// --- products of a panel with a tile of T tokens -----------------------------------------------------------

template <int T, typename Sub>
[[gnu::always_inline]] inline void dot_tile(Sub (&sub)[T], B weights, const std::int32_t* activations)
{
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) sub[t].dot(weights, activations[t]);
}

// Sums that begin at 0. Lines of results that go through the caches are asked for before they are computed:
// rows of many columns lie in so many pages that stores would wait for each in turn.
template <int T>
[[gnu::always_inline]] inline void start_tile(F (&acc)[T], const TileResult& result)
{
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) acc[t] = Lanes::zero();
    if (result.past_caches) return;
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) __builtin_prefetch(result.row(t), 1);
}

template <int T>
[[gnu::always_inline]] inline void store_tile(const F (&acc)[T], const TileResult& result)
{
    if (result.past_caches) {
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) Lanes::store_past_caches(result.row(t), acc[t]);
    } else {
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) Lanes::store(result.row(t), acc[t]);
    }
}

// Adds a block of 256 columns, of which `total` is the sum, for T of a tile's tokens: acc += scales of the
// tokens * (scale of the weights * total - minimum of the weights * the sum of minima and sums of
// activations).
template <int kTile, int T, typename Source>
[[gnu::always_inline]] inline void add_block(F (&acc)[T], const Source& source, const float* scales,
                                             const I (&total)[T], const std::int32_t* pairs)
{
    F value[T];
    const F scale = source.scale();
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) value[t] = Lanes::mul(scale, Lanes::to_float(total[t]));
    if constexpr (Source::kMinimum) {
        I minima[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) minima[t] = Lanes::zero_int();
        for (int p = 0; p < 4; ++p) {
            const I pair = source.minima_pair(p);
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) minima[t] = Lanes::dot_pair(minima[t], pair, pairs[p * kTile + t]);
        }
        const F minimum = source.minimum();
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) value[t] = Lanes::fnma(minimum, Lanes::to_float(minima[t]), value[t]);
    }
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) acc[t] = Lanes::fma(Lanes::set1(scales[t]), value[t], acc[t]);
}

// The same of a block of 32 columns, of which `sub` is the sum; its minimum counts as often as the sum of the
// activations, a row of the bias.
template <int kTile, int T, typename Source, typename Sub>
[[gnu::always_inline]] inline void add_block_32(F (&acc)[T], const Source& source, const float* scales,
                                                const Sub (&sub)[T], const std::int32_t* bias)
{
    const F scale = source.scale();
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) {
        F value = Lanes::mul(scale, Lanes::to_float(sub[t].finish()));
        if constexpr (Source::kMinimum) {
            const F sum = Lanes::set1(static_cast<float>(bias[kSums * kTile + t]));
            value = Lanes::fma(source.minimum(), sum, value);
        }
        acc[t] = Lanes::fma(Lanes::set1(scales[t]), value, acc[t]);
    }
}

// total += the sums times their scale.
template <int T, typename Sub>
[[gnu::always_inline]] inline void add_scaled(I (&total)[T], const Sub (&sub)[T], I multiplier)
{
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) total[t] = sub[t].add_scaled(total[t], multiplier);
}

// Before quad kQuad of a sub-block of kSubQuads: sums begin with the first one, and when they hold no more
// they are added to the total and begin again. bias: of the sub-block, rows of 8 columns.
template <int kQuad, int kSubQuads, int kTile, typename Source, int T, typename Sub>
[[gnu::always_inline]] inline void begin_sums(I (&total)[T], Sub (&sub)[T], I multiplier,
                                              const std::int32_t* bias)
{
    constexpr int kSumQuads = Sub::kScaledQuads < kSubQuads ? Sub::kScaledQuads : kSubQuads;
    if constexpr (kQuad % kSumQuads == 0) {
        if constexpr (kQuad != 0) add_scaled(total, sub, multiplier);
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) {
            std::int32_t begin = 0;
            if constexpr (Source::kBiasFactor != 0) {
                JIPHYEON_UNROLL(4)
                for (int row = kQuad / 2; row < (kQuad + kSumQuads) / 2; ++row)
                    begin += Source::kBiasFactor * bias[row * kTile + t];
            }
            sub[t].start(begin);
        }
    }
}

template <typename Source, int T>
void product_32(const std::uint8_t* panel, std::size_t columns, const ActTile& tile, const TileResult& result)
{
    using Sub = Lanes::Sub<Source::kMaxWeight>;
    Source source;
    const std::int32_t* quads = tile.quads;
    const std::int32_t* bias = tile.bias;
    const float* scales = tile.scales;
    F acc[T];
    start_tile(acc, result);
    for (std::size_t b = 0; b < columns / 32; ++b) {
        source.block(panel + b * Source::kBytes);
        Sub sub[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) sub[t].start(Source::kBias == kNoBias ? 0 : bias[Source::kBias * T + t]);
        EightQuads::each(JIPHYEON_EACH_QUAD {
            prefetch_ahead<Source::kBytes, 8, kQuad>(source.at);
            dot_tile<T>(sub, source.template quad<kQuad>(), quads + kQuad * T);
        });
        add_block_32<T>(acc, source, scales, sub, bias);
        quads += 8 * T;
        bias += kBiasRows32 * T;
        scales += T;
    }
    store_tile(acc, result);
}

template <int kHigh, int T, typename Source>
[[gnu::always_inline]] inline void sub_block_k(const Source& source, int chunk, const std::int32_t* quads,
                                               const std::int32_t* bias, I (&total)[T])
{
    using Sub = Lanes::Sub<Source::kMaxWeight>;
    Sub sub[T];
    const I multiplier = Sub::multiplier(source.sub_scale(2 * chunk + kHigh));
    const std::uint8_t* const at = source.at + static_cast<std::size_t>(chunk) * (Source::kBytes / 4);
    EightQuads::each(JIPHYEON_EACH_QUAD {
        prefetch_ahead<Source::kBytes / 4, 16, kHigh * 8 + kQuad>(at);
        begin_sums<kQuad, 8, T, Source>(total, sub, multiplier, bias);
        dot_tile<T>(sub, source.template quad<kHigh, kQuad>(chunk), quads + kQuad * T);
    });
    add_scaled(total, sub, multiplier);
}

template <typename Source, int T>
void product_k(const std::uint8_t* panel, std::size_t columns, const ActTile& tile, const TileResult& result)
{
    Source source;
    const std::int32_t* quads = tile.quads;
    const std::int32_t* bias = tile.bias;
    const std::int32_t* const pairs = tile.pairs;
    const float* scales = tile.scales;
    F acc[T];
    start_tile(acc, result);
    for (std::size_t b = 0; b < columns / 256; ++b) {
        source.block(panel + b * Source::kBytes);
        I total[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) total[t] = Lanes::zero_int();
        for (int chunk = 0; chunk < 4; ++chunk) {
            sub_block_k<0, T>(source, chunk, quads, bias, total);
            sub_block_k<1, T>(source, chunk, quads + 8 * T, bias + 4 * T, total);
            quads += 16 * T;
            bias += 8 * T;
        }
        add_block<T>(acc, source, scales, total, pairs + b * 4 * T);
        scales += T;
    }
    store_tile(acc, result);
}

template <typename Source, int T>
void product_6k(const std::uint8_t* panel, std::size_t columns, const ActTile& tile, const TileResult& result)
{
    using Sub = Lanes::Sub<Source::kMaxWeight>;
    Source source;
    const std::int32_t* quads = tile.quads;
    const std::int32_t* bias = tile.bias;
    const float* scales = tile.scales;
    F acc[T];
    start_tile(acc, result);
    for (std::size_t b = 0; b < columns / 256; ++b) {
        source.block(panel + b * Source::kBytes);
        I total[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) total[t] = Lanes::zero_int();
        for (int j = 0; j < 16; ++j) {
            Sub sub[T];
            const I multiplier = Sub::multiplier(source.sub_scale(j));
            const std::uint8_t* const at = source.at + static_cast<std::size_t>(j) * (Source::kBytes / 16);
            FourQuads::each(JIPHYEON_EACH_QUAD {
                prefetch_ahead<Source::kBytes / 16, 4, kQuad>(at);
                begin_sums<kQuad, 4, T, Source>(total, sub, multiplier, bias);
                dot_tile<T>(sub, source.template quad<kQuad>(j), quads + kQuad * T);
            });
            add_scaled(total, sub, multiplier);
            quads += 4 * T;
            bias += 2 * T;
        }
        add_block<T>(acc, source, scales, total, nullptr);
        scales += T;
    }
    store_tile(acc, result);
}

struct ColumnF32 {
    static constexpr std::size_t kBytes = 64;
    static F load(const std::uint8_t* p) { return load_floats(p); }
};
struct ColumnF16 {
    static constexpr std::size_t kBytes = 32;
    static F load(const std::uint8_t* p) { return load_halves(p); }
};
struct ColumnBF16 {
    static constexpr std::size_t kBytes = 32;
    static F load(const std::uint8_t* p)
    {
        return Lanes::load_bfloat(reinterpret_cast<const std::uint16_t*>(p));
    }
};

// columns: a multiple of 4. Six tokens at a time, as each has four accumulators.
template <typename Column, int T>
void product_plain(const std::uint8_t* panel, std::size_t columns, const ActTile& tile,
                   const TileResult& result)
{
    constexpr int kStep = T < 6 ? T : T % 6 == 0 ? 6 : 4;
    for (int first = 0; first < T; first += kStep) {
        F acc[4][kStep];
        for (auto& row : acc) {
            for (F& lane : row) lane = Lanes::zero();
        }
        const float* values = tile.values + first;
        const std::uint8_t* weights = panel;
        for (std::size_t k = 0; k < columns; k += 4) {
            JIPHYEON_UNROLL(4)
            for (int i = 0; i < 4; ++i) {
                const F w = Column::load(weights);
                JIPHYEON_UNROLL(6)
                for (int t = 0; t < kStep; ++t) acc[i][t] = Lanes::fma(w, Lanes::set1(values[t]), acc[i][t]);
                weights += Column::kBytes;
                values += T;
            }
        }
        for (int t = 0; t < kStep; ++t) {
            const F sum = Lanes::add(Lanes::add(acc[0][t], acc[1][t]), Lanes::add(acc[2][t], acc[3][t]));
            Lanes::store(result.row(first + t), sum);
        }
    }
}

// --- products of two unpacked panels with a tile -----------------------------------------------------------

// A processor that multiplies two vectors per cycle loads no more than two, and every quad of a token is a
// load. With two panels it is used twice. Half of a large tile's tokens at a time leave registers for that.
template <int kTile>
constexpr int kAtOnce = kTile > 6 ? kTile / 2 : kTile;

// Block b of both panels, which have so many.
template <typename Source>
[[gnu::always_inline]] inline void set_blocks(Source (&source)[2], const std::uint8_t* panels,
                                              std::size_t blocks, std::size_t b)
{
    source[0].block(panels + b * Source::kBytes);
    source[1].block(panels + (blocks + b) * Source::kBytes);
}

// Sums of both panels for T tokens.
template <typename Sub, int T>
struct PairOfSubs {
    Sub sub[2][T];

    [[gnu::always_inline]] void start(int t, std::int32_t bias)
    {
        sub[0][t].start(bias);
        sub[1][t].start(bias);
    }
    [[gnu::always_inline]] void dot(B first, B second, const std::int32_t* activations)
    {
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) {
            sub[0][t].dot(first, activations[t]);
            sub[1][t].dot(second, activations[t]);
        }
    }
};

// Results of both panels for T tokens from the tile's `first` on.
template <int T>
struct PairOfResults {
    const TileResult of[2];

    PairOfResults(const TileResult& tile, int first)
        : of{{tile.row(first), tile.stride, tile.past_caches},
             {tile.row(first) + kPanelRows, tile.stride, tile.past_caches}}
    {
    }
    [[gnu::always_inline]] void start(F (&acc)[2][T]) const
    {
        start_tile(acc[0], of[0]);
        start_tile(acc[1], of[1]);
    }
    [[gnu::always_inline]] void store(const F (&acc)[2][T]) const
    {
        store_tile(acc[0], of[0]);
        store_tile(acc[1], of[1]);
    }
};

template <typename Source, int kTile>
void pair_32(const std::uint8_t* panels, std::size_t columns, const ActTile& tile, const TileResult& result)
{
    constexpr int T = kAtOnce<kTile>;
    const std::size_t blocks = columns / 32;
    for (int first = 0; first < kTile; first += T) {
        const PairOfResults<T> results(result, first);
        const std::int32_t* quads = tile.quads + first;
        const std::int32_t* bias = tile.bias + first;
        const float* scales = tile.scales + first;
        F acc[2][T];
        results.start(acc);
        for (std::size_t b = 0; b < blocks; ++b) {
            Source source[2];
            set_blocks(source, panels, blocks, b);
            PairOfSubs<Lanes::Sub<Source::kMaxWeight>, T> pair;
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t)
                pair.start(t, Source::kBias == kNoBias ? 0 : bias[Source::kBias * kTile + t]);
            JIPHYEON_UNROLL(8)
            for (int q = 0; q < 8; ++q) pair.dot(source[0].quad(q), source[1].quad(q), quads + q * kTile);
            JIPHYEON_UNROLL(2)
            for (int p = 0; p < 2; ++p) add_block_32<kTile>(acc[p], source[p], scales, pair.sub[p], bias);
            quads += 8 * kTile;
            bias += kBiasRows32 * kTile;
            scales += kTile;
        }
        results.store(acc);
    }
}

template <typename Source, int kTile>
void pair_k(const std::uint8_t* panels, std::size_t columns, const ActTile& tile, const TileResult& result)
{
    constexpr int T = kAtOnce<kTile>;
    using Sub = Lanes::Sub<Source::kMaxWeight>;
    const std::size_t blocks = columns / 256;
    for (int first = 0; first < kTile; first += T) {
        const PairOfResults<T> results(result, first);
        const std::int32_t* quads = tile.quads + first;
        const std::int32_t* bias = tile.bias + first;
        const std::int32_t* pairs = tile.pairs + first;
        const float* scales = tile.scales + first;
        F acc[2][T];
        results.start(acc);
        for (std::size_t b = 0; b < blocks; ++b) {
            Source source[2];
            set_blocks(source, panels, blocks, b);
            I total[2][T];
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) total[0][t] = total[1][t] = Lanes::zero_int();
            for (int j = 0; j < Source::kSubBlocks; ++j) {
                PairOfSubs<Sub, T> pair;
                const I multiplier[2] = {Sub::multiplier(source[0].sub_scale(j)),
                                         Sub::multiplier(source[1].sub_scale(j))};
                Source::SubQuads::each(JIPHYEON_EACH_QUAD {
                    JIPHYEON_UNROLL(2)
                    for (int p = 0; p < 2; ++p) {
                        begin_sums<kQuad, Source::kSubQuads, kTile, Source>(total[p], pair.sub[p],
                                                                            multiplier[p], bias);
                    }
                    pair.dot(source[0].quad(j, kQuad), source[1].quad(j, kQuad), quads + kQuad * kTile);
                });
                JIPHYEON_UNROLL(2)
                for (int p = 0; p < 2; ++p) add_scaled(total[p], pair.sub[p], multiplier[p]);
                quads += Source::kSubQuads * kTile;
                bias += Source::kSubQuads / 2 * kTile;
            }
            JIPHYEON_UNROLL(2)
            for (int p = 0; p < 2; ++p) add_block<kTile>(acc[p], source[p], scales, total[p], pairs);
            pairs += 4 * kTile;
            scales += kTile;
        }
        results.store(acc);
    }
}

#define JIPHYEON_BY_TOKENS(product, source)                                                              \
    [](const std::uint8_t* panels, std::size_t columns, const ActTile& tile, const TileResult& result) { \
        switch (tile.tokens) {                                                                           \
            case 1:                                                                                      \
                return product<source, 1>(panels, columns, tile, result);                                \
            case 2:                                                                                      \
                return product<source, 2>(panels, columns, tile, result);                                \
            case 3:                                                                                      \
                return product<source, 3>(panels, columns, tile, result);                                \
            case 4:                                                                                      \
                return product<source, 4>(panels, columns, tile, result);                                \
            case 6:                                                                                      \
                return product<source, 6>(panels, columns, tile, result);                                \
            case 8:                                                                                      \
                return product<source, 8>(panels, columns, tile, result);                                \
            default:                                                                                     \
                return product<source, 12>(panels, columns, tile, result);                               \
        }                                                                                                \
    }

// --- the table by type -------------------------------------------------------------------------------------

template <typename Column>
constexpr TypeKernels kernels_plain()
{
    return {JIPHYEON_BY_TOKENS(product_plain, Column), nullptr, nullptr, 0};
}

template <typename Source>
constexpr TypeKernels kernels_32()
{
    using Unpacked = Unpacked32Of<Source>;
    return {JIPHYEON_BY_TOKENS(product_32, Source), JIPHYEON_BY_TOKENS(pair_32, Unpacked), unpack_32<Source>,
            8 * Unpacked::kBytes};
}

template <typename Source>
constexpr TypeKernels kernels_k()
{
    using Unpacked = UnpackedKOf<Source>;
    return {JIPHYEON_BY_TOKENS(product_k, Source), JIPHYEON_BY_TOKENS(pair_k, Unpacked), unpack_k<Source>,
            Unpacked::kBytes};
}

constexpr void set_products(Kernels& kernels)
{
    const auto set = [&](TensorType type, TypeKernels of) {
        kernels.types[static_cast<std::size_t>(type)] = of;
    };
    set(TensorType::f32, kernels_plain<ColumnF32>());
    set(TensorType::f16, kernels_plain<ColumnF16>());
    set(TensorType::bf16, kernels_plain<ColumnBF16>());
    set(TensorType::q4_0, kernels_32<SourceLinear<false, false>>());
    set(TensorType::q4_1, kernels_32<SourceLinear<true, false>>());
    set(TensorType::q5_0, kernels_32<SourceLinear<false, true>>());
    set(TensorType::q5_1, kernels_32<SourceLinear<true, true>>());
    set(TensorType::q8_0, kernels_32<SourceQ80>());
    set(TensorType::iq4_nl, kernels_32<SourceIQ4NL>());
    set(TensorType::mxfp4, kernels_32<SourceMXFP4>());
    set(TensorType::q4_k, kernels_k<SourceK<false>>());
    set(TensorType::q5_k, kernels_k<SourceK<true>>());
    set(TensorType::iq4_xs, kernels_k<SourceIQ4XS>());
    set(TensorType::q6_k, {JIPHYEON_BY_TOKENS(product_6k, SourceQ6K), JIPHYEON_BY_TOKENS(pair_k, Unpacked6K),
                           unpack_6k, Unpacked6K::kBytes});
}

}  // namespace
}  // namespace jiphyeon
