#include "model.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "fixed_math.hpp"

namespace jiphyeon {
namespace {

constexpr Family kFamilies[] = {
    {"qwen2", Placement::before, Norm::rms, FeedForward::swiglu, Positions::rope_halves, Bias::required,
     Bias::optional, true, true},
    {"llama", Placement::before, Norm::rms, FeedForward::swiglu, Positions::rope_interleaved, Bias::optional,
     Bias::optional, true, true},
    {"bert", Placement::after, Norm::layer, FeedForward::gelu, Positions::learned, Bias::required,
     Bias::required, false, false},
};

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, what);
}
[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, what);
}

std::size_t bounded(const Gguf& file, const std::string& key, std::uint64_t most)
{
    const std::uint64_t value = file.integer(key);
    if (value == 0 || value > most) malformed(key + " is " + std::to_string(value));
    return static_cast<std::size_t>(value);
}

void read_rope(const Gguf& file, const std::string& prefix, ModelShape& shape)
{
    shape.rope_size = static_cast<std::size_t>(
        file.find_integer(prefix + "rope.dimension_count").value_or(shape.head_size));
    if (shape.rope_size == 0 || shape.rope_size % 2 != 0 || shape.rope_size > shape.head_size) {
        malformed(prefix + "rope.dimension_count");
    }
    shape.rope_base = file.find_number(prefix + "rope.freq_base").value_or(10000.0);
    if (!(shape.rope_base > 1.0 && shape.rope_base < 1e15)) malformed(prefix + "rope.freq_base");
    const std::string_view scaling = file.find_string(prefix + "rope.scaling.type").value_or("linear");
    if (scaling == "linear") {
        shape.rope_factor = file.find_number(prefix + "rope.scaling.factor").value_or(1.0);
        if (shape.rope_factor == 0) shape.rope_factor = 1.0;
        if (!(shape.rope_factor >= 1.0 && shape.rope_factor < 1e6)) malformed(prefix + "rope.scaling.factor");
    } else if (scaling != "none") {
        unsupported("rope scaling " + std::string(scaling));
    }
}

}  // namespace

