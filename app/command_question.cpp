// search, ask, mask: what a reader does.
#include <iostream>
#include <iterator>

#include "commands.hpp"
#include "jiphyeon/pii.hpp"

namespace jiphyeon::app {
namespace {

using nlohmann::json;

std::string place_text(const json& source)
{
    std::string text = source.value("document", std::string());
    if (const int page = source.value("page", 0); page > 0)
        text += tr(", ", ", p. ") + std::to_string(page) + tr("쪽", "");
    if (const std::string section = source.value("section", std::string()); !section.empty())
        text += ", " + section;
    return text;
}

void show_hits(const json& reply)
{
    int n = 0;
    for (const json& hit : reply["hits"])
        std::cout << ++n << ". " << place_text(hit) << "\n   " << hit["text"].get<std::string>() << "\n";
    if (n == 0) std::cout << tr("찾은 것이 없습니다.", "Nothing found.") << "\n";
}

void show_answer(const json& reply)
{
    std::cout << reply["answer"].get<std::string>() << "\n\n";
    for (const json& evidence : reply["evidence"])
        if (evidence.value("cited", false))
            std::cout << "[" << evidence["n"] << "] " << place_text(evidence) << "\n";
    const json& receipt = reply["receipt"];
    std::cout << tr("영수증: 기록 ", "Receipt: leaf ") << receipt["leaf"] << tr(", 크기 ", ", size ")
              << receipt["size"] << ", root " << receipt["root"].get<std::string>() << "\n";
}

bool found_an_answer(const json& reply)
{
    const std::string outcome = reply.value("outcome", std::string());
    return outcome == "answered" || outcome == "partly_supported" || outcome == "conflicting";
}

struct QuestionOptions {
    std::string text, as_of, batch;
};

void add_question_options(CLI::App& command, Console& console, QuestionOptions& options)
{
    console.add_reader_options(command);
    command.add_option("TEXT", options.text);
    command.add_option("--as-of", options.as_of,
                       tr("이 날 시행 중인 판 기준 (2026-01-31)", "as in force on this day (2026-01-31)"));
    command.add_option(
        "--batch", options.batch,
        tr("JSON 줄 {id,text}의 파일, -는 표준 입력", "file of JSON lines {id,text}, - for standard input"));
}

void require_text(const QuestionOptions& options)
{
    if (options.text.empty() == options.batch.empty())
        throw CommandError(CommandError::Kind::usage,
                           tr("질문 하나 또는 --batch가 필요합니다.", "needs a text or --batch."), "TEXT");
}

json with_day(json params, const std::string& as_of)
{
    if (!as_of.empty()) params["as_of"] = as_of;
    return params;
}

void add_search(CLI::App& app, Console& console)
{
    CLI::App* command = app.add_subcommand(
        "search", tr("언어 모델 없이 근거만 찾는다", "find evidence, without a language model"));
    auto options = std::make_shared<QuestionOptions>();
    auto leg = std::make_shared<std::string>("hybrid");
    auto k = std::make_shared<unsigned>(10);
    add_question_options(*command, console, *options);
    command->add_option("--leg", *leg, "lexical, dense, hybrid")
        ->check(CLI::IsMember({"lexical", "dense", "hybrid"}));
    command->add_option("-k", *k, tr("개수", "how many"))->check(CLI::Range(1, 1000));
    command->callback([=, &console] {
        require_text(*options);
        const auto search = [&](const std::string& text, const std::string& as_of) {
            return console.call("search", with_day({{"text", text}, {"leg", *leg}, {"k", *k}}, as_of));
        };
        if (!options->batch.empty()) {
            for_each_line(options->batch, [&](const json& line) {
                return search(line.at("text").get<std::string>(), line.value("as_of", options->as_of));
            });
            return;
        }
        const json reply = search(options->text, options->as_of);
        if (reply["hits"].empty()) console.exit_code = kDoneWithRefusals;
        console.answer(reply, show_hits);
    });
}

void add_ask(CLI::App& app, Console& console)
{
    CLI::App* command =
        app.add_subcommand("ask", tr("질문에 근거를 밝혀 답한다", "answer a question with citations"));
    auto options = std::make_shared<QuestionOptions>();
    add_question_options(*command, console, *options);
    command->callback([=, &console] {
        require_text(*options);
        if (!options->batch.empty()) {
            for_each_line(options->batch, [&](const json& line) {
                const std::string text = line.contains("text") ? line["text"] : line.at("question");
                return console.call("ask",
                                    with_day({{"question", text}}, line.value("as_of", options->as_of)));
            });
            return;
        }
        const json reply = console.call("ask", with_day({{"question", options->text}}, options->as_of));
        if (!found_an_answer(reply)) console.exit_code = kDoneWithRefusals;
        console.answer(reply, show_answer);
    });
}

void add_mask(CLI::App& app, Console& console)
{
    CLI::App* command = app.add_subcommand(
        "mask", tr("개인정보가 어떻게 가려지는지 보여 준다", "show what would be hidden in a text"));
    console.add_output_options(*command);
    auto file = std::make_shared<std::string>();
    command->add_option("FILE", *file, tr("없으면 표준 입력", "standard input when left out"))
        ->check(CLI::ExistingFile);
    command->callback([=, &console] {
        const std::string text =
            file->empty() ? std::string{std::istreambuf_iterator<char>(std::cin), {}} : read_file(*file);
        json spans = json::array();
        for (const PiiSpan& span : find_pii(text))
            spans.push_back({{"start", span.start},
                             {"end", span.end},
                             {"type", pii_name(span.type)},
                             {"confidence", span.confidence},
                             {"masked", is_masked(span.type)}});
        console.answer({{"text", mask(text).text}, {"spans", spans}},
                       [](const json& reply) { std::cout << reply["text"].get<std::string>(); });
    });
}

}  // namespace

void add_question_commands(CLI::App& app, Console& console)
{
    add_search(app, console);
    add_ask(app, console);
    add_mask(app, console);
}

}  // namespace jiphyeon::app
