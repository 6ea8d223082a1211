// What DOCX and XLSX packages share: relationships, core properties.
#pragma once

#include <map>
#include <string>

#include "archive.hpp"

namespace jiphyeon {

// Relationship id to target path within the package, for `part` ("word/document.xml").
std::map<std::string, std::string> ooxml_relations(Archive& archive, const std::string& part);
void read_core_properties(Archive& archive, Document& document);

}  // namespace jiphyeon
