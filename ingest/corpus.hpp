// Lines of a corpus: {id, title, text, label?, effective_from?, effective_to?, supersedes?}.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

struct CorpusLine {
    std::string id, label, supersedes;
    Document document;
};
// Throws Unreadable where the line is none.
CorpusLine read_corpus_line(std::string_view line);

}  // namespace jiphyeon
