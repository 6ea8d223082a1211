#include "model.hpp"

#include <algorithm>
#include <cstring>

namespace jiphyeon {
namespace {

// The bias of outputs [first, first + count), of which `x` are the values. It may be empty, or padded.
void add_bias(const std::vector<float>& bias, float* x, std::size_t count, std::size_t first = 0)
{
    count = std::min(count, bias.size() - std::min(first, bias.size()));
    for (std::size_t k = 0; k < count; ++k) x[k] += bias[first + k];
}

// For the few vectors that no step computes.
std::vector<float> times(const Matrix& matrix, const std::vector<float>& x)
{
    std::vector<float> out(matrix.rows());
    std::vector<float> row(matrix.columns());
    for (std::size_t r = 0; r < out.size(); ++r) {
        matrix.row(r, row.data());
        double sum = 0;
        for (std::size_t c = 0; c < row.size(); ++c)
            sum += static_cast<double>(row[c]) * static_cast<double>(x[c]);
        out[r] = static_cast<float>(sum);
    }
    return out;
}

}  // namespace

void Model::forward(std::span<const Row> rows, std::span<const std::size_t> wanted, std::vector<float>& out)
{
    out.resize(wanted.size() * result_size());
    std::vector<float*> each;
    for (std::size_t i = 0; i < wanted.size(); ++i) each.push_back(out.data() + i * result_size());
    forward(rows, wanted, each);
}

void Model::forward(std::span<const Row> rows, std::span<const std::size_t> wanted,
                    std::span<float* const> out)
{
    work_.rows.assign(rows.begin(), rows.end());
    embed(rows);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        // After its keys and values, the last layer has nothing to give for rows that nobody asked for.
        run_layer(layers_[i], i, i + 1 == layers_.size() ? wanted : std::span<const std::size_t>{});
        if (work_.rows.empty()) break;
    }
    const std::size_t count = wanted.size();
    if (count == 0) return;
    const float* const state = input_of_half(output_norm_);
    if (!shape_.generates()) {
        for (std::size_t i = 0; i < count; ++i) std::copy_n(state + i * shape_.width, shape_.width, out[i]);
        return;
    }
    const Matrix& head = output_.matrix ? output_.matrix : embedding_;
    quantize(state, shape_.width, shape_.width, {&head});
    work_.logits.resize(count * head.padded_rows());
    const Product product{&head, work_.logits.data(), head.padded_rows()};
    multiply(pool_, kernels_, product_space_, work_.activations, {&product, 1});
    adapt(output_, state, work_.logits.data(), head.padded_rows());
    pool_.run(count, 1, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) {
            float* const logits = work_.logits.data() + i * head.padded_rows();
            finish_logits(logits);
            std::copy_n(logits, shape_.vocabulary, out[i]);
        }
    });
}

void Model::finish_logits(float* logits) const
{
    for (std::size_t k = 0; k < output_.bias.size(); ++k) logits[k] += output_.bias[k];
    if (shape_.logit_scale != 1) {
        for (std::size_t k = 0; k < shape_.vocabulary; ++k) logits[k] *= shape_.logit_scale;
    }
    if (shape_.logit_cap != 0) {
        kernels_.soft_cap(logits, whole_panels(shape_.vocabulary), shape_.logit_cap, logits);
    }
}

void Model::embed(std::span<const Row> rows)
{
    const std::size_t n = rows.size();
    const std::size_t width = shape_.width;
    const auto grow = [n](AlignedVector<float>& buffer, std::size_t per_row) {
        if (buffer.size() < n * per_row) buffer.resize(n * per_row);
    };
    grow(work_.hidden, width);
    grow(work_.normed, width);
    grow(work_.projected, width);
    grow(work_.q, shape_.heads * shape_.head_size);
    grow(work_.k, shape_.kv_heads * shape_.head_size);
    grow(work_.v, shape_.kv_heads * shape_.head_size);
    grow(work_.attended, shape_.heads * shape_.head_size);

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
            if (shape_.embedding_scale != 1) {
                for (std::size_t k = 0; k < width; ++k) h[k] *= shape_.embedding_scale;
            }
        }
    });
    if (!embedding_norm_.weight.empty()) norm(embedding_norm_, work_.hidden.data(), work_.hidden.data());
}

