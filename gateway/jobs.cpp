#include "jobs.hpp"

#include <chrono>

#include "jiphyeon/gateway.hpp"

namespace jiphyeon {
namespace {

constexpr const char* kSpace = "job";
constexpr std::size_t kKept = 200;

std::string now_text()
{
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return utc_text(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

}  // namespace

Jobs::Jobs(Index& index) : index_(index)
{
    for (const auto& [id, text] : index_.rows(kSpace)) {
        Json row = Json::parse(text);
        if (row.at("state") != "running") continue;
        row["state"] = "failed";
        row["reason"] = "the process ended during the run";
        write(id, row);
    }
}

void Jobs::write(const std::string& id, const Json& row)
{
    const std::vector<DocumentWrite::Row> rows = {{.space = kSpace, .key = id, .value = print(row)}};
    index_.put_rows(rows);
}

Json Jobs::row_of(const Run& run, std::string_view state) const
{
    return {{"id", run.id_},
            {"kind", run.kind_},
            {"state", state},
            {"started", run.started_},
            {"progress", run.progress_}};
}

Json Jobs::list() const
{
    const std::lock_guard lock(mutex_);
    Json jobs = Json::array();
    for (const auto& [id, text] : index_.rows(kSpace)) {
        if (running_ != nullptr && running_->id_ == id)
            jobs.push_back(row_of(*running_, running_->stop_ ? "stopping" : "running"));
        else
            jobs.push_back(Json::parse(text));
    }
    return jobs;
}

Json Jobs::running() const
{
    const std::lock_guard lock(mutex_);
    return running_ == nullptr ? Json() : row_of(*running_, running_->stop_ ? "stopping" : "running");
}

bool Jobs::stop(std::string_view id)
{
    const std::lock_guard lock(mutex_);
    if (running_ == nullptr || running_->id_ != id) return false;
    running_->stop_ = true;
    return true;
}

Jobs::Run::Run(Jobs& jobs, std::string kind) : jobs_(jobs), kind_(std::move(kind)), started_(now_text())
{
    const std::lock_guard lock(jobs_.mutex_);
    if (jobs_.running_ != nullptr)
        throw GatewayError(GatewayError::Kind::conflict, "다른 작업이 돌고 있습니다: " + jobs_.running_->id_);
    id_ = started_.substr(0, 19) + "-" + crypto::random_text(4);
    const auto kept = jobs_.index_.rows(kSpace);
    for (std::size_t i = 0; i + kKept <= kept.size(); ++i) jobs_.index_.remove_row(kSpace, kept[i].first);
    jobs_.write(id_, jobs_.row_of(*this, "running"));
    jobs_.running_ = this;
}

Jobs::Run::~Run()
{
    {
        const std::lock_guard lock(jobs_.mutex_);
        jobs_.running_ = nullptr;
    }
    if (ended_) return;
    try {
        jobs_.write(id_, jobs_.row_of(*this, "failed"));
    } catch (const IndexError&) {
        // The row still says "running"; the next start of the process shows it as failed.
    }
}

void Jobs::Run::progress(const Json& progress)
{
    const std::lock_guard lock(jobs_.mutex_);
    progress_ = progress;
}

void Jobs::Run::end(std::string_view state, const Json& report)
{
    const std::lock_guard lock(jobs_.mutex_);
    Json row = jobs_.row_of(*this, state);
    row["ended"] = now_text();
    row["report"] = report;
    jobs_.write(id_, row);
    ended_ = true;
}

}  // namespace jiphyeon
