// Products of weight panels with activation tiles, over the `Lanes` of the including file: see
// kernels_body.hpp. A source reads a block of a panel; kernels.hpp has the formulas, quants.hpp the layouts.
// kMaxWeight: the largest byte that quad() gives, or 255 where bytes are signed if Lanes::kSigned8, else
// the stored value + 128.
#include "blocks.hpp"

namespace jiphyeon {
namespace {

using F = Lanes::F;
using I = Lanes::I;
using B = Lanes::B;

// Rows of the bias of per_32 activations: offset * -1 times the sum.
constexpr int kNoBias = -1;
constexpr int kBias8 = 0;
constexpr int kBias16 = 1;
constexpr int kBias128 = Lanes::kSigned8 ? kNoBias : 2;
constexpr int kSums = 3;

F load_halves(const std::uint8_t* p)
{
    return Lanes::load_half(reinterpret_cast<const std::uint16_t*>(p));
}
F load_floats(const std::uint8_t* p)
{
    return Lanes::load(reinterpret_cast<const float*>(p));
}
I load_ints(const std::uint8_t* p)
{
    return Lanes::load_int(reinterpret_cast<const std::int32_t*>(p));
}

// The vector of quad kQuad of 8, in 4 vectors of nibbles.
template <int kQuad>
B nibble_quad(const std::uint8_t* nibbles)
{
    const B v = Lanes::load_bytes(nibbles + (kQuad % 4) * 64);
    return kQuad < 4 ? Lanes::low4(v) : Lanes::high4(v);
}

// What nibbles stand for, plus an offset.
struct NibbleTable {
    alignas(16) std::uint8_t bytes[16];
};
constexpr NibbleTable nibble_table(const std::int8_t (&values)[16], int offset)
{
    NibbleTable table{};
    for (std::size_t i = 0; i < 16; ++i) table.bytes[i] = static_cast<std::uint8_t>(values[i] + offset);
    return table;
}
constexpr NibbleTable kNonLinearBytes = nibble_table(kNonLinear4, Lanes::kSigned8 ? 0 : 128);
constexpr NibbleTable kFp4Bytes = nibble_table(kDoubledFp4, 16);

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

// Calls each<kQuad>() for every number, in order: sources give quads by a number known to the compiler.
template <int... kQuads>
struct Quads {
    template <typename Each>
    [[gnu::always_inline]] static void each(const Each& each)
    {
        (each.template operator()<kQuads>(), ...);
    }
};
using FourQuads = Quads<0, 1, 2, 3>;
using EightQuads = Quads<0, 1, 2, 3, 4, 5, 6, 7>;
#define JIPHYEON_EACH_QUAD [&]<int kQuad>() __attribute__((always_inline))

// --- panels as stored -------------------------------------------------------------------------------------

// Q4_0, Q4_1, Q5_0 and Q5_1.
template <bool kHasMinimum, bool kHasFifth>
struct SourceLinear {
    static constexpr std::size_t kFifth = kHasMinimum ? 64 : 32;
    static constexpr std::size_t kNibbles = kHasFifth ? kFifth + 64 : kFifth;
    static constexpr std::size_t kBytes = kNibbles + 256;
    static constexpr int kMaxWeight = kHasFifth ? 31 : 15;
    static constexpr int kBias = kHasMinimum ? kNoBias : kHasFifth ? kBias16 : kBias8;
    static constexpr bool kMinimum = kHasMinimum;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return load_halves(at); }
    F minimum() const { return load_halves(at + 32); }
    template <int kQuad>
    B quad() const
    {
        const B nibbles = nibble_quad<kQuad>(at + kNibbles);
        if constexpr (kHasFifth) return Lanes::or_bit4<kQuad>(nibbles, Lanes::load_bytes(at + kFifth));
        return nibbles;
    }
};

struct SourceQ80 {
    static constexpr std::size_t kBytes = 544;
    static constexpr int kMaxWeight = 255;
    static constexpr int kBias = kBias128;
    static constexpr bool kMinimum = false;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return load_halves(at); }
    template <int kQuad>
    B quad() const
    {
        const B v = Lanes::load_bytes(at + 32 + kQuad * 64);
        return Lanes::kSigned8 ? v : Lanes::flip_sign(v);
    }
};

struct SourceIQ4NL {
    static constexpr std::size_t kBytes = 288;
    static constexpr int kMaxWeight = 255;
    static constexpr int kBias = kBias128;
    static constexpr bool kMinimum = false;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return load_halves(at); }
    template <int kQuad>
    B quad() const
    {
        return Lanes::look_up(kNonLinearBytes.bytes, nibble_quad<kQuad>(at + 32));
    }
};