void Model::run_layer(const Layer& layer, std::size_t index, std::span<const std::size_t> wanted)
{
    const std::size_t width = shape_.width;
    const std::size_t q_width = shape_.heads * shape_.head_size;
    const std::size_t kv_width = shape_.kv_heads * shape_.head_size;
    const std::size_t plane = shape_.kv().layers == 1 ? 0 : index;

    const float* const in = input_of_half(layer.attention_norm);
    quantize(in, width, width, {&layer.q.matrix, &layer.k.matrix, &layer.v.matrix});
    const Product products[] = {{&layer.q.matrix, work_.q.data(), q_width},
                                {&layer.k.matrix, work_.k.data(), kv_width},
                                {&layer.v.matrix, work_.v.data(), kv_width}};
    multiply(pool_, kernels_, product_space_, work_.activations, products);
    adapt(layer.q, in, work_.q.data(), q_width);
    adapt(layer.k, in, work_.k.data(), kv_width);
    adapt(layer.v, in, work_.v.data(), kv_width);
    store_keys_values(layer, plane);
    if (index + 1 == layers_.size()) keep_rows(wanted);
    if (work_.rows.empty()) return;
    attend(layer, plane);
    quantize(work_.attended.data(), q_width, q_width, {&layer.output.matrix});
    project(layer.output, work_.activations, work_.attended.data());

    if (shape_.placement == Placement::parallel) {
        const float* const inner_in = input_of_half(layer.inner_norm);  // before attention is added
        add_half(layer.output, layer.attention_output_norm);
        feed_forward(layer, inner_in);
    } else {
        add_half(layer.output, layer.attention_output_norm);
        feed_forward(layer, input_of_half(layer.inner_norm));
    }
    add_half(layer.down, layer.inner_output_norm);
}

// The hidden state as a half of a layer takes it: through a norm where there is one.
const float* Model::input_of_half(const NormWeights& before)
{
    if (before.weight.empty()) return work_.hidden.data();
    norm(before, work_.hidden.data(), work_.normed.data());
    return work_.normed.data();
}

// Adds what a half gave, whose last product was `last`, to the hidden state, with the norm after it, where
// there is one, in its place.
void Model::add_half(const Linear& last, const NormWeights& after)
{
    const std::size_t width = shape_.width;
    const bool of_the_sum = shape_.placement == Placement::sums;
    const bool of_the_half = !after.weight.empty() && !of_the_sum;
    const float scale = shape_.residual_scale;
    for_rows([&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) {
            float* const hidden = work_.hidden.data() + i * width;
            float* const given = work_.projected.data() + i * width;
            add_bias(last.bias, given, width);
            if (of_the_half) norm_row(after, given, given);
            for (std::size_t k = 0; k < width; ++k) hidden[k] += given[k] * scale;
            if (of_the_sum) norm_row(after, hidden, hidden);
        }
    });
}

// Adds the biases, norms and turns queries and keys, and files keys and values in the pages.
void Model::store_keys_values(const Layer& layer, std::size_t plane)
{
    const std::size_t size = shape_.head_size;
    const auto finish = [&](float* x, std::size_t heads, const std::vector<float>& bias,
                            const std::vector<float>& weights, std::size_t position) {
        add_bias(bias, x, heads * size);
        for (std::size_t i = 0; !weights.empty() && i < heads * size; i += weights.size()) {
            kernels_.rms_norm(x + i, weights.data(), weights.size(), shape_.epsilon, x + i);
        }
        if (layer.rope == nullptr) return;
        for (std::size_t h = 0; h < heads; ++h) layer.rope->rotate(x + h * size, position);
    };
    for_rows([&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) {
            const Row& row = work_.rows[i];
            float* const q = work_.q.data() + i * shape_.heads * size;
            float* const k = work_.k.data() + i * shape_.kv_heads * size;
            float* const v = work_.v.data() + i * shape_.kv_heads * size;
            finish(q, shape_.heads, layer.q.bias, layer.q_norm, row.position);
            finish(k, shape_.kv_heads, layer.k.bias, layer.k_norm, row.position);
            add_bias(layer.v.bias, v, shape_.kv_heads * size);
            if (!query_growth_.empty()) {
                for (std::size_t d = 0; d < shape_.heads * size; ++d) q[d] *= query_growth_[row.position];
            }
            KvPage& page = *(*row.pages)[row.position / kChunkPositions];
            const std::size_t at = row.position % kChunkPositions;
            for (std::size_t h = 0; h < shape_.kv_heads; ++h)
                page.store(kernels_, plane, h, at, k + h * size, v + h * size);
        }
    });
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

