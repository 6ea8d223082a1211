// Random archives with random labels, dates and versions, against a slow and obvious reading of the rules.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "fixture.hpp"

namespace jiphyeon {
namespace {

using test::document;
using test::kToday;

const std::vector<std::string> kLabels = {"public", "internal", "hr", "audit"};
const std::vector<std::string> kWords = {"연가",     "병가를",     "공가",         "출장은",   "예산",
                                         "감사",     "제7조",      "2026. 5. 19.", "육아휴직", "보고서",
                                         "신청하는", "구법(舊法)", "제도",         "회의"};

struct Archive {
    std::vector<DocumentWrite> documents;
    std::set<std::string> withdrawn;
};

class Maker {
public:
    explicit Maker(unsigned seed) : random_(seed) {}
    std::size_t below(std::size_t n) { return random_() % n; }
    std::string text()
    {
        std::string text;
        const std::size_t words = 1 + below(12);
        for (std::size_t i = 0; i < words; ++i) text += kWords[below(kWords.size())] + " ";
        return text;
    }
    DocumentWrite write(const std::string& id, const std::string& label)
    {
        std::vector<std::string> texts;
        const std::size_t chunks = below(4);
        for (std::size_t i = 0; i < chunks; ++i) texts.push_back(text());
        DocumentWrite made = document(id, label, texts);
        if (below(3) == 0) made.document.effective_from = kToday - 5 + static_cast<Day>(below(10));
        if (below(4) == 0) made.document.effective_to = kToday - 5 + static_cast<Day>(below(10));
        return made;
    }
    Archive archive(std::size_t size)
    {
        Archive made;
        for (std::size_t i = 0; i < size; ++i) {
            made.documents.push_back(write("d" + std::to_string(i), kLabels[below(kLabels.size())]));
            if (i > 0 && below(4) == 0)
                made.documents.back().document.supersedes = "d" + std::to_string(below(i));
            if (below(8) == 0) made.withdrawn.insert(made.documents.back().document.id);
        }
        return made;
    }
    Scope scope()
    {
        Scope made{
            .labels = {}, .day = kToday - 6 + static_cast<Day>(below(12)), .all_versions = below(5) == 0};
        for (const std::string& label : kLabels) {
            if (below(2) == 0) made.labels.push_back(label);
        }
        return made;
    }
    std::mt19937& random() { return random_; }

private:
    std::mt19937 random_;
};

// The rules, one by one.
bool in_scope(const Archive& archive, const DocumentRecord& record, const Scope& scope)
{
    if (archive.withdrawn.contains(record.id)) return false;
    if (std::ranges::find(scope.labels, record.label) == scope.labels.end()) return false;
    if (scope.all_versions) return true;
    const auto begins = [](const DocumentRecord& r) {
        return r.effective_from.value_or(0);
    };  // stored on day 0
    if (record.effective_from && scope.day < *record.effective_from) return false;
    if (!record.effective_from && !record.supersedes.empty() && scope.day < begins(record)) return false;
    if (record.effective_to && scope.day > *record.effective_to) return false;
    for (const DocumentWrite& other : archive.documents) {
        if (other.document.supersedes == record.id && scope.day >= begins(other.document)) return false;
    }
    return true;
}

struct Oracle {
    std::vector<const Chunk*> chunks;  // in scope, in order of storing
    std::vector<std::map<std::pair<Field, std::string>, float>> counts;
    std::vector<std::array<float, 3>> lengths;

