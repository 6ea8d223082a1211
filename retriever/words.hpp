// Small readings of Korean text that several parts of the retriever share.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

std::u32string to_code_points(std::string_view utf8);
std::string to_utf8(std::u32string_view text);

// Normalised, without blanks and without quotation marks: for "does it occur there".
std::string squeeze(std::string_view text);

// Words that a question or a polite sentence is made of and that no document is found by.
bool is_function_word(std::string_view stem);

struct Segment {
    std::size_t start, end;  // bytes of the text
};
// Sentences and lines of a text, in order, without surrounding blanks; none is empty.
std::vector<Segment> split_sentences(std::string_view text);

}  // namespace jiphyeon
