// Documents to put into an index, and a folder to put it in.
#pragma once

#include <string>
#include <vector>

#include "jiphyeon/index.hpp"
#include "support/temp_dir.hpp"

namespace jiphyeon::test {

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