    Oracle(const Archive& archive, const Scope& scope)
    {
        for (const DocumentWrite& write : archive.documents) {
            if (!in_scope(archive, write.document, scope)) continue;
            for (const Chunk& chunk : write.chunks) {
                chunks.push_back(&chunk);
                auto& counted = counts.emplace_back();
                auto& length = lengths.emplace_back();
                for (const Term& term : analyze(chunk.header + "\n" + chunk.text)) {
                    ++counted[{term.field, term.text}];
                    ++length[static_cast<std::size_t>(term.field)];
                }
            }
        }
    }
    float idf(Field field, const std::string& text) const
    {
        double df = 0;
        for (const auto& counted : counts) df += counted.contains({field, text}) ? 1 : 0;
        const auto n = static_cast<double>(chunks.size());
        return static_cast<float>(std::log(1 + (n - df + 0.5) / (df + 0.5)));
    }
    std::vector<std::pair<std::string, float>> search(const std::vector<Term>& query, std::size_t k) const
    {
        const LexicalOptions o;
        const float weights[3] = {o.stem_weight, o.bigram_weight, o.exact_weight};
        std::map<std::pair<Field, std::string>, float> terms;
        for (const Term& term : query) terms[{term.field, term.text}] += term.weight;
        std::array<float, 3> sums{};
        for (const auto& length : lengths) {
            for (std::size_t f = 0; f < 3; ++f) sums[f] += length[f];
        }
        std::vector<std::pair<std::size_t, float>> scored;
        for (std::size_t i = 0; i < chunks.size(); ++i) {
            float score = 0;
            for (const auto& [term, weight] : terms) {
                const auto found = counts[i].find(term);
                if (found == counts[i].end()) continue;
                const auto f = static_cast<std::size_t>(term.first);
                const float b = term.first == Field::exact ? 0 : o.b;
                const float norm =
                    o.k1 * (1 - b + b * lengths[i][f] / (sums[f] / static_cast<float>(chunks.size())));
                score += weights[f] * weight * idf(term.first, term.second) * found->second * (o.k1 + 1) /
                         (found->second + norm);
            }
            if (score > 0) scored.emplace_back(i, score);
        }
        std::ranges::stable_sort(scored, std::greater<>(), [](const auto& s) { return s.second; });
        scored.resize(std::min(k, scored.size()));
        std::vector<std::pair<std::string, float>> named;
        for (const auto& [i, score] : scored) named.emplace_back(chunks[i]->id(), score);
        return named;
    }
};

void expect_same(const std::vector<Hit>& hits, const std::vector<std::pair<std::string, float>>& expected)
{
    ASSERT_EQ(hits.size(), expected.size());
    for (std::size_t i = 0; i < hits.size(); ++i) {
        EXPECT_EQ(hits[i].chunk.id(), expected[i].first) << i;
        EXPECT_FLOAT_EQ(hits[i].score, expected[i].second) << i;
    }
}

TEST(Access, SearchIsThatOfAnArchiveThatHoldsTheScopeAlone)
{
    for (unsigned seed = 1; seed <= 8; ++seed) {
        Maker maker(seed);
        const Archive archive = maker.archive(40);
        const test::TempDir dir;
        const auto index = Index::open(dir.path() / "index", {});
        for (const DocumentWrite& write : archive.documents) index->put(write);
        for (const std::string& id : archive.withdrawn) index->withdraw(id);
        for (int round = 0; round < 40; ++round) {
            const Scope scope = maker.scope();
            const Oracle oracle(archive, scope);
            const std::vector<Term> query = analyze(maker.text());
            const std::size_t k = 1 + maker.below(12);
            SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
            expect_same(index->search_lexical(query, k, scope), oracle.search(query, k));
            EXPECT_EQ(index->statistics(scope).chunks, oracle.chunks.size());
            const std::vector<float> idf = index->idf(query, scope);
            for (std::size_t i = 0; i < query.size(); ++i) {
                EXPECT_FLOAT_EQ(idf[i], oracle.idf(query[i].field, query[i].text));
            }
            for (const DocumentWrite& write : archive.documents) {
                const bool covered = in_scope(archive, write.document, scope);
                EXPECT_EQ(index->chunks_of(write.document.id, scope).size(),
                          covered ? write.chunks.size() : 0);
                if (!write.chunks.empty()) {
                    EXPECT_EQ(index->chunk(write.document.id + "#0", scope).has_value(), covered);
                }
            }
        }
        EXPECT_EQ(index->check(), std::vector<std::string>{});
    }
}

struct Seen {
    std::vector<std::pair<std::string, float>> lexical, dense;
    std::vector<float> idf;
    std::uint64_t chunks = 0, documents = 0, embedded = 0;
    bool operator==(const Seen&) const = default;
};

Seen look(const Index& index, const Scope& scope, const std::vector<Term>& query,
          const std::vector<float>& vector)
{
    Seen seen;
    for (const Hit& hit : index.search_lexical(query, 5, scope))
        seen.lexical.emplace_back(hit.chunk.id(), hit.score);
    for (const Hit& hit : index.search_dense(vector, 5, scope))
        seen.dense.emplace_back(hit.chunk.id(), hit.score);
    seen.idf = index.idf(query, scope);
    const ScopeStatistics statistics = index.statistics(scope);
    seen.chunks = statistics.chunks;
    seen.documents = statistics.documents;
    seen.embedded = statistics.embedded;
    return seen;
}

TEST(Access, NothingAReaderSeesChangesWithWhatHeMayNotSee)
{
    Maker maker(99);
    const test::TempDir dir;
    const auto index = Index::open(dir.path() / "index", {});
    std::normal_distribution<float> normal;
    const auto unit = [&] {
        std::vector<float> v = {normal(maker.random()), normal(maker.random()), normal(maker.random())};
        const float norm = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        for (float& x : v) x /= norm;
        return v;
    };
    const auto add = [&](const std::string& id, const std::string& label) {
        const DocumentWrite write = maker.write(id, label);
        index->put(write);
        for (const Chunk& chunk : write.chunks) index->put_vectors(std::vector{chunk.id()}, unit(), "m");
    };
    for (int i = 0; i < 30; ++i) add("seen" + std::to_string(i), i % 2 == 0 ? "public" : "internal");
    const Scope scope = test::scope({"public", "internal"});
    std::vector<std::pair<std::vector<Term>, std::vector<float>>> questions;
    std::vector<Seen> before;
    for (int q = 0; q < 25; ++q) {
        questions.emplace_back(analyze(maker.text()), unit());
        before.push_back(look(*index, scope, questions.back().first, questions.back().second));
    }
    for (int i = 0; i < 30; ++i) {
        const std::string id = "hidden" + std::to_string(i);
        add(id, i % 2 == 0 ? "hr" : "audit");
        if (i % 5 == 0) index->set_label(id, "secret");
        if (i % 7 == 0) index->remove(id);
        if (i % 7 == 1) index->withdraw(id);
    }
    for (std::size_t q = 0; q < questions.size(); ++q) {
        EXPECT_EQ(look(*index, scope, questions[q].first, questions[q].second), before[q]) << q;
    }
}

}  // namespace
}  // namespace jiphyeon
