// What a sentence states that code can look up in a passage: dates, quantities, identifiers, names,
// quotations, negated predicates.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

struct DateFact {
    int year = 0, month = 0, day = 0;  // 0: not said
    std::string text() const;
};

enum class Bound : std::uint8_t { none, at_least, more_than, at_most, less_than };

struct Quantity {
    double value = 0;
    std::string unit;  // canonical; empty where none was recognised
    Bound bound = Bound::none;
    std::string text;  // as written
};

struct Facts {
    std::vector<DateFact> dates;
    std::vector<Quantity> quantities;
    std::vector<std::string>
        identifiers;                 // canonical, as analyze() gives them: articles, document numbers, codes
    std::vector<std::string> names;  // organisations, rules, persons with their title; squeezed
    std::vector<std::string> foreign;  // Latin words, lower case
    std::vector<std::string> quotes;   // squeezed
    std::vector<std::string> negated;  // stems of predicates that are denied
};
Facts read_facts(std::string_view text);

}  // namespace jiphyeon
