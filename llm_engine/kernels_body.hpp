// The kernels over `Lanes`, a struct of the including file that gives vectors of 16 lanes: F (float), I
// (int32) and B (64 bytes, 16 quads). Included once by each kernels_<isa>.cpp, which is compiled with its own
// -m flags. Everything here has internal linkage and calls no library function: an inline function shared
// with other files could otherwise end up in the program in a version that older processors cannot run.

namespace jiphyeon {
namespace {

using F = Lanes::F;
using I = Lanes::I;
using B = Lanes::B;

// --- panels as stored -------------------------------------------------------------------------------------

struct SourceQ40 {
    static constexpr std::size_t kBytes = 288;
    static constexpr int kMaxWeight = 15;
    static constexpr int kBias = 0;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return Lanes::load_half(reinterpret_cast<const std::uint16_t*>(at)); }
    template <int kQuad>
    B quad() const
    {
        const B v = Lanes::load_bytes(at + 32 + (kQuad % 4) * 64);
        return kQuad < 4 ? Lanes::low4(v) : Lanes::high4(v);
    }
};

struct SourceQ50 {
    static constexpr std::size_t kBytes = 352;
    static constexpr int kMaxWeight = 31;
    static constexpr int kBias = 1;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return Lanes::load_half(reinterpret_cast<const std::uint16_t*>(at)); }
    template <int kQuad>
    B quad() const
    {
        const B v = Lanes::load_bytes(at + 96 + (kQuad % 4) * 64);
        const B high = Lanes::load_bytes(at + 32);
        return Lanes::or_bit4<kQuad>(kQuad < 4 ? Lanes::low4(v) : Lanes::high4(v), high);
    }
};

struct SourceQ80 {
    static constexpr std::size_t kBytes = 544;
    static constexpr int kMaxWeight = 255;
    static constexpr int kBias = Lanes::kSigned8 ? -1 : 2;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return Lanes::load_half(reinterpret_cast<const std::uint16_t*>(at)); }
    template <int kQuad>
    B quad() const
    {
        const B v = Lanes::load_bytes(at + 32 + kQuad * 64);
        return Lanes::kSigned8 ? v : Lanes::flip_sign(v);
    }
};

struct SourceQ4K {
    static constexpr std::size_t kBytes = 2304;
    const std::uint8_t* at = nullptr;
    alignas(64) std::uint8_t scales[8][16];
    alignas(64) std::uint8_t minima[8][16];
    void block(const std::uint8_t* p)
    {
        at = p;
        Lanes::unpack_6bit(p + 64, scales[0], minima[0]);
    }
    F scale() const { return Lanes::load_half(reinterpret_cast<const std::uint16_t*>(at)); }
    F minimum() const { return Lanes::load_half(reinterpret_cast<const std::uint16_t*>(at + 32)); }
    I sub_scale(int j) const { return Lanes::load_u8(scales[j]); }
    I minima_pair(int p) const
    {
        return Lanes::join16(Lanes::load_u8(minima[2 * p]), Lanes::load_u8(minima[2 * p + 1]));
    }
    template <int kHigh, int kQuad>
    B quad(int chunk) const
    {
        const B v = Lanes::load_bytes(at + 256 + (chunk * 8 + kQuad) * 64);
        return kHigh ? Lanes::high4(v) : Lanes::low4(v);
    }
};

struct SourceQ6K {
    static constexpr std::size_t kBytes = 3360;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return Lanes::load_half(reinterpret_cast<const std::uint16_t*>(at)); }
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

template <int kMax, int kBiasRow>
struct Unpacked32 {
    static constexpr std::size_t kBytes = 576;
    static constexpr int kMaxWeight = kMax;
    static constexpr int kBias = kBiasRow;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return Lanes::load(reinterpret_cast<const float*>(at + 512)); }
    template <int kQuad>
    B quad() const
    {
        return Lanes::load_bytes(at + kQuad * 64);
    }
};

struct Unpacked4K {
    static constexpr std::size_t kBytes = 4992;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return Lanes::load(reinterpret_cast<const float*>(at + 4864)); }
    F minimum() const { return Lanes::load(reinterpret_cast<const float*>(at + 4928)); }
    I sub_scale(int j) const
    {
        return Lanes::load_int(reinterpret_cast<const std::int32_t*>(at + 4096 + j * 64));
    }
    I minima_pair(int p) const
    {
        return Lanes::load_int(reinterpret_cast<const std::int32_t*>(at + 4608 + p * 64));
    }
    template <int kHigh, int kQuad>
    B quad(int chunk) const
    {
        return Lanes::load_bytes(at + ((2 * chunk + kHigh) * 8 + kQuad) * 64);
    }
};

