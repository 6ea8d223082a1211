#include "piece_trie.hpp"

#include <algorithm>

namespace jiphyeon {

PieceTrie::PieceTrie(std::vector<std::pair<std::string_view, TokenId>> pieces) : nodes_(1)
{
    std::sort(pieces.begin(), pieces.end());  // by bytes, as unsigned
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
    pieces.erase(std::unique(pieces.begin(), pieces.end(), same), pieces.end());
    if (!pieces.empty() && pieces.front().first.empty()) pieces.erase(pieces.begin());

    // Breadth first: a node stands for the pieces [first, last) that share their first `depth` bytes.
    struct Open {
        std::uint32_t node;
        std::size_t first, last, depth;
    };
    std::vector<Open> level = {{0, 0, pieces.size(), 0}};
    while (!level.empty()) {
        std::vector<Open> next;
        for (Open open : level) {
            if (open.first < open.last && pieces[open.first].first.size() == open.depth) {
                nodes_[open.node].id = pieces[open.first++].second;
            }
            nodes_[open.node].children = static_cast<std::uint32_t>(nodes_.size());
            while (open.first < open.last) {
                const char byte = pieces[open.first].first[open.depth];
                std::size_t end = open.first;
                while (end < open.last && pieces[end].first[open.depth] == byte) ++end;
                next.push_back({static_cast<std::uint32_t>(nodes_.size()), open.first, end, open.depth + 1});
                nodes_.push_back({.byte = static_cast<std::uint8_t>(byte)});
                ++nodes_[open.node].count;
                open.first = end;
            }
        }
        level = std::move(next);
    }
}

bool PieceTrie::step(Place& place, std::uint8_t byte) const
{
    const Node& node = nodes_[place.node];
    const auto first = nodes_.begin() + node.children;
    const auto last = first + node.count;
    const auto child =
        std::lower_bound(first, last, byte, [](const Node& a, std::uint8_t b) { return a.byte < b; });
    if (child == last || child->byte != byte) return false;
    place.node = static_cast<std::uint32_t>(child - nodes_.begin());
    return true;
}

PieceTrie::Match PieceTrie::longest(std::string_view text) const
{
    Match best;
    Place place;
    for (std::size_t end = 0; end < text.size() && step(place, static_cast<std::uint8_t>(text[end]));) {
        ++end;
        if (id_at(place) >= 0) best = {end, id_at(place)};
    }
    return best;
}

}  // namespace jiphyeon
