// Grammars that say what may be generated: GBNF (the notation of llama.cpp's grammars/README.md) over Unicode
// characters, with two more terminals: `<slot:NAME>`, which matches nothing and stops the generation there
// until the caller has put something in its place, and `<quote>`, a span of given passages between quotation
// marks (quotable.hpp). With passages, no other terminal matches the opening mark, so that all parses agree
// on where a quotation begins and ends.
//
//     root ::= (sentence <slot:cite>)+        # comments run to the end of the line
//     sentence ::= [^.\n]{1,200} "."
//
// Understood: "literal" and [class] with \n \r \t \\ \" \[ \] \- \^ \xNN \uNNNN \UNNNNNNNN, [^negated], `.`
// (any character), ( groups ), alternatives |, * + ? {m} {m,} {m,n}, rule names, #comments. Left recursion is
// refused.
//
// A grammar is compiled to a recursive automaton over UTF-8 bytes, so a token may end inside a character.
// Parses that are alive are (place, stack of returns) pairs; equal ones are one. Sizes are bounded: kNodesMax
// nodes of a compiled grammar, kParsesMax parses alive at once (more: bad_request), kDepthMax nested calls
// (deeper: not accepted).
//
// Example:
//     GrammarState state(Grammar::parse("root ::= \"예\" | \"아니오\""));
//     state.accepts("예");      // true
//     state.advance("\xec\x98"); // the first two bytes of 예
//     state.may_end();          // false
//
// Threads: Grammar is immutable. One thread at a time per GrammarState; copies are independent.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quotable.hpp"

namespace jiphyeon {

class Grammar {
public:
    static constexpr std::size_t kTextMax = 256u << 10;
    static constexpr std::size_t kNodesMax = 65'536;
    static constexpr std::size_t kParsesMax = 1024;
    static constexpr std::size_t kDepthMax = 256;

    // quotable: null where the grammar may not quote. Throws EngineError bad_request, naming line and column.
    static std::shared_ptr<const Grammar> parse(std::string_view text,
                                                std::shared_ptr<const Quotable> quotable = nullptr);

    // Where a byte may lead from a place.
    struct Edge {
        std::uint8_t first = 0;
        std::uint8_t last = 0;
        std::uint32_t next = 0;
    };
    struct Node {
        enum class Kind : std::uint8_t { bytes, either, call, slot, span, end_of_rule };
        Kind kind = Kind::end_of_rule;
        // either: first choice; call, slot: what follows; span: the closing mark's bytes; bytes: first edge
        std::uint32_t next = 0;
        std::uint32_t other =
            0;  // either: second choice; call: entry of the rule; slot: its name; bytes: edges
    };
    const std::vector<Node>& nodes() const { return nodes_; }
    const std::vector<Edge>& edges() const { return edges_; }
    const std::string& slot_name(std::uint32_t index) const { return slot_names_[index]; }
    std::uint32_t root() const { return root_; }
    const Quotable* quotable() const { return quotable_.get(); }

private:
    friend class GrammarCompiler;
    std::vector<Node> nodes_;
    std::vector<Edge> edges_;
    std::vector<std::string> slot_names_;
    std::uint32_t root_ = 0;
    std::shared_ptr<const Quotable> quotable_;
};

// How far a text has come in a grammar.
class GrammarState {
public:
    explicit GrammarState(std::shared_ptr<const Grammar> grammar);

    const Grammar& grammar() const { return *grammar_; }

    // Whether these bytes may come next. Empty pieces are accepted. Cheap where the first byte already
    // cannot.
    bool accepts(std::string_view piece) const;
    // Takes the bytes; false, and nothing changed, when they may not come next.
    bool advance(std::string_view piece);

    // The slot that every living parse stands before; nothing else can happen but that it is filled.
    std::optional<std::string> at_slot() const;
    // A slot that some living parse stands before, others expecting text or the end (`"." (<slot:x> |
    // [0-9])`).
    std::optional<std::string> may_slot() const;
    // Goes past the slot, keeping the parses that stood before it. Its fill is not matched against anything.
    // Precondition: `name` came from at_slot() or may_slot().
    void pass_slot(std::string_view name);

    // A quotation that was closed, without its marks.
    struct Quoted {
        std::size_t end = 0;  // in the bytes taken by advance()
        Quotable::Span span;
    };
    const std::vector<Quoted>& quoted() const { return quoted_; }

    bool may_end() const { return ended_; }
    // Nothing may follow any more.
    bool must_end() const { return ended_ && parses_.empty(); }
    // The only text that can come next, as far as it is certain: whole characters, at most 4 KiB; often
    // empty.
    std::string forced() const;
    // A grammar in the same notation, without slots, of all that may come up to the next slot or the end: for
    // a server that knows no slots. Precondition: between two characters. Throws EngineError bad_request
    // where nothing finite may come, or the text is longer than Grammar::kTextMax; unsupported where it
    // quotes.
    std::string until_slot() const;
    // Bytes that the next piece can begin with.
    const std::bitset<256>& first_bytes() const { return first_bytes_; }

private:
    // Stacks of return places, shared by the parses: each frame knows what lies under it, and its children
    // are linked, so that equal stacks are one frame.
    struct Frame {
        std::uint32_t node = 0;
        std::uint32_t under = 0;
        std::uint32_t first_child = 0;
        std::uint32_t next_sibling = 0;
        std::uint32_t depth = 0;
    };
    struct Parse {
        std::uint32_t node = 0;   // of kind bytes, slot or span
        std::uint32_t stack = 0;  // index into frames_; 0 is the empty stack
    };
    struct Step;  // what is reached by one byte

    std::uint32_t push(std::uint32_t node, std::uint32_t under) const;
    void truncate(std::size_t frames) const;
    void close_over(std::uint32_t node, std::uint32_t stack, Step& step) const;
    Step step_byte(const std::vector<Parse>& parses, const Quotable::Span& span, std::uint8_t byte) const;
    void add_next_bytes(const Parse& parse, const Quotable::Span& span, std::bitset<256>& bytes) const;
    void become(Step step);
    void drop_unused_frames();
    std::optional<std::string> slot_of(bool all) const;

    std::shared_ptr<const Grammar> grammar_;
    std::vector<Parse> parses_;
    bool ended_ = false;          // a parse has come to the end of root
    Quotable::Span span_;         // of the quotation that parses stand in
    std::optional<Quoted> left_;  // by what may be the first bytes of its closing mark
    std::vector<Quoted> quoted_;
    std::size_t taken_ = 0;      // bytes
    unsigned continuation_ = 0;  // bytes that the current character still lacks
    std::bitset<256> first_bytes_;
    mutable std::vector<Frame> frames_;  // grows while looking ahead and is cut back after it
};

}  // namespace jiphyeon
