#include "model.hpp"

#include <algorithm>
#include <cstring>

namespace jiphyeon {

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
