#include "pii_scan.hpp"

#include <unicode/uchar.h>

#include <algorithm>

namespace jiphyeon {
namespace {

constexpr std::size_t kGapMax = 5;
constexpr std::size_t kLookMax = 120;  // characters a look to one side may pass, blanks included

std::optional<Gap> gap_between(const std::u32string& text, std::size_t from, std::size_t to)
{
    if (to - from > kGapMax) return std::nullopt;
    Gap gap = Gap::blank;
    bool line = false;
    for (std::size_t i = from; i < to; ++i) {
        Gap here = Gap::blank;
        switch (text[i]) {
            case U' ':
            case U'\t':
            case U'\r':
                continue;
            case U'\n':
                if (line) return std::nullopt;
                line = true;
                continue;
            case U'-':
            case U'_':
                here = Gap::hyphen;
                break;
            case U'.':
                here = Gap::dot;
                break;
            case U'/':
                here = Gap::slash;
                break;
            case U'~':
                here = Gap::wave;
                break;
            case U')':
            case U'(':
                here = Gap::bracket;
                break;
            case U'|':
                here = Gap::bar;
                break;
            case U',':
                here = Gap::comma;
                break;
            default:
                return std::nullopt;
        }
        // ")-" and "-(" are one separator; any other two are not.
        if (gap != Gap::blank && gap != Gap::bracket && here != Gap::bracket) return std::nullopt;
        if (gap == Gap::blank || gap == Gap::bracket) gap = here;
    }
    return line && gap == Gap::blank ? Gap::line : gap;
}

}  // namespace

bool is_digit(char32_t c)
{
    return c >= U'0' && c <= U'9';
}
bool is_latin(char32_t c)
{
    return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
}
bool is_hangul(char32_t c)
{
    return c >= 0xAC00 && c <= 0xD7A3;
}

std::size_t Chain::groups_of(std::size_t count) const
{
    std::size_t sum = 0;
    for (std::size_t g = 0; g < groups && sum < count; ++g) {
        sum += group[g];
        if (sum == count) return g + 1;
    }
    return 0;
}

bool Chain::shape(std::initializer_list<std::size_t> sizes) const
{
    return sizes.size() <= groups && std::equal(sizes.begin(), sizes.end(), group.begin());
}

bool Chain::gaps_are(std::size_t from, std::size_t to, std::initializer_list<Gap> allowed) const
{
    for (std::size_t g = from; g < to; ++g)
        if (std::find(allowed.begin(), allowed.end(), gap[g]) == allowed.end()) return false;
    return true;
}

Scan::Scan(const View& view) : view_(view)
{
    for (std::size_t i = 0; i < view.text.size(); ++i) {
        if (!is_digit(view.text[i])) continue;
        const std::size_t first = i;
        while (i < view.text.size() && is_digit(view.text[i])) ++i;
        runs_.push_back({first, i});
    }
}

Chain Scan::chain(std::size_t run) const
{
    Chain chain;
    chain.first = runs_[run].first;
    if (chain.first >= 2) {
        const char32_t c = view_.text[chain.first - 1];
        chain.joined_before = (c == U'-' || c == U'.') && is_digit(view_.text[chain.first - 2]);
    }
    for (std::size_t r = run; r < runs_.size() && chain.groups < Chain::kGroupsMax; ++r) {
        const std::size_t size = runs_[r].size();
        if (chain.digits + size > Chain::kDigitsMax) break;
        Gap gap = Gap::none;
        if (r > run) {
            const auto between = gap_between(view_.text, runs_[r - 1].last, runs_[r].first);
            if (!between) break;
            gap = *between;
        }
        for (std::size_t i = 0; i < size; ++i)
            chain.digit[chain.digits + i] = static_cast<char>(view_.text[runs_[r].first + i]);
        chain.group[chain.groups] = size;
        chain.end[chain.groups] = runs_[r].last;
        chain.gap[chain.groups] = gap;
        chain.digits += size;
        ++chain.groups;
    }
    return chain;
}

std::u32string Scan::left(std::size_t place, std::size_t count) const
{
    std::u32string out;
    int lines = 0;
    const std::size_t stop = place > kLookMax ? place - kLookMax : 0;
    for (std::size_t i = place; i > stop && out.size() < count; --i) {
        const char32_t c = view_.text[i - 1];
        if (c == U'\n' && ++lines > 1) break;
        if (is_hangul(c) || is_digit(c) || is_latin(c) || c > 0x2000)
            out += is_latin(c) ? static_cast<char32_t>(c | 0x20) : c;
    }
    std::reverse(out.begin(), out.end());
    return out;
}

std::u32string Scan::right(std::size_t place, std::size_t count) const
{
    std::u32string out;
    int lines = 0;
    for (std::size_t i = place; i < view_.text.size() && i < place + kLookMax && out.size() < count; ++i) {
        const char32_t c = view_.text[i];
        if (c == U'\n' && ++lines > 1) break;
        if (is_hangul(c) || is_digit(c) || is_latin(c) || c > 0x2000)
            out += is_latin(c) ? static_cast<char32_t>(c | 0x20) : c;
    }
    return out;
}

bool Scan::unit_follows(std::size_t place) const
{
    constexpr std::u32string_view units = U"원건개명호년월일회차㎡㎏㎞%％";
    std::size_t i = place;
    if (at(i) == U' ') ++i;
    const char32_t c = at(i);
    if (units.find(c) == std::u32string_view::npos)
        return has_any(right(place, 2), {U"천원", U"만원", U"백만", U"달러"});
    // "호" of 호실 and the like is still a counter, but "일반", "원본" begin a word when a blank is between.
    return i == place || !is_hangul(at(i + 1));
}

bool has_any(std::u32string_view text, std::initializer_list<std::u32string_view> words)
{
    return std::any_of(words.begin(), words.end(), [text](std::u32string_view word) {
        return text.find(word) != std::u32string_view::npos;
    });
}

std::size_t last_of(std::u32string_view text, std::initializer_list<std::u32string_view> words)
{
    std::size_t best = 0;
    for (const std::u32string_view word : words) {
        const std::size_t at = text.rfind(word);
        if (at != std::u32string_view::npos) best = std::max(best, at + word.size());
    }
    return best;
}

}  // namespace jiphyeon
