#include "model_lock.hpp"

#include <toml++/toml.h>

#include "config.hpp"

namespace jiphyeon::app {

std::vector<LockedModel> read_model_lock(const std::filesystem::path& file)
{
    using Kind = CommandError::Kind;
    toml::table root;
    try {
        root = toml::parse_file(file.string());
    } catch (const toml::parse_error& e) {
        throw CommandError(Kind::config, "모델 목록을 읽을 수 없습니다: " + std::string(e.description()),
                           file.string());
    }
    std::vector<LockedModel> models;
    if (const toml::array* entries = root["model"].as_array()) {
        for (const toml::node& node : *entries) {
            const toml::table* entry = node.as_table();
            if (!entry) throw CommandError(Kind::config, "모델 목록의 항목이 표가 아닙니다.", file.string());
            const auto field = [&](const char* key) { return (*entry)[key].value_or(std::string()); };
            models.push_back(
                {field("role"), field("name"), field("file"), field("sha256"), field("licence")});
            if (models.back().file.empty() || models.back().sha256.size() != 64)
                throw CommandError(Kind::config, "모델 목록의 항목에 file 또는 sha256이 없습니다.",
                                   file.string());
        }
    }
    return models;
}

std::filesystem::path default_model_lock()
{
    namespace fs = std::filesystem;
    const fs::path program = fs::read_symlink("/proc/self/exe");
    for (fs::path dir = program.parent_path(); dir.has_relative_path(); dir = dir.parent_path()) {
        for (const char* place : {"share/jiphyeon/models.lock", "packaging/models.lock"})
            if (fs::exists(dir / place)) return dir / place;
    }
    return "models.lock";
}

}  // namespace jiphyeon::app
