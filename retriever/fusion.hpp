// One ranking out of two legs: a convex combination of scores that are each brought to 0..1 from their
// theoretical least, plus what an exactly named article, number or phrase adds.
#pragma once

#include <span>
#include <vector>

#include "jiphyeon/index.hpp"
#include "query.hpp"

namespace jiphyeon {

struct Fused {
    Chunk chunk;
    float score = 0;    // 0..1
    float cosine = 0;   // of the dense leg; 0 where it did not return the chunk
    float lexical = 0;  // share of the best lexical score
};

// dense_weight: of the sum, where both legs returned something; the only leg that did counts wholly.
std::vector<Fused> fuse(const Query& query, std::span<const Hit> lexical, std::span<const Hit> dense,
                        float dense_weight);

// Without chunks that say the same as a better one. Texts that differ in a number are never the same.
std::vector<Fused> without_duplicates(std::vector<Fused> ranked, std::size_t keep);

}  // namespace jiphyeon
