#include "records.hpp"

#include "bytes.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint8_t kDocumentFormat = 1;
constexpr std::uint8_t kChunkFormat = 1;

void expect_format(std::uint8_t found, std::uint8_t known, const char* what)
{
    if (found != known) {
        throw IndexError(IndexError::Kind::wrong_version,
                         std::string(what) + " row of format " + std::to_string(found));
    }
}

void expect_end(const ByteReader& in, const char* what)
{
    if (!in.done()) {
        throw IndexError(IndexError::Kind::corrupt, std::string(what) + " row is longer than it says");
    }
}

void write_day(ByteWriter& out, const std::optional<Day>& day)
{
    out.byte(day ? 1 : 0);
    if (day) out.zigzag(*day);
}

std::optional<Day> read_day(ByteReader& in)
{
    if (in.byte() == 0) return std::nullopt;
    return static_cast<Day>(in.zigzag());
}

std::uint16_t read_thousandths(ByteReader& in)
{
    return static_cast<std::uint16_t>(in.varint());
}

}  // namespace

std::string encode_document(const StoredDocument& stored)
{
    std::string bytes;
    ByteWriter out(bytes);
    const DocumentRecord& r = stored.record;
    out.byte(kDocumentFormat);
    for (const std::string* text : {&r.id, &r.source_id, &r.title, &r.format, &r.content_sha256, &r.label,
                                    &r.document_number, &r.supersedes}) {
        out.text(*text);
    }
    out.varint(r.version);
    write_day(out, r.effective_from);
    write_day(out, r.effective_to);
    out.byte(r.state == DocumentState::withdrawn ? 1 : 0);
    out.varint(r.pages);
    out.varint(r.masked);
    out.zigzag(r.stored_us);
    out.varint(stored.first_chunk);
    out.varint(stored.lengths.size());
    for (const Lengths& lengths : stored.lengths) {
        for (const std::uint32_t length : lengths) out.varint(length);
    }
    return bytes;
}

StoredDocument decode_document(std::string_view bytes)
{
    ByteReader in(bytes);
    expect_format(in.byte(), kDocumentFormat, "document");
    StoredDocument stored;
    DocumentRecord& r = stored.record;
    for (std::string* text : {&r.id, &r.source_id, &r.title, &r.format, &r.content_sha256, &r.label,
                              &r.document_number, &r.supersedes}) {
        *text = in.text();
    }
    r.version = in.varint32();
    r.effective_from = read_day(in);
    r.effective_to = read_day(in);
    if (in.byte() != 0) r.state = DocumentState::withdrawn;
    r.pages = in.varint32();
    r.masked = in.varint32();
    r.stored_us = in.zigzag();
    stored.first_chunk = in.varint32();
    const std::uint32_t count = in.varint32();
    for (std::uint32_t i = 0; i < count; ++i) {
        Lengths& lengths = stored.lengths.emplace_back();
        for (std::uint32_t& length : lengths) length = in.varint32();
    }
    r.chunks = count;
    expect_end(in, "document");
    return stored;
}

std::string encode_chunk(const Chunk& chunk)
{
    std::string bytes;
    ByteWriter out(bytes);
    out.byte(kChunkFormat);
    out.text(chunk.document_id);
    out.varint(chunk.ordinal);
    out.byte(static_cast<std::uint8_t>(chunk.kind));
    out.text(chunk.header);
    out.text(chunk.text);
    out.text(chunk.label);
    out.varint(chunk.place.page);
    out.varint(chunk.place.page_end);
    out.byte(chunk.place.page_exact ? 1 : 0);
    out.text(chunk.place.section);
    out.varint(chunk.place.boxes.size());
    for (const Box& box : chunk.place.boxes) {
        out.varint(box.page);
        for (const std::uint16_t side : {box.left, box.top, box.right, box.bottom}) out.varint(side);
    }
    return bytes;
}

Chunk decode_chunk(std::string_view bytes)
{
    ByteReader in(bytes);
    expect_format(in.byte(), kChunkFormat, "chunk");
    Chunk chunk;
    chunk.document_id = in.text();
    chunk.ordinal = in.varint32();
    chunk.kind = static_cast<ChunkKind>(in.byte());
    chunk.header = in.text();
    chunk.text = in.text();
    chunk.label = in.text();
    chunk.place.page = in.varint32();
    chunk.place.page_end = in.varint32();
    chunk.place.page_exact = in.byte() != 0;
    chunk.place.section = in.text();
    const std::uint32_t boxes = in.varint32();
    for (std::uint32_t i = 0; i < boxes; ++i) {
        Box& box = chunk.place.boxes.emplace_back();
        box.page = in.varint32();
        box.left = read_thousandths(in);
        box.top = read_thousandths(in);
        box.right = read_thousandths(in);
        box.bottom = read_thousandths(in);
    }
    expect_end(in, "chunk");
    return chunk;
}

}  // namespace jiphyeon
