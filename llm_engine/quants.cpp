#include "quants.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace jiphyeon {
namespace {

// Up to so many tokens, unpacking into a buffer costs more than it saves.
constexpr std::size_t kDirectTokens = 4;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::uint16_t load_u16(const std::uint8_t* p)
{
    std::uint16_t value;
    std::memcpy(&value, p, sizeof value);
    return value;
}

// Scale and minimum of sub-block j from the 12 bytes of Q4_K.
void unpack_q4k_scales(const std::uint8_t* b, int j, int& scale, int& minimum)
{
    if (j < 4) {
        scale = b[j] & 63;
        minimum = b[j + 4] & 63;
    } else {
        scale = (b[j + 4] & 15) | ((b[j - 4] >> 6) << 4);
        minimum = (b[j + 4] >> 4) | ((b[j] >> 6) << 4);
    }
}

// The 256 six-bit values of a Q6_K block, 0 … 63.
void unpack_q6k(const std::uint8_t* block, std::uint8_t* out)
{
    for (int half = 0; half < 2; ++half, out += 128) {
        const std::uint8_t* const ql = block + 64 * half;
        const std::uint8_t* const qh = block + 128 + 32 * half;
        for (int l = 0; l < 32; ++l) {
            out[l] = static_cast<std::uint8_t>((ql[l] & 15) | ((qh[l] & 3) << 4));
            out[l + 32] = static_cast<std::uint8_t>((ql[l + 32] & 15) | (((qh[l] >> 2) & 3) << 4));
            out[l + 64] = static_cast<std::uint8_t>((ql[l] >> 4) | (((qh[l] >> 4) & 3) << 4));
            out[l + 96] = static_cast<std::uint8_t>((ql[l + 32] >> 4) | ((qh[l] >> 6) << 4));
        }
    }
}

void dequantize_q4_0(const std::uint8_t* p, float* out)
{
    const float d = half_to_float(load_u16(p));
    for (int j = 0; j < 16; ++j) {
        out[j] = d * static_cast<float>((p[2 + j] & 15) - 8);
        out[j + 16] = d * static_cast<float>((p[2 + j] >> 4) - 8);
    }
}

void dequantize_q5_0(const std::uint8_t* p, float* out)
{
    const float d = half_to_float(load_u16(p));
    std::uint32_t high;
    std::memcpy(&high, p + 2, 4);
    for (int j = 0; j < 16; ++j) {
        const int low_bit = static_cast<int>((high >> j) & 1u) << 4;
        const int high_bit = static_cast<int>((high >> (j + 16)) & 1u) << 4;
        out[j] = d * static_cast<float>(((p[6 + j] & 15) | low_bit) - 16);
        out[j + 16] = d * static_cast<float>(((p[6 + j] >> 4) | high_bit) - 16);
    }
}

void dequantize_q8_0(const std::uint8_t* p, float* out)
{
    const float d = half_to_float(load_u16(p));
    for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(static_cast<std::int8_t>(p[2 + j]));
}

void dequantize_q4_k(const std::uint8_t* p, float* out)
{
    const float d = half_to_float(load_u16(p));
    const float dmin = half_to_float(load_u16(p + 2));
    for (int j = 0; j < 8; ++j) {
        int scale = 0;
        int minimum = 0;
        unpack_q4k_scales(p + 4, j, scale, minimum);
        const float step = d * static_cast<float>(scale);
        const float shift = dmin * static_cast<float>(minimum);
        const std::uint8_t* const bytes = p + 16 + (j / 2) * 32;
        for (int l = 0; l < 32; ++l) {
            const int q = j % 2 == 0 ? bytes[l] & 15 : bytes[l] >> 4;
            out[32 * j + l] = step * static_cast<float>(q) - shift;
        }
    }
}

void dequantize_q6_k(const std::uint8_t* p, float* out)
{
    const float d = half_to_float(load_u16(p + 208));
    std::uint8_t values[256];
    unpack_q6k(p, values);
    for (int i = 0; i < 256; ++i) {
        const float step = d * static_cast<float>(static_cast<std::int8_t>(p[192 + i / 16]));
        out[i] = step * static_cast<float>(values[i] - 32);
    }
}

// --- into panels: one block of row r ---

void pack_q4_0(const std::uint8_t* block, std::size_t r, std::uint8_t* out)
{
    std::memcpy(out + 2 * r, block, 2);
    for (std::size_t e = 0; e < 4; ++e) std::memcpy(out + 32 + e * 64 + r * 4, block + 2 + 4 * e, 4);
}

void pack_q5_0(const std::uint8_t* block, std::size_t r, std::uint8_t* out)
{
    std::memcpy(out + 2 * r, block, 2);
    std::uint32_t high;
    std::memcpy(&high, block + 2, 4);
    for (unsigned element = 0; element < 32; ++element) {
        const unsigned bit = (high >> element) & 1u;
        std::uint8_t& byte = out[32 + r * 4 + element % 4];
        byte = static_cast<std::uint8_t>(byte | (bit << (element / 4)));
    }
    for (std::size_t e = 0; e < 4; ++e) std::memcpy(out + 96 + e * 64 + r * 4, block + 6 + 4 * e, 4);
}

void pack_q8_0(const std::uint8_t* block, std::size_t r, std::uint8_t* out)
{
    std::memcpy(out + 2 * r, block, 2);
    for (std::size_t e = 0; e < 8; ++e) std::memcpy(out + 32 + e * 64 + r * 4, block + 2 + 4 * e, 4);
}

void pack_q4_k(const std::uint8_t* block, std::size_t r, std::uint8_t* out)
{
    std::memcpy(out + 2 * r, block, 2);
    std::memcpy(out + 32 + 2 * r, block + 2, 2);
    for (std::size_t i = 0; i < 12; ++i) out[64 + i * 16 + r] = block[4 + i];
    for (std::size_t e = 0; e < 32; ++e) std::memcpy(out + 256 + e * 64 + r * 4, block + 16 + 4 * e, 4);
}

void pack_q6_k(const std::uint8_t* block, std::size_t r, std::uint8_t* out)
{
    std::memcpy(out + 2 * r, block + 208, 2);
    std::uint8_t values[256];
    unpack_q6k(block, values);
    for (std::size_t j = 0; j < 16; ++j) {
        out[32 + j * 16 + r] = block[192 + j];
        std::uint32_t quad[4];
        std::memcpy(quad, values + 16 * j, 16);
        constexpr std::uint32_t kLow = 0x0f0f0f0fu;
        constexpr std::uint32_t kHigh = 0x30303030u;
        const std::uint32_t words[3] = {(quad[0] & kLow) | ((quad[1] & kLow) << 4),
                                        (quad[2] & kLow) | ((quad[3] & kLow) << 4),
                                        ((quad[0] & kHigh) >> 4) | ((quad[1] & kHigh) >> 2) |
                                            (quad[2] & kHigh) | ((quad[3] & kHigh) << 2)};
        for (std::size_t k = 0; k < 3; ++k) std::memcpy(out + 288 + j * 192 + k * 64 + r * 4, &words[k], 4);
    }
}

// Where and how a type's blocks lie in a panel.
struct PanelForm {
    std::size_t elements;
    std::size_t block_bytes;
    std::size_t panel_bytes;
    void (*dequantize)(const std::uint8_t* block, float* out);
    void (*pack)(const std::uint8_t* block, std::size_t row, std::uint8_t* out);
};

const PanelForm& form_of(TensorType type)
{
    static constexpr PanelForm kF32 = {
        1, 4, 64, [](const std::uint8_t* p, float* out) { std::memcpy(out, p, 4); },
        [](const std::uint8_t* p, std::size_t r, std::uint8_t* out) { std::memcpy(out + 4 * r, p, 4); }};
    static constexpr PanelForm kF16 = {
        1, 2, 32, [](const std::uint8_t* p, float* out) { *out = half_to_float(load_u16(p)); },
        [](const std::uint8_t* p, std::size_t r, std::uint8_t* out) { std::memcpy(out + 2 * r, p, 2); }};
    static constexpr PanelForm kQ40 = {32, 18, 288, dequantize_q4_0, pack_q4_0};
    static constexpr PanelForm kQ50 = {32, 22, 352, dequantize_q5_0, pack_q5_0};
    static constexpr PanelForm kQ80 = {32, 34, 544, dequantize_q8_0, pack_q8_0};
    static constexpr PanelForm kQ4K = {256, 144, 2304, dequantize_q4_k, pack_q4_k};
    static constexpr PanelForm kQ6K = {256, 210, 3360, dequantize_q6_k, pack_q6_k};
    switch (type) {
        case TensorType::f32:
            return kF32;
        case TensorType::f16:
            return kF16;
        case TensorType::q4_0:
            return kQ40;
        case TensorType::q5_0:
            return kQ50;
        case TensorType::q8_0:
            return kQ80;
        case TensorType::q4_k:
            return kQ4K;
        case TensorType::q6_k:
            break;
    }
    return kQ6K;
}

// The block of row r out of a panel's block, as the file had it.
void unpack_block(TensorType type, const std::uint8_t* panel, std::size_t r, std::uint8_t* block)
{
    const auto quads = [&](std::size_t from, std::size_t to, std::size_t count) {
        for (std::size_t e = 0; e < count; ++e)
            std::memcpy(block + to + 4 * e, panel + from + e * 64 + r * 4, 4);
    };
    switch (type) {
        case TensorType::f32:
            std::memcpy(block, panel + 4 * r, 4);
            return;
        case TensorType::f16:
            std::memcpy(block, panel + 2 * r, 2);
            return;
        case TensorType::q4_0:
            std::memcpy(block, panel + 2 * r, 2);
            quads(32, 2, 4);
            return;
        case TensorType::q5_0: {
            std::memcpy(block, panel + 2 * r, 2);
            std::uint32_t high = 0;
            for (unsigned element = 0; element < 32; ++element) {
                high |= ((panel[32 + r * 4 + element % 4] >> (element / 4)) & 1u) << element;
            }
            std::memcpy(block + 2, &high, 4);
            quads(96, 6, 4);
            return;
        }
        case TensorType::q8_0:
            std::memcpy(block, panel + 2 * r, 2);
            quads(32, 2, 8);
            return;
        case TensorType::q4_k:
            std::memcpy(block, panel + 2 * r, 2);
            std::memcpy(block + 2, panel + 32 + 2 * r, 2);
            for (std::size_t i = 0; i < 12; ++i) block[4 + i] = panel[64 + i * 16 + r];
            quads(256, 16, 32);
            return;
        case TensorType::q6_k:
            break;
    }
    std::memcpy(block + 208, panel + 2 * r, 2);
    std::memset(block, 0, 192);
    for (std::size_t j = 0; j < 16; ++j) {
        block[192 + j] = panel[32 + j * 16 + r];
        for (std::size_t i = 16 * j; i < 16 * j + 16; ++i) {
            const std::size_t quad = i % 16 / 4;
            const std::uint8_t* const p = panel + 288 + j * 192 + r * 4 + i % 4;
            const unsigned low = (p[quad / 2 * 64] >> (quad % 2 * 4)) & 15u;
            const unsigned high = (p[128] >> (2 * quad)) & 3u;
            const std::size_t half = i / 128;
            const std::size_t l = i % 32;
            const std::size_t group = i % 128 / 32;
            std::uint8_t& ql = block[64 * half + l + 32 * (group % 2)];
            ql = static_cast<std::uint8_t>(ql | (low << (4 * (group / 2))));
            std::uint8_t& qh = block[128 + 32 * half + l];
            qh = static_cast<std::uint8_t>(qh | (high << (2 * group)));
        }
    }
}

}  // namespace