struct Unpacked6K {
    static constexpr std::size_t kBytes = 5184;
    const std::uint8_t* at = nullptr;
    void block(const std::uint8_t* p) { at = p; }
    F scale() const { return Lanes::load(reinterpret_cast<const float*>(at + 5120)); }
    I sub_scale(int j) const
    {
        return Lanes::load_int(reinterpret_cast<const std::int32_t*>(at + 4096 + j * 64));
    }
    template <int kQuad>
    B quad(int j) const
    {
        return Lanes::load_bytes(at + (j * 4 + kQuad) * 64);
    }
};

template <typename Source>
void unpack_32(const std::uint8_t* panel, std::size_t columns, std::uint8_t* out)
{
    Source source;
    for (std::size_t b = 0; b < columns / 32; ++b, out += 576) {
        source.block(panel + b * Source::kBytes);
        Lanes::store_bytes(out + 0, source.template quad<0>());
        Lanes::store_bytes(out + 64, source.template quad<1>());
        Lanes::store_bytes(out + 128, source.template quad<2>());
        Lanes::store_bytes(out + 192, source.template quad<3>());
        Lanes::store_bytes(out + 256, source.template quad<4>());
        Lanes::store_bytes(out + 320, source.template quad<5>());
        Lanes::store_bytes(out + 384, source.template quad<6>());
        Lanes::store_bytes(out + 448, source.template quad<7>());
        Lanes::store(reinterpret_cast<float*>(out + 512), source.scale());
    }
}

template <int kHigh>
void unpack_4k_half(const SourceQ4K& source, int chunk, std::uint8_t* out)
{
    out += (2 * chunk + kHigh) * 512;
    Lanes::store_bytes(out + 0, source.quad<kHigh, 0>(chunk));
    Lanes::store_bytes(out + 64, source.quad<kHigh, 1>(chunk));
    Lanes::store_bytes(out + 128, source.quad<kHigh, 2>(chunk));
    Lanes::store_bytes(out + 192, source.quad<kHigh, 3>(chunk));
    Lanes::store_bytes(out + 256, source.quad<kHigh, 4>(chunk));
    Lanes::store_bytes(out + 320, source.quad<kHigh, 5>(chunk));
    Lanes::store_bytes(out + 384, source.quad<kHigh, 6>(chunk));
    Lanes::store_bytes(out + 448, source.quad<kHigh, 7>(chunk));
}

void unpack_4k(const std::uint8_t* panel, std::size_t columns, std::uint8_t* out)
{
    SourceQ4K source;
    for (std::size_t b = 0; b < columns / 256; ++b, out += Unpacked4K::kBytes) {
        source.block(panel + b * SourceQ4K::kBytes);
        for (int chunk = 0; chunk < 4; ++chunk) {
            unpack_4k_half<0>(source, chunk, out);
            unpack_4k_half<1>(source, chunk, out);
        }
        for (int j = 0; j < 8; ++j) {
            Lanes::store_int(reinterpret_cast<std::int32_t*>(out + 4096 + j * 64), source.sub_scale(j));
        }
        for (int p = 0; p < 4; ++p) {
            Lanes::store_int(reinterpret_cast<std::int32_t*>(out + 4608 + p * 64), source.minima_pair(p));
        }
        Lanes::store(reinterpret_cast<float*>(out + 4864), source.scale());
        Lanes::store(reinterpret_cast<float*>(out + 4928), source.minimum());
    }
}

void unpack_6k(const std::uint8_t* panel, std::size_t columns, std::uint8_t* out)
{
    SourceQ6K source;
    for (std::size_t b = 0; b < columns / 256; ++b, out += Unpacked6K::kBytes) {
        source.block(panel + b * SourceQ6K::kBytes);
        for (int j = 0; j < 16; ++j) {
            Lanes::store_bytes(out + (j * 4 + 0) * 64, source.quad<0>(j));
            Lanes::store_bytes(out + (j * 4 + 1) * 64, source.quad<1>(j));
            Lanes::store_bytes(out + (j * 4 + 2) * 64, source.quad<2>(j));
            Lanes::store_bytes(out + (j * 4 + 3) * 64, source.quad<3>(j));
            Lanes::store_int(reinterpret_cast<std::int32_t*>(out + 4096 + j * 64), source.sub_scale(j));
        }
        Lanes::store(reinterpret_cast<float*>(out + 5120), source.scale());
    }
}