void Model::feed_forward(const Layer& layer, const float* in)
{
    const std::size_t width = shape_.width;
    const std::size_t inner = shape_.inner;
    const std::size_t tokens = work_.rows.size();
    const bool gated = shape_.family->gated();
    if (gated) {
        quantize(in, width, width, {&layer.up.matrix, &layer.gate.matrix});
    } else {
        quantize(in, width, width, {&layer.up.matrix});
    }
    const bool adapted =
        !layer.up.adapters.empty() || !layer.gate.adapters.empty() || !layer.down.adapters.empty();
    if (!adapted && worth_taking(tokens, inner, pool_.threads())) {
        take_inner_in_pieces(layer);
        project(layer.down, work_.inner_activations, nullptr);
        return;
    }
    work_.up.resize(std::max(work_.up.size(), tokens * inner));
    if (gated) work_.gate.resize(std::max(work_.gate.size(), tokens * inner));
    const Product products[] = {{&layer.up.matrix, work_.up.data(), inner},
                                {&layer.gate.matrix, work_.gate.data(), inner}};
    multiply(pool_, kernels_, product_space_, work_.activations, {products, gated ? 2u : 1u});
    adapt(layer.up, in, work_.up.data(), inner);
    adapt(layer.gate, in, work_.gate.data(), inner);
    for_rows([&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) {
            float* const gate = gated ? work_.gate.data() + i * inner : nullptr;
            activate(layer, gate, work_.up.data() + i * inner, 0, inner);
        }
    });
    quantize(work_.up.data(), inner, inner, {&layer.down.matrix});
    project(layer.down, work_.activations, work_.up.data());
}

// What lies between the matrices of a feed-forward is larger than all else of a step: it goes from one to the
// next piece by piece, each in the cache.
void Model::take_inner_in_pieces(const Layer& layer)
{
    const std::size_t tokens = work_.rows.size();
    const bool gated = shape_.family->gated();
    const Matrix* const matrices[] = {&layer.up.matrix, &layer.gate.matrix};
    shape_for(work_.inner_activations, shape_.inner, {&layer.down.matrix});
    const auto take = [&](const ResultRows& piece) {
        for (std::size_t t = 0; t < tokens; ++t) {
            float* const gate = gated ? piece.of(1, tokens, t) : nullptr;
            activate(layer, gate, piece.of(0, tokens, t), piece.first, piece.past);
        }
        work_.inner_activations.fill_columns(kernels_, piece.first, piece.past, piece.results, piece.stride);
    };
    multiply_and_take(pool_, kernels_, product_space_, work_.activations, {matrices, gated ? 2u : 1u}, take);
}

// Numbers [first, past) of one row, given by `gate` and `up`; the result is in `up`.
void Model::activate(const Layer& layer, float* gate, float* up, std::size_t first, std::size_t past) const
{
    const std::size_t count = past - first;
    add_bias(layer.up.bias, up, count, first);
    add_bias(layer.gate.bias, gate, count, first);
    switch (shape_.family->feed_forward) {
        case FeedForward::swiglu:
            return kernels_.silu_multiply(gate, up, count, up);
        case FeedForward::geglu:
            kernels_.gelu_tanh(gate, count, gate);
            for (std::size_t k = 0; k < count; ++k) up[k] *= gate[k];
            return;
        case FeedForward::gelu:
            return kernels_.gelu(up, count, up);
        case FeedForward::gelu_tanh:
            return kernels_.gelu_tanh(up, count, up);
        case FeedForward::xielu:
            return kernels_.xielu(up, count, layer.xielu.positive, layer.xielu.negative, layer.xielu.beta,
                                  layer.xielu.epsilon, up);
    }
}

