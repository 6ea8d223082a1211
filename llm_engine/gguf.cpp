#include "gguf.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include "jiphyeon/crypto.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place");

// Far above any real model, far below what would hurt.
constexpr std::uint64_t kTensorsMax = 1u << 20;
constexpr std::uint64_t kKeysMax = 1u << 20;
constexpr std::uint64_t kKeyBytesMax = 65535;
constexpr std::uint64_t kStringBytesMax = 1u << 30;
constexpr std::uint64_t kElementsReadMax = 1u << 24;
constexpr std::uint64_t kArrayMax = 1u << 30;
constexpr std::uint64_t kElementsMax = std::uint64_t{1} << 40;

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, "GGUF: " + what);
}

class Descriptor {
public:
    explicit Descriptor(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC))
    {
        if (fd_ < 0) throw EngineError(EngineError::Kind::io, path.string() + ": " + std::strerror(errno));
    }
    ~Descriptor() { ::close(fd_); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

private:
    int fd_;
};

template <typename T>
T load(const std::uint8_t* at)
{
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

}  // namespace

const TensorTypeInfo* tensor_type_info(std::uint32_t id)
{
    // In the order of the ids; {"", 0, 0} where an id was withdrawn.
    static constexpr TensorTypeInfo kTypes[] = {
        {"F32", 1, 4},        {"F16", 1, 2},       {"Q4_0", 32, 18},     {"Q4_1", 32, 20},
        {"", 0, 0},           {"", 0, 0},          {"Q5_0", 32, 22},     {"Q5_1", 32, 24},
        {"Q8_0", 32, 34},     {"Q8_1", 32, 36},    {"Q2_K", 256, 84},    {"Q3_K", 256, 110},
        {"Q4_K", 256, 144},   {"Q5_K", 256, 176},  {"Q6_K", 256, 210},   {"Q8_K", 256, 292},
        {"IQ2_XXS", 256, 66}, {"IQ2_XS", 256, 74}, {"IQ3_XXS", 256, 98}, {"IQ1_S", 256, 50},
        {"IQ4_NL", 32, 18},   {"IQ3_S", 256, 110}, {"IQ2_S", 256, 82},   {"IQ4_XS", 256, 136},
        {"I8", 1, 1},         {"I16", 1, 2},       {"I32", 1, 4},        {"I64", 1, 8},
        {"F64", 1, 8},        {"IQ1_M", 256, 56},  {"BF16", 1, 2},       {"", 0, 0},
        {"", 0, 0},           {"", 0, 0},          {"TQ1_0", 256, 54},   {"TQ2_0", 256, 66},
        {"", 0, 0},           {"", 0, 0},          {"", 0, 0},           {"MXFP4", 32, 17},
    };
    if (id >= std::size(kTypes) || kTypes[id].block_elements == 0) return nullptr;
    return &kTypes[id];
}

bool GgufTensor::is_readable() const
{
    switch (static_cast<TensorType>(type_id)) {
        case TensorType::f32:
        case TensorType::f16:
        case TensorType::q4_0:
        case TensorType::q4_1:
        case TensorType::q5_0:
        case TensorType::q5_1:
        case TensorType::q8_0:
        case TensorType::q4_k:
        case TensorType::q5_k:
        case TensorType::q6_k:
        case TensorType::iq4_nl:
        case TensorType::iq4_xs:
        case TensorType::bf16:
        case TensorType::mxfp4:
            return true;
    }
    return false;
}

TensorType GgufTensor::type() const
{
    if (is_readable()) return static_cast<TensorType>(type_id);
    throw EngineError(EngineError::Kind::unsupported, "tensor " + std::string(name) + " has type " +
                                                          std::string(tensor_type_info(type_id)->name));
}