ModelShape read_shape(const Gguf& file, std::size_t context_max)
{
    const std::string architecture(file.string("general.architecture"));
    ModelShape shape;
    for (const Family& family : kFamilies) {
        if (family.architecture == architecture) shape.family = &family;
    }
    if (shape.family == nullptr) unsupported("model family " + architecture);

    const std::string prefix = architecture + ".";
    shape.layers = bounded(file, prefix + "block_count", 1024);
    shape.width = bounded(file, prefix + "embedding_length", 1u << 16);
    shape.heads = bounded(file, prefix + "attention.head_count", 1024);
    shape.kv_heads = file.has(prefix + "attention.head_count_kv")
                         ? bounded(file, prefix + "attention.head_count_kv", shape.heads)
                         : shape.heads;
    shape.inner = bounded(file, prefix + "feed_forward_length", 1u << 20);
    shape.context = std::min(bounded(file, prefix + "context_length", 1u << 24), context_max);
    if (shape.context == 0) throw EngineError(EngineError::Kind::bad_request, "context of 0 tokens");
    if (shape.heads % shape.kv_heads != 0) malformed("heads are no multiple of key/value heads");
    if (file.has(prefix + "attention.key_length")) {
        shape.head_size = bounded(file, prefix + "attention.key_length", 1024);
        if (file.find_integer(prefix + "attention.value_length").value_or(shape.head_size) !=
            shape.head_size) {
            unsupported("values of another size than keys");
        }
    } else {
        if (shape.width % shape.heads != 0) malformed("width is no multiple of heads");
        shape.head_size = shape.width / shape.heads;
    }
    if (shape.head_size % 16 != 0 || shape.head_size > 1024) {
        unsupported("heads of " + std::to_string(shape.head_size));
    }
    if (shape.width % 16 != 0 || shape.inner % 16 != 0) unsupported("a width that is no multiple of 16");

    const bool rms = shape.family->norm == Norm::rms;
    const std::string epsilon =
        prefix + (rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon");
    shape.epsilon = static_cast<float>(file.find_number(epsilon).value_or(rms ? 1e-5 : 1e-12));
    if (!(shape.epsilon >= 0 && shape.epsilon < 1)) malformed(epsilon);
    const double scale = file.find_number(prefix + "attention.scale").value_or(0.0);
    shape.attention_scale =
        static_cast<float>(scale > 0 ? scale : 1.0 / std::sqrt(static_cast<double>(shape.head_size)));
    if (shape.family->positions != Positions::learned) read_rope(file, prefix, shape);

    const GgufTensor& embedding = file.tensor("token_embd.weight");
    shape.vocabulary = static_cast<std::size_t>(embedding.rows());
    if (shape.vocabulary > (1u << 24)) malformed("vocabulary");
    const std::uint64_t pooling = file.find_integer(prefix + "pooling_type").value_or(0);
    if (!shape.family->generates) {
        if (pooling != 1) unsupported("pooling type " + std::to_string(pooling));
        shape.pooling = Pooling::mean;
        shape.context = std::min(shape.context, Model::kStepRows);
    }
    return shape;
}

std::uint64_t memory_needed(const Gguf& file, const ModelShape& shape, std::size_t contexts)
{
    std::uint64_t bytes = 0;
    for (const GgufTensor& tensor : file.tensors()) {
        const std::uint64_t padded = (tensor.rows() + kPanelRows - 1) / kPanelRows * kPanelRows;
        bytes += tensor.data.size() / tensor.rows() * padded;
    }
    const std::uint64_t pages = (shape.context + kChunkPositions - 1) / kChunkPositions;
    bytes += contexts * pages * shape.kv().page_bytes();
    bytes += shape.context * shape.rope_size * sizeof(float);
    const std::uint64_t floats_per_row = 4 * shape.width + 2 * shape.inner +
                                         3 * shape.heads * shape.head_size +
                                         2 * std::max(shape.inner, shape.width);
    bytes += Model::kStepRows * floats_per_row * sizeof(float);
    return bytes + 4 * shape.vocabulary * sizeof(float);
}

// --- loading ---

Model::Model(const Gguf& file, const ModelShape& shape, unsigned threads, const Kernels& kernels)
    : shape_(shape), kernels_(kernels), pool_(threads), unpack_(pool_.threads())
{
    embedding_ = Matrix(file.tensor("token_embd.weight"), pool_);
    if (embedding_.columns() != shape_.width) malformed("token_embd.weight");
    if (shape_.family->positions == Positions::learned) {
        positions_ = Matrix(file.tensor("position_embd.weight"), pool_);
        if (positions_.columns() != shape_.width || positions_.rows() < shape_.context) {
            malformed("position_embd.weight");
        }
    } else {
        make_rope(file);
    }
    if (const GgufTensor* const types = file.find_tensor("token_types.weight")) {
        const Matrix matrix(*types, pool_);
        if (matrix.columns() != shape_.width) malformed("token_types.weight");
        type_row_.resize(shape_.width);
        matrix.row(0, type_row_.data());
    }
    if (file.find_tensor("token_embd_norm.weight") != nullptr) {
        embedding_norm_ = read_norm(file, "token_embd_norm");
    }
    if (shape_.family->generates) {
        output_norm_ = read_norm(file, "output_norm");
        if (file.find_tensor("output.weight") != nullptr) {
            output_ = read_linear(file, "output", shape_.vocabulary, shape_.width, Bias::optional);
        }
    }
    read_layers(file);
    work_.attention.resize(pool_.threads());
}

void Model::read_layers(const Gguf& file)
{
    const bool after = shape_.family->placement == Placement::after;
    const std::size_t width = shape_.width;
    const std::size_t kv_width = shape_.kv_heads * shape_.head_size;
    const std::size_t q_width = shape_.heads * shape_.head_size;
    layers_.resize(shape_.layers);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        Layer& layer = layers_[i];
        const std::string name = "blk." + std::to_string(i) + ".";
        layer.attention_norm = read_norm(file, name + (after ? "attn_output_norm" : "attn_norm"));
        layer.inner_norm = read_norm(file, name + (after ? "layer_output_norm" : "ffn_norm"));
        const Bias qkv = shape_.family->qkv_bias;
        const Bias other = shape_.family->other_bias;
        layer.q = read_linear(file, name + "attn_q", q_width, width, qkv);
        layer.k = read_linear(file, name + "attn_k", kv_width, width, qkv);
        layer.v = read_linear(file, name + "attn_v", kv_width, width, qkv);
        layer.output = read_linear(file, name + "attn_output", width, q_width, other);
        if (shape_.family->feed_forward == FeedForward::swiglu) {
            layer.gate = read_linear(file, name + "ffn_gate", shape_.inner, width, other);
        }
        layer.up = read_linear(file, name + "ffn_up", shape_.inner, width, other);
        layer.down = read_linear(file, name + "ffn_down", width, shape_.inner, other);
    }
}

