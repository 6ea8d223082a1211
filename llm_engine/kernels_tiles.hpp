// Products by tile registers, over the `Tiles` of the including file (tiles.hpp) and its `Lanes`: see
// kernels_products.hpp. For the types with a scale per 256 columns; where there is one per 32, the integers
// of a tile would have to become floats eight times as often, and VNNI is as fast.
//
// A tile has no place for the integer scales of sub-blocks, so unpacking multiplies them into the weights.
// The products take at most 14 bits with their sign and lie in two planes of bytes, the low ones unsigned and
// the high ones signed, 16 quads of a panel as the right side of one tile product, the bytes of 12 tokens as
// its left side. Per block of 256 columns 4 products of each plane give two sums for each output, and
//     sum of the low plane + 256 * sum of the high plane
// is the very integer that the other kernels find: both sums and the result stay below 2^28. What follows is
// the same sequence of float operations.
//
// Tile products take long to end, so a block's floats are computed while the tiles are at the next block.
// For that the blocks use two pairs of sums in turn, in registers and in memory.
#pragma once

#include "tiles.hpp"

namespace jiphyeon {
namespace {

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

// kQuad: of the quads of 4 columns of a block.
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
    store_planes<Source>(out, 8 * j + 0, source.template quad<kHigh, 0>(chunk), scale);
    store_planes<Source>(out, 8 * j + 1, source.template quad<kHigh, 1>(chunk), scale);
    store_planes<Source>(out, 8 * j + 2, source.template quad<kHigh, 2>(chunk), scale);
    store_planes<Source>(out, 8 * j + 3, source.template quad<kHigh, 3>(chunk), scale);
    store_planes<Source>(out, 8 * j + 4, source.template quad<kHigh, 4>(chunk), scale);
    store_planes<Source>(out, 8 * j + 5, source.template quad<kHigh, 5>(chunk), scale);
    store_planes<Source>(out, 8 * j + 6, source.template quad<kHigh, 6>(chunk), scale);
    store_planes<Source>(out, 8 * j + 7, source.template quad<kHigh, 7>(chunk), scale);
}

template <typename Source>
void unpack_planes(const std::uint8_t* panel, std::size_t columns, std::uint8_t* out)
{
    Source source;
    for (std::size_t b = 0; b < columns / 256; ++b, out += Planes<Source::kMinimum>::kBytes) {
        source.block(panel + b * Source::kBytes);
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
}

void unpack_planes_6k(const std::uint8_t* panel, std::size_t columns, std::uint8_t* out)
{
    SourceQ6K source;
    for (std::size_t b = 0; b < columns / 256; ++b, out += Planes<false>::kBytes) {
        source.block(panel + b * SourceQ6K::kBytes);
        for (int j = 0; j < 16; ++j) {
            const I scale = source.sub_scale(j);
            store_planes<SourceQ6K>(out, 4 * j + 0, source.quad<0>(j), scale);
            store_planes<SourceQ6K>(out, 4 * j + 1, source.quad<1>(j), scale);
            store_planes<SourceQ6K>(out, 4 * j + 2, source.quad<2>(j), scale);
            store_planes<SourceQ6K>(out, 4 * j + 3, source.quad<3>(j), scale);
        }
        store_floats(out + 8192, source.scale());
    }
}

// Registers 0 to 3 hold sums (2 * pair + plane), 4 tokens, 5 and 6 weights.
constexpr int kTokens = 4;
constexpr int kLowWeights = 5;
constexpr int kHighWeights = 6;

// The shapes serve every number of tokens, as setting them takes as long as the products of a few blocks:
// with fewer than 12 there are sums that nobody reads.
constexpr TileShapes kShapes = [] {
    TileShapes shapes;
    for (const int tile : {0, 1, 2, 3, kTokens, kLowWeights, kHighWeights}) {
        shapes.row_bytes[tile] = 64;
        shapes.rows[tile] = tile <= kTokens ? kTileTokens : kTileQuads;
    }
    return shapes;
}();

void enter_tiles()
{
    Tiles::set_shapes(kShapes);
}

void leave_tiles()
{
    Tiles::release();
}

using TileSums = std::int32_t[2][kTileTokens][kPanelRows];  // by plane

template <int kPair>
[[gnu::always_inline]] inline void dot_block(const std::uint8_t* planes, const std::int8_t* rows,
                                             TileSums& sums)
{
    constexpr int kLowSums = 2 * kPair;
    constexpr int kHighSums = kLowSums + 1;
    Tiles::zero<kLowSums>();
    Tiles::zero<kHighSums>();
    for (int i = 0; i < 4; ++i, planes += 2 * kPlaneBytes, rows += 64) {
        Tiles::load<kTokens>(rows, 256);
        Tiles::load<kLowWeights>(planes, 64);
        Tiles::dot_unsigned<kLowSums, kTokens, kLowWeights>();
        Tiles::load<kHighWeights>(planes + kPlaneBytes, 64);
        Tiles::dot_signed<kHighSums, kTokens, kHighWeights>();
    }
    Tiles::store<kLowSums>(sums[0], 64);
    Tiles::store<kHighSums>(sums[1], 64);
}

template <typename Source, int T>
void product_of_panel(const std::uint8_t* panel, std::size_t columns, const ActTile& tile,
                      const TileResult& result)
{
    const std::size_t blocks = columns / 256;
    alignas(64) TileSums sums[2];  // of even and odd blocks
    F acc[T];
    start_tile(acc, result);
    for (std::size_t b = 0; b <= blocks; ++b) {
        if (b < blocks) {
            const std::uint8_t* const planes = panel + b * Source::kBytes;
            const std::int8_t* const rows = tile.rows + b * 256 * T;
            if (b % 2 == 0) {
                dot_block<0>(planes, rows, sums[0]);
            } else {
                dot_block<1>(planes, rows, sums[1]);
            }
        }
        if (b > 0) {
            const std::size_t before = b - 1;
            const TileSums& of = sums[before % 2];
            Source source;
            source.block(panel + before * Source::kBytes);
            I total[T];
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) {
                total[t] = Lanes::join_planes(Lanes::load_int(of[0][t]), Lanes::load_int(of[1][t]));
            }
            const float* const scales = tile.scales + before * T;
            add_block<T>(acc, source, scales, total, tile.pairs + before * 4 * T);
        }
    }
    store_tile(acc, result);
}

template <typename Source, int T>
void product_tiles(const std::uint8_t* panels, std::size_t columns, const ActTile& tile, TileResult result)
{
    product_of_panel<Source, T>(panels, columns, tile, result);
    result.out += kPanelRows;
    product_of_panel<Source, T>(panels + columns / 256 * Source::kBytes, columns, tile, result);
}

template <typename Source>
constexpr void set_tile_product(TypeKernels& type, void (*unpack)(const std::uint8_t* panel,
                                                                  std::size_t columns, std::uint8_t* out))
{
    type.product_pair = JIPHYEON_BY_TOKENS(product_tiles, Source);
    type.unpack = unpack;
    type.unpacked_bytes_per_256 = Source::kBytes;
}

// `kernels` with products of unpacked panels by tiles.
constexpr Kernels with_tiles(Kernels kernels)
{
    const auto of = [&](TensorType type) -> TypeKernels& {
        return kernels.types[static_cast<std::size_t>(type)];
    };
    set_tile_product<Planes<true>>(of(TensorType::q4_k), unpack_planes<SourceK<false>>);
    set_tile_product<Planes<true>>(of(TensorType::q5_k), unpack_planes<SourceK<true>>);
    set_tile_product<Planes<false>>(of(TensorType::iq4_xs), unpack_planes<SourceIQ4XS>);
    set_tile_product<Planes<false>>(of(TensorType::q6_k), unpack_planes_6k);
    kernels.enter_tiles = enter_tiles;
    kernels.leave_tiles = leave_tiles;
    return kernels;
}

}  // namespace
}  // namespace jiphyeon
