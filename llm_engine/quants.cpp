#include "quants.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace jiphyeon {
namespace {

// Up to so many tokens, unpacking into a buffer costs more than it saves.
constexpr std::size_t kDirectTokens = 36;

// `count` pieces of `unit` bytes of a block, which lie together in the file and of 16 rows in a panel.
struct Field {
    std::size_t offset = 0;
    std::size_t unit = 0;
    std::size_t count = 0;
};

// How a type's blocks become the part of a panel: their bytes are first put into another order where bits of
// several columns share a byte, then the fields of 16 rows follow each other, interleaved by pieces.
struct PanelForm {
    std::size_t elements;
    std::array<Field, 3> fields;  // all bytes of the block, in the order of the panel
    void (*to_panel)(std::uint8_t* block) = nullptr;
    void (*to_file)(std::uint8_t* block) = nullptr;

    std::size_t block_bytes() const
    {
        std::size_t bytes = 0;
        for (const Field& field : fields) bytes += field.unit * field.count;
        return bytes;
    }
};

constexpr std::size_t kBlockBytesMax = 256;

// Fifth bits of 32 elements: bit j of the file's word to bit q of byte i for element j = 4q + i, or back.
template <std::size_t kAt, bool kToPanel>
void move_fifth_bits(std::uint8_t* block)
{
    std::uint32_t from;
    std::memcpy(&from, block + kAt, 4);
    std::uint32_t to = 0;
    for (unsigned j = 0; j < 32; ++j) {
        const unsigned in_panel = j % 4 * 8 + j / 4;
        to |= kToPanel ? (from >> j & 1u) << in_panel : (from >> in_panel & 1u) << j;
    }
    std::memcpy(block + kAt, &to, 4);
}

// Q5_K: bit s of byte j for element j of sub-block s to bit q of byte 4s + i, or back.
template <bool kToPanel>
void move_fifth_bits_k(std::uint8_t* block)
{
    std::uint8_t from[32];
    std::uint8_t to[32] = {};
    std::memcpy(from, block + 16, 32);
    for (unsigned s = 0; s < 8; ++s) {
        for (unsigned j = 0; j < 32; ++j) {
            const unsigned byte = 4 * s + j % 4;
            const unsigned bit = kToPanel ? (from[j] >> s & 1u) : (from[byte] >> (j / 4) & 1u);
            std::uint8_t& out = kToPanel ? to[byte] : to[j];
            out = static_cast<std::uint8_t>(out | bit << (kToPanel ? j / 4 : s));
        }
    }
    std::memcpy(block + 16, to, 32);
}

// Q6_K: per sub-block of 16 elements, nibbles of quads 0|1 and 2|3, and their upper bits.
void to_panel_q6_k(std::uint8_t* block)
{
    std::uint8_t values[256];
    unpack_q6_k(block, values);
    constexpr std::uint32_t kLow = 0x0f0f0f0fu;
    constexpr std::uint32_t kHigh = 0x30303030u;
    for (std::size_t j = 0; j < 16; ++j) {
        std::uint32_t quad[4];
        std::memcpy(quad, values + 16 * j, 16);
        const std::uint32_t words[3] = {(quad[0] & kLow) | ((quad[1] & kLow) << 4),
                                        (quad[2] & kLow) | ((quad[3] & kLow) << 4),
                                        ((quad[0] & kHigh) >> 4) | ((quad[1] & kHigh) >> 2) |
                                            (quad[2] & kHigh) | ((quad[3] & kHigh) << 2)};
        std::memcpy(block + 12 * j, words, 12);
    }
}

void to_file_q6_k(std::uint8_t* block)
{
    std::uint8_t values[256];
    for (std::size_t i = 0; i < 256; ++i) {
        const std::size_t quad = i % 16 / 4;
        const std::uint8_t* const p = block + i / 16 * 12 + i % 4;
        const unsigned low = (p[quad / 2 * 4] >> (quad % 2 * 4)) & 15u;
        const unsigned high = (p[8] >> (2 * quad)) & 3u;
        values[i] = static_cast<std::uint8_t>(low | high << 4);
    }
    pack_q6_k(values, block);
}

const PanelForm& form_of(TensorType type)
{
    // A single column is too little to go about it one by one: rows are multiples of four.
    static constexpr PanelForm kFloat = {4, {{{0, 4, 4}}}};
    static constexpr PanelForm kHalf = {4, {{{0, 2, 4}}}};
    static constexpr PanelForm kQ40 = {32, {{{0, 2, 1}, {2, 4, 4}}}};  // IQ4_NL too
    static constexpr PanelForm kQ41 = {32, {{{0, 2, 2}, {4, 4, 4}}}};
    static constexpr PanelForm kQ50 = {
        32, {{{0, 2, 1}, {2, 4, 5}}}, move_fifth_bits<2, true>, move_fifth_bits<2, false>};
    static constexpr PanelForm kQ51 = {
        32, {{{0, 2, 2}, {4, 4, 5}}}, move_fifth_bits<4, true>, move_fifth_bits<4, false>};
    static constexpr PanelForm kQ80 = {32, {{{0, 2, 1}, {2, 4, 8}}}};
    static constexpr PanelForm kMxFp4 = {32, {{{0, 1, 1}, {1, 4, 4}}}};
    static constexpr PanelForm kQ4K = {256, {{{0, 2, 2}, {4, 1, 12}, {16, 4, 32}}}};
    static constexpr PanelForm kQ5K = {
        256, {{{0, 2, 2}, {4, 1, 12}, {16, 4, 40}}}, move_fifth_bits_k<true>, move_fifth_bits_k<false>};
    static constexpr PanelForm kQ6K = {
        256, {{{208, 2, 1}, {192, 1, 16}, {0, 4, 48}}}, to_panel_q6_k, to_file_q6_k};
    static constexpr PanelForm kIq4Xs = {256, {{{0, 2, 1}, {2, 1, 6}, {8, 4, 32}}}};
    switch (type) {
        case TensorType::f32:
            return kFloat;
        case TensorType::f16:
        case TensorType::bf16:
            return kHalf;
        case TensorType::q4_0:
        case TensorType::iq4_nl:
            return kQ40;
        case TensorType::q4_1:
            return kQ41;
        case TensorType::q5_0:
            return kQ50;
        case TensorType::q5_1:
            return kQ51;
        case TensorType::q8_0:
            return kQ80;
        case TensorType::mxfp4:
            return kMxFp4;
        case TensorType::q4_k:
            return kQ4K;
        case TensorType::q5_k:
            return kQ5K;
        case TensorType::iq4_xs:
            return kIq4Xs;
        case TensorType::q6_k:
            break;
    }
    return kQ6K;
}

template <std::size_t kUnit>
void interleave(const std::uint8_t* in, std::size_t count, std::size_t r, std::uint8_t* out)
{
    for (std::size_t i = 0; i < count; ++i) {
        std::memcpy(out + (i * kPanelRows + r) * kUnit, in + i * kUnit, kUnit);
    }
}

template <std::size_t kUnit>
void pick_out(const std::uint8_t* in, std::size_t count, std::size_t r, std::uint8_t* out)
{
    for (std::size_t i = 0; i < count; ++i) {
        std::memcpy(out + i * kUnit, in + (i * kPanelRows + r) * kUnit, kUnit);
    }
}

// Puts a block of the file into the part of a panel for row r.
void pack_block(const PanelForm& form, const std::uint8_t* block, std::size_t r, std::uint8_t* out)
{
    std::uint8_t moved[kBlockBytesMax];
    if (form.to_panel != nullptr) {
        std::memcpy(moved, block, form.block_bytes());
        form.to_panel(moved);
        block = moved;
    }
    for (const Field& field : form.fields) {
        const auto copy = field.unit == 4 ? interleave<4> : field.unit == 2 ? interleave<2> : interleave<1>;
        copy(block + field.offset, field.count, r, out);
        out += field.unit * field.count * kPanelRows;
    }
}

// The block of row r, as the file had it.
void unpack_block(const PanelForm& form, const std::uint8_t* panel, std::size_t r, std::uint8_t* block)
{
    for (const Field& field : form.fields) {
        const auto copy = field.unit == 4 ? pick_out<4> : field.unit == 2 ? pick_out<2> : pick_out<1>;
        copy(panel, field.count, r, block + field.offset);
        panel += field.unit * field.count * kPanelRows;
    }
    if (form.to_file != nullptr) form.to_file(block);
}

// Asks for part `i` of `count` of what will be unpacked next: it comes from memory while tiles are
// multiplied.
void prefetch_part(const std::uint8_t* panel, std::size_t bytes, std::size_t i, std::size_t count)
{
    const std::size_t lines = (bytes + 63) / 64;
    for (std::size_t line = lines * i / count; line < lines * (i + 1) / count; ++line) {
        __builtin_prefetch(panel + line * 64, 0, 2);
    }
}

// Results of more floats than a cache would keep until they are used are written past the caches: these then
// neither read lines that are about to be overwritten nor lose what the products need.
constexpr std::size_t kCachedResults = 2u << 20;

}  // namespace

