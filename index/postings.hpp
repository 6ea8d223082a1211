// Postings: which chunks hold a term, and how often. A row holds those of one term, one label and one bucket
// of 65,536 chunk numbers, so that a reader touches only rows of labels he has, and no row grows without
// bound.
//
// A commit appends to a row by a merge operand; RocksDB folds the operands when it flushes and compacts. An
// operand or row is one byte of kind and a list; kDrop takes chunks out again. Chunk numbers are never used
// twice, so an add never follows a drop of the same chunk and operands may be folded in any grouping.
#pragma once

#include <rocksdb/compaction_filter.h>
#include <rocksdb/merge_operator.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/index.hpp"

namespace jiphyeon {

inline constexpr unsigned kBucketBits = 16;

struct Posting {
    std::uint32_t chunk = 0;
    std::uint32_t count = 0;  // of the term in the chunk; 0 in a drop
    auto operator<=>(const Posting&) const = default;
};

// Of all rows of a term; a term never holds a zero byte.
std::string postings_prefix(Field field, std::string_view term);
std::string postings_key(std::string_view prefix, std::uint32_t label, std::uint32_t bucket);
struct PostingsKey {
    Field field = Field::stem;
    std::string_view term;
    std::uint32_t label = 0, bucket = 0;
};
PostingsKey parse_postings_key(std::string_view key);  // throws IndexError corrupt

enum class PostingsKind : std::uint8_t { add = 1, drop = 2 };
// `list` in ascending order, all within one bucket.
std::string encode_postings(PostingsKind kind, const std::vector<Posting>& list);
// Appends to `list`; chunk numbers are those of `bucket`. Throws IndexError corrupt.
PostingsKind decode_postings(std::string_view bytes, std::uint32_t bucket, std::vector<Posting>& list);

std::shared_ptr<rocksdb::MergeOperator> postings_merge_operator();
// Rows from which every posting has been dropped go at compaction.
const rocksdb::CompactionFilter* empty_postings_filter();

}  // namespace jiphyeon