struct SourceMXFP4 {
    static constexpr std::size_t kBytes = 272;
    static constexpr int kMaxWeight = 31;
    static constexpr int kBias = kBias16;
    static constexpr bool kMinimum = false;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return Lanes::load_powers(at); }
    template <int kQuad>
    B quad() const
    {
        return Lanes::look_up(kFp4Bytes.bytes, nibble_quad<kQuad>(at + 16));
    }
};

// Q4_K and Q5_K.
template <bool kHasFifth>
struct SourceK {
    static constexpr std::size_t kNibbles = kHasFifth ? 768 : 256;
    static constexpr std::size_t kBytes = kNibbles + 2048;
    static constexpr int kMaxWeight = kHasFifth ? 31 : 15;
    static constexpr std::int32_t kBiasFactor = 0;
    static constexpr bool kMinimum = true;
    const std::uint8_t* at = nullptr;
    alignas(64) std::uint8_t scales[8][16];
    alignas(64) std::uint8_t minima[8][16];
    void block(const std::uint8_t* p)
    {
        at = p;
        Lanes::unpack_6bit(p + 64, scales[0], minima[0]);
    }
    F scale() const { return load_halves(at); }
    F minimum() const { return load_halves(at + 32); }
    I sub_scale(int j) const { return Lanes::load_u8(scales[j]); }
    I minima_pair(int p) const
    {
        return Lanes::join16(Lanes::load_u8(minima[2 * p]), Lanes::load_u8(minima[2 * p + 1]));
    }
    template <int kHigh, int kQuad>
    B quad(int chunk) const
    {
        const B v = Lanes::load_bytes(at + kNibbles + (chunk * 8 + kQuad) * 64);
        const B nibbles = kHigh ? Lanes::high4(v) : Lanes::low4(v);
        if constexpr (kHasFifth) {
            return Lanes::or_bit4<kQuad>(nibbles, Lanes::load_bytes(at + 256 + (2 * chunk + kHigh) * 64));
        }
        return nibbles;
    }
};

struct SourceIQ4XS {
    using Bytes16 [[gnu::vector_size(16)]] = std::uint8_t;
    static constexpr std::size_t kBytes = 2176;
    static constexpr int kMaxWeight = 255;
    static constexpr std::int32_t kBiasFactor = Lanes::kSigned8 ? 0 : 4;  // -32 to -128
    static constexpr bool kMinimum = false;
    const std::uint8_t* at = nullptr;
    alignas(64) std::int8_t scales[8][16];
    void block(const std::uint8_t* p)
    {
        at = p;
        Bytes16 stored[6];
        __builtin_memcpy(stored, p + 32, sizeof stored);
        JIPHYEON_UNROLL(8)
        for (unsigned j = 0; j < 8; ++j) {
            const Bytes16 high = stored[j / 4] >> static_cast<std::uint8_t>(j % 4 * 2) & 3;
            const Bytes16 low = stored[2 + j / 2] >> static_cast<std::uint8_t>(j % 2 * 4) & 15;
            const Bytes16 scale = (high << 4 | low) - 32;
            __builtin_memcpy(scales[j], &scale, sizeof scale);
        }
    }
    F scale() const { return load_halves(at); }
    I sub_scale(int j) const { return Lanes::load_s8(scales[j]); }
    template <int kHigh, int kQuad>
    B quad(int chunk) const
    {
        const std::uint8_t* const nibbles = at + 128 + (2 * chunk + kHigh) * 256;
        return Lanes::look_up(kNonLinearBytes.bytes, nibble_quad<kQuad>(nibbles));
    }
};

struct SourceQ6K {
    static constexpr std::size_t kBytes = 3360;
    static constexpr int kMaxWeight = 63;
    static constexpr std::int32_t kBiasFactor = 1;
    static constexpr bool kMinimum = false;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return load_halves(at); }
    I sub_scale(int j) const
    {
        return Lanes::load_s8(reinterpret_cast<const std::int8_t*>(at + 32 + j * 16));
    }
    template <int kQuad>
    B quad(int j) const
    {
        const std::uint8_t* const p = at + 288 + j * 192;
        const B low = Lanes::load_bytes(p + (kQuad / 2) * 64);
        return Lanes::or_bits45<kQuad>(kQuad % 2 ? Lanes::high4(low) : Lanes::low4(low),
                                       Lanes::load_bytes(p + 128));
    }
};

// --- panels unpacked: bytes ready to multiply, scales ready to use ---------------------------------------

