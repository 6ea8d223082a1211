// The pages, read once at start: what is not in this table does not exist, so no path can lead elsewhere.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace jiphyeon {

class StaticFiles {
public:
    // Throws GatewayError io where the folder cannot be read. An empty path: no pages.
    explicit StaticFiles(const std::filesystem::path& folder);
    struct File {
        std::string type, bytes;
    };
    const File* find(std::string_view path) const;  // "/" is index.html

private:
    std::map<std::string, File, std::less<>> files_;
};

}  // namespace jiphyeon