// A cursor that never leaves the file.
class Gguf::Reader {
public:
    explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    template <typename T>
    T number()
    {
        return load<T>(take(sizeof(T)));
    }
    std::string_view string(std::uint64_t bytes_max)
    {
        const auto size = number<std::uint64_t>();
        if (size > bytes_max) malformed("string of " + std::to_string(size) + " bytes");
        return {reinterpret_cast<const char*>(take(size)), size};
    }
    const std::uint8_t* take(std::uint64_t size)
    {
        if (size > bytes_.size() - at_) malformed("ends in the middle of its header");
        const std::uint8_t* const here = bytes_.data() + at_;
        at_ += size;
        return here;
    }
    std::size_t offset() const { return at_; }
    std::size_t left() const { return bytes_.size() - at_; }

private:
    std::span<const std::uint8_t> bytes_;
    std::size_t at_ = 0;
};

std::vector<std::filesystem::path> model_files(const std::filesystem::path& path)
{
    // -00001-of-00003.gguf
    constexpr std::size_t kEnding = 20;
    const std::string name = path.filename().string();
    const std::string_view ending =
        std::string_view(name).substr(name.size() - std::min(name.size(), kEnding));
    const auto number = [&](std::size_t at) {
        unsigned value = 0;
        const char* const begin = ending.data() + at;
        const auto [end, error] = std::from_chars(begin, begin + 5, value);
        return error == std::errc() && end == begin + 5 ? value : 0;
    };
    if (ending.size() != kEnding || ending[0] != '-' || ending.substr(6, 4) != "-of-" ||
        ending.substr(15) != ".gguf" || number(1) == 0 || number(10) == 0) {
        return {path};
    }
    const auto part = [&](unsigned i) {
        const std::string digits = std::to_string(i);
        return path.parent_path() /
               (name.substr(0, name.size() - kEnding) + "-" + std::string(5 - digits.size(), '0') + digits +
                name.substr(name.size() - 14));
    };
    if (number(1) != 1) {
        throw EngineError(
            EngineError::Kind::unsupported,
            path.string() + " is not the first file of its model, which is " + part(1).string());
    }
    std::vector<std::filesystem::path> files;
    for (unsigned i = 1; i <= number(10); ++i) files.push_back(part(i));
    return files;
}

MappedFile::MappedFile(const std::filesystem::path& path)
{
    const Descriptor file(path);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
        throw EngineError(EngineError::Kind::io, path.string() + ": not a regular file");
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size == 0) malformed("empty file " + path.string());
    void* const mapping = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (mapping == MAP_FAILED) {
        throw EngineError(EngineError::Kind::io, path.string() + ": " + std::strerror(errno));
    }
    bytes_ = {static_cast<const std::uint8_t*>(mapping), size};
    ::madvise(mapping, size, MADV_SEQUENTIAL);
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile::~MappedFile()
{
    if (!bytes_.empty()) ::munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
}

