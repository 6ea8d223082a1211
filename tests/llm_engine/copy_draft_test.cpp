// Guesses of repeated text; that they change no answer is tested with the engine (engine_test.cpp).
#include "copy_draft.hpp"

#include <gtest/gtest.h>

#include <random>

namespace jiphyeon {
namespace {

std::vector<TokenId> guess(const CopyDraft& draft, const std::vector<TokenId>& tokens, std::size_t most = 100)
{
    const auto found = draft.guess(tokens, most);
    return {found.begin(), found.end()};
}

TEST(CopyDraft, GoesOnWhereTheEndStoodBefore)
{
    const CopyDraft draft;
    EXPECT_EQ(guess(draft, {1, 2, 3, 4, 5, 9, 1, 2, 3}, 2), (std::vector<TokenId>{4, 5}));
    EXPECT_TRUE(guess(draft, {1, 2, 3, 4, 9, 8, 3}).empty()) << "one token alone";
    EXPECT_TRUE(guess(draft, {1, 2, 3, 4}).empty());
    EXPECT_TRUE(guess(draft, {}).empty());
    EXPECT_TRUE(guess(draft, {1, 2, 1, 2, 1, 2}, 0).empty());
}

TEST(CopyDraft, TheLongestOccurrenceWinsAndOfEqualsTheLatest)
{
    const CopyDraft draft;
    EXPECT_EQ(guess(draft, {7, 1, 2, 50, 8, 1, 2, 60, 7, 1, 2}, 1), (std::vector<TokenId>{50}));
    EXPECT_EQ(guess(draft, {1, 2, 50, 8, 1, 2, 60, 9, 1, 2}, 1), (std::vector<TokenId>{60}));
}

TEST(CopyDraft, GuessesMoreWhereMoreAgreesAndWhereGuessesCameTrue)
{
    std::vector<TokenId> tokens;
    for (TokenId i = 0; i < 40; ++i) tokens.push_back(i);
    const auto repeated = [&](TokenId first, TokenId count) {
        std::vector<TokenId> all = tokens;
        for (TokenId i = 0; i < count; ++i) all.push_back(first + i);
        return all;
    };
    CopyDraft draft;
    EXPECT_LT(guess(draft, repeated(5, 2)).size(), guess(draft, repeated(5, 6)).size());
    const std::size_t before = guess(draft, repeated(5, 4)).size();
    for (int i = 0; i < 10; ++i) draft.learn(4, 0);
    EXPECT_LT(guess(draft, repeated(5, 4)).size(), before);
    EXPECT_FALSE(guess(draft, repeated(5, 16)).empty()) << "what agrees at length is always tried";
    for (int i = 0; i < 20; ++i) draft.learn(4, 4);
    EXPECT_GT(guess(draft, repeated(5, 4)).size(), before);
}

TEST(CopyDraft, IsWhatASearchOfAllPlacesFinds)
{
    std::mt19937 random(4);
    const CopyDraft draft;
    for (int round = 0; round < 2000; ++round) {
        std::vector<TokenId> tokens(1 + random() % 60);
        for (TokenId& id : tokens) id = static_cast<TokenId>(random() % 3);
        std::size_t longest = 1;
        std::size_t after = 0;
        for (std::size_t i = 1; i < tokens.size(); ++i) {
            std::size_t length = 0;
            while (length < 16 && length < i && tokens[i - 1 - length] == tokens[tokens.size() - 1 - length])
                ++length;
            if (length >= longest && length >= 2) longest = length, after = i;
        }
        const std::vector<TokenId> found = guess(draft, tokens, 1);
        if (after == 0) {
            EXPECT_TRUE(found.empty());
        } else {
            ASSERT_EQ(found, std::vector<TokenId>{tokens[after]});
        }
    }
}

}  // namespace
}  // namespace jiphyeon