Model::Linear Model::read_linear(const Gguf& file, const std::string& name, std::size_t rows,
                                 std::size_t columns, Bias bias)
{
    Linear linear;
    const GgufTensor& tensor = file.tensor(name + ".weight");
    if (tensor.columns() != columns || tensor.rows() != rows) malformed("shape of " + name + ".weight");
    linear.matrix = Matrix(tensor, pool_);
    const bool present = file.find_tensor(name + ".bias") != nullptr;
    if (present && bias == Bias::never) unsupported(name + ".bias");
    if (!present && bias == Bias::required) malformed("no tensor " + name + ".bias");
    if (present) linear.bias = read_vector(file, name + ".bias", rows);
    return linear;
}

Model::NormWeights Model::read_norm(const Gguf& file, const std::string& name) const
{
    NormWeights norm;
    norm.weight = read_vector(file, name + ".weight", shape_.width);
    if (shape_.family->norm == Norm::layer) norm.bias = read_vector(file, name + ".bias", shape_.width);
    return norm;
}

// The result is padded to whole panels with zeros, as the outputs that it is added to are.
std::vector<float> Model::read_vector(const Gguf& file, const std::string& name, std::size_t size) const
{
    const GgufTensor& tensor = file.tensor(name);
    if (tensor.columns() != size || tensor.rows() != 1) malformed("shape of " + name);
    std::vector<float> out((size + kPanelRows - 1) / kPanelRows * kPanelRows);
    dequantize(tensor.type(), tensor.data.data(), size, out.data());
    return out;
}

void Model::make_rope(const Gguf& file)
{
    const std::size_t half = shape_.rope_size / 2;
    std::vector<float> divisors(half, 1.0f);  // Llama 3's scaling is baked into such a tensor
    if (file.find_tensor("rope_freqs.weight") != nullptr)
        divisors = read_vector(file, "rope_freqs.weight", half);
    rope_cos_.resize(shape_.context * half);
    rope_sin_.resize(shape_.context * half);
    const double log_base = fixed_log(shape_.rope_base);
    for (std::size_t i = 0; i < half; ++i) {
        if (!(divisors[i] > 0)) malformed("rope_freqs.weight");
        const double power = 2.0 * static_cast<double>(i) / static_cast<double>(shape_.rope_size);
        const double frequency =
            fixed_exp(-power * log_base) / (shape_.rope_factor * static_cast<double>(divisors[i]));
        for (std::size_t p = 0; p < shape_.context; ++p) {
            const double angle = static_cast<double>(p) * frequency;
            rope_cos_[p * half + i] = static_cast<float>(fixed_cos(angle));
            rope_sin_[p * half + i] = static_cast<float>(fixed_sin(angle));
        }
    }
}

// --- the forward pass ---

