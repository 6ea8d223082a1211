// One request computed in all the ways that must make no difference to a single bit of its logits. The first
// way is what the others are compared with. Used on tiny models and, at length, on a real one (tests/soak).
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>
#include <span>
#include <string>
#include <vector>

#include "gguf.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "model_shape.hpp"

namespace jiphyeon::test {

struct Way {
    std::string name;
    EngineOptions options;
    std::size_t users = 1;  // requests at once
    std::size_t chunk = 0;  // tokens of a prompt that are computed at a time; 0: as the engine likes
    bool again = false;     // the second answer, after all prompts were answered once
    enum class Forced { no, grammar, slot } forced = Forced::no;
};

// file_folder: where pages may be put on a disk.
inline std::vector<Way> all_ways(const std::filesystem::path& model, const std::filesystem::path& file_folder,
                                 KvType kv = KvType::f16)
{
    const std::size_t page_bytes =
        read_shape(Gguf::open(model), EngineOptions{}.context_tokens, kv).kv().page_bytes();
    const EngineOptions plain{.threads = 2, .kv = kv, .guess_tokens = 0};
    const auto with_threads = [&](unsigned threads) {
        EngineOptions options = plain;
        options.threads = threads;
        return options;
    };
    std::vector<Way> ways = {{.name = "alone", .options = with_threads(1)}};
    for (const unsigned threads : {2u, 3u, 16u})
        ways.push_back({.name = std::to_string(threads) + " threads", .options = with_threads(threads)});
    for (const Isa isa : available_isas()) {
        EngineOptions options = plain;
        options.isa = isa;
        ways.push_back({.name = std::string(isa_name(isa)), .options = options});
    }
    ways.push_back({.name = "32 at once", .options = plain, .users = 32});
    for (const std::size_t chunk : {1u, 7u, 64u, 512u})
        ways.push_back({.name = "prompt by " + std::to_string(chunk), .options = plain, .chunk = chunk});
    ways.push_back({.name = "cached", .options = plain, .again = true});
    EngineOptions disk = plain;
    disk.prefix_cache_bytes = page_bytes;
    disk.prefix_disk_bytes = 64 * (page_bytes + 8192);
    disk.prefix_disk_folder = file_folder;
    ways.push_back({.name = "from disk", .options = disk, .again = true});
    EngineOptions guessing = plain;
    guessing.guess_tokens = EngineOptions{}.guess_tokens;
    ways.push_back({.name = "guessing ahead", .options = guessing});
    ways.push_back({.name = "guessing ahead, 32 at once", .options = guessing, .users = 32});
    ways.push_back({.name = "forced by a grammar", .options = guessing, .forced = Way::Forced::grammar});
    ways.push_back({.name = "begun by a slot", .options = guessing, .forced = Way::Forced::slot});
    return ways;
}

struct Answer {
    std::array<std::uint8_t, 32> logits_hash{};
    std::string text;  // without what a slot put before it
    std::size_t cached_tokens = 0;
    std::size_t steps = 0;
};

// The request's prompt is `prompt` and the tokens of kBeginning, or `prompt` alone where a slot puts them.
inline constexpr const char* kBeginning = "\n답: ";

// What may be answered.
struct Form {
    std::string grammar = "[a-z가-힣 ]{8}";
    Quoting quoting = {};
};

inline Answer answer(Engine& engine, const Way& way, std::vector<TokenId> prompt,
                     const std::string& forced_text, const Form& form)
{
    const bool by_slot = way.forced == Way::Forced::slot;
    const std::vector<TokenId> beginning = engine.tokenizer().encode(kBeginning);
    if (!by_slot) prompt.insert(prompt.end(), beginning.begin(), beginning.end());
    GenerateRequest request;
    request.prompt = std::move(prompt);
    request.max_tokens = 64;
    if (way.again || way.chunk != 0) request.cache_domain = "부서";
    const bool by_grammar = way.forced == Way::Forced::grammar;  // whose literal may hold quotation marks
    request.grammar = "root ::= " + (by_grammar ? '"' + forced_text + '"'
                                                : (by_slot ? "<slot:beginning> " : "") + form.grammar);
    if (!by_grammar) request.quoting = form.quoting;
    GenerateEvents events;
    events.on_slot = [](std::string_view, std::string_view) {
        return GenerateEvents::SlotFill{.text = kBeginning, .stop = false};
    };
    for (std::size_t done = way.chunk; done != 0 && done < request.prompt.size(); done += way.chunk)
        engine.next_logits(std::span(request.prompt).first(done), request.cache_domain);
    const Generated out = engine.generate(request, events);
    return {.logits_hash = out.logits_hash,
            .text = out.text.substr(by_slot ? std::string_view(kBeginning).size() : 0),
            .cached_tokens = out.cached_tokens,
            .steps = out.steps};
}

// The answers to all prompts. expected: of the first way, empty for that one itself. on_answer: called after
// each, from the calling thread.
inline std::vector<Answer> answers(const std::filesystem::path& model, const Way& way,
                                   std::span<const std::vector<TokenId>> prompts,
                                   std::span<const Answer> expected, const Form& form = {},
                                   const std::function<void()>& on_answer = {})
{
    const auto engine = open_engine(model, way.options);
    const auto text = [&](std::size_t i) { return expected.empty() ? "" : expected[i].text; };
    std::vector<Answer> all(prompts.size());
    for (int round = way.again ? 0 : 1; round < 2; ++round) {
        for (std::size_t first = 0; first < prompts.size(); first += way.users) {
            std::vector<std::future<Answer>> users;
            for (std::size_t i = first; i < std::min(prompts.size(), first + way.users); ++i) {
                users.push_back(
                    std::async(way.users == 1 ? std::launch::deferred : std::launch::async,
                               [&, i] { return answer(*engine, way, prompts[i], text(i), form); }));
            }
            for (std::size_t i = 0; i < users.size(); ++i) {
                all[first + i] = users[i].get();
                if (round == 1 && on_answer) on_answer();
            }
        }
    }
    return all;
}

}  // namespace jiphyeon::test
