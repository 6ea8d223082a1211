// Writes GGUF version 3 files for tests: keys and tensors in the order given, offsets as they must be.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jiphyeon::test {

class GgufWriter {
public:
    void integer(std::string_view key, std::uint32_t value)
    {
        begin(key, 4);
        put(metadata_, value);
    }
    void real(std::string_view key, float value)
    {
        begin(key, 6);
        put(metadata_, value);
    }
    void boolean(std::string_view key, bool value)
    {
        begin(key, 7);
        metadata_.push_back(value ? 1 : 0);
    }
    void string(std::string_view key, std::string_view value)
    {
        begin(key, 8);
        put_string(metadata_, value);
    }
    void strings(std::string_view key, const std::vector<std::string>& values)
    {
        begin_array(key, 8, values.size());
        for (const std::string& value : values) put_string(metadata_, value);
    }
    void reals(std::string_view key, const std::vector<float>& values)
    {
        begin_array(key, 6, values.size());
        for (const float value : values) put(metadata_, value);
    }
    void integers(std::string_view key, const std::vector<std::int32_t>& values)
    {
        begin_array(key, 5, values.size());
        for (const std::int32_t value : values) put(metadata_, value);
    }
    // A value whose stored type and bytes the caller makes himself.
    void raw(std::string_view key, std::uint32_t type, std::string_view bytes)
    {
        begin(key, type);
        metadata_ += bytes;
    }
    // A whole key with its value, as it lies in a file.
    void entry(std::string_view bytes)
    {
        ++keys_;
        metadata_ += bytes;
    }
    // shape[0]: length of a row.
    void tensor(std::string_view name, std::vector<std::uint64_t> shape, std::uint32_t type, std::string data)
    {
        tensors_.push_back({std::string(name), std::move(shape), type, std::move(data)});
    }

    std::string finish() const
    {
        std::string out = "GGUF";
        put(out, std::uint32_t{3});
        put(out, static_cast<std::uint64_t>(tensors_.size()));
        put(out, keys_);
        out += metadata_;
        std::uint64_t offset = 0;
        for (const Tensor& tensor : tensors_) {
            put_string(out, tensor.name);
            put(out, static_cast<std::uint32_t>(tensor.shape.size()));
            for (const std::uint64_t length : tensor.shape) put(out, length);
            put(out, tensor.type);
            put(out, offset);
            offset += padded(tensor.data.size());
        }
        out.resize(padded(out.size()));
        for (const Tensor& tensor : tensors_) {
            out += tensor.data;
            out.resize(padded(out.size()));
        }
        return out;
    }

private:
    struct Tensor {
        std::string name;
        std::vector<std::uint64_t> shape;
        std::uint32_t type;
        std::string data;
    };
    template <typename T>
    static void put(std::string& out, T value)
    {
        char bytes[sizeof value];
        std::memcpy(bytes, &value, sizeof value);
        out.append(bytes, sizeof value);
    }
    static void put_string(std::string& out, std::string_view text)
    {
        put(out, static_cast<std::uint64_t>(text.size()));
        out += text;
    }
    static std::size_t padded(std::size_t size) { return (size + 31) / 32 * 32; }
    void begin(std::string_view key, std::uint32_t type)
    {
        ++keys_;
        put_string(metadata_, key);
        put(metadata_, type);
    }
    void begin_array(std::string_view key, std::uint32_t element, std::size_t count)
    {
        begin(key, 9);
        put(metadata_, element);
        put(metadata_, static_cast<std::uint64_t>(count));
    }

    std::uint64_t keys_ = 0;
    std::string metadata_;
    std::vector<Tensor> tensors_;
};

// The 256 pieces of a byte-level vocabulary, token n being byte n: bytes that are no printable Latin-1 are
// spelt as the characters from U+0100 on.
inline std::vector<std::string> byte_pieces()
{
    std::vector<std::string> pieces;
    unsigned next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        const unsigned c = printable ? byte : next++;
        pieces.push_back(
            c < 0x80 ? std::string(1, static_cast<char>(c))
                     : std::string{static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))});
    }
    return pieces;
}

}  // namespace jiphyeon::test
