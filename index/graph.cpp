#include "graph.hpp"

#include <faiss/IndexHNSW.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/FaissException.h>

#include <algorithm>

#include "jiphyeon/index.hpp"

namespace jiphyeon {
namespace {

constexpr int kLinks = 16;
constexpr int kBuildEffort = 100;

using FaissId = faiss::Index::idx_t;

// FAISS counts distances, so nearer must be smaller: the negative inner product of the codes.
class CodesDistance final : public faiss::DistanceComputer {
public:
    CodesDistance(const VectorTable& table, const std::vector<std::uint32_t>& chunks)
        : table_(table), chunks_(chunks)
    {
    }
    void set_query(const float* x) override { query_ = table_.quantize(std::span(x, table_.dim())); }
    float operator()(FaissId i) override { return -table_.approximate(query_, chunk(i)); }
    float symmetric_dis(FaissId i, FaissId j) override { return -table_.approximate(chunk(i), chunk(j)); }

private:
    std::uint32_t chunk(FaissId i) const { return chunks_[static_cast<std::size_t>(i)]; }
    const VectorTable& table_;
    const std::vector<std::uint32_t>& chunks_;
    QuantizedQuery query_;
};

}  // namespace

// Stands where FAISS expects the vectors; it is asked for distances and nothing else. The metric is L2 by
// name, because FAISS would negate the distances of an inner product a second time.
struct Graph::Rows final : faiss::Index {
    explicit Rows(std::shared_ptr<const VectorTable> given)
        : faiss::Index(static_cast<FaissId>(given->dim()), faiss::METRIC_L2), table(std::move(given))
    {
        is_trained = true;
    }
    void add(FaissId n, const float*) override { ntotal += n; }
    void reset() override { ntotal = 0; }
    void search(FaissId, const float*, FaissId, float*, FaissId*,
                const faiss::SearchParameters*) const override
    {
        FAISS_THROW_MSG("only the graph is searched");
    }
    faiss::DistanceComputer* get_distance_computer() const override
    {
        return new CodesDistance(*table, chunks);
    }

    std::shared_ptr<const VectorTable> table;
    std::vector<std::uint32_t> chunks;  // by FAISS's number
};

struct Graph::Built {
    explicit Built(std::shared_ptr<const VectorTable> table) : rows(std::move(table)), hnsw(&rows, kLinks)
    {
        hnsw.hnsw.efConstruction = kBuildEffort;
        // The bounded queue of FAISS 1.7.3 takes the effort of a search from the index, not from its
        // parameters, and costs its square. The other one is asked for as many results as the effort, and we
        // choose among them.
        hnsw.hnsw.search_bounded_queue = false;
    }
    Rows rows;
    faiss::IndexHNSW hnsw;
};

Graph::Graph(std::shared_ptr<const VectorTable> table) : built_(std::make_unique<Built>(std::move(table))) {}
Graph::~Graph() = default;

std::size_t Graph::size() const
{
    return built_->rows.chunks.size();
}

const std::string& Graph::model() const
{
    return built_->rows.table->model();
}

void Graph::add(std::shared_ptr<const VectorTable> table, std::span<const std::uint32_t> chunks)
{
    built_->rows.table = std::move(table);
    const VectorTable& rows = *built_->rows.table;
    std::vector<float> floats;
    floats.reserve(chunks.size() * rows.dim());
    for (const std::uint32_t chunk : chunks) {
        built_->rows.chunks.push_back(chunk);
        floats.insert(floats.end(), rows.row(chunk), rows.row(chunk) + rows.dim());
        if (chunk / 64 >= held_.size()) held_.resize(chunk / 64 + 1);
        held_[chunk / 64] |= std::uint64_t{1} << (chunk % 64);
    }
    try {
        built_->hnsw.add(static_cast<FaissId>(chunks.size()), floats.data());
    } catch (const faiss::FaissException& e) {
        throw IndexError(IndexError::Kind::io, std::string("graph: ") + e.what());
    }
}

std::vector<std::uint32_t> Graph::near(std::span<const float> query, std::size_t effort,
                                       std::span<const std::uint64_t> within,
                                       std::span<const std::uint64_t> present) const
{
    const std::vector<std::uint32_t>& chunks = built_->rows.chunks;
    effort = std::min(effort, chunks.size());
    if (effort == 0) return {};
    std::vector<float> distances(effort);
    std::vector<FaissId> found(effort, -1);
    try {
        built_->hnsw.search(1, query.data(), static_cast<FaissId>(effort), distances.data(), found.data());
    } catch (const faiss::FaissException& e) {
        throw IndexError(IndexError::Kind::io, std::string("graph: ") + e.what());
    }
    std::vector<std::uint32_t> near;
    for (const FaissId id : found) {
        if (id < 0) break;
        const std::uint32_t chunk = chunks[static_cast<std::size_t>(id)];
        const std::size_t word = chunk / 64;
        if (word >= within.size() || word >= present.size()) continue;
        if (((within[word] & present[word]) >> (chunk % 64) & 1) != 0) near.push_back(chunk);
    }
    return near;
}

}  // namespace jiphyeon
