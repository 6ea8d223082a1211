// packaging/models.lock: which model files are approved, by SHA-256.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace jiphyeon::app {

struct LockedModel {
    std::string role;  // llm, llm-small, embedder, test
    std::string name;
    std::string file;  // name within the models folder
    std::string sha256;
    std::string licence;
};
std::vector<LockedModel> read_model_lock(const std::filesystem::path& file);  // throws CommandError config

// The lock that came with this program: beside it when installed, in the source tree when built there.
std::filesystem::path default_model_lock();

}  // namespace jiphyeon::app