void Model::forward(std::span<const Row> rows, std::span<const std::size_t> wanted, std::vector<float>& out)
{
    work_.rows.assign(rows.begin(), rows.end());
    embed(rows);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        // After its keys and values, the last layer has nothing to give for rows that nobody asked for.
        run_layer(layers_[i], i, i + 1 == layers_.size() ? wanted : std::span<const std::size_t>{});
        if (work_.rows.empty()) break;
    }
    const std::size_t count = wanted.size();
    if (!shape_.family->generates) {
        out.assign(work_.hidden.begin(),
                   work_.hidden.begin() + static_cast<std::ptrdiff_t>(count * shape_.width));
        return;
    }
    out.resize(count * shape_.vocabulary);
    if (count == 0) return;
    norm(output_norm_, work_.hidden.data(), work_.normed.data());
    const Matrix& head = output_.matrix ? output_.matrix : embedding_;
    quantize(work_.normed.data(), shape_.width, shape_.width, {&head});
    work_.logits.resize(count * head.padded_rows());
    const Product product{&head, work_.logits.data(), head.padded_rows()};
    multiply(pool_, kernels_, unpack_, work_.activations, {&product, 1});
    for (std::size_t i = 0; i < count; ++i) {
        const float* const from = work_.logits.data() + i * head.padded_rows();
        float* const to = out.data() + i * shape_.vocabulary;
        std::copy(from, from + shape_.vocabulary, to);
        if (output_.bias.empty()) continue;
        for (std::size_t k = 0; k < shape_.vocabulary; ++k) to[k] += output_.bias[k];
    }
}

void Model::embed(std::span<const Row> rows)
{
    const std::size_t n = rows.size();
    const std::size_t width = shape_.width;
    const auto grow = [n](std::vector<float>& buffer, std::size_t per_row) {
        if (buffer.size() < n * per_row) buffer.resize(n * per_row);
    };
    grow(work_.hidden, width);
    grow(work_.normed, width);
    grow(work_.projected, width);
    grow(work_.q, shape_.heads * shape_.head_size);
    grow(work_.k, shape_.kv_heads * shape_.head_size);
    grow(work_.v, shape_.kv_heads * shape_.head_size);
    grow(work_.attended, shape_.heads * shape_.head_size);
    grow(work_.up, shape_.inner);
    if (shape_.family->feed_forward == FeedForward::swiglu) grow(work_.gate, shape_.inner);

    pool_.run(n, 8, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) {
            float* const h = work_.hidden.data() + i * width;
            float* const scratch = work_.normed.data() + i * width;
            embedding_.row(static_cast<std::size_t>(rows[i].token), h);
            if (positions_) {
                positions_.row(rows[i].position, scratch);
                for (std::size_t k = 0; k < width; ++k) h[k] += scratch[k];
            }
            if (!type_row_.empty()) {
                for (std::size_t k = 0; k < width; ++k) h[k] += type_row_[k];
            }
        }
    });
    if (!embedding_norm_.weight.empty()) norm(embedding_norm_, work_.hidden.data(), work_.hidden.data());
}

void Model::run_layer(const Layer& layer, std::size_t index, std::span<const std::size_t> wanted)
{
    const std::size_t width = shape_.width;
    const std::size_t q_width = shape_.heads * shape_.head_size;
    const bool last = index + 1 == layers_.size();
    const bool before = shape_.family->placement == Placement::before;
    float* const hidden = work_.hidden.data();

    const float* in = hidden;
    if (before) {
        norm(layer.attention_norm, hidden, work_.normed.data());
        in = work_.normed.data();
    }
    quantize(in, width, width, {&layer.q.matrix, &layer.k.matrix, &layer.v.matrix});
    const std::size_t kv_width = shape_.kv_heads * shape_.head_size;
    const Product products[] = {{&layer.q.matrix, work_.q.data(), q_width},
                                {&layer.k.matrix, work_.k.data(), kv_width},
                                {&layer.v.matrix, work_.v.data(), kv_width}};
    multiply(pool_, kernels_, unpack_, work_.activations, products);
    store_keys_values(layer, shape_.kv().layers == 1 ? 0 : index);
    if (last) keep_rows(wanted);
    if (work_.rows.empty()) return;
    attend(shape_.kv().layers == 1 ? 0 : index);

    quantize(work_.attended.data(), q_width, q_width, {&layer.output.matrix});
    project(layer.output, work_.projected.data(), width);
    const std::size_t numbers = work_.rows.size() * width;
    for (std::size_t i = 0; i < numbers; ++i) hidden[i] += work_.projected[i];
    if (!before) norm(layer.attention_norm, hidden, hidden);

    feed_forward(layer);
    for (std::size_t i = 0; i < numbers; ++i) hidden[i] += work_.projected[i];
    if (!before) norm(layer.inner_norm, hidden, hidden);
}

