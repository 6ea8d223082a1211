#include "static_files.hpp"

#include <fstream>
#include <sstream>

#include "jiphyeon/gateway.hpp"

namespace jiphyeon {
namespace {

std::string type_of(const std::filesystem::path& file)
{
    const std::string extension = file.extension().string();
    if (extension == ".html") return "text/html; charset=utf-8";
    if (extension == ".css") return "text/css; charset=utf-8";
    if (extension == ".js") return "text/javascript; charset=utf-8";
    if (extension == ".svg") return "image/svg+xml";
    if (extension == ".png") return "image/png";
    if (extension == ".woff2") return "font/woff2";
    return "";
}

}  // namespace

StaticFiles::StaticFiles(const std::filesystem::path& folder)
{
    if (folder.empty()) return;
    try {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
            const std::string type = type_of(entry.path());
            if (!entry.is_regular_file() || type.empty()) continue;
            std::ifstream file(entry.path(), std::ios::binary);
            std::ostringstream bytes;
            bytes << file.rdbuf();
            if (!file) throw GatewayError(GatewayError::Kind::io, "cannot read " + entry.path().string());
            files_["/" + std::filesystem::relative(entry.path(), folder).generic_string()] = {type,
                                                                                              bytes.str()};
        }
    } catch (const std::filesystem::filesystem_error& error) {
        throw GatewayError(GatewayError::Kind::io, error.what());
    }
}

const StaticFiles::File* StaticFiles::find(std::string_view path) const
{
    const auto found = files_.find(path == "/" ? std::string_view("/index.html") : path);
    return found == files_.end() ? nullptr : &found->second;
}

}  // namespace jiphyeon
