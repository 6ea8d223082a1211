// Exact search at the speed of codes: with x = s c + e and q = t d + f (s c, t d the coded vectors), the
// inner product q.x differs from st(d.c) by at most |f||x| + |td||e| (Cauchy-Schwarz). A first pass over the
// codes keeps every row whose upper bound reaches the k-th best lower bound; only those are scored in floats.

#include "vectors.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <queue>

#include "kernels.hpp"

namespace jiphyeon {
namespace {

// For the rounding of the bound's own arithmetic.
constexpr float kSlack = 1e-5f;

struct Coded {
    float scale = 0, error = 0, norm = 0;
    std::int32_t sum = 0;
};

Coded quantize(const float* row, std::size_t n, std::int8_t* code)
{
    Coded coded;
    float largest = 0;
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(row[i]));
    coded.scale = largest / 127.0f;
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const float scaled = coded.scale > 0 ? std::nearbyint(row[i] / coded.scale) : 0.0f;
        code[i] = static_cast<std::int8_t>(std::clamp(scaled, -127.0f, 127.0f));
        coded.sum += code[i];
        const double off = static_cast<double>(row[i]) - static_cast<double>(coded.scale) * code[i];
        error += off * off;
        norm += static_cast<double>(row[i]) * static_cast<double>(row[i]);
    }
    coded.error = static_cast<float>(std::sqrt(error)) * (1 + kSlack);
    coded.norm = static_cast<float>(std::sqrt(norm)) * (1 + kSlack);
    return coded;
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
    : rows(kBlockRows * padded_dim),
      codes(kBlockRows * padded_dim),
      scales(kBlockRows),
      errors(kBlockRows),
      norms(kBlockRows),
      code_sums(kBlockRows)
{
}

QuantizedQuery::QuantizedQuery(std::span<const float> query, std::size_t padded_dim)
    : row(padded_dim), code(padded_dim)
{
    std::copy(query.begin(), query.end(), row.begin());
    const Coded coded = quantize(row.data(), padded_dim, code.data());
    scale = coded.scale;
    error = coded.error;
    norm = coded.norm;
}

VectorTable::VectorTable(std::string model, std::size_t dim)
    : model_(std::move(model)), dim_(dim), padded_dim_(padded(dim))
{
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
    const std::int32_t dot = best_kernels().dot_codes(query.code.data(), b.codes.data() + r * padded_dim_,
                                                      padded_dim_, b.code_sums[r]);
    return query.scale * b.scales[r] * static_cast<float>(dot);
}

float VectorTable::approximate(std::uint32_t a, std::uint32_t b) const
{
    const VectorBlock &x = block(a), &y = block(b);
    const std::size_t i = a % kBlockRows, j = b % kBlockRows;
    const std::int32_t dot = best_kernels().dot_codes(
        x.codes.data() + i * padded_dim_, y.codes.data() + j * padded_dim_, padded_dim_, y.code_sums[j]);
    return x.scales[i] * y.scales[j] * static_cast<float>(dot);
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
        float* row = target->rows.data() + r * padded_dim_;
        std::memcpy(row, vectors.data() + n * dim_, dim_ * sizeof(float));
        const Coded coded = quantize(row, padded_dim_, target->codes.data() + r * padded_dim_);
        target->scales[r] = coded.scale;
        target->errors[r] = coded.error;
        target->norms[r] = coded.norm;
        target->code_sums[r] = coded.sum;
        if (chunk / 64 >= next->present_.size()) next->present_.resize(chunk / 64 + 1);
        std::uint64_t& word = next->present_[chunk / 64];
        const std::uint64_t bit = std::uint64_t{1} << (chunk % 64);
        if ((word & bit) == 0) ++next->count_;
        word |= bit;
    }
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
    const float coded_norm = query.norm + query.error;                     // of the coded query, at most
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
            const std::int32_t dot = kernels.dot_codes(query.code.data(), b.codes.data() + r * padded_dim_,
                                                       padded_dim_, b.code_sums[r]);
            const float score = query.scale * b.scales[r] * static_cast<float>(dot);
            const float off = query.error * b.norms[r] + coded_norm * b.errors[r] + kSlack;
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