// Adds the biases, turns queries and keys by their position, and files keys and values in the pages.
void Model::store_keys_values(const Layer& layer, std::size_t index)
{
    const std::size_t size = shape_.head_size;
    const bool rope = shape_.rope_size != 0;
    pool_.run(work_.rows.size(), 4, [&](std::size_t begin, std::size_t end, unsigned) {
        std::vector<std::uint16_t> half(size);
        for (std::size_t i = begin; i < end; ++i) {
            const Row& row = work_.rows[i];
            float* const q = work_.q.data() + i * shape_.heads * size;
            float* const k = work_.k.data() + i * shape_.kv_heads * size;
            float* const v = work_.v.data() + i * shape_.kv_heads * size;
            if (!layer.q.bias.empty()) {
                for (std::size_t d = 0; d < shape_.heads * size; ++d) q[d] += layer.q.bias[d];
            }
            if (!layer.k.bias.empty()) {
                for (std::size_t d = 0; d < shape_.kv_heads * size; ++d) k[d] += layer.k.bias[d];
            }
            if (!layer.v.bias.empty()) {
                for (std::size_t d = 0; d < shape_.kv_heads * size; ++d) v[d] += layer.v.bias[d];
            }
            for (std::size_t h = 0; rope && h < shape_.heads; ++h) rotate(q + h * size, row.position);
            KvPage& page = *(*row.pages)[row.position / kChunkPositions];
            const std::size_t at = row.position % kChunkPositions;
            for (std::size_t h = 0; h < shape_.kv_heads; ++h) {
                if (rope) rotate(k + h * size, row.position);
                kernels_.to_half(k + h * size, size, half.data());
                std::uint16_t* const keys = page.keys(index, h) + at / 16 * 16 * size + at % 16;
                for (std::size_t d = 0; d < size; ++d) keys[d * 16] = half[d];
                kernels_.to_half(v + h * size, size, page.values(index, h) + at * size);
            }
        }
    });
}

void Model::rotate(float* head, std::size_t position) const
{
    const std::size_t half = shape_.rope_size / 2;
    const float* const cosine = rope_cos_.data() + position * half;
    const float* const sine = rope_sin_.data() + position * half;
    const bool halves = shape_.family->positions == Positions::rope_halves;
    const std::size_t step = halves ? 1 : 2;
    float* const first = head;
    float* const second = head + (halves ? half : 1);
    for (std::size_t i = 0; i < half; ++i) {
        const float a = first[i * step];
        const float b = second[i * step];
        first[i * step] = a * cosine[i] - b * sine[i];
        second[i * step] = a * sine[i] + b * cosine[i];
    }
}

// Leaves only the rows at these indices in the step.
void Model::keep_rows(std::span<const std::size_t> wanted)
{
    const std::size_t q_width = shape_.heads * shape_.head_size;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const std::size_t from = wanted[i];
        if (from == i) continue;
        work_.rows[i] = work_.rows[from];
        std::memcpy(work_.hidden.data() + i * shape_.width, work_.hidden.data() + from * shape_.width,
                    shape_.width * sizeof(float));
        std::memcpy(work_.q.data() + i * q_width, work_.q.data() + from * q_width, q_width * sizeof(float));
    }
    work_.rows.resize(wanted.size());
}

// Queries of one sequence that share a key/value head: query i of the tile is head i % group of row i /
// group, counted from `first`.
struct Model::QueryTile {
    std::size_t row = 0;  // first row of the sequence's run of rows
    std::size_t kv_head = 0;
    std::size_t first = 0;
    unsigned queries = 0;   // real ones
    unsigned padded = 0;    // as the kernel wants them; the rest are zeros that see nothing
    std::size_t begin = 0;  // positions that any of them sees
    std::size_t end = 0;
};

