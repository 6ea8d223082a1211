// What a model file is, and whether it fits this machine.
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
                   const std::filesystem::path& path);
// Memory that can still be had, by the kernel's estimate and the limit of our control group.
std::uint64_t available_memory();

}  // namespace jiphyeon
