// What a document says of itself: title, number, days in force, withdrawn or not.
#pragma once

#include <string>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

// Fills what is empty. `name`: the file's, the last resort for a title.
void complete_metadata(Document& document, const std::string& name);

}  // namespace jiphyeon
