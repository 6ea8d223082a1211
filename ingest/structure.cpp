#include "structure.hpp"

#include <algorithm>
#include <array>

#include "code_points.hpp"

namespace jiphyeon {
namespace {

struct Cursor {
    std::string_view text;
    std::size_t at = 0;

    char32_t peek() const
    {
        std::size_t next = at;
        return at < text.size() ? next_code_point(text, next) : 0;
    }
    char32_t take() { return at < text.size() ? next_code_point(text, at) : 0; }
    bool eat(std::string_view words)
    {
        if (!text.substr(at).starts_with(words)) return false;
        at += words.size();
        return true;
    }
    void blanks()
    {
        while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
    }
    // Up to four digits; 0: none.
    std::uint32_t number()
    {
        std::uint32_t value = 0;
        std::size_t digits = 0;
        while (at + digits < text.size() && text[at + digits] >= '0' && text[at + digits] <= '9' &&
               digits < 5)
            value = value * 10 + static_cast<std::uint32_t>(text[at + digits++] - '0');
        if (digits == 0 || digits > 4) return 0;
        at += digits;
        return value;
    }
    bool done() const { return at >= text.size(); }
};

constexpr std::array<std::string_view, 14> kSyllables = {"가", "나", "다", "라", "마", "바", "사",
                                                         "아", "자", "차", "카", "타", "파", "하"};

std::uint32_t circled(char32_t c)
{
    if (c >= 0x2460 && c <= 0x2473) return static_cast<std::uint32_t>(c - 0x2460 + 1);
    if (c >= 0x3251 && c <= 0x325F) return static_cast<std::uint32_t>(c - 0x3251 + 21);
    if (c >= 0x32B1 && c <= 0x32BF) return static_cast<std::uint32_t>(c - 0x32B1 + 36);
    return 0;
}

void finish(Mark& mark, Cursor& cursor, std::size_t start)
{
    if (mark.label.empty()) mark.label = std::string(cursor.text.substr(start, cursor.at - start));
    cursor.blanks();
    mark.length = cursor.at;
}

// 제3조, 제12조의2(…), 제1장 총칙.
std::optional<Mark> statute_mark(Cursor cursor)
{
    const std::size_t start = cursor.at;
    if (!cursor.eat("제")) return std::nullopt;
    cursor.blanks();
    Mark mark;
    mark.number = cursor.number();
    if (mark.number == 0) return std::nullopt;
    cursor.blanks();
    static constexpr std::pair<std::string_view, Unit> kUnits[] = {{"편", Unit::part},
                                                                   {"장", Unit::chapter},
                                                                   {"절", Unit::section},
                                                                   {"관", Unit::subsection},
                                                                   {"조", Unit::article}};
    const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                   [&](const auto& u) { return cursor.eat(u.first); });
    if (unit == std::end(kUnits)) return std::nullopt;
    mark.unit = unit->second;
    if (cursor.eat("의")) {
        mark.branch = cursor.number();
        if (mark.branch == 0) return std::nullopt;
    }
    std::string label(cursor.text.substr(start, cursor.at - start));
    std::erase(label, ' ');
    mark.label = std::move(label);
    if (mark.unit == Unit::article) {
        // "제3조에 따라" refers, "제3조(연가)" and "제3조 삭제" begin.
        Cursor rest = cursor;
        rest.blanks();
        if (rest.eat("(") || rest.eat("（") || rest.eat("[") || rest.eat("【")) {
            const std::size_t open = rest.at;
            static constexpr std::string_view kClosers[] = {")", "）", "]", "】"};
            std::size_t close = std::string_view::npos;
            for (const std::string_view closer : kClosers)
                close = std::min(close, rest.text.find(closer, open));
            if (close == std::string_view::npos || close - open > 240) return std::nullopt;
            mark.title = std::string(rest.text.substr(open, close - open));
            cursor.at = close + (rest.text[close] == ')' || rest.text[close] == ']' ? 1 : 3);
            // "제5조(연가)에 따라": a particle makes it a reference.
            for (const std::string_view particle :
                 {"에", "의", "을", "를", "은", "는", "과", "와", "로", "및", "부터", "까지", "제", ","})
                if (cursor.text.substr(cursor.at).starts_with(particle)) return std::nullopt;
        } else if (!cursor.done() && cursor.peek() != ' ') {
            return std::nullopt;
        } else if (!rest.done() && !rest.eat("삭제") && !rest.eat("<") && circled(rest.peek()) == 0) {
            return std::nullopt;
        }
        finish(mark, cursor, start);
        return mark;
    }
    if (!cursor.done() && cursor.peek() != ' ' && cursor.peek() != '(') return std::nullopt;
    cursor.blanks();
    mark.title = std::string(cursor.text.substr(cursor.at));
    if (mark.title.size() > 150 || mark.title.find("다.") != std::string::npos) return std::nullopt;
    finish(mark, cursor, start);
    return mark;
}

std::optional<Mark> annex_mark(Cursor cursor)
{
    const std::size_t start = cursor.at;
    const bool bracket = cursor.eat("[") || cursor.eat("<") || cursor.eat("【");
    if (!cursor.eat("별표") && !cursor.eat("별지")) return std::nullopt;
    Mark mark;
    mark.unit = Unit::annex;
    cursor.blanks();
    cursor.eat("제");
    mark.number = cursor.number();
    cursor.eat("호");
    if (cursor.eat("의")) mark.branch = cursor.number();
    if (!cursor.eat(" 서식")) cursor.eat("서식");
    if (bracket && !cursor.eat("]") && !cursor.eat(">") && !cursor.eat("】")) return std::nullopt;
    if (!cursor.done() && cursor.peek() != ' ' && cursor.peek() != '(' && cursor.peek() != '<')
        return std::nullopt;
    std::string label(cursor.text.substr(start, cursor.at - start));
    std::erase_if(label, [](char c) { return c == '[' || c == ']' || c == '<' || c == '>'; });
    mark.label = label;
    cursor.blanks();
    mark.title = std::string(cursor.text.substr(cursor.at));
    // A sentence that begins with "별표 1에 따른" is none; one that only names the annex is.
    if (mark.title.size() > 150) return std::nullopt;
    finish(mark, cursor, start);
    return mark;
}

std::optional<Mark> addendum_mark(Cursor cursor)
{
    const std::size_t start = cursor.at;
    if (!cursor.eat("부")) return std::nullopt;
    cursor.blanks();
    if (!cursor.eat("칙")) return std::nullopt;
    Mark mark;
    mark.unit = Unit::addendum;
    mark.label = "부칙";
    cursor.blanks();
    if (!cursor.done() && cursor.peek() != '<' && cursor.peek() != '(' && cursor.peek() != '[' &&
        cursor.peek() != 0x3008 && cursor.peek() != 0xFF1C)
        return std::nullopt;
    mark.title = std::string(cursor.text.substr(cursor.at));
    cursor.at = cursor.text.size();
    finish(mark, cursor, start);
    return mark;
}

// 1. 가. 1) 가) (1) (가). "2025. 9. 19." is a date and "5.5%" a number: a blank or a letter must follow.
std::optional<Mark> ordinal_mark(Cursor cursor)
{
    const std::size_t start = cursor.at;
    Mark mark;
    const bool bracket = cursor.eat("(");
    bool hangul = false;
    mark.number = cursor.number();
    if (mark.number == 0) {
        for (std::size_t i = 0; i < kSyllables.size() && mark.number == 0; ++i)
            if (cursor.eat(kSyllables[i])) mark.number = static_cast<std::uint32_t>(i + 1);
        hangul = true;
    }
    if (mark.number == 0 || mark.number > 200) return std::nullopt;
    if (!bracket && cursor.eat("의")) {
        mark.branch = cursor.number();
        if (mark.branch == 0) return std::nullopt;
    }
    const bool paren = cursor.eat(")");
    if (bracket && !paren) return std::nullopt;
    if (!paren && !cursor.eat(".")) return std::nullopt;
    const char32_t next = cursor.peek();
    if (next == 0 || (next >= '0' && next <= '9')) return std::nullopt;
    if (hangul && !paren && next != ' ') return std::nullopt;  // "다." ends a sentence
    Cursor rest = cursor;
    rest.blanks();
    if (!hangul && !paren && rest.peek() >= '0' && rest.peek() <= '9') {
        Cursor date = rest;  // "9. 19." and "3. 1. 기준"
        date.number();
        if (date.eat(".")) return std::nullopt;
    }
    mark.unit =
        paren ? (hangul ? Unit::hangul_paren : Unit::number_paren) : (hangul ? Unit::subitem : Unit::item);
    finish(mark, cursor, start);
    return mark;
}

std::optional<Mark> symbol_mark(Cursor cursor)
{
    const std::size_t start = cursor.at;
    const char32_t c = cursor.take();
    Mark mark;
    if (const std::uint32_t number = circled(c); number > 0) {
        mark.unit = Unit::paragraph;
        mark.number = number;
        finish(mark, cursor, start);
        return mark;
    }
    if (c >= 0x2160 && c <= 0x216B) {
        mark.unit = Unit::roman;
        mark.number = static_cast<std::uint32_t>(c - 0x2160 + 1);
        cursor.eat(".");
        finish(mark, cursor, start);
        return mark;
    }
    const bool spaced = cursor.peek() == ' ';
    switch (c) {
        case 0x25A1:
        case 0x25A0:
        case 0x2751:
        case 0x2752:
        case 0x25A3:
            mark.unit = Unit::square;
            break;
        case 0x25CB:
        case 0x25CE:
        case 0x25E6:
        case 0x274D:
        case 0x25CF:
        case 0x2022:
            mark.unit = Unit::circle;
            break;
        case 0x3147:
        case 'o':
        case 'O':  // typed for the circle
            if (!spaced) return std::nullopt;
            mark.unit = Unit::circle;
            break;
        case '-':
        case 0x2013:
        case 0x2014:
        case 0x2015:
        case 0x2212:
            if (!spaced) return std::nullopt;
            mark.unit = Unit::dash;
            break;
        case 0x00B7:
        case 0x318D:
        case 0x2024:
        case 0x2027:
        case 0x30FB:
        case 0x2219:
        case 0x22C5:
        case 0x25AA:
        case 0x25AB:
            mark.unit = Unit::dot;
            break;
        case 0x203B:
            mark.unit = Unit::remark;
            break;
        case '*':
            mark.unit = Unit::remark;
            break;
        case 0xBD99: {  // 붙
            if (!cursor.eat("임")) return std::nullopt;
            const char32_t next = cursor.peek();
            if (next != 0 && next != ' ' && next != ':' && next != '.' && !(next >= '0' && next <= '9'))
                return std::nullopt;
            mark.unit = Unit::attachment;
            break;
        }
        default:
            return std::nullopt;
    }
    finish(mark, cursor, start);
    return mark;
}

}  // namespace

