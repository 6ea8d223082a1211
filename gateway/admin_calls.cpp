// Running the archive and the machine.
#include <filesystem>
#include <functional>

#include "operator_log.hpp"
#include "service_state.hpp"

namespace jiphyeon {
namespace {

// Throws GatewayError bad_request. Paths are the owner's, so a relative one would mean another place than the
// caller thinks.
std::filesystem::path absolute_path(const std::string& text, const char* field)
{
    std::filesystem::path path(text);
    if (!path.is_absolute())
        throw GatewayError(GatewayError::Kind::bad_request, std::string(field) + ": an absolute path");
    return path;
}

Json check(const char* name, const std::function<std::string()>& problem)
{
    std::string detail;
    try {
        detail = problem();
    } catch (const std::exception& error) {
        detail = error.what();
    }
    return {{"name", name}, {"ok", detail.empty()}, {"detail", detail}};
}

}  // namespace

Json call_ingest(const Call& call)
{
    const std::optional<std::vector<std::string>> paths = call.fields.maybe_texts("paths");
    if (!paths || paths->empty()) throw GatewayError(GatewayError::Kind::bad_request, "paths: is missing");
    for (const std::string& path : *paths) absolute_path(path, "paths");
    Json params = call.params;
    if (const auto label = call.fields.maybe_text("label"); label && !label->empty())
        params["label"] = Label::parse(*label).to_text();

    Jobs::Run job(call.state.jobs, "ingest");
    const RecordId record = call.state.begin(call.caller, "ingest", params);
    const auto progress = [&](std::string_view event) {
        const Json object = parse_object(event);
        job.progress(object);
        if (call.on_event && !call.on_event(event)) job.stop() = true;
    };
    try {
        Json report = parse_object(call.state.parts.archive.ingest(print(params), progress, job.stop()));
        const bool stopped = report.value("stopped", false);
        const Receipt receipt = call.state.finish(
            record, call.state.facts(call.caller, "ingested", stopped ? "stopped" : "done"), report);
        Json summary = report;
        summary.erase("files");  // the journal holds them
        job.end(stopped ? "stopped" : "done", summary);
        report["receipt"] = to_json(receipt);
        report["job"] = job.id();
        return report;
    } catch (const AuditError&) {
        throw;
    } catch (const std::exception& error) {
        call.state.finish(record, call.state.facts(call.caller, "ingested", "failed"),
                          {{"error", error.what()}});
        throw;
    }
}

Json call_jobs(const Call& call)
{
    return {{"jobs", call.state.jobs.list()}};
}

Json call_stop_job(const Call& call)
{
    const std::string id = call.fields.text("id");
    const bool stopped = call.state.jobs.stop(id);
    if (!stopped) throw GatewayError(GatewayError::Kind::not_found, "그런 작업이 돌고 있지 않습니다.");
    call.state.note(call.caller, "job stopped", "granted", {"job:" + id});
    return {{"stopped", true}};
}

Json call_quarantine(const Call& call)
{
    return parse_object(call.state.parts.archive.quarantine_json());
}

Json call_status(const Call& call)
{
    const Scope scope = call.state.scope_of(call.caller.reader, std::nullopt);
    const ScopeStatistics statistics = call.state.parts.index.statistics(scope);
    const Admission::State queue = call.state.admission.state();
    const Label grade{call.caller.reader.clearance, call.caller.reader.departments};
    Json reply{{"documents", statistics.documents},
               {"chunks", statistics.chunks},
               {"embedded", statistics.embedded},
               {"generation", call.state.parts.index.generation()},
               {"queue", {{"asking", queue.asking}, {"waiting", queue.waiting}}},
               {"highest_label", grade.to_text()},
               {"job", nullptr},
               {"model", call.state.parts.model_sha256}};
    if (may_act(call.caller.roles, Act::read_status)) {
        reply["job"] = call.state.jobs.running();
        reply["sessions"] = call.state.sessions.size();
        reply["record"] = {{"size", call.state.parts.audit.size()}, {"open", !call.state.record_closed}};
    }
    return reply;
}

Json call_backup(const Call& call)
{
    const std::filesystem::path to = absolute_path(call.fields.text("to"), "to");
    if (std::filesystem::exists(to))
        throw GatewayError(GatewayError::Kind::conflict, "그 이름이 이미 있습니다.");
    const Receipt receipt = call.state.note(call.caller, "backup", "granted", {});
    std::filesystem::create_directories(to);
    call.state.parts.index.backup(to / "index");
    call.state.parts.audit.backup(to / "audit");  // after the index: no stored question without its record
    return {{"to", to.string()}, {"receipt", to_json(receipt)}};
}

Json call_models(const Call& call)
{
    return parse_object(call.state.parts.archive.models_json());
}

Json call_selftest(const Call& call)
{
    Json checks = Json::array();
    checks.push_back(check("crypto", [] {
        crypto::self_test();
        return std::string();
    }));
    checks.push_back(check("record", [&] {
        const AuditReport report = call.state.parts.audit.verify();
        return report.ok                 ? std::string()
               : report.problems.empty() ? "not sound"
                                         : report.problems.front().what;
    }));
    checks.push_back(check("index", [&] {
        const std::vector<std::string> problems = call.state.parts.index.check();
        return problems.empty() ? std::string() : problems.front();
    }));
    checks.push_back(check("models", [&] {
        for (const Json& model :
             parse_object(call.state.parts.archive.models_json()).value("models", Json::array()))
            if (!model.value("present", false)) return "missing: " + model.value("role", std::string());
        return std::string();
    }));
    bool ok = true;
    for (const Json& row : checks) ok = ok && row.at("ok").get<bool>();
    call.state.note(call.caller, "selftest", ok ? "passed" : "failed", {}, {{"checks", checks}});
    return {{"ok", ok}, {"checks", std::move(checks)}};
}

}  // namespace jiphyeon
