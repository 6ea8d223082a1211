// Batch runs: one at a time, stoppable by name, remembered over restarts (space "job" of the store).
// Threads: any number.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "jiphyeon/index.hpp"
#include "messages.hpp"

namespace jiphyeon {

class Jobs {
public:
    // What a former process left running is shown as failed from now on.
    explicit Jobs(Index& index);

    // The right to run. Throws GatewayError conflict where a job runs already. Its end writes the final
    // state.
    class Run {
    public:
        Run(Jobs& jobs, std::string kind);
        ~Run();  // "failed" unless `end` was called
        Run(const Run&) = delete;
        Run& operator=(const Run&) = delete;

        const std::string& id() const { return id_; }
        std::atomic<bool>& stop() { return stop_; }
        void progress(const Json& progress);
        void end(std::string_view state, const Json& report);

    private:
        friend class Jobs;
        Jobs& jobs_;
        std::string id_, kind_;
        std::string started_;
        Json progress_;
        std::atomic<bool> stop_ = false;
        bool ended_ = false;
    };

    Json list() const;     // newest last
    Json running() const;  // null where nothing runs
    bool stop(std::string_view id);

private:
    Json row_of(const Run& run, std::string_view state) const;
    void write(const std::string& id, const Json& row);

    Index& index_;
    mutable std::mutex mutex_;
    Run* running_ = nullptr;
};

}  // namespace jiphyeon
