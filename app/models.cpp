#include "models.hpp"

#include "console.hpp"

namespace jiphyeon::app {
namespace {

using nlohmann::json;

constexpr std::size_t kEmbedderContext = 512;  // what e5 was trained with

std::optional<Digest> digest_from_hex(const std::string& hex)
{
    Digest digest{};
    if (hex.size() != 2 * digest.size()) return std::nullopt;
    for (std::size_t i = 0; i < digest.size(); ++i) {
        const std::string byte = hex.substr(2 * i, 2);
        if (byte.find_first_not_of("0123456789abcdef") != std::string::npos) return std::nullopt;
        digest[i] = static_cast<std::uint8_t>(std::stoi(byte, nullptr, 16));
    }
    return digest;
}

}  // namespace

std::array<std::uint8_t, 32> approved_hash(const ModelFile& model)
{
    const auto digest = digest_from_hex(model.sha256);
    if (!digest)
        throw CommandError(CommandError::Kind::config, "모델의 SHA-256이 설정에 없거나 올바르지 않습니다.",
                           model.file.string());
    return *digest;
}

EngineOptions llm_options(const Config& config)
{
    EngineOptions options{.threads = config.threads,
                          .isa = config.isa,
                          .context_tokens = config.context_tokens,
                          .kv = config.kv,
                          .prefix_cache_bytes = config.prefix_cache_mib << 20,
                          .prefix_disk_bytes = config.prefix_disk_mib << 20};
    if (!config.adapter.file.empty())
        options.adapters = {{.file = config.adapter.file, .sha256 = approved_hash(config.adapter)}};
    return options;
}

EngineOptions embedder_options(const Config& config)
{
    return {.threads = config.threads, .isa = config.isa, .context_tokens = kEmbedderContext};
}

std::unique_ptr<Engine> open_explained(const std::filesystem::path& model, const EngineOptions& options,
                                       const std::function<std::unique_ptr<Engine>()>& open)
{
    try {
        return open();
    } catch (const EngineError& error) {
        if (error.kind != EngineError::Kind::too_large) throw;
        const MemoryNeed need = inspect_model(model, options).memory;
        const std::uint64_t available = available_memory();
        if (need.total() <= available) throw;  // there is room by now, or it was not that
        throw EngineError(error.kind, tr("메모리가 모자랍니다. 필요: ", "not enough memory. Needed: ") +
                                          need_text(need) + tr(", 쓸 수 있음: ", ", available: ") +
                                          size_text(available) + ". " + way_out_text());
    }
}

json model_json(const ModelInfo& info)
{
    json adapters = json::array();
    for (const AdapterInfo& adapter : info.adapters)
        adapters.push_back(
            {{"name", adapter.name}, {"sha256", crypto::hex(adapter.sha256)}, {"scale", adapter.scale}});
    return {{"adapters", adapters},
            {"name", info.name},
            {"architecture", info.architecture},
            {"quantization", info.quantization},
            {"context_tokens", info.context_tokens},
            {"kv", kv_type_name(info.kv)},
            {"file_bytes", info.file_bytes},
            {"memory_bytes", info.memory.total()},
            {"memory",
             {{"weights", info.memory.weights}, {"caches", info.memory.caches}, {"work", info.memory.work}}}};
}

std::string size_text(std::uint64_t bytes)
{
    if (bytes < std::uint64_t{1} << 30) return std::to_string(bytes >> 20) + " MiB";
    const std::uint64_t tenths = bytes / ((std::uint64_t{1} << 30) / 10);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB";
}

std::string need_text(const MemoryNeed& need)
{
    return size_text(need.total()) + tr(" (가중치 ", " (weights ") + size_text(need.weights) +
           tr(", 캐시 ", ", caches ") + size_text(need.caches) + tr(", 작업 공간 ", ", work space ") +
           size_text(need.work) + ")";
}

std::string way_out_text()
{
    return tr(
        "문맥(engine.context_tokens)이나 접두부 캐시(engine.prefix_cache_mib)를 줄이거나, 키와 값을 8비트로 "
        "두거나(engine.kv), `engine quantize`로 만든 더 작은 형식의 모델을 쓰거나, 메모리 한도를 늘리십시오.",
        "A smaller context (engine.context_tokens) or prefix cache (engine.prefix_cache_mib), keys and "
        "values "
        "in 8 bits (engine.kv), a model in a smaller type (`engine quantize`) or a higher limit of memory "
        "helps.");
}

std::string models_json(const Config& config)
{
    json models = json::array();
    const auto add = [&](const char* role, const ModelFile& model, const EngineOptions& options) {
        json row{{"role", role},
                 {"file", model.file.string()},
                 {"sha256", model.sha256},
                 {"present", !model.file.empty() && std::filesystem::exists(model.file)}};
        if (row["present"].get<bool>()) {
            try {
                row.update(model_json(inspect_model(model.file, options)));
            } catch (const EngineError& broken) {
                row["problem"] = broken.what();
            }
        }
        models.push_back(row);
    };
    add("llm", config.llm, llm_options(config));
    add("embedder", config.embedder, embedder_options(config));
    return json{{"models", models}, {"available_bytes", available_memory()}}.dump();
}

}  // namespace jiphyeon::app
