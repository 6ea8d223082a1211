// Drives an engine for the benchmarks: reads requests as JSON lines, answers each with a JSON line.
//     {"op": "generate", "tokens": [...], "max_tokens": N}   or "text" instead of "tokens"
//     {"op": "tokenize", "text": "..."}       {"op": "logits", "tokens": [...]} -> float32, base64
//     {"op": "embed", "texts": [...]}
//     {"op": "together", "prompts": [[...], ...], "max_tokens": N}: one thread for each -> the time of them
//     all
//     {"op": "perplexity", "text": "...", "context": N}
//     {"op": "limits"}: what the machine gives plain loops, of bytes read and of integer operations a second
// Usage: jiphyeon_engine_bench MODEL [THREADS [ISA [GUESS_TOKENS [ADAPTER, or "" [CACHE_MIB [DISK_MIB
// FOLDER]]]]]]
//        jiphyeon_engine_bench quantize MODEL OUT TYPE
#include <immintrin.h>

#include <algorithm>
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

// The arguments that the engine was opened with.
struct Opened {
    std::string model;
    jiphyeon::EngineOptions options;
};

// Seconds that `threads` threads take for body(thread), the best of some runs.
template <typename Body>
double best_seconds(unsigned threads, const Body& body)
{
    double best = 1e9;
    for (int run = 0; run < 5; ++run) {
        const auto start = std::chrono::steady_clock::now();
        std::vector<std::future<void>> all;
        for (unsigned t = 0; t < threads; ++t) all.push_back(std::async(std::launch::async, body, t));
        for (std::future<void>& one : all) one.get();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        best = std::min(best, took.count());
    }
    return best;
}

// Keeps a loop whose result nobody uses.
void keep(std::uint64_t value)
{
    asm volatile("" ::"r"(value));
}

__attribute__((target("avx512f,avx512vnni"))) void multiply_integers_512(std::size_t rounds)
{
    __m512i sums[16] = {};
    const __m512i weights = _mm512_set1_epi8(3);
    for (std::size_t i = 0; i < rounds; ++i) {
        for (__m512i& sum : sums) {
            sum = _mm512_dpbusd_epi32(sum, weights, weights);
            asm volatile("" : "+v"(sum));
        }
    }
}

__attribute__((target("avx2"))) void multiply_integers_256(std::size_t rounds)
{
    __m256i sums[12] = {};
    const __m256i weights = _mm256_set1_epi8(3);
    for (std::size_t i = 0; i < rounds; ++i) {
        for (__m256i& sum : sums) {
            __m256i products = _mm256_maddubs_epi16(weights, weights);
            asm volatile("" : "+x"(products));
            sum = _mm256_add_epi16(sum, products);
        }
    }
}

json limits(unsigned threads)
{
    constexpr std::size_t kBytes = std::size_t{1} << 30;
    std::vector<std::uint64_t> memory(kBytes / 8, 1);
    const double read = best_seconds(threads, [&](unsigned t) {
        const std::size_t part = memory.size() / threads / 8 * 8;
        const std::uint64_t* const from = memory.data() + t * part;
        std::uint64_t sums[8] = {};
        for (std::size_t i = 0; i < part; i += 8) {
            for (std::size_t k = 0; k < 8; ++k) sums[k] += from[i + k];
        }
        for (const std::uint64_t sum : sums) keep(sum);
    });
    constexpr std::size_t kRounds = 20'000'000;
    const bool vnni = __builtin_cpu_supports("avx512vnni") != 0;
    const double multiply = best_seconds(
        threads, [&](unsigned) { vnni ? multiply_integers_512(kRounds) : multiply_integers_256(kRounds); });
    const double operations = static_cast<double>(kRounds) * (vnni ? 16 * 128 : 12 * 64);
    return {{"bytes_per_s", static_cast<double>(kBytes) / read},
            {"operations_per_s", static_cast<double>(threads) * operations / multiply}};
}

json perplexity(const Opened& opened, const json& request)
{
    jiphyeon::PerplexityOptions options;
    options.threads = opened.options.threads;
    options.isa = opened.options.isa;
    options.context_tokens = request.value("context", 512u);
    options.kv = opened.options.kv;
    const auto text = request.at("text").get<std::string>();
    const jiphyeon::Perplexity measured = jiphyeon::measure_perplexity(opened.model, text, options);
    return {{"perplexity", measured.value}, {"scored", measured.scored}};
}

json answer(jiphyeon::Engine& engine, const Opened& opened, const json& request)
{
    const auto op = request.at("op").get<std::string>();
    if (op == "perplexity") return perplexity(opened, request);
    if (op == "limits") return limits(opened.options.threads);
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
        std::cerr << "usage: jiphyeon_engine_bench MODEL [THREADS [ISA [GUESS_TOKENS [ADAPTER [KV [CACHE_MIB "
                     "[DISK_MIB FOLDER]]]]]]]\n"
                     "       jiphyeon_engine_bench quantize MODEL OUT TYPE\n";
        return 2;
    }
    if (argv[1] == std::string_view("quantize") && argc == 5) {
        jiphyeon::QuantizeOptions options;
        options.type = argv[4];
        jiphyeon::quantize_model(argv[2], argv[3], options);
        return 0;
    }
    Opened opened{.model = argv[1], .options = {}};
    jiphyeon::EngineOptions& options = opened.options;
    if (argc > 2) options.threads = static_cast<unsigned>(std::atoi(argv[2]));
    if (argc > 3) options.isa = jiphyeon::isa_from_name(argv[3]).value_or(jiphyeon::Isa::best);
    if (argc > 4) options.guess_tokens = static_cast<std::size_t>(std::atoi(argv[4]));
    if (argc > 5 && *argv[5] != '\0') options.adapters = {{.file = argv[5]}};
    if (argc > 6) options.kv = jiphyeon::kv_type_from_name(argv[6]).value_or(jiphyeon::KvType::f16);
    if (argc > 7) options.prefix_cache_bytes = static_cast<std::size_t>(std::atoi(argv[7])) << 20;
    if (argc > 9) {
        options.prefix_disk_bytes = static_cast<std::size_t>(std::atoi(argv[8])) << 20;
        options.prefix_disk_folder = argv[9];
    }
    const auto start = std::chrono::steady_clock::now();
    const auto engine = jiphyeon::open_engine(opened.model, options);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    std::cout << json{{"load_ms", took.count()},
                      {"memory_bytes", engine->info().memory.total()},
                      {"file_bytes", engine->info().file_bytes}}
              << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        std::cout
            << answer(*engine, opened, json::parse(line)).dump(-1, ' ', false, json::error_handler_t::replace)
            << std::endl;
    }
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
}
