// A set of texts as a trie over bytes: all that begin at a place of a text are met in one walk.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

class PieceTrie {
public:
    // In any order. Of equal texts the one with the least id counts; empty texts are left out.
    explicit PieceTrie(std::vector<std::pair<std::string_view, TokenId>> pieces);

    struct Place {
        std::uint32_t node = 0;
    };
    // One byte on; false where no piece goes on so.
    bool step(Place& place, std::uint8_t byte) const;
    TokenId id_at(Place place) const { return nodes_[place.node].id; }  // -1: no piece ends here

    struct Match {
        std::size_t length = 0;  // bytes; 0: no piece begins the text
        TokenId id = -1;
    };
    Match longest(std::string_view text) const;

private:
    struct Node {
        std::uint32_t children = 0;
        TokenId id = -1;
        std::uint16_t count = 0;
        std::uint8_t byte = 0;
    };
    std::vector<Node> nodes_;  // the children of a node lie together, in order of their bytes
};

}  // namespace jiphyeon
