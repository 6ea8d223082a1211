#include "sources.hpp"

#include <algorithm>
#include <fstream>

#include "parse.hpp"

namespace jiphyeon {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLabelFile = ".label";

// Left behind by programs and systems; no documents.
bool is_furniture(const fs::path& file)
{
    const std::string name = file.filename().string();
    return name.starts_with(".") || name.starts_with("~$") || name == "Thumbs.db" || name == "desktop.ini";
}

Source source_of(const fs::path& file, const fs::path& root)
{
    Source source;
    source.file = file;
    source.key =
        fs::weakly_canonical(fs::absolute(file.parent_path())).string() + "/" + file.filename().string();
    source.path = file.string();
    source.source_id =
        root.empty() ? file.filename().string() : file.lexically_relative(root).generic_string();
    source.link = fs::is_symlink(fs::symlink_status(file));
    return source;
}

}  // namespace

bool is_corpus(const fs::path& file)
{
    return file.extension() == ".jsonl";
}

std::vector<Source> list_sources(std::span<const fs::path> paths)
{
    std::vector<Source> out;
    for (const fs::path& path : paths) {
        std::error_code error;
        const fs::file_status status = fs::status(path, error);
        if (error || !fs::exists(status))
            throw IngestError(IngestError::Kind::bad_request,
                              path.string() + ": 그런 파일이나 폴더가 없습니다.");
        if (!fs::is_directory(status)) {
            Source source = source_of(path, {});
            source.link = false;  // who names a link means what it points to
            out.push_back(std::move(source));
            continue;
        }
        const fs::path root = path.has_filename() ? path : path.parent_path();
        std::vector<Source> inside;
        fs::recursive_directory_iterator it(root, fs::directory_options::skip_permission_denied, error), end;
        for (; !error && it != end; it.increment(error)) {
            if (is_furniture(it->path())) {
                if (it->is_directory()) it.disable_recursion_pending();
                continue;
            }
            if (it->is_directory() && !it->is_symlink()) continue;
            inside.push_back(source_of(it->path(), root));
        }
        if (error) throw IngestError(IngestError::Kind::io, root.string() + ": " + error.message());
        std::sort(inside.begin(), inside.end(),
                  [](const Source& a, const Source& b) { return a.source_id < b.source_id; });
        std::move(inside.begin(), inside.end(), std::back_inserter(out));
    }
    // A file named twice is read once.
    std::map<std::string, bool> seen;
    std::erase_if(out, [&](const Source& source) { return !seen.emplace(source.key, true).second; });
    return out;
}

std::string FolderLabels::canonical(std::string_view text) const
{
    if (!canonical_) return std::string(text);
    try {
        return canonical_(text);
    } catch (const std::exception&) {
        refuse("bad_label", "알 수 없는 표지입니다: " + std::string(text.substr(0, 100)));
    }
}

std::optional<std::string> FolderLabels::rule(const fs::path& folder)
{
    const auto known = rules_.find(folder);
    if (known != rules_.end()) return known->second;
    std::optional<std::string> found;
    std::ifstream in(folder / kLabelFile);
    if (in) {
        std::string line;
        std::getline(in, line);
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
            line.pop_back();
        found = line;
    } else if (folder.has_parent_path() && folder.parent_path() != folder) {
        found = rule(folder.parent_path());
    }
    rules_[folder] = found;
    return found;
}

std::string FolderLabels::of(const fs::path& file)
{
    const std::optional<std::string> found = rule(fs::weakly_canonical(fs::absolute(file.parent_path())));
    return found ? canonical(*found) : kUnlabelled;
}

}  // namespace jiphyeon
