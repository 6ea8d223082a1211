#include "merkle.hpp"

#include <bit>
#include <cassert>

#include "audit_bytes.hpp"

namespace jiphyeon {

namespace {

std::uint64_t split_of(std::uint64_t size)
{
    return std::bit_floor(size - 1);
}  // size > 1

}  // namespace

Digest node_hash(const Digest& left, const Digest& right)
{
    std::string bytes(1, '\1');
    bytes += as_text(left);
    bytes += as_text(right);
    return crypto::sha256(bytes);
}

// The k-th leaf lies behind k leaves and k/2 + k/4 + … nodes completed before it; a node at `level` follows
// the last leaf below it by `level` places.
std::uint64_t stored_index(unsigned level, std::uint64_t n)
{
    std::uint64_t leaf = n;
    for (unsigned i = 0; i < level; ++i) leaf = 2 * leaf + 1;
    std::uint64_t index = 0;
    for (std::uint64_t count = leaf; count > 0; count /= 2) index += count;
    return index + level;
}

std::uint64_t stored_count(std::uint64_t leaves)
{
    std::uint64_t count = 0;
    for (std::uint64_t perfect = leaves; perfect > 0; perfect /= 2) count += perfect;
    return count;
}

Digest MerkleView::subtree(std::uint64_t begin, std::uint64_t end) const
{
    const std::uint64_t size = end - begin;
    // Every subtree that the recursion cuts off on the left is perfect and stands at a multiple of its size.
    if (std::has_single_bit(size))
        return read_(stored_index(static_cast<unsigned>(std::countr_zero(size)), begin / size));
    const std::uint64_t middle = begin + split_of(size);
    return node_hash(subtree(begin, middle), subtree(middle, end));
}

Digest MerkleView::root(std::uint64_t size) const
{
    return size == 0 ? crypto::sha256("") : subtree(0, size);
}

std::vector<Digest> MerkleView::inclusion_proof(std::uint64_t leaf, std::uint64_t size) const
{
    assert(leaf < size);
    std::vector<Digest> from_top;
    for (std::uint64_t begin = 0, end = size; end - begin > 1;) {
        const std::uint64_t middle = begin + split_of(end - begin);
        if (leaf < middle) {
            from_top.push_back(subtree(middle, end));
            end = middle;
        } else {
            from_top.push_back(subtree(begin, middle));
            begin = middle;
        }
    }
    return {from_top.rbegin(), from_top.rend()};
}

std::vector<Digest> MerkleView::consistency_proof(std::uint64_t from, std::uint64_t to) const
{
    assert(from <= to);
    if (from == 0 || from == to) return {};
    std::vector<Digest> from_top;
    std::uint64_t begin = 0, end = to;
    while (end != from) {
        const std::uint64_t middle = begin + split_of(end - begin);
        if (from <= middle) {
            from_top.push_back(subtree(middle, end));
            end = middle;
        } else {
            from_top.push_back(subtree(begin, middle));
            begin = middle;
        }
    }
    if (begin != 0) from_top.push_back(subtree(begin, end));  // else it is the old root, which is known
    return {from_top.rbegin(), from_top.rend()};
}

MerkleFrontier MerkleFrontier::of(const MerkleView::Read& read, std::uint64_t size)
{
    MerkleFrontier out;
    out.size_ = size;
    std::uint64_t begin = 0;
    for (std::uint64_t rest = size; rest > 0;) {
        const std::uint64_t peak = std::bit_floor(rest);
        out.peaks_.push_back(read(stored_index(static_cast<unsigned>(std::countr_zero(peak)), begin / peak)));
        begin += peak;
        rest -= peak;
    }
    return out;
}

std::vector<Digest> MerkleFrontier::append(const Digest& leaf)
{
    std::vector<Digest> completed = {leaf};
    for (std::uint64_t bits = size_; bits & 1; bits >>= 1) {
        completed.push_back(node_hash(peaks_.back(), completed.back()));
        peaks_.pop_back();
    }
    peaks_.push_back(completed.back());
    ++size_;
    return completed;
}

Digest MerkleFrontier::root() const
{
    if (peaks_.empty()) return crypto::sha256("");
    Digest root = peaks_.back();
    for (auto peak = peaks_.rbegin() + 1; peak != peaks_.rend(); ++peak) root = node_hash(*peak, root);
    return root;
}

// RFC 9162, 2.1.3.2.
bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size, const Digest& root,
                      const std::vector<Digest>& proof)
{
    if (index >= size) return false;
    std::uint64_t at = index, last = size - 1;
    Digest hash = leaf;
    for (const Digest& sibling : proof) {
        if (last == 0) return false;
        if ((at & 1) || at == last) {
            hash = node_hash(sibling, hash);
            for (; !(at & 1) && at != 0; at >>= 1) last >>= 1;
        } else {
            hash = node_hash(hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && hash == root;
}

// RFC 9162, 2.1.4.2.
bool verify_consistency(std::uint64_t from, const Digest& from_root, std::uint64_t to, const Digest& to_root,
                        const std::vector<Digest>& proof)
{
    if (from > to) return false;
    if (from == to) return proof.empty() && from_root == to_root;
    if (from == 0) return proof.empty() && from_root == crypto::sha256("");
    std::vector<Digest> path = proof;
    if (std::has_single_bit(from)) path.insert(path.begin(), from_root);
    if (path.empty()) return false;
    std::uint64_t at = from - 1, last = to - 1;
    for (; at & 1; at >>= 1) last >>= 1;
    Digest old_hash = path[0], new_hash = path[0];
    for (std::size_t i = 1; i < path.size(); ++i) {
        if (last == 0) return false;
        if ((at & 1) || at == last) {
            old_hash = node_hash(path[i], old_hash);
            new_hash = node_hash(path[i], new_hash);
            for (; !(at & 1) && at != 0; at >>= 1) last >>= 1;
        } else {
            new_hash = node_hash(new_hash, path[i]);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && old_hash == from_root && new_hash == to_root;
}

}  // namespace jiphyeon