float half_to_float(std::uint16_t half)
{
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    const std::uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) {
        return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    }
    if (magnitude >= 0x400u) return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
    const float subnormal = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(subnormal));
}

void dequantize(TensorType type, const std::uint8_t* data, std::size_t n, float* out)
{
    const PanelForm& form = form_of(type);
    for (std::size_t i = 0; i < n; i += form.elements, data += form.block_bytes)
        form.dequantize(data, out + i);
}

std::size_t panel_bytes(TensorType type, std::size_t columns)
{
    const PanelForm& form = form_of(type);
    return columns / form.elements * form.panel_bytes;
}

void Matrix::Unmap::operator()(std::uint8_t* p) const noexcept
{
    ::munmap(p, size);
}

Matrix::Matrix(const GgufTensor& tensor, ThreadPool& pool)
    : type_(tensor.type()),
      rows_(tensor.rows()),
      columns_(tensor.columns()),
      panel_bytes_(jiphyeon::panel_bytes(type_, columns_))
{
    if (columns_ % 4 != 0) {
        throw EngineError(EngineError::Kind::malformed, "row length of " + std::string(tensor.name));
    }
    const std::size_t size = (bytes() + kHugePage - 1) / kHugePage * kHugePage;
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    bytes_ = {static_cast<std::uint8_t*>(memory), Unmap{size}};
    ::madvise(memory, size, MADV_HUGEPAGE);  // fewer address translations; only a wish

    const PanelForm& form = form_of(type_);
    const std::size_t blocks = columns_ / form.elements;
    const std::size_t row_bytes = blocks * form.block_bytes;
    pool.run(panels(), 8, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t row = begin * kPanelRows; row < std::min(end * kPanelRows, rows_); ++row) {
            const std::uint8_t* in = tensor.data.data() + row * row_bytes;
            std::uint8_t* out = bytes_.get() + row / kPanelRows * panel_bytes_;
            for (std::size_t b = 0; b < blocks; ++b, in += form.block_bytes, out += form.panel_bytes) {
                form.pack(in, row % kPanelRows, out);
            }
        }
    });
}