Gguf Gguf::open(const std::filesystem::path& path, const std::optional<std::array<std::uint8_t, 32>>& sha256)
{
    const std::vector<std::filesystem::path> paths = model_files(path);
    std::vector<MappedFile> files;
    for (const std::filesystem::path& file : paths) files.emplace_back(file);
    crypto::Sha256 hash;
    for (const MappedFile& file : files)
        hash.update({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
    const std::array<std::uint8_t, 32> seen = hash.finish();
    if (sha256 && *sha256 != seen) {
        throw EngineError(
            EngineError::Kind::hash_mismatch,
            path.string() + ": SHA-256 is " + crypto::hex(seen) + ", approved is " + crypto::hex(*sha256));
    }
    std::optional<Gguf> model;
    for (std::size_t i = 0; i < files.size(); ++i) {
        try {
            Gguf part(files[i].bytes());
            part.check_part(i, files.size());
            if (model) {
                model->append(std::move(part));
            } else {
                model.emplace(std::move(part));
            }
        } catch (const EngineError& error) {
            throw EngineError(error.kind, paths[i].string() + ": " + error.what());
        }
    }
    const std::uint64_t announced =
        model->find_integer("split.tensors.count").value_or(model->tensors_.size());
    if (announced != model->tensors_.size())
        malformed(path.string() + " and the files after it hold " + std::to_string(model->tensors_.size()) +
                  " tensors of " + std::to_string(announced));
    model->sha256_ = seen;
    model->files_ = std::move(files);
    return std::move(*model);
}

Gguf Gguf::parse(std::span<const std::uint8_t> bytes)
{
    Gguf gguf(bytes);
    gguf.check_part(0, 1);
    return gguf;
}

std::uint64_t Gguf::parts() const
{
    return find_integer("split.count").value_or(1);
}

void Gguf::check_part(std::uint64_t number, std::uint64_t count) const
{
    const auto place = [](std::uint64_t i, std::uint64_t of) {
        return std::to_string(i + 1) + " of " + std::to_string(of);
    };
    const std::uint64_t own = find_integer("split.no").value_or(0);
    if (parts() == count && own == number) return;
    if (count == 1) {
        throw EngineError(EngineError::Kind::unsupported,
                          "GGUF: file " + place(own, parts()) +
                              " of a split model, which its name must say: NAME-00001-of-00003.gguf");
    }
    malformed("the name says file " + place(number, count) + " of a model, the file says " +
              place(own, parts()));
}

// Its tensors; of the metadata of later files nothing is used.
void Gguf::append(Gguf part)
{
    file_bytes_ += part.file_bytes_;
    for (const GgufTensor& tensor : part.tensors_) {
        if (!tensor_index_.emplace(tensor.name, tensors_.size()).second)
            malformed("tensor twice: " + std::string(tensor.name));
        tensors_.push_back(tensor);
    }
}

Gguf::Gguf(std::span<const std::uint8_t> bytes) : bytes_(bytes), file_bytes_(bytes.size())
{
    Reader in(bytes_);
    if (std::memcmp(in.take(4), "GGUF", 4) != 0) malformed("wrong magic");
    const auto version = in.number<std::uint32_t>();
    if (version != 0 && (version & 0xffffu) == 0) {
        throw EngineError(EngineError::Kind::unsupported, "GGUF: big-endian file");
    }
    if (version != 2 && version != 3) {
        throw EngineError(EngineError::Kind::unsupported, "GGUF: version " + std::to_string(version));
    }
    const auto tensors = in.number<std::uint64_t>();
    const auto keys = in.number<std::uint64_t>();
    if (tensors > kTensorsMax) malformed("tensor count " + std::to_string(tensors));
    if (keys > kKeysMax) malformed("key count " + std::to_string(keys));
    read_metadata(in, keys);
    read_tensors(in, tensors);
}

void Gguf::read_metadata(Reader& in, std::uint64_t count)
{
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::size_t begin = in.offset();
        const std::string_view key = in.string(kKeyBytesMax);
        if (key.empty()) malformed("empty key");
        Value value{};
        const auto type = in.number<std::uint32_t>();
        if (type > static_cast<std::uint32_t>(ValueType::f64))
            malformed("unknown type of " + std::string(key));
        value.type = value.element = static_cast<ValueType>(type);
        value.count = 1;
        if (value.type == ValueType::array) {
            const auto element = in.number<std::uint32_t>();
            if (element > static_cast<std::uint32_t>(ValueType::f64) ||
                static_cast<ValueType>(element) == ValueType::array) {
                malformed("element type of " + std::string(key));
            }
            value.element = static_cast<ValueType>(element);
            value.count = in.number<std::uint64_t>();
            if (value.count > kArrayMax) malformed("array size of " + std::string(key));
            value.offset = in.offset();
            if (value.element == ValueType::string) {
                for (std::uint64_t k = 0; k < value.count; ++k) in.string(kStringBytesMax);
            } else {
                in.take(value.count * width(value.element));
            }
        } else if (value.type == ValueType::string) {
            const std::string_view text = in.string(kStringBytesMax);
            value.count = text.size();
            value.offset = in.offset() - text.size();
        } else {
            value.offset = in.offset();
            in.take(width(value.type));
        }
        if (!values_.emplace(key, value).second) malformed("key twice: " + std::string(key));
        entries_.push_back({key, bytes_.subspan(begin, in.offset() - begin)});
    }
}

void Gguf::read_tensors(Reader& in, std::uint64_t count)
{
    alignment_ = find_integer("general.alignment").value_or(32);
    if (!std::has_single_bit(alignment_) || alignment_ > (1u << 20)) malformed("alignment");

    std::vector<std::uint64_t> offsets;
    std::vector<std::uint64_t> sizes;
    for (std::uint64_t i = 0; i < count; ++i) {
        GgufTensor tensor;
        tensor.name = in.string(kKeyBytesMax);
        const std::string name(tensor.name);
        if (name.empty() || name.size() > 255) malformed("tensor name");
        tensor.dimensions = in.number<std::uint32_t>();
        if (tensor.dimensions == 0 || tensor.dimensions > 4) malformed("dimensions of " + name);
        std::uint64_t elements = 1;
        for (std::uint32_t k = 0; k < tensor.dimensions; ++k) {
            tensor.shape[k] = in.number<std::uint64_t>();
            if (tensor.shape[k] == 0 || tensor.shape[k] > kElementsMax / elements)
                malformed("shape of " + name);
            elements *= tensor.shape[k];
        }
        tensor.type_id = in.number<std::uint32_t>();
        const TensorTypeInfo* const type = tensor_type_info(tensor.type_id);
        if (type == nullptr) {
            throw EngineError(EngineError::Kind::unsupported,
                              "GGUF: tensor " + name + " has unknown type " + std::to_string(tensor.type_id));
        }
        if (tensor.shape[0] % type->block_elements != 0) malformed("row length of " + name);
        offsets.push_back(in.number<std::uint64_t>());
        sizes.push_back(elements / type->block_elements * type->block_bytes);
        if (!tensor_index_.emplace(tensor.name, tensors_.size()).second) malformed("tensor twice: " + name);
        tensors_.push_back(tensor);
    }

    const std::uint64_t padding = (alignment_ - in.offset() % alignment_) % alignment_;
    if (count == 0) return;
    in.take(padding);
    const std::uint64_t data_bytes = in.left();
    const std::uint8_t* const data = in.take(data_bytes);
    std::uint64_t expected = 0;  // offsets are the running sum of padded sizes, so tensors never overlap
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
        if (offsets[i] != expected) malformed("offset of " + std::string(tensors_[i].name));
        if (expected > data_bytes || sizes[i] > data_bytes - expected) {
            malformed("tensor " + std::string(tensors_[i].name) + " lies beyond the end of the file");
        }
        tensors_[i].data = {data + expected, sizes[i]};
        expected += (sizes[i] + alignment_ - 1) / alignment_ * alignment_;
    }
}

