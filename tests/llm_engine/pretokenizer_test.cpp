// The scanner against the regular expressions that it stands for, run by ICU, on generated text of all
// classes.
#include "pretokenizer.hpp"

#include <gtest/gtest.h>
#include <unicode/regex.h>

#include <memory>
#include <random>
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
        "가",  "힣",     "ᄒ",     "ᅡ", "ᆫ", "漢",     "a", "S",      "t", "'",  "'s",
        "'LL", "'re",    "1",      "٣",  "Ⅲ",  "①",      " ", " ",      " ", "\n", "\r",
        "\t",  "\u00a0", "\u3000", "\v", "\f", "\u2028", ".", ",",      "·", "<",  "|",
        "😀",   "́",       "\u200b", "ㄱ", "ä",  "_",      "※", "\u0001", "②"};
    std::string text;
    for (unsigned n = std::uniform_int_distribution<unsigned>(0, 14)(random); n > 0; --n) {
        text += kParts[std::uniform_int_distribution<std::size_t>(0, kParts.size() - 1)(random)];
    }
    return text;
}

struct Rule {
    const char* name;
    const char* expression;
};

TEST(Pretokenizer, CutsLikeThePublishedExpressions)
{
    const std::vector<Rule> rules = {
        {"qwen2",
         R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\p{White_Space}\p{L}\p{N}]+[\r\n]*|\p{White_Space}*[\r\n]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)"},
        {"llama-bpe",
         R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\p{White_Space}\p{L}\p{N}]+[\r\n]*|\p{White_Space}*[\r\n]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)"},
        {"gpt-2",
         R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)"}};
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

TEST(Pretokenizer, UnknownNamesAreNotGuessed)
{
    EXPECT_EQ(find_pretokenizer("o200k"), nullptr);
}

}  // namespace
}  // namespace jiphyeon
