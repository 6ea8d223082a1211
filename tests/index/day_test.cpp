#include <gtest/gtest.h>

#include "jiphyeon/index.hpp"

namespace jiphyeon {
namespace {

TEST(Day, CountsFromTheEpochAcrossLeapYears)
{
    EXPECT_EQ(day_from_text("1970-01-01"), 0);
    EXPECT_EQ(day_from_text("1969-12-31"), -1);
    EXPECT_EQ(day_from_text("2000-02-29"), 11016);
    EXPECT_EQ(day_from_text("2026-11-22"), 20779);
}

TEST(Day, RefusesWhatIsNoDate)
{
    for (const char* text : {"", "2026-2-01", "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10",
                             "2026-01-00", "2026-01-32", "2026/01/01", "2026-01-0x", "2026-01-011"}) {
        EXPECT_EQ(day_from_text(text), std::nullopt) << text;
    }
}

TEST(Day, TextAndDayAreInverse)
{
    for (Day day = -200'000; day < 200'000; day += 17) EXPECT_EQ(day_from_text(day_to_text(day)), day);
    EXPECT_EQ(day_to_text(20779), "2026-11-22");
}

}  // namespace
}  // namespace jiphyeon