void Matrix::row(std::size_t r, float* out) const
{
    const PanelForm& form = form_of(type_);
    const std::uint8_t* panel_block = panel(r / kPanelRows);
    std::uint8_t block[256];
    for (std::size_t i = 0; i < columns_; i += form.elements, panel_block += form.panel_bytes) {
        unpack_block(type_, panel_block, r % kPanelRows, block);
        form.dequantize(block, out + i);
    }
}

void Activations::shape(std::size_t tokens, std::size_t columns, bool plain, bool per_32, bool per_256)
{
    tokens_ = tokens;
    columns_ = columns;
    tiles_.clear();
    tile_of_.resize(tokens);
    for (std::size_t first = 0; first < tokens;) {
        const unsigned size = tile_tokens(tokens - first);
        for (unsigned i = 0; i < size; ++i) tile_of_[first + i] = tiles_.size();
        tiles_.push_back({first, size});
        first += size;
    }
    // Vectors only ever grow: their sizes settle after the largest batch.
    const auto grow = [](auto& vector, std::size_t size) {
        if (vector.size() < size) vector.resize(size);
    };
    plain_ = plain;
    if (plain) grow(values_, tokens * columns);
    per_32_.used = per_32;
    if (per_32) {
        grow(per_32_.quads, tokens * columns / 4);
        grow(per_32_.scales, tokens * columns / 32);
        grow(per_32_.bias, tokens * columns / 32 * 3);
    }
    per_256_.used = per_256;
    if (per_256) {
        grow(per_256_.quads, tokens * columns / 4);
        grow(per_256_.scales, tokens * columns / 256);
        grow(per_256_.bias, tokens * columns / 16);
        grow(per_256_.pairs, tokens * columns / 64);
    }
}

