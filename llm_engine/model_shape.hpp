// What a model computes: the table of families, and a file's own numbers in the fields of its row.
//
// To add a dense family, write its row in model_shape.cpp. Most are a name and two or three fields; what a
// row leaves out is what most families do. The forward pass (model.cpp) reads the fields and knows no names.
// Where no field says what the family does differently, add one, whose default is what the others do, and the
// one place that reads it: of keys in model_shape.cpp, of tensors in model_load.cpp, else of the forward
// pass. Names of keys and tensors are those of llama.cpp's converter.
//
// Then describe the family once more in tests/llm_engine/tiny_model.hpp, from its own papers and not from the
// row: what sets it apart in Traits, its keys in tiny_keys(), its tensors in tiny_model(), what it computes
// in ReferenceModel, its name in tiny_families(). From that list model_test.cpp compares it with the second
// forward pass in double and with itself across instruction sets and steps, and bench/families.py with
// llama.cpp. README.md lists the families.
//
// Not everything is in the row: biases, fused projections, tied embeddings and norms of queries and keys (of
// each head or of all together, as wide as they are) are taken from the tensors that the file has. A row says
// only which of them may not be missing; a tensor that nothing reads is an error, since the file then means
// something that we do not compute.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "gguf.hpp"
#include "kv_cache.hpp"
#include "rope.hpp"

namespace jiphyeon {

// Where the norms of a layer stand. A and F: its attention and its feed-forward; h: the hidden state.
enum class Placement {
    before,    // h += A(norm h); h += F(norm h)
    sandwich,  // h += norm A(norm h); h += norm F(norm h)
    outputs,   // h += norm A(h); h += norm F(h)
    sums,      // h = norm(h + A(h)); h = norm(h + F(h))
    parallel,  // h += A(norm h) + F(norm h)
};
enum class Norm { rms, layer };
enum class FeedForward { swiglu, geglu, gelu, gelu_tanh, xielu };  // the first two have a gate
enum class Positions { rope_interleaved, rope_halves, learned };
enum class RopeLayers { all, windowed, three_of_four };  // windowed: all where the model has no window
enum class EmbeddingScale { key, root_of_width };
enum class LogitScale { multiplies, divides };
enum class Pooling { none, mean, first, last, rank };  // rank: a score from the first

struct Family {
    std::string_view architecture;
    Placement placement = Placement::before;
    bool may_lack_outer_norms = false;  // a sandwich whose files may mean `before`
    Norm norm = Norm::rms;
    FeedForward feed_forward = FeedForward::swiglu;
    Positions positions = Positions::rope_halves;
    RopeLayers rope_layers = RopeLayers::all;
    bool requires_qkv_bias = false;
    bool requires_bias = false;  // of the other projections
    bool requires_qk_norm = false;
    // Of this many layers all but the last see a window, where there is one; 0: every layer does.
    std::size_t window_period = 0;
    bool window_around = false;  // half of it before the position, half after; else all of it before
    // Layers with a window never scale positions, and turn by this base (a key may give another); 0: the
    // model's.
    bool window_rope_unscaled = false;
    double window_rope_base = 0;
    EmbeddingScale embedding_scale = EmbeddingScale::key;
    LogitScale logit_scale = LogitScale::multiplies;
    // Files with so many layers scale attention by width / heads in place of the size of a head.
    std::size_t layers_scaled_by_width = 0;
    bool causal = true;
    bool generates = true;

    bool gated() const { return feed_forward == FeedForward::swiglu || feed_forward == FeedForward::geglu; }
};

// xIELU (arXiv 2411.13010) of a layer: x > 0: p x^2 + b x, else n (e^min(x, eps) - 1 - x) + b x.
struct Xielu {
    float positive = 0;
    float negative = 0;
    float beta = 0;
    float epsilon = 0;
};

// A family's row with the file's own numbers.
struct ModelShape {
    const Family* family = nullptr;
    Placement placement = Placement::before;
    std::size_t layers = 0;
    std::size_t width = 0;  // of the hidden state
    std::size_t heads = 0;
    std::size_t kv_heads = 0;
    std::size_t head_size = 0;
    std::size_t inner = 0;  // of the feed-forward
    std::size_t vocabulary = 0;
    std::size_t context = 0;  // positions; the model's limit cut to what is asked for
    RopeRule rope;
    RopeRule window_rope;        // of layers with a window; size 0: as `rope`
    std::size_t window = 0;      // positions that layers with a window see; 0: none has one
    std::vector<bool> windowed;  // by layer
    std::vector<Xielu> xielu;    // by layer; empty in other families
    // Queries at position p are multiplied by 1 + growth * ln(1 + floor(p / growth_length)).
    double query_growth = 0;
    double query_growth_length = 1;
    float epsilon = 0;
    float attention_scale = 0;
    float attention_cap = 0;  // scores s become cap * tanh(s / cap); 0: no cap
    float logit_cap = 0;
    float embedding_scale = 1;
    float residual_scale = 1;  // of what each half of a layer adds
    float logit_scale = 1;
    Pooling pooling = Pooling::none;
    std::size_t vector_size = 0;  // of a text's vector; 1: its score
    KvType kv_type = KvType::f16;

    // Predicts tokens; else it makes one vector of a text.
    bool generates() const { return family->generates && pooling == Pooling::none; }
    bool rotates(std::size_t layer) const;
    // A text that becomes a vector is computed in one step, layer by layer in the same pages.
    KvShape kv() const { return {generates() ? layers : 1, kv_heads, head_size, kv_type}; }
};

// Reads and checks the keys. Throws EngineError: unsupported (also q8 for a model that does not generate),
// malformed.
ModelShape read_shape(const Gguf& file, std::size_t context_max, KvType kv_type = KvType::f16);

}  // namespace jiphyeon
