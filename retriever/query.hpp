// What a question asks for, read by code.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/index.hpp"

namespace jiphyeon {

// One content word: its stem and the stem's syllable pairs.
struct Word {
    std::string stem;
    std::vector<std::string> pairs;
    bool predicate = false;  // "지급합니다": its ending is politeness, not content
};
// Words of a text without function words, in order.
std::vector<Word> content_words(std::string_view text);

// What kind of thing the asker wants to be told.
struct Wanted {
    enum class Kind { anything, quantity, time };
    Kind kind = Kind::anything;
    std::string unit;  // quantity: "명", "일", "원", …; empty: any
};

struct Query {
    std::string text;
    std::vector<Term> terms;  // for the lexical leg
    std::vector<Word> words;
    std::vector<std::string>
        identifiers;  // "제12조의2제3항", "제2023-123호", canonical as analyze() gives them
    std::vector<std::string> phrases;  // quoted by the asker; squeezed
    std::optional<Day> as_of;          // "2024년 7월 기준", "2024. 7. 1. 당시"
    Wanted wanted;
    bool wants_addendum = false;  // asks for dates of force or transition rules
    bool is_small_talk = false;   // nothing that a document could answer
};
// today: what "올해" is, and the latest day that a year alone stands for.
Query analyze_question(std::string_view text, Day today);

// Whether a text tells what was wanted: a question for a number is not answered without one.
bool tells(std::string_view text, const Wanted& wanted);

}  // namespace jiphyeon