// --- products of a panel with a tile of T tokens -----------------------------------------------------------

template <int T, typename Sub>
[[gnu::always_inline]] inline void dot_tile(Sub (&sub)[T], B weights, const std::int32_t* activations)
{
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) sub[t].dot(weights, activations[t]);
}

template <typename Source, int T>
void product_32(const std::uint8_t* panel, std::size_t columns, const ActTile& tile, float* out,
                std::size_t stride)
{
    using Sub = Lanes::Sub<Source::kMaxWeight>;
    Source source;
    const std::int32_t* quads = tile.quads;
    const std::int32_t* bias = tile.bias + (Source::kBias > 0 ? Source::kBias * T : 0);
    const float* scales = tile.scales;
    F acc[T];
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) acc[t] = Lanes::zero();
    for (std::size_t b = 0; b < columns / 32; ++b) {
        source.block(panel + b * Source::kBytes);
        Sub sub[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) sub[t].start(Source::kBias < 0 ? 0 : bias[t]);
        dot_tile<T>(sub, source.template quad<0>(), quads + 0 * T);
        dot_tile<T>(sub, source.template quad<1>(), quads + 1 * T);
        dot_tile<T>(sub, source.template quad<2>(), quads + 2 * T);
        dot_tile<T>(sub, source.template quad<3>(), quads + 3 * T);
        dot_tile<T>(sub, source.template quad<4>(), quads + 4 * T);
        dot_tile<T>(sub, source.template quad<5>(), quads + 5 * T);
        dot_tile<T>(sub, source.template quad<6>(), quads + 6 * T);
        dot_tile<T>(sub, source.template quad<7>(), quads + 7 * T);
        const F scale = source.scale();
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) {
            const F d = Lanes::mul(scale, Lanes::set1(scales[t]));
            acc[t] = Lanes::fma(d, Lanes::to_float(sub[t].finish()), acc[t]);
        }
        quads += 8 * T;
        bias += 3 * T;
        scales += T;
    }
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) Lanes::store(out + static_cast<std::size_t>(t) * stride, acc[t]);
}

template <int kHigh, int T, typename Source>
[[gnu::always_inline]] inline void sub_block_4k(const Source& source, int chunk, const std::int32_t* quads,
                                                I (&total)[T])
{
    using Sub = Lanes::Sub<15>;
    Sub sub[T];
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) sub[t].start(0);
    dot_tile<T>(sub, source.template quad<kHigh, 0>(chunk), quads + 0 * T);
    dot_tile<T>(sub, source.template quad<kHigh, 1>(chunk), quads + 1 * T);
    dot_tile<T>(sub, source.template quad<kHigh, 2>(chunk), quads + 2 * T);
    dot_tile<T>(sub, source.template quad<kHigh, 3>(chunk), quads + 3 * T);
    dot_tile<T>(sub, source.template quad<kHigh, 4>(chunk), quads + 4 * T);
    dot_tile<T>(sub, source.template quad<kHigh, 5>(chunk), quads + 5 * T);
    dot_tile<T>(sub, source.template quad<kHigh, 6>(chunk), quads + 6 * T);
    dot_tile<T>(sub, source.template quad<kHigh, 7>(chunk), quads + 7 * T);
    const I scale = source.sub_scale(2 * chunk + kHigh);
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) total[t] = Lanes::add_int(total[t], Lanes::mul_int(sub[t].finish(), scale));
}

