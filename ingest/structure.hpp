// The marks that begin units of Korean legal and administrative text: 제3조(…), ①, 1., 가., □, ○, -, 붙임.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

enum class Unit : std::uint8_t {
    part,          // 제1편
    chapter,       // 제1장
    section,       // 제1절
    subsection,    // 제1관
    article,       // 제3조(연가), 제12조의2
    addendum,      // 부칙
    annex,         // 별표 1, 별지 제2호서식
    paragraph,     // ①
    item,          // 1.
    subitem,       // 가.
    number_paren,  // 1)
    hangul_paren,  // 가)
    roman,         // Ⅰ.
    square,        // □
    circle,        // ○
    dash,          // -
    dot,           // ·
    remark,        // ※, *
    attachment,    // 붙임
};

struct Mark {
    Unit unit = Unit::item;
    std::uint32_t number = 0;  // from 1; 0: the unit has none
    std::uint32_t branch = 0;  // 제12조의2: 2
    std::string label;         // "제12조의2", "①", "가."
    std::string title;         // of an article: what stands in brackets; of a chapter: the rest of the line
    std::size_t length = 0;    // bytes of the line that the mark takes, blanks after it included
};
// The mark that `line` begins with, leading blanks passed over.
std::optional<Mark> leading_mark(std::string_view line);
bool begins_item(std::string_view line);

// Gives paragraphs their kind and level from their marks, for formats that say nothing of headings.
void classify_blocks(Document& document);

}  // namespace jiphyeon
