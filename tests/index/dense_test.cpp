#include "dense.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "fixture.hpp"
#include "kernels.hpp"
#include "store.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kDim = 96;

// Unit vectors around a few hundred centres, close together as those of a text embedder are.
class Sample {
public:
    explicit Sample(unsigned seed, std::size_t dim = kDim) : dim_(dim), random_(seed), centres_(200 * dim)
    {
        for (float& v : centres_) v = normal_(random_);
    }
    std::vector<float> vector()
    {
        std::vector<float> v(dim_);
        const std::size_t centre = random_() % 200;
        float norm = 0;
        for (std::size_t i = 0; i < dim_; ++i) {
            v[i] = centres_[centre * dim_ + i] + 0.8f * normal_(random_) + (i == 0 ? 4.0f : 0.0f);
            norm += v[i] * v[i];
        }
        for (float& x : v) x /= std::sqrt(norm);
        return v;
    }
    std::vector<float> vectors(std::size_t n)
    {
        std::vector<float> all;
        for (std::size_t i = 0; i < n; ++i) {
            const std::vector<float> v = vector();
            all.insert(all.end(), v.begin(), v.end());
        }
        return all;
    }
    std::mt19937& random() { return random_; }

private:
    std::size_t dim_;
    std::mt19937 random_;
    std::normal_distribution<float> normal_;
    std::vector<float> centres_;
};

std::vector<std::uint32_t> numbers(std::size_t n)
{
    std::vector<std::uint32_t> all(n);
    std::iota(all.begin(), all.end(), 0u);
    return all;
}

Visible visible_part(std::size_t n, double part, std::mt19937& random)
{
    Visible visible;
    visible.words.resize((n + 63) / 64);
    std::uniform_real_distribution<double> uniform;
    for (std::size_t i = 0; i < n; ++i) {
        if (uniform(random) < part) visible.words[i / 64] |= std::uint64_t{1} << (i % 64);
    }
    return visible;
}

std::vector<ScoredChunk> naive(std::span<const float> rows, std::span<const float> query, std::size_t k,
                               const Visible& visible)
{
    std::vector<float> a(padded(kDim)), b(padded(kDim));
    std::ranges::copy(query, a.begin());
    std::vector<ScoredChunk> scored;
    for (std::uint32_t i = 0; i < rows.size() / kDim; ++i) {
        if (!visible.contains(i)) continue;
        std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(i * kDim), kDim, b.begin());
        scored.push_back({i, kScalarKernels.dot_floats(a.data(), b.data(), a.size())});
    }
    std::ranges::sort(scored, ranks_before);
    scored.resize(std::min(k, scored.size()));
    return scored;
}

void expect_equal(const std::vector<ScoredChunk>& found, const std::vector<ScoredChunk>& expected)
{
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(found[i].chunk, expected[i].chunk) << i;
        EXPECT_EQ(found[i].score, expected[i].score) << i;
    }
}

TEST(VectorTable, ScanIsExactForEveryPartAndK)
{
    Sample sample(1);
    constexpr std::size_t kRows = 5000;
    const std::vector<float> rows = sample.vectors(kRows);
    const auto table = VectorTable("m", kDim).with(numbers(kRows), rows);
    for (const double part : {1.0, 0.5, 0.1, 0.01, 0.0}) {
        const Visible visible = visible_part(kRows, part, sample.random());
        for (const std::size_t k : {std::size_t{1}, std::size_t{10}, std::size_t{100}, kRows}) {
            const std::vector<float> query = sample.vector();
            expect_equal(table->scan(table->quantize(query), k, visible.words),
                         naive(rows, query, k, visible));
        }
    }
}

TEST(VectorTable, EqualRowsComeInOrderOfTheirNumbers)
{
    const std::vector<float> one = Sample(2).vector();
    std::vector<float> rows;
    for (int i = 0; i < 300; ++i) rows.insert(rows.end(), one.begin(), one.end());
    const auto table = VectorTable("m", kDim).with(numbers(300), rows);
    std::mt19937 random(1);
    const auto found = table->scan(table->quantize(one), 5, visible_part(300, 1, random).words);
    ASSERT_EQ(found.size(), 5u);
    for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(found[i].chunk, i);
}

