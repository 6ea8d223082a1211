// A plain archive: its members become files of their own. Names that lead out of it condemn the whole:
// whoever made it meant harm.
#include <algorithm>

#include "archive.hpp"
#include "builder.hpp"

namespace jiphyeon {
namespace {

bool leaves(std::string_view name)
{
    if (name.starts_with("/") || (name.size() > 1 && name[1] == ':') ||
        name.find('\0') != std::string_view::npos)
        return true;
    while (!name.empty()) {
        const std::size_t end = std::min(name.find('/'), name.size());
        if (name.substr(0, end) == "..") return true;
        name.remove_prefix(std::min(end + 1, name.size()));
    }
    return false;
}

}  // namespace

Document parse_zip(std::string_view bytes)
{
    Archive archive(bytes);
    DocumentBuilder builder("zip");
    const auto& members = archive.members();
    for (const Archive::Member& member : members) {
        if (leaves(member.name))
            quarantine("escaping", "압축 파일 안의 이름이 바깥을 가리킵니다: " + builder.clean(member.name));
        if (member.encrypted)
            refuse("password", "암호로 잠긴 압축 파일입니다: " + builder.clean(member.name));
    }
    for (const Archive::Member& member : members) {
        const bool furniture = member.folder || member.name.starts_with("__MACOSX/") ||
                               member.name.ends_with("/.DS_Store") || member.name == "Thumbs.db";
        if (furniture) continue;
        builder.document().attachments.push_back({builder.clean(member.name), archive.read(member)});
    }
    if (builder.document().attachments.empty()) refuse("empty", "압축 파일에 읽을 파일이 없습니다.");
    return builder.finish();
}

}  // namespace jiphyeon
