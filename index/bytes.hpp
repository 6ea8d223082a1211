// The byte forms of what is stored. Values: little-endian fixed widths, LEB128 varints, strings behind their
// length. Keys: big-endian, so that the order of bytes is the order of numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace jiphyeon {

class ByteWriter {
public:
    explicit ByteWriter(std::string& out) : out_(out) {}
    void byte(std::uint8_t value) { out_ += static_cast<char>(value); }
    void varint(std::uint64_t value);
    void zigzag(std::int64_t value);
    void text(std::string_view value);

private:
    std::string& out_;
};

// Throws IndexError corrupt where the bytes end too early or a varint does not fit.
class ByteReader {
public:
    explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
    bool done() const { return at_ == bytes_.size(); }
    std::uint8_t byte();
    std::uint64_t varint();
    std::uint32_t varint32();
    std::int64_t zigzag();
    std::string_view text();

private:
    std::string_view bytes_;
    std::size_t at_ = 0;
};

void append_key32(std::string& out, std::uint32_t value);
std::string key32(std::uint32_t value);
std::uint32_t read_key32(std::string_view key);  // the first four bytes; throws corrupt

}  // namespace jiphyeon
