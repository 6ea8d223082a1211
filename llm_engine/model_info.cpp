#include "model_info.hpp"

#include <algorithm>
#include <fstream>
#include <map>

#include "jiphyeon/crypto.hpp"

namespace jiphyeon {
namespace {

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

}  // namespace

std::uint64_t available_memory()
{
    std::uint64_t available = ~std::uint64_t{0};
    std::ifstream meminfo("/proc/meminfo");
    for (std::string word; meminfo >> word;) {
        std::uint64_t kilobytes = 0;
        if (word == "MemAvailable:" && meminfo >> kilobytes) available = kilobytes * 1024;
    }
    std::uint64_t limit = 0;
    std::uint64_t used = 0;
    std::ifstream limit_file("/sys/fs/cgroup/memory.max");
    std::ifstream used_file("/sys/fs/cgroup/memory.current");
    if (limit_file >> limit && used_file >> used)
        available = std::min(available, limit > used ? limit - used : 0);
    return available;
}

ModelInfo describe(const Gguf& file, const ModelShape& shape, const EngineOptions& options,
                   const std::filesystem::path& path)
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
    info.memory_bytes = memory_needed(file, shape, kContexts + 1);  // one for next_logits
    if (shape.generates()) {
        info.memory_bytes += options.prefix_cache_bytes;
        // In the model, in the step and with each request.
        info.memory_bytes += 3 * kLogitRows * shape.vocabulary * sizeof(float);
    }
    info.context_tokens = shape.context;
    info.vocabulary = shape.vocabulary;
    info.generates = shape.generates();
    info.embeds = !shape.generates();
    info.embedding_size = info.embeds ? shape.vector_size : 0;
    info.replayable = true;
    return info;
}

std::array<std::uint8_t, 32> hash_model(const std::filesystem::path& model)
{
    try {
        return crypto::sha256_file(model);
    } catch (const CryptoError& error) {
        throw EngineError(EngineError::Kind::io, error.what());
    }
}

ModelInfo inspect_model(const std::filesystem::path& model, const EngineOptions& options)
{
    const Gguf file = Gguf::open(model, options.sha256);
    return describe(file, read_shape(file, options.context_tokens), options, model);
}

}  // namespace jiphyeon
