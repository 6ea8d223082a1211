// extract, ingest, documents, jobs, quarantine: from files to what can be found.
#include <iostream>
#include <set>

#include "archive.hpp"
#include "commands.hpp"

namespace jiphyeon::app {
namespace {

using nlohmann::json;

json block_json(const Block& block)
{
    json row{{"kind", block_kind_name(block.kind)}, {"text", block.text},   {"page", block.page},
             {"page_exact", block.page_exact},      {"level", block.level}, {"confidence", block.confidence}};
    const auto box_json = [](const std::optional<Box>& box) {
        return box ? json::array({box->left, box->top, box->right, box->bottom}) : json();
    };
    row["box"] = box_json(block.box);
    if (block.kind == BlockKind::table) {
        json grid = json::array();
        for (std::uint32_t r = 0; r < block.rows; ++r) grid.push_back(json::array());
        for (const Cell& cell : block.cells) {
            if (cell.row >= block.rows) continue;
            grid[cell.row].push_back({{"text", cell.text},
                                      {"row", cell.row},
                                      {"col", cell.col},
                                      {"rowspan", cell.rowspan},
                                      {"colspan", cell.colspan},
                                      {"header", cell.header}});
        }
        row["grid"] = grid;
    }
    return row;
}

json extraction_json(const Extraction& seen)
{
    json reply{{"format", ""}, {"title", ""}, {"pages", 0}, {"blocks", json::array()}, {"refused", json()}};
    if (seen.not_read) {
        reply["refused"] = {{"state", seen.not_read->refused ? "refused" : "quarantined"},
                            {"kind", seen.not_read->kind},
                            {"reason", seen.not_read->reason}};
        return reply;
    }
    const Document& document = *seen.document;
    reply["format"] = document.format;
    reply["title"] = document.title;
    reply["pages"] = document.pages;
    reply["warnings"] = document.warnings;
    for (const Block& block : document.blocks) reply["blocks"].push_back(block_json(block));
    reply["attachments"] = json::array();
    for (const Attachment& attachment : document.attachments) reply["attachments"].push_back(attachment.name);
    return reply;
}

void show_extraction(const json& reply)
{
    if (!reply["refused"].is_null()) {
        std::cout << tr("읽지 않음: ", "not read: ") << reply["refused"]["reason"].get<std::string>() << "\n";
        return;
    }
    std::cout << reply["title"].get<std::string>() << "  (" << reply["format"].get<std::string>() << ", "
              << reply["pages"] << tr("쪽", " pages") << ")\n\n";
    for (const json& block : reply["blocks"]) {
        if (const int page = block["page"]; page > 0) std::cout << "p." << page << " ";
        std::cout << "[" << block["kind"].get<std::string>() << "] " << block["text"].get<std::string>()
                  << "\n";
    }
}

void extract(Console& console, const std::string& file)
{
    Extractor extractor(extractor_options(1));
    const Extraction seen = extractor.extract(file, read_file(file));
    if (seen.not_read) console.exit_code = kDoneWithRefusals;
    console.answer(extraction_json(seen), show_extraction);
}

void show_report(const json& report)
{
    for (const json& file : report["files"]) {
        const std::string state = file["state"];
        if (state == "refused" || state == "quarantined")
            std::cout << (state == "refused" ? tr("거부  ", "refused     ") : tr("격리  ", "quarantined "))
                      << file["path"].get<std::string>() << ": " << file["reason"].get<std::string>() << "\n";
    }
    std::cout << tr("색인 ", "indexed ") << report["indexed"] << tr(" · 그대로 ", " · unchanged ")
              << report["unchanged"] << tr(" · 거부 ", " · refused ") << report["refused"]
              << tr(" · 격리 ", " · quarantined ") << report["quarantined"] << "  |  " << report["pages"]
              << tr("쪽, ", " pages, ") << report["chunks"] << tr("개 조각, ", " chunks, ")
              << duration_text(report["seconds"].get<double>()) << "\n";
    if (report.value("stopped", false))
        std::cout << tr("중간에 멈췄습니다. 같은 명령으로 이어집니다.", "Stopped; the same command goes on.")
                  << "\n";
}

void ingest(Console& console, const std::vector<std::string>& paths, const std::string& label, bool retry)
{
    json params{{"paths", json::array()}, {"retry", retry}};
    for (const std::string& path : paths) params["paths"].push_back(absolute_path(path));
    if (!label.empty()) params["label"] = Label::parse(label).to_text();
    ProgressLine line(console.json);
    const json report = console.call("ingest", params, [&](std::string_view event) {
        line.show(json::parse(event));
        return true;
    });
    if (report["refused"].get<int>() + report["quarantined"].get<int>() > 0)
        console.exit_code = kDoneWithRefusals;
    console.answer(report, show_report);
}

void show_documents(const json& reply)
{
    std::vector<std::vector<std::string>> rows{
        {tr("문서", "document"), tr("제목", "title"), tr("형식", "format"), tr("판", "version"),
         tr("등급", "label"), tr("상태", "state"), tr("쪽", "pages"), tr("조각", "chunks")}};
    for (const json& d : reply["documents"])
        rows.push_back({d["id"], d["title"], d["format"], d["version"].dump(), d["label"], d["state"],
                        d["pages"].dump(), d["chunks"].dump()});
    print_table(rows);
}

void show_receipt(const json& reply)
{
    std::cout << tr("기록되었습니다. 영수증: ", "Recorded. Receipt: ") << reply["receipt"].dump() << "\n";
}

// A subcommand that takes its parent's options as well, before or after its own name.
CLI::App* add_part(CLI::App& parent, const char* name, const std::string& help)
{
    CLI::App* part = parent.add_subcommand(name, help);
    part->fallthrough();
    part->footer(tr("옵션: ", "options: ") + parent.get_name() + " --help");
    return part;
}

void add_documents(CLI::App& app, Console& console)
{
    CLI::App* documents =
        app.add_subcommand("documents", tr("문서 목록, 내용, 회수", "list, show and withdraw documents"));
    documents->require_subcommand(0, 1);
    console.add_reader_options(*documents);
    auto id = std::make_shared<std::string>();

    add_part(*documents, "list", tr("목록", "list"));
    CLI::App* show = add_part(*documents, "show", tr("한 문서와 그 판들", "one document and its versions"));
    show->add_option("ID", *id)->required();
    CLI::App* withdraw =
        add_part(*documents, "withdraw",
                 tr("회수: 보존하되 더는 찾아지지 않음", "withdraw: kept, but found no longer"));
    withdraw->add_option("ID", *id)->required();

    documents->callback([show, withdraw, id, &console] {
        if (*show)
            console.answer(console.call("document", {{"id", *id}}),
                           [](const json& reply) { std::cout << reply.dump(2) << "\n"; });
        else if (*withdraw)
            console.answer(console.call("withdraw", {{"id", *id}}), show_receipt);
        else
            console.answer(console.call("documents", json::object()), show_documents);
    });
}

void add_jobs(CLI::App& app, Console& console)
{
    CLI::App* jobs =
        app.add_subcommand("jobs", tr("진행 중인 작업 보기와 멈추기", "running jobs: list, stop"));
    jobs->require_subcommand(0, 1);
    console.add_reader_options(*jobs);
    auto id = std::make_shared<std::string>();
    CLI::App* stop =
        add_part(*jobs, "stop", tr("멈추기: 같은 ingest 명령으로 이어진다", "stop; the same ingest goes on"));
    stop->add_option("ID", *id)->required();
    jobs->callback([stop, id, &console] {
        if (*stop) {
            console.answer(console.call("stop_job", {{"id", *id}}),
                           [](const json&) { std::cout << tr("멈추는 중입니다.", "Stopping.") << "\n"; });
            return;
        }
        console.answer(console.call("jobs", json::object()), [](const json& reply) {
            std::vector<std::vector<std::string>> rows{
                {"ID", tr("작업", "job"), tr("상태", "state"), tr("시작", "started")}};
            for (const json& job : reply["jobs"])
                rows.push_back(
                    {job["id"].is_string() ? job["id"].get<std::string>() : job["id"].dump(), job["kind"],
                     job["state"],
                     job["started"].is_string() ? job["started"].get<std::string>() : job["started"].dump()});
            print_table(rows);
        });
    });
}

void add_quarantine(CLI::App& app, Console& console)
{
    CLI::App* quarantine = app.add_subcommand(
        "quarantine", tr("읽지 못한 파일 보기와 다시 시도", "files that could not be read: list, retry"));
    quarantine->require_subcommand(0, 1);
    console.add_reader_options(*quarantine);
    auto label = std::make_shared<std::string>();
    CLI::App* retry = add_part(*quarantine, "retry", tr("모두 다시 시도", "try all of them again"));
    retry->add_option("--label", *label, tr("등급", "label"));
    quarantine->callback([retry, label, &console] {
        const json found = console.call("quarantine", json::object());
        if (!*retry) {
            console.answer(found, [](const json& reply) {
                for (const json& file : reply["files"])
                    std::cout << file["path"].get<std::string>() << ": " << file["reason"].get<std::string>()
                              << "\n";
                if (reply["files"].empty())
                    std::cout << tr("격리된 파일이 없습니다.", "Nothing in quarantine.") << "\n";
            });
            return;
        }
        std::set<std::string> files;  // a member of an archive is tried again with its archive
        for (const json& file : found["files"]) {
            const std::string path = file["path"];
            files.insert(path.substr(0, path.find("!/")));
        }
        if (files.empty())
            console.answer(json::parse(report_json({})), show_report);
        else
            ingest(console, {files.begin(), files.end()}, *label, true);
    });
}

}  // namespace

void add_archive_commands(CLI::App& app, Console& console)
{
    CLI::App* extract_command =
        app.add_subcommand("extract", tr("파일 하나에서 읽히는 것을 보여 준다 (저장하지 않음)",
                                         "show what is seen in one file, storing nothing"));
    console.add_output_options(*extract_command);
    auto file = std::make_shared<std::string>();
    extract_command->add_option("FILE", *file)->required()->check(CLI::ExistingFile);
    extract_command->callback([file, &console] { extract(console, *file); });

    CLI::App* ingest_command =
        app.add_subcommand("ingest", tr("파일·폴더·압축파일·.jsonl 말뭉치를 색인한다",
                                        "index files, folders, archives or .jsonl corpora"));
    console.add_reader_options(*ingest_command);
    auto paths = std::make_shared<std::vector<std::string>>();
    auto label = std::make_shared<std::string>();
    auto retry = std::make_shared<bool>(false);
    ingest_command->add_option("PATH", *paths)->required();
    ingest_command->add_option(
        "--label", *label,
        tr("등급, 예: public, internal, restricted:감사관 (없으면 폴더의 .label)",
           "label, e.g. public, internal, restricted:감사관 (else the folder's .label)"));
    ingest_command->add_flag("--retry", *retry, tr("격리된 파일도 다시", "quarantined files as well"));
    ingest_command->callback([=, &console] { ingest(console, *paths, *label, *retry); });

    add_documents(app, console);
    add_jobs(app, console);
    add_quarantine(app, console);
}

}  // namespace jiphyeon::app
