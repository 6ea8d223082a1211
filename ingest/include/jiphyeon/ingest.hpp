// From files to documents to chunks in the index; and the batch run that accounts for every file.
//
// Files are foreign: their kind is told by content, never by name, and they are parsed in a caged child
// (`Extractor`), which dies alone. Each file ends as exactly one of indexed, unchanged, refused, quarantined.
//
// Example:
//     Extractor extractor({.program = self, .pdf_program = pdf});
//     const Extraction seen = extractor.extract("규정.hwpx", bytes);
//     Ingest ingest(*index, extractor, {.embed = embed, .inspect = inspect});
//     const IngestReport report = ingest.run({"archive"}, {.label = "public"}, progress, stop);
//
// Threads: Extractor may be used by any number of threads (each takes a child from the pool). One Ingest per
// index; run() from one thread at a time, stop flags from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/index.hpp"

namespace jiphyeon {

class IngestError : public std::runtime_error {
public:
    enum class Kind { io, bad_request, worker };
    IngestError(Kind k, const std::string& detail) : std::runtime_error(detail), kind(k) {}
    Kind kind;
};

// ---- What a parser makes of a file ------------------------------------------------------------------------

enum class BlockKind : std::uint8_t {
    heading,
    paragraph,
    list,
    table,
    note,
    header,
    footer,
    figure,
    equation
};
std::string_view block_kind_name(BlockKind kind);

struct Cell {
    std::string text;
    std::uint32_t row = 0, col = 0, rowspan = 1, colspan = 1;
    bool header = false;
    std::optional<Box> box;
};

struct Block {
    BlockKind kind = BlockKind::paragraph;
    std::string text;        // UTF-8, NFC; tables: rows by newline, cells by tab
    std::uint32_t page = 0;  // 1-based; 0 where the format has no pages
    bool page_exact = false;
    std::uint32_t level = 0;  // headings: 1 is highest; lists: depth from 1
    std::optional<Box> box;   // page is that of `page`
    std::vector<Cell> cells;  // tables, row by row
    std::uint32_t rows = 0, cols = 0;
    float confidence = 1;  // OCR: 0..1
    // Boxes of the lines of `text`: [start, end) in UTF-8 bytes of text. For marking citations and for
    // painting over what is masked.
    struct Line {
        std::size_t start = 0, end = 0;
        Box box;
    };
    std::vector<Line> lines;
};

struct Attachment {  // a file in the file: mail attachment, archive member
    std::string name;
    std::string bytes;
};

struct Document {
    std::string format;  // "hwpx", "hwp", "pdf", "docx", "xlsx", "odt", "text", "html", "eml", "image", "zip"
    std::string title;
    std::string author;
    std::uint32_t pages = 0;
    std::vector<Block> blocks;
    std::vector<Attachment> attachments;
    std::string document_number;
    std::optional<Day> effective_from, effective_to;
    bool withdrawn = false;
    bool scanned = false;  // text came from OCR
    std::vector<std::string>
        warnings;  // "12 invisible characters removed", "page 3: text layer unusable, read by OCR"

    // Set by the batch run, for render_page: what was masked, and in a scan with something masked all that
    // was not read (veil.hpp). Where something hidden has no box, its page has no image to show (0: no page
    // of the document has).
    std::vector<Box> hidden;
    std::vector<std::uint32_t> hidden_pages;

