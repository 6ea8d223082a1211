// What Korean appends to a noun: case and auxiliary particles, the copula, and the endings of nouns made
// verbs with 하다, 되다 and 시키다. Taking the longest one off leaves the form that documents and questions
// share.
#pragma once

#include <cstddef>
#include <string_view>

namespace jiphyeon {

// Length in syllables of the stem of `word`, a run of Hangul syllables. `attached`: something that is no
// space (a Latin word, a digit, a closing bracket) stands directly before it, so that the whole word may be a
// particle; then 0 is a possible answer.
std::size_t stem_length(std::u32string_view word, bool attached);

// Whether a stem holds sentences together or asks (관하여, 및, 경우, 무엇, 알려주세요) rather than names
// anything.
bool is_function_word(std::u32string_view stem);

}  // namespace jiphyeon
