// A navigable graph over a vector table: FAISS's HNSW with our distances. Derived and in memory only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "vectors.hpp"

namespace jiphyeon {

// add() needs the graph to itself; any number may search at once.
class Graph {
public:
    explicit Graph(std::shared_ptr<const VectorTable> table);
    ~Graph();
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;

    std::size_t size() const;
    const std::string& model() const;
    bool holds(std::uint32_t chunk) const
    {
        return chunk / 64 < held_.size() && ((held_[chunk / 64] >> (chunk % 64)) & 1) != 0;
    }
    const std::vector<std::uint64_t>& held() const { return held_; }
    // `table` replaces the one before, whose rows it must contain unless they have gone.
    void add(std::shared_ptr<const VectorTable> table, std::span<const std::uint32_t> chunks);
    // Those of about the `effort` nearest rows that lie within both bitmaps, nearest first.
    std::vector<std::uint32_t> near(std::span<const float> query, std::size_t effort,
                                    std::span<const std::uint64_t> within,
                                    std::span<const std::uint64_t> present) const;

private:
    struct Rows;  // the faiss::Index that stands for the table
    struct Built;
    std::unique_ptr<Built> built_;
    std::vector<std::uint64_t> held_;
};

}  // namespace jiphyeon