template <typename Source, int T>
void product_4k(const std::uint8_t* panel, std::size_t columns, const ActTile& tile, float* out,
                std::size_t stride)
{
    Source source;
    const std::int32_t* quads = tile.quads;
    const std::int32_t* pairs = tile.pairs;
    const float* scales = tile.scales;
    F acc[T];
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) acc[t] = Lanes::zero();
    for (std::size_t b = 0; b < columns / 256; ++b) {
        source.block(panel + b * Source::kBytes);
        I total[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) total[t] = Lanes::zero_int();
        for (int chunk = 0; chunk < 4; ++chunk) {
            sub_block_4k<0, T>(source, chunk, quads, total);
            sub_block_4k<1, T>(source, chunk, quads + 8 * T, total);
            quads += 16 * T;
        }
        const F scale = source.scale();
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) {
            const F d = Lanes::mul(scale, Lanes::set1(scales[t]));
            acc[t] = Lanes::fma(d, Lanes::to_float(total[t]), acc[t]);
            total[t] = Lanes::zero_int();
        }
        for (int p = 0; p < 4; ++p) {
            const I minima = source.minima_pair(p);
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) total[t] = Lanes::dot_pair(total[t], minima, pairs[t]);
            pairs += T;
        }
        const F minimum = source.minimum();
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) {
            const F d = Lanes::mul(minimum, Lanes::set1(scales[t]));
            acc[t] = Lanes::fnma(d, Lanes::to_float(total[t]), acc[t]);
        }
        scales += T;
    }
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) Lanes::store(out + static_cast<std::size_t>(t) * stride, acc[t]);
}

template <typename Source, int T>
void product_6k(const std::uint8_t* panel, std::size_t columns, const ActTile& tile, float* out,
                std::size_t stride)
{
    using Sub = Lanes::Sub<63>;
    Source source;
    const std::int32_t* quads = tile.quads;
    const std::int32_t* bias = tile.bias;
    const float* scales = tile.scales;
    F acc[T];
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) acc[t] = Lanes::zero();
    for (std::size_t b = 0; b < columns / 256; ++b) {
        source.block(panel + b * Source::kBytes);
        I total[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) total[t] = Lanes::zero_int();
        for (int j = 0; j < 16; ++j) {
            Sub sub[T];
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) sub[t].start(bias[t]);
            dot_tile<T>(sub, source.template quad<0>(j), quads + 0 * T);
            dot_tile<T>(sub, source.template quad<1>(j), quads + 1 * T);
            dot_tile<T>(sub, source.template quad<2>(j), quads + 2 * T);
            dot_tile<T>(sub, source.template quad<3>(j), quads + 3 * T);
            const I scale = source.sub_scale(j);
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) {
                total[t] = Lanes::add_int(total[t], Lanes::mul_int(sub[t].finish(), scale));
            }
            quads += 4 * T;
            bias += T;
        }
        const F scale = source.scale();
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) {
            const F d = Lanes::mul(scale, Lanes::set1(scales[t]));
            acc[t] = Lanes::fma(d, Lanes::to_float(total[t]), acc[t]);
        }
        scales += T;
    }
    JIPHYEON_UNROLL(12)
    for (int t = 0; t < T; ++t) Lanes::store(out + static_cast<std::size_t>(t) * stride, acc[t]);
}

struct ColumnF32 {
    static constexpr std::size_t kBytes = 64;
    static F load(const std::uint8_t* p) { return Lanes::load(reinterpret_cast<const float*>(p)); }
};
struct ColumnF16 {
    static constexpr std::size_t kBytes = 32;
    static F load(const std::uint8_t* p)
    {
        return Lanes::load_half(reinterpret_cast<const std::uint16_t*>(p));
    }
};

// columns: a multiple of 4. Six tokens at a time, as each has four accumulators.
template <typename Column, int T>
void product_plain(const std::uint8_t* panel, std::size_t columns, const ActTile& tile, float* out,
                   std::size_t stride)
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
            Lanes::store(out + static_cast<std::size_t>(first + t) * stride, sum);
        }
    }
}

#define JIPHYEON_BY_TOKENS(product, source)                                             \
    [](const std::uint8_t* panel, std::size_t columns, const ActTile& tile, float* out, \
       std::size_t stride) {                                                            \
        switch (tile.tokens) {                                                          \
            case 1:                                                                     \
                return product<source, 1>(panel, columns, tile, out, stride);           \
            case 2:                                                                     \
                return product<source, 2>(panel, columns, tile, out, stride);           \
            case 3:                                                                     \
                return product<source, 3>(panel, columns, tile, out, stride);           \
            case 4:                                                                     \
                return product<source, 4>(panel, columns, tile, out, stride);           \
            case 6:                                                                     \
                return product<source, 6>(panel, columns, tile, out, stride);           \
            case 8:                                                                     \
                return product<source, 8>(panel, columns, tile, out, stride);           \
            default:                                                                    \
                return product<source, 12>(panel, columns, tile, out, stride);          \
        }                                                                               \
    }

// --- activations -------------------------------------------------------------------------------------------

// Adding 1.5 * 2^23 rounds to the nearest integer, ties to even, and leaves it in the low bits.
constexpr float kRounder = 12582912.0f;