    // The attachments' bytes are not part of it, only their names.
    std::string to_json() const;
    static Document from_json(std::string_view json);  // throws IngestError bad_request
};

// Why a file gives no document. Both are final for these bytes, but another version of us may read them.
struct NotRead {
    bool refused = false;  // refused: we understand what it is and must not or cannot (password, secret mark,
                           // DRM, unknown kind, empty); else quarantined: broken, too large, took too long
    std::string
        kind;  // "password", "empty", "truncated", "bomb", "unknown_format", "too_large", "timeout", …
    std::string reason;  // Korean, for the librarian, with the place where one is known
};
struct Extraction {
    std::optional<Document> document;
    std::optional<NotRead> not_read;  // exactly one of both
};

struct ExtractorOptions {
    std::filesystem::path program;      // started with {"worker", "parse"}; must call serve_parser
    std::filesystem::path pdf_program;  // the PDF program (poppler, GPL), started without arguments
    std::filesystem::path tessdata;     // empty: Debian's folder
    unsigned workers = 2;
    std::uint64_t memory_bytes = 2ull << 30;
    std::uint32_t timeout_s = 120;  // per file, and 60 s more per scanned page
    std::uint64_t file_bytes_max = 1ull << 30;
};

class Extractor {
public:
    explicit Extractor(ExtractorOptions options);
    ~Extractor();
    // `name` helps the title and messages only.
    Extraction extract(const std::string& name, std::string_view bytes);
    // A page as PNG, painted black over `hidden`. nullopt where the format has no pages to show.
    std::optional<std::string> render_page(std::string_view bytes, std::uint32_t page, unsigned dpi,
                                           std::span<const Box> hidden);

private:
    struct Pool;
    std::unique_ptr<Pool> pool_;
};
int serve_parser(int socket_fd);  // the child's side

// ---- Chunks -----------------------------------------------------------------------------------------------

// Structure first: 조 (split at 항, then 호 groups, above about 900 characters, each with its breadcrumb and
// lead sentence), 개조식 items under their parents, tables by row groups with header row; never across 조.
std::vector<Chunk> chunk_document(const Document& document, const DocumentRecord& record);

// ---- The batch run ----------------------------------------------------------------------------------------

using Embed = std::function<std::vector<float>(std::span<const std::string> passages)>;

struct Inspection {
    std::optional<std::string> secret_mark;  // refuse the file
    std::string text;                        // masked
    struct Piece {
        std::size_t start, end, masked_start, masked_end;
    };
    std::vector<Piece> pieces;
};
using Inspect = std::function<Inspection(std::string_view text)>;

enum class FileState : std::uint8_t { indexed, unchanged, refused, quarantined };
std::string_view file_state_name(FileState state);

struct FileOutcome {
    std::string path;  // members of archives: "a.zip!/b.pdf"
    FileState state = FileState::indexed;
    std::string reason;
    std::string document_id;
};

struct IngestReport {
    std::uint64_t indexed = 0, unchanged = 0, refused = 0, quarantined = 0;
    std::uint64_t pages = 0, chunks = 0;
    double seconds = 0;
    bool stopped = false;
    std::vector<FileOutcome> files;
};

struct IngestProgress {
    std::uint64_t files_done = 0, files_total = 0;
    std::uint64_t pages_done = 0;
    std::uint64_t embedded = 0, to_embed = 0;
    double files_per_s = 0;
    std::optional<double> seconds_left;  // once there is a rate to judge by
    std::string current;                 // path
};

struct IngestOptions {
    Embed embed;              // may be empty: then nothing is embedded
    std::string embed_model;  // fingerprint stored with the vectors
    Inspect inspect;
    // Canonical text of a label as a folder's file or a corpus line gives it; throws where it is none (the
    // file is then refused). Empty: taken as it is.
    std::function<std::string(std::string_view)> canonical_label;
    // Called before a document is stored and before passages are embedded, from their threads: may wait a
    // while for what is more urgent. May be empty.
    std::function<void()> give_way;
};

// The label of what nobody labelled. It is no Label of policy's, so nobody is granted it.
inline constexpr const char* kUnlabelled = "unlabelled";

struct RunOptions {
    std::string
        label;  // canonical; empty: the folder's rule (file `.label` in the folder or above), else nobody
    bool embed = true;   // wait for the vectors as well
    bool retry = false;  // quarantined files with unchanged bytes too
};

class Ingest {
public:
    Ingest(Index& index, Extractor& extractor, IngestOptions options);
    ~Ingest();
    // Files, folders (recursively, in order of names), archives, `.jsonl` corpora. Resumes: what the journal
    // says is done with the same bytes and label is `unchanged`. Throws IngestError, IndexError; what was
    // committed before stays.
    IngestReport run(std::span<const std::filesystem::path> paths, const RunOptions& options,
                     const std::function<void(const IngestProgress&)>& progress,
                     const std::atomic<bool>* stop = nullptr);
    // Embeds what has no vector yet. Returns how many.
    std::uint64_t embed_missing(const std::function<void(const IngestProgress&)>& progress,
                                const std::atomic<bool>* stop = nullptr);
    std::vector<FileOutcome> journal() const;
    std::vector<FileOutcome> quarantine() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace jiphyeon