std::size_t panel_bytes(TensorType type, std::size_t columns)
{
    const PanelForm& form = form_of(type);
    return columns / form.elements * form.block_bytes() * kPanelRows;
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
    const std::size_t size = whole_huge_pages(bytes());
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    bytes_ = {static_cast<std::uint8_t*>(memory), Unmap{size}};
    ::madvise(memory, size, MADV_HUGEPAGE);  // fewer address translations; only a wish

    const PanelForm& form = form_of(type_);
    const std::size_t blocks = columns_ / form.elements;
    const std::size_t block_bytes = form.block_bytes();
    pool.run(panels(), 8, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t row = begin * kPanelRows; row < std::min(end * kPanelRows, rows_); ++row) {
            const std::uint8_t* in = tensor.data.data() + row * blocks * block_bytes;
            std::uint8_t* out = bytes_.get() + row / kPanelRows * panel_bytes_;
            for (std::size_t b = 0; b < blocks; ++b) {
                pack_block(form, in, row % kPanelRows, out);
                in += block_bytes;
                out += block_bytes * kPanelRows;
            }
        }
    });
}

void Matrix::row(std::size_t r, float* out) const
{
    const PanelForm& form = form_of(type_);
    const std::uint8_t* panel_block = panel(r / kPanelRows);
    std::uint8_t block[kBlockBytesMax];
    for (std::size_t i = 0; i < columns_; i += form.elements) {
        unpack_block(form, panel_block, r % kPanelRows, block);
        dequantize(type_, block, form.elements, out + i);
        panel_block += form.block_bytes() * kPanelRows;
    }
}

