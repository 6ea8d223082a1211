#include "encoding.hpp"

#include <gtest/gtest.h>

#include "made_files.hpp"

namespace jiphyeon {
namespace {

using namespace test;

const std::string kCp949 = "\xBF\xAC\xB0\xA1 \xC0\xCF\xBC\xF6";  // 연가 일수

TEST(Encoding, TellsTheEncodingsOfKoreanText)
{
    EXPECT_EQ(decode_text("연가 일수").encoding, "UTF-8");
    EXPECT_EQ(decode_text(kCp949).encoding, "CP949");
    EXPECT_EQ(decode_text(kCp949).text, "연가 일수");
    EXPECT_EQ(decode_text("\x8C\x63").text, "똠");  // in CP949, not in KS X 1001
    EXPECT_EQ(decode_text(std::string("\xFF\xFE\xF0\xC5", 4)).text, "연");
    EXPECT_EQ(decode_text(std::string("\xFE\xFF\xC5\xF0", 4)).text, "연");
    EXPECT_TRUE(decode_text(std::string("\x00\x01\x02\xFF", 4)).encoding.empty());
}

TEST(Encoding, Cp949TextBecomesADocument)
{
    const Extraction seen = parse("글.txt", kCp949 + "\r\n\r\n" + kCp949 + "\r\n");
    ASSERT_TRUE(seen.document);
    EXPECT_EQ(all_text(*seen.document), "연가 일수\n연가 일수\n");
}

}  // namespace
}  // namespace jiphyeon
