// Tiny random models as GGUF files, and their forward pass written a second time: plainly, in double, from
// the file's tensors by the formulas of the formats. Shares no code with the engine but the reader of the
// container.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gguf.hpp"
#include "gguf_writer.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::test {

struct TinyOptions {
    std::string architecture = "qwen2";
    TensorType matrices = TensorType::f32;
    TensorType others = TensorType::f32;  // of value projection, ffn_down and output, as in mixed files
    unsigned layers = 2;
    unsigned width = 256;
    unsigned heads = 4;
    unsigned kv_heads = 2;
    unsigned head_size = 0;  // 0: width / heads
    unsigned inner = 512;
    unsigned context = 1024;
    unsigned window = 8;   // in families that have one
    unsigned pooling = 1;  // of encoders; 4: a score
    bool tied = false;
    bool rope_freqs = false;  // the tensor of Llama 3's scaling
    unsigned spare_rows = 3;  // of the embedding beyond the last token
    unsigned seed = 1;
};

// Positive; exact where the number is short enough.
inline std::uint16_t half_of(double value)
{
    if (value < std::ldexp(1, -14)) return static_cast<std::uint16_t>(std::ldexp(value, 24));
    int exponent = 0;
    const double mantissa = std::frexp(value, &exponent);  // [0.5, 1)
    return static_cast<std::uint16_t>(((exponent + 14) << 10) + static_cast<int>((mantissa * 2 - 1) * 1024));
}