void Activations::shape(const Kernels& kernels, std::size_t tokens, std::size_t columns, bool plain,
                        bool per_32, bool per_256)
{
    tokens_ = tokens;
    columns_ = columns;
    tiles_.clear();
    for (std::size_t first = 0; first < tokens;) {
        const unsigned size = tile_tokens(tokens - first);
        tiles_.push_back({first, size});
        first += size;
    }
    // Vectors only ever grow: their sizes settle after the largest batch.
    const auto grow = [](auto& vector, std::size_t size) {
        if (vector.size() < size) vector.resize(size);
    };
    plain_ = plain;
    if (plain) grow(values_, tokens * columns);
    by_block_ = tokens > kDirectTokens && kernels.has_tiles();
    per_32_.used = per_32;
    per_256_.used = per_256;
    const std::size_t of_block = by_block_ ? block_tokens() : tokens;
    for (Form* const form : {&per_32_, &per_256_}) {
        if (!form->used) continue;
        const std::size_t blocks = columns / (form == &per_32_ ? 32 : 256);
        grow(form->scales, of_block * blocks);
        if (form == &per_256_) grow(form->pairs, of_block * blocks * 4);
        if (by_block_) {
            grow(form->rows, of_block * columns);
            if (form == &per_32_) grow(form->totals, of_block * blocks);
        } else {
            grow(form->quads, tokens * columns / 4);
            grow(form->bias, tokens * blocks * (form == &per_32_ ? kBiasRows32 : kBiasRows256));
        }
    }
}

ActTileOut Activations::out(Form& form, const Span& span, std::size_t block, std::size_t column) const
{
    const std::size_t blocks = columns_ / block;
    const auto from = [&](auto& numbers, std::size_t per_block) {
        return numbers.data() + (span.first * blocks + span.tokens * (column / block)) * per_block;
    };
    ActTileOut to;
    to.tokens = span.tokens;
    to.quads = from(form.quads, block / 4);
    to.scales = from(form.scales, 1);
    to.bias = from(form.bias, block == 32 ? kBiasRows32 : kBiasRows256);
    to.pairs = block == 32 ? nullptr : from(form.pairs, 4);
    return to;
}