void Model::attend(std::size_t layer)
{
    const std::size_t group = shape_.heads / shape_.kv_heads;
    std::vector<QueryTile> tiles;
    for (std::size_t row = 0, next = 0; row < work_.rows.size(); row = next) {
        while (next < work_.rows.size() && work_.rows[next].pages == work_.rows[row].pages) ++next;
        const std::size_t queries = (next - row) * group;
        for (std::size_t head = 0; head < shape_.kv_heads; ++head) {
            for (std::size_t first = 0; first < queries; first += kAttendQueries) {
                QueryTile tile{row, head, first, 0, 0, std::numeric_limits<std::size_t>::max(), 0};
                tile.queries = static_cast<unsigned>(std::min(kAttendQueries, queries - first));
                tile.padded = attend_queries(tile.queries);
                for (std::size_t i = first; i < first + tile.queries; ++i) {
                    const Row& seen = work_.rows[row + i / group];
                    tile.begin = std::min(tile.begin, seen.begin);
                    tile.end = std::max(tile.end, seen.end);
                }
                tiles.push_back(tile);
            }
        }
    }
    pool_.run(tiles.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
        for (std::size_t i = begin; i < end; ++i) attend_tile(layer, tiles[i], thread);
    });
}

void Model::attend_tile(std::size_t layer, const QueryTile& tile, unsigned thread)
{
    const std::size_t size = shape_.head_size;
    const std::size_t group = shape_.heads / shape_.kv_heads;
    std::vector<float>& space = work_.attention[thread];
    if (space.size() < 3 * kAttendQueries * size) space.resize(3 * kAttendQueries * size);
    float* const q = space.data();
    float* const chunk_out = q + kAttendQueries * size;
    float* const running = chunk_out + kAttendQueries * size;

    std::fill(space.begin(), space.end(), 0.0f);
    for (unsigned i = 0; i < tile.queries; ++i) {
        const std::size_t query = tile.first + i;
        const std::size_t head = tile.kv_head * group + query % group;
        const float* const from = work_.q.data() + ((tile.row + query / group) * shape_.heads + head) * size;
        for (std::size_t d = 0; d < size; ++d) q[d * tile.padded + i] = from[d] * shape_.attention_scale;
    }
    float maximum[kAttendQueries];
    float sum[kAttendQueries];
    std::fill_n(maximum, kAttendQueries, -std::numeric_limits<float>::infinity());
    std::fill_n(sum, kAttendQueries, 0.0f);
    for (std::size_t chunk = tile.begin / kChunkPositions; chunk * kChunkPositions < tile.end; ++chunk) {
        float chunk_maximum[kAttendQueries];
        float chunk_sum[kAttendQueries];
        attend_chunk_of_tile(layer, tile, chunk, q, chunk_maximum, chunk_sum, chunk_out);
        for (unsigned i = 0; i < tile.queries; ++i) {
            kernels_.merge(&maximum[i], &sum[i], running + i * size, chunk_maximum[i], chunk_sum[i],
                           chunk_out + i * size, size);
        }
    }
    for (unsigned i = 0; i < tile.queries; ++i) {
        const std::size_t query = tile.first + i;
        const std::size_t head = tile.kv_head * group + query % group;
        float* const to = work_.attended.data() + ((tile.row + query / group) * shape_.heads + head) * size;
        const float share = 1.0f / sum[i];
        for (std::size_t d = 0; d < size; ++d) to[d] = running[i * size + d] * share;
    }
}

void Model::attend_chunk_of_tile(std::size_t layer, const QueryTile& tile, std::size_t chunk, float* q,
                                 float* maximum, float* sum, float* out)
{
    const std::size_t group = shape_.heads / shape_.kv_heads;
    int begin[kAttendQueries] = {};
    int end[kAttendQueries] = {};
    const auto within = [chunk](std::size_t position) {
        const std::size_t start = chunk * kChunkPositions;
        return static_cast<int>(std::clamp(position, start, start + kChunkPositions) - start);
    };
    for (unsigned i = 0; i < tile.queries; ++i) {
        const Row& row = work_.rows[tile.row + (tile.first + i) / group];
        begin[i] = within(row.begin);
        end[i] = within(row.end);
    }
    KvPage& page = *(*work_.rows[tile.row].pages)[chunk];
    AttendChunk task;
    task.queries = tile.padded;
    task.head_size = shape_.head_size;
    task.q = q;
    task.keys = page.keys(layer, tile.kv_head);
    task.values = page.values(layer, tile.kv_head);
    task.begin = begin;
    task.end = end;
    task.maximum = maximum;
    task.sum = sum;
    task.out = out;
    kernels_.attend(task);
}

