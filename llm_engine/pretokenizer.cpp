// The text is decoded once into classes of characters; each alternative of the expression is then a few loops
// over them. A loop that has to give characters back stays inside one run of letters, of which all but the
// last capitals are then used up, so the whole is linear.
#include "pretokenizer.hpp"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>

#include "utf8.hpp"

namespace jiphyeon {
namespace {

using Shape = PretokenizerRule::Shape;

constexpr std::array kRules = {
    // Words are as in GPT-2.
    PretokenizerRule{.name = "gpt-2"},
    PretokenizerRule{.name = "a.x-4.0"},
    PretokenizerRule{.name = "exaone4"},
    PretokenizerRule{.name = "trillion"},
    PretokenizerRule{.name = "gigachat"},
    PretokenizerRule{.name = "granite-docling"},
    PretokenizerRule{.name = "jais"},
    PretokenizerRule{.name = "jina-de"},
    PretokenizerRule{.name = "jina-es"},
    PretokenizerRule{.name = "jina-v1-en"},
    PretokenizerRule{.name = "jina-v2-code"},
    PretokenizerRule{.name = "jina-v2-de"},
    PretokenizerRule{.name = "jina-v2-es"},
    PretokenizerRule{.name = "mellum"},
    PretokenizerRule{.name = "modern-bert"},
    PretokenizerRule{.name = "mpt"},
    PretokenizerRule{.name = "olmo"},
    PretokenizerRule{.name = "phi-2"},
    PretokenizerRule{.name = "roberta-bpe"},
    // The same after every digit is cut out.
    PretokenizerRule{.name = "exaone", .digits = 1},
    PretokenizerRule{.name = "codeshell", .digits = 1},
    PretokenizerRule{.name = "command-r", .digits = 1},
    PretokenizerRule{.name = "minerva-7b", .digits = 1},
    PretokenizerRule{.name = "refact", .digits = 1},
    PretokenizerRule{.name = "smollm", .digits = 1},
    PretokenizerRule{.name = "starcoder", .digits = 1},
    // Llama 3.
    PretokenizerRule{
        .name = "llama-bpe", .shape = Shape::llama3, .digits = 3, .whole_words = true, .add_bos = true},
    PretokenizerRule{
        .name = "llama3", .shape = Shape::llama3, .digits = 3, .whole_words = true, .add_bos = true},
    PretokenizerRule{
        .name = "llama-v3", .shape = Shape::llama3, .digits = 3, .whole_words = true, .add_bos = true},
    PretokenizerRule{
        .name = "midm-2.0", .shape = Shape::llama3, .digits = 3, .whole_words = true, .add_bos = true},
    PretokenizerRule{
        .name = "falcon3", .shape = Shape::llama3, .digits = 3, .whole_words = true, .add_bos = true},
    PretokenizerRule{
        .name = "falcon-h1", .shape = Shape::llama3, .digits = 3, .whole_words = true, .add_bos = true},
    PretokenizerRule{
        .name = "lfm2", .shape = Shape::llama3, .digits = 3, .whole_words = true, .add_bos = true},
    PretokenizerRule{
        .name = "pixtral", .shape = Shape::llama3, .digits = 3, .whole_words = true, .add_bos = true},
    // Words as in Llama 3, always merged.
    PretokenizerRule{.name = "chatglm-bpe", .shape = Shape::llama3, .digits = 3},
    PretokenizerRule{.name = "dbrx", .shape = Shape::llama3, .digits = 3},
    PretokenizerRule{.name = "glm4", .shape = Shape::llama3, .digits = 3},
    PretokenizerRule{.name = "smaug-bpe", .shape = Shape::llama3, .digits = 3},
    // Qwen 2: digits stand alone.
    PretokenizerRule{.name = "qwen2", .shape = Shape::llama3, .digits = 1},
    PretokenizerRule{.name = "deepseek-r1-qwen", .shape = Shape::llama3, .digits = 1},
    PretokenizerRule{.name = "hunyuan", .shape = Shape::llama3, .digits = 1},
    PretokenizerRule{.name = "kormo", .shape = Shape::llama3, .digits = 1},
    PretokenizerRule{.name = "megrez", .shape = Shape::llama3, .digits = 1},
    PretokenizerRule{.name = "solar-open", .shape = Shape::llama3, .digits = 1},
    PretokenizerRule{.name = "stablelm2", .shape = Shape::llama3, .digits = 1},
    PretokenizerRule{.name = "qwen35", .shape = Shape::llama3, .digits = 1, .marks_are_letters = true},
    // Words change where capitals follow small letters.
    PretokenizerRule{.name = "gpt-4o", .shape = Shape::o200k, .digits = 3},
    PretokenizerRule{.name = "kanana2", .shape = Shape::o200k, .digits = 3},
    PretokenizerRule{.name = "llama4", .shape = Shape::o200k, .digits = 3},
    PretokenizerRule{.name = "tekken",
                     .shape = Shape::o200k,
                     .digits = 1,
                     .contractions = false,
                     .whole_words = true,
                     .add_bos = true},
};

// Classes are bits, so that a loop takes several of them.
using Classes = std::uint16_t;
constexpr Classes kUpper = 1;  // Lu, Lt
constexpr Classes kLower = 2;
constexpr Classes kCaseless = 4;  // Lm, Lo: Hangul and Hanja
constexpr Classes kMark = 8;
constexpr Classes kNumber = 16;
constexpr Classes kSpace = 32;
constexpr Classes kNewline = 64;
constexpr Classes kSymbol = 128;
constexpr Classes kEnd = 256;

struct Character {
    std::uint32_t offset = 0;
    Classes kind = kEnd;
    char ascii = '\0';  // where it is one
};

Classes class_of(UChar32 c)
{
    if (c == '\r' || c == '\n') return kNewline;
    if (u_isUWhiteSpace(c)) return kSpace;
    const std::uint32_t category = U_GET_GC_MASK(c);
    if ((category & (U_GC_LU_MASK | U_GC_LT_MASK)) != 0) return kUpper;
    if ((category & U_GC_LL_MASK) != 0) return kLower;
    if ((category & U_GC_L_MASK) != 0) return kCaseless;
    if ((category & U_GC_M_MASK) != 0) return kMark;
    return (category & U_GC_N_MASK) != 0 ? kNumber : kSymbol;
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
            out.push_back({offset, kSymbol});
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
    Scanner(std::string_view text, const PretokenizerRule& rule)
        : rule_(rule),
          letters_(static_cast<Classes>(kUpper | kLower | kCaseless | (rule.marks_are_letters ? kMark : 0))),
          symbols_(static_cast<Classes>(kSymbol | (rule.marks_are_letters ? 0 : kMark))),
          characters_(classify(text))
    {
    }

    // The character after the word that starts at `i`. Precondition: `i` is not the end.
    std::size_t word_end(std::size_t i) const
    {
        switch (rule_.shape) {
            case Shape::gpt2:
                return gpt2(i);
            case Shape::llama3:
                return llama3(i);
            case Shape::o200k:
                return o200k(i);
        }
        return i + 1;
    }
    std::size_t offset(std::size_t i) const { return characters_[i].offset; }
    std::size_t count() const { return characters_.size() - 1; }

private:
    Classes kind(std::size_t i) const { return characters_[std::min(i, count())].kind; }
    char ascii(std::size_t i) const { return characters_[std::min(i, count())].ascii; }
    bool is(std::size_t i, Classes wanted) const { return (kind(i) & wanted) != 0; }

    std::size_t skip(std::size_t i, Classes wanted) const
    {
        while (is(i, wanted)) ++i;
        return i;
    }

    // The end of a contraction that starts at `i`; `i` where none does.
    std::size_t contraction(std::size_t i, bool caseless) const
    {
        if (ascii(i) != '\'') return i;
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
        if (const std::size_t end = contraction(i, false); end != i) return end;
        const bool single = rule_.digits == 1;
        if (single && is(i, kNumber)) return i + 1;
        const std::size_t body = ascii(i) == ' ' ? i + 1 : i;
        if (is(body, letters_)) return skip(body, letters_);
        if (is(body, symbols_)) return skip(body, symbols_);
        if (is(body, kNumber) && !single) return skip(body, kNumber);
        // A digit that was cut out ends the text before it.
        return spaces(i, single ? kNumber | kEnd : kEnd);
    }

    std::size_t llama3(std::size_t i) const
    {
        if (const std::size_t end = contraction(i, true); end != i) return end;
        if (is(i, letters_)) return skip(i, letters_);
        if (!is(i, kNewline | kNumber) && is(i + 1, letters_)) return skip(i + 1, letters_);
        if (is(i, kNumber)) return digits(i);
        return symbols_or_spaces(i, [&](std::size_t end) { return skip(end, kNewline); });
    }

    std::size_t o200k(std::size_t i) const
    {
        // A character before the letters is taken where letters follow it; a mark may be that or the first
        // letter.
        const bool leads = !is(i, letters_ | kNumber | kNewline);
        std::size_t start = leads ? i + 1 : i;
        std::size_t end = small_word(start);
        if (end == start && is(i, kMark)) end = small_word(start = i);
        if (end == start) end = skip(start, kUpper);  // no small or caseless letter follows
        if (end != start) return rule_.contractions ? contraction(end, true) : end;
        if (is(i, kNumber)) return digits(i);
        return symbols_or_spaces(i, [&](std::size_t tail) {
            while (is(tail, kNewline) || ascii(tail) == '/') ++tail;
            return tail;
        });
    }

    // [U]*[L]+: the end of a word that ends in a small or caseless letter; `i` where none starts there.
    std::size_t small_word(std::size_t i) const
    {
        std::size_t end = skip(i, kUpper | kCaseless | kMark);
        if (is(end, kLower)) return skip(end, kLower | kCaseless | kMark);
        while (end != i && is(end - 1, kUpper)) --end;
        return end;
    }

    std::size_t digits(std::size_t i) const
    {
        std::size_t end = i;
        while (is(end, kNumber) && end - i < rule_.digits) ++end;
        return end;
    }

    // tail: where what may follow the symbols ends.
    template <typename Tail>
    std::size_t symbols_or_spaces(std::size_t i, const Tail& tail) const
    {
        const std::size_t body = ascii(i) == ' ' ? i + 1 : i;
        if (is(body, symbols_)) return tail(skip(body, symbols_));
        std::size_t after_newline = i;  // \s*[\r\n]+ goes up to the last line end of the run
        for (std::size_t end = i; is(end, kSpace | kNewline); ++end) {
            if (is(end, kNewline)) after_newline = end + 1;
        }
        return after_newline != i ? after_newline : spaces(i, kEnd);
    }

    // \s+(?!\S)|\s+: a run leaves its last space to the word after it, unless `stops` follow.
    std::size_t spaces(std::size_t i, Classes stops) const
    {
        const std::size_t end = skip(i, kSpace | kNewline);
        return end - i > 1 && !is(end, stops) ? end - 1 : end;
    }

    const PretokenizerRule& rule_;
    Classes letters_;
    Classes symbols_;
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
