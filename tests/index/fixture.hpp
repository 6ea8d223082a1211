// A folder for one test, and documents to put into an index.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "jiphyeon/index.hpp"

namespace jiphyeon::test {

class TempDir {
public:
    TempDir()
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "jiphyeon-index-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~TempDir() { std::filesystem::remove_all(path_); }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const char* name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

inline DocumentWrite document(const std::string& id, const std::string& label,
                              const std::vector<std::string>& texts)
{
    DocumentWrite write;
    write.document.id = id;
    write.document.source_id = id;
    write.document.title = id;
    write.document.label = label;
    write.document.stored_us = 1;
    write.view = "view of " + id;
    for (const std::string& text : texts) {
        Chunk chunk;
        chunk.document_id = id;
        chunk.ordinal = static_cast<std::uint32_t>(write.chunks.size());
        chunk.text = text;
        chunk.label = label;
        write.chunks.push_back(chunk);
    }
    return write;
}

inline std::vector<std::string> ids(const std::vector<Hit>& hits)
{
    std::vector<std::string> found;
    for (const Hit& hit : hits) found.push_back(hit.chunk.id());
    return found;
}

inline constexpr Day kToday = 20779;  // 2026-11-22
inline Scope scope(std::vector<std::string> labels, Day day = kToday)
{
    return {std::move(labels), day, false};
}

}  // namespace jiphyeon::test
