// The loop that byte-level BPE and SentencePiece's BPE share: of all neighbours that may be joined, the pair
// of the least cost is, leftmost first, until none is left. Candidates wait in a heap: n log n in the number
// of symbols, also for the run of a megabyte without a space that a hostile document may hold.
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

struct Symbol {
    static constexpr std::uint32_t kNone = 0xFFFFFFFF;
    TokenId id = -1;             // -1: no token is spelt so
    std::uint32_t begin = 0;     // byte of the text
    std::uint32_t size = 0;      // bytes; 0: joined to a neighbour on the left
    std::uint32_t previous = 0;  // kNone before the first
    std::uint32_t next = 0;      // kNone after the last
};

struct Joined {
    TokenId id = 0;
    double cost = 0;
};

inline void append_symbol(std::vector<Symbol>& symbols, TokenId id, std::uint32_t size)
{
    const auto index = static_cast<std::uint32_t>(symbols.size());
    if (index == 0) {
        symbols.push_back({id, 0, size, Symbol::kNone, Symbol::kNone});
        return;
    }
    Symbol& last = symbols.back();
    last.next = index;
    symbols.push_back({id, last.begin + last.size, size, index - 1, Symbol::kNone});
}

// find: std::optional<Joined>(const Symbol& left, const Symbol& right), nullopt where they may not be joined.
// Afterwards what is left are the symbols on the way from the first one along `next`.
template <typename Find>
void join_symbols(std::vector<Symbol>& symbols, const Find& find)
{
    struct Candidate {
        double cost;
        std::uint32_t left;
        std::uint32_t size;  // of both together when the candidate was found
        TokenId id;
        bool operator<(const Candidate& other) const  // the heap's top is the cheapest, then leftmost
        {
            return cost != other.cost ? cost > other.cost : left > other.left;
        }
    };
    std::priority_queue<Candidate> heap;
    const auto consider = [&](std::uint32_t left) {
        if (left == Symbol::kNone || symbols[left].next == Symbol::kNone) return;
        const Symbol& right = symbols[symbols[left].next];
        const std::optional<Joined> joined = find(symbols[left], right);
        if (joined) heap.push({joined->cost, left, symbols[left].size + right.size, joined->id});
    };
    for (std::uint32_t i = 0; i < symbols.size(); ++i) consider(i);
    while (!heap.empty()) {
        const Candidate best = heap.top();
        heap.pop();
        Symbol& left = symbols[best.left];
        // A neighbour may have grown since; its new pair has a candidate of its own.
        if (left.size == 0 || left.next == Symbol::kNone) continue;
        Symbol& right = symbols[left.next];
        if (left.size + right.size != best.size) continue;
        left.id = best.id;
        left.size = best.size;
        left.next = right.next;
        right.size = 0;
        if (left.next != Symbol::kNone) symbols[left.next].previous = best.left;
        consider(left.previous);
        consider(best.left);
    }
}

}  // namespace jiphyeon