std::optional<Mark> leading_mark(std::string_view line)
{
    Cursor cursor{line};
    cursor.blanks();
    if (cursor.done()) return std::nullopt;
    if (auto mark = statute_mark(cursor)) return mark;
    if (auto mark = addendum_mark(cursor)) return mark;
    if (auto mark = annex_mark(cursor)) return mark;
    if (auto mark = ordinal_mark(cursor)) return mark;
    return symbol_mark(cursor);
}

bool begins_item(std::string_view line)
{
    return leading_mark(line).has_value();
}

void classify_blocks(Document& document)
{
    for (Block& block : document.blocks) {
        if (block.kind != BlockKind::paragraph) continue;
        const std::size_t end = std::min(block.text.find('\n'), block.text.size());
        const std::optional<Mark> mark = leading_mark(std::string_view(block.text).substr(0, end));
        if (!mark) continue;
        switch (mark->unit) {
            case Unit::part:
            case Unit::chapter:
            case Unit::section:
            case Unit::subsection:
                block.kind = BlockKind::heading;
                block.level = static_cast<std::uint32_t>(mark->unit) + 1;
                break;
            case Unit::addendum:
            case Unit::annex:
                block.kind = BlockKind::heading;
                block.level = 1;
                break;
            case Unit::roman:
                block.kind = BlockKind::heading;
                block.level = 1;
                break;
            case Unit::item:
            case Unit::square:
            case Unit::paragraph:
                block.kind = BlockKind::list;
                block.level = 1;
                break;
            case Unit::subitem:
            case Unit::circle:
                block.kind = BlockKind::list;
                block.level = 2;
                break;
            case Unit::number_paren:
            case Unit::dash:
                block.kind = BlockKind::list;
                block.level = 3;
                break;
            case Unit::hangul_paren:
            case Unit::dot:
                block.kind = BlockKind::list;
                block.level = 4;
                break;
            case Unit::article:
            case Unit::remark:
            case Unit::attachment:
                break;
        }
    }
}

}  // namespace jiphyeon
