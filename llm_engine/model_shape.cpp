#include "model_shape.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "fixed_math.hpp"
#include "model.hpp"

namespace jiphyeon {
namespace {

constexpr Family kFamilies[] = {
    {.architecture = "llama", .positions = Positions::rope_interleaved},
    {.architecture = "mistral3", .positions = Positions::rope_interleaved},
    {.architecture = "smollm3",
     .positions = Positions::rope_interleaved,
     .rope_layers = RopeLayers::three_of_four},
    {.architecture = "granite", .positions = Positions::rope_interleaved, .logit_scale = LogitScale::divides},
    {.architecture = "qwen2", .requires_qkv_bias = true},
    {.architecture = "qwen3", .requires_qk_norm = true},
    {.architecture = "exaone"},
    {.architecture = "exaone4",
     .placement = Placement::outputs,
     .rope_layers = RopeLayers::windowed,
     .requires_qk_norm = true,
     .window_period = 4},
    {.architecture = "olmo2",  // OLMo 3 as well, which has windows
     .placement = Placement::outputs,
     .requires_qk_norm = true,
     .window_period = 4,
     .window_rope_unscaled = true},
    {.architecture = "apertus", .feed_forward = FeedForward::xielu, .requires_qk_norm = true},
    {.architecture = "phi3"},
    {.architecture = "phi2",
     .placement = Placement::parallel,
     .norm = Norm::layer,
     .feed_forward = FeedForward::gelu_tanh,
     .requires_qkv_bias = true,
     .requires_bias = true},
    {.architecture = "gptneox",
     .placement = Placement::parallel,
     .norm = Norm::layer,
     .feed_forward = FeedForward::gelu,
     .requires_qkv_bias = true,
     .requires_bias = true},
    {.architecture = "gemma2",
     .placement = Placement::sandwich,
     .feed_forward = FeedForward::geglu,
     .window_period = 2,
     .embedding_scale = EmbeddingScale::root_of_width,
     .layers_scaled_by_width = 46},
    {.architecture = "gemma3",
     .placement = Placement::sandwich,
     .feed_forward = FeedForward::geglu,
     .requires_qk_norm = true,
     .window_period = 6,
     .window_rope_unscaled = true,
     .window_rope_base = 10000,
     .embedding_scale = EmbeddingScale::root_of_width,
     .layers_scaled_by_width = 62},
    {.architecture = "gemma-embedding",
     .placement = Placement::sandwich,
     .feed_forward = FeedForward::geglu,
     .requires_qk_norm = true,
     .window_period = 6,
     .window_around = true,
     .window_rope_unscaled = true,
     .window_rope_base = 10000,
     .embedding_scale = EmbeddingScale::root_of_width,
     .causal = false,
     .generates = false},
    // No other engine reads this family, so the keys are ours: those of granite, and the norms after each
    // half by the names of gemma (post_attention_norm, post_ffw_norm) where the model has them.
    {.architecture = "hyperclovax", .placement = Placement::sandwich, .may_lack_outer_norms = true},
    {.architecture = "bert",
     .placement = Placement::sums,
     .norm = Norm::layer,
     .feed_forward = FeedForward::gelu,
     .positions = Positions::learned,
     .requires_qkv_bias = true,
     .requires_bias = true,
     .causal = false,
     .generates = false},
};

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, what);
}
[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, what);
}

// The keys of one architecture.
class Keys {
public:
    explicit Keys(const Gguf& file)
        : file_(file), prefix_(std::string(file.string("general.architecture")) + ".")
    {
    }
    std::size_t count(const std::string& key, std::uint64_t most) const
    {
        const std::uint64_t value = file_.integer(prefix_ + key);
        if (value == 0 || value > most) malformed(prefix_ + key + " is " + std::to_string(value));
        return static_cast<std::size_t>(value);
    }
    std::optional<std::uint64_t> integer(const std::string& key) const
    {
        return file_.find_integer(prefix_ + key);
    }
    std::size_t count(const std::string& key, std::uint64_t most, std::size_t otherwise) const
    {
        return file_.has(prefix_ + key) ? count(key, most) : otherwise;
    }
    // least <= number < most, which refuses what is no number as well.
    double number(const std::string& key, double least, double most, double otherwise) const
    {
        const double value = file_.find_number(prefix_ + key).value_or(otherwise);
        if (!(value >= least && value < most)) malformed(prefix_ + key);
        return value;
    }
    // A factor that some files write as 0 to say that there is none.
    double factor(const std::string& key) const
    {
        const double value = number(key, 0, 1e6, 1.0);
        return value == 0 ? 1.0 : value;
    }
    std::string_view text(const std::string& key, std::string_view otherwise) const
    {
        return file_.find_string(prefix_ + key).value_or(otherwise);
    }
    bool truth(const std::string& key, bool otherwise) const
    {
        return file_.find_bool(prefix_ + key).value_or(otherwise);
    }
    const std::string& prefix() const { return prefix_; }

private:
    const Gguf& file_;
    std::string prefix_;
};

