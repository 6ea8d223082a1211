#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace jiphyeon::test {

// Where the files can be opened that this process made in `folder` without a name, or removed since.
inline std::vector<std::filesystem::path> nameless_files(const std::filesystem::path& folder)
{
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code closed;  // the descriptor of this loop itself
        const std::string target = std::filesystem::read_symlink(entry, closed).string();
        if (target.starts_with(folder.string() + "/") && target.ends_with(" (deleted)"))
            found.push_back(entry.path());
    }
    return found;
}

}  // namespace jiphyeon::test
