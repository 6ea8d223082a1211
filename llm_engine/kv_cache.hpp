// Keys and values of tokens that were computed, in pages of 256 positions, and the tree of pages that are
// kept so that a later prompt with the same beginning need not compute them again.
//
// A page holds 256 consecutive positions (counted from 0, as the chunks of attention) of all layers. What is
// in it depends on nothing but the tokens up to there and its type, so a shared page gives the same bits as a
// computed one. Pages that belong to the tree are never written; a page that is shared only in part is
// copied.
//
// Of pages that memory has no room for, the full ones may go to a file (page_file.hpp), where the tree still
// knows them. Pages of two domains never meet: the tree is one for each, and a page in the file opens only
// for the domain and tokens that it was sealed for.
//
// Threads: PrefixCache may be used by any number at once; a sequence by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aligned.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "kernels.hpp"
#include "page_file.hpp"

namespace jiphyeon {

struct KvShape {
    std::size_t layers = 0;
    std::size_t heads = 0;  // of keys and values
    std::size_t head_size = 0;
    KvType type = KvType::f16;

    // Bytes that one head's keys, and values, of 16 positions take.
    // f16: keys [head_size][16], values [16][head_size].
    // q8: keys by kKeyBlock, each int8 [kKeyBlock / 2][16][2] and its scales f16 [16];
    //     values int8 [8][head_size][2] and their scales f16 [16].
    std::size_t keys_of_16() const
    {
        return type == KvType::f16 ? 32 * head_size : head_size / kKeyBlock * kKeyBlockBytes;
    }
    std::size_t values_of_16() const { return type == KvType::f16 ? 32 * head_size : 16 * (head_size + 2); }
    // Of all positions of a page.
    std::size_t keys_bytes() const { return kChunkPositions / 16 * keys_of_16(); }
    std::size_t head_bytes() const { return keys_bytes() + kChunkPositions / 16 * values_of_16(); }
    std::size_t page_bytes() const { return layers * heads * head_bytes(); }
};

// For each layer and head the keys, then the values, of 16 times 16 positions.
class KvPage {
public:
    explicit KvPage(const KvShape& shape);
    const std::uint8_t* keys(std::size_t layer, std::size_t head) const { return at(layer, head); }
    const std::uint8_t* values(std::size_t layer, std::size_t head) const
    {
        return at(layer, head) + shape_.keys_bytes();
    }
    // key, value: shape.head_size numbers each. Threads may store different positions at once.
    void store(const Kernels& kernels, std::size_t layer, std::size_t head, std::size_t position,
               const float* key, const float* value);
    std::span<char> bytes() { return {reinterpret_cast<char*>(bytes_.get()), shape_.page_bytes()}; }
    // Only what lies before `positions` need be sound in the copy.
    std::shared_ptr<KvPage> copy(std::size_t positions) const;

private:
    std::uint8_t* at(std::size_t layer, std::size_t head) const
    {
        return bytes_.get() + (layer * shape_.heads + head) * shape_.head_bytes();
    }
    KvShape shape_;
    AlignedBytes bytes_;
};

// Pages are shared between a sequence and the tree, and between sequences.
using KvPages = std::vector<std::shared_ptr<KvPage>>;

class PrefixCache {
public:
    // bytes_max: of pages in memory. file: for those beyond; null: they are forgotten.
    PrefixCache(const KvShape& shape, std::size_t bytes_max, std::unique_ptr<PageFile> file = nullptr);

    struct Found {
        // A page in the file.
        struct Stored {
            std::size_t slot;
            Digest identity;
            std::size_t tokens;  // of it that are of use
        };
        KvPages pages;
        std::size_t tokens = 0;  // positions that are done
        // Pages at the front that are within the cache's own bytes. The others the finder must have room for:
        // they would stay when those leave that had it, and the cache cannot let go of them.
        std::size_t shared = 0;
        std::vector<Stored> stored;  // those that follow
    };
    // The longest known beginning of `prompt` that leaves at least one token to compute, as far as it is in
    // memory, and where to find the rest. Nothing for domain "".
    Found find(std::string_view domain, std::span<const TokenId> prompt);
    // Reads what is stored, in new memory, as far as it is still there.
    void load(Found& found);
    // Keeps the pages of `tokens`, whose last page may be filled in part. They must not be written again.
    // Beyond the limit of bytes there are then only pages that a caller still holds.
    void keep(std::string_view domain, std::span<const TokenId> tokens, KvPages pages);

    std::size_t bytes() const;

private:
    // A page may be in memory, then so are those before it; or in the file; or in both, or lost.
    struct Node {
        std::vector<TokenId> tokens;  // at most 256; fewer only in a leaf
        Digest identity{};            // of the domain and all tokens up to here
        std::shared_ptr<KvPage> page;
        std::optional<std::size_t> slot;
        std::uint64_t used = 0;
        std::vector<std::unique_ptr<Node>> children;
    };
    void set(Node& node, const Node& parent, std::span<const TokenId> tokens, std::shared_ptr<KvPage> page);
    void evict();
    void store(Node& node, std::unique_lock<std::mutex>& lock);
    void free_slot(Node& node);
    template <typename May>
    Node* oldest(const May& may);
    static std::size_t common(const Node& node, std::span<const TokenId> tokens);
    static void prune(Node& node);

    const KvShape shape_;
    const std::size_t bytes_max_;
    const std::unique_ptr<PageFile> file_;
    std::mutex evicting_;  // held while pages are written; taken before mutex_
    mutable std::mutex mutex_;
    // Guarded by mutex_. Nodes are taken out under both.
    std::map<std::string, Node, std::less<>> roots_;  // by domain; a root has no page
    std::vector<std::size_t> free_slots_;
    std::size_t pages_ = 0;  // in memory
    std::uint64_t clock_ = 0;
};

}  // namespace jiphyeon