float largest_magnitude(const float* x, std::size_t n)
{
    F largest = Lanes::zero();
    for (std::size_t i = 0; i < n; i += 16) largest = Lanes::max(largest, Lanes::abs(Lanes::load(x + i)));
    return Lanes::reduce_max(largest);
}

// Integers of a block and their sums by 16.
void round_block(const float* x, std::size_t n, float inverse, std::int8_t* out, std::int32_t* sums)
{
    for (std::size_t i = 0; i < n; i += 16) {
        const F scaled = Lanes::mul(Lanes::load(x + i), Lanes::set1(inverse));
        Lanes::store_low_bytes(out + i, Lanes::add(scaled, Lanes::set1(kRounder)));
        std::int32_t sum = 0;
        for (int k = 0; k < 16; ++k) sum += out[i + static_cast<std::size_t>(k)];
        sums[i / 16] = sum;
    }
}

void scatter_quads(const std::int8_t* bytes, std::size_t n, const ActTileOut& out, std::size_t first)
{
    for (std::size_t i = 0; i < n / 4; ++i) {
        std::int32_t quad;
        __builtin_memcpy(&quad, bytes + 4 * i, 4);
        out.quads[(first / 4 + i) * out.tokens + out.at] = quad;
    }
}

void quantize_32(const float* x, std::size_t columns, const ActTileOut& out)
{
    alignas(64) std::int8_t bytes[32];
    std::int32_t sums[2];
    for (std::size_t b = 0; b < columns / 32; ++b) {
        const float largest = largest_magnitude(x + 32 * b, 32);
        round_block(x + 32 * b, 32, largest > 0 ? 127.0f / largest : 0.0f, bytes, sums);
        scatter_quads(bytes, 32, out, 32 * b);
        const std::int32_t sum = sums[0] + sums[1];
        std::int32_t* const bias = out.bias + b * 3 * out.tokens + out.at;
        bias[0] = -8 * sum;
        bias[out.tokens] = -16 * sum;
        bias[2 * out.tokens] = -128 * sum;
        out.scales[b * out.tokens + out.at] = largest / 127.0f;
    }
}

void quantize_256(const float* x, std::size_t columns, const ActTileOut& out)
{
    alignas(64) std::int8_t bytes[256];
    std::int32_t sums[16];
    for (std::size_t b = 0; b < columns / 256; ++b) {
        const float largest = largest_magnitude(x + 256 * b, 256);
        round_block(x + 256 * b, 256, largest > 0 ? 127.0f / largest : 0.0f, bytes, sums);
        scatter_quads(bytes, 256, out, 256 * b);
        for (std::size_t j = 0; j < 16; ++j) out.bias[(b * 16 + j) * out.tokens + out.at] = -32 * sums[j];
        for (std::size_t p = 0; p < 4; ++p) {
            const std::int32_t even = sums[4 * p] + sums[4 * p + 1];
            const std::int32_t odd = sums[4 * p + 2] + sums[4 * p + 3];
            out.pairs[(b * 4 + p) * out.tokens + out.at] = static_cast<std::int32_t>(
                (static_cast<std::uint32_t>(odd) << 16) | (static_cast<std::uint32_t>(even) & 0xffffu));
        }
        out.scales[b * out.tokens + out.at] = largest / 127.0f;
    }
}

// --- functions ---------------------------------------------------------------------------------------------

// e^x, error below 2 ulp; exactly 1 at 0, exactly 0 below -87.3, and no more than e^88 above.
[[gnu::always_inline]] inline F exp_lanes(F x)
{
    const F clamped = Lanes::min(x, Lanes::set1(88.0f));
    const F t = Lanes::fma(clamped, Lanes::set1(1.44269504088896341f), Lanes::set1(kRounder));
    const F n = Lanes::sub(t, Lanes::set1(kRounder));
    F r = Lanes::fnma(n, Lanes::set1(0.693359375f), clamped);
    r = Lanes::fnma(n, Lanes::set1(-2.12194440e-4f), r);
    F p = Lanes::set1(1.9875691500e-4f);
    p = Lanes::fma(p, r, Lanes::set1(1.3981999507e-3f));
    p = Lanes::fma(p, r, Lanes::set1(8.3334519073e-3f));
    p = Lanes::fma(p, r, Lanes::set1(4.1665795894e-2f));
    p = Lanes::fma(p, r, Lanes::set1(1.6666665459e-1f));
    p = Lanes::fma(p, r, Lanes::set1(5.0000001201e-1f));
    const F y = Lanes::add(Lanes::fma(p, Lanes::mul(r, r), r), Lanes::set1(1.0f));
    return Lanes::zero_below(x, Lanes::set1(-87.3f), Lanes::scale_by_power(y, t));
}

