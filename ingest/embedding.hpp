// Vectors in the background of a run.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

// Embeds up to one batch of chunks that have no vector. Returns how many; 0: all have one.
std::uint64_t embed_batch(Index& index, const IngestOptions& options);
// Chunks without a vector, over all labels.
std::uint64_t missing_vectors(const Index& index);

class BackgroundEmbedding {
public:
    BackgroundEmbedding(Index& index, const IngestOptions& options);
    ~BackgroundEmbedding();  // ends after the batch at hand
    void more();             // something was stored
    void no_more();          // the rest, then end
    bool done() const { return done_; }
    std::uint64_t embedded() const { return embedded_; }
    void rethrow() const;

private:
    void work();
    Index& index_;
    const IngestOptions& options_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool dirty_ = true, last_ = false;
    std::atomic<bool> stop_ = false, done_ = false;
    std::atomic<std::uint64_t> embedded_ = 0;
    std::exception_ptr failed_;
    std::thread thread_;
};

}  // namespace jiphyeon
