// The forward pass of a small model over one text, and how far it is from another in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "model.hpp"

namespace jiphyeon::test {

inline KvPages pages_for(const Model& model, std::size_t tokens)
{
    KvPages pages;
    for (std::size_t p = 0; p * kChunkPositions < tokens; ++p) {
        pages.push_back(std::make_shared<KvPage>(model.shape().kv()));
    }
    return pages;
}

// Result of every position, computed in steps of `step` tokens.
inline std::vector<float> run(Model& model, std::span<const TokenId> tokens, std::size_t step)
{
    const KvPages pages = pages_for(model, tokens.size());
    std::vector<float> all;
    std::vector<float> out;
    for (std::size_t first = 0; first < tokens.size(); first += step) {
        std::vector<Row> rows;
        for (std::size_t i = first; i < std::min(tokens.size(), first + step); ++i) {
            const std::size_t end = model.shape().family->causal ? i + 1 : tokens.size();
            rows.push_back({tokens[i], i, 0, end, &pages});
        }
        std::vector<std::size_t> wanted(rows.size());
        std::iota(wanted.begin(), wanted.end(), 0);
        model.forward(rows, wanted, out);
        all.insert(all.end(), out.begin(), out.end());
    }
    return all;
}

// Mean square of the error as a share of the mean square of the values.
inline double relative_error(const std::vector<float>& got, const std::vector<std::vector<double>>& expected)
{
    double error = 0;
    double total = 0;
    std::size_t i = 0;
    for (const auto& row : expected) {
        for (const double value : row) {
            const double difference = static_cast<double>(got.at(i++)) - value;
            error += difference * difference;
            total += value * value;
        }
    }
    EXPECT_EQ(i, got.size());
    return error / total;
}

}  // namespace jiphyeon::test
