// What a run is to read: files in order, under which name, with which label.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

struct Source {
    std::filesystem::path file;
    std::string key;        // absolute
    std::string path;       // as given
    std::string source_id;  // within the archive that was given
    bool link = false;      // a symbolic link: named, not followed
};
// Throws IngestError bad_request for a path that is not there.
std::vector<Source> list_sources(std::span<const std::filesystem::path> paths);
bool is_corpus(const std::filesystem::path& file);

// Labels by the nearest file `.label`, in the file's folder or above.
class FolderLabels {
public:
    explicit FolderLabels(std::function<std::string(std::string_view)> canonical)
        : canonical_(std::move(canonical))
    {
    }
    // kUnlabelled where there is none. Throws Unreadable where the file holds no label.
    std::string of(const std::filesystem::path& file);
    std::string canonical(std::string_view text) const;

private:
    std::optional<std::string> rule(const std::filesystem::path& folder);
    std::function<std::string(std::string_view)> canonical_;
    std::map<std::filesystem::path, std::optional<std::string>> rules_;
};

}  // namespace jiphyeon
