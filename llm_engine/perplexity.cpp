// measure_perplexity() of the public header.
#include <algorithm>
#include <cmath>

#include "fixed_math.hpp"
#include "gguf.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "kernels.hpp"
#include "kv_cache.hpp"
#include "model.hpp"
#include "model_info.hpp"
#include "tokenizer.hpp"

namespace jiphyeon {
namespace {

using Kind = EngineError::Kind;

// Rows whose logits are held at once: those of a large vocabulary take 40 MB.
constexpr std::size_t kScoredRows = 64;

// The logarithm of the probability that these logits give `token`.
double log_probability(std::span<const float> logits, TokenId token)
{
    const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
    double sum = 0;
    for (const float logit : logits) {
        const double below = static_cast<double>(logit) - largest;
        if (below > -100) sum += fixed_exp(below);  // e^-100 of each token changes nothing
    }
    return static_cast<double>(logits[static_cast<std::size_t>(token)]) - largest - fixed_log(sum);
}

// Reads `part` from its beginning and gives what the tokens of its second half cost: minus the logarithm of
// the probability of each but the first.
class PartReader {
public:
    PartReader(Model& model, std::size_t context) : model_(model)
    {
        for (std::size_t i = 0; i < context; i += kChunkPositions)
            pages_.push_back(std::make_shared<KvPage>(model.shape().kv()));
    }

    void read(std::span<const TokenId> part, std::vector<double>& costs)
    {
        const std::size_t half = part.size() / 2;
        for (std::size_t first = 0; first < half; first += Model::kStepRows)
            step(part, first, std::min(half, first + Model::kStepRows), false);
        for (std::size_t first = half; first + 1 < part.size(); first += kScoredRows) {
            const std::size_t past = std::min(part.size() - 1, first + kScoredRows);
            step(part, first, past, true);
            const std::size_t size = model_.shape().vocabulary;
            const std::size_t before = costs.size();
            costs.resize(before + past - first);
            model_.pool().run(past - first, 1, [&](std::size_t begin, std::size_t end, unsigned) {
                for (std::size_t i = begin; i < end; ++i) {
                    costs[before + i] =
                        -log_probability({logits_.data() + i * size, size}, part[first + i + 1]);
                }
            });
        }
    }

private:
    void step(std::span<const TokenId> part, std::size_t first, std::size_t past, bool wanted)
    {
        std::vector<Row> rows;
        std::vector<std::size_t> scored;
        for (std::size_t i = first; i < past; ++i) {
            if (wanted) scored.push_back(rows.size());
            rows.push_back({part[i], i, 0, i + 1, &pages_});
        }
        model_.forward(rows, scored, logits_);
    }

    Model& model_;
    KvPages pages_;
    std::vector<float> logits_;
};

}  // namespace

Perplexity measure_perplexity(const std::filesystem::path& path, std::string_view text,
                              const PerplexityOptions& options)
{
    const Gguf file = Gguf::open(path, std::nullopt);
    const ModelShape shape = read_shape(file, options.context_tokens, options.kv);
    EngineOptions engine;
    engine.context_tokens = options.context_tokens;
    engine.prefix_cache_bytes = 0;
    check_memory(path, describe(file, shape, engine, path).memory, available_memory());
    if (!shape.generates()) throw EngineError(Kind::unsupported, "a model that predicts no tokens");

    const auto tokenizer = make_tokenizer(file);
    const std::size_t context = shape.context;
    if (context < 4) throw EngineError(Kind::bad_request, "the context has too few tokens");
    std::vector<TokenId> tokens = tokenizer->encode(text, true);
    const std::size_t parts = tokens.size() / context;
    if (parts == 0) {
        throw EngineError(Kind::bad_request, "the text has " + std::to_string(tokens.size()) +
                                                 " tokens, fewer than the context of " +
                                                 std::to_string(context));
    }
    const std::vector<TokenId> around = tokenizer->encode("", true);

    Model model(file, shape, options.threads, kernels_for(options.isa));
    PartReader reader(model, context);
    std::vector<double> costs;
    for (std::size_t p = 0; p < parts; ++p) {
        const std::span<TokenId> part(tokens.data() + p * context, context);
        if (!around.empty()) part[0] = around[0];
        reader.read(part, costs);
        if (options.on_progress) options.on_progress(p + 1, parts);
    }
    double mean = 0;
    for (const double cost : costs) mean += cost / static_cast<double>(costs.size());
    double squares = 0;
    for (const double cost : costs) squares += (cost - mean) * (cost - mean);
    const double count = static_cast<double>(costs.size());
    Perplexity result;
    result.value = fixed_exp(std::min(mean, 600.0));
    result.standard_error = result.value * std::sqrt(squares / count / std::max(1.0, count - 1));
    result.tokens = tokens.size();
    result.scored = costs.size();
    return result;
}

}  // namespace jiphyeon
