// Korean prompts made of the sample documents' sentences, in all ways of tests/llm_engine/equality.hpp.
//     jiphyeon_equality_soak MODEL FOLDER-OF-TEXTS PROMPTS FIRST PAST
// Of so many prompts those from FIRST to before PAST.
// Exit 0: all bytes equal; 1: a difference, with the way and the prompt that show it.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "llm_engine/equality.hpp"
#include "support/temp_dir.hpp"

namespace jiphyeon {
namespace {

// The lines of the documents that are whole sentences.
std::vector<std::string> sentences_of(const std::filesystem::path& folder)
{
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::vector<std::string> sentences;
    for (const auto& file : files) {
        std::ifstream in(file);
        for (std::string line; std::getline(in, line);)
            if (line.ends_with("다.")) sentences.push_back(line);
    }
    return sentences;
}

// Prompts [first, past) of `count`: prompt i starts at another sentence than the others and has 1 to 16 of
// them.
std::vector<std::vector<TokenId>> prompts_of(const Engine& engine, const std::vector<std::string>& sentences,
                                             std::size_t count, std::size_t first, std::size_t past)
{
    std::vector<std::vector<TokenId>> prompts;
    for (std::size_t i = first; i < past; ++i) {
        std::string text = "다음 글을 요약하십시오.\n";
        const std::size_t begin = i * sentences.size() / count;
        for (std::size_t k = 0; k < 1 + i % 16; ++k) text += "\n" + sentences[(begin + k) % sentences.size()];
        const std::vector<ChatTurn> turns = {{.role = "user", .text = text}};
        prompts.push_back(engine.chat_prompt(turns));
    }
    return prompts;
}

class Progress {
public:
    explicit Progress(std::size_t answers) : answers_(answers) {}
    void step(const std::string& way)
    {
        ++done_;
        const auto now = Clock::now();
        if (now - told_ < std::chrono::seconds(10) && done_ != answers_) return;
        told_ = now;
        const double passed = std::chrono::duration<double>(now - start_).count();
        std::cout << way << ": " << done_ << " of " << answers_ << " answers, about "
                  << static_cast<int>(
                         passed / static_cast<double>(done_) * static_cast<double>(answers_ - done_) / 60 + 1)
                  << " min left" << std::endl;
    }

private:
    using Clock = std::chrono::steady_clock;
    const std::size_t answers_;
    std::size_t done_ = 0;
    const Clock::time_point start_ = Clock::now();
    Clock::time_point told_ = start_;
};

int run(const std::filesystem::path& model, const std::filesystem::path& texts, std::size_t count,
        std::size_t first, std::size_t past)
{
    const std::vector<std::string> sentences = sentences_of(texts);
    if (sentences.empty()) throw std::runtime_error("no sentences in " + texts.string());
    if (first >= past || past > count) throw std::runtime_error("no such prompts");
    const auto prompts = prompts_of(*open_engine(model, {}), sentences, count, first, past);
    std::size_t tokens = 0;
    for (const auto& prompt : prompts) tokens += prompt.size();

    const test::TempDir folder;
    const std::vector<test::Way> ways = test::all_ways(model, folder.path());
    std::cout << prompts.size() << " prompts of " << tokens / prompts.size() << " tokens in the mean, "
              << ways.size() << " ways" << std::endl;
    // The scalar kernels are a hundred times as slow, and have every tenth prompt.
    const auto part_of = [&](const test::Way& way, const auto& list) {
        std::remove_cvref_t<decltype(list)> part;
        for (std::size_t i = 0; i < list.size(); i += way.options.isa == Isa::scalar ? 10 : 1)
            part.push_back(list[i]);
        return part;
    };
    std::size_t total = 0;
    for (const test::Way& way : ways) total += part_of(way, prompts).size();
    Progress progress(total);
    std::vector<test::Answer> expected;
    std::size_t differences = 0;
    for (const test::Way& way : ways) {
        const auto mine = part_of(way, prompts);
        const auto wanted = part_of(way, expected);
        const auto got = test::answers(model, way, mine, wanted, {}, [&] { progress.step(way.name); });
        if (expected.empty()) expected = got;
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            if (got[i].logits_hash == wanted[i].logits_hash) continue;
            ++differences;
            std::cout << "DIFFERENT: " << way.name << ", prompt of " << mine[i].size() << " tokens, answer \""
                      << got[i].text << "\" for \"" << wanted[i].text << '"' << std::endl;
        }
        std::size_t cached = 0, steps = 0;
        for (const test::Answer& answer : got) cached += answer.cached_tokens, steps += answer.steps;
        std::cout << way.name << ": " << got.size() << " answers in " << steps << " steps, " << cached
                  << " tokens from the cache" << std::endl;
    }
    std::cout << total << " answers, " << differences << " different" << std::endl;
    return differences == 0 ? 0 : 1;
}

}  // namespace
}  // namespace jiphyeon

int main(int argc, char** argv)
try {
    if (argc != 6) {
        std::cerr << "usage: jiphyeon_equality_soak MODEL FOLDER-OF-TEXTS PROMPTS FIRST PAST\n";
        return 2;
    }
    const auto number = [&](int i) { return std::strtoul(argv[i], nullptr, 10); };
    return jiphyeon::run(argv[1], argv[2], number(3), number(4), number(5));
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
}
