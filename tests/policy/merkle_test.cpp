// Goal: roots and proofs are those of RFC 6962. Method: the published roots of the reference test data, and
// for every pair of sizes up to 70 a recursion written straight from the RFC's definitions.
#include "merkle.hpp"

#include <gtest/gtest.h>

#include <string>

using namespace jiphyeon;

namespace {

using Leaves = std::vector<Digest>;

Digest definition_root(const Leaves& leaves, std::size_t begin, std::size_t end)
{
    if (begin == end) return crypto::sha256("");
    if (end - begin == 1) return leaves[begin];
    std::size_t split = 1;
    while (split * 2 < end - begin) split *= 2;
    return node_hash(definition_root(leaves, begin, begin + split),
                     definition_root(leaves, begin + split, end));
}

Leaves numbered_leaves(std::size_t count)
{
    Leaves out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(leaf_hash("leaf " + std::to_string(i)));
    return out;
}

struct Tree {
    MerkleFrontier frontier;
    std::vector<Digest> stored;
    void add(const Digest& leaf)
    {
        for (const Digest& hash : frontier.append(leaf)) stored.push_back(hash);
    }
    MerkleView view() const
    {
        return MerkleView([this](std::uint64_t place) { return stored.at(place); });
    }
};

Tree tree_of(const Leaves& leaves)
{
    Tree tree;
    for (const Digest& leaf : leaves) tree.add(leaf);
    return tree;
}

std::string bytes_of_hex(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
    return out;
}

}  // namespace

// The eight entries and roots that the reference implementations of RFC 6962 test with.
TEST(Merkle, RootsOfTheReferenceEntries)
{
    const std::vector<std::string> entries = {
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
    const std::vector<std::string> roots = {
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
    Tree tree;
    EXPECT_EQ(crypto::hex(tree.frontier.root()),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (std::size_t i = 0; i < entries.size(); ++i) {
        tree.add(leaf_hash(bytes_of_hex(entries[i])));
        EXPECT_EQ(crypto::hex(tree.frontier.root()), roots[i]) << i + 1;
    }
}

TEST(Merkle, RootsOfEverySizeAgreeWithTheDefinition)
{
    const Leaves leaves = numbered_leaves(70);
    const Tree whole = tree_of(leaves);
    Tree growing;
    for (std::size_t size = 0; size <= leaves.size(); ++size) {
        const Digest expected = definition_root(leaves, 0, size);
        EXPECT_EQ(growing.frontier.root(), expected) << size;
        EXPECT_EQ(whole.view().root(size), expected) << size;
        EXPECT_EQ(growing.stored.size(), stored_count(size));
        const MerkleFrontier again =
            MerkleFrontier::of([&whole](std::uint64_t place) { return whole.stored.at(place); }, size);
        EXPECT_EQ(again.root(), expected) << size;
        if (size < leaves.size()) growing.add(leaves[size]);
    }
}

TEST(Merkle, EveryInclusionProofHoldsForItsLeafAlone)
{
    const Leaves leaves = numbered_leaves(40);
    const Tree tree = tree_of(leaves);
    for (std::uint64_t size = 1; size <= leaves.size(); ++size) {
        const Digest root = tree.view().root(size);
        for (std::uint64_t leaf = 0; leaf < size; ++leaf) {
            const std::vector<Digest> proof = tree.view().inclusion_proof(leaf, size);
            EXPECT_LE(proof.size(), 6u);
            EXPECT_TRUE(verify_inclusion(leaves[leaf], leaf, size, root, proof));
            EXPECT_FALSE(verify_inclusion(leaves[(leaf + 1) % 40], leaf, size, root, proof));
            EXPECT_FALSE(verify_inclusion(leaves[leaf], leaf + size, size, root, proof));
            if (size > 1) {
                EXPECT_FALSE(verify_inclusion(leaves[leaf], (leaf + 1) % size, size, root, proof));
            }
            std::vector<Digest> longer = proof;
            longer.push_back(leaves[0]);
            EXPECT_FALSE(verify_inclusion(leaves[leaf], leaf, size, root, longer));
            if (proof.empty()) continue;
            std::vector<Digest> shorter(proof.begin(), proof.end() - 1);
            EXPECT_FALSE(verify_inclusion(leaves[leaf], leaf, size, root, shorter));
            std::vector<Digest> changed = proof;
            changed[changed.size() / 2][7] ^= 1;
            EXPECT_FALSE(verify_inclusion(leaves[leaf], leaf, size, root, changed));
        }
    }
}

TEST(Merkle, EveryConsistencyProofHoldsForItsRootsAlone)
{
    const Leaves leaves = numbered_leaves(40);
    const Tree tree = tree_of(leaves);
    const Digest other = leaf_hash("another history");
    for (std::uint64_t to = 0; to <= leaves.size(); ++to) {
        for (std::uint64_t from = 0; from <= to; ++from) {
            const std::vector<Digest> proof = tree.view().consistency_proof(from, to);
            const Digest from_root = tree.view().root(from), to_root = tree.view().root(to);
            EXPECT_TRUE(verify_consistency(from, from_root, to, to_root, proof)) << from << " " << to;
            EXPECT_FALSE(verify_consistency(from, other, to, to_root, proof)) << from << " " << to;
            if (from > 0) {
                EXPECT_FALSE(verify_consistency(from, from_root, to, other, proof)) << from << " " << to;
            }
            std::vector<Digest> longer = proof;
            longer.push_back(other);
            EXPECT_FALSE(verify_consistency(from, from_root, to, to_root, longer)) << from << " " << to;
            if (from < to) {
                EXPECT_FALSE(verify_consistency(to, to_root, from, from_root, proof));
            }
            if (proof.empty()) continue;
            EXPECT_FALSE(verify_consistency(from, from_root, to, to_root, {proof.begin(), proof.end() - 1}));
        }
    }
}
