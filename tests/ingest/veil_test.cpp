// Goal: an image of a scan with personal data shows what was read and nothing else. The complement of boxes
// is compared with a page painted point by point.
#include "veil.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "masking.hpp"

namespace jiphyeon {
namespace {

constexpr unsigned kMarginX = 6, kMarginY = 5;

bool covers(const Box& box, unsigned x, unsigned y, unsigned margin_x = 0, unsigned margin_y = 0)
{
    return x + margin_x >= box.left && x < box.right + margin_x && y + margin_y >= box.top &&
           y < box.bottom + margin_y;
}

TEST(Veil, PaintsEveryPointOutsideOfTheBoxesOnceAndNoneWithin)
{
    std::mt19937 random(7);
    for (int round = 0; round < 50; ++round) {
        std::vector<Box> boxes;
        const auto below = [&](unsigned n) { return static_cast<std::uint16_t>(random() % n); };
        for (unsigned n = below(12); n > 0; --n) {
            const std::uint16_t left = below(900), top = below(950);
            boxes.push_back({3, left, top, static_cast<std::uint16_t>(left + 1 + below(100)),
                             static_cast<std::uint16_t>(top + 1 + below(50))});
        }
        const std::vector<Box> painted = outside_of(3, boxes);
        for (int point = 0; point < 2000; ++point) {
            const unsigned x = below(1000), y = below(1000);
            std::size_t shown = 0, over = 0;
            for (const Box& box : boxes) shown += covers(box, x, y, kMarginX, kMarginY);
            for (const Box& box : painted) over += covers(box, x, y);
            ASSERT_EQ(over, shown > 0 ? 0u : 1u) << "point " << x << "," << y << " of round " << round;
        }
    }
}

Block line_at(std::uint32_t page, std::uint16_t top, const std::string& text, float confidence)
{
    Block block;
    block.text = text;
    block.page = page;
    block.confidence = confidence;
    block.lines.push_back({0, text.size(), {page, 100, top, 900, static_cast<std::uint16_t>(top + 20)}});
    return block;
}

// Masks what stands between two carets.
Inspection hide_carets(std::string_view text)
{
    Inspection out;
    std::size_t at = 0;
    for (std::size_t from; (from = text.find('^', at)) != std::string_view::npos;) {
        const std::size_t to = text.find('^', from + 1) + 1;
        out.text += text.substr(at, from - at);
        const std::size_t masked = out.text.size();
        out.text += "[가림]";
        out.pieces.push_back({from, to, masked, out.text.size()});
        at = to;
    }
    out.text += text.substr(at);
    return out;
}

bool painted(const Document& document, std::uint32_t page, unsigned x, unsigned y)
{
    return std::any_of(document.hidden.begin(), document.hidden.end(),
                       [&](const Box& box) { return box.page == page && covers(box, x, y); });
}

Document scan(const std::string& first_line)
{
    Document document;
    document.scanned = true;
    document.pages = 2;
    document.blocks = {line_at(1, 100, first_line, 0.9f), line_at(1, 200, "평범한 글 2026. 5. 15.", 0.9f),
                       line_at(1, 300, "여권번호 ×《8401907, 체류", 0.9f)};
    return document;
}

TEST(Veil, AScanWithPersonalDataShowsOnlyLinesThatWereReadAndLookHarmless)
{
    Document document = scan("번호 ^900101-1234568^");
    mask_document(document, hide_carets);
    EXPECT_TRUE(painted(document, 1, 500, 110)) << "the masked line";
    EXPECT_FALSE(painted(document, 1, 500, 210)) << "a harmless line";
    EXPECT_TRUE(painted(document, 1, 500, 310))
        << "a number misread so that nobody knows it for a passport's";
    EXPECT_TRUE(painted(document, 1, 500, 150)) << "between the lines, where one may have been missed";
    EXPECT_EQ(document.hidden_pages, std::vector<std::uint32_t>{2}) << "the page of which nothing was read";
}

TEST(Veil, WithoutPersonalDataAndWithoutRecognitionNothingIsPainted)
{
    Document clean = scan("아무 번호도 없음");
    clean.blocks.pop_back();
    mask_document(clean, hide_carets);
    EXPECT_TRUE(clean.hidden.empty());
    EXPECT_TRUE(clean.hidden_pages.empty());

    Document typed = scan("번호 ^900101-1234568^");
    typed.scanned = false;
    typed.blocks.pop_back();
    for (Block& block : typed.blocks) block.confidence = 1;
    mask_document(typed, hide_carets);
    ASSERT_EQ(typed.hidden.size(), 1u);
    EXPECT_TRUE(painted(typed, 1, 500, 110));
    EXPECT_TRUE(typed.hidden_pages.empty());
}

}  // namespace
}  // namespace jiphyeon