std::size_t Gguf::width(ValueType type)
{
    switch (type) {
        case ValueType::u8:
        case ValueType::i8:
        case ValueType::boolean:
            return 1;
        case ValueType::u16:
        case ValueType::i16:
            return 2;
        case ValueType::u32:
        case ValueType::i32:
        case ValueType::f32:
            return 4;
        case ValueType::u64:
        case ValueType::i64:
        case ValueType::f64:
            return 8;
        case ValueType::string:
        case ValueType::array:
            break;
    }
    return 0;
}

void Gguf::wrong_kind(std::string_view key)
{
    malformed("key of another kind: " + std::string(key));
}

const Gguf::Value* Gguf::find(std::string_view key) const
{
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
}

const Gguf::Value* Gguf::find_elements(std::string_view key) const
{
    const Value* const value = find(key);
    if (value == nullptr) return nullptr;
    if (value->type != ValueType::array) wrong_kind(key);
    if (value->count > kElementsReadMax)
        malformed(std::string(key) + " of " + std::to_string(value->count) + " elements");
    return value;
}

std::int64_t Gguf::integer_at(std::string_view key, ValueType type, std::size_t offset) const
{
    const std::uint8_t* const at = bytes_.data() + offset;
    switch (type) {
        case ValueType::boolean:
        case ValueType::u8:
            return *at;
        case ValueType::i8:
            return load<std::int8_t>(at);
        case ValueType::u16:
            return load<std::uint16_t>(at);
        case ValueType::i16:
            return load<std::int16_t>(at);
        case ValueType::u32:
            return load<std::uint32_t>(at);
        case ValueType::i32:
            return load<std::int32_t>(at);
        case ValueType::u64: {
            const auto value = load<std::uint64_t>(at);
            if (value > std::numeric_limits<std::int64_t>::max()) malformed("too large: " + std::string(key));
            return static_cast<std::int64_t>(value);
        }
        case ValueType::i64:
            return load<std::int64_t>(at);
        default:
            wrong_kind(key);
    }
}