void Activations::fill(const Kernels& kernels, ThreadPool& pool, const float* x, std::size_t stride)
{
    // A piece of work: so many columns of a tile, whole blocks of every form.
    constexpr std::size_t kPieceColumns = 768;
    static_assert(kPieceColumns % 256 == 0);
    const std::size_t pieces_per_tile = (columns_ + kPieceColumns - 1) / kPieceColumns;
    const std::size_t grain = tokens_ == 1 ? pieces_per_tile : 1;
    pool.run(tiles_.size() * pieces_per_tile, grain, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) {
            const std::size_t first = i % pieces_per_tile * kPieceColumns;
            const std::size_t past = std::min(columns_, first + kPieceColumns);
            const Span& span = tiles_[i / pieces_per_tile];
            fill_tile(kernels, span, first, past, x + span.first * stride + first, stride);
        }
    });
}

void Activations::fill_columns(const Kernels& kernels, std::size_t first, std::size_t past, const float* x,
                               std::size_t stride)
{
    for (const Span& span : tiles_) fill_tile(kernels, span, first, past, x + span.first * stride, stride);
}

ActBlock Activations::block(std::size_t i, ActForm form) const
{
    const bool is_32 = form == ActForm::per_32;
    const Form& from = is_32 ? per_32_ : per_256_;
    const std::size_t before = i * block_tokens() * (is_32 ? 8 : 1);
    ActBlock block;
    block.tokens = block_tokens();
    block.columns = std::min<std::size_t>(256, columns_ - i * 256);
    block.rows = from.rows.data() + i * 256 * block_tokens();
    block.scales = from.scales.data() + before;
    block.totals = is_32 ? from.totals.data() + before : nullptr;
    block.pairs = is_32 ? nullptr : from.pairs.data() + before * 4;
    return block;
}

void Activations::fill_tile(const Kernels& kernels, const Span& span, std::size_t first, std::size_t past,
                            const float* x, std::size_t stride)
{
    const std::size_t columns = past - first;
    if (plain_) {
        float* to = values_.data() + span.first * columns_ + first * span.tokens;
        for (std::size_t i = 0; i < columns; ++i) {
            for (unsigned t = 0; t < span.tokens; ++t) *to++ = x[t * stride + i];
        }
    }
    if (by_block_) return fill_tokens(kernels, span, first, columns, x, stride);
    if (per_32_.used) kernels.quantize_32(x, stride, columns, out(per_32_, span, 32, first));
    if (per_256_.used) kernels.quantize_256(x, stride, columns, out(per_256_, span, 256, first));
}

