// engine: the bare engine, for measuring, comparing and making model files; no data folder.
#include <iomanip>
#include <iostream>
#include <tuple>

#include "commands.hpp"
#include "models.hpp"

namespace jiphyeon::app {
namespace {

using nlohmann::json;

struct EngineCommand {
    std::string model, prompt, query, batch, text, isa = "best", kv = "f16";
    std::size_t max_tokens = 64, context = 4096;
    unsigned threads = 2;
    bool chat = false, special = false;
    float temperature = 0;
    std::uint64_t seed = 0;
    std::vector<std::string> adapters, evidence;
    std::string quote_marks = "“”";
    float adapter_scale = 1;
};

EngineOptions options_of(const EngineCommand& command)
{
    EngineOptions options{.threads = command.threads,
                          .isa = *isa_from_name(command.isa),
                          .context_tokens = command.context,
                          .kv = *kv_type_from_name(command.kv)};
    for (const std::string& adapter : command.adapters)
        options.adapters.push_back({.file = adapter, .scale = command.adapter_scale});
    return options;
}

CommandError not_opened(const EngineError& error, const std::string& model)
{
    return {CommandError::Kind::not_done,
            tr("모델을 열지 못했습니다: ", "the model was not opened: ") + error.what(), model};
}

std::unique_ptr<Engine> open(const EngineCommand& command)
{
    try {
        const EngineOptions options = options_of(command);
        return open_explained(command.model, options, [&] { return open_engine(command.model, options); });
    } catch (const EngineError& error) {
        throw not_opened(error, command.model);
    }
}

// The whole of an engine command's work. What the engine says against it concerns only whoever typed it: it
// is told in the engine's words, without an incident.
template <typename Work>
auto told(const EngineCommand& command, const Work& work)
{
    try {
        return work();
    } catch (const EngineError& error) {
        if (error.kind == EngineError::Kind::bad_request || error.kind == EngineError::Kind::too_large)
            throw CommandError(CommandError::Kind::usage,
                               tr("요청대로 할 수 없습니다: ", "that cannot be done: ") + error.what(),
                               command.model);
        throw CommandError(CommandError::Kind::not_done,
                           tr("모델이 하지 못했습니다: ", "the model did not do it: ") + error.what(),
                           command.model);
    }
}

json inspect(const EngineCommand& command)
{
    try {
        const ModelInfo info = inspect_model(command.model, options_of(command));
        const std::uint64_t available = available_memory();
        json reply = model_json(info);
        reply["sha256"] = crypto::hex(info.sha256);
        reply["available_bytes"] = available;
        reply["fits"] = info.memory.total() <= available;
        return reply;
    } catch (const EngineError& error) {
        throw not_opened(error, command.model);
    }
}

void show_inspected(const json& reply)
{
    const auto text = [&](const char* field) { return reply[field].get<std::string>(); };
    const json& memory = reply["memory"];
    std::cout << text("name") << "  " << text("architecture") << "  " << text("quantization")
              << tr("  문맥 ", "  context ") << reply["context_tokens"]
              << tr("  키와 값 ", "  keys and values ") << text("kv") << "\nSHA-256 " << text("sha256")
              << tr("\n필요한 메모리 ", "\nmemory needed ")
              << need_text({.weights = memory["weights"], .caches = memory["caches"], .work = memory["work"]})
              << tr(", 쓸 수 있는 메모리 ", ", available ")
              << size_text(reply["available_bytes"].get<std::uint64_t>()) << "\n";
    for (const json& adapter : reply["adapters"])
        std::cout << tr("어댑터 ", "adapter ") << adapter["name"].get<std::string>() << "  SHA-256 "
                  << adapter["sha256"].get<std::string>() << "\n";
    if (!reply["fits"].get<bool>())
        std::cout << tr("메모리가 모자랍니다. ", "That does not fit. ") << way_out_text() << "\n";
}

void add_model_options(CLI::App& app, Console& console, EngineCommand& command)
{
    console.add_output_options(app);
    app.add_option("--model", command.model, "GGUF")->required()->check(CLI::ExistingFile);
    app.add_option("--threads", command.threads, tr("스레드 수", "threads"))->check(CLI::Range(1, 256));
    app.add_option("--isa", command.isa, "best, scalar, avx2, avx512, amx")
        ->check(CLI::IsMember({"best", "scalar", "avx2", "avx512", "amx"}));
    app.add_option("--context", command.context, tr("문맥의 토큰 수", "context in tokens"));
}

// Of commands that generate; the pages of other models live for one step.
void add_kv_option(CLI::App& app, EngineCommand& command)
{
    app.add_option("--kv", command.kv,
                   tr("키와 값: f16, 또는 메모리를 절반 남짓 쓰는 q8",
                      "keys and values: f16, or q8 in little more than half the memory"))
        ->check(CLI::IsMember({"f16", "q8"}));
}

void add_adapted_model_options(CLI::App& app, Console& console, EngineCommand& command)
{
    add_model_options(app, console, command);
    app.add_option("--adapter", command.adapters,
                   tr("LoRA 어댑터 GGUF, 여럿도 된다", "LoRA adapter, GGUF; any number"))
        ->check(CLI::ExistingFile);
    app.add_option("--adapter-scale", command.adapter_scale,
                   tr("어댑터를 더하는 정도", "how much of the adapters is added"));
}

// The marks of --quote-marks: two characters, the opening and the closing one.
std::pair<std::string, std::string> marks_of(const std::string& marks)
{
    std::size_t second = 1;
    while (second < marks.size() && (static_cast<unsigned char>(marks[second]) & 0xC0) == 0x80) ++second;
    return {marks.substr(0, second), marks.substr(std::min(second, marks.size()))};
}

json quotes_json(const EngineCommand& command, const Generated& out)
{
    json quotes = json::array();
    for (const Quote& quote : out.quotes)
        quotes.push_back({{"text", out.text.substr(quote.start, quote.end - quote.start)},
                          {"start", quote.start},
                          {"file", command.evidence[quote.passage]},
                          {"file_start", quote.passage_start}});
    return quotes;
}

json generate(const EngineCommand& command)
{
    const auto engine = open(command);
    GenerateRequest request;
    const std::vector<ChatTurn> turns{{"user", command.prompt}};
    request.prompt =
        command.chat ? engine->chat_prompt(turns) : engine->tokenizer().encode(command.prompt, true);
    request.max_tokens = command.max_tokens;
    request.sampling = {.temperature = command.temperature, .seed = command.seed};
    for (const std::string& file : command.evidence) request.quoting.passages.push_back(read_file(file));
    std::tie(request.quoting.open, request.quoting.close) = marks_of(command.quote_marks);
    const Generated out = engine->generate(request, {});
    json reply = {{"text", out.text},
                  {"tokens", out.tokens},
                  {"prompt_tokens", out.prompt_tokens},
                  {"logits_hash", crypto::hex(out.logits_hash)},
                  {"timings_ms", {{"prompt", out.prompt_ms}, {"decode", out.decode_ms}}}};
    if (!command.evidence.empty()) reply["quotes"] = quotes_json(command, out);
    return reply;
}

struct QuantizeCommand {
    std::string in, out, type;
    unsigned threads = 2;
    bool force = false;
};

json quantize(const QuantizeCommand& command, bool quiet)
{
    std::error_code none;
    if (!command.force && std::filesystem::exists(command.out, none))
        throw CommandError(CommandError::Kind::usage,
                           tr("파일이 이미 있습니다. 덮어쓰려면 --force를 주십시오.",
                              "the file is there already; --force writes over it."),
                           command.out);
    ProgressLine line(quiet);
    QuantizeOptions options{
        .type = command.type, .threads = command.threads, .replace = command.force, .on_progress = {}};
    options.on_progress = [&](std::string_view tensor, std::uint64_t done, std::uint64_t total) {
        line.show(total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1,
                  std::string(tensor));
    };
    try {
        const QuantizeReport report = quantize_model(command.in, command.out, options);
        return {{"file", command.out},
                {"type", command.type},
                {"sha256", crypto::hex(hash_model(command.out))},
                {"bytes_before", report.bytes_before},
                {"bytes_after", report.bytes_after},
                {"converted", report.converted},
                {"converted_twice", report.converted_twice},
                {"other_type", report.other_type}};
    } catch (const EngineError& error) {
        throw CommandError(
            CommandError::Kind::not_done,
            tr("모델 파일을 바꾸지 못했습니다: ", "the model file was not converted: ") + error.what(),
            command.in);
    }
}

void show_quantized(const json& reply)
{
    const auto mebibytes = [&](const char* field) {
        return std::to_string(reply[field].get<std::uint64_t>() >> 20) + " MiB";
    };
    std::cout << reply["file"].get<std::string>() << ": " << reply["type"].get<std::string>()
              << tr(", 행렬 ", ", matrices ") << reply["converted"] << "  |  " << mebibytes("bytes_before")
              << " → " << mebibytes("bytes_after") << "\nSHA-256 " << reply["sha256"].get<std::string>()
              << "\n";
    if (reply["converted_twice"] != 0)
        std::cout << tr("이미 양자화된 행렬이 있어 품질이 더 떨어집니다: ",
                        "quantised before, and so of less quality than from the original: ")
                  << reply["converted_twice"] << "\n";
    if (!reply["other_type"].empty())
        std::cout << tr("행의 길이가 맞지 않아 Q8_0이나 F16으로 쓴 행렬: ",
                        "in Q8_0 or F16, as rows are no whole blocks: ")
                  << reply["other_type"].size() << "\n";
}

json perplexity(const EngineCommand& command, bool quiet)
{
    ProgressLine line(quiet);
    PerplexityOptions options{.threads = command.threads,
                              .isa = *isa_from_name(command.isa),
                              .context_tokens = command.context,
                              .kv = *kv_type_from_name(command.kv),
                              .on_progress = {}};
    options.on_progress = [&](std::size_t done, std::size_t total) {
        line.show(static_cast<double>(done) / static_cast<double>(total),
                  std::to_string(done) + "/" + std::to_string(total));
    };
    try {
        const Perplexity measured = measure_perplexity(command.model, read_file(command.text), options);
        return {{"perplexity", measured.value},
                {"standard_error", measured.standard_error},
                {"tokens", measured.tokens},
                {"scored", measured.scored},
                {"context", command.context}};
    } catch (const EngineError& error) {
        throw CommandError(CommandError::Kind::not_done,
                           tr("재지 못했습니다: ", "nothing was measured: ") + error.what(),
                           error.kind == EngineError::Kind::bad_request ? command.text : command.model);
    }
}

void show_perplexity(const json& reply)
{
    std::cout << std::fixed << std::setprecision(4) << reply["perplexity"].get<double>() << " ± "
              << reply["standard_error"].get<double>() << "  |  " << tr("토큰 ", "tokens ") << reply["tokens"]
              << tr(", 그중 잰 것 ", ", of these scored ") << reply["scored"] << "\n";
}

// One line of a batch: the text is under "text"; the reply is `one`'s.
void run(Console& console, const EngineCommand& command, const std::function<json(const std::string&)>& one)
{
    if (command.prompt.empty() == command.batch.empty())
        throw CommandError(CommandError::Kind::usage,
                           tr("--prompt 또는 --batch가 필요합니다.", "needs --prompt or --batch."),
                           "--prompt");
    if (!command.batch.empty())
        for_each_line(command.batch,
                      [&](const json& line) { return one(line.at("text").get<std::string>()); });
    else
        console.answer(one(command.prompt), [](const json& reply) { std::cout << reply.dump() << "\n"; });
}

}  // namespace

void add_engine_commands(CLI::App& app, Console& console)
{
    CLI::App* engine = app.add_subcommand("engine", tr("엔진만 따로 실행", "the bare engine"));
    engine->require_subcommand(1);
    auto c = std::make_shared<EngineCommand>();

    CLI::App* inspect_command = engine->add_subcommand(
        "inspect", tr("모델이 무엇이고 메모리가 얼마나 필요한지", "what a model is and the memory it needs"));
    add_adapted_model_options(*inspect_command, console, *c);
    add_kv_option(*inspect_command, *c);
    inspect_command->callback([=, &console] {
        const json reply = inspect(*c);
        if (!reply["fits"].get<bool>()) console.exit_code = kDoneWithRefusals;
        console.answer(reply, show_inspected);
    });

    CLI::App* generate_command = engine->add_subcommand("generate", tr("이어 쓰기", "continue a text"));
    add_adapted_model_options(*generate_command, console, *c);
    add_kv_option(*generate_command, *c);
    generate_command->add_option("--prompt", c->prompt)->required();
    generate_command->add_option("--max-tokens", c->max_tokens, tr("만들 토큰 수", "tokens to make"));
    generate_command->add_flag("--chat", c->chat, tr("모델의 대화 형식으로", "in the model's chat form"));
    generate_command->add_option("--temperature", c->temperature);
    generate_command->add_option("--seed", c->seed);
    generate_command
        ->add_option("--evidence", c->evidence,
                     tr("따옴표 안에는 이 UTF-8 글 파일에 있는 말만 그대로 쓴다, 여럿도 된다",
                        "quotation marks hold only words of this UTF-8 text file, verbatim; any number"))
        ->check(CLI::ExistingFile);
    generate_command->add_option("--quote-marks", c->quote_marks,
                                 tr("여는 따옴표와 닫는 따옴표 (기본 “”)", "opening and closing mark (“”)"));
    generate_command->callback([=, &console] {
        console.answer(told(*c, [&] { return generate(*c); }),
                       [](const json& reply) { std::cout << reply["text"].get<std::string>() << "\n"; });
    });

    CLI::App* embed =
        engine->add_subcommand("embed", tr("벡터 (접두사는 그대로 쓴다)", "vectors; prefixes as given"));
    add_adapted_model_options(*embed, console, *c);
    embed->add_option("--prompt", c->prompt);
    embed->add_option("--batch", c->batch, tr("JSON 줄 {id,text}", "JSON lines {id,text}"));
    embed->callback([=, &console] {
        told(*c, [&] {
            const auto opened = open(*c);
            run(console, *c, [&](const std::string& text) {
                return json{{"vectors", json::array({opened->embed(std::vector<std::string>{text})})}};
            });
        });
    });

    CLI::App* rerank =
        engine->add_subcommand("rerank", tr("질문에 대한 글의 점수", "scores of passages for a query"));
    add_adapted_model_options(*rerank, console, *c);
    rerank->add_option("--query", c->query, tr("질문", "the query"))->required();
    rerank->add_option("--prompt", c->prompt);
    rerank->add_option("--batch", c->batch, tr("JSON 줄 {id,text}", "JSON lines {id,text}"));
    rerank->callback([=, &console] {
        told(*c, [&] {
            const auto opened = open(*c);
            run(console, *c, [&](const std::string& text) {
                return json{{"score", opened->rerank(c->query, std::vector<std::string>{text}).front()}};
            });
        });
    });

    CLI::App* tokenize = engine->add_subcommand("tokenize", tr("토큰 번호", "token ids"));
    add_adapted_model_options(*tokenize, console, *c);
    tokenize->add_option("--prompt", c->prompt);
    tokenize->add_option("--batch", c->batch, tr("JSON 줄 {id,text}", "JSON lines {id,text}"));
    tokenize->add_flag("--special", c->special, tr("앞뒤의 특수 토큰도", "with what the model puts around"));
    tokenize->callback([=, &console] {
        told(*c, [&] {
            const auto tokenizer = open_tokenizer(c->model);
            run(console, *c, [&](const std::string& text) {
                return json{{"tokens", tokenizer->encode(text, c->special)}};
            });
        });
    });

    auto p = std::make_shared<EngineCommand>();
    p->context = PerplexityOptions{}.context_tokens;
    CLI::App* perplexity_command = engine->add_subcommand(
        "perplexity", tr("모델이 글을 얼마나 예상하지 못하는지", "how little a model expects a text"));
    add_model_options(*perplexity_command, console, *p);
    add_kv_option(*perplexity_command, *p);
    perplexity_command->add_option("--text", p->text, tr("UTF-8 글 파일", "a text file in UTF-8"))
        ->required()
        ->check(CLI::ExistingFile);
    perplexity_command->callback(
        [=, &console] { console.answer(perplexity(*p, console.json), show_perplexity); });

    auto q = std::make_shared<QuantizeCommand>();
    CLI::App* quantize_command = engine->add_subcommand(
        "quantize", tr("모델 파일을 더 작은 형식으로", "a model file in a smaller type"));
    console.add_output_options(*quantize_command);
    quantize_command->add_option("IN", q->in, tr("원래 GGUF", "the GGUF file"))
        ->required()
        ->check(CLI::ExistingFile);
    quantize_command->add_option("OUT", q->out, tr("새 GGUF", "the new GGUF file"))->required();
    quantize_command->add_option("--type", q->type, tr("행렬의 형식", "type of the matrices"))
        ->required()
        ->check(CLI::IsMember(quantized_types()));
    quantize_command->add_option("--threads", q->threads, tr("스레드 수", "threads"))
        ->check(CLI::Range(1, 256));
    quantize_command->add_flag("--force", q->force, tr("있는 파일을 덮어쓴다", "write over a file"));
    quantize_command->callback([=, &console] { console.answer(quantize(*q, console.json), show_quantized); });
}

}  // namespace jiphyeon::app
