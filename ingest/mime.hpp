// MIME as mail uses it: header fields, encoded words, transfer encodings, parts.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

struct MimePart {
    std::map<std::string, std::string> fields;  // names in lower case, unfolded, raw
    std::string_view body;                      // still encoded

    std::string field(const std::string& name) const;  // encoded words decoded
    std::string type() const;                          // "text/plain", lower case
    std::string parameter(const std::string& field, const std::string& name) const;  // decoded (RFC 2231 too)
    std::string decoded() const;          // transfer encoding undone
    std::vector<MimePart> parts() const;  // of a multipart
};

MimePart parse_mime(std::string_view bytes);
std::string decode_words(std::string_view header);  // =?EUC-KR?B?…?=
std::string decode_base64(std::string_view text);   // passes over what is none

}  // namespace jiphyeon