const Family& find_family(const Gguf& file)
{
    const std::string_view architecture = file.string("general.architecture");
    for (const Family& family : kFamilies) {
        if (family.architecture == architecture) return family;
    }
    unsupported("model family " + std::string(architecture));
}

void read_sizes(const Keys& keys, std::size_t context_max, ModelShape& shape)
{
    shape.layers = keys.count("block_count", 1024);
    // Layers at the end that predict further tokens play no part.
    shape.layers -= std::min<std::size_t>(keys.integer("nextn_predict_layers").value_or(0), shape.layers - 1);
    shape.width = keys.count("embedding_length", 1u << 16);
    shape.heads = keys.count("attention.head_count", 1024);
    shape.kv_heads = keys.count("attention.head_count_kv", shape.heads, shape.heads);
    shape.inner = keys.count("feed_forward_length", 1u << 20);
    shape.context = std::min(keys.count("context_length", 1u << 24), context_max);
    if (shape.context == 0) throw EngineError(EngineError::Kind::bad_request, "context of 0 tokens");
    if (shape.heads % shape.kv_heads != 0) malformed("heads are no multiple of key/value heads");
    shape.head_size = keys.integer("attention.key_length").value_or(0);
    if (shape.head_size == 0) {
        if (shape.width % shape.heads != 0) malformed("width is no multiple of heads");
        shape.head_size = shape.width / shape.heads;
    }
    if (keys.count("attention.value_length", 1024, shape.head_size) != shape.head_size) {
        unsupported("values of another size than keys");
    }
    if (shape.head_size % 16 != 0 || shape.head_size > kHeadSizeMax) {
        unsupported("heads of " + std::to_string(shape.head_size));
    }
    if (shape.width % 16 != 0 || shape.inner % 16 != 0) unsupported("a width that is no multiple of 16");
}

// Divisors of the pairs, from a tensor of the file.
std::vector<float> read_divisors(const Gguf& file, const std::string& name, std::size_t pairs)
{
    const GgufTensor& tensor = file.tensor(name);
    if (tensor.columns() != pairs || tensor.rows() != 1) malformed("shape of " + name);
    std::vector<float> out(pairs);
    dequantize(tensor.type(), tensor.data.data(), pairs, out.data());
    for (const float divisor : out) {
        if (!(divisor > 1e-3f && divisor < 1e9f)) malformed(name);
    }
    return out;
}

// 1 + 0.1 weight ln(factor): by how much attention sharpens with the context (arXiv 2309.00071).
double yarn_magnitude(double factor, double weight)
{
    return factor <= 1 ? 1.0 : 1.0 + 0.1 * weight * fixed_log(factor);
}

