// Carrying an inspection over a whole document into its parts.
#pragma once

#include <string>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

struct MaskedDocument {
    std::optional<std::string> secret_mark;  // then the document was left as it is
    std::uint32_t hidden = 0;                // places masked
};
// One inspection of all text together, so that a label in one cell counts for the number in the next. Texts,
// cells and lines are replaced; what was hidden leaves its boxes in document.hidden, or its page in
// hidden_pages where it has none.
MaskedDocument mask_document(Document& document, const Inspect& inspect);

}  // namespace jiphyeon