// Adds what adapters give for the rows of the step; `in` is what the matrix was multiplied with.
void Model::adapt(const Linear& linear, const float* in, float* out, std::size_t stride)
{
    if (linear.adapters.empty()) return;
    for_rows([&](std::size_t begin, std::size_t end, unsigned) {
        std::vector<float> space;
        for (std::size_t i = begin; i < end; ++i) {
            for (const LowRank& part : linear.adapters)
                part.add(in + i * part.columns, space, out + i * stride);
        }
    });
}

// Back to the width of the hidden state; add_half() adds the bias. in: what the activations were written
// from, which only adapters want.
void Model::project(const Linear& linear, const Activations& activations, const float* in)
{
    const Product product{&linear.matrix, work_.projected.data(), shape_.width};
    multiply(pool_, kernels_, product_space_, activations, {&product, 1});
    adapt(linear, in, work_.projected.data(), shape_.width);
}

void Model::norm(const NormWeights& weights, const float* in, float* out)
{
    for_rows([&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) {
            norm_row(weights, in + i * shape_.width, out + i * shape_.width);
        }
    });
}

void Model::norm_row(const NormWeights& weights, const float* in, float* out) const
{
    if (shape_.family->norm == Norm::rms) {
        kernels_.rms_norm(in, weights.weight.data(), shape_.width, shape_.epsilon, out);
    } else {
        kernels_.layer_norm(in, weights.weight.data(), weights.bias.data(), shape_.width, shape_.epsilon,
                            out);
    }
}

void Model::shape_for(Activations& activations, std::size_t columns,
                      std::initializer_list<const Matrix*> users) const
{
    bool wants[3] = {};
    for (const Matrix* const matrix : users) wants[static_cast<std::size_t>(act_form(matrix->type()))] = true;
    activations.shape(kernels_, work_.rows.size(), columns, wants[0], wants[1], wants[2]);
}

void Model::quantize(const float* in, std::size_t stride, std::size_t columns,
                     std::initializer_list<const Matrix*> users)
{
    shape_for(work_.activations, columns, users);
    work_.activations.fill(kernels_, pool_, in, stride);
}

// The classification head of BERT's family: a layer with tanh, where there is one, and one output.
float Model::score(std::vector<float> vector) const
{
    const auto through = [](const Linear& linear, const std::vector<float>& x) {
        std::vector<float> y = times(linear.matrix, x);
        for (std::size_t i = 0; i < y.size() && i < linear.bias.size(); ++i) y[i] += linear.bias[i];
        return y;
    };
    if (class_dense_.matrix) {
        vector = through(class_dense_, vector);
        kernels_.soft_cap(vector.data(), vector.size(), 1, vector.data());
    }
    return through(class_output_, vector).front();
}

void Model::pool(const float* hidden, std::size_t rows, float* out) const
{
    const std::size_t width = shape_.width;
    std::vector<float> vector(width);
    if (shape_.pooling == Pooling::mean) {
        for (std::size_t i = 0; i < rows; ++i) {
            for (std::size_t k = 0; k < width; ++k) vector[k] += hidden[i * width + k];
        }
        for (float& x : vector) x /= static_cast<float>(rows);
    } else {
        const std::size_t row = shape_.pooling == Pooling::last ? rows - 1 : 0;
        std::copy_n(hidden + row * width, width, vector.data());
    }
    if (shape_.pooling == Pooling::rank) {
        *out = score(std::move(vector));
        return;
    }
    for (const Matrix& dense : dense_) vector = times(dense, vector);
    kernels_.l2_normalize(vector.data(), vector.size(), out);
}

}  // namespace jiphyeon