void read_rope(const Gguf& file, const Keys& keys, ModelShape& shape)
{
    RopeRule& rope = shape.rope;
    rope.size = keys.count("rope.dimension_count", shape.head_size, shape.head_size);
    if (rope.size % 2 != 0) malformed(keys.prefix() + "rope.dimension_count");
    rope.base = keys.number("rope.freq_base", 1.0001, 1e15, 10000.0);
    rope.magnitude = keys.factor("rope.scaling.attn_factor");
    rope.original_context = static_cast<double>(
        keys.count("rope.scaling.original_context_length", 1u << 24, keys.count("context_length", 1u << 24)));

    const std::string_view scaling = keys.text("rope.scaling.type", "linear");
    if (scaling == "linear" || scaling == "yarn") rope.factor = keys.factor("rope.scaling.factor");
    if (scaling == "yarn") {
        rope.yarn = true;
        rope.beta_fast = keys.number("rope.scaling.yarn_beta_fast", 1e-3, 1e6, 32.0);
        rope.beta_slow = keys.number("rope.scaling.yarn_beta_slow", 1e-3, 1e6, 1.0);
        const double weight = keys.number("rope.scaling.yarn_log_multiplier", 0, 100, 0.0);
        rope.magnitude *= yarn_magnitude(rope.factor, 1.0);
        if (weight != 0) rope.magnitude /= yarn_magnitude(rope.factor, weight);
    } else if (scaling != "linear" && scaling != "none" && scaling != "longrope") {
        unsupported("rope scaling " + std::string(scaling));
    }
    if (rope.factor < 1) malformed(keys.prefix() + "rope.scaling.factor");

    const bool beyond = static_cast<double>(shape.context) > rope.original_context;
    for (const char* const name :
         {"rope_freqs.weight", beyond ? "rope_factors_long.weight" : "rope_factors_short.weight"}) {
        if (file.find_tensor(name) != nullptr) rope.divisors = read_divisors(file, name, rope.size / 2);
    }
    if (scaling == "longrope" && rope.divisors.empty()) malformed("no tensor rope_factors");

    if (shape.window != 0 && shape.family->window_rope_unscaled) {
        const double base = shape.family->window_rope_base;
        shape.window_rope = {
            .size = rope.size,
            .base = keys.number("rope.freq_base_swa", 1.0001, 1e15, base != 0 ? base : rope.base)};
    }
}

// Which layers see only a window.
void read_window(const Gguf& file, const Keys& keys, ModelShape& shape)
{
    shape.windowed.assign(shape.layers, false);
    shape.window = static_cast<std::size_t>(
        std::min<std::uint64_t>(keys.integer("attention.sliding_window").value_or(0), 1u << 24));
    if (shape.window == 0) return;
    const std::string key = keys.prefix() + "attention.sliding_window_pattern";
    if (file.is_array(key)) {
        const std::vector<std::int64_t> pattern = file.integers(key);
        if (pattern.size() < shape.layers) malformed(key);
        for (std::size_t i = 0; i < shape.layers; ++i) shape.windowed[i] = pattern[i] != 0;
        return;
    }
    const std::size_t period = file.find_integer(key).value_or(shape.family->window_period);
    for (std::size_t i = 0; i < shape.layers; ++i) {
        shape.windowed[i] = period == 0 || i % period < period - 1;
    }
}

void read_xielu(const Gguf& file, ModelShape& shape)
{
    const auto each = [&](const std::string& name) {
        const std::string key = "xielu." + name;
        std::vector<float> out;
        if (file.is_array(key)) {
            out = file.floats(key);
        } else if (const std::optional<double> one = file.find_number(key)) {
            out.assign(shape.layers, static_cast<float>(*one));
        }
        if (out.size() < shape.layers) malformed(out.empty() ? "no key " + key : "too few numbers in " + key);
        for (const float x : out) {
            if (!(x > -80 && x < 80)) malformed(key);
        }
        return out;
    };
    const auto softplus = [](float x) { return fixed_log(1 + fixed_exp(static_cast<double>(x))); };
    const std::vector<float> positive = each("alpha_p");
    const std::vector<float> negative = each("alpha_n");
    const std::vector<float> beta = each("beta");
    const std::vector<float> epsilon = each("eps");
    for (std::size_t i = 0; i < shape.layers; ++i) {
        shape.xielu.push_back({static_cast<float>(softplus(positive[i])),
                               static_cast<float>(static_cast<double>(beta[i]) + softplus(negative[i])),
                               beta[i], epsilon[i]});
    }
}