float exp_one(float x)
{
    alignas(64) float lanes[16];
    Lanes::store(lanes, exp_lanes(Lanes::set1(x)));
    return lanes[0];
}

float square_root(float x)
{
    alignas(64) float lanes[16];
    Lanes::store(lanes, Lanes::sqrt(Lanes::set1(x)));
    return lanes[0];
}

float sum_of_squares(const float* x, std::size_t n)
{
    F sum = Lanes::zero();
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::load(x + i);
        sum = Lanes::fma(v, v, sum);
    }
    return Lanes::reduce_add(sum);
}

void rms_norm(const float* x, const float* weight, std::size_t n, float epsilon, float* out)
{
    const float mean = sum_of_squares(x, n) / static_cast<float>(n);
    const F scale = Lanes::set1(1.0f / square_root(mean + epsilon));
    for (std::size_t i = 0; i < n; i += 16) {
        Lanes::store(out + i, Lanes::mul(Lanes::mul(Lanes::load(x + i), scale), Lanes::load(weight + i)));
    }
}

void layer_norm(const float* x, const float* weight, const float* bias, std::size_t n, float epsilon,
                float* out)
{
    F sum = Lanes::zero();
    for (std::size_t i = 0; i < n; i += 16) sum = Lanes::add(sum, Lanes::load(x + i));
    const F mean = Lanes::set1(Lanes::reduce_add(sum) / static_cast<float>(n));
    F squares = Lanes::zero();
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::sub(Lanes::load(x + i), mean);
        squares = Lanes::fma(v, v, squares);
    }
    const float variance = Lanes::reduce_add(squares) / static_cast<float>(n);
    const F scale = Lanes::set1(1.0f / square_root(variance + epsilon));
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::mul(Lanes::sub(Lanes::load(x + i), mean), scale);
        Lanes::store(out + i, Lanes::fma(v, Lanes::load(weight + i), Lanes::load(bias + i)));
    }
}

void silu_multiply(const float* gate, const float* up, std::size_t n, float* out)
{
    const F one = Lanes::set1(1.0f);
    for (std::size_t i = 0; i < n; i += 16) {
        // Below -88 the result is 0 for all purposes, and exp would be at its end. What is no number passes.
        const F g = Lanes::max(Lanes::set1(-88.0f), Lanes::load(gate + i));
        const F e = exp_lanes(Lanes::sub(Lanes::zero(), g));
        const F act = Lanes::div(g, Lanes::add(one, e));
        Lanes::store(out + i, Lanes::mul(act, Lanes::load(up + i)));
    }
}

// x times the normal distribution at x: 0.5 erfc(|x| / sqrt 2) by Abramowitz and Stegun 7.1.26 (absolute
// error 1.5e-7 / 2), mirrored for positive x so that small results keep their digits.
void gelu(const float* x, std::size_t n, float* out)
{
    const F one = Lanes::set1(1.0f);
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::load(x + i);
        const F z = Lanes::mul(Lanes::abs(v), Lanes::set1(0.70710678f));
        const F t = Lanes::div(one, Lanes::fma(z, Lanes::set1(0.3275911f), one));
        F p = Lanes::set1(1.061405429f);
        p = Lanes::fma(p, t, Lanes::set1(-1.453152027f));
        p = Lanes::fma(p, t, Lanes::set1(1.421413741f));
        p = Lanes::fma(p, t, Lanes::set1(-0.284496736f));
        p = Lanes::fma(p, t, Lanes::set1(0.254829592f));
        const F tail = Lanes::mul(Lanes::mul(Lanes::mul(p, t), Lanes::set1(0.5f)),
                                  exp_lanes(Lanes::sub(Lanes::zero(), Lanes::mul(z, z))));
        const F share = Lanes::select_below(v, Lanes::zero(), tail, Lanes::sub(one, tail));
        Lanes::store(out + i, Lanes::mul(v, share));
    }
}

