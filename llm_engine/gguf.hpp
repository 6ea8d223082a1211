// Reads GGUF model files (version 2 and 3): typed metadata and the places of the tensors.
//
// The file is opened once, mapped, hashed and compared with the approved hash before a byte of it is parsed;
// parsing then works on the same mapping. A model in several files, NAME-00001-of-00003.gguf and so on, is
// opened by its first, which holds the metadata; all of them are mapped and hashed as if they were one. Every
// count, length, offset, type and product is checked, so that a hostile file ends in an EngineError:
// malformed (cannot be right) or unsupported (right, but not for us). Strings and tensor data are views into
// the mapping: the Gguf must outlive them. Immutable after open.
//
// Example:
//     const Gguf file = Gguf::open("model.gguf", approved_hash);
//     const std::string_view family = file.string("general.architecture");
//     const std::vector<std::string_view> pieces = file.strings("tokenizer.ggml.tokens");
//     const GgufTensor& embedding = file.tensor("token_embd.weight");
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jiphyeon {

// Ids as stored. Types that exist but that we cannot compute with are refused by name when a model needs
// them.
enum class TensorType : std::uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
    iq4_nl = 20,
    iq4_xs = 23,
    bf16 = 30,
    mxfp4 = 39,
};
inline constexpr std::size_t kTensorTypes = 40;  // one more than the largest id

struct TensorTypeInfo {
    std::string_view name;       // "Q4_K"
    std::size_t block_elements;  // of one row that share a block
    std::size_t block_bytes;
};
// nullptr where the id is withdrawn or unknown.
const TensorTypeInfo* tensor_type_info(std::uint32_t id);

struct GgufTensor {
    std::string_view name;
    std::uint32_t type_id = 0;
    std::uint32_t dimensions = 1;                    // how many of `shape` the file has
    std::array<std::uint64_t, 4> shape{1, 1, 1, 1};  // shape[0]: length of a contiguous row
    std::span<const std::uint8_t> data;

    std::uint64_t columns() const { return shape[0]; }
    std::uint64_t rows() const { return shape[1] * shape[2] * shape[3]; }
    bool is_readable() const;  // we have the values of this type, and kernels
    TensorType type() const;   // throws unsupported where we have not
};

// A key with its type and value, as stored.
struct GgufEntry {
    std::string_view key;
    std::span<const std::uint8_t> bytes;
};

// The files of the model that is opened as `path`, in order: by its name alone, whether they are there or
// not. Throws EngineError unsupported for the name of a later one.
std::vector<std::filesystem::path> model_files(const std::filesystem::path& path);

// A file in memory, read-only, as long as this lives.
class MappedFile {
public:
    explicit MappedFile(const std::filesystem::path& path);  // throws EngineError io, malformed (empty)
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&&) = delete;
    ~MappedFile();
    std::span<const std::uint8_t> bytes() const { return bytes_; }

private:
    std::span<const std::uint8_t> bytes_;
};

class Gguf {
public:
    // Throws EngineError: io, hash_mismatch, malformed, unsupported.
    static Gguf open(const std::filesystem::path& path,
                     const std::optional<std::array<std::uint8_t, 32>>& sha256 = std::nullopt);
    // Bytes that somebody else keeps alive; not hashed. For tests and fuzzing.
    static Gguf parse(std::span<const std::uint8_t> bytes);

    // Metadata. `find_…` gives nothing where the key is absent; the others throw malformed then. A key of
    // another kind than asked for throws malformed. Integers are accepted in any stored width that fits.
    bool has(std::string_view key) const;
    bool is_array(std::string_view key) const;
    std::optional<std::uint64_t> find_integer(std::string_view key) const;  // not negative
    std::optional<double> find_number(std::string_view key) const;          // float or integer
    std::optional<bool> find_bool(std::string_view key) const;
    std::optional<std::string_view> find_string(std::string_view key) const;
    std::uint64_t integer(std::string_view key) const;
    std::string_view string(std::string_view key) const;
    // Arrays; empty where the key is absent.
    std::vector<std::string_view> strings(std::string_view key) const;
    std::vector<std::int64_t> integers(std::string_view key) const;  // also of bool
    std::vector<float> floats(std::string_view key) const;
    std::string_view bytes(std::string_view key) const;                 // of an array of i8 or u8
    const std::vector<GgufEntry>& entries() const { return entries_; }  // in the order of the first file
    std::uint64_t alignment() const { return alignment_; }              // of the tensors' data

    const std::vector<GgufTensor>& tensors() const { return tensors_; }
    const GgufTensor* find_tensor(std::string_view name) const;
    const GgufTensor& tensor(std::string_view name) const;  // throws malformed where there is none

    std::uint64_t file_bytes() const { return file_bytes_; }                // of all files
    const std::array<std::uint8_t, 32>& sha256() const { return sha256_; }  // zeros after parse()

private:
    enum class ValueType : std::uint32_t {
        u8 = 0,
        i8,
        u16,
        i16,
        u32,
        i32,
        f32,
        boolean,
        string,
        array,
        u64,
        i64,
        f64
    };
    struct Value {
        ValueType type;
        ValueType element;    // of an array; else equal to type
        std::uint64_t count;  // elements, or bytes of a string
        std::size_t offset;   // of the first value byte in bytes_
    };
    class Reader;

    explicit Gguf(std::span<const std::uint8_t> bytes);
    std::uint64_t parts() const;  // of how many files this is one
    void check_part(std::uint64_t number, std::uint64_t count) const;
    void append(Gguf part);
    void read_metadata(Reader& in, std::uint64_t count);
    void read_tensors(Reader& in, std::uint64_t count);
    const Value* find(std::string_view key) const;
    const Value* find_elements(std::string_view key) const;
    [[noreturn]] static void wrong_kind(std::string_view key);
    std::int64_t integer_at(std::string_view key, ValueType type, std::size_t offset) const;
    double number_at(std::string_view key, ValueType type, std::size_t offset) const;
    static std::size_t width(ValueType type);

    std::span<const std::uint8_t> bytes_;  // of the file with the metadata
    std::uint64_t file_bytes_ = 0;
    std::vector<MappedFile> files_;
    std::array<std::uint8_t, 32> sha256_{};
    std::unordered_map<std::string_view, Value> values_;
    std::vector<GgufEntry> entries_;
    std::uint64_t alignment_ = 32;
    std::vector<GgufTensor> tensors_;
    std::unordered_map<std::string_view, std::size_t> tensor_index_;
};

}  // namespace jiphyeon
