#include "embedding.hpp"

#include <limits>

namespace jiphyeon {
namespace {

// Few enough that a question which comes in the middle need not wait long for them.
constexpr std::size_t kBatch = 16;

}  // namespace

std::uint64_t missing_vectors(const Index& index)
{
    Scope everything;
    everything.labels = index.labels_in_use();
    everything.day = std::numeric_limits<Day>::max();
    everything.all_versions = true;
    const ScopeStatistics seen = index.statistics(everything);
    return seen.chunks - std::min(seen.embedded, seen.chunks);
}

std::uint64_t embed_batch(Index& index, const IngestOptions& options)
{
    const std::vector<Chunk> chunks = index.not_embedded(options.embed_model, kBatch);
    if (chunks.empty()) return 0;
    if (options.give_way) options.give_way();
    std::vector<std::string> ids, passages;
    for (const Chunk& chunk : chunks) {
        ids.push_back(chunk.id());
        passages.push_back(chunk.header.empty() ? chunk.text : chunk.header + "\n" + chunk.text);
    }
    const std::vector<float> vectors = options.embed(passages);
    try {
        index.put_vectors(ids, vectors, options.embed_model);
    } catch (const IndexError& e) {
        // A document went while its vectors were made; the next batch is without it.
        if (e.kind != IndexError::Kind::not_found) throw;
    }
    return ids.size();
}

BackgroundEmbedding::BackgroundEmbedding(Index& index, const IngestOptions& options)
    : index_(index), options_(options), thread_([this] { work(); })
{
}

BackgroundEmbedding::~BackgroundEmbedding()
{
    stop_ = true;
    {
        const std::lock_guard lock(mutex_);
        last_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void BackgroundEmbedding::more()
{
    {
        const std::lock_guard lock(mutex_);
        dirty_ = true;
    }
    wake_.notify_all();
}

void BackgroundEmbedding::no_more()
{
    {
        const std::lock_guard lock(mutex_);
        dirty_ = true;
        last_ = true;
    }
    wake_.notify_all();
}

void BackgroundEmbedding::rethrow() const
{
    if (done_ && failed_) std::rethrow_exception(failed_);
}

void BackgroundEmbedding::work()
{
    try {
        while (!stop_) {
            bool last = false;
            {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [this] { return dirty_ || last_; });
                dirty_ = false;
                last = last_;
            }
            while (!stop_) {
                const std::uint64_t count = embed_batch(index_, options_);
                if (count == 0) break;
                embedded_ += count;
            }
            if (last) break;
        }
    } catch (...) {
        failed_ = std::current_exception();
    }
    done_ = true;
}

}  // namespace jiphyeon
