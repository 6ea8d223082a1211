#include "quotable.hpp"

#include <unicode/uchar.h>

#include <algorithm>

#include "utf8.hpp"

namespace jiphyeon {
namespace {

[[noreturn]] void refuse(const std::string& what)
{
    throw EngineError(EngineError::Kind::bad_request, what);
}

std::uint32_t mark_of(const std::string& text)
{
    const Utf8Character mark = first_character(text);
    if (mark.length == 0 || mark.length != text.size()) refuse("a quotation mark that is not one character");
    return mark.code;
}

// sign: what belongs to a number beside it, as % and - do. point: what joins two words without a space.
enum class Class { space, mark, letter, digit, sign, point, other };

Class class_of(std::uint32_t code)
{
    const auto character = static_cast<UChar32>(code);
    if (u_isUWhiteSpace(character)) return Class::space;
    const std::uint32_t category = U_GET_GC_MASK(character);
    if (category & U_GC_M_MASK) return Class::mark;
    if (category & U_GC_ND_MASK) return Class::digit;
    if (category & (U_GC_L_MASK | U_GC_N_MASK)) return Class::letter;
    if (category & (U_GC_S_MASK | U_GC_PD_MASK) || code == '%' || code == 0x2030) return Class::sign;
    return category & (U_GC_PO_MASK | U_GC_PC_MASK) ? Class::point : Class::other;
}

bool is_word(Class c)
{
    return c == Class::mark || c == Class::letter || c == Class::digit;
}

bool joins(Class c)
{
    return c == Class::sign || c == Class::point;
}

struct Character {
    Class kind;
    std::uint32_t at;  // byte of the text
};

// Whether something ends, or begins, before character `i` of a part. The part's own ends are such places.
bool is_between_words(const std::vector<Character>& part, std::size_t i)
{
    if (i == 0 || i == part.size()) return true;
    const Class left = part[i - 1].kind;
    const Class right = part[i].kind;
    if (right == Class::mark || (is_word(left) && is_word(right))) return false;
    if ((left == Class::digit && right == Class::sign) || (left == Class::sign && right == Class::digit))
        return false;
    if (is_word(left) && joins(right) && i + 1 < part.size() && is_word(part[i + 1].kind)) return false;
    return !(joins(left) && is_word(right) && i >= 2 && is_word(part[i - 2].kind));
}

}  // namespace

Quotable::Quotable(const Quoting& quoting)
    : open_(mark_of(quoting.open)),
      close_(mark_of(quoting.close)),
      characters_min_(quoting.characters_min),
      characters_max_(quoting.characters_max)
{
    if (characters_min_ == 0 || characters_min_ > characters_max_ || characters_max_ > kCharactersMax)
        refuse("quotations of " + std::to_string(characters_min_) + " to " + std::to_string(characters_max_) +
               " characters; 1 to " + std::to_string(kCharactersMax) + " can be had");
    for (const std::string& passage : quoting.passages) {
        if (passage.size() > kPassageBytesMax - text_.size())
            refuse("passages of more than " + std::to_string(kPassageBytesMax) + " bytes to quote from");
        passage_starts_.push_back(text_.size());
        text_ += passage;
    }
    passage_starts_.push_back(text_.size());
    ends_.resize(text_.size() + 1);
    for (std::size_t i = 0; i < quoting.passages.size(); ++i) {
        for (std::size_t at = passage_starts_[i]; at < passage_starts_[i + 1];)
            at = add_part(at, passage_starts_[i + 1], i);
    }
    if (places_.empty()) refuse("no passage has " + std::to_string(characters_min_) + " characters to quote");
    const auto text_from = [this](const Place& place) {
        return std::string_view(text_).substr(place.begin, place.end - place.begin);
    };
    std::sort(places_.begin(), places_.end(), [&](const Place& a, const Place& b) {
        const int order = text_from(a).compare(text_from(b));
        return order != 0 ? order < 0 : a.begin < b.begin;
    });
}

std::size_t Quotable::add_part(std::size_t begin, std::size_t end, std::size_t passage)
{
    std::vector<Character> part;
    std::size_t at = begin;
    Utf8Character next;
    for (; at < end; at += next.length) {
        next = first_character(std::string_view(text_).substr(at, end - at));
        if (next.length == 0 || next.code == open_ || next.code == close_) break;
        part.push_back({class_of(next.code), static_cast<std::uint32_t>(at)});
    }
    const auto byte_of = [&](std::size_t i) {
        return i < part.size() ? part[i].at : static_cast<std::uint32_t>(at);
    };
    // The last end at or before a character, by its index; 0: none.
    std::vector<std::size_t> last_end(part.size() + 1);
    for (std::size_t i = 1; i <= part.size(); ++i) {
        const bool ends = part[i - 1].kind != Class::space && is_between_words(part, i);
        if (ends) ends_[byte_of(i)] = true;
        last_end[i] = ends ? i : last_end[i - 1];
    }
    for (std::size_t i = 0; i < part.size(); ++i) {
        if (part[i].kind == Class::space || !is_between_words(part, i)) continue;
        const std::size_t longest = std::min(i + characters_max_, part.size());
        std::size_t last = last_end[longest];
        const bool goes_on = longest == i + characters_max_ && part[longest - 1].kind != Class::space;
        if (last < i + characters_min_ && goes_on) last = longest;
        if (last < i + characters_min_) continue;
        places_.push_back({part[i].at, byte_of(last), static_cast<std::uint32_t>(passage)});
    }
    return at + std::max(next.length, 1u);
}

std::pair<std::uint32_t, std::uint32_t> Quotable::places_of(const Span& span) const
{
    if (span.bytes == 0) return {0, static_cast<std::uint32_t>(places_.size())};
    return {span.first, span.last};
}

// -1 where the place reaches no further; such come first in their order.
int Quotable::byte_at(std::uint32_t place, std::uint32_t bytes) const
{
    const std::uint32_t at = places_[place].begin + bytes;
    return at < places_[place].end ? static_cast<std::uint8_t>(text_[at]) : -1;
}

std::optional<Quotable::Span> Quotable::step(const Span& span, std::uint8_t byte) const
{
    const auto [begin, end] = places_of(span);
    // The first place from `from` on whose next byte is at least `least`.
    const auto first_with = [&, past = end](std::uint32_t from, int least) {
        std::uint32_t to = past;
        while (from < to) {
            const std::uint32_t middle = from + (to - from) / 2;
            if (byte_at(middle, span.bytes) < least) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        return from;
    };
    Span next = span;
    next.first = first_with(begin, byte);
    next.last = first_with(next.first, byte + 1);
    if (next.first == next.last) return std::nullopt;
    ++next.bytes;
    if ((byte & 0xC0) != 0x80) ++next.characters;
    return next;
}

bool Quotable::ends_at(const Place& place, std::uint32_t bytes) const
{
    const std::uint32_t at = place.begin + bytes;
    return at == place.end || ends_[at];
}

bool Quotable::may_end(const Span& span) const
{
    if (span.characters < characters_min_) return false;
    return std::any_of(places_.begin() + span.first, places_.begin() + span.last,
                       [&](const Place& place) { return ends_at(place, span.bytes); });
}

void Quotable::add_next_bytes(const Span& span, std::bitset<256>& bytes) const
{
    const auto [begin, end] = places_of(span);
    for (std::uint32_t place = begin; place < end;) {
        const int byte = byte_at(place, span.bytes);
        if (byte < 0) {
            ++place;
            continue;
        }
        bytes.set(static_cast<std::size_t>(byte));
        place = step(span, static_cast<std::uint8_t>(byte))->last;
    }
}

Quotable::Source Quotable::source_of(const Span& span) const
{
    const Place* first = nullptr;
    for (std::uint32_t i = span.first; i < span.last; ++i) {
        const Place& place = places_[i];
        if (ends_at(place, span.bytes) && (first == nullptr || place.begin < first->begin)) first = &place;
    }
    return {first->passage, first->begin - passage_starts_[first->passage]};
}

}  // namespace jiphyeon