ActTileOut Activations::out(Form& form, const Span& span, std::size_t block) const
{
    const std::size_t blocks = columns_ / block;
    ActTileOut to;
    to.tokens = span.tokens;
    to.quads = form.quads.data() + span.first * columns_ / 4;
    to.scales = form.scales.data() + span.first * blocks;
    to.bias = form.bias.data() + span.first * blocks * (block == 32 ? 3 : 16);
    to.pairs = block == 32 ? nullptr : form.pairs.data() + span.first * blocks * 4;
    return to;
}

void Activations::fill(const Kernels& kernels, std::size_t token, const float* x)
{
    const Span& span = tiles_[tile_of_[token]];
    const auto at = static_cast<unsigned>(token - span.first);
    if (plain_) {
        float* const to = values_.data() + span.first * columns_ + at;
        for (std::size_t i = 0; i < columns_; ++i) to[i * span.tokens] = x[i];
    }
    if (per_32_.used) {
        ActTileOut to = out(per_32_, span, 32);
        to.at = at;
        kernels.quantize_32(x, columns_, to);
    }
    if (per_256_.used) {
        ActTileOut to = out(per_256_, span, 256);
        to.at = at;
        kernels.quantize_256(x, columns_, to);
    }
}

ActTile Activations::tile(std::size_t i, ActForm form) const
{
    const Span& span = tiles_[i];
    ActTile tile;
    tile.tokens = span.tokens;
    if (form == ActForm::plain) {
        tile.values = values_.data() + span.first * columns_;
        return tile;
    }
    const std::size_t block = form == ActForm::per_32 ? 32 : 256;
    const Form& from = form == ActForm::per_32 ? per_32_ : per_256_;
    tile.quads = from.quads.data() + span.first * columns_ / 4;
    tile.scales = from.scales.data() + span.first * (columns_ / block);
    tile.bias = from.bias.data() + span.first * (columns_ / block) * (block == 32 ? 3 : 16);
    tile.pairs = from.pairs.data() + span.first * (columns_ / block) * 4;
    return tile;
}