template <int kMax, int kBiasRow, bool kHasMinimum>
struct Unpacked32 {
    static constexpr std::size_t kBytes = kHasMinimum ? 640 : 576;
    static constexpr int kMaxWeight = kMax;
    static constexpr int kBias = kBiasRow;
    static constexpr bool kMinimum = kHasMinimum;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return load_floats(at + 512); }
    F minimum() const { return load_floats(at + 576); }
    B quad(int q) const { return Lanes::load_bytes(at + q * 64); }
};

// kQuads: of a sub-block.
template <int kMax, int kQuads, std::int32_t kFactor, bool kHasMinimum>
struct UnpackedK {
    static constexpr int kSubQuads = kQuads;
    using SubQuads = std::conditional_t<kQuads == 4, FourQuads, EightQuads>;
    static constexpr int kSubBlocks = 64 / kQuads;
    static constexpr std::size_t kScale = 4096 + kSubBlocks * 64;
    static constexpr std::size_t kBytes = kScale + (kHasMinimum ? 384 : 64);
    static constexpr int kMaxWeight = kMax;
    static constexpr std::int32_t kBiasFactor = kFactor;
    static constexpr bool kMinimum = kHasMinimum;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    I sub_scale(int j) const { return load_ints(at + 4096 + j * 64); }
    F scale() const { return load_floats(at + kScale); }
    F minimum() const { return load_floats(at + kScale + 64); }
    I minima_pair(int p) const { return load_ints(at + kScale + 128 + p * 64); }
    B quad(int j, int q) const { return Lanes::load_bytes(at + (j * kQuads + q) * 64); }
};

template <typename Source>
using Unpacked32Of = Unpacked32<Source::kMaxWeight, Source::kBias, Source::kMinimum>;
template <typename Source>
using UnpackedKOf = UnpackedK<Source::kMaxWeight, 8, Source::kBiasFactor, Source::kMinimum>;
using Unpacked6K = UnpackedK<SourceQ6K::kMaxWeight, 4, SourceQ6K::kBiasFactor, false>;

void store_floats(std::uint8_t* p, F x)
{
    Lanes::store(reinterpret_cast<float*>(p), x);
}
void store_ints(std::uint8_t* p, I x)
{
    Lanes::store_int(reinterpret_cast<std::int32_t*>(p), x);
}

template <typename Source>
void unpack_32(const std::uint8_t* panel, std::size_t columns, std::uint8_t* out)
{
    Source source;
    for (std::size_t b = 0; b < columns / 32; ++b, out += Unpacked32Of<Source>::kBytes) {
        source.block(panel + b * Source::kBytes);
        EightQuads::each(
            JIPHYEON_EACH_QUAD { Lanes::store_bytes(out + kQuad * 64, source.template quad<kQuad>()); });
        store_floats(out + 512, source.scale());
        if constexpr (Source::kMinimum) store_floats(out + 576, source.minimum());
    }
}

template <int kHigh, typename Source>
void unpack_k_half(const Source& source, int chunk, std::uint8_t* out)
{
    out += (2 * chunk + kHigh) * 512;
    EightQuads::each(JIPHYEON_EACH_QUAD {
        Lanes::store_bytes(out + kQuad * 64, source.template quad<kHigh, kQuad>(chunk));
    });
}

template <typename Source>
void unpack_k(const std::uint8_t* panel, std::size_t columns, std::uint8_t* out)
{
    Source source;
    for (std::size_t b = 0; b < columns / 256; ++b, out += UnpackedKOf<Source>::kBytes) {
        source.block(panel + b * Source::kBytes);
        for (int chunk = 0; chunk < 4; ++chunk) {
            unpack_k_half<0>(source, chunk, out);
            unpack_k_half<1>(source, chunk, out);
        }
        for (int j = 0; j < 8; ++j) store_ints(out + 4096 + j * 64, source.sub_scale(j));
        std::uint8_t* const scale = out + UnpackedKOf<Source>::kScale;
        store_floats(scale, source.scale());
        if constexpr (Source::kMinimum) {
            store_floats(scale + 64, source.minimum());
            for (int p = 0; p < 4; ++p) store_ints(scale + 128 + p * 64, source.minima_pair(p));
        }
    }
}

void unpack_6k(const std::uint8_t* panel, std::size_t columns, std::uint8_t* out)
{
    SourceQ6K source;
    for (std::size_t b = 0; b < columns / 256; ++b, out += Unpacked6K::kBytes) {
        source.block(panel + b * SourceQ6K::kBytes);
        for (int j = 0; j < 16; ++j) {
            FourQuads::each(JIPHYEON_EACH_QUAD {
                Lanes::store_bytes(out + (j * 4 + kQuad) * 64, source.quad<kQuad>(j));
            });
            store_ints(out + 4096 + j * 64, source.sub_scale(j));
        }
        store_floats(out + Unpacked6K::kScale, source.scale());
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
