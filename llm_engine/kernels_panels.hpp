// Blocks of weight panels, as stored and unpacked, over the `Lanes` of the including file: see
// kernels_body.hpp. A source reads a block; kernels.hpp has the formulas, quants.hpp the layouts.
// kMaxWeight: the largest byte that quad() gives, or 255 where bytes are signed if Lanes::kSigned8, else
// the stored value + 128.
#pragma once

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

}  // namespace
}  // namespace jiphyeon