void read_scales(const Keys& keys, ModelShape& shape)
{
    const Family& family = *shape.family;
    const bool rms = family.norm == Norm::rms;
    shape.epsilon = static_cast<float>(keys.number(
        rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", 0, 1, rms ? 1e-5 : 1e-12));
    const bool by_width = shape.layers == family.layers_scaled_by_width;
    const double head = by_width ? static_cast<double>(shape.width) / static_cast<double>(shape.heads)
                                 : static_cast<double>(shape.head_size);
    const double scale = keys.number("attention.scale", 0, 1e6, 0.0);
    shape.attention_scale = static_cast<float>(scale > 0 ? scale : 1.0 / std::sqrt(head));
    shape.attention_cap = static_cast<float>(keys.number("attn_logit_softcapping", 0, 1e9, 0.0));
    shape.logit_cap = static_cast<float>(keys.number("final_logit_softcapping", 0, 1e9, 0.0));
    shape.embedding_scale = static_cast<float>(family.embedding_scale == EmbeddingScale::root_of_width
                                                   ? std::sqrt(static_cast<double>(shape.width))
                                                   : keys.factor("embedding_scale"));
    shape.residual_scale = static_cast<float>(keys.factor("residual_scale"));
    const double logits = keys.factor("logit_scale");
    shape.logit_scale = static_cast<float>(family.logit_scale == LogitScale::divides ? 1.0 / logits : logits);
    shape.query_growth = keys.number("attention.temperature_scale", 0, 1e6, 0.0);
    shape.query_growth_length = shape.rope.original_context;
}

Placement read_placement(const Gguf& file, const Keys& keys, const Family& family)
{
    if (family.may_lack_outer_norms && file.find_tensor("blk.0.post_attention_norm.weight") == nullptr) {
        return Placement::before;
    }
    if (family.placement == Placement::parallel && !keys.truth("use_parallel_residual", true)) {
        return Placement::before;
    }
    return family.placement;
}

Pooling read_pooling(const Keys& keys, const Family& family)
{
    const std::uint64_t type = keys.integer("pooling_type").value_or(0);
    constexpr Pooling kTypes[] = {Pooling::none, Pooling::mean, Pooling::first, Pooling::last, Pooling::rank};
    if (type >= std::size(kTypes) || (kTypes[type] == Pooling::rank && family.causal))
        unsupported("pooling type " + std::to_string(type));
    if (type == 0 && !family.generates) unsupported("an encoder without pooling");
    return kTypes[type];
}

}  // namespace

bool ModelShape::rotates(std::size_t layer) const
{
    switch (family->rope_layers) {
        case RopeLayers::windowed:
            return window == 0 || windowed[layer];
        case RopeLayers::three_of_four:
            return layer % 4 != 3;
        case RopeLayers::all:
            break;
    }
    return family->positions != Positions::learned;
}

ModelShape read_shape(const Gguf& file, std::size_t context_max, KvType kv_type)
{
    ModelShape shape;
    shape.kv_type = kv_type;
    shape.family = &find_family(file);
    const Keys keys(file);
    shape.placement = read_placement(file, keys, *shape.family);
    read_sizes(keys, context_max, shape);
    read_window(file, keys, shape);
    if (shape.family->positions != Positions::learned) read_rope(file, keys, shape);
    if (shape.family->feed_forward == FeedForward::xielu) read_xielu(file, shape);
    read_scales(keys, shape);
    if (keys.truth("attention.causal", shape.family->causal) != shape.family->causal) {
        unsupported("attention.causal that is not the family's");
    }

    shape.vocabulary = static_cast<std::size_t>(file.tensor("token_embd.weight").rows());
    if (shape.vocabulary > (1u << 24)) malformed("vocabulary");
    shape.pooling = read_pooling(keys, *shape.family);
    shape.vector_size = shape.width;
    for (const char* const name : {"dense_2.weight", "dense_3.weight"}) {
        const GgufTensor* const dense = file.find_tensor(name);
        if (dense != nullptr) shape.vector_size = static_cast<std::size_t>(dense->rows());
    }
    if (shape.vector_size % 16 != 0 || shape.vector_size > (1u << 16)) unsupported("the size of vectors");
    if (shape.pooling == Pooling::rank) shape.vector_size = 1;
    if (!shape.generates()) {
        shape.context = std::min(shape.context, Model::kStepRows);
        // Their pages live for one step, so that there is nothing to save.
        if (kv_type != KvType::f16) {
            unsupported("keys and values in " + std::string(kv_type_name(kv_type)) +
                        " of a model that does not generate");
        }
    }
    return shape;
}

}  // namespace jiphyeon