// x times the logistic function of 2 sqrt(2 / pi) (x + 0.044715 x^3), which is the usual form with tanh.
void gelu_tanh(const float* x, std::size_t n, float* out)
{
    const F one = Lanes::set1(1.0f);
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::load(x + i);
        const F cubic = Lanes::mul(Lanes::mul(v, v), Lanes::set1(0.044715f));
        const F u = Lanes::mul(Lanes::fma(cubic, v, v), Lanes::set1(-1.5957691216f));
        Lanes::store(out + i, Lanes::div(v, Lanes::add(one, exp_lanes(u))));
    }
}

void xielu(const float* x, std::size_t count, float p, float n, float b, float eps, float* out)
{
    const F zero = Lanes::zero();
    for (std::size_t i = 0; i < count; i += 16) {
        const F v = Lanes::load(x + i);
        const F linear = Lanes::mul(Lanes::set1(b), v);
        const F above = Lanes::fma(Lanes::mul(Lanes::set1(p), v), v, linear);
        const F grown = Lanes::sub(exp_lanes(Lanes::min(v, Lanes::set1(eps))), Lanes::set1(1.0f));
        const F below = Lanes::fma(Lanes::set1(n), Lanes::sub(grown, v), linear);
        Lanes::store(out + i, Lanes::select_below(zero, v, above, below));
    }
}

// 1 - 2 / (e^2x + 1).
[[gnu::always_inline]] inline F tanh_lanes(F x)
{
    const F one = Lanes::set1(1.0f);
    const F twice = Lanes::max(Lanes::set1(-40.0f), Lanes::add(x, x));
    return Lanes::sub(one, Lanes::div(Lanes::set1(2.0f), Lanes::add(exp_lanes(twice), one)));
}

[[gnu::always_inline]] inline F soft_cap_lanes(F x, F cap)
{
    return Lanes::mul(cap, tanh_lanes(Lanes::div(x, cap)));
}

void soft_cap(const float* x, std::size_t n, float cap, float* out)
{
    const F limit = Lanes::set1(cap);
    for (std::size_t i = 0; i < n; i += 16) Lanes::store(out + i, soft_cap_lanes(Lanes::load(x + i), limit));
}

void l2_normalize(const float* x, std::size_t n, float* out)
{
    const float length = square_root(sum_of_squares(x, n));
    const F scale = Lanes::set1(length > 0 ? 1.0f / length : 0.0f);
    for (std::size_t i = 0; i < n; i += 16) Lanes::store(out + i, Lanes::mul(Lanes::load(x + i), scale));
}

void to_half(const float* x, std::size_t n, std::uint16_t* out)
{
    for (std::size_t i = 0; i < n; i += 16) Lanes::store_half(out + i, Lanes::load(x + i));
}

// --- attention ---------------------------------------------------------------------------------------------

template <int T>
void attend_tile(const AttendChunk& c)
{
    const F nothing = Lanes::set1(-__builtin_inff());
    int begin = static_cast<int>(kChunkPositions);
    int end = 0;
    for (int t = 0; t < T; ++t) {
        if (c.begin[t] >= c.end[t]) continue;
        if (c.begin[t] < begin) begin = c.begin[t];
        if (c.end[t] > end) end = c.end[t];
    }
    begin -= begin % 16;

    alignas(64) float scores[T][kChunkPositions];
    F largest[T];
    for (int t = 0; t < T; ++t) largest[t] = nothing;
    for (int first = begin; first < end; first += 16) {
        F acc[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) acc[t] = Lanes::zero();
        const std::uint16_t* key = c.keys + static_cast<std::size_t>(first) * c.head_size;
        const float* q = c.q;
        for (std::size_t d = 0; d < c.head_size; ++d, key += 16, q += T) {
            const F k = Lanes::load_half(key);
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) acc[t] = Lanes::fma(k, Lanes::set1(q[t]), acc[t]);
        }
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) {
            const F score = c.cap == 0 ? acc[t] : soft_cap_lanes(acc[t], Lanes::set1(c.cap));
            const F seen = Lanes::keep_between(score, c.begin[t] - first, c.end[t] - first, nothing);
            Lanes::store(scores[t] + first, seen);
            largest[t] = Lanes::max(seen, largest[t]);
        }
    }
    for (int t = 0; t < T; ++t) {
        c.maximum[t] = Lanes::reduce_max(largest[t]);
        F sum = Lanes::zero();
        // A query that sees nothing here gets weights of exactly 0.
        const F top = Lanes::set1(c.begin[t] < c.end[t] ? c.maximum[t] : 0.0f);
        for (int first = begin; first < end; first += 16) {
            const F p = exp_lanes(Lanes::sub(Lanes::load(scores[t] + first), top));
            Lanes::store(scores[t] + first, p);
            sum = Lanes::add(sum, p);
        }
        c.sum[t] = Lanes::reduce_add(sum);
    }
    for (std::size_t d = 0; d < c.head_size; d += 16) {
        F acc[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) acc[t] = Lanes::zero();
        const std::uint16_t* value = c.values + static_cast<std::size_t>(begin) * c.head_size + d;
        for (int i = begin; i < end; ++i, value += c.head_size) {
            const F v = Lanes::load_half(value);
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) acc[t] = Lanes::fma(v, Lanes::set1(scores[t][i]), acc[t]);
        }
        for (int t = 0; t < T; ++t)
            Lanes::store(c.out + static_cast<std::size_t>(t) * c.head_size + d, acc[t]);
    }
}

