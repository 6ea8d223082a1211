#include "spacing.hpp"

#include <gtest/gtest.h>

namespace jiphyeon {
namespace {

// Letters of 20 columns with 3 between them and 14 at a blank, as they are printed; `shift` moves the boxes
// that the recogniser reports.
std::string read_back(const std::vector<std::string>& words, int shift)
{
    std::vector<Symbol> symbols;
    std::vector<bool> ink;
    for (const std::string& word : words) {
        if (!ink.empty()) ink.insert(ink.end(), 11, false);
        for (std::size_t at = 0; at < word.size(); at += 3) {
            const int left = static_cast<int>(ink.size());
            symbols.push_back({word.substr(at, 3), left + shift, left + 20 + shift});
            ink.insert(ink.end(), 20, true);
            ink.insert(ink.end(), 3, false);
        }
    }
    return spaced_text(symbols, 0, ink);
}

TEST(Spacing, BlanksAreWhereTheInkIsAway)
{
    EXPECT_EQ(read_back({"올가을", "독감", "예방접종을", "합니다"}, 0), "올가을 독감 예방접종을 합니다");
    // The recogniser's boxes are off by nearly half a letter to either side.
    EXPECT_EQ(read_back({"올가을", "독감", "예방접종을", "합니다"}, 9), "올가을 독감 예방접종을 합니다");
    EXPECT_EQ(read_back({"올가을", "독감", "예방접종을", "합니다"}, -9), "올가을 독감 예방접종을 합니다");
    EXPECT_EQ(read_back({"한낱말"}, 0), "한낱말");
    EXPECT_EQ(spaced_text({}, 0, {}), "");
}

}  // namespace
}  // namespace jiphyeon
