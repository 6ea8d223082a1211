// BM25 over the postings that a Scope covers, exactly and exhaustively.
#pragma once

#include <rocksdb/db.h>

#include <span>
#include <vector>

#include "catalog.hpp"
#include "segmented.hpp"
#include "vectors.hpp"

namespace jiphyeon {

struct PostingsSource {
    rocksdb::DB* db = nullptr;
    rocksdb::ColumnFamilyHandle* family = nullptr;
    const rocksdb::Snapshot* snapshot = nullptr;
    const Segmented<Lengths>* lengths = nullptr;  // by chunk
};

// The k best, of equal ones the lower chunk number.
std::vector<ScoredChunk> bm25(const PostingsSource& source, std::span<const Term> query, std::size_t k,
                              const Visible& visible, const LexicalOptions& options);
std::vector<float> term_idf(const PostingsSource& source, std::span<const Term> terms,
                            const Visible& visible);

}  // namespace jiphyeon
