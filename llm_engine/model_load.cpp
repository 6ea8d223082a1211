// The way from a file to a Model.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "fixed_math.hpp"
#include "model.hpp"

namespace jiphyeon {
namespace {

// Of a tokenizer, for each token: its text, its place in tables, its merge. Measured 110 to 220.
constexpr std::uint64_t kTokenBytes = 256;

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, what);
}

// The result is padded to whole panels with zeros, as the outputs that it is added to are.
std::vector<float> numbers_of(const GgufTensor& tensor, std::size_t size)
{
    if (tensor.columns() != size || tensor.rows() != 1) malformed("shape of " + std::string(tensor.name));
    std::vector<float> out(whole_panels(size));
    dequantize(tensor.type(), tensor.data.data(), size, out.data());
    return out;
}

GgufTensor rows_of(const GgufTensor& tensor, std::size_t first, std::size_t count)
{
    const std::size_t row_bytes = tensor.data.size() / static_cast<std::size_t>(tensor.rows());
    GgufTensor part = tensor;
    part.shape = {tensor.shape[0], count, 1, 1};
    part.data = tensor.data.subspan(first * row_bytes, count * row_bytes);
    return part;
}

// Matrices that are made of a fused one, besides the first.
std::uint64_t parts_besides(const GgufTensor& tensor, const ModelShape& shape)
{
    if (tensor.name.ends_with(".attn_qkv.weight")) return 2;
    return tensor.name.ends_with(".ffn_up.weight") && tensor.rows() == 2 * shape.inner ? 1 : 0;
}

}  // namespace

// A file's tensors, and which of them have been asked for.
class Model::Tensors {
public:
    Tensors(const Gguf& file, std::span<Adapter> adapters) : file_(file), adapters_(adapters) {}

    const GgufTensor* find(const std::string& name)
    {
        const GgufTensor* const tensor = file_.find_tensor(name);
        if (tensor != nullptr) asked_.insert(tensor->name);
        return tensor;
    }
    const GgufTensor& get(const std::string& name)
    {
        const GgufTensor* const tensor = find(name);
        if (tensor == nullptr) malformed("no tensor " + name);
        return *tensor;
    }
    std::vector<LowRank> adapters_of(const std::string& matrix, const Rows& rows, std::size_t columns)
    {
        std::vector<LowRank> parts;
        for (Adapter& adapter : adapters_) {
            if (auto part = adapter.part(matrix, rows.first, rows.count, rows.of, columns))
                parts.push_back(std::move(*part));
        }
        return parts;
    }
    // What nobody asked for would have meant something.
    void refuse_the_rest(std::size_t layers) const
    {
        for (const GgufTensor& tensor : file_.tensors()) {
            const std::string name(tensor.name);
            const bool rope = name.starts_with("rope_f") || name.ends_with(".attn_rot_embd");  // read_shape's
            const bool beyond =
                name.starts_with("blk.") && std::strtoull(name.c_str() + 4, nullptr, 10) >= layers;
            if (asked_.contains(tensor.name) || rope || beyond) continue;
            throw EngineError(EngineError::Kind::unsupported, "tensor " + name + " in a file of this family");
        }
        for (const Adapter& adapter : adapters_) adapter.refuse_the_rest();
    }

private:
    const Gguf& file_;
    const std::span<Adapter> adapters_;
    std::set<std::string_view> asked_;
};

MemoryNeed memory_needed(const Gguf& file, const ModelShape& shape, std::size_t contexts)
{
    MemoryNeed need;
    for (const GgufTensor& tensor : file.tensors()) {
        const auto rows = static_cast<std::size_t>(tensor.rows());
        const std::uint64_t bytes = tensor.data.size() / rows * whole_panels(rows);
        need.weights +=
            rows == 1 ? bytes : whole_huge_pages(bytes) + parts_besides(tensor, shape) * kHugePage;
    }
    need.weights += shape.vocabulary * kTokenBytes;
    const std::uint64_t pages = (shape.context + kChunkPositions - 1) / kChunkPositions;
    need.caches = contexts * pages * shape.kv().page_bytes();
    need.work = shape.context * (shape.rope.size + shape.window_rope.size + 1) * sizeof(float);
    const std::uint64_t floats_per_row = 4 * shape.width + 2 * shape.inner +
                                         3 * shape.heads * shape.head_size +
                                         2 * std::max(shape.inner, shape.width);
    need.work += Model::kStepRows * floats_per_row * sizeof(float);
    return need;
}

