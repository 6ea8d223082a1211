// Real model files, where packaging/models.py has brought them.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace jiphyeon::test {

inline constexpr const char* kQwen15b = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf";
inline constexpr const char* kQwen05b = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";
inline constexpr const char* kE5Small = "multilingual-e5-small-q4_0.gguf";

// Empty where the file is not there; the test then skips.
inline std::filesystem::path model_file(const std::string& name)
{
    const char* folder = std::getenv("JIPHYEON_MODELS");
    const std::filesystem::path path =
        (folder != nullptr ? std::filesystem::path(folder) : std::filesystem::path(JIPHYEON_MODELS_DIR)) /
        name;
    return std::filesystem::exists(path) ? path : std::filesystem::path();
}

}  // namespace jiphyeon::test
