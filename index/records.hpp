// What a document's and a chunk's row hold. Layout: FORMAT.md.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/index.hpp"

namespace jiphyeon {

inline constexpr std::size_t kFields = 3;
using Lengths = std::array<std::uint32_t, kFields>;  // terms of a chunk per Field

struct StoredDocument {
    // As given; state, superseded_by and an end of force that only a successor brings follow from the
    // catalog.
    DocumentRecord record;
    std::uint32_t first_chunk = 0;  // number of its first chunk; the others follow
    std::vector<Lengths> lengths;   // one per chunk
};

std::string encode_document(const StoredDocument& stored);
StoredDocument decode_document(std::string_view bytes);  // throws IndexError corrupt, wrong_version

std::string encode_chunk(const Chunk& chunk);
Chunk decode_chunk(std::string_view bytes);

}  // namespace jiphyeon
