// engine: the bare engine, for measuring and comparing; no data folder.
#include <iostream>

#include "commands.hpp"

namespace jiphyeon::app {
namespace {

using nlohmann::json;

struct EngineCommand {
    std::string model, prompt, batch, isa = "best";
    std::size_t max_tokens = 64, context = 4096;
    unsigned threads = 2;
    bool chat = false, special = false;
    float temperature = 0;
    std::uint64_t seed = 0;
};

std::unique_ptr<Engine> open(const EngineCommand& command)
{
    return open_engine(
        command.model,
        {.threads = command.threads, .isa = *isa_from_name(command.isa), .context_tokens = command.context});
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

json generate(const EngineCommand& command)
{
    const auto engine = open(command);
    GenerateRequest request;
    const std::vector<ChatTurn> turns{{"user", command.prompt}};
    request.prompt =
        command.chat ? engine->chat_prompt(turns) : engine->tokenizer().encode(command.prompt, true);
    request.max_tokens = command.max_tokens;
    request.sampling = {.temperature = command.temperature, .seed = command.seed};
    const Generated out = engine->generate(request, {});
    return {{"text", out.text},
            {"tokens", out.tokens},
            {"prompt_tokens", out.prompt_tokens},
            {"logits_hash", crypto::hex(out.logits_hash)},
            {"timings_ms", {{"prompt", out.prompt_ms}, {"decode", out.decode_ms}}}};
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

    CLI::App* generate_command = engine->add_subcommand("generate", tr("이어 쓰기", "continue a text"));
    add_model_options(*generate_command, console, *c);
    generate_command->add_option("--prompt", c->prompt)->required();
    generate_command->add_option("--max-tokens", c->max_tokens, tr("만들 토큰 수", "tokens to make"));
    generate_command->add_flag("--chat", c->chat, tr("모델의 대화 형식으로", "in the model's chat form"));
    generate_command->add_option("--temperature", c->temperature);
    generate_command->add_option("--seed", c->seed);
    generate_command->callback([=, &console] {
        console.answer(generate(*c),
                       [](const json& reply) { std::cout << reply["text"].get<std::string>() << "\n"; });
    });

    CLI::App* embed =
        engine->add_subcommand("embed", tr("벡터 (접두사는 그대로 쓴다)", "vectors; prefixes as given"));
    add_model_options(*embed, console, *c);
    embed->add_option("--prompt", c->prompt);
    embed->add_option("--batch", c->batch, tr("JSON 줄 {id,text}", "JSON lines {id,text}"));
    embed->callback([=, &console] {
        const auto opened = open(*c);
        run(console, *c, [&](const std::string& text) {
            return json{{"vectors", json::array({opened->embed(std::vector<std::string>{text})})}};
        });
    });

    CLI::App* tokenize = engine->add_subcommand("tokenize", tr("토큰 번호", "token ids"));
    add_model_options(*tokenize, console, *c);
    tokenize->add_option("--prompt", c->prompt);
    tokenize->add_option("--batch", c->batch, tr("JSON 줄 {id,text}", "JSON lines {id,text}"));
    tokenize->add_flag("--special", c->special, tr("앞뒤의 특수 토큰도", "with what the model puts around"));
    tokenize->callback([=, &console] {
        const auto tokenizer = open_tokenizer(c->model);
        run(console, *c, [&](const std::string& text) {
            return json{{"tokens", tokenizer->encode(text, c->special)}};
        });
    });
}

}  // namespace jiphyeon::app
