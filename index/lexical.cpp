// Term by term, in the order of the terms' keys, so that each chunk's float sum has one order of addition.
// The document frequency of a term is counted while its postings are filtered, so it is exactly that of the
// Scope: on the given day, in the given labels, and nothing else.
//
// Cost: the postings of the query's terms under the Scope's labels are decoded once.

#include "lexical.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "bytes.hpp"
#include "postings.hpp"

namespace jiphyeon {
namespace {

std::string_view view(const rocksdb::Slice& slice)
{
    return {slice.data(), slice.size()};
}

// Calls visit(postings) for each row of the term under the visible labels, with chunks of any visibility.
template <typename Visit>
void each_row(rocksdb::Iterator& rows, Field field, std::string_view term, const Visible& visible,
              Visit visit)
{
    const std::string prefix = postings_prefix(field, term);
    std::vector<Posting> list;
    auto label = visible.labels.begin();
    bool sought = false;
    while (label != visible.labels.end()) {
        if (!sought) rows.Seek(postings_key(prefix, *label, 0));
        sought = true;
        if (!rows.Valid() || !rows.key().starts_with(prefix)) break;
        const PostingsKey key = parse_postings_key(view(rows.key()));
        if (key.label == *label) {
            list.clear();
            if (decode_postings(view(rows.value()), key.bucket, list) != PostingsKind::add) {
                throw IndexError(IndexError::Kind::corrupt, "a row of postings that is no list");
            }
            visit(list);
            rows.Next();
        } else {
            label = std::lower_bound(label, visible.labels.end(), key.label);
            sought = label != visible.labels.end() && *label == key.label;
        }
    }
    if (!rows.status().ok()) {
        throw IndexError(rows.status().IsCorruption() ? IndexError::Kind::corrupt : IndexError::Kind::io,
                         rows.status().ToString());
    }
}

std::unique_ptr<rocksdb::Iterator> open_rows(const PostingsSource& source)
{
    rocksdb::ReadOptions options;
    options.snapshot = source.snapshot;
    return std::unique_ptr<rocksdb::Iterator>(source.db->NewIterator(options, source.family));
}

float idf(std::uint64_t chunks, std::uint64_t holding)
{
    const auto n = static_cast<double>(chunks), df = static_cast<double>(holding);
    return static_cast<float>(std::log(1 + (n - df + 0.5) / (df + 0.5)));
}

bool searchable(const Term& term)
{
    return !term.text.empty() && term.text.find('\0') == std::string::npos;
}

// Scores by chunk number, reset by what was touched. One per thread: its size is that of the collection.
class Accumulators {
public:
    void begin(std::uint32_t chunks)
    {
        for (const std::uint32_t chunk : touched_) scores_[chunk] = 0;  // of a query that threw
        touched_.clear();
        if (scores_.size() < chunks) scores_.resize(chunks);
    }
    void add(std::uint32_t chunk, float score)
    {
        if (scores_[chunk] == 0) touched_.push_back(chunk);
        scores_[chunk] += score;
    }
    std::vector<ScoredChunk> take(std::size_t k)
    {
        std::vector<ScoredChunk> scored;
        scored.reserve(touched_.size());
        for (const std::uint32_t chunk : touched_) {
            scored.push_back({chunk, scores_[chunk]});
            scores_[chunk] = 0;
        }
        touched_.clear();
        const std::size_t kept = std::min(k, scored.size());
        std::partial_sort(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(kept), scored.end(),
                          ranks_before);
        scored.resize(kept);
        return scored;
    }

private:
    std::vector<float> scores_;
    std::vector<std::uint32_t> touched_;
};

}  // namespace

std::vector<ScoredChunk> bm25(const PostingsSource& source, std::span<const Term> query, std::size_t k,
                              const Visible& visible, const LexicalOptions& options)
{
    if (k == 0 || visible.chunks == 0) return {};
    std::map<std::pair<Field, std::string_view>, float> terms;
    for (const Term& term : query) {
        if (searchable(term)) terms[{term.field, term.text}] += term.weight;
    }
    const float field_weights[kFields] = {options.stem_weight, options.bigram_weight, options.exact_weight};
    thread_local Accumulators accumulators;
    accumulators.begin(static_cast<std::uint32_t>(visible.words.size() * 64));
    const auto rows = open_rows(source);
    std::vector<Posting> seen;
    for (const auto& [term, term_weight] : terms) {
        const auto field = static_cast<std::size_t>(term.first);
        if (field_weights[field] * term_weight <= 0) continue;
        seen.clear();
        each_row(*rows, term.first, term.second, visible, [&](const std::vector<Posting>& list) {
            for (const Posting& posting : list) {
                if (visible.contains(posting.chunk)) seen.push_back(posting);
            }
        });
        if (seen.empty()) continue;
        const float weight = field_weights[field] * term_weight * idf(visible.chunks, seen.size());
        // How many identifiers a chunk holds says nothing about its length.
        const float b = term.first == Field::exact ? 0 : options.b;
        const float mean =
            static_cast<float>(visible.length_sums[field]) / static_cast<float>(visible.chunks);
        for (const Posting& posting : seen) {
            const auto count = static_cast<float>(posting.count);
            const auto length = static_cast<float>((*source.lengths)[posting.chunk][field]);
            const float norm = options.k1 * (1 - b + b * length / mean);
            accumulators.add(posting.chunk, weight * count * (options.k1 + 1) / (count + norm));
        }
    }
    return accumulators.take(k);
}

std::vector<float> term_idf(const PostingsSource& source, std::span<const Term> terms, const Visible& visible)
{
    const auto rows = open_rows(source);
    std::vector<float> out;
    for (const Term& term : terms) {
        std::uint64_t holding = 0;
        if (searchable(term)) {
            each_row(*rows, term.field, term.text, visible, [&](const std::vector<Posting>& list) {
                holding += static_cast<std::uint64_t>(
                    std::ranges::count_if(list, [&](const Posting& p) { return visible.contains(p.chunk); }));
            });
        }
        out.push_back(idf(visible.chunks, holding));
    }
    return out;
}

}  // namespace jiphyeon
