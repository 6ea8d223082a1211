// Keys and values of tokens that were computed, in pages of 256 positions, and the tree of pages that are
// kept so that a later prompt with the same beginning need not compute them again.
//
// A page holds 256 consecutive positions (counted from 0, as the chunks of attention) of all layers. What is
// in it depends on nothing but the tokens up to there, so a shared page gives the same bits as a computed
// one. Pages that belong to the tree are never written; a page that is shared only in part is copied.
//
// Threads: PrefixCache may be used by any number at once; a sequence by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/llm_engine.hpp"
#include "kernels.hpp"

namespace jiphyeon {

struct KvShape {
    std::size_t layers = 0;
    std::size_t heads = 0;  // of keys and values
    std::size_t head_size = 0;

    std::size_t plane() const
    {
        return kChunkPositions * head_size;
    }  // numbers of one head's keys, or values
    std::size_t page_bytes() const { return layers * heads * 2 * plane() * sizeof(std::uint16_t); }
};

// f16. Keys: [16 groups][head_size][16 positions]; values: [256 positions][head_size].
class KvPage {
public:
    explicit KvPage(const KvShape& shape);
    std::uint16_t* keys(std::size_t layer, std::size_t head) { return at(layer, head); }
    std::uint16_t* values(std::size_t layer, std::size_t head) { return at(layer, head) + shape_.plane(); }
    // Only what lies before `positions` need be sound in the copy.
    std::shared_ptr<KvPage> copy(std::size_t positions) const;

private:
    std::uint16_t* at(std::size_t layer, std::size_t head)
    {
        return numbers_.get() + (layer * shape_.heads + head) * 2 * shape_.plane();
    }
    KvShape shape_;
    std::unique_ptr<std::uint16_t[]> numbers_;
};

// Pages are shared between a sequence and the tree, and between sequences.
using KvPages = std::vector<std::shared_ptr<KvPage>>;

class PrefixCache {
public:
    PrefixCache(const KvShape& shape, std::size_t bytes_max) : shape_(shape), bytes_max_(bytes_max) {}

    struct Found {
        KvPages pages;
        std::size_t tokens = 0;  // positions that are done
    };
    // The longest known beginning of `prompt` that leaves at least one token to compute. Nothing for domain
    // "".
    Found find(std::string_view domain, std::span<const TokenId> prompt);
    // Keeps the pages of `tokens`, whose last page may be filled in part. They must not be written again.
    // Beyond the limit of bytes there are only pages that a caller still holds.
    void keep(std::string_view domain, std::span<const TokenId> tokens, KvPages pages);

    std::size_t bytes() const;

private:
    struct Node {
        std::vector<TokenId> tokens;  // at most 256; fewer only in a leaf
        std::shared_ptr<KvPage> page;
        std::uint64_t used = 0;
        std::vector<std::unique_ptr<Node>> children;
    };
    void evict_to(std::size_t pages);
    static std::size_t common(const Node& node, std::span<const TokenId> tokens);

    const KvShape shape_;
    const std::size_t bytes_max_;
    mutable std::mutex mutex_;
    std::map<std::string, Node, std::less<>> roots_;  // by domain; a root has no page
    std::size_t pages_ = 0;
    std::uint64_t clock_ = 0;
};

}  // namespace jiphyeon
