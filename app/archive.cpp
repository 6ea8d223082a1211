#include "archive.hpp"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "models.hpp"

namespace jiphyeon::app {
namespace {

using nlohmann::json;

constexpr unsigned kPageDpi = 110;  // a page about 900 pixels wide: readable, and small enough to send

json outcomes(const std::vector<FileOutcome>& files)
{
    json list = json::array();
    for (const FileOutcome& file : files)
        list.push_back({{"path", file.path},
                        {"state", file_state_name(file.state)},
                        {"reason", file.reason},
                        {"document_id", file.document_id}});
    return list;
}

json progress_json(const IngestProgress& p)
{
    json event{{"event", "progress"},          {"files_done", p.files_done}, {"files_total", p.files_total},
               {"pages_done", p.pages_done},   {"embedded", p.embedded},     {"to_embed", p.to_embed},
               {"files_per_s", p.files_per_s}, {"current", p.current}};
    event["seconds_left"] = p.seconds_left ? json(*p.seconds_left) : json();
    return event;
}

// Gateway's callers know nothing of parsers: what they did wrong keeps its words, the rest stays in the
// operator's log.
GatewayError gateway_error(const IngestError& error)
{
    switch (error.kind) {
        case IngestError::Kind::bad_request:
            return {GatewayError::Kind::bad_request, error.what()};
        case IngestError::Kind::worker:
            return {GatewayError::Kind::unavailable, error.what()};
        case IngestError::Kind::io:
            break;
    }
    return {GatewayError::Kind::io, error.what()};
}

class LocalArchive : public Archive {
public:
    LocalArchive(Index& index, Extractor& extractor, Ingest& ingest, const Config& config)
        : index_(index), extractor_(extractor), ingest_(ingest), config_(config)
    {
    }

    std::string ingest(std::string_view params_json, const std::function<void(std::string_view)>& progress,
                       const std::atomic<bool>& stop) override
    {
        const json params = json::parse(params_json);
        std::vector<std::filesystem::path> paths;
        for (const json& path : params.at("paths")) paths.emplace_back(path.get<std::string>());
        const RunOptions options{.label = params.value("label", std::string()),
                                 .embed = params.value("embed", true),
                                 .retry = params.value("retry", false)};
        const std::lock_guard one_run_at_a_time(running_);
        const auto tell = [&](const IngestProgress& p) {
            if (progress) progress(progress_json(p).dump());
        };
        try {
            return report_json(ingest_.run(paths, options, tell, &stop));
        } catch (const IngestError& error) {
            throw gateway_error(error);
        }
    }

    std::string quarantine_json() const override
    {
        return json{{"files", outcomes(ingest_.quarantine())}}.dump();
    }

    std::optional<std::string> page_image(const DocumentRecord& document, std::uint32_t page) override
    {
        try {
            return painted_page(document, page);
        } catch (const IngestError& error) {
            // The view is ours, so that one that cannot be read is no fault of the caller.
            throw GatewayError(GatewayError::Kind::io, error.what());
        }
    }

    std::string models_json() const override { return app::models_json(config_); }

private:
    std::optional<std::string> painted_page(const DocumentRecord& document, std::uint32_t page)
    {
        const std::optional<std::string> view = index_.view(document.id);
        const std::optional<std::string> original = index_.original(document.id);
        if (!view || !original) return std::nullopt;
        const Document seen = Document::from_json(*view);
        for (const std::uint32_t without : {page, std::uint32_t{0}})  // 0: none of its pages can be shown
            if (std::find(seen.hidden_pages.begin(), seen.hidden_pages.end(), without) !=
                seen.hidden_pages.end())
                return std::nullopt;
        std::vector<Box> hidden;
        for (const Box& box : seen.hidden)
            if (box.page == page) hidden.push_back(box);
        return extractor_.render_page(*original, page, kPageDpi, hidden);
    }

    Index& index_;
    Extractor& extractor_;
    Ingest& ingest_;
    const Config& config_;
    std::mutex running_;
};

}  // namespace

std::unique_ptr<Archive> make_archive(Index& index, Extractor& extractor, Ingest& ingest,
                                      const Config& config)
{
    return std::make_unique<LocalArchive>(index, extractor, ingest, config);
}

std::string report_json(const IngestReport& report)
{
    return json{{"indexed", report.indexed},      {"unchanged", report.unchanged},
                {"refused", report.refused},      {"quarantined", report.quarantined},
                {"pages", report.pages},          {"chunks", report.chunks},
                {"seconds", report.seconds},      {"stopped", report.stopped},
                {"files", outcomes(report.files)}}
        .dump();
}

}  // namespace jiphyeon::app
