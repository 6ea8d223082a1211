#include "fusion.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "words.hpp"

namespace jiphyeon {
namespace {

// Cosines of unrelated Korean texts under the e5 family lie about here; below it nothing is told apart.
constexpr float kCosineFloor = 0.75f;
constexpr float kNamedArticle = 0.35f;  // the chunk is the article that the question names
constexpr float kMentioned = 0.1f;      // the chunk mentions it
constexpr float kPhrase = 0.15f;        // a quoted phrase stands in it
constexpr float kAddendum = 0.7f;       // 부칙 repeats the words of the rules it brings into force
constexpr double kSameText = 0.9;       // share of equal syllable pairs

bool has_identifier(std::string_view text, const std::string& identifier)
{
    const std::vector<Term> terms = analyze(text);
    return std::any_of(terms.begin(), terms.end(), [&](const Term& term) {
        return term.field == Field::exact && term.text == identifier;
    });
}

float boost(const Query& query, const Chunk& chunk)
{
    float sum = 0;
    for (const std::string& identifier : query.identifiers) {
        if (has_identifier(chunk.header, identifier) || has_identifier(chunk.place.section, identifier))
            sum += kNamedArticle;
        else if (has_identifier(chunk.text, identifier))
            sum += kMentioned;
    }
    if (!query.phrases.empty()) {
        const std::string text = squeeze(chunk.header + " " + chunk.text);
        for (const std::string& phrase : query.phrases)
            if (text.find(phrase) != std::string::npos) sum += kPhrase;
    }
    return std::min(sum, 0.6f);
}

bool better(const Fused& a, const Fused& b)
{
    if (a.score != b.score) return a.score > b.score;
    return std::pair(a.chunk.document_id, a.chunk.ordinal) < std::pair(b.chunk.document_id, b.chunk.ordinal);
}

std::set<std::string> pairs_of(const Chunk& chunk)
{
    std::set<std::string> pairs;
    for (Term& term : analyze(chunk.text))
        if (term.field == Field::bigram) pairs.insert(std::move(term.text));
    return pairs;
}

std::string digits_of(std::string_view text)
{
    std::string out;
    for (const char c : normalize(text))
        if (c >= '0' && c <= '9') out += c;
    return out;
}

}  // namespace

std::vector<Fused> fuse(const Query& query, std::span<const Hit> lexical, std::span<const Hit> dense,
                        float dense_weight)
{
    const float weight = dense.empty() ? 0 : lexical.empty() ? 1 : dense_weight;
    std::map<std::string, Fused> found;
    const float best_lexical = lexical.empty() ? 1 : std::max(lexical.front().score, 1e-6f);
    for (const Hit& hit : lexical) {
        Fused& f = found.try_emplace(hit.chunk.id()).first->second;
        f.chunk = hit.chunk;
        f.lexical = std::clamp(hit.score / best_lexical, 0.0f, 1.0f);
        f.score += (1 - weight) * f.lexical;
    }
    const float best_dense = dense.empty() ? 1 : std::max(dense.front().score, kCosineFloor + 0.01f);
    for (const Hit& hit : dense) {
        Fused& f = found.try_emplace(hit.chunk.id()).first->second;
        f.chunk = hit.chunk;
        f.cosine = hit.score;
        f.score += weight * std::clamp((hit.score - kCosineFloor) / (best_dense - kCosineFloor), 0.0f, 1.0f);
    }
    std::vector<Fused> out;
    for (auto& [id, f] : found) {
        f.score += boost(query, f.chunk);
        if (f.chunk.kind == ChunkKind::addendum && !query.wants_addendum) f.score *= kAddendum;
        out.push_back(std::move(f));
    }
    std::sort(out.begin(), out.end(), better);
    // Boosts only order; what is told is 0..1 again.
    const float best = out.empty() ? 1 : std::max(out.front().score, 1.0f);
    for (Fused& f : out) f.score /= best;
    return out;
}

std::vector<Fused> without_duplicates(std::vector<Fused> ranked, std::size_t keep)
{
    std::vector<Fused> out;
    std::vector<std::set<std::string>> seen;
    std::vector<std::string> numbers;
    for (Fused& f : ranked) {
        if (out.size() == keep) break;
        std::set<std::string> pairs = pairs_of(f.chunk);
        std::string digits = digits_of(f.chunk.text);
        const auto same = [&](std::size_t i) {
            if (numbers[i] != digits || pairs.empty()) return false;
            std::size_t common = 0;
            for (const std::string& pair : pairs) common += seen[i].count(pair);
            return static_cast<double>(common) >=
                   kSameText * static_cast<double>(std::max(pairs.size(), seen[i].size()));
        };
        bool duplicate = false;
        for (std::size_t i = 0; i < out.size() && !duplicate; ++i) duplicate = same(i);
        if (duplicate) continue;
        seen.push_back(std::move(pairs));
        numbers.push_back(std::move(digits));
        out.push_back(std::move(f));
    }
    return out;
}

}  // namespace jiphyeon