TEST(VectorTable, AnOlderTableKeepsItsRows)
{
    Sample sample(3);
    const std::vector<float> rows = sample.vectors(10), other = sample.vector();
    const auto first = VectorTable("m", kDim).with(numbers(10), rows);
    const auto second = first->with(std::vector<std::uint32_t>{4, 10}, sample.vectors(2));
    const auto third = second->without(4, 2);
    EXPECT_TRUE(std::equal(rows.begin() + 4 * kDim, rows.begin() + 5 * kDim, first->row(4)));
    EXPECT_FALSE(std::equal(rows.begin() + 4 * kDim, rows.begin() + 5 * kDim, second->row(4)));
    EXPECT_FALSE(first->has(10));
    EXPECT_EQ(second->count(), 11u);
    EXPECT_EQ(third->count(), 9u);
    EXPECT_TRUE(second->has(5));
    EXPECT_FALSE(third->has(5));
}

TEST(DenseSearch, GraphFindsWhatTheScanFindsWholeAndWithinNarrowScopes)
{
    Sample sample(5);
    constexpr std::size_t kRows = 6000, kQueries = 60, k = 10;
    const auto table = VectorTable("m", kDim).with(numbers(kRows), sample.vectors(kRows));
    DenseSearch dense(1000);
    dense.follow(table);
    dense.wait_until_built();
    for (const double part : {1.0, 0.5, 0.1, 0.01}) {
        const Visible visible = visible_part(kRows, part, sample.random());
        for (const auto path : {DenseSearch::Path::graph, DenseSearch::Path::cheaper}) {
            std::size_t met = 0, wanted = 0;
            for (std::size_t q = 0; q < kQueries; ++q) {
                const std::vector<float> query = sample.vector();
                std::set<std::uint32_t> expected;
                for (const ScoredChunk& one :
                     dense.search(*table, query, k, visible, DenseSearch::Path::scan)) {
                    expected.insert(one.chunk);
                }
                for (const ScoredChunk& one : dense.search(*table, query, k, visible, path)) {
                    ASSERT_TRUE(visible.contains(one.chunk));
                    met += expected.count(one.chunk);
                }
                wanted += expected.size();
            }
            EXPECT_GE(static_cast<double>(met), 0.98 * static_cast<double>(wanted)) << part;
        }
    }
}

TEST(DenseSearch, FindsRowsThatTheGraphDoesNotHoldAndForgetsThoseThatWent)
{
    Sample sample(6);
    constexpr std::size_t kRows = 3000;
    const auto table = VectorTable("m", kDim).with(numbers(kRows), sample.vectors(kRows));
    DenseSearch dense(kRows);
    dense.follow(table);
    dense.wait_until_built();
    const std::vector<float> query = sample.vector();
    const auto grown = table->with(std::vector<std::uint32_t>{kRows}, query)->without(0, kRows / 2);
    const Visible all = visible_part(kRows + 1, 1, sample.random());
    const auto found = dense.search(*grown, query, 20, all, DenseSearch::Path::graph);
    ASSERT_EQ(found.size(), 20u);
    EXPECT_EQ(found[0].chunk, kRows);
    for (const ScoredChunk& one : found) EXPECT_GE(one.chunk, kRows / 2);
}

TEST(DenseSearch, IsUsedByTheIndexFromTheGivenSizeOn)
{
    const test::TempDir dir;
    Sample sample(7);
    constexpr std::size_t kChunks = 600;
    std::vector<std::string> texts, ids;
    for (std::size_t i = 0; i < kChunks; ++i) {
        texts.push_back("문단 " + std::to_string(i));
        ids.push_back("a#" + std::to_string(i));
    }
    const std::vector<float> rows = sample.vectors(kChunks);
    const auto graph = Index::open(dir.path() / "graph", {.graph_from = 100});
    const auto exact = Index::open(dir.path() / "exact", {.graph_from = 1'000'000});
    for (const auto& index : {graph.get(), exact.get()}) {
        index->put(test::document("a", "public", texts));
        index->put_vectors(ids, rows, "m");
        dynamic_cast<Store&>(*index).wait_for_graph();
    }
    for (int q = 0; q < 20; ++q) {
        const std::vector<float> query = sample.vector();
        EXPECT_EQ(test::ids(graph->search_dense(query, 10, test::scope({"public"}))),
                  test::ids(exact->search_dense(query, 10, test::scope({"public"}))));
    }
}

}  // namespace
}  // namespace jiphyeon
