// What is left of an engine after many requests that came to nothing, and what it takes while many run.
#include <gtest/gtest.h>

#include <fstream>
#include <future>

#include "load.hpp"
#include "model_info.hpp"
#include "support/temp_dir.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

using test::Leaving;
using test::User;

// The sanitizers' own memory hides ours.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr std::size_t kMebibyte = 1u << 20;

class Steadiness : public ::testing::Test {
protected:
    std::filesystem::path model_of(const test::TinyOptions& options) const
    {
        std::ofstream(dir_.path() / "tiny.gguf", std::ios::binary) << test::tiny_model(options);
        return dir_.path() / "tiny.gguf";
    }
    const test::TempDir dir_;
};

// True when `users` requests, each with room for `tokens`, write at the same time. Were there less room, the
// last of them would not begin before the others end, and all would wait for it: then false after a minute.
bool all_find_room(Engine& engine, std::size_t users, std::size_t tokens)
{
    std::atomic<std::size_t> writing = 0;
    std::atomic<bool> cancel = false;
    std::vector<std::future<void>> running;
    for (std::size_t i = 0; i < users; ++i) {
        running.push_back(std::async(std::launch::async, [&] {
            GenerateRequest request;
            request.prompt = engine.tokenizer().encode("abc");
            request.max_tokens = tokens - request.prompt.size();
            request.grammar = "root ::= [a-z]+";
            request.cancel = &cancel;
            GenerateEvents events;
            events.on_text = [&](std::string_view) {
                ++writing;
                while (writing < users && !cancel) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                return false;
            };
            engine.generate(request, events);
        }));
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (writing < users && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    cancel = true;
    for (auto& one : running) one.get();
    return writing == users;
}

TEST_F(Steadiness, AThousandCancelledRequestsLeaveNothing)
{
    test::TinyOptions options;
    options.context = 8192;  // room for 64 pages
    const auto engine = open_engine(model_of(options), {.context_tokens = 8192,
                                                        .prefix_cache_bytes = 2 * kMebibyte,
                                                        .prefix_disk_bytes = 2 * kMebibyte,
                                                        .prefix_disk_folder = dir_.path()});
    const auto user_of = [](std::size_t i) {
        constexpr Leaving kWays[] = {Leaving::before, Leaving::in_prompt, Leaving::by_text,
                                     Leaving::by_exception};
        return User{.text = std::string(20 + i % 7 * 45, static_cast<char>('a' + i % 20)),
                    .domain = i % 3 == 0 ? "" : "domain " + std::to_string(i % 5),
                    .leaving = kWays[i % 4]};
    };
    test::visits(*engine, 200, 8, user_of);  // buffers grow to their size
    const std::size_t before = test::memory_of(::getpid(), "VmRSS");
    test::visits(*engine, 1000, 8, user_of);
    const std::size_t after = test::memory_of(::getpid(), "VmRSS");
    if (!kSanitized) {
        EXPECT_LT(after, before + 8 * kMebibyte) << "a page is " << 256 * 1024 << " bytes";
    }
    EXPECT_TRUE(all_find_room(*engine, kLogitRows, 200)) << "places of users";
    EXPECT_TRUE(all_find_room(*engine, kContexts, 8192)) << "pages";
}

TEST_F(Steadiness, MemoryUnderLoadStaysWithinWhatWasPromised)
{
    if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory hides the engine's";
    test::TinyOptions options;
    options.layers = 8;
    options.kv_heads = options.heads;  // pages of 2 MiB
    const auto engine = spawn_engine(JIPHYEON_ENGINE_CHILD, {"model"}, model_of(options),
                                     {.prefix_cache_bytes = 8 * kMebibyte,
                                      .prefix_disk_bytes = 64 * kMebibyte,
                                      .prefix_disk_folder = dir_.path()});
    const std::size_t users = 2 * kLogitRows;
    // Weights are there now. So small ones take whole huge pages each, which is not what is measured here.
    const pid_t process = test::child_process();
    test::forget_peak(process);
    const std::size_t opened = test::memory_of(process, "VmRSS");
    // Documents of one to three pages that four users each ask about, and answers of different lengths.
    test::visits(*engine, users, users, [](std::size_t i) {
        const std::size_t document = i / 4;
        return User{.text = std::string(150 + document % 3 * 256, static_cast<char>('a' + document)) +
                            std::to_string(i),
                    .domain = "부서",
                    .leaving = i % 9 == 0 ? Leaving::by_text : Leaving::never,
                    .max_tokens = 1 + i % 24};
    });
    const std::size_t taken = test::memory_of(process, "VmHWM") - opened;
    const MemoryNeed& need = engine->info().memory;
    const std::size_t promised = need.caches + need.work;
    EXPECT_LT(taken, promised + users * 128 * 1024) << "with the stack and the small change of each thread";
    EXPECT_GT(taken, promised / 4) << "there was no load";
}

}  // namespace
}  // namespace jiphyeon
