#include <algorithm>
#include <csignal>
#include <iostream>

#include "commands.hpp"
#include "jiphyeon/ingest.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "jiphyeon/sandbox.hpp"

namespace {

using namespace jiphyeon;
using namespace jiphyeon::app;

nlohmann::json error_object(const std::exception& error)
{
    if (const auto* failed = dynamic_cast<const CallFailed*>(&error))
        return nlohmann::json::parse(failed->what());
    if (const auto* ours = dynamic_cast<const CommandError*>(&error)) {
        static constexpr const char* kNames[] = {"usage", "config", "data_folder", "busy", "not_done"};
        return {{"error",
                 {{"kind", kNames[static_cast<int>(ours->kind)]},
                  {"message", ours->what()},
                  {"where", ours->where}}}};
    }
    return nlohmann::json::parse(error_json(error));
}

bool is_wrong_use(const nlohmann::json& object)
{
    const std::string kind = object["error"].value("kind", std::string());
    return kind == "usage" || kind == "bad_request";
}

int report(const std::exception& error, bool json)
{
    const nlohmann::json object = error_object(error);
    if (json) {
        std::cout << object.dump() << std::endl;
    } else {
        const auto& e = object["error"];
        std::cerr << tr("오류: ", "error: ") << e.value("message", std::string());
        if (const std::string where = e.value("where", std::string()); !where.empty())
            std::cerr << "\n  " << where;
        std::cerr << std::endl;
    }
    return is_wrong_use(object) ? kWrongUse : kFailed;
}

// Also where the command line could not be read as far as --json.
bool asks_for_json(int argc, char** argv)
{
    return std::any_of(argv + 1, argv + argc, [](std::string_view word) { return word == "--json"; });
}

// The children's side of Extractor and spawn_engine; not for people.
int run_worker(const std::string& kind)
{
    if (kind == "parse") return serve_parser(kWorkerFd);
    if (kind == "engine") return serve_engine(kWorkerFd);
    return kWrongUse;
}

}  // namespace

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && std::string_view(argv[1]) == "worker") return run_worker(argv[2]);

    Language::choose(argc, argv);
    Console console;
    CLI::App app(
        tr("집현: 기관의 문서에서 근거를 밝혀 답하고, 그 기록을 증명합니다.",
           "Jiphyeon: answers from an agency's own documents, with evidence, and proves the record."),
        "jiphyeon");
    app.set_version_flag("--version", JIPHYEON_VERSION);
    app.set_help_flag("-h,--help", tr("도움말", "help"));
    app.add_option("--lang", console.language, tr("언어: ko, en", "language: ko, en"))
        ->check(CLI::IsMember({"ko", "en"}));
    app.require_subcommand(1);
    // Before any command does its work; help needs no cryptography.
    app.parse_complete_callback([] { crypto::self_test(); });
    add_setup_commands(app, console);
    add_archive_commands(app, console);
    add_question_commands(app, console);
    add_account_commands(app, console);
    add_audit_commands(app, console);
    add_engine_commands(app, console);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
        return report(CommandError(CommandError::Kind::usage, e.what(), "jiphyeon --help"),
                      asks_for_json(argc, argv));
    } catch (const std::exception& e) {
        return report(e, console.json);
    }
    return console.exit_code;
}
