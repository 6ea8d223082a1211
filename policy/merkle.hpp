// The tree of RFC 6962: roots, proofs, and the one file order in which its hashes lie.
//
// All hashes of perfect subtrees are kept, each right after the one that completes it (as in Go's tlog): leaf
// 0, leaf 1, node(0..1), leaf 2, leaf 3, node(2..3), node(0..3), … So a tree only grows at its end, and a
// proof reads about log2(n) places.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "jiphyeon/audit.hpp"

namespace jiphyeon {

Digest node_hash(const Digest& left, const Digest& right);

// Place of the hash of leaves [n * 2^level, (n + 1) * 2^level).
std::uint64_t stored_index(unsigned level, std::uint64_t n);
// How many hashes a tree of so many leaves has stored.
std::uint64_t stored_count(std::uint64_t leaves);

// Computes from stored hashes. `read` gives the hash at a place.
class MerkleView {
public:
    using Read = std::function<Digest(std::uint64_t place)>;
    explicit MerkleView(Read read) : read_(std::move(read)) {}

    Digest root(std::uint64_t size) const;
    std::vector<Digest> inclusion_proof(std::uint64_t leaf, std::uint64_t size) const;  // leaf < size
    std::vector<Digest> consistency_proof(std::uint64_t from, std::uint64_t to) const;  // from <= to

private:
    Digest subtree(std::uint64_t begin, std::uint64_t end) const;

    Read read_;
};

// The roots of the perfect subtrees of a growing tree, largest first: all that the next leaf and the root
// need.
class MerkleFrontier {
public:
    MerkleFrontier() = default;
    static MerkleFrontier of(const MerkleView::Read& read, std::uint64_t size);

    // Returns the hashes that the leaf completes, in file order: its own first.
    std::vector<Digest> append(const Digest& leaf);
    Digest root() const;
    std::uint64_t size() const { return size_; }

private:
    std::uint64_t size_ = 0;
    std::vector<Digest> peaks_;
};

}  // namespace jiphyeon