std::uint8_t* UnpackSpace::get(unsigned thread, std::size_t bytes)
{
    std::vector<std::uint8_t>& buffer = buffers_[thread];
    if (buffer.size() < bytes + 64) buffer.resize(bytes + 64);
    const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
    return buffer.data() + (64 - address % 64) % 64;
}

void multiply(ThreadPool& pool, const Kernels& kernels, UnpackSpace& space, const Activations& activations,
              std::span<const Product> products)
{
    std::size_t panels = 0;
    for (const Product& product : products) panels += product.matrix->panels();
    const std::size_t grain = std::max<std::size_t>(1, panels / (pool.threads() * 16));
    const bool direct = activations.tokens() <= kDirectTokens;

    pool.run(panels, grain, [&](std::size_t begin, std::size_t end, unsigned thread) {
        std::size_t first = 0;  // number of the first panel of `product`
        for (const Product& product : products) {
            const Matrix& m = *product.matrix;
            const TypeKernels& type = kernels.of(m.type());
            const ActForm form = act_form(m.type());
            const std::size_t from = std::max(begin, first);
            const std::size_t to = std::min(end, first + m.panels());
            for (std::size_t p = from; p < to; ++p) {
                const std::uint8_t* panel = m.panel(p - first);
                TileProduct compute = type.product;
                if (!direct && type.unpack != nullptr) {
                    std::uint8_t* const unpacked =
                        space.get(thread, m.columns() / 32 * type.unpacked_bytes_per_256 / 8);
                    type.unpack(panel, m.columns(), unpacked);
                    panel = unpacked;
                    compute = type.product_unpacked;
                }
                float* const out = product.out + (p - first) * kPanelRows;
                for (std::size_t t = 0; t < activations.tiles(); ++t) {
                    compute(panel, m.columns(), activations.tile(t, form),
                            out + activations.tile_first(t) * product.stride, product.stride);
                }
            }
            first += m.panels();
        }
    });
}

}  // namespace jiphyeon