void Model::feed_forward(const Layer& layer)
{
    const std::size_t width = shape_.width;
    const std::size_t inner = shape_.inner;
    const std::size_t n = work_.rows.size();
    const float* in = work_.hidden.data();
    if (shape_.family->placement == Placement::before) {
        norm(layer.inner_norm, in, work_.normed.data());
        in = work_.normed.data();
    }
    const bool gated = shape_.family->feed_forward == FeedForward::swiglu;
    if (gated) {
        quantize(in, width, width, {&layer.gate.matrix, &layer.up.matrix});
    } else {
        quantize(in, width, width, {&layer.up.matrix});
    }
    const Product products[] = {{&layer.up.matrix, work_.up.data(), inner},
                                {&layer.gate.matrix, work_.gate.data(), inner}};
    multiply(pool_, kernels_, unpack_, work_.activations, {products, gated ? 2u : 1u});

    const auto add_bias = [inner](const Linear& linear, float* x) {
        for (std::size_t k = 0; k < linear.bias.size() && k < inner; ++k) x[k] += linear.bias[k];
    };
    pool_.run(n, 4, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) {
            float* const up = work_.up.data() + i * inner;
            add_bias(layer.up, up);
            if (gated) {
                float* const gate = work_.gate.data() + i * inner;
                add_bias(layer.gate, gate);
                kernels_.silu_multiply(gate, up, inner, up);
            } else {
                kernels_.gelu(up, inner, up);
            }
        }
    });
    quantize(work_.up.data(), inner, inner, {&layer.down.matrix});
    project(layer.down, work_.projected.data(), width);
}

void Model::project(const Linear& linear, float* out, std::size_t stride)
{
    const Product product{&linear.matrix, out, stride};
    multiply(pool_, kernels_, unpack_, work_.activations, {&product, 1});
    if (linear.bias.empty()) return;
    for (std::size_t i = 0; i < work_.rows.size(); ++i) {
        for (std::size_t k = 0; k < linear.matrix.rows(); ++k) out[i * stride + k] += linear.bias[k];
    }
}

void Model::norm(const NormWeights& weights, const float* in, float* out) const
{
    const std::size_t width = shape_.width;
    const auto one = [&](std::size_t i) {
        const float* const x = in + i * width;
        float* const y = out + i * width;
        if (shape_.family->norm == Norm::rms) {
            kernels_.rms_norm(x, weights.weight.data(), width, shape_.epsilon, y);
        } else {
            kernels_.layer_norm(x, weights.weight.data(), weights.bias.data(), width, shape_.epsilon, y);
        }
    };
    for (std::size_t i = 0; i < work_.rows.size(); ++i) one(i);
}

void Model::quantize(const float* in, std::size_t stride, std::size_t columns,
                     std::initializer_list<const Matrix*> users)
{
    bool wants[3] = {};
    for (const Matrix* const matrix : users) wants[static_cast<std::size_t>(act_form(matrix->type()))] = true;
    work_.activations.shape(work_.rows.size(), columns, wants[0], wants[1], wants[2]);
    pool_.run(work_.rows.size(), 4, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) work_.activations.fill(kernels_, i, in + i * stride);
    });
}

void Model::pool_mean(const float* hidden, std::size_t rows, float* out) const
{
    std::fill_n(out, shape_.width, 0.0f);
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t k = 0; k < shape_.width; ++k) out[k] += hidden[i * shape_.width + k];
    }
    for (std::size_t k = 0; k < shape_.width; ++k) out[k] /= static_cast<float>(rows);
    kernels_.l2_normalize(out, shape_.width, out);
}

}  // namespace jiphyeon
