#include "model_info.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>

#include "jiphyeon/crypto.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kPrefixCacheMax = std::size_t{1} << 56;  // so that sums with it do not wrap

std::string quantization_of(const Gguf& file)
{
    std::map<std::string_view, std::uint64_t> bytes;
    for (const GgufTensor& tensor : file.tensors()) {
        if (tensor.rows() > 1) bytes[tensor_type_info(tensor.type_id)->name] += tensor.data.size();
    }
    std::vector<std::pair<std::uint64_t, std::string_view>> order;
    for (const auto& [name, size] : bytes) order.emplace_back(size, name);
    std::sort(order.rbegin(), order.rend());
    std::string text;
    for (const auto& [size, name] : order) text += (text.empty() ? "" : ", ") + std::string(name);
    return text;
}

// The first number of a file; nothing where there is none ("max").
std::optional<std::uint64_t> number_in(const std::filesystem::path& file)
{
    std::ifstream in(file);
    std::uint64_t number = 0;
    if (in >> number) return number;
    return std::nullopt;
}

// The number after `name` in a file of names and numbers.
std::optional<std::uint64_t> number_after(const std::filesystem::path& file, std::string_view name)
{
    std::ifstream in(file);
    for (std::string word; in >> word;) {
        std::uint64_t number = 0;
        if (word == name && in >> number) return number;
    }
    return std::nullopt;
}

struct GroupFiles {
    const char* limit;
    const char* used;
    const char* droppable;  // in memory.stat
};

// What a group and all that it lies in leave. In a container its path may name folders that are not mounted
// there; those that are count.
std::uint64_t left_by_groups(const std::filesystem::path& mount, std::filesystem::path group,
                             const GroupFiles& files)
{
    std::uint64_t left = ~std::uint64_t{0};
    for (group = group.relative_path();; group = group.parent_path()) {
        const std::filesystem::path folder = mount / group;
        const auto limit = number_in(folder / files.limit);
        const auto used = number_in(folder / files.used);
        if (limit && used) {
            const std::uint64_t droppable = number_after(folder / "memory.stat", files.droppable).value_or(0);
            const std::uint64_t held = *used - std::min(*used, droppable);
            left = std::min(left, *limit - std::min(*limit, held));
        }
        if (group.empty()) return left;
    }
}

std::string mebibytes(std::uint64_t bytes)
{
    return std::to_string(bytes >> 20);
}

}  // namespace

std::uint64_t available_memory()
{
    return available_memory("/");
}

std::uint64_t available_memory(const std::filesystem::path& root)
{
    std::uint64_t available = ~std::uint64_t{0};
    if (const auto kibibytes = number_after(root / "proc/meminfo", "MemAvailable:"))
        available = *kibibytes * 1024;
    // Lines of "number:controllers:group"; version 2 names no controllers.
    std::ifstream groups(root / "proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const std::string group = line.substr(second + 1);
        const std::filesystem::path mount = root / "sys/fs/cgroup";
        if (controllers == ",,") {
            available = std::min(
                available, left_by_groups(mount, group, {"memory.max", "memory.current", "inactive_file"}));
        } else if (controllers.find(",memory,") != std::string::npos) {
            available = std::min(available, left_by_groups(mount / "memory", group,
                                                           {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                                            "total_inactive_file"}));
        }
    }
    return available;
}

void check_memory(const std::filesystem::path& model, const MemoryNeed& need, std::uint64_t available)
{
    if (need.total() <= available) return;
    throw EngineError(EngineError::Kind::too_large,
                      model.string() + " needs " + mebibytes(need.total()) + " MiB of memory (weights " +
                          mebibytes(need.weights) + ", caches " + mebibytes(need.caches) + ", work space " +
                          mebibytes(need.work) + "); " + mebibytes(available) + " MiB are available");
}

void check_prompt(const ModelInfo& info, std::span<const TokenId> prompt, std::size_t more)
{
    using Kind = EngineError::Kind;
    if (!info.generates) throw EngineError(Kind::bad_request, info.name + " does not generate");
    if (prompt.empty()) throw EngineError(Kind::bad_request, "empty prompt");
    for (const TokenId id : prompt) {
        if (id < 0 || static_cast<std::size_t>(id) >= info.vocabulary)
            throw EngineError(Kind::bad_request, "token id " + std::to_string(id));
    }
    if (prompt.size() > info.context_tokens || more > info.context_tokens - prompt.size()) {
        throw EngineError(Kind::too_large, "prompt of " + std::to_string(prompt.size()) + " and answer of " +
                                               std::to_string(more) + " tokens; the context holds " +
                                               std::to_string(info.context_tokens));
    }
}

ModelInfo describe(const Gguf& file, const ModelShape& shape, const EngineOptions& options,
                   const std::filesystem::path& path, std::span<const Adapter> adapters)
{
    ModelInfo info;
    info.name = std::string(file.find_string("general.name").value_or(path.filename().native()));
    info.architecture = std::string(shape.family->architecture);
    info.quantization = quantization_of(file);
    info.sha256 = file.sha256();
    if (const auto text = file.find_string("tokenizer.chat_template")) {
        info.template_sha256 = crypto::hex(crypto::sha256(*text));
    }
    info.file_bytes = file.file_bytes();
    info.memory = memory_needed(file, shape, kContexts + 1);  // one for next_logits
    if (shape.generates()) {
        info.memory.caches += std::min(options.prefix_cache_bytes, kPrefixCacheMax);
        if (options.prefix_disk_bytes != 0) {  // one is written, one read for generate, one for next_logits
            info.memory.caches += 3 * PageFile::work_bytes(shape.kv().page_bytes());
        }
        // In the model, in the step and with each request.
        info.memory.work += 3 * kLogitRows * shape.vocabulary * sizeof(float);
    }
    info.context_tokens = shape.context;
    info.vocabulary = shape.vocabulary;
    info.generates = shape.generates();
    info.reranks = shape.pooling == Pooling::rank;
    info.embeds = !shape.generates() && !info.reranks;
    info.embedding_size = info.embeds ? shape.vector_size : 0;
    info.replayable = true;
    info.kv = shape.kv_type;
    for (std::size_t i = 0; i < adapters.size(); ++i) {
        const Gguf& own = adapters[i].file();
        const std::string name = options.adapters[i].file.filename().string();
        info.adapters.push_back(
            {std::string(own.find_string("general.name").value_or(name)), own.sha256(), adapters[i].scale()});
        info.memory.weights += adapters[i].memory_bytes();
    }
    return info;
}

std::vector<Adapter> open_adapters(const EngineOptions& options, const ModelShape& shape)
{
    std::vector<Adapter> adapters;
    for (const AdapterFile& file : options.adapters) {
        adapters.emplace_back(Gguf::open(file.file, file.sha256), shape.family->architecture, file.scale);
    }
    return adapters;
}

std::array<std::uint8_t, 32> hash_model(const std::filesystem::path& model)
{
    crypto::Sha256 hash;
    for (const std::filesystem::path& path : model_files(model)) {
        const MappedFile file(path);
        hash.update({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
    }
    return hash.finish();
}

ModelInfo inspect_model(const std::filesystem::path& model, const EngineOptions& options)
{
    const Gguf file = Gguf::open(model, options.sha256);
    const ModelShape shape = read_shape(file, options.context_tokens, options.kv);
    return describe(file, shape, options, model, open_adapters(options, shape));
}

}  // namespace jiphyeon
