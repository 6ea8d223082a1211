// What the chunkers share: a document as lines with their places, and chunks in the making.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/ingest.hpp"
#include "structure.hpp"

namespace jiphyeon {

inline constexpr std::size_t kChunkLetters = 900;

struct Line {
    std::string text;
    std::optional<Mark> mark;
    BlockKind kind = BlockKind::paragraph;
    std::uint32_t level = 0;
    std::uint32_t page = 0;
    bool page_exact = false;
    std::vector<Box> boxes;
    const Block* table = nullptr;  // a table stands here; text is empty
};
std::vector<Line> lines_of(const Document& document);

std::size_t letters(std::string_view text);  // code points
// At most `most` letters, with "…" where it was cut.
std::string shortened(std::string_view text, std::size_t most);
// Parts of at most `most` letters, cut after sentences where it can be. Offsets into `text`.
struct Span {
    std::size_t start = 0, end = 0;
};
std::vector<Span> sentence_parts(std::string_view text, std::size_t most);

// Collects finished chunks; gives them their ordinal and what they have from the record.
class ChunkList {
public:
    ChunkList(const DocumentRecord& record, std::string title) : record_(record), title_(std::move(title)) {}
    // `path`: breadcrumb under the title. `lines`: where the text comes from.
    void add(ChunkKind kind, const std::vector<std::string>& path, std::string section, std::string text,
             const std::vector<const Line*>& lines);
    void add(ChunkKind kind, const std::vector<std::string>& path, std::string text, Place place);
    // The title stands before every chunk already.
    bool is_title(const std::string& text) const { return text == title_; }
    std::vector<Chunk> take() { return std::move(chunks_); }

private:
    const DocumentRecord& record_;
    std::string title_;
    std::vector<Chunk> chunks_;
};

// Rows as "header: value", in groups of at most kChunkLetters letters.
void chunk_table(ChunkList& out, const Line& line, const std::vector<std::string>& path,
                 const std::string& section, const std::string& caption, bool spreadsheet, ChunkKind kind);
// Lines [begin, end) as items under their parents.
void chunk_outline(ChunkList& out, const std::vector<Line>& lines, std::size_t begin, std::size_t end,
                   std::vector<std::string> path, const std::string& section, bool spreadsheet,
                   ChunkKind kind);
// Lines as articles; false (and nothing added) where the document has none.
bool chunk_statute(ChunkList& out, const std::vector<Line>& lines);

}  // namespace jiphyeon
