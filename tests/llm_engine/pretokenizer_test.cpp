// The scanner against the regular expressions that it stands for, run by ICU, on generated text of all
// classes.
#include "pretokenizer.hpp"

#include <gtest/gtest.h>
#include <unicode/regex.h>

#include <memory>
#include <random>
#include <set>
#include <string>

namespace jiphyeon {
namespace {

std::vector<std::string> words_by_regex(const std::string& text, const icu::RegexPattern& expression)
{
    UErrorCode status = U_ZERO_ERROR;
    const icu::UnicodeString unicode = icu::UnicodeString::fromUTF8(text);
    const std::unique_ptr<icu::RegexMatcher> matcher(expression.matcher(unicode, status));
    std::vector<std::string> words;
    while (matcher->find(status)) matcher->group(status).toUTF8String(words.emplace_back());
    EXPECT_TRUE(U_SUCCESS(status)) << u_errorName(status);
    return words;
}

std::vector<std::string> words_of(const std::string& text, std::string_view rule)
{
    const std::vector<std::string_view> words = split_words(text, *find_pretokenizer(rule));
    return {words.begin(), words.end()};
}

std::string random_text(std::mt19937& random)
{
    static const std::vector<std::string> kParts = {
        "가", "힣",     "ᄒ", "ᅡ", "ᆫ", "漢", "a", "S",  "t",      "'",      "'s",     "'LL",    "'re",
        "1",  "٣",      "Ⅲ",  "①",  " ",  " ",  " ", "\n", "\r",     "\t",     "\u00a0", "\u3000", "\v",
        "\f", "\u2028", ".",  ",",  "·",  "<",  "|", "😀",  "́",       "\u200b", "ㄱ",     "ä",      "_",
        "※",  "\u0001", "②",  "A",  "B",  "É",  "ǅ", "ʰ",  "\u0903", "/",      "\u20dd"};
    std::string text;
    for (unsigned n = std::uniform_int_distribution<unsigned>(0, 14)(random); n > 0; --n) {
        text += kParts[std::uniform_int_distribution<std::size_t>(0, kParts.size() - 1)(random)];
    }
    return text;
}

struct Rule {
    const char* name;
    std::string expression;
};

TEST(Pretokenizer, CutsLikeThePublishedExpressions)
{
    const std::string contraction = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
    const std::string spaces =
        R"(\p{White_Space}*[\r\n]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)";
    const std::string gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|)"
                             R"(\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)";
    const auto llama3 = [&](const std::string& letters, const std::string& digits) {
        return contraction + R"(|[^\r\n\p{L}\p{N}]?[)" + letters + R"(]+|\p{N})" + digits +
               R"(| ?[^\p{White_Space}\p{N})" + letters + R"(]+[\r\n]*|)" + spaces;
    };
    const auto o200k = [&](const std::string& tail, const std::string& digits) {
        return R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)" + tail +
               R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)" + tail +
               R"(|\p{N})" + digits + R"(| ?[^\p{White_Space}\p{L}\p{N}]+[\r\n/]*|)" + spaces;
    };
    const std::vector<Rule> rules = {{"qwen2", llama3(R"(\p{L})", "")},
                                     {"qwen35", llama3(R"(\p{L}\p{M})", "")},
                                     {"llama-bpe", llama3(R"(\p{L})", "{1,3}")},
                                     {"gpt-2", gpt2},
                                     // The text between two digits is cut as if it were the whole.
                                     {"exaone", R"(\p{N}|\p{White_Space}+(?=\p{N})|)" + gpt2},
                                     {"gpt-4o", o200k(contraction + "?", "{1,3}")},
                                     {"tekken", o200k("", "")}};
    std::mt19937 random(7);
    for (const Rule& rule : rules) {
        UErrorCode status = U_ZERO_ERROR;
        const std::unique_ptr<icu::RegexPattern> expression(
            icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(rule.expression), 0, status));
        ASSERT_TRUE(U_SUCCESS(status)) << u_errorName(status);
        for (int i = 0; i < 20'000; ++i) {
            const std::string text = random_text(random);
            ASSERT_EQ(words_of(text, rule.name), words_by_regex(text, *expression))
                << rule.name << ": " << text;
        }
    }
}

TEST(Pretokenizer, EveryByteIsInExactlyOneWordAlsoWhereItIsNoUtf8)
{
    std::mt19937 random(8);
    for (int i = 0; i < 2'000; ++i) {
        std::string text = random_text(random);
        for (char& c : text) {
            if (random() % 5 == 0) c = static_cast<char>(random());
        }
        std::string joined;
        for (const std::string& word : words_of(text, "qwen2")) {
            EXPECT_FALSE(word.empty());
            joined += word;
        }
        EXPECT_EQ(joined, text);
    }
}

TEST(Pretokenizer, ModelsWithWordsOfOneKindShareThem)
{
    const std::vector<std::vector<std::string_view>> same = {
        {"llama-bpe", "llama3", "llama-v3", "midm-2.0", "falcon3", "pixtral", "lfm2"},
        {"qwen2", "deepseek-r1-qwen", "kormo", "solar-open", "hunyuan", "stablelm2"},
        {"gpt-2", "a.x-4.0", "exaone4", "trillion", "jina-v2-de", "roberta-bpe"},
        {"exaone", "smollm", "starcoder", "command-r", "refact"},
        {"gpt-4o", "llama4", "kanana2"}};
    const std::string text = "It's 제12조\n\n  DocX가́ 3456 WE'LL/※\n";
    std::set<std::vector<std::string>> different;
    for (const auto& names : same) {
        const std::vector<std::string> words = words_of(text, names.front());
        different.insert(words);
        for (const std::string_view name : names) EXPECT_EQ(words_of(text, name), words) << name;
    }
    EXPECT_EQ(different.size(), same.size());
}

// A loop that gives characters back must not start again at each of them.
TEST(Pretokenizer, AMillionCapitalsAreCutInOneGo)
{
    std::string text;
    for (int i = 0; i < 250'000; ++i) text += "A\u0301AA";
    const std::vector<std::string> words = words_of(text + " " + std::string(1'000'000, 'A'), "gpt-4o");
    ASSERT_EQ(words.size(), 3u);
    EXPECT_EQ(words[1], "AA");
}

TEST(Pretokenizer, UnknownNamesAreNotGuessed)
{
    EXPECT_EQ(find_pretokenizer("o200k"), nullptr);
}

}  // namespace
}  // namespace jiphyeon
