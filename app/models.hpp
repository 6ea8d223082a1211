// The model files that a site has approved: how they are opened, what memory they need, and what to do where
// they do not fit.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "config.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::app {

// The hash that the settings approve. Throws CommandError config where they have none.
std::array<std::uint8_t, 32> approved_hash(const ModelFile& model);

// Without the hash of the model; throws as approved_hash for an adapter.
EngineOptions llm_options(const Config& config);
EngineOptions embedder_options(const Config& config);

// What `open` gives. Where the model does not fit into memory, the EngineError says in the operator's
// language what it needs, what there is and which settings change that.
std::unique_ptr<Engine> open_explained(const std::filesystem::path& model, const EngineOptions& options,
                                       const std::function<std::unique_ptr<Engine>()>& open);

// adapters [{name, sha256, scale}], name, architecture, quantization, context_tokens, file_bytes,
// memory_bytes and memory {weights, caches, work} in bytes.
nlohmann::json model_json(const ModelInfo& info);
// "1.9 GiB"
std::string size_text(std::uint64_t bytes);
// "… (weights …, caches …, work space …)"
std::string need_text(const MemoryNeed& need);
// What to do where a model does not fit.
std::string way_out_text();

// What is approved and what is there, for the `models` command; reads headers, loads nothing.
std::string models_json(const Config& config);

}  // namespace jiphyeon::app
