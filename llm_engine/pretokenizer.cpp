// The text is decoded once into classes of characters; each alternative of the expression is then a few loops
// over them. No alternative looks further back than its own start, so the whole is linear.
#include "pretokenizer.hpp"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>

#include "utf8.hpp"

namespace jiphyeon {
namespace {

constexpr std::array<PretokenizerRule, 13> kRules = {{
    {.name = "qwen2", .shape = PretokenizerRule::Shape::llama3, .digits = 1},
    {.name = "deepseek-r1-qwen", .shape = PretokenizerRule::Shape::llama3, .digits = 1},
    {.name = "kormo", .shape = PretokenizerRule::Shape::llama3, .digits = 1},
    {.name = "llama3",
     .shape = PretokenizerRule::Shape::llama3,
     .digits = 3,
     .whole_words = true,
     .add_bos = true},
    {.name = "llama-v3",
     .shape = PretokenizerRule::Shape::llama3,
     .digits = 3,
     .whole_words = true,
     .add_bos = true},
    {.name = "llama-bpe",
     .shape = PretokenizerRule::Shape::llama3,
     .digits = 3,
     .whole_words = true,
     .add_bos = true},
    {.name = "midm-2.0",
     .shape = PretokenizerRule::Shape::llama3,
     .digits = 3,
     .whole_words = true,
     .add_bos = true},
    {.name = "gpt-2", .shape = PretokenizerRule::Shape::gpt2},
    {.name = "a.x-4.0", .shape = PretokenizerRule::Shape::gpt2},
    {.name = "exaone4", .shape = PretokenizerRule::Shape::gpt2},
    {.name = "trillion", .shape = PretokenizerRule::Shape::gpt2},
    {.name = "jina", .shape = PretokenizerRule::Shape::gpt2},
    {.name = "roberta-bpe", .shape = PretokenizerRule::Shape::gpt2},
}};

enum class Class : std::uint8_t { letter, number, space, newline, symbol, end };

struct Character {
    std::uint32_t offset = 0;
    Class kind = Class::end;
    char ascii = '\0';  // where it is one
};

Class class_of(UChar32 c)
{
    if (c == '\r' || c == '\n') return Class::newline;
    if (u_isUWhiteSpace(c)) return Class::space;
    const std::uint32_t mask = U_GET_GC_MASK(c);
    if ((mask & U_GC_L_MASK) != 0) return Class::letter;
    return (mask & U_GC_N_MASK) != 0 ? Class::number : Class::symbol;
}

std::vector<Character> classify(std::string_view text)
{
    std::vector<Character> out;
    out.reserve(text.size() + 1);
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Character c = first_character(text.substr(at));
        const auto offset = static_cast<std::uint32_t>(at);
        at += c.length > 0 ? c.length : 1;
        if (c.length == 0) {
            out.push_back({offset, Class::symbol});
        } else {
            const char ascii = c.code < 0x80 ? static_cast<char>(c.code) : '\0';
            out.push_back({offset, class_of(static_cast<UChar32>(c.code)), ascii});
        }
    }
    out.push_back({static_cast<std::uint32_t>(text.size())});
    return out;
}

class Scanner {
public:
    Scanner(std::string_view text, const PretokenizerRule& rule) : rule_(rule), characters_(classify(text)) {}

    // The character after the word that starts at `i`. Precondition: `i` is not the end.
    std::size_t word_end(std::size_t i) const
    {
        if (const std::size_t end = contraction(i); end != i) return end;
        return rule_.shape == PretokenizerRule::Shape::gpt2 ? gpt2(i) : llama3(i);
    }
    std::size_t offset(std::size_t i) const { return characters_[i].offset; }
    std::size_t count() const { return characters_.size() - 1; }

private:
    Class kind(std::size_t i) const { return characters_[std::min(i, count())].kind; }
    char ascii(std::size_t i) const { return characters_[std::min(i, count())].ascii; }
    bool is_space(std::size_t i) const { return kind(i) == Class::space || kind(i) == Class::newline; }

    std::size_t skip(std::size_t i, Class wanted) const
    {
        while (kind(i) == wanted) ++i;
        return i;
    }

    std::size_t contraction(std::size_t i) const
    {
        if (ascii(i) != '\'') return i;
        const bool caseless = rule_.shape == PretokenizerRule::Shape::llama3;
        const auto lower = [&](char c) {
            return caseless && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        };
        const char a = lower(ascii(i + 1));
        const char b = lower(ascii(i + 2));
        if (a == 's' || a == 't' || a == 'm' || a == 'd') return i + 2;
        if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return i + 3;
        return i;
    }

    std::size_t gpt2(std::size_t i) const
    {
        const std::size_t body = ascii(i) == ' ' ? i + 1 : i;
        const Class what = kind(body);
        if (what == Class::letter || what == Class::number || what == Class::symbol) return skip(body, what);
        return spaces(i);
    }

    std::size_t llama3(std::size_t i) const
    {
        const Class what = kind(i);
        if (what == Class::letter) return skip(i, Class::letter);
        if (what != Class::newline && what != Class::number && kind(i + 1) == Class::letter) {
            return skip(i + 1, Class::letter);
        }
        if (what == Class::number) {
            std::size_t end = i;
            while (kind(end) == Class::number && end - i < rule_.digits) ++end;
            return end;
        }
        const std::size_t body = ascii(i) == ' ' ? i + 1 : i;
        if (kind(body) == Class::symbol) return skip(skip(body, Class::symbol), Class::newline);

        std::size_t after_newline = i;  // \s*[\r\n]+ goes up to the last line end of the run
        for (std::size_t end = i; is_space(end); ++end) {
            if (kind(end) == Class::newline) after_newline = end + 1;
        }
        return after_newline != i ? after_newline : spaces(i);
    }

    // \s+(?!\S)|\s+: a run leaves its last space to the word after it.
    std::size_t spaces(std::size_t i) const
    {
        std::size_t end = i;
        while (is_space(end)) ++end;
        return end - i > 1 && end != count() ? end - 1 : end;
    }

    const PretokenizerRule& rule_;
    std::vector<Character> characters_;
};

}  // namespace

const PretokenizerRule* find_pretokenizer(std::string_view name)
{
    const auto found =
        std::find_if(kRules.begin(), kRules.end(), [&](const auto& rule) { return rule.name == name; });
    return found == kRules.end() ? nullptr : &*found;
}

std::vector<std::string_view> split_words(std::string_view text, const PretokenizerRule& rule)
{
    std::vector<std::string_view> words;
    const Scanner scanner(text, rule);
    for (std::size_t i = 0; i < scanner.count();) {
        const std::size_t end = scanner.word_end(i);
        words.push_back(text.substr(scanner.offset(i), scanner.offset(end) - scanner.offset(i)));
        i = end;
    }
    return words;
}

}  // namespace jiphyeon
