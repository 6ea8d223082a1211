#include "bytes.hpp"

#include "jiphyeon/index.hpp"

namespace jiphyeon {
namespace {

[[noreturn]] void cut()
{
    throw IndexError(IndexError::Kind::corrupt, "a stored value is cut or malformed");
}

}  // namespace

void ByteWriter::varint(std::uint64_t value)
{
    for (; value >= 0x80; value >>= 7) byte(static_cast<std::uint8_t>(value | 0x80));
    byte(static_cast<std::uint8_t>(value));
}

void ByteWriter::zigzag(std::int64_t value)
{
    varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

void ByteWriter::text(std::string_view value)
{
    varint(value.size());
    out_ += value;
}

std::uint8_t ByteReader::byte()
{
    if (at_ >= bytes_.size()) cut();
    return static_cast<std::uint8_t>(bytes_[at_++]);
}

std::uint64_t ByteReader::varint()
{
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const std::uint8_t next = byte();
        if (shift == 63 && next > 1) cut();
        value |= static_cast<std::uint64_t>(next & 0x7F) << shift;
        if (next < 0x80) return value;
    }
    cut();
}

std::uint32_t ByteReader::varint32()
{
    const std::uint64_t value = varint();
    if (value > UINT32_MAX) cut();
    return static_cast<std::uint32_t>(value);
}

std::int64_t ByteReader::zigzag()
{
    const std::uint64_t value = varint();
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

std::string_view ByteReader::text()
{
    const std::uint64_t size = varint();
    if (size > bytes_.size() - at_) cut();
    const std::string_view value = bytes_.substr(at_, size);
    at_ += size;
    return value;
}

void append_key32(std::string& out, std::uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xFF);
}

std::string key32(std::uint32_t value)
{
    std::string key;
    append_key32(key, value);
    return key;
}

std::uint32_t read_key32(std::string_view key)
{
    if (key.size() < 4) cut();
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = (value << 8) | static_cast<unsigned char>(key[i]);
    return value;
}

}  // namespace jiphyeon