Model::Model(const Gguf& file, const ModelShape& shape, unsigned threads, const Kernels& kernels,
             std::span<Adapter> adapters)
    : shape_(shape), kernels_(kernels), pool_(threads), product_space_(pool_.threads())
{
    Tensors tensors(file, adapters);
    read_embeddings(tensors);
    read_positions(tensors);
    read_head(tensors);
    layers_.resize(shape_.layers);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        Layer& layer = layers_[i];
        const bool windowed = shape_.windowed[i];
        if (windowed) layer.window = shape_.window;
        if (shape_.rotates(i)) layer.rope = windowed && shape_.window_rope.size != 0 ? &window_rope_ : &rope_;
        if (!shape_.xielu.empty()) layer.xielu = shape_.xielu[i];
        read_layer(tensors, "blk." + std::to_string(i) + ".", layer);
    }
    tensors.refuse_the_rest(shape_.layers);
    work_.attention.resize(pool_.threads());
}

void Model::read_embeddings(Tensors& tensors)
{
    embedding_ = Matrix(tensors.get("token_embd.weight"), pool_);
    if (embedding_.columns() != shape_.width) malformed("token_embd.weight");
    if (const GgufTensor* const types = tensors.find("token_types.weight")) {
        const Matrix matrix(*types, pool_);
        if (matrix.columns() != shape_.width) malformed("token_types.weight");
        type_row_.resize(shape_.width);
        matrix.row(0, type_row_.data());
    }
    if (tensors.find("token_embd_norm.weight") != nullptr) {
        embedding_norm_ = read_norm(tensors, "token_embd_norm");
    }
}

void Model::read_positions(Tensors& tensors)
{
    if (shape_.family->positions == Positions::learned) {
        positions_ = Matrix(tensors.get("position_embd.weight"), pool_);
        if (positions_.columns() != shape_.width || positions_.rows() < shape_.context) {
            malformed("position_embd.weight");
        }
        return;
    }
    const bool halves = shape_.family->positions == Positions::rope_halves;
    rope_ = RopeTable(shape_.rope, halves, shape_.context);
    if (shape_.window_rope.size != 0) window_rope_ = RopeTable(shape_.window_rope, halves, shape_.context);
    if (shape_.query_growth == 0) return;
    query_growth_.resize(shape_.context);
    for (std::size_t p = 0; p < shape_.context; ++p) {
        const auto lengths = static_cast<double>(p / static_cast<std::size_t>(shape_.query_growth_length));
        query_growth_[p] = static_cast<float>(1 + shape_.query_growth * fixed_log(1 + lengths));
    }
}

void Model::read_head(Tensors& tensors)
{
    if (shape_.family->generates || tensors.find("output_norm.weight") != nullptr) {
        output_norm_ = read_norm(tensors, "output_norm");
    }
    if (tensors.find("output.weight") != nullptr && shape_.family->generates) {
        output_ =
            read_linear(tensors, "output", {0, shape_.vocabulary, shape_.vocabulary}, shape_.width, false);
    }
    if (shape_.pooling == Pooling::rank) {
        const std::size_t width = shape_.width;
        if (tensors.find("cls.weight") != nullptr)
            class_dense_ = read_linear(tensors, "cls", {0, width, width}, width, false);
        class_output_ = read_linear(tensors, "cls.output", {0, 1, 1}, width, false);
        return;
    }
    for (const char* const name : {"dense_2.weight", "dense_3.weight"}) {
        const GgufTensor* const dense = shape_.generates() ? nullptr : tensors.find(name);
        if (dense == nullptr) continue;
        if (dense->columns() != (dense_.empty() ? shape_.width : dense_.back().rows())) malformed(name);
        dense_.emplace_back(*dense, pool_);
    }
}

void Model::read_layer(Tensors& tensors, const std::string& name, Layer& layer)
{
    read_norms(tensors, name, layer);
    read_attention(tensors, name, layer);
    read_feed_forward(tensors, name, layer);
}

void Model::read_norms(Tensors& tensors, const std::string& name, Layer& layer)
{
    const Placement placement = shape_.placement;
    if (placement != Placement::outputs && placement != Placement::sums) {
        layer.attention_norm = read_norm(tensors, name + "attn_norm");
        // Halves that see the same input may share its norm.
        const bool shared =
            placement == Placement::parallel && tensors.find(name + "ffn_norm.weight") == nullptr;
        layer.inner_norm = shared ? layer.attention_norm : read_norm(tensors, name + "ffn_norm");
    }
    if (placement == Placement::sandwich || placement == Placement::outputs) {
        layer.attention_output_norm = read_norm(tensors, name + "post_attention_norm");
        layer.inner_output_norm = read_norm(tensors, name + "post_ffw_norm");
    }
    if (placement == Placement::sums) {
        layer.attention_output_norm = read_norm(tensors, name + "attn_output_norm");
        layer.inner_output_norm = read_norm(tensors, name + "layer_output_norm");
    }
}

