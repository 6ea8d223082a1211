// What may stand in a quotation: the contiguous spans of some passages, followed byte by byte as they are
// written.
//
// A span begins and ends between words: never inside a character, nor where a mark, a letter or a digit goes
// on a word, nor inside a number with its points, sign and unit ("△3.5%"). It neither begins nor ends with
// white space, and holds no quotation mark and no bytes that are not UTF-8: passages are cut there. It has
// characters_min to characters_max characters; a word that is longer than that may be cut.
//
// The places where a span may begin lie sorted by the text that follows them, so that those that go on as
// what is written so far are neighbours, and each byte narrows them by two binary searches. A suffix
// automaton would need one step, but in it a word is the same as the end of a longer one, and a quotation of
// "법" could go on from "위법". Each place reaches as far as the last end that a span from it can have, so
// that whatever is written in a quotation, it can be finished.
//
// Memory: 12 bytes for each word of the passages and 9 bits for each byte. Immutable, so any number of
// threads may use it.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

class Quotable {
public:
    static constexpr std::size_t kPassageBytesMax = 256u << 10;  // of all passages
    static constexpr std::size_t kCharactersMax = 1000;          // of a quotation

    // Throws EngineError bad_request: marks that are not one character each, limits that are none, passages
    // that are too long or have no span within the limits.
    explicit Quotable(const Quoting& quoting);

    // How far a quotation has been written: so many bytes and characters, as the places [first, last) go on.
    // The default is its beginning.
    struct Span {
        std::uint32_t bytes = 0;
        std::uint32_t characters = 0;
        std::uint32_t first = 0;
        std::uint32_t last = 0;
    };
    // One byte on; nothing where no span goes on so.
    std::optional<Span> step(const Span& span, std::uint8_t byte) const;
    // Whether this is a whole span. Time linear in the places that go on as it does.
    bool may_end(const Span& span) const;
    // Adds the bytes that a span may go on with.
    void add_next_bytes(const Span& span, std::bitset<256>& bytes) const;

    // Where the words of a whole span stand first: a passage, and bytes of it.
    struct Source {
        std::size_t passage = 0;
        std::size_t start = 0;
    };
    Source source_of(const Span& span) const;

    std::uint32_t open() const { return open_; }  // the marks
    std::uint32_t close() const { return close_; }

private:
    struct Place {
        std::uint32_t begin = 0;  // bytes of text_
        std::uint32_t end = 0;    // of the longest span from here
        std::uint32_t passage = 0;
    };

    void add_passage(std::size_t passage);
    // The text up to the next character that is in no quotation; returns where that ends.
    std::size_t add_part(std::size_t begin, std::size_t end, std::size_t passage);
    std::pair<std::uint32_t, std::uint32_t> places_of(const Span& span) const;
    bool ends_at(const Place& place, std::uint32_t bytes) const;
    int byte_at(std::uint32_t place, std::uint32_t bytes) const;

    std::uint32_t open_ = 0;
    std::uint32_t close_ = 0;
    std::size_t characters_min_ = 0;
    std::size_t characters_max_ = 0;
    std::string text_;                         // of all passages, one after the other
    std::vector<std::size_t> passage_starts_;  // in text_
    std::vector<bool> ends_;                   // by byte of text_: a span may end before it
    std::vector<Place> places_;
};

}  // namespace jiphyeon
