#include "sentence_mask.hpp"

#include <algorithm>
#include <array>

#include "jiphyeon/pii.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kContextBytes = 600;  // about 200 Hangul syllables
constexpr std::size_t kHeldMax = 8;  // sentences that end openly one after the other are no text any more

bool continues(char c)
{
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// The last characters that are neither space nor closing punctuation decide: digits, letters, dashes and
// Hangul numerals can be the first half of an identifier.
bool ends_openly(std::string_view text)
{
    constexpr std::string_view kClosing = " \t\r\n.,;:!?)]}\"'";
    while (!text.empty() && kClosing.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
    if (text.empty()) return false;
    std::size_t start = text.size() - 1;
    while (start > 0 && continues(text[start])) --start;
    const std::string_view last = text.substr(start);
    if (last.size() == 1) {
        const char c = last[0];
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_' || c == '@' || c == '/' || c == '+';
    }
    // Everything that is no Hangul syllable (full-width digits, dashes, look-alikes) could be a part.
    const bool hangul = last >= "가" && last <= "힣" && last.size() == 3;
    if (!hangul) return true;
    constexpr std::array<std::string_view, 12> kNumerals = {"영", "공", "령", "일", "이", "삼",
                                                            "사", "오", "육", "칠", "팔", "구"};
    return std::find(kNumerals.begin(), kNumerals.end(), last) != kNumerals.end();
}

// text[start, end) with the identifiers that begin in it replaced by their tags, and without the rest of
// those that began before it.
std::string masked_part(std::string_view text, const Masked& masked, std::size_t start, std::size_t end)
{
    std::string out;
    std::size_t at = start;
    for (const Masked::Piece& piece : masked.pieces) {
        if (piece.end <= at || piece.start >= end) continue;
        if (piece.start >= start) {
            out.append(text.substr(at, piece.start - at));
            out += pii_tag(piece.type);
        }
        at = std::min(piece.end, end);
    }
    out.append(text.substr(at, end - at));
    return out;
}

}  // namespace

std::vector<Sentence> SentenceMask::push(const Sentence& sentence)
{
    held_.push_back(sentence);
    if (ends_openly(sentence.text) && held_.size() < kHeldMax) return {};
    return flush();
}

std::vector<Sentence> SentenceMask::flush()
{
    std::string text = given_;
    std::vector<std::pair<std::size_t, std::size_t>> ranges;
    for (const Sentence& sentence : held_) {
        if (!text.empty()) text += ' ';
        ranges.emplace_back(text.size(), text.size() + sentence.text.size());
        text += sentence.text;
    }
    const Masked masked = mask(text);

    std::vector<Sentence> out = std::move(held_);
    held_.clear();
    for (std::size_t i = 0; i < out.size(); ++i) {
        std::string part = masked_part(text, masked, ranges[i].first, ranges[i].second);
        if (part != out[i].text) out[i].spans.clear();
        out[i].text = std::move(part);
        out[i].doubt = mask(out[i].doubt).text;
    }
    if (text.size() > kContextBytes) {
        std::size_t from = text.size() - kContextBytes;
        while (from < text.size() && continues(text[from])) ++from;
        text.erase(0, from);
    }
    given_ = std::move(text);
    return out;
}

}  // namespace jiphyeon
