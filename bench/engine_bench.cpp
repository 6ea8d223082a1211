// Drives an engine for the benchmarks: reads requests as JSON lines, answers each with a JSON line.
//     {"op": "generate", "tokens": [...], "max_tokens": N}   or "text" instead of "tokens"
//     {"op": "tokenize", "text": "..."}       {"op": "logits", "tokens": [...]} -> float32, base64
//     {"op": "embed", "texts": [...]}
//     {"op": "together", "prompts": [[...], ...], "max_tokens": N}: one thread for each -> the time of them
//     all
// Usage: jiphyeon_engine_bench MODEL [THREADS [ISA [GUESS_TOKENS]]]
#include <chrono>
#include <cstdlib>
#include <future>
#include <iostream>
#include <nlohmann/json.hpp>

#include "jiphyeon/crypto.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace {

using nlohmann::json;

std::vector<jiphyeon::TokenId> tokens_of(const jiphyeon::Engine& engine, const json& request)
{
    if (request.contains("tokens")) return request["tokens"].get<std::vector<jiphyeon::TokenId>>();
    return engine.tokenizer().encode(request["text"].get<std::string>());
}

json together(jiphyeon::Engine& engine, const json& request)
{
    const auto prompts = request.at("prompts").get<std::vector<std::vector<jiphyeon::TokenId>>>();
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::future<void>> users;
    for (const auto& prompt : prompts) {
        users.push_back(std::async(std::launch::async, [&engine, &request, &prompt] {
            jiphyeon::GenerateRequest generate;
            generate.prompt = prompt;
            generate.max_tokens = request.value("max_tokens", 64u);
            generate.cache_domain = request.value("cache_domain", "");
            engine.generate(generate, {});
        }));
    }
    for (std::future<void>& user : users) user.get();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    return {{"ms", took.count()}};
}

json answer(jiphyeon::Engine& engine, const json& request)
{
    const auto op = request.at("op").get<std::string>();
    if (op == "tokenize") return {{"tokens", tokens_of(engine, request)}};
    if (op == "logits") {
        const std::vector<float> logits = engine.next_logits(tokens_of(engine, request), "");
        return {{"logits", jiphyeon::crypto::base64(
                               {reinterpret_cast<const char*>(logits.data()), logits.size() * 4})}};
    }
    if (op == "embed") {
        const auto texts = request.at("texts").get<std::vector<std::string>>();
        const auto start = std::chrono::steady_clock::now();
        const std::vector<float> vectors = engine.embed(texts);
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
        return {{"ms", took.count()},
                {"vectors", jiphyeon::crypto::base64(
                                {reinterpret_cast<const char*>(vectors.data()), vectors.size() * 4})}};
    }
    if (op == "together") return together(engine, request);
    jiphyeon::GenerateRequest generate;
    generate.prompt = tokens_of(engine, request);
    generate.max_tokens = request.value("max_tokens", 64u);
    generate.cache_domain = request.value("cache_domain", "");
    const jiphyeon::Generated out = engine.generate(generate, {});
    return {{"text", out.text},
            {"tokens", out.tokens},
            {"logits_hash", jiphyeon::crypto::hex(out.logits_hash)},
            {"prompt_tokens", out.prompt_tokens},
            {"cached_tokens", out.cached_tokens},
            {"prompt_ms", out.prompt_ms},
            {"steps", out.steps},
            {"decode_ms", out.decode_ms}};
}

}  // namespace

int main(int argc, char** argv)
try {
    if (argc < 2) {
        std::cerr << "usage: jiphyeon_engine_bench MODEL [THREADS [ISA [GUESS_TOKENS]]]\n";
        return 2;
    }
    jiphyeon::EngineOptions options;
    if (argc > 2) options.threads = static_cast<unsigned>(std::atoi(argv[2]));
    if (argc > 3) options.isa = jiphyeon::isa_from_name(argv[3]).value_or(jiphyeon::Isa::best);
    if (argc > 4) options.guess_tokens = static_cast<std::size_t>(std::atoi(argv[4]));
    const auto start = std::chrono::steady_clock::now();
    const auto engine = jiphyeon::open_engine(argv[1], options);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    std::cout << json{{"load_ms", took.count()}, {"memory_bytes", engine->info().memory.total()}}
              << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        std::cout << answer(*engine, json::parse(line)).dump(-1, ' ', false, json::error_handler_t::replace)
                  << std::endl;
    }
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
}
