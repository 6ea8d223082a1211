// Readers while a writer commits: each call sees one generation.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "fixture.hpp"

namespace jiphyeon {
namespace {

using test::document;
using test::scope;

constexpr std::size_t kChunks = 3;

DocumentWrite version(unsigned n)
{
    const std::string text = "연가 규정 " + std::to_string(n) + "판";
    return document("a", n % 2 == 0 ? "public" : "internal", std::vector<std::string>(kChunks, text));
}

// The document is replaced again and again, under one label and the other. A reader of both labels must find
// all its chunks, and of one version; never two versions together, and never a part.
TEST(Threads, AReaderSeesOneGenerationWhileDocumentsAreReplaced)
{
    const test::TempDir dir;
    const auto index = Index::open(dir.path() / "index", {.graph_from = 4});
    index->put(version(0));
    std::atomic<bool> stop = false;
    std::atomic<unsigned> looked = 0;
    const auto look = [&] {
        const Scope both = scope({"public", "internal"});
        const std::vector<Term> query = analyze("연가 규정");
        const std::vector<float> direction = {1, 0};
        while (!stop) {
            const std::vector<Hit> hits = index->search_lexical(query, 10, both);
            EXPECT_EQ(hits.size(), kChunks);
            for (const Hit& hit : hits) EXPECT_EQ(hit.chunk.text, hits[0].chunk.text);
            const std::vector<Chunk> chunks = index->chunks_of("a", both);
            EXPECT_EQ(chunks.size(), kChunks);
            for (const Chunk& chunk : chunks) EXPECT_EQ(chunk.text, chunks[0].text);
            for (const Hit& hit : index->search_lexical(query, 10, scope({"public"}))) {
                EXPECT_EQ(hit.chunk.label, "public");
            }
            const std::vector<Hit> near = index->search_dense(direction, 10, both);
            for (const Hit& hit : near) EXPECT_EQ(hit.chunk.text, near[0].chunk.text);
            EXPECT_EQ(index->statistics(both).chunks, kChunks);
            ++looked;
        }
    };
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) readers.emplace_back(look);
    for (unsigned n = 1; n <= 60; ++n) {
        index->put(version(n));
        std::vector<std::string> ids;
        std::vector<float> vectors;
        for (std::size_t i = 0; i < kChunks; ++i) {
            ids.push_back("a#" + std::to_string(i));
            const float angle = static_cast<float>(n + i);
            vectors.insert(vectors.end(), {std::cos(angle), std::sin(angle)});
        }
        index->put_vectors(ids, vectors, n % 20 < 10 ? "one" : "two");
        if (n % 10 == 0) {
            EXPECT_EQ(index->check(), std::vector<std::string>{});
        }
    }
    stop = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_GT(looked, 0u);
}

}  // namespace
}  // namespace jiphyeon
