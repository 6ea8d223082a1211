// A GGUF file with its matrices in another type. The types and so the places of all tensors are settled
// first; then each tensor goes through memory by some megabytes and to a file beside the target, which takes
// the target's name when it is whole and on the disk.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>

#include "blocks.hpp"
#include "gguf.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "quantize.hpp"
#include "threads.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{16} << 20;

struct Target {
    TensorType type;
    std::uint32_t file_type;  // the number that general.file_type has for it
};
constexpr Target kTargets[] = {
    {TensorType::q4_0, 2},    {TensorType::q4_1, 3},  {TensorType::q5_0, 8},  {TensorType::q5_1, 9},
    {TensorType::q8_0, 7},    {TensorType::q4_k, 14}, {TensorType::q5_k, 16}, {TensorType::q6_k, 18},
    {TensorType::iq4_nl, 25}, {TensorType::f16, 1},   {TensorType::bf16, 32},
};

const TensorTypeInfo& info_of(TensorType type)
{
    return *tensor_type_info(static_cast<std::uint32_t>(type));
}

// What becomes of a tensor. Types we cannot read are copied, whatever they hold.
enum class Step { copy, to_floats, quantize };
struct Plan {
    const GgufTensor* tensor = nullptr;
    Step step = Step::copy;
    std::uint32_t type_id = 0;
    std::uint64_t bytes = 0;
};

// Small tables, of which single rows are read or which choose between experts, and what is no weight.
bool stays(std::string_view name)
{
    return name == "position_embd.weight" || name == "token_types.weight" ||
           name.ends_with("ffn_gate_inp.weight") || !name.ends_with(".weight");
}

Plan plan_of(const GgufTensor& tensor, TensorType wanted)
{
    Plan plan{&tensor, Step::copy, tensor.type_id, tensor.data.size()};
    if (!tensor.is_readable()) return plan;
    if (tensor.rows() == 1) {  // norms and biases
        plan.step = tensor.type() == TensorType::f32 ? Step::copy : Step::to_floats;
        plan.type_id = static_cast<std::uint32_t>(TensorType::f32);
        plan.bytes = tensor.columns() * sizeof(float);
        return plan;
    }
    if (stays(tensor.name)) return plan;
    for (const TensorType type : {wanted, TensorType::q8_0, TensorType::f16}) {
        const TensorTypeInfo& info = info_of(type);
        if (tensor.columns() % info.block_elements != 0) continue;
        plan.step = tensor.type() == type ? Step::copy : Step::quantize;
        plan.type_id = static_cast<std::uint32_t>(type);
        plan.bytes = tensor.columns() / info.block_elements * info.block_bytes * tensor.rows();
        break;
    }
    return plan;
}

[[noreturn]] void io_error(const std::filesystem::path& path)
{
    throw EngineError(EngineError::Kind::io, path.string() + ": " + std::strerror(errno));
}

// A file that appears under its name when it is complete, and otherwise not at all.
class NewFile {
public:
    explicit NewFile(const std::filesystem::path& path)
        : path_(path), beside_(path.string() + ".unfinished-XXXXXX")
    {
        fd_ = ::mkostemp(beside_.data(), O_CLOEXEC);
        if (fd_ < 0) io_error(path_);
        const mode_t mask = ::umask(0);
        ::umask(mask);
        ::fchmod(fd_, 0666 & ~mask);
    }
    ~NewFile()
    {
        if (!renamed_) ::unlink(beside_.c_str());
        ::close(fd_);
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    void write(std::string_view bytes)
    {
        written_ += bytes.size();
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) io_error(beside_);
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }
    void pad(std::uint64_t alignment)
    {
        write(std::string((alignment - written_ % alignment) % alignment, '\0'));
    }
    std::uint64_t written() const { return written_; }

    // replace: also where the name is taken by now.
    void publish(bool replace)
    {
        if (::fsync(fd_) != 0) io_error(beside_);
        if (replace) {
            if (::rename(beside_.c_str(), path_.c_str()) != 0) io_error(path_);
            renamed_ = true;
        } else if (::link(beside_.c_str(), path_.c_str()) != 0) {
            io_error(path_);
        }
        const int folder = ::open((path_.parent_path() / ".").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) io_error(path_.parent_path());
        const bool synced = ::fsync(folder) == 0;
        ::close(folder);
        if (!synced) io_error(path_.parent_path());
    }

private:
    std::filesystem::path path_;
    std::string beside_;
    int fd_ = -1;
    std::uint64_t written_ = 0;
    bool renamed_ = false;
};

template <typename T>
void put(std::string& out, T value)
{
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof value);
}

void put_string(std::string& out, std::string_view text)
{
    put(out, static_cast<std::uint64_t>(text.size()));
    out += text;
}

void put_integer(std::string& out, std::string_view key, std::uint32_t value)
{
    put_string(out, key);
    put(out, std::uint32_t{4});  // u32
    put(out, value);
}

