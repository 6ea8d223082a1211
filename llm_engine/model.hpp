// A transformer read from a GGUF file, and its forward pass.
//
// model_shape.hpp says what families there are and how one is added; the forward pass knows the fields of
// their rows, never a family.
//
// One call of forward() is one step: any mixture of rows (a row is one token at one position of one
// sequence), the tokens of a prompt beside single tokens of other sequences. What comes out for a row depends
// on its sequence's earlier tokens alone, never on the other rows of the step (kernels.hpp).
//
// Threads: one forward() at a time. The rest is immutable.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapter.hpp"
#include "aligned.hpp"
#include "gguf.hpp"
#include "kernels.hpp"
#include "kv_cache.hpp"
#include "model_shape.hpp"
#include "quants.hpp"
#include "rope.hpp"
#include "threads.hpp"

namespace jiphyeon {

// What the model will take: weights, tables, one step's work space but for logits, and pages of `contexts`
// whole contexts.
MemoryNeed memory_needed(const Gguf& file, const ModelShape& shape, std::size_t contexts);

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

    // Every matrix that an adapter names is computed with what all of them add to it, in their order.
    Model(const Gguf& file, const ModelShape& shape, unsigned threads, const Kernels& kernels,
          std::span<Adapter> adapters = {});

    const ModelShape& shape() const { return shape_; }
    ThreadPool& pool() { return pool_; }

    // Computes the rows; those of a sequence in ascending order. `wanted`: ascending indices of the rows
    // whose result is needed; that of wanted[i] is written to out[i].
    void forward(std::span<const Row> rows, std::span<const std::size_t> wanted, std::span<float* const> out);
    // The same, to `out` one after the other.
    void forward(std::span<const Row> rows, std::span<const std::size_t> wanted, std::vector<float>& out);
    // Numbers of a row's result: logits, or for a model that does not generate its hidden state.
    std::size_t result_size() const { return shape_.generates() ? shape_.vocabulary : shape_.width; }

    // One unit vector of shape().vector_size numbers, or the score, from a text's `rows` hidden states.
    void pool(const float* hidden, std::size_t rows, float* out) const;

private:
    struct Linear {
        Matrix matrix;
        std::vector<float> bias;  // empty where there is none
        std::vector<LowRank> adapters;
    };
    struct NormWeights {
        std::vector<float> weight;
        std::vector<float> bias;
    };
    struct Layer {
        // Of the inputs of its halves, and of what the halves give (Placement); without numbers where there
        // is none.
        NormWeights attention_norm, inner_norm;
        NormWeights attention_output_norm, inner_output_norm;
        std::vector<float> q_norm, k_norm;  // as long as a head, or as all of them together; or empty
        Linear q, k, v, output;
        Linear gate, up, down;  // gate only where the feed-forward has one
        const RopeTable* rope = nullptr;
        std::size_t window = 0;  // positions that it sees; 0: all
        Xielu xielu;
    };
    // A thread's queries, as AttendChunk wants them, and their results.
    struct AttendSpace {
        AlignedVector<float> q, chunk_out, running;
        AlignedVector<std::int32_t> q_pairs;
        float q_scales[kAttendQueries] = {};
    };
    // Buffers of one step, as large as the largest step so far.
    struct Work {
        std::vector<Row> rows;
        AlignedVector<float> hidden, normed, q, k, v, attended, projected, gate, up, logits;
        Activations activations, inner_activations;
        std::vector<AttendSpace> attention;  // by thread
    };
    struct QueryTile;

    class Tensors;
    // Rows [first, first + count) of a matrix of `of` rows.
    struct Rows {
        std::size_t first, count, of;
    };

    void read_embeddings(Tensors& tensors);
    void read_positions(Tensors& tensors);
    void read_head(Tensors& tensors);
    void read_layer(Tensors& tensors, const std::string& name, Layer& layer);
    void read_norms(Tensors& tensors, const std::string& name, Layer& layer);
    void read_attention(Tensors& tensors, const std::string& name, Layer& layer);
    void read_feed_forward(Tensors& tensors, const std::string& name, Layer& layer);
    Linear read_linear(Tensors& tensors, const std::string& name, Rows rows, std::size_t columns,
                       bool bias_required);
    std::vector<float> read_heads_norm(const GgufTensor& tensor, std::size_t all_heads) const;
    NormWeights read_norm(Tensors& tensors, const std::string& name) const;

    // Shares out the step's rows. Many come in pieces of 16, as the keys of so many positions lie together
    // and two threads should not write to one line of the cache.
    template <typename Body>
    void for_rows(Body&& body)
    {
        const std::size_t rows = work_.rows.size();
        pool_.run(rows, std::clamp<std::size_t>(rows / (4 * pool_.threads()), 1, 16), body);
    }
    void embed(std::span<const Row> rows);
    void run_layer(const Layer& layer, std::size_t index, std::span<const std::size_t> wanted);
    void store_keys_values(const Layer& layer, std::size_t plane);  // plane: of a page
    void keep_rows(std::span<const std::size_t> wanted);
    void attend(const Layer& layer, std::size_t plane);
    void attend_tile(const Layer& layer, std::size_t plane, const QueryTile& tile, unsigned thread);
    void place_query(const QueryTile& tile, unsigned i, AttendSpace& space) const;
    void attend_chunk_of_tile(const Layer& layer, std::size_t plane, const QueryTile& tile, std::size_t chunk,
                              AttendChunk task) const;
    std::pair<std::size_t, std::size_t> seen_by(const Row& row, const Layer& layer) const;
    void feed_forward(const Layer& layer, const float* in);
    void take_inner_in_pieces(const Layer& layer);
    void activate(const Layer& layer, float* gate, float* up, std::size_t first, std::size_t past) const;
    float score(std::vector<float> vector) const;
    void finish_logits(float* logits) const;
    void project(const Linear& linear, const Activations& activations, const float* in);
    void adapt(const Linear& linear, const float* in, float* out, std::size_t stride);
    const float* input_of_half(const NormWeights& before);
    void add_half(const Linear& last, const NormWeights& after);
    void norm(const NormWeights& weights, const float* in, float* out);
    void norm_row(const NormWeights& weights, const float* in, float* out) const;
    void shape_for(Activations& activations, std::size_t columns,
                   std::initializer_list<const Matrix*> users) const;
    void quantize(const float* in, std::size_t stride, std::size_t columns,
                  std::initializer_list<const Matrix*> users);

    const ModelShape shape_;
    const Kernels& kernels_;
    ThreadPool pool_;
    ProductSpace product_space_;
    Matrix embedding_;
    Matrix positions_;             // learned
    std::vector<float> type_row_;  // token type 0, added to every embedding
    NormWeights embedding_norm_;
    NormWeights output_norm_;
    Linear output_;  // empty where the embedding serves
    std::vector<Layer> layers_;
    std::vector<Matrix> dense_;          // that a text's vector goes through
    Linear class_dense_, class_output_;  // of a score; the first may be missing
    RopeTable rope_, window_rope_;
    std::vector<float> query_growth_;  // by position; empty where queries do not grow
    Work work_;
};

}  // namespace jiphyeon
