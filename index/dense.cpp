// Which way is cheaper: a scan costs a row for each visible vector. A walk through the graph looks at about
// kRowsPerEffort rows for each unit of effort, in random order, where a row costs kRandomAccess times as
// much; and where only a part of the rows is visible, its effort must grow by the inverse of that part to
// meet as many of them. So narrow scopes are scanned, at any size.

#include "dense.hpp"

#include <omp.h>

#include <algorithm>
#include <bit>

namespace jiphyeon {
namespace {

constexpr std::size_t kEffortMin = 160;
constexpr std::size_t kRowsPerEffort = 20;
constexpr std::size_t kRandomAccess = 6;
constexpr std::size_t kBatchRows = 512;

std::size_t effort_for(std::size_t wanted, std::uint64_t visible, std::uint64_t all)
{
    const std::size_t effort = std::max(kEffortMin, 2 * wanted);
    return static_cast<std::size_t>(effort * all / std::max<std::uint64_t>(visible, 1));
}

}  // namespace

DenseSearch::DenseSearch(std::size_t graph_from) : graph_from_(graph_from) {}

DenseSearch::~DenseSearch()
{
    {
        const std::lock_guard lock(wake_mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    if (builder_.joinable()) builder_.join();
}

void DenseSearch::follow(std::shared_ptr<const VectorTable> table)
{
    {
        const std::lock_guard lock(wake_mutex_);
        newest_ = std::move(table);
        if (newest_ == nullptr || newest_->count() < graph_from_) return;
        idle_ = false;
        if (!builder_.joinable()) builder_ = std::thread([this] { build(); });
    }
    wake_.notify_all();
}

std::vector<ScoredChunk> DenseSearch::search(const VectorTable& table, std::span<const float> query,
                                             std::size_t k, const Visible& visible, Path path) const
{
    const QuantizedQuery quantized = table.quantize(query);
    const auto scan = [&] { return table.scan(quantized, k, visible.words); };
    if (path == Path::scan || (path == Path::cheaper && table.count() < graph_from_)) return scan();
    const std::uint64_t rows = table.count_within(visible.words);
    const std::size_t wanted = 2 * k + 32;  // the walk ranks by codes: room for what floats will move up
    const std::size_t effort = effort_for(wanted, rows, table.count());
    if (path == Path::cheaper && rows <= effort * kRowsPerEffort * kRandomAccess) return scan();

    const std::shared_lock lock(graph_mutex_, std::try_to_lock);
    if (!lock.owns_lock() || graph_ == nullptr || graph_->model() != table.model()) return scan();
    std::vector<std::uint64_t> beyond = visible.words;  // what the graph does not hold yet
    for (std::size_t i = 0; i < beyond.size(); ++i) {
        if (i < graph_->held().size()) beyond[i] &= ~graph_->held()[i];
    }
    const std::uint64_t beyond_count = table.count_within(beyond);
    if (path == Path::cheaper && beyond_count * 2 > rows) return scan();
    std::vector<std::uint32_t> candidates = graph_->near(query, effort, visible.words, table.present());
    candidates.resize(std::min(candidates.size(), wanted));
    if (beyond_count > 0) {
        for (const ScoredChunk& one : table.scan(quantized, k, beyond)) candidates.push_back(one.chunk);
    }
    return table.rank(quantized, k, candidates);
}

void DenseSearch::wait_until_built() const
{
    std::unique_lock lock(wake_mutex_);
    wake_.wait(lock, [&] { return idle_; });
}

void DenseSearch::build()
{
    omp_set_num_threads(1);  // of this thread: the other cores answer questions
    std::unique_lock lock(wake_mutex_);
    while (!stop_) {
        const std::shared_ptr<const VectorTable> table = newest_;
        lock.unlock();
        bool more = false;
        try {
            more = table != nullptr && build_some(table);
        } catch (const std::exception&) {  // no memory for it: searches scan
            const std::unique_lock graph_lock(graph_mutex_);
            graph_.reset();
        }
        lock.lock();
        if (more || newest_ != table) continue;
        idle_ = true;
        wake_.notify_all();
        wake_.wait(lock, [&] { return stop_ || newest_ != table; });
        idle_ = false;
    }
    idle_ = true;
    wake_.notify_all();
}

bool DenseSearch::build_some(const std::shared_ptr<const VectorTable>& table)
{
    // Only this thread changes the graph, so it may read it without the lock.
    const bool outlived =
        graph_ != nullptr && (table->model() != graph_->model() || graph_->size() > 2 * table->count());
    if (graph_ == nullptr || outlived) {
        auto fresh = std::make_unique<Graph>(table);
        const std::unique_lock lock(graph_mutex_);
        graph_ = std::move(fresh);
    }
    std::vector<std::uint32_t> batch;
    const std::vector<std::uint64_t>& present = table->present();
    for (std::size_t word = 0; word < present.size() && batch.size() < kBatchRows; ++word) {
        std::uint64_t missing = present[word];
        if (word < graph_->held().size()) missing &= ~graph_->held()[word];
        for (; missing != 0 && batch.size() < kBatchRows; missing &= missing - 1) {
            batch.push_back(static_cast<std::uint32_t>(word * 64) +
                            static_cast<std::uint32_t>(std::countr_zero(missing)));
        }
    }
    if (batch.empty()) return false;
    const std::unique_lock lock(graph_mutex_);
    graph_->add(table, batch);
    return true;
}

}  // namespace jiphyeon