void Model::read_attention(Tensors& tensors, const std::string& name, Layer& layer)
{
    const Family& family = *shape_.family;
    const std::size_t width = shape_.width;
    const std::size_t q = shape_.heads * shape_.head_size;
    const std::size_t kv = shape_.kv_heads * shape_.head_size;
    if (tensors.find(name + "attn_qkv.weight") != nullptr) {
        const std::size_t all = q + 2 * kv;
        layer.q = read_linear(tensors, name + "attn_qkv", {0, q, all}, width, family.requires_qkv_bias);
        layer.k = read_linear(tensors, name + "attn_qkv", {q, kv, all}, width, family.requires_qkv_bias);
        layer.v = read_linear(tensors, name + "attn_qkv", {q + kv, kv, all}, width, family.requires_qkv_bias);
    } else {
        layer.q = read_linear(tensors, name + "attn_q", {0, q, q}, width, family.requires_qkv_bias);
        layer.k = read_linear(tensors, name + "attn_k", {0, kv, kv}, width, family.requires_qkv_bias);
        layer.v = read_linear(tensors, name + "attn_v", {0, kv, kv}, width, family.requires_qkv_bias);
    }
    layer.output = read_linear(tensors, name + "attn_output", {0, width, width}, q, family.requires_bias);
    if (family.requires_qk_norm || tensors.find(name + "attn_q_norm.weight") != nullptr) {
        layer.q_norm = read_heads_norm(tensors.get(name + "attn_q_norm.weight"), q);
        layer.k_norm = read_heads_norm(tensors.get(name + "attn_k_norm.weight"), kv);
    }
}

void Model::read_feed_forward(Tensors& tensors, const std::string& name, Layer& layer)
{
    const bool required = shape_.family->requires_bias;
    const std::size_t width = shape_.width;
    const std::size_t inner = shape_.inner;
    const bool fused = shape_.family->gated() && tensors.find(name + "ffn_gate.weight") == nullptr;
    if (fused) {
        layer.gate = read_linear(tensors, name + "ffn_up", {0, inner, 2 * inner}, width, required);
        layer.up = read_linear(tensors, name + "ffn_up", {inner, inner, 2 * inner}, width, required);
    } else {
        if (shape_.family->gated()) {
            layer.gate = read_linear(tensors, name + "ffn_gate", {0, inner, inner}, width, required);
        }
        layer.up = read_linear(tensors, name + "ffn_up", {0, inner, inner}, width, required);
    }
    layer.down = read_linear(tensors, name + "ffn_down", {0, width, width}, inner, required);
}

Model::Linear Model::read_linear(Tensors& tensors, const std::string& name, Rows rows, std::size_t columns,
                                 bool bias_required)
{
    Linear linear;
    const GgufTensor& tensor = tensors.get(name + ".weight");
    if (tensor.columns() != columns || tensor.rows() != rows.of) malformed("shape of " + name + ".weight");
    linear.matrix = Matrix(rows_of(tensor, rows.first, rows.count), pool_);
    linear.adapters = tensors.adapters_of(name + ".weight", rows, columns);
    const GgufTensor* const bias = tensors.find(name + ".bias");
    if (bias == nullptr && bias_required) malformed("no tensor " + name + ".bias");
    if (bias == nullptr) return linear;
    const std::vector<float> all = numbers_of(*bias, rows.of);
    linear.bias.assign(whole_panels(rows.count), 0.0f);
    std::copy_n(all.data() + rows.first, rows.count, linear.bias.data());
    return linear;
}

std::vector<float> Model::read_heads_norm(const GgufTensor& tensor, std::size_t all_heads) const
{
    const std::size_t size = tensor.columns() == all_heads ? all_heads : shape_.head_size;
    std::vector<float> weights = numbers_of(tensor, size);
    weights.resize(size);  // store_keys_values() goes by it
    return weights;
}

Model::NormWeights Model::read_norm(Tensors& tensors, const std::string& name) const
{
    NormWeights norm;
    norm.weight = numbers_of(tensors.get(name + ".weight"), shape_.width);
    if (shape_.family->norm == Norm::layer) {
        norm.bias = numbers_of(tensors.get(name + ".bias"), shape_.width);
    }
    return norm;
}

}  // namespace jiphyeon
