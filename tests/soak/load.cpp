// Many users at once on one caged engine, of whom a third leave in the middle, and what its process takes.
//     jiphyeon_load_soak MODEL FOLDER-OF-TEXTS VISITS
// Exit 0: its memory stayed within what it had promised; 1: it did not.
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "jiphyeon/sandbox.hpp"
#include "llm_engine/load.hpp"
#include "support/temp_dir.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kUsers = 48;                // more than are let in at once
constexpr std::size_t kProgramBytes = 96u << 20;  // code, stacks and what malloc keeps of small things

std::vector<std::string> texts_of(const std::filesystem::path& folder)
{
    std::vector<std::string> texts;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::ostringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        texts.push_back(text.str());
    }
    if (texts.empty()) throw std::runtime_error("no texts in " + folder.string());
    return texts;
}

// The first `bytes` of a text, but no part of a character.
std::string beginning_of(const std::string& text, std::size_t bytes)
{
    bytes = std::min(bytes, text.size());
    while (bytes > 0 && bytes < text.size() && (text[bytes] & 0xC0) == 0x80) --bytes;
    return text.substr(0, bytes);
}

int run(const std::filesystem::path& model, const std::filesystem::path& folder, std::size_t visits)
{
    const std::vector<std::string> texts = texts_of(folder);
    const test::TempDir place;
    const auto engine = spawn_engine("/proc/self/exe", {"serve"}, model,
                                     {.prefix_cache_bytes = 256u << 20,
                                      .prefix_disk_bytes = 512u << 20,
                                      .prefix_disk_folder = place.path()});
    const pid_t process = test::child_process();
    test::forget_peak(process);
    const std::size_t promised = engine->info().memory.total();
    const auto tell = [&](std::size_t done) {
        std::cout << done << " of " << visits << " visits; memory "
                  << (test::memory_of(process, "VmRSS") >> 20) << " MiB, at most "
                  << (test::memory_of(process, "VmHWM") >> 20) << ", promised " << (promised >> 20)
                  << std::endl;
    };
    for (std::size_t done = 0; done < visits; done += kUsers) {
        test::visits(*engine, std::min(kUsers, visits - done), kUsers, [&](std::size_t i) {
            const std::size_t number = done + i;
            constexpr test::Leaving kWays[] = {test::Leaving::never,     test::Leaving::never,
                                               test::Leaving::in_prompt, test::Leaving::never,
                                               test::Leaving::never,     test::Leaving::by_text};
            return test::User{.text = beginning_of(texts[number / 3 % texts.size()], 200 + number % 5 * 700) +
                                      "\n질문 " + std::to_string(number),
                              .domain = "부서",
                              .leaving = kWays[number % 6],
                              .max_tokens = 4 + number % 32};
        });
        tell(std::min(visits, done + kUsers));
    }
    return test::memory_of(process, "VmHWM") <= promised + kProgramBytes ? 0 : 1;
}

}  // namespace
}  // namespace jiphyeon

int main(int argc, char** argv)
try {
    if (argc == 2 && std::string(argv[1]) == "serve") return jiphyeon::serve_engine(jiphyeon::kWorkerFd);
    if (argc != 4) {
        std::cerr << "usage: jiphyeon_load_soak MODEL FOLDER-OF-TEXTS VISITS\n";
        return 2;
    }
    return jiphyeon::run(argv[1], argv[2], std::strtoul(argv[3], nullptr, 10));
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
}
