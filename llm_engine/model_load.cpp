// The table of families, and the way from a file to a Model.
#include "model.hpp"

#include <algorithm>
#include <cmath>

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

}  // namespace jiphyeon
