// Dense search: every row within the Scope while that is cheap, else the graph.
//
// The graph grows in a thread of its own, behind the commits: rows that it does not hold yet are scanned, so
// that a vector is found from its commit on. While rows are being linked in, readers scan.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <thread>
#include <vector>

#include "graph.hpp"
#include "vectors.hpp"

namespace jiphyeon {

class DenseSearch {
public:
    enum class Path : std::uint8_t { cheaper, scan, graph };

    // From graph_from rows on there is a graph.
    explicit DenseSearch(std::size_t graph_from);
    ~DenseSearch();
    DenseSearch(const DenseSearch&) = delete;
    DenseSearch& operator=(const DenseSearch&) = delete;

    // The newest table, of which each search uses a part or all; null when there are no vectors.
    void follow(std::shared_ptr<const VectorTable> table);
    // The k best of the visible rows of `table`, scored exactly.
    std::vector<ScoredChunk> search(const VectorTable& table, std::span<const float> query, std::size_t k,
                                    const Visible& visible, Path path = Path::cheaper) const;
    // Returns when the graph holds every row of the newest table, or there is none to be.
    void wait_until_built() const;

private:
    void build();
    // One round of building. True where more is to do.
    bool build_some(const std::shared_ptr<const VectorTable>& table);

    const std::size_t graph_from_;
    mutable std::shared_mutex graph_mutex_;
    std::unique_ptr<Graph> graph_;  // changed by the builder alone, under graph_mutex_

    mutable std::mutex wake_mutex_;
    mutable std::condition_variable wake_;
    std::shared_ptr<const VectorTable> newest_;  // these three under wake_mutex_
    bool idle_ = true;
    bool stop_ = false;
    std::thread builder_;  // started with the first table that is large enough
};

}  // namespace jiphyeon