void Activations::fill_tokens(const Kernels& kernels, const Span& span, std::size_t first,
                              std::size_t columns, const float* x, std::size_t stride)
{
    const std::size_t tokens = block_tokens();
    for (Form* const form : {&per_32_, &per_256_}) {
        if (!form->used) continue;
        ActBlockOut to;
        to.tokens = tokens;
        to.rows = form->rows.data() + first * tokens;
        const bool is_32 = form == &per_32_;
        const std::size_t before = first / (is_32 ? 32 : 256) * tokens;
        to.scales = form->scales.data() + before;
        to.totals = is_32 ? form->totals.data() + before : nullptr;
        to.pairs = is_32 ? nullptr : form->pairs.data() + before * 4;
        const auto quantize = is_32 ? kernels.quantize_blocks_32 : kernels.quantize_blocks_256;
        for (unsigned i = 0; i < span.tokens; ++i) quantize(x + i * stride, columns, span.first + i, to);
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
    tile.bias =
        from.bias.data() + span.first * (columns_ / block) * (block == 32 ? kBiasRows32 : kBiasRows256);
    tile.pairs = from.pairs.data() + span.first * (columns_ / block) * 4;
    return tile;
}

namespace {

// The share of a thread in one product: one panel at a time as it is stored, or two that it unpacks; or by
// tile registers many, block by block.
class ProductShare {
public:
    // first_panel: the one whose results product.out begins with.
    ProductShare(const Kernels& kernels, const Activations& activations, const Product& product,
                 std::size_t first_panel = 0)
        : kernels_(kernels),
          activations_(activations),
          product_(product),
          first_panel_(first_panel),
          matrix_(*product.matrix),
          type_(kernels.of(matrix_.type())),
          form_(act_form(matrix_.type())),
          by_block_(form_ != ActForm::plain && activations.by_block()),
          together_(activations.tokens() <= kDirectTokens || type_.unpack == nullptr ? 1 : 2)
    {
    }

    std::size_t units() const { return (matrix_.panels() + together_ - 1) / together_; }
    void multiply_units(std::size_t begin, std::size_t end, ProductSpace& space, unsigned thread,
                        bool past_caches) const
    {
        multiply(begin * together_, std::min(end * together_, matrix_.panels()), space, thread, past_caches);
    }
    // Panels [first, past).
    void multiply(std::size_t first, std::size_t past, ProductSpace& space, unsigned thread,
                  bool past_caches) const
    {
        if (by_block_) {
            const std::size_t at_once = panels_at_once();
            for (; first < past; first += at_once)
                multiply_blocks(first, std::min(at_once, past - first), space, thread, past_caches);
            return;
        }
        for (; first < past; first += together_) {
            if (first + 2 <= past && together_ == 2) {
                multiply_tiles(type_.product_pair, unpack_pair(first, space, thread), first, past_caches);
            } else {
                multiply_tiles(type_.product, matrix_.panel(first), first, past_caches);
            }
        }
    }

private:
    float* results_of(std::size_t panel) const { return product_.out + (panel - first_panel_) * kPanelRows; }

    // All tiles with `panels`, as `compute` wants them.
    void multiply_tiles(TileProduct compute, const std::uint8_t* panels, std::size_t first,
                        bool past_caches) const
    {
        float* const out = results_of(first);
        for (std::size_t t = 0; t < activations_.tiles(); ++t) {
            if (together_ == 2) prefetch_next(first + 2, t);
            compute(panels, matrix_.columns(), activations_.tile(t, form_),
                    {out + activations_.tile_first(t) * product_.stride, product_.stride, past_caches});
        }
    }
    const std::uint8_t* unpack_pair(std::size_t first, ProductSpace& space, unsigned thread) const
    {
        const std::size_t bytes = matrix_.columns() / 32 * type_.unpacked_bytes_per_256 / 8;
        std::uint8_t* const unpacked = space.unpacked(thread, 2 * bytes);
        type_.unpack(matrix_.panel(first), matrix_.columns(), unpacked);
        type_.unpack(matrix_.panel(first + 1), matrix_.columns(), unpacked + bytes);
        return unpacked;
    }
    // What will be unpacked next comes from memory while the last tiles are multiplied: sooner, activations
    // would push it out of the cache again.
    void prefetch_next(std::size_t first, std::size_t tile) const
    {
        const std::size_t tiles = std::min<std::size_t>(16, activations_.tiles());
        const std::size_t before = activations_.tiles() - tiles;
        if (tile < before || first >= matrix_.panels()) return;
        const std::size_t count = std::min<std::size_t>(2, matrix_.panels() - first);
        prefetch_part(matrix_.panel(first), count * matrix_.panel_bytes(), tile - before, tiles);
    }

    // The sums of so many panels fit the second-level cache together with a block of the activations.
    std::size_t panels_at_once() const
    {
        constexpr std::size_t kSumsBytes = std::size_t{512} << 10;
        return 2 * std::max<std::size_t>(1, kSumsBytes / (2 * sums_of_panel() * sizeof(float)));
    }
    std::size_t sums_of_panel() const { return activations_.block_tokens() * kPanelRows; }

    // Panels [first, first + panels), a block of columns of all of them after the other: so the activations
    // of a block are read from far once. Two panels at a time meet them, as what is unpacked of these leaves
    // room in the first-level cache.
    void multiply_blocks(std::size_t first, std::size_t panels, ProductSpace& space, unsigned thread,
                         bool past_caches) const
    {
        const TileKernels& tiles = type_.tiles;
        const std::size_t columns = matrix_.columns();
        const std::size_t padded = activations_.block_tokens();
        std::uint8_t* const unpacked =
            space.unpacked(thread, 2 * tiles.block_bytes + panels * sums_of_panel() * sizeof(float));
        float* const sums = reinterpret_cast<float*>(unpacked + 2 * tiles.block_bytes);
        tiles.enter();
        for (std::size_t begin = 0; begin < columns; begin += 256) {
            const ActBlock block = activations_.block(begin / 256, form_);
            const std::size_t before_bytes = matrix_.panel_bytes() * begin / columns;
            const std::size_t stored_bytes = matrix_.panel_bytes() * block.columns / columns;
            for (std::size_t p = 0; p < panels; p += 2) {
                const std::size_t of_pair = std::min<std::size_t>(2, panels - p);
                for (std::size_t i = 0; i < of_pair; ++i) {
                    const std::uint8_t* const stored = matrix_.panel(first + p + i) + before_bytes;
                    tiles.unpack(stored, block.columns, unpacked + i * tiles.block_bytes);
                    // What will be unpacked next comes from memory meanwhile.
                    const std::size_t after = first + panels + p + i;
                    if (begin + block.columns < columns) {
                        prefetch_part(stored + stored_bytes, stored_bytes, 0, 1);
                    } else if (after < matrix_.panels()) {
                        prefetch_part(matrix_.panel(after), stored_bytes, 0, 1);
                    }
                }
                tiles.add(unpacked, of_pair, block, begin == 0, sums + p * sums_of_panel());
            }
        }
        kernels_.leave_tiles();
        kernels_.take_sums(sums, panels, padded, activations_.tokens(),
                           {results_of(first), product_.stride, past_caches});
    }

    const Kernels& kernels_;
    const Activations& activations_;
    const Product& product_;
    const std::size_t first_panel_;
    const Matrix& matrix_;
    const TypeKernels& type_;
    const ActForm form_;
    const bool by_block_;
    const std::size_t together_;
};

}  // namespace

void multiply(ThreadPool& pool, const Kernels& kernels, ProductSpace& space, const Activations& activations,
              std::span<const Product> products)
{
    std::size_t units = 0;
    std::size_t rows = 0;
    for (const Product& product : products) {
        units += ProductShare(kernels, activations, product).units();
        rows += product.matrix->padded_rows();
    }
    const bool past_caches = activations.tokens() * rows > kCachedResults;

    pool.run_in_order(units, [&](std::size_t begin, std::size_t end, unsigned thread) {
        std::size_t first = 0;  // number of the first unit of `product`
        for (const Product& product : products) {
            const ProductShare share(kernels, activations, product);
            const std::size_t past = first + share.units();
            const std::size_t from = std::max(begin, first);
            if (from < std::min(end, past))
                share.multiply_units(from - first, std::min(end, past) - first, space, thread, past_caches);
            first = past;
        }
    });
}

void multiply_and_take(ThreadPool& pool, const Kernels& kernels, ProductSpace& space,
                       const Activations& activations, std::span<const Matrix* const> matrices,
                       const std::function<void(const ResultRows&)>& take)
{
    const std::size_t rows = matrices.front()->padded_rows();
    const std::size_t of_matrix = activations.tokens() * kRowsAtOnce;
    // Here, where too little memory is an error and not the end.
    for (unsigned thread = 0; thread < pool.threads(); ++thread)
        space.results(thread, matrices.size() * of_matrix);
    pool.run((rows + kRowsAtOnce - 1) / kRowsAtOnce, 1,
             [&](std::size_t begin, std::size_t end, unsigned thread) {
                 ResultRows piece;
                 piece.results = space.results(thread, matrices.size() * of_matrix);
                 piece.stride = kRowsAtOnce;
                 for (std::size_t i = begin; i < end; ++i) {
                     piece.first = i * kRowsAtOnce;
                     piece.past = std::min(rows, piece.first + kRowsAtOnce);
                     for (std::size_t m = 0; m < matrices.size(); ++m) {
                         const Product product{matrices[m], piece.results + m * of_matrix, kRowsAtOnce};
                         const std::size_t first_panel = piece.first / kPanelRows;
                         ProductShare(kernels, activations, product, first_panel)
                             .multiply(first_panel, piece.past / kPanelRows, space, thread, false);
                     }
                     take(piece);
                 }
             });
}

bool worth_taking(std::size_t tokens, std::size_t rows, unsigned threads)
{
    return tokens > kDirectTokens && rows / kRowsAtOnce >= 8 * std::size_t{threads};
}

}  // namespace jiphyeon
