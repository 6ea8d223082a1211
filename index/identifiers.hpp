// Identifiers that people cite whole: articles, document and notice numbers, dates, sums of money, codes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

// Appends to `out` the canonical forms of the identifier that begins at `at` in normalized text, and of those
// of its parts that are cited alone (제12조의2제3항: 제12조의2). `at` must be the beginning of a run of
// digits, letters or Hangul, or a won sign, bracket or apostrophe. Looks at a bounded number of characters
// and returns where the identifier ends, `at` where there is none.
std::size_t find_identifiers(std::u32string_view text, std::size_t at, std::vector<std::string>& out);

}  // namespace jiphyeon