double Gguf::number_at(std::string_view key, ValueType type, std::size_t offset) const
{
    if (type == ValueType::f32) return static_cast<double>(load<float>(bytes_.data() + offset));
    if (type == ValueType::f64) return load<double>(bytes_.data() + offset);
    if (type == ValueType::boolean) wrong_kind(key);
    return static_cast<double>(integer_at(key, type, offset));
}

bool Gguf::has(std::string_view key) const
{
    return find(key) != nullptr;
}

bool Gguf::is_array(std::string_view key) const
{
    const Value* const value = find(key);
    return value != nullptr && value->type == ValueType::array;
}

std::optional<std::uint64_t> Gguf::find_integer(std::string_view key) const
{
    const Value* const value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->type == ValueType::boolean) wrong_kind(key);
    const std::int64_t number = integer_at(key, value->type, value->offset);
    if (number < 0) malformed("negative: " + std::string(key));
    return static_cast<std::uint64_t>(number);
}

std::optional<double> Gguf::find_number(std::string_view key) const
{
    const Value* const value = find(key);
    if (value == nullptr) return std::nullopt;
    return number_at(key, value->type, value->offset);
}

std::optional<bool> Gguf::find_bool(std::string_view key) const
{
    const Value* const value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->type != ValueType::boolean) wrong_kind(key);
    return bytes_[value->offset] != 0;
}

std::optional<std::string_view> Gguf::find_string(std::string_view key) const
{
    const Value* const value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->type != ValueType::string) wrong_kind(key);
    return std::string_view(reinterpret_cast<const char*>(bytes_.data() + value->offset), value->count);
}

std::uint64_t Gguf::integer(std::string_view key) const
{
    const auto value = find_integer(key);
    if (!value) malformed("no key " + std::string(key));
    return *value;
}

std::string_view Gguf::string(std::string_view key) const
{
    const auto value = find_string(key);
    if (!value) malformed("no key " + std::string(key));
    return *value;
}

std::vector<std::string_view> Gguf::strings(std::string_view key) const
{
    const Value* const value = find_elements(key);
    if (value == nullptr) return {};
    if (value->element != ValueType::string) wrong_kind(key);
    std::vector<std::string_view> out;
    out.reserve(value->count);
    Reader in(bytes_.subspan(value->offset));
    for (std::uint64_t i = 0; i < value->count; ++i) out.push_back(in.string(kStringBytesMax));
    return out;
}

std::vector<std::int64_t> Gguf::integers(std::string_view key) const
{
    const Value* const value = find_elements(key);
    if (value == nullptr) return {};
    std::vector<std::int64_t> out(value->count);
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = integer_at(key, value->element, value->offset + i * width(value->element));
    }
    return out;
}

std::vector<float> Gguf::floats(std::string_view key) const
{
    const Value* const value = find_elements(key);
    if (value == nullptr) return {};
    std::vector<float> out(value->count);
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] =
            static_cast<float>(number_at(key, value->element, value->offset + i * width(value->element)));
    }
    return out;
}

std::string_view Gguf::bytes(std::string_view key) const
{
    const Value* const value = find_elements(key);
    if (value == nullptr) return {};
    if (width(value->element) != 1 || value->element == ValueType::boolean) wrong_kind(key);
    return {reinterpret_cast<const char*>(bytes_.data() + value->offset), value->count};
}

const GgufTensor* Gguf::find_tensor(std::string_view name) const
{
    const auto found = tensor_index_.find(name);
    return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

const GgufTensor& Gguf::tensor(std::string_view name) const
{
    const GgufTensor* const tensor = find_tensor(name);
    if (tensor == nullptr) malformed("no tensor " + std::string(name));
    return *tensor;
}

}  // namespace jiphyeon
