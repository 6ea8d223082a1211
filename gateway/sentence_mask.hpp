// The last mask before a sentence leaves. A number that is split over two sentences would pass a mask that
// sees one at a time: so a sentence whose end could be the beginning of an identifier waits for the next one,
// and what was given out before stays in view as context. An ordinary Korean sentence ("…다.") never waits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/retriever.hpp"

namespace jiphyeon {

class SentenceMask {
public:
    // The sentences that may leave now, masked, in order. Spans of a changed sentence are dropped: they would
    // point at the wrong bytes.
    std::vector<Sentence> push(const Sentence& sentence);
    std::vector<Sentence> flush();

private:
    std::string given_;  // the last characters that left
    std::vector<Sentence> held_;
};

}  // namespace jiphyeon
