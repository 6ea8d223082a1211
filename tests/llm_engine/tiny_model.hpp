// Tiny random models as GGUF files, and their forward pass written a second time: plainly, in double, from
// the file's tensors by the formulas of the formats. Shares no code with the engine but the reader of the
// container.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <span>
#include <string>
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
    unsigned inner = 512;
    unsigned context = 1024;
    bool tied = false;
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
        const std::uint16_t bits =
            half_of(value * (0.75 + 0.5 * static_cast<double>(random() % 1000) / 1000.0));
        out.append(reinterpret_cast<const char*>(&bits), 2);
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
        case TensorType::q4_0:
        case TensorType::q5_0:
        case TensorType::q8_0: {
            const int bytes = type == TensorType::q4_0 ? 16 : type == TensorType::q5_0 ? 20 : 32;
            const double step = type == TensorType::q4_0 ? 4.6 : type == TensorType::q5_0 ? 9.2 : 74;
            for (std::size_t b = 0; b < elements / 32; ++b) {
                half(spread / step);
                for (int i = 0; i < bytes; ++i) byte();
            }
            break;
        }
        case TensorType::q4_k:
            for (std::size_t b = 0; b < elements / 256; ++b) {
                half(spread / 150);
                half(spread / 20);
                for (int i = 0; i < 140; ++i) byte();
            }
            break;
        case TensorType::q6_k:
            for (std::size_t b = 0; b < elements / 256; ++b) {
                for (int i = 0; i < 208; ++i) byte();
                half(spread / 1400);
            }
            break;
    }
    return out;
}

