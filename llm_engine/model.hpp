// A transformer read from a GGUF file, and its forward pass.
//
// Families are rows of one table (model_load.cpp): where the norms stand, which norm, which feed-forward, how
// positions enter, what may carry a bias. The forward pass knows the fields, never the family. A new dense
// family is a new row; a new field only where it does something that no row did before.
//
// One call of forward() is one step: any mixture of rows (a row is one token at one position of one
// sequence), the tokens of a prompt beside single tokens of other sequences. What comes out for a row depends
// on its sequence's earlier tokens alone, never on the other rows of the step (kernels.hpp).
//
// Threads: one forward() at a time. The rest is immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf.hpp"
#include "kernels.hpp"
#include "kv_cache.hpp"
#include "quants.hpp"
#include "threads.hpp"

namespace jiphyeon {

enum class Placement { before, after };  // norms before each half of a layer, or after it and its residual
enum class Norm { rms, layer };
enum class FeedForward { swiglu, gelu };
enum class Positions { rope_interleaved, rope_halves, learned };
enum class Bias { never, optional, required };
enum class Pooling { none, mean };

struct Family {
    std::string_view architecture;
    Placement placement;
    Norm norm;
    FeedForward feed_forward;
    Positions positions;
    Bias qkv_bias;
    Bias other_bias;  // of the attention's output and the feed-forward
    bool causal;
    bool generates;
};

// A family's row with the file's own numbers.
struct ModelShape {
    const Family* family = nullptr;
    std::size_t layers = 0;
    std::size_t width = 0;  // of the hidden state
    std::size_t heads = 0;
    std::size_t kv_heads = 0;
    std::size_t head_size = 0;
    std::size_t inner = 0;  // of the feed-forward
    std::size_t vocabulary = 0;
    std::size_t context = 0;  // positions; the model's limit cut to what is asked for
    std::size_t rope_size = 0;
    double rope_base = 10000;
    double rope_factor = 1;  // positions are divided by it
    float epsilon = 0;
    float attention_scale = 0;
    Pooling pooling = Pooling::none;

    KvShape kv() const { return {family->causal ? layers : 1, kv_heads, head_size}; }
};

// Reads and checks the keys. Throws EngineError: unsupported, malformed.
ModelShape read_shape(const Gguf& file, std::size_t context_max);
// What the model will take: weights, tables, one step's work space, and pages of `contexts` whole contexts.
std::uint64_t memory_needed(const Gguf& file, const ModelShape& shape, std::size_t contexts);

struct Row {
    TokenId token = 0;
    std::size_t position = 0;
    std::size_t begin = 0;  // positions that it sees: [begin, end)
    std::size_t end = 0;
    const KvPages* pages = nullptr;  // of its sequence, reaching beyond `end`
};

class Model {
public:
    // Rows of one step at most. The tokens of an encoder's text are all in one step.
    static constexpr std::size_t kStepRows = 512;

    Model(const Gguf& file, const ModelShape& shape, unsigned threads, const Kernels& kernels);

    const ModelShape& shape() const { return shape_; }
    ThreadPool& pool() { return pool_; }

    // Computes the rows; those of a sequence in ascending order. `wanted`: ascending indices of the rows
    // whose result is needed, written to `out` one after the other: shape().vocabulary logits each, or for a
    // family that does not generate shape().width numbers of the last layer.
    void forward(std::span<const Row> rows, std::span<const std::size_t> wanted, std::vector<float>& out);

    // Mean of `rows` x width numbers, made a unit vector.
    void pool_mean(const float* hidden, std::size_t rows, float* out) const;

private:
    struct Linear {
        Matrix matrix;
        std::vector<float> bias;  // empty where there is none
    };
    struct NormWeights {
        std::vector<float> weight;
        std::vector<float> bias;
    };
    struct Layer {
        NormWeights attention_norm;  // placement after: of the attention's output
        NormWeights inner_norm;      // placement after: of the feed-forward's output
        Linear q, k, v, output;
        Linear gate, up, down;  // gate only with swiglu
    };
    // Buffers of one step, as large as the largest step so far.
    struct Work {
        std::vector<Row> rows;
        std::vector<float> hidden, normed, q, k, v, attended, projected, gate, up, logits;
        Activations activations;
        std::vector<std::vector<float>> attention;  // by thread
        std::vector<float> partial;
    };
    struct QueryTile;

    Linear read_linear(const Gguf& file, const std::string& name, std::size_t rows, std::size_t columns,
                       Bias bias);
    NormWeights read_norm(const Gguf& file, const std::string& name) const;
    std::vector<float> read_vector(const Gguf& file, const std::string& name, std::size_t size) const;
    void read_layers(const Gguf& file);
    void make_rope(const Gguf& file);

    void embed(std::span<const Row> rows);
    void run_layer(const Layer& layer, std::size_t index, std::span<const std::size_t> wanted);
    void store_keys_values(const Layer& layer, std::size_t index);
    void keep_rows(std::span<const std::size_t> wanted);
    void attend(std::size_t layer);
    void attend_tile(std::size_t layer, const QueryTile& tile, unsigned thread);
    void attend_chunk_of_tile(std::size_t layer, const QueryTile& tile, std::size_t chunk, float* space,
                              float* maximum, float* sum, float* out);
    void feed_forward(const Layer& layer);
    void project(const Linear& linear, float* out, std::size_t stride);
    void norm(const NormWeights& weights, const float* in, float* out) const;
    void rotate(float* head, std::size_t position) const;
    void quantize(const float* in, std::size_t stride, std::size_t columns,
                  std::initializer_list<const Matrix*> users);

    const ModelShape shape_;
    const Kernels& kernels_;
    ThreadPool pool_;
    UnpackSpace unpack_;
    Matrix embedding_;
    Matrix positions_;             // learned
    std::vector<float> type_row_;  // token type 0, added to every embedding
    NormWeights embedding_norm_;
    NormWeights output_norm_;
    Linear output_;  // empty where the embedding serves
    std::vector<Layer> layers_;
    std::vector<float> rope_cos_, rope_sin_;  // [context][rope_size / 2]
    Work work_;
};

}  // namespace jiphyeon
