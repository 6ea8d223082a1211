#include "adapter.hpp"

#include <algorithm>
#include <cmath>

#include "blocks.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint64_t kRankMax = 4096;
constexpr std::string_view kA = ".lora_a";
constexpr std::string_view kB = ".lora_b";

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, "adapter: " + what);
}

[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, "adapter: " + what);
}

std::vector<float> floats_of(const GgufTensor& tensor)
{
    std::vector<float> out(static_cast<std::size_t>(tensor.columns() * tensor.rows()));
    dequantize(tensor.type(), tensor.data.data(), out.size(), out.data());
    return out;
}

}  // namespace

void LowRank::add(const float* x, std::vector<float>& space, float* out) const
{
    space.assign(rank + rows, 0.0f);
    float* const low = space.data();
    float* const sum = low + rank;
    for (std::size_t c = 0; c < columns; ++c) {
        for (std::size_t k = 0; k < rank; ++k) low[k] += a[c * rank + k] * x[c];
    }
    for (std::size_t k = 0; k < rank; ++k) {
        for (std::size_t r = 0; r < rows; ++r) sum[r] += b[k * rows + r] * low[k];
    }
    for (std::size_t r = 0; r < rows; ++r) out[r] += scale * sum[r];
}

Adapter::Adapter(Gguf file, std::string_view architecture, float scale)
    : file_(std::move(file)), scale_(scale)
{
    if (!(std::abs(scale) <= 1000))
        throw EngineError(EngineError::Kind::bad_request, "adapter: scale " + std::to_string(scale));
    if (file_.find_string("general.type").value_or("model") != "adapter") malformed("the file is a model");
    const std::string_view kind = file_.string("adapter.type");
    if (kind != "lora") unsupported("of type " + std::string(kind));
    if (file_.has("adapter.alora.invocation_tokens")) unsupported("one that begins at a token");
    const std::string_view own = file_.string("general.architecture");
    if (own != architecture)
        unsupported("for models of family " + std::string(own) + ", not " + std::string(architecture));
    alpha_ = file_.find_number("adapter.lora.alpha").value_or(0);
    if (!(std::abs(alpha_) <= 1e6)) malformed("adapter.lora.alpha");
    if (file_.tensors().empty()) malformed("no tensors");
    for (const GgufTensor& tensor : file_.tensors()) {
        const std::string name(tensor.name);
        const bool is_a = name.ends_with(kA);
        if (!is_a && !name.ends_with(kB)) unsupported("tensor " + name);
        const std::string base = name.substr(0, name.size() - kA.size());
        const GgufTensor* const other = file_.find_tensor(base + std::string(is_a ? kB : kA));
        if (other == nullptr) malformed("half of a pair: " + name);
        // Of the embedding single rows are read, with A and B the other way round.
        if (base == "token_embd.weight") unsupported("of the embedding");
        const std::uint64_t rank = is_a ? tensor.rows() : tensor.columns();
        const std::uint64_t other_rank = is_a ? other->columns() : other->rows();
        if (tensor.dimensions != 2 || rank != other_rank || rank > kRankMax) malformed("shape of " + name);
        tensor.type();
    }
}

std::optional<LowRank> Adapter::part(const std::string& matrix, std::size_t first, std::size_t count,
                                     std::size_t rows, std::size_t columns)
{
    const GgufTensor* const a = file_.find_tensor(matrix + std::string(kA));
    if (a == nullptr) return std::nullopt;
    const GgufTensor& b = file_.tensor(matrix + std::string(kB));
    if (a->columns() != columns || b.rows() != rows) malformed("shape of the pair for " + matrix);
    used_.insert(a->name);
    used_.insert(b.name);
    LowRank part;
    part.rank = static_cast<std::size_t>(a->rows());
    part.columns = columns;
    part.rows = count;
    const double own = alpha_ == 0 ? 1.0 : alpha_ / static_cast<double>(part.rank);
    part.scale = static_cast<float>(static_cast<double>(scale_) * own);
    const std::vector<float> by_rank = floats_of(*a);  // [rank][columns]
    part.a.resize(by_rank.size());
    for (std::size_t k = 0; k < part.rank; ++k) {
        for (std::size_t c = 0; c < columns; ++c) part.a[c * part.rank + k] = by_rank[k * columns + c];
    }
    const std::vector<float> by_row = floats_of(b);  // [rows][rank]
    part.b.resize(part.rank * count);
    for (std::size_t r = 0; r < count; ++r) {
        for (std::size_t k = 0; k < part.rank; ++k)
            part.b[k * count + r] = by_row[(first + r) * part.rank + k];
    }
    return part;
}

void Adapter::refuse_the_rest() const
{
    for (const GgufTensor& tensor : file_.tensors()) {
        if (!used_.contains(tensor.name))
            malformed("the model has no matrix for " + std::string(tensor.name));
    }
}

std::uint64_t Adapter::memory_bytes() const
{
    std::uint64_t numbers = 0;
    for (const GgufTensor& tensor : file_.tensors()) numbers += tensor.columns() * tensor.rows();
    return numbers * sizeof(float);
}

}  // namespace jiphyeon