inline double value_of_half(std::uint16_t half)
{
    const int exponent = (half >> 10) & 31;
    const double mantissa = half & 1023;
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

// Random blocks whose weights have a spread of about 1 / sqrt(columns).
inline std::string random_tensor(TensorType type, std::size_t columns, std::size_t rows, std::mt19937& random,
                                 double mean = 0)
{
    const double spread = 1.0 / std::sqrt(static_cast<double>(columns));
    std::string out;
    const auto byte = [&] { out.push_back(static_cast<char>(random() & 255)); };
    const auto half = [&](double value) {
        std::uint16_t bits =
            half_of(std::abs(value) * (0.75 + 0.5 * static_cast<double>(random() % 1000) / 1000.0));
        if (value < 0) bits = static_cast<std::uint16_t>(bits | 0x8000);
        out.append(reinterpret_cast<const char*>(&bits), 2);
    };
    const auto bytes = [&](int n) {
        for (int i = 0; i < n; ++i) byte();
    };
    std::normal_distribution<double> normal(mean, spread);
    const std::size_t elements = columns * rows;
    switch (type) {
        case TensorType::f32:
            for (std::size_t i = 0; i < elements; ++i) {
                const auto value = static_cast<float>(normal(random));
                out.append(reinterpret_cast<const char*>(&value), 4);
            }
            break;
        case TensorType::f16:
            for (std::size_t i = 0; i < elements; ++i) {
                const double value = normal(random);
                std::uint16_t bits = std::abs(value) < 1e-4 ? std::uint16_t{0} : half_of(std::abs(value));
                if (value < 0) bits = static_cast<std::uint16_t>(bits | 0x8000);
                out.append(reinterpret_cast<const char*>(&bits), 2);
            }
            break;
        case TensorType::bf16:
            for (std::size_t i = 0; i < elements; ++i) {
                const auto value = static_cast<float>(normal(random));
                out.append(reinterpret_cast<const char*>(&value) + 2, 2);
            }
            break;
        case TensorType::q4_0:
        case TensorType::q5_0:
        case TensorType::q8_0:
        case TensorType::iq4_nl: {
            const int size = type == TensorType::q5_0 ? 20 : type == TensorType::q8_0 ? 32 : 16;
            const double step = type == TensorType::q4_0   ? 4.6
                                : type == TensorType::q5_0 ? 9.2
                                : type == TensorType::q8_0 ? 74
                                                           : 70;
            for (std::size_t b = 0; b < elements / 32; ++b) {
                half(spread / step);
                bytes(size);
            }
            break;
        }
        case TensorType::q4_1:
        case TensorType::q5_1: {
            const bool fifth = type == TensorType::q5_1;
            const double step = spread / (fifth ? 9.2 : 4.6);
            for (std::size_t b = 0; b < elements / 32; ++b) {
                half(step);
                half(step * (fifth ? -15.5 : -7.5));
                bytes(fifth ? 20 : 16);
            }
            break;
        }
        case TensorType::mxfp4: {
            const int exponent = 128 + static_cast<int>(std::lround(std::log2(spread / 8)));
            for (std::size_t b = 0; b < elements / 32; ++b) {
                out.push_back(static_cast<char>(exponent + static_cast<int>(random() % 2)));
                bytes(16);
            }
            break;
        }
        case TensorType::q4_k:
        case TensorType::q5_k:
            for (std::size_t b = 0; b < elements / 256; ++b) {
                half(spread / (type == TensorType::q4_k ? 150 : 310));
                half(spread / 20);
                bytes(type == TensorType::q4_k ? 140 : 172);
            }
            break;
        case TensorType::q6_k:
            for (std::size_t b = 0; b < elements / 256; ++b) {
                bytes(208);
                half(spread / 1400);
            }
            break;
        case TensorType::iq4_xs:
            for (std::size_t b = 0; b < elements / 256; ++b) {
                half(spread / 1300);
                bytes(134);
            }
            break;
    }
    return out;
}

// What the reference knows of a family, from the families' own descriptions.
struct Traits {
    explicit Traits(const std::string& a)
    {
        const auto is = [&](std::initializer_list<const char*> names) {
            return std::find(names.begin(), names.end(), a) != names.end();
        };
        layer_norm = is({"bert", "gptneox", "phi2"});
        halves = !is({"llama", "mistral3", "smollm3", "granite"});
        gated = !is({"bert", "gptneox", "phi2", "apertus"});
        norm_before = !is({"bert", "exaone4", "olmo2"});
        norm_after = is({"gemma2", "gemma3", "gemma-embedding", "exaone4", "olmo2", "hyperclovax"});
        parallel = is({"gptneox", "phi2"});
        head_norms = is({"qwen3", "gemma3", "gemma-embedding", "exaone4", "apertus"});
        whole_norms = is({"olmo2"});
        all_biases = layer_norm;
        qkv_bias = all_biases || a == "qwen2";
        fused = is({"gptneox", "phi3"});
        gemma = is({"gemma2", "gemma3", "gemma-embedding"});
        encoder = is({"bert", "gemma-embedding"});
        bert = a == "bert";
    }
    bool layer_norm, halves, gated, norm_before, norm_after, parallel, head_norms, whole_norms, all_biases,
        qkv_bias, fused, gemma, encoder, bert;
};

inline void tiny_keys(GgufWriter& w, const TinyOptions& o)
{
    const std::string& name = o.architecture;
    const Traits traits(name);
    const std::string a = name + ".";
    w.string("general.architecture", name);
    w.string("general.name", "tiny");
    w.integer(a + "block_count", o.layers);
    w.integer(a + "embedding_length", o.width);
    w.integer(a + "feed_forward_length", o.inner);
    w.integer(a + "context_length", o.context);
    w.integer(a + "attention.head_count", o.heads);
    w.integer(a + "attention.head_count_kv", o.kv_heads);
    if (o.head_size != 0) {
        w.integer(a + "attention.key_length", o.head_size);
        w.integer(a + "attention.value_length", o.head_size);
    }
    w.real(a + (traits.layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"),
           traits.bert ? 1e-12f : 1e-6f);
    if (traits.encoder) {
        w.boolean(a + "attention.causal", false);
        w.integer(a + "pooling_type", o.pooling);
    }
    if (!traits.bert) w.real(a + "rope.freq_base", name == "gemma3" ? 1e6f : 10000.0f);
    const std::size_t head_size = o.head_size != 0 ? o.head_size : o.width / o.heads;
    if (traits.parallel) w.integer(a + "rope.dimension_count", static_cast<std::uint32_t>(head_size / 2));
    if (name == "gptneox") w.boolean(a + "use_parallel_residual", true);
    if (o.window != 0 && (traits.gemma || name == "exaone4" || name == "olmo2")) {
        w.integer(a + "attention.sliding_window", o.window);
    }
    if (o.window != 0 && name == "olmo2") {
        w.string(a + "rope.scaling.type", "yarn");
        w.real(a + "rope.scaling.factor", 8.0f);
        w.integer(a + "rope.scaling.original_context_length", 8);
    }
    if (name == "gemma2") {
        w.real(a + "attn_logit_softcapping", 0.5f);
        w.real(a + "final_logit_softcapping", 2.0f);
    }
    if (name == "gemma3") {
        w.string(a + "rope.scaling.type", "linear");
        w.real(a + "rope.scaling.factor", 8.0f);
    }
    if (name == "mistral3") {
        w.string(a + "rope.scaling.type", "yarn");
        w.real(a + "rope.scaling.factor", 4.0f);
        w.integer(a + "rope.scaling.original_context_length", 8);
        w.real(a + "rope.scaling.yarn_beta_fast", 32.0f);
        w.real(a + "rope.scaling.yarn_beta_slow", 1.0f);
        w.real(a + "rope.scaling.yarn_log_multiplier", 1.0f);
        w.real(a + "attention.temperature_scale", 0.5f);
    }
    if (name == "phi3") {
        w.string(a + "rope.scaling.type", "longrope");
        w.integer(a + "rope.scaling.original_context_length", 64);
        w.real(a + "rope.scaling.attn_factor", 1.25f);
    }
    if (name == "granite" || name == "hyperclovax") {
        w.real(a + "embedding_scale", 3.0f);
        w.real(a + "residual_scale", 0.5f);
        w.real(a + "attention.scale", 0.25f);
        w.real(a + "logit_scale", 4.0f);
    }
    if (name == "apertus") {
        std::vector<float> positive, negative;
        for (unsigned i = 0; i < o.layers; ++i) {
            positive.push_back(0.1f * static_cast<float>(i));
            negative.push_back(0.3f - 0.1f * static_cast<float>(i));
        }
        w.reals("xielu.alpha_p", positive);
        w.reals("xielu.alpha_n", negative);
        w.reals("xielu.beta", std::vector<float>(o.layers, 0.5f));
        w.reals("xielu.eps", std::vector<float>(o.layers, -1e-6f));
    }
}

// The number of tokens.
inline std::size_t tiny_vocabulary(GgufWriter& w, const TinyOptions& o, const std::string& chat_template)
{
    std::vector<std::string> tokens;
    std::vector<std::int32_t> types;
    if (o.architecture == "bert") {
        tokens = {"<s>", "<pad>", "</s>", "<unk>", "\xE2\x96\x81"};
        for (char c = 'a'; c <= 'z'; ++c) tokens.push_back(std::string(1, c));
        types.assign(tokens.size(), 1);
        types[0] = types[1] = types[2] = 3;
        types[3] = 2;
        w.string("tokenizer.ggml.model", "t5");
        w.reals("tokenizer.ggml.scores", std::vector<float>(tokens.size(), -1.0f));
        w.integer("tokenizer.ggml.bos_token_id", 0);
        w.integer("tokenizer.ggml.token_type_count", 2);  // llama.cpp asks for it
        w.integer("tokenizer.ggml.eos_token_id", 2);
        w.integer("tokenizer.ggml.unknown_token_id", 3);
        w.boolean("tokenizer.ggml.add_bos_token", true);
        w.boolean("tokenizer.ggml.add_eos_token", true);
    } else {
        tokens = byte_pieces();
        tokens.insert(tokens.end(), {"<|im_start|>", "<|im_end|>"});
        types.assign(256, 1);
        types.insert(types.end(), {3, 3});
        w.string("tokenizer.ggml.model", "gpt2");
        w.string("tokenizer.ggml.pre", "qwen2");
        w.strings("tokenizer.ggml.merges", {});
        w.integer("tokenizer.ggml.eos_token_id", 257);
        if (!chat_template.empty()) w.string("tokenizer.chat_template", chat_template);
    }
    w.strings("tokenizer.ggml.tokens", tokens);
    w.integers("tokenizer.ggml.token_type", types);
    return tokens.size();
}

// more: writes what else the file shall hold.
inline std::string tiny_model(const TinyOptions& o, const std::string& chat_template = "",
                              const std::function<void(GgufWriter&)>& more = {})
{
    GgufWriter w;
    tiny_keys(w, o);
    const std::size_t vocabulary = tiny_vocabulary(w, o, chat_template) + o.spare_rows;
    const Traits traits(o.architecture);

    std::mt19937 random(o.seed);
    const auto vector = [&](const std::string& name, std::size_t size, double mean) {
        w.tensor(name, {size}, 0, random_tensor(TensorType::f32, size, 1, random, mean));
    };
    const auto matrix = [&](const std::string& name, std::size_t columns, std::size_t rows, TensorType type,
                            bool bias = false) {
        w.tensor(name + ".weight", {columns, rows}, static_cast<std::uint32_t>(type),
                 random_tensor(type, columns, rows, random));
        if (bias) vector(name + ".bias", rows, 0);
    };
    const auto norm = [&](const std::string& name, std::size_t size) {
        vector(name + ".weight", size, 1);
        if (traits.layer_norm) vector(name + ".bias", size, 0);
    };
    const std::size_t width = o.width;
    const std::size_t head_size = o.head_size != 0 ? o.head_size : width / o.heads;
    const std::size_t q = o.heads * head_size;
    const std::size_t kv = o.kv_heads * head_size;
    const std::size_t turned = traits.parallel ? head_size / 2 : head_size;
    const bool tied = o.tied || traits.gemma;
    matrix("token_embd", width, vocabulary, tied ? o.others : o.matrices);
    if (traits.bert) {
        matrix("position_embd", width, o.context, TensorType::f32);
        matrix("token_types", width, 2, TensorType::f32);
        norm("token_embd_norm", width);
    }
    if (o.architecture == "exaone" || o.rope_freqs) vector("rope_freqs.weight", turned / 2, 3);
    if (o.architecture == "phi3") {
        vector("rope_factors_long.weight", turned / 2, 5);
        vector("rope_factors_short.weight", turned / 2, 2);
    }
    for (unsigned i = 0; i < o.layers; ++i) {
        const std::string blk = "blk." + std::to_string(i) + ".";
        if (traits.norm_before) {
            norm(blk + "attn_norm", width);
            if (o.architecture != "phi2") norm(blk + "ffn_norm", width);
        }
        if (traits.norm_after) {
            norm(blk + "post_attention_norm", width);
            norm(blk + "post_ffw_norm", width);
        }
        if (traits.bert) {
            norm(blk + "attn_output_norm", width);
            norm(blk + "layer_output_norm", width);
        }
        if (traits.fused) {
            matrix(blk + "attn_qkv", width, q + 2 * kv, o.matrices, traits.qkv_bias);
        } else {
            matrix(blk + "attn_q", width, q, o.matrices, traits.qkv_bias);
            matrix(blk + "attn_k", width, kv, o.matrices, traits.qkv_bias);
            matrix(blk + "attn_v", width, kv, o.others, traits.qkv_bias);
        }
        if (traits.head_norms || traits.whole_norms) {
            norm(blk + "attn_q_norm", traits.whole_norms ? q : head_size);
            norm(blk + "attn_k_norm", traits.whole_norms ? kv : head_size);
        }
        matrix(blk + "attn_output", q, width, o.matrices, traits.all_biases);
        if (o.architecture == "phi3") {
            matrix(blk + "ffn_up", width, 2 * o.inner, o.matrices);
        } else {
            if (traits.gated) matrix(blk + "ffn_gate", width, o.inner, o.matrices);
            matrix(blk + "ffn_up", width, o.inner, o.matrices, traits.all_biases);
        }
        matrix(blk + "ffn_down", o.inner, width, o.others, traits.all_biases);
    }
    if (!traits.bert) norm("output_norm", width);
    if (!traits.encoder && !tied) matrix("output", width, vocabulary, o.others, o.architecture == "phi2");
    if (more) more(w);
    return w.finish();
}

inline GgufWriter adapter_keys(const std::string& architecture, float alpha)
{
    GgufWriter w;
    w.string("general.type", "adapter");
    w.string("general.architecture", architecture);
    w.string("general.name", "예산과 말투");
    w.string("adapter.type", "lora");
    w.real("adapter.lora.alpha", alpha);
    return w;
}

// A low-rank adapter for every matrix of the layers and the output.
inline std::string tiny_adapter(const Gguf& model, std::size_t rank, TensorType type, unsigned seed)
{
    GgufWriter w = adapter_keys(std::string(model.string("general.architecture")), 9.0f);
    std::mt19937 random(seed);
    for (const GgufTensor& tensor : model.tensors()) {
        const bool layers = tensor.name.starts_with("blk.") && tensor.rows() > 1;
        if (!layers && tensor.name != "output.weight") continue;
        const std::string name(tensor.name);
        const auto id = static_cast<std::uint32_t>(type);
        w.tensor(name + ".lora_a", {tensor.columns(), rank}, id,
                 random_tensor(type, tensor.columns(), rank, random));
        w.tensor(name + ".lora_b", {rank, tensor.rows()}, id,
                 random_tensor(type, rank, tensor.rows(), random));
    }
    return w.finish();
}

// A bert that scores pairs of texts. inner_layer: with the layer before the output that its family has.
inline std::string tiny_reranker(bool inner_layer, bool output = true)
{
    TinyOptions options;
    options.architecture = "bert";
    options.width = 128;
    options.inner = 256;
    options.kv_heads = options.heads;
    options.context = 128;
    options.pooling = 4;
    options.spare_rows = 0;
    return tiny_model(options, "", [&](GgufWriter& w) {
        std::mt19937 random(9);
        const auto tensor = [&](const std::string& name, std::size_t columns, std::size_t rows, bool matrix) {
            const auto shape =
                matrix ? std::vector<std::uint64_t>{columns, rows} : std::vector<std::uint64_t>{columns};
            w.tensor(name, shape, 0, random_tensor(TensorType::f32, columns, rows, random));
        };
        if (inner_layer) {
            tensor("cls.weight", options.width, options.width, true);
            tensor("cls.bias", options.width, 1, false);
        }
        if (output) {
            tensor("cls.output.weight", options.width, 1, true);
            tensor("cls.output.bias", 1, 1, false);
        }
    });
}

// One of every family, with what it does differently switched on.
inline std::vector<TinyOptions> tiny_families()
{
    std::vector<TinyOptions> all;
    for (const char* name : {"llama", "mistral3", "smollm3", "granite", "qwen2", "qwen3", "exaone", "exaone4",
                             "olmo2", "apertus", "phi3", "phi2", "gptneox", "gemma2", "gemma3",
                             "gemma-embedding", "hyperclovax", "bert"}) {
        TinyOptions options;
        options.architecture = name;
        options.width = 128;
        options.inner = 256;
        options.layers = 6;  // a whole period of windows in all of them
        if (options.architecture == "qwen3") options.head_size = 48;
        if (options.architecture == "llama") options.rope_freqs = true;
        if (options.architecture == "bert" || options.architecture == "gptneox")
            options.kv_heads = options.heads;
        all.push_back(options);
    }
    // Without windows exaone4 turns queries and keys in all layers, and olmo2 is OLMo 2 in place of OLMo 3.
    for (const std::size_t without_windows : {7u, 8u}) {
        all.push_back(all[without_windows]);
        all.back().window = 0;
    }
    return all;
}

// Elements of a tensor in double, written from the description of the formats.
inline std::vector<double> elements_of(const GgufTensor& tensor)
{
    std::vector<double> out;
    const std::uint8_t* p = tensor.data.data();
    const std::uint8_t* const end = p + tensor.data.size();
    const auto half = [](const std::uint8_t* at) {
        return value_of_half(static_cast<std::uint16_t>(at[0] | at[1] << 8));
    };
    const auto nibble = [](const std::uint8_t* bytes, int i, int span) {  // element i of 2 * span
        return i < span ? bytes[i] & 15 : bytes[i - span] >> 4;
    };
    const auto fifth = [](const std::uint8_t* bytes, int i) { return (bytes[i / 8] >> (i % 8) & 1) * 16; };
    constexpr int kCurve[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    constexpr double kFp4[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    for (; p < end; p += tensor_type_info(tensor.type_id)->block_bytes) {
        switch (tensor.type()) {
            case TensorType::f32: {
                float value;
                std::memcpy(&value, p, 4);
                out.push_back(static_cast<double>(value));
                break;
            }
            case TensorType::f16:
                out.push_back(half(p));
                break;
            case TensorType::bf16:
                out.push_back(static_cast<double>(
                    std::bit_cast<float>(static_cast<std::uint32_t>(p[0] << 16 | p[1] << 24))));
                break;
            case TensorType::q4_0:
                for (int i = 0; i < 32; ++i) out.push_back(half(p) * (nibble(p + 2, i, 16) - 8));
                break;
            case TensorType::q4_1:
                for (int i = 0; i < 32; ++i) out.push_back(half(p) * nibble(p + 4, i, 16) + half(p + 2));
                break;
            case TensorType::q5_0:
                for (int i = 0; i < 32; ++i)
                    out.push_back(half(p) * (nibble(p + 6, i, 16) + fifth(p + 2, i) - 16));
                break;
            case TensorType::q5_1:
                for (int i = 0; i < 32; ++i)
                    out.push_back(half(p) * (nibble(p + 8, i, 16) + fifth(p + 4, i)) + half(p + 2));
                break;
            case TensorType::iq4_nl:
                for (int i = 0; i < 32; ++i) out.push_back(half(p) * kCurve[nibble(p + 2, i, 16)]);
                break;
            case TensorType::mxfp4:
                for (int i = 0; i < 32; ++i) {
                    const int q = nibble(p + 1, i, 16);
                    out.push_back(std::ldexp(q < 8 ? kFp4[q] : -kFp4[q - 8], p[0] - 127));
                }
                break;
            case TensorType::q8_0:
                for (int i = 0; i < 32; ++i) out.push_back(half(p) * static_cast<std::int8_t>(p[2 + i]));
                break;
            case TensorType::q4_k:
            case TensorType::q5_k:
                for (int i = 0; i < 256; ++i) {
                    const bool five = tensor.type() == TensorType::q5_k;
                    const std::uint8_t* const b = p + 4;
                    const int j = i / 32;
                    const int scale = j < 4 ? b[j] % 64 : b[j + 4] % 16 + b[j - 4] / 64 * 16;
                    const int minimum = j < 4 ? b[j + 4] % 64 : b[j + 4] / 16 + b[j] / 64 * 16;
                    const int q = nibble(p + (five ? 48 : 16) + i / 64 * 32, i % 64, 32) +
                                  (five ? (p[16 + i % 32] >> j & 1) * 16 : 0);
                    out.push_back(half(p) * scale * q - half(p + 2) * minimum);
                }
                break;
            case TensorType::iq4_xs:
                for (int i = 0; i < 256; ++i) {
                    const int j = i / 32;
                    const int upper = (p[2] | p[3] << 8) >> (2 * j) & 3;
                    const int scale = upper * 16 + (j % 2 == 0 ? p[4 + j / 2] & 15 : p[4 + j / 2] >> 4) - 32;
                    out.push_back(half(p) * scale * kCurve[nibble(p + 8 + 16 * j, i % 32, 16)]);
                }
                break;
            case TensorType::q6_k:
                for (int i = 0; i < 256; ++i) {
                    const int part = i / 128;
                    const int group = i % 128 / 32;
                    const int l = i % 32;
                    const int low = p[64 * part + l + group % 2 * 32] >> (group / 2 * 4) & 15;
                    const int high = p[128 + 32 * part + l] >> (2 * group) & 3;
                    const int scale = static_cast<std::int8_t>(p[192 + i / 16]);
                    out.push_back(half(p + 208) * scale * (low + 16 * high - 32));
                }
                break;
        }
    }
    return out;
}

class ReferenceModel {
public:
    // Adapters: files and how much of each is added.
    explicit ReferenceModel(const Gguf& file, std::vector<std::pair<const Gguf*, double>> adapters = {})
        : file_(file),
          name_(file.string("general.architecture")),
          traits_(name_),
          adapters_(std::move(adapters))
    {
        const std::string a = name_ + ".";
        layers_ = file.integer(a + "block_count");
        width_ = file.integer(a + "embedding_length");
        heads_ = file.integer(a + "attention.head_count");
        kv_heads_ = file.integer(a + "attention.head_count_kv");
        head_size_ = file.find_integer(a + "attention.key_length").value_or(width_ / heads_);
        turned_ = file.find_integer(a + "rope.dimension_count").value_or(head_size_);
        epsilon_ = *file.find_number(
            a + (traits_.layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"));
        window_ = file.find_integer(a + "attention.sliding_window").value_or(0);
    }

    // Logits of every position, or the encoder's hidden states.
    std::vector<std::vector<double>> run(std::span<const TokenId> tokens) const
    {
        std::vector<std::vector<double>> h;
        const Vector& embedding = load("token_embd.weight");
        for (std::size_t p = 0; p < tokens.size(); ++p) {
            h.push_back(row(embedding, static_cast<std::size_t>(tokens[p])));
            if (traits_.bert) {
                add(h[p], row(load("position_embd.weight"), p));
                add(h[p], row(load("token_types.weight"), 0));
                h[p] = norm(h[p], "token_embd_norm");
            }
            scale(h[p],
                  traits_.gemma ? std::sqrt(static_cast<double>(width_)) : number("embedding_scale", 1));
        }
        for (std::size_t l = 0; l < layers_; ++l) layer(l, h);
        if (traits_.bert) return h;
        const bool tied = file_.find_tensor("output.weight") == nullptr;
        const double logit_scale = number("logit_scale", 1);
        const double cap = number("final_logit_softcapping", 0);
        for (auto& x : h) {
            x = norm(x, "output_norm");
            if (traits_.encoder) continue;
            x = product(tied ? "token_embd" : "output", x);
            scale(x, name_ == "granite" ? 1 / logit_scale : logit_scale);
            for (double& v : x) v = capped(v, cap);
        }
        return h;
    }

private:
    using Vector = std::vector<double>;

    double number(const std::string& key, double otherwise) const
    {
        return file_.find_number(name_ + "." + key).value_or(otherwise);
    }
    static double capped(double x, double cap) { return cap == 0 ? x : cap * std::tanh(x / cap); }
    const Vector& load(const std::string& name) const
    {
        Vector& values = loaded_[name];
        if (values.empty()) values = elements_of(file_.tensor(name));
        return values;
    }
    Vector row(const Vector& matrix, std::size_t r) const { return part(matrix, r * width_, width_); }
    static Vector part(const Vector& x, std::size_t first, std::size_t count)
    {
        return Vector(x.begin() + static_cast<std::ptrdiff_t>(first),
                      x.begin() + static_cast<std::ptrdiff_t>(first + count));
    }
    static void add(Vector& x, const Vector& y)
    {
        for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
    }
    static void scale(Vector& x, double by)
    {
        for (double& v : x) v *= by;
    }
    static void add_low_rank(const Gguf& adapter, double share, const std::string& name, const Vector& x,
                             Vector& y)
    {
        const GgufTensor* const tensor = adapter.find_tensor(name + ".weight.lora_a");
        if (tensor == nullptr) return;
        const std::size_t rank = tensor->rows();
        const Vector a = elements_of(*tensor);
        const Vector b = elements_of(adapter.tensor(name + ".weight.lora_b"));
        const double factor = share * *adapter.find_number("adapter.lora.alpha") / static_cast<double>(rank);
        for (std::size_t k = 0; k < rank; ++k) {
            double low = 0;
            for (std::size_t c = 0; c < x.size(); ++c) low += a[k * x.size() + c] * x[c];
            for (std::size_t r = 0; r < y.size(); ++r) y[r] += factor * b[r * rank + k] * low;
        }
    }
    Vector product(const std::string& name, const Vector& x) const
    {
        const Vector& m = load(name + ".weight");
        Vector y(m.size() / x.size());
        for (std::size_t r = 0; r < y.size(); ++r) {
            for (std::size_t c = 0; c < x.size(); ++c) y[r] += m[r * x.size() + c] * x[c];
        }
        for (const auto& [adapter, share] : adapters_) add_low_rank(*adapter, share, name, x, y);
        if (file_.find_tensor(name + ".bias") != nullptr) add(y, load(name + ".bias"));
        return y;
    }
    Vector norm(const Vector& x, const std::string& name) const
    {
        const double n = static_cast<double>(x.size());
        double mean = 0;
        double square = 0;
        if (traits_.layer_norm) {
            for (const double v : x) mean += v / n;
        }
        for (const double v : x) square += (v - mean) * (v - mean) / n;
        const Vector& weight = load(name + ".weight");
        Vector y(x.size());
        for (std::size_t i = 0; i < x.size(); ++i)
            y[i] = (x[i] - mean) / std::sqrt(square + epsilon_) * weight[i];
        if (traits_.layer_norm) add(y, load(name + ".bias"));
        return y;
    }
    bool windowed(std::size_t l) const
    {
        const std::size_t period = name_ == "gemma2" ? 2 : name_ == "exaone4" || name_ == "olmo2" ? 4 : 6;
        return window_ != 0 && l % period != period - 1;
    }
    bool turns(std::size_t l) const
    {
        if (name_ == "smollm3") return (l + 1) % 4 != 0;
        if (name_ == "exaone4") return window_ == 0 || windowed(l);
        return !traits_.bert;
    }
    // By how much pair i of a head turns at a position, and how much longer it gets.
    std::pair<double, double> turn(std::size_t i, std::size_t position, std::size_t l) const
    {
        const double size = static_cast<double>(turned_);
        const bool gemma3_local = (name_ == "gemma3" || name_ == "gemma-embedding") && windowed(l);
        const double base = gemma3_local ? 10000.0 : number("rope.freq_base", 10000);
        const double plain =
            static_cast<double>(position) * std::pow(base, -2.0 * static_cast<double>(i) / size);
        if (name_ == "olmo2" && windowed(l)) return {plain, 1.0};
        const double factor = gemma3_local ? 1.0 : number("rope.scaling.factor", 1);
        if (file_.find_string(name_ + ".rope.scaling.type") == "yarn") {
            const double context = number("rope.scaling.original_context_length", 0);
            const auto where = [&](double turns) {
                return size * std::log(context / (turns * 2 * 3.141592653589793)) / (2 * std::log(base));
            };
            const double low = std::max(0.0, std::floor(where(32)));
            const double high = std::min(size - 1, std::ceil(where(1)));
            const double ramp =
                std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
            // The multiplier of mistral3 takes the growth back.
            const double length = name_ == "mistral3" ? 1.0 : 1 + 0.1 * std::log(factor);
            return {plain / factor * ramp + plain * (1 - ramp), length};
        }
        double divisor = factor;
        const bool long_context = number("context_length", 0) > 64;
        for (const char* name :
             {"rope_freqs.weight", long_context ? "rope_factors_long.weight" : "rope_factors_short.weight"})
            if (file_.find_tensor(name) != nullptr) divisor *= load(name)[i];
        return {plain / divisor, number("rope.scaling.attn_factor", 1)};
    }
    void rotate(Vector& x, std::size_t position, std::size_t l) const
    {
        for (std::size_t first = 0; first < x.size(); first += head_size_) {
            for (std::size_t i = 0; i < turned_ / 2; ++i) {
                const auto [angle, length] = turn(i, position, l);
                double& a = x[first + (traits_.halves ? i : 2 * i)];
                double& b = x[first + (traits_.halves ? i + turned_ / 2 : 2 * i + 1)];
                const double turned = length * (a * std::cos(angle) - b * std::sin(angle));
                b = length * (a * std::sin(angle) + b * std::cos(angle));
                a = turned;
            }
        }
    }
    void norm_heads(Vector& x, const std::string& name) const
    {
        for (std::size_t first = 0; first < x.size(); first += head_size_) {
            const Vector head = norm(part(x, first, head_size_), name);
            std::copy(head.begin(), head.end(), x.begin() + static_cast<std::ptrdiff_t>(first));
        }
    }
    bool sees(std::size_t p, std::size_t other, std::size_t l) const
    {
        if (traits_.encoder) {
            const std::size_t distance = p > other ? p - other : other - p;
            return !windowed(l) || distance <= window_ / 2;
        }
        return other <= p && (!windowed(l) || p - other < window_);
    }
    Vector attend(const std::vector<Vector>& q, const std::vector<Vector>& k, const std::vector<Vector>& v,
                  std::size_t p, std::size_t l) const
    {
        const double factor = number("attention.scale", 1 / std::sqrt(static_cast<double>(head_size_)));
        Vector attended(heads_ * head_size_);
        for (std::size_t head = 0; head < heads_; ++head) {
            const std::size_t kv = head * kv_heads_ / heads_;
            Vector weights(q.size());
            double total = 0;
            for (std::size_t i = 0; i < q.size(); ++i) {
                if (!sees(p, i, l)) continue;
                double dot = 0;
                for (std::size_t d = 0; d < head_size_; ++d)
                    dot += q[p][head * head_size_ + d] * k[i][kv * head_size_ + d];
                weights[i] = std::exp(capped(dot * factor, number("attn_logit_softcapping", 0)));
                total += weights[i];
            }
            for (std::size_t i = 0; i < q.size(); ++i) {
                for (std::size_t d = 0; d < head_size_; ++d) {
                    attended[head * head_size_ + d] += weights[i] / total * v[i][kv * head_size_ + d];
                }
            }
        }
        return attended;
    }
    static double gelu_tanh(double x)
    {
        return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    }
    Vector feed_forward(const std::string& blk, const Vector& x, std::size_t l) const
    {
        Vector up = product(blk + "ffn_up", x);
        Vector gate;
        if (traits_.gated && traits_.fused) {
            gate = part(up, 0, up.size() / 2);
            up = part(up, up.size() / 2, up.size() / 2);
        } else if (traits_.gated) {
            gate = product(blk + "ffn_gate", x);
        }
        for (std::size_t i = 0; i < up.size(); ++i) {
            double& u = up[i];
            if (traits_.gated) {
                u *= traits_.gemma ? gelu_tanh(gate[i]) : gate[i] / (1 + std::exp(-gate[i]));
            } else if (name_ == "apertus") {
                const auto at = [&](const char* key) { return static_cast<double>(file_.floats(key)[l]); };
                const double beta = at("xielu.beta");
                const double p = std::log1p(std::exp(at("xielu.alpha_p")));
                const double n = beta + std::log1p(std::exp(at("xielu.alpha_n")));
                u = u > 0 ? p * u * u + beta * u
                          : n * (std::expm1(std::min(u, at("xielu.eps"))) - u) + beta * u;
            } else {
                u = name_ == "phi2" ? gelu_tanh(u) : 0.5 * u * (1 + std::erf(u / std::sqrt(2.0)));
            }
        }
        return product(blk + "ffn_down", up);
    }
    void layer(std::size_t l, std::vector<Vector>& h) const
    {
        const std::string blk = "blk." + std::to_string(l) + ".";
        const std::size_t q_size = heads_ * head_size_;
        const std::size_t kv_size = kv_heads_ * head_size_;
        std::vector<Vector> q, k, v;
        for (std::size_t p = 0; p < h.size(); ++p) {
            const Vector x = traits_.norm_before ? norm(h[p], blk + "attn_norm") : h[p];
            if (traits_.fused) {
                const Vector all = product(blk + "attn_qkv", x);
                q.push_back(part(all, 0, q_size));
                k.push_back(part(all, q_size, kv_size));
                v.push_back(part(all, q_size + kv_size, kv_size));
            } else {
                q.push_back(product(blk + "attn_q", x));
                k.push_back(product(blk + "attn_k", x));
                v.push_back(product(blk + "attn_v", x));
            }
            if (traits_.whole_norms) {
                q[p] = norm(q[p], blk + "attn_q_norm");
                k[p] = norm(k[p], blk + "attn_k_norm");
            }
            if (traits_.head_norms) {
                norm_heads(q[p], blk + "attn_q_norm");
                norm_heads(k[p], blk + "attn_k_norm");
            }
            if (turns(l)) rotate(q[p], p, l), rotate(k[p], p, l);
            if (const double growth = number("attention.temperature_scale", 0); growth != 0) {
                const double length = number("rope.scaling.original_context_length", 0);
                scale(q[p], 1 + growth * std::log(1 + std::floor(static_cast<double>(p) / length)));
            }
        }
        for (std::size_t p = 0; p < h.size(); ++p) {
            Vector attended = product(blk + "attn_output", attend(q, k, v, p, l));
            if (traits_.norm_after) attended = norm(attended, blk + "post_attention_norm");
            scale(attended, number("residual_scale", 1));
            const Vector before = h[p];
            add(h[p], attended);
            if (traits_.bert) h[p] = norm(h[p], blk + "attn_output_norm");
            Vector x = traits_.parallel ? before : h[p];
            if (traits_.norm_before) x = norm(x, blk + (name_ == "phi2" ? "attn_norm" : "ffn_norm"));
            Vector fed = feed_forward(blk, x, l);
            if (traits_.norm_after) fed = norm(fed, blk + "post_ffw_norm");
            scale(fed, number("residual_scale", 1));
            add(h[p], fed);
            if (traits_.bert) h[p] = norm(h[p], blk + "layer_output_norm");
        }
    }

    const Gguf& file_;
    const std::string name_;
    const Traits traits_;
    const std::vector<std::pair<const Gguf*, double>> adapters_;
    mutable std::map<std::string, Vector> loaded_;
    std::size_t layers_ = 0, width_ = 0, heads_ = 0, kv_heads_ = 0, head_size_ = 0, turned_ = 0, window_ = 0;
    double epsilon_ = 0;
};

}  // namespace jiphyeon::test
