// What a model file is, whether it fits this machine, and whether a prompt fits it.
#pragma once

#include <cstdint>
#include <filesystem>

#include "gguf.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "model.hpp"

namespace jiphyeon {

// Whole contexts that running requests may fill together; further ones wait.
inline constexpr std::size_t kContexts = 2;
// Rows of logits that they may hold together, one each and the rest for guesses; as many as are computed
// straight from memory (quants.cpp).
inline constexpr std::size_t kLogitRows = 36;

ModelInfo describe(const Gguf& file, const ModelShape& shape, const EngineOptions& options,
                   const std::filesystem::path& path, std::span<const Adapter> adapters = {});
// Those of the options, for a model of this shape.
std::vector<Adapter> open_adapters(const EngineOptions& options, const ModelShape& shape);
// available_memory() where proc and sys are folders of `root`.
std::uint64_t available_memory(const std::filesystem::path& root);
// Throws EngineError too_large, with both numbers, where the need is more than `available` bytes.
void check_memory(const std::filesystem::path& model, const MemoryNeed& need, std::uint64_t available);

// Throws EngineError: bad_request (a model that does not generate, no tokens, ids that it does not have),
// too_large (with `more` tokens after it the prompt does not fit the context).
void check_prompt(const ModelInfo& info, std::span<const TokenId> prompt, std::size_t more);

}  // namespace jiphyeon
