// Exact search at the speed of codes. Embeddings lie close together, so each vector is coded as what is left
// when the mean m of the first few thousand is taken off. With q - m = t d + f and x - m = s c + e, where d
// and c are codes, q.x = ts(d.c) + m.(x - m) + m.(q - m) + m.m up to |f||x - m| + |td||e| (Cauchy-Schwarz). A
// first pass over the codes keeps every row whose upper bound reaches the k-th best lower bound; only those
// are scored in floats.

#include "vectors.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <queue>

#include "kernels.hpp"

namespace jiphyeon {
namespace {

// More than all the rounding of an inner product, for each unit of the lengths multiplied.
constexpr float kRounding = 1e-5f;
// The mean of so many rows stays the centre, so that their codes stay.
constexpr std::uint64_t kCentredMax = 4096;

double dot(const float* a, const float* b, std::size_t n)
{
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

void keep_best(std::vector<ScoredChunk>& scored, std::size_t k)
{
    const std::size_t kept = std::min(k, scored.size());
    std::partial_sort(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(kept), scored.end(),
                      ranks_before);
    scored.resize(kept);
}

}  // namespace

VectorBlock::VectorBlock(std::size_t padded_dim)
    : rows(kBlockRows * padded_dim), codes(kBlockRows * padded_dim), quantized(kBlockRows)
{
}

VectorTable::VectorTable(std::string model, std::size_t dim)
    : model_(std::move(model)), dim_(dim), padded_dim_(padded(dim)), centre_(padded_dim_)
{
}

Quantized VectorTable::quantize(const float* row, std::int8_t* code) const
{
    std::vector<float> rest(padded_dim_);
    float largest = 0;
    for (std::size_t i = 0; i < padded_dim_; ++i) {
        rest[i] = row[i] - centre_[i];
        largest = std::max(largest, std::fabs(rest[i]));
    }
    Quantized q;
    q.scale = largest / 127.0f;
    double error = 0;
    for (std::size_t i = 0; i < padded_dim_; ++i) {
        const float scaled = q.scale > 0 ? std::nearbyint(rest[i] / q.scale) : 0.0f;
        code[i] = static_cast<std::int8_t>(std::clamp(scaled, -127.0f, 127.0f));
        q.code_sum += code[i];
        const double off = static_cast<double>(rest[i]) - static_cast<double>(q.scale) * code[i];
        error += off * off;
    }
    q.error = static_cast<float>(std::sqrt(error)) * (1 + kRounding);
    q.norm = static_cast<float>(std::sqrt(dot(rest.data(), rest.data(), padded_dim_))) * (1 + kRounding);
    q.offset = static_cast<float>(dot(rest.data(), centre_.data(), padded_dim_));
    return q;
}

QuantizedQuery VectorTable::quantize(std::span<const float> query) const
{
    QuantizedQuery made;
    made.row.resize(padded_dim_);
    made.code.resize(padded_dim_);
    std::ranges::copy(query.first(std::min(query.size(), dim_)), made.row.begin());
    made.quantized = quantize(made.row.data(), made.code.data());
    const double norm = std::sqrt(dot(made.row.data(), made.row.data(), padded_dim_));
    made.slack = kRounding * (static_cast<float>(norm) * norm_max_ + centre_square_);
    return made;
}

void VectorTable::quantize_row(VectorBlock& block, std::size_t row)
{
    const float* floats = block.rows.data() + row * padded_dim_;
    block.quantized[row] = quantize(floats, block.codes.data() + row * padded_dim_);
    norm_max_ = std::max(norm_max_, static_cast<float>(std::sqrt(dot(floats, floats, padded_dim_))));
}

// Of a table that no reader has yet; blocks are copied, since readers of others share them.
void VectorTable::recentre()
{
    std::vector<double> sums(padded_dim_);
    for (std::uint32_t chunk = 0; chunk < present_.size() * 64; ++chunk) {
        if (!has(chunk)) continue;
        const float* floats = row(chunk);
        for (std::size_t i = 0; i < padded_dim_; ++i) sums[i] += static_cast<double>(floats[i]);
    }
    for (std::size_t i = 0; i < padded_dim_; ++i) {
        centre_[i] = static_cast<float>(sums[i] / static_cast<double>(count_));
    }
    centre_square_ = static_cast<float>(dot(centre_.data(), centre_.data(), padded_dim_));
    centred_count_ = count_;
    for (std::shared_ptr<VectorBlock>& block : blocks_) {
        if (block == nullptr) continue;
        block = std::make_shared<VectorBlock>(*block);
        for (std::size_t r = 0; r < kBlockRows; ++r) quantize_row(*block, r);
    }
}

const float* VectorTable::row(std::uint32_t chunk) const
{
    return block(chunk).rows.data() + (chunk % kBlockRows) * padded_dim_;
}

float VectorTable::exact(const QuantizedQuery& query, std::uint32_t chunk) const
{
    return best_kernels().dot_floats(query.row.data(), row(chunk), padded_dim_);
}

float VectorTable::approximate(const QuantizedQuery& query, std::uint32_t chunk) const
{
    const VectorBlock& b = block(chunk);
    const std::size_t r = chunk % kBlockRows;
    const Quantized& x = b.quantized[r];
    const std::int32_t product = best_kernels().dot_codes(query.code.data(), b.codes.data() + r * padded_dim_,
                                                          padded_dim_, x.code_sum);
    return query.quantized.scale * x.scale * static_cast<float>(product) + x.offset + query.quantized.offset +
           centre_square_;
}

float VectorTable::approximate(std::uint32_t a, std::uint32_t b) const
{
    const VectorBlock &of_a = block(a), &of_b = block(b);
    const std::size_t i = a % kBlockRows, j = b % kBlockRows;
    const Quantized &x = of_a.quantized[i], &y = of_b.quantized[j];
    const std::int32_t product = best_kernels().dot_codes(
        of_a.codes.data() + i * padded_dim_, of_b.codes.data() + j * padded_dim_, padded_dim_, y.code_sum);
    return x.scale * y.scale * static_cast<float>(product) + x.offset + y.offset + centre_square_;
}

std::shared_ptr<const VectorTable> VectorTable::with(std::span<const std::uint32_t> chunks,
                                                     std::span<const float> vectors) const
{
    auto next = std::make_shared<VectorTable>(*this);
    std::vector<bool> own(blocks_.size());  // blocks copied for this commit
    for (std::size_t n = 0; n < chunks.size(); ++n) {
        const std::uint32_t chunk = chunks[n];
        const std::size_t at = chunk / kBlockRows;
        if (at >= next->blocks_.size()) next->blocks_.resize(at + 1);
        std::shared_ptr<VectorBlock>& target = next->blocks_[at];
        if (target == nullptr) target = std::make_shared<VectorBlock>(padded_dim_);
        if (has(chunk) && !own[at]) {  // a reader may be at this row
            target = std::make_shared<VectorBlock>(*target);
            own[at] = true;
        }
        const std::size_t r = chunk % kBlockRows;
        std::memcpy(target->rows.data() + r * padded_dim_, vectors.data() + n * dim_, dim_ * sizeof(float));
        next->quantize_row(*target, r);
        if (chunk / 64 >= next->present_.size()) next->present_.resize(chunk / 64 + 1);
        std::uint64_t& word = next->present_[chunk / 64];
        const std::uint64_t bit = std::uint64_t{1} << (chunk % 64);
        if ((word & bit) == 0) ++next->count_;
        word |= bit;
    }
    if (centred_count_ < kCentredMax && next->count_ >= 4 * centred_count_ && next->count_ > 0)
        next->recentre();
    return next;
}

std::shared_ptr<const VectorTable> VectorTable::without(std::uint32_t first_chunk, std::uint32_t count) const
{
    auto next = std::make_shared<VectorTable>(*this);
    for (std::uint32_t chunk = first_chunk; chunk - first_chunk < count; ++chunk) {
        if (!next->has(chunk)) continue;
        next->present_[chunk / 64] &= ~(std::uint64_t{1} << (chunk % 64));
        --next->count_;
    }
    return next;
}

std::uint64_t VectorTable::count_within(std::span<const std::uint64_t> within) const
{
    std::uint64_t count = 0;
    const std::size_t words = std::min(present_.size(), within.size());
    for (std::size_t i = 0; i < words; ++i) {
        count += static_cast<std::uint64_t>(std::popcount(present_[i] & within[i]));
    }
    return count;
}

std::vector<ScoredChunk> VectorTable::scan(const QuantizedQuery& query, std::size_t k,
                                           std::span<const std::uint64_t> within) const
{
    if (k == 0) return {};
    const Kernels& kernels = best_kernels();
    const Quantized& q = query.quantized;
    const float coded_norm = q.norm + q.error;                             // of the coded query, at most
    std::priority_queue<float, std::vector<float>, std::greater<>> lower;  // the k best lower bounds
    struct Candidate {
        std::uint32_t chunk;
        float upper;
    };
    std::vector<Candidate> candidates;
    const std::size_t words = std::min(present_.size(), within.size());
    for (std::size_t w = 0; w < words; ++w) {
        for (std::uint64_t bits = present_[w] & within[w]; bits != 0; bits &= bits - 1) {
            const auto chunk =
                static_cast<std::uint32_t>(w * 64) + static_cast<std::uint32_t>(std::countr_zero(bits));
            const VectorBlock& b = block(chunk);
            const std::size_t r = chunk % kBlockRows;
            const Quantized& x = b.quantized[r];
            const std::int32_t product = kernels.dot_codes(
                query.code.data(), b.codes.data() + r * padded_dim_, padded_dim_, x.code_sum);
            const float score = q.scale * x.scale * static_cast<float>(product) + x.offset;
            const float off = q.error * x.norm + coded_norm * x.error + query.slack;
            if (lower.size() == k && score + off < lower.top()) continue;
            candidates.push_back({chunk, score + off});
            if (lower.size() < k) {
                lower.push(score - off);
            } else if (score - off > lower.top()) {
                lower.pop();
                lower.push(score - off);
            }
        }
    }
    std::vector<std::uint32_t> kept;
    for (const Candidate& candidate : candidates) {
        if (lower.size() < k || candidate.upper >= lower.top()) kept.push_back(candidate.chunk);
    }
    return rank(query, k, kept);
}

std::vector<ScoredChunk> VectorTable::rank(const QuantizedQuery& query, std::size_t k,
                                           std::span<const std::uint32_t> candidates) const
{
    std::vector<ScoredChunk> scored;
    scored.reserve(candidates.size());
    for (const std::uint32_t chunk : candidates) scored.push_back({chunk, exact(query, chunk)});
    keep_best(scored, k);
    return scored;
}

}  // namespace jiphyeon