void attend(const AttendChunk& chunk)
{
    switch (chunk.queries) {
        case 1:
            return attend_tile<1>(chunk);
        case 2:
            return attend_tile<2>(chunk);
        case 4:
            return attend_tile<4>(chunk);
        case 6:
            return attend_tile<6>(chunk);
        case 8:
            return attend_tile<8>(chunk);
        default:
            return attend_tile<12>(chunk);
    }
}

void merge(float* maximum, float* sum, float* out, float chunk_maximum, float chunk_sum,
           const float* chunk_out, std::size_t head_size)
{
    if (chunk_sum == 0) return;  // nothing seen
    const float top = *maximum > chunk_maximum ? *maximum : chunk_maximum;
    const float old_share = exp_one(*maximum - top);
    const float new_share = exp_one(chunk_maximum - top);
    *maximum = top;
    *sum = *sum * old_share + chunk_sum * new_share;
    for (std::size_t d = 0; d < head_size; d += 16) {
        const F added = Lanes::mul(Lanes::load(chunk_out + d), Lanes::set1(new_share));
        Lanes::store(out + d, Lanes::fma(Lanes::load(out + d), Lanes::set1(old_share), added));
    }
}

constexpr Kernels make_kernels(Isa isa)
{
    Kernels k{};
    k.isa = isa;
    k.types[0] = {JIPHYEON_BY_TOKENS(product_plain, ColumnF32), nullptr, nullptr, 0};
    k.types[1] = {JIPHYEON_BY_TOKENS(product_plain, ColumnF16), nullptr, nullptr, 0};
    using Unpacked40 = Unpacked32<15, 0>;
    using Unpacked50 = Unpacked32<31, 1>;
    using Unpacked80 = Unpacked32<255, SourceQ80::kBias>;
    k.types[2] = {JIPHYEON_BY_TOKENS(product_32, SourceQ40), JIPHYEON_BY_TOKENS(product_32, Unpacked40),
                  unpack_32<SourceQ40>, 8 * Unpacked40::kBytes};
    k.types[6] = {JIPHYEON_BY_TOKENS(product_32, SourceQ50), JIPHYEON_BY_TOKENS(product_32, Unpacked50),
                  unpack_32<SourceQ50>, 8 * Unpacked50::kBytes};
    k.types[8] = {JIPHYEON_BY_TOKENS(product_32, SourceQ80), JIPHYEON_BY_TOKENS(product_32, Unpacked80),
                  unpack_32<SourceQ80>, 8 * Unpacked80::kBytes};
    k.types[12] = {JIPHYEON_BY_TOKENS(product_4k, SourceQ4K), JIPHYEON_BY_TOKENS(product_4k, Unpacked4K),
                   unpack_4k, Unpacked4K::kBytes};
    k.types[14] = {JIPHYEON_BY_TOKENS(product_6k, SourceQ6K), JIPHYEON_BY_TOKENS(product_6k, Unpacked6K),
                   unpack_6k, Unpacked6K::kBytes};
    k.quantize_32 = quantize_32;
    k.quantize_256 = quantize_256;
    k.rms_norm = rms_norm;
    k.layer_norm = layer_norm;
    k.silu_multiply = silu_multiply;
    k.gelu = gelu;
    k.gelu_tanh = gelu_tanh;
    k.xielu = xielu;
    k.soft_cap = soft_cap;
    k.l2_normalize = l2_normalize;
    k.to_half = to_half;
    k.attend = attend;
    k.merge = merge;
    return k;
}

}  // namespace
}  // namespace jiphyeon