// Everything before the tensors' data: the metadata as it was but for what describes the types.
std::string header(const Gguf& file, std::span<const Plan> plans, std::uint32_t file_type,
                   std::uint64_t alignment)
{
    std::string metadata;
    std::uint64_t keys = 2;
    for (const GgufEntry& entry : file.entries()) {
        if (entry.key == "general.file_type" || entry.key == "general.quantization_version" ||
            entry.key.starts_with("split.")) {
            continue;
        }
        metadata.append(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size());
        ++keys;
    }
    put_integer(metadata, "general.file_type", file_type);
    put_integer(metadata, "general.quantization_version", 2);

    std::string out = "GGUF";
    put(out, std::uint32_t{3});
    put(out, static_cast<std::uint64_t>(plans.size()));
    put(out, keys);
    out += metadata;
    std::uint64_t offset = 0;
    for (const Plan& plan : plans) {
        put_string(out, plan.tensor->name);
        put(out, plan.tensor->dimensions);
        for (std::uint32_t i = 0; i < plan.tensor->dimensions; ++i) put(out, plan.tensor->shape[i]);
        put(out, plan.type_id);
        put(out, offset);
        offset += (plan.bytes + alignment - 1) / alignment * alignment;
    }
    return out;
}

// Rows by some megabytes: to floats, and these to `type` (F32: they are written as they are).
void write_rows(const GgufTensor& tensor, TensorType type, ThreadPool& pool, NewFile& out,
                const std::function<void(std::uint64_t bytes_read)>& tell)
{
    const auto columns = static_cast<std::size_t>(tensor.columns());
    const auto rows = static_cast<std::size_t>(tensor.rows());
    const TensorTypeInfo& info = info_of(type);
    const std::size_t row_in = tensor.data.size() / rows;
    const std::size_t row_out = columns / info.block_elements * info.block_bytes;
    const std::size_t step = std::max<std::size_t>(1, kChunkBytes / row_out);
    const float largest = largest_weight(type);
    std::vector<std::uint8_t> chunk(std::min(step, rows) * row_out);
    std::vector<std::vector<float>> floats(pool.threads(), std::vector<float>(columns));
    std::atomic<bool> sound = true;
    for (std::size_t first = 0; first < rows; first += step) {
        const std::size_t count = std::min(step, rows - first);
        pool.run(count, 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
            std::vector<float>& x = floats[thread];
            for (std::size_t r = begin; r < end; ++r) {
                dequantize(tensor.type(), tensor.data.data() + (first + r) * row_in, columns, x.data());
                const bool fits =
                    std::all_of(x.begin(), x.end(), [&](float v) { return std::abs(v) <= largest; });
                if (!fits) {
                    sound = false;
                } else if (type == TensorType::f32) {
                    std::memcpy(chunk.data() + r * row_out, x.data(), row_out);
                } else {
                    quantize(type, x.data(), columns, chunk.data() + r * row_out);
                }
            }
        });
        if (!sound) {
            throw EngineError(EngineError::Kind::malformed,
                              "tensor " + std::string(tensor.name) + " holds what " + std::string(info.name) +
                                  " cannot: values beyond its range or no numbers");
        }
        out.write({reinterpret_cast<const char*>(chunk.data()), count * row_out});
        tell((first + count) * row_in);
    }
}

}  // namespace

std::vector<std::string> quantized_types()
{
    std::vector<std::string> names;
    for (const Target& target : kTargets) names.emplace_back(info_of(target.type).name);
    return names;
}

QuantizeReport quantize_model(const std::filesystem::path& model, const std::filesystem::path& out,
                              const QuantizeOptions& options)
{
    const auto* const target = std::find_if(std::begin(kTargets), std::end(kTargets), [&](const Target& t) {
        return info_of(t.type).name == options.type;
    });
    if (target == std::end(kTargets))
        throw EngineError(EngineError::Kind::bad_request, "no type to write: " + options.type);
    std::error_code none;
    for (const std::filesystem::path& part : model_files(model)) {
        if (std::filesystem::equivalent(part, out, none))
            throw EngineError(EngineError::Kind::bad_request, out.string() + " is the model itself");
    }
    if (!options.replace && std::filesystem::exists(std::filesystem::symlink_status(out, none)))
        throw EngineError(EngineError::Kind::bad_request, out.string() + " is there already");

    const Gguf file = Gguf::open(model);
    QuantizeReport report;
    report.bytes_before = file.file_bytes();
    std::uint64_t total = 0;
    std::vector<Plan> plans;
    for (const GgufTensor& tensor : file.tensors()) {
        const Plan plan = plan_of(tensor, target->type);
        plans.push_back(plan);
        total += tensor.data.size();
        const bool from_floats = info_of(static_cast<TensorType>(tensor.type_id)).block_elements == 1;
        if (plan.step == Step::quantize) ++report.converted;
        if (plan.step == Step::quantize && !from_floats) ++report.converted_twice;
        if (plan.step == Step::quantize && plan.type_id != static_cast<std::uint32_t>(target->type))
            report.other_type.emplace_back(tensor.name);
    }

    const std::uint64_t alignment = file.alignment();
    ThreadPool pool(options.threads);
    NewFile written(out);
    written.write(header(file, plans, target->file_type, alignment));
    std::uint64_t done = 0;
    for (const Plan& plan : plans) {
        written.pad(alignment);
        const auto tell = [&](std::uint64_t bytes_read) {
            if (options.on_progress) options.on_progress(plan.tensor->name, done + bytes_read, total);
        };
        if (plan.step == Step::copy) {
            written.write(
                {reinterpret_cast<const char*>(plan.tensor->data.data()), plan.tensor->data.size()});
        } else {
            write_rows(*plan.tensor, static_cast<TensorType>(plan.type_id), pool, written, tell);
        }
        done += plan.tensor->data.size();
        tell(0);
    }
    written.pad(alignment);
    report.bytes_after = written.written();
    written.publish(options.replace);
    return report;
}

}  // namespace jiphyeon