inline std::string tiny_model(const TinyOptions& o, const std::string& chat_template = "")
{
    GgufWriter w;
    const bool encoder = o.architecture == "bert";
    const std::string a = o.architecture + ".";
    w.string("general.architecture", o.architecture);
    w.string("general.name", "tiny");
    w.integer(a + "block_count", o.layers);
    w.integer(a + "embedding_length", o.width);
    w.integer(a + "feed_forward_length", o.inner);
    w.integer(a + "context_length", o.context);
    w.integer(a + "attention.head_count", o.heads);
    w.integer(a + "attention.head_count_kv", o.kv_heads);
    if (encoder) {
        w.real(a + "attention.layer_norm_epsilon", 1e-12f);
        w.boolean(a + "attention.causal", false);
        w.integer(a + "pooling_type", 1);
    } else {
        w.real(a + "attention.layer_norm_rms_epsilon", 1e-6f);
        w.real(a + "rope.freq_base", 10000.0f);
    }
    std::vector<std::string> tokens;
    std::vector<std::int32_t> types;
    if (encoder) {
        tokens = {"<s>", "<pad>", "</s>", "<unk>", "\xE2\x96\x81"};
        for (char c = 'a'; c <= 'z'; ++c) tokens.push_back(std::string(1, c));
        types.assign(tokens.size(), 1);
        types[0] = types[1] = types[2] = 3;
        types[3] = 2;
        w.string("tokenizer.ggml.model", "t5");
        w.reals("tokenizer.ggml.scores", std::vector<float>(tokens.size(), -1.0f));
        w.integer("tokenizer.ggml.bos_token_id", 0);
        w.integer("tokenizer.ggml.eos_token_id", 2);
        w.integer("tokenizer.ggml.unknown_token_id", 3);
        w.boolean("tokenizer.ggml.add_bos_token", true);
        w.boolean("tokenizer.ggml.add_eos_token", true);
    } else {
        unsigned next = 0x100;
        for (unsigned byte = 0; byte < 256; ++byte) {  // token n is byte n
            const bool printable =
                (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
            const unsigned c = printable ? byte : next++;
            tokens.push_back(c < 0x80 ? std::string(1, static_cast<char>(c))
                                      : std::string{static_cast<char>(0xC0 | c >> 6),
                                                    static_cast<char>(0x80 | (c & 0x3F))});
        }
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

    std::mt19937 random(o.seed);
    const auto matrix = [&](const std::string& name, std::size_t columns, std::size_t rows, TensorType type) {
        w.tensor(name, {columns, rows}, static_cast<std::uint32_t>(type),
                 random_tensor(type, columns, rows, random));
    };
    const auto vector = [&](const std::string& name, std::size_t size, double mean) {
        w.tensor(name, {size}, 0, random_tensor(TensorType::f32, size, 1, random, mean));
    };
    const std::size_t width = o.width;
    const std::size_t kv = width / o.heads * o.kv_heads;
    const std::size_t vocabulary = tokens.size() + 3;  // rows beyond the last token, as real files have
    // Embeddings of a spread like the hidden state's.
    matrix("token_embd.weight", width, vocabulary, o.tied ? o.others : o.matrices);
    if (encoder) {
        matrix("position_embd.weight", width, o.context, TensorType::f32);
        matrix("token_types.weight", width, 2, TensorType::f32);
        vector("token_embd_norm.weight", width, 1);
        vector("token_embd_norm.bias", width, 0);
    }
    for (unsigned i = 0; i < o.layers; ++i) {
        const std::string blk = "blk." + std::to_string(i) + ".";
        for (const char* norm :
             {encoder ? "attn_output_norm" : "attn_norm", encoder ? "layer_output_norm" : "ffn_norm"}) {
            vector(blk + norm + ".weight", width, 1);
            if (encoder) vector(blk + norm + ".bias", width, 0);
        }
        matrix(blk + "attn_q.weight", width, width, o.matrices);
        matrix(blk + "attn_k.weight", width, kv, o.matrices);
        matrix(blk + "attn_v.weight", width, kv, o.others);
        matrix(blk + "attn_output.weight", width, width, o.matrices);
        if (!encoder) matrix(blk + "ffn_gate.weight", width, o.inner, o.matrices);
        matrix(blk + "ffn_up.weight", width, o.inner, o.matrices);
        matrix(blk + "ffn_down.weight", o.inner, width, o.others);
        if (o.architecture != "llama") {
            vector(blk + "attn_q.bias", width, 0);
            vector(blk + "attn_k.bias", kv, 0);
            vector(blk + "attn_v.bias", kv, 0);
        }
        if (encoder) {
            vector(blk + "attn_output.bias", width, 0);
            vector(blk + "ffn_up.bias", o.inner, 0);
            vector(blk + "ffn_down.bias", width, 0);
        }
    }
    if (!encoder) {
        vector("output_norm.weight", width, 1);
        if (!o.tied) matrix("output.weight", width, vocabulary, o.others);
    }
    return w.finish();
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
            case TensorType::q4_0:
                for (int i = 0; i < 32; ++i) out.push_back(half(p) * (nibble(p + 2, i, 16) - 8));
                break;
            case TensorType::q5_0: {
                std::uint32_t fifth;
                std::memcpy(&fifth, p + 2, 4);
                for (int i = 0; i < 32; ++i) {
                    const int q = nibble(p + 6, i, 16) + static_cast<int>(fifth >> i & 1) * 16;
                    out.push_back(half(p) * (q - 16));
                }
                break;
            }
            case TensorType::q8_0:
                for (int i = 0; i < 32; ++i) out.push_back(half(p) * static_cast<std::int8_t>(p[2 + i]));
                break;
            case TensorType::q4_k:
                for (int i = 0; i < 256; ++i) {
                    const std::uint8_t* const b = p + 4;
                    const int j = i / 32;
                    const int scale = j < 4 ? b[j] % 64 : b[j + 4] % 16 + b[j - 4] / 64 * 16;
                    const int minimum = j < 4 ? b[j + 4] % 64 : b[j + 4] / 16 + b[j] / 64 * 16;
                    const int q = nibble(p + 16 + i / 64 * 32, i % 64, 32);
                    out.push_back(half(p) * scale * q - half(p + 2) * minimum);
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
    explicit ReferenceModel(const Gguf& file) : file_(file)
    {
        const std::string a = std::string(file.string("general.architecture")) + ".";
        encoder_ = a == "bert.";
        halves_ = a == "qwen2.";
        layers_ = file.integer(a + "block_count");
        width_ = file.integer(a + "embedding_length");
        heads_ = file.integer(a + "attention.head_count");
        kv_heads_ = file.integer(a + "attention.head_count_kv");
        epsilon_ = *file.find_number(
            a + (encoder_ ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"));
    }

    // Logits of every position, or the encoder's hidden states.
    std::vector<std::vector<double>> run(std::span<const TokenId> tokens) const
    {
        std::vector<std::vector<double>> h;
        const Vector& embedding = load("token_embd.weight");
        for (std::size_t p = 0; p < tokens.size(); ++p) {
            h.push_back(row(embedding, static_cast<std::size_t>(tokens[p])));
            if (encoder_) {
                add(h[p], row(load("position_embd.weight"), p));
                add(h[p], row(load("token_types.weight"), 0));
                h[p] = norm(h[p], "token_embd_norm");
            }
        }
        for (std::size_t l = 0; l < layers_; ++l) layer("blk." + std::to_string(l) + ".", h);
        if (encoder_) return h;
        const bool tied = file_.find_tensor("output.weight") == nullptr;
        for (auto& x : h) x = product(tied ? "token_embd" : "output", norm(x, "output_norm"));
        return h;
    }

private:
    using Vector = std::vector<double>;

    const Vector& load(const std::string& name) const
    {
        Vector& values = loaded_[name];
        if (values.empty()) values = elements_of(file_.tensor(name));
        return values;
    }
    Vector row(const Vector& matrix, std::size_t r) const
    {
        return Vector(matrix.begin() + static_cast<std::ptrdiff_t>(r * width_),
                      matrix.begin() + static_cast<std::ptrdiff_t>((r + 1) * width_));
    }
    static void add(Vector& x, const Vector& y)
    {
        for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
    }
    Vector product(const std::string& name, const Vector& x) const
    {
        const Vector& m = load(name + ".weight");
        Vector y(m.size() / x.size());
        for (std::size_t r = 0; r < y.size(); ++r) {
            for (std::size_t c = 0; c < x.size(); ++c) y[r] += m[r * x.size() + c] * x[c];
        }
        if (file_.find_tensor(name + ".bias") != nullptr) add(y, load(name + ".bias"));
        return y;
    }
    Vector norm(const Vector& x, const std::string& name) const
    {
        const double n = static_cast<double>(x.size());
        double mean = 0;
        double square = 0;
        if (encoder_) {
            for (const double v : x) mean += v / n;
        }
        for (const double v : x) square += (v - mean) * (v - mean) / n;
        const Vector& weight = load(name + ".weight");
        Vector y(x.size());
        for (std::size_t i = 0; i < x.size(); ++i)
            y[i] = (x[i] - mean) / std::sqrt(square + epsilon_) * weight[i];
        if (encoder_) add(y, load(name + ".bias"));
        return y;
    }
    void rotate(Vector& x, std::size_t position) const
    {
        const std::size_t size = width_ / heads_;
        for (std::size_t first = 0; first < x.size(); first += size) {
            for (std::size_t i = 0; i < size / 2; ++i) {
                const double angle =
                    static_cast<double>(position) *
                    std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(size));
                double& a = x[first + (halves_ ? i : 2 * i)];
                double& b = x[first + (halves_ ? i + size / 2 : 2 * i + 1)];
                const double turned = a * std::cos(angle) - b * std::sin(angle);
                b = a * std::sin(angle) + b * std::cos(angle);
                a = turned;
            }
        }
    }
    void layer(const std::string& blk, std::vector<Vector>& h) const
    {
        const std::size_t size = width_ / heads_;
        std::vector<Vector> q, k, v;
        for (std::size_t p = 0; p < h.size(); ++p) {
            const Vector x = encoder_ ? h[p] : norm(h[p], blk + "attn_norm");
            q.push_back(product(blk + "attn_q", x));
            k.push_back(product(blk + "attn_k", x));
            v.push_back(product(blk + "attn_v", x));
            if (!encoder_) rotate(q[p], p), rotate(k[p], p);
        }
        for (std::size_t p = 0; p < h.size(); ++p) {
            Vector attended(width_);
            const std::size_t seen = encoder_ ? h.size() : p + 1;
            for (std::size_t head = 0; head < heads_; ++head) {
                const std::size_t kv = head * kv_heads_ / heads_;
                Vector scores(seen);
                double total = 0;
                for (std::size_t i = 0; i < seen; ++i) {
                    double dot = 0;
                    for (std::size_t d = 0; d < size; ++d) dot += q[p][head * size + d] * k[i][kv * size + d];
                    scores[i] = std::exp(dot / std::sqrt(static_cast<double>(size)));
                    total += scores[i];
                }
                for (std::size_t i = 0; i < seen; ++i) {
                    for (std::size_t d = 0; d < size; ++d) {
                        attended[head * size + d] += scores[i] / total * v[i][kv * size + d];
                    }
                }
            }
            add(h[p], product(blk + "attn_output", attended));
            if (encoder_) h[p] = norm(h[p], blk + "attn_output_norm");
            const Vector x = encoder_ ? h[p] : norm(h[p], blk + "ffn_norm");
            Vector up = product(blk + "ffn_up", x);
            if (encoder_) {
                for (double& u : up) u = 0.5 * u * (1 + std::erf(u / std::sqrt(2.0)));
            } else {
                const Vector gate = product(blk + "ffn_gate", x);
                for (std::size_t i = 0; i < up.size(); ++i) up[i] *= gate[i] / (1 + std::exp(-gate[i]));
            }
            add(h[p], product(blk + "ffn_down", up));
            if (encoder_) h[p] = norm(h[p], blk + "layer_output_norm");
        }
    }

    const Gguf& file_;
    mutable std::map<std::string, Vector> loaded_;
    bool encoder_ = false;
    bool halves_ = false;
    std::size_t layers_ = 0, width_ = 0, heads_ = 0, kv_heads_ = 0;
    double epsilon_ = 0;
};

}  // namespace jiphyeon::test
