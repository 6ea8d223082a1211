// Little-endian numbers and fields with a length before them: the alphabet of every file of the record.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "jiphyeon/audit.hpp"

namespace jiphyeon {

inline void put_number(std::string& out, std::uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

inline void put_field(std::string& out, std::string_view bytes)
{
    put_number(out, bytes.size(), 4);
    out += bytes;
}

inline std::string_view as_text(const Digest& digest)
{
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Takes bytes from the front. Throws corrupt where there are too few.
class ByteReader {
public:
    explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

    std::string_view take(std::uint64_t count)
    {
        if (count > rest_.size()) throw AuditError(AuditError::Kind::corrupt, "a stored value is cut short");
        const std::string_view out = rest_.substr(0, static_cast<std::size_t>(count));
        rest_.remove_prefix(out.size());
        return out;
    }
    std::uint64_t number(unsigned bytes)
    {
        const std::string_view raw = take(bytes);
        std::uint64_t value = 0;
        for (unsigned i = 0; i < bytes; ++i)
            value |= static_cast<std::uint64_t>(static_cast<unsigned char>(raw[i])) << (8 * i);
        return value;
    }
    std::string_view field() { return take(number(4)); }
    Digest digest()
    {
        Digest out{};
        const std::string_view raw = take(out.size());
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(raw[i]);
        return out;
    }
    bool empty() const { return rest_.empty(); }

private:
    std::string_view rest_;
};

}  // namespace jiphyeon
