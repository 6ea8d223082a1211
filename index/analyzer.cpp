// From text to terms. Korean joins particles to nouns and nouns to one another, so a run of Hangul gives its
// stem (particle off) and the pairs of the stem's syllables: the stem finds exact terms, the pairs find
// compounds and paraphrases. Runs are split where the script changes. Identifiers are terms of their own.
//
// A word with its Chinese characters in brackets is read as one: "구법(舊法)에" is 구법 with a particle, and
// 舊法 elsewhere in the text is then also read 구법.

#include <unicode/uchar.h>

#include <unordered_map>

#include "identifiers.hpp"
#include "jiphyeon/index.hpp"
#include "particles.hpp"
#include "utf8.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kWordMax = 32;  // longer runs are no words: only their pairs are kept, or pieces

// Of words that name nothing; in a question they would outweigh those that do where the collection seldom has
// them.
constexpr float kFunctionWeight = 0.2f;

enum class Script : std::uint8_t { none, hangul, han, digit, letter };

Script script_of(char32_t c)
{
    if (c < 0x80) {
        if (c >= U'0' && c <= U'9') return Script::digit;
        return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') ? Script::letter : Script::none;
    }
    if ((c >= 0xAC00 && c <= 0xD7A3) || (c >= 0x3131 && c <= 0x318E) || (c >= 0x1100 && c <= 0x11FF)) {
        return Script::hangul;
    }
    const auto code = static_cast<UChar32>(c);
    if (u_hasBinaryProperty(code, UCHAR_IDEOGRAPHIC)) return Script::han;
    if (u_isdigit(code)) return Script::digit;
    return u_isalpha(code) || (U_GET_GC_MASK(code) & U_GC_M_MASK) != 0 ? Script::letter : Script::none;
}

bool opens(char32_t c)
{
    return c == U'(' || c == U'[' || c == U'〔';
}
bool closes(char32_t c)
{
    return c == U')' || c == U']' || c == U'〕';
}

class Analysis {
public:
    explicit Analysis(std::u32string_view text) : text_(text) {}

    std::vector<Term> run()
    {
        for (std::size_t i = 0; i < text_.size();) {
            const Script script = script_of(text_[i]);
            if (script != Script::none || text_[i] == U'₩' || text_[i] == U'\'' || text_[i] == U'(')
                identifiers(i);
            switch (script) {
                case Script::none:
                    ++i;
                    break;
                case Script::hangul:
                    i = hangul(i);
                    break;
                case Script::han:
                    i = han(i);
                    break;
                case Script::digit:
                    i = number(i);
                    break;
                case Script::letter:
                    i = letters(i);
                    break;
            }
        }
        return std::move(terms_);
    }

private:
    std::size_t end_of_run(std::size_t i, Script script) const
    {
        while (i < text_.size() && script_of(text_[i]) == script) ++i;
        return i;
    }
    void identifiers(std::size_t i)
    {
        if (i < identified_) return;  // within the last one
        found_.clear();
        identified_ = find_identifiers(text_, i, found_);
        for (std::string& id : found_) terms_.push_back({Field::exact, std::move(id), 1});
    }
    void stem(std::u32string_view word, float weight = 1)
    {
        terms_.push_back({Field::stem, encode_utf8(word), weight});
    }
    void pairs(std::u32string_view word, float weight = 1)
    {
        for (std::size_t i = 0; i + 1 < word.size(); ++i) {
            terms_.push_back({Field::bigram, encode_utf8(word.substr(i, 2)), weight});
        }
    }
    void word(std::u32string_view run, bool attached)
    {
        const std::u32string_view kept = run.substr(0, stem_length(run, attached));
        if (kept.empty()) return;
        const float weight = is_function_word(kept) ? kFunctionWeight : 1;
        if (kept.size() <= kWordMax) stem(kept, weight);
        pairs(kept, weight);
    }
    // The end of a bracketed run of `script` that begins at `open`, or 0: "(舊法)".
    std::size_t bracketed(std::size_t open, Script script, std::size_t& from, std::size_t& to) const
    {
        if (open >= text_.size() || !opens(text_[open])) return 0;
        from = open + 1;
        to = from;
        while (to < text_.size() && to - from <= kWordMax && script_of(text_[to]) == script) ++to;
        if (to == from || to >= text_.size() || !closes(text_[to])) return 0;
        return to + 1;
    }

    std::size_t hangul(std::size_t i)
    {
        const bool attached = i > 0 && text_[i - 1] != U' ' && text_[i - 1] != U'\n' && !opens(text_[i - 1]);
        const std::size_t end = end_of_run(i, Script::hangul);
        std::size_t from = 0, to = 0;
        const std::size_t after = bracketed(end, Script::han, from, to);
        if (after == 0 || to - from > end - i) {
            word(text_.substr(i, end - i), attached);
            return end;
        }
        const std::u32string_view characters = text_.substr(from, to - from);
        readings_.emplace(characters, text_.substr(end - characters.size(), characters.size()));
        const std::size_t tail = end_of_run(after, Script::hangul);
        std::u32string joined(text_.substr(i, end - i));
        joined += text_.substr(after, tail - after);
        word(joined, attached);
        plain(characters);
        return tail;
    }

    std::size_t han(std::size_t i)
    {
        const std::size_t end = end_of_run(i, Script::han);
        const std::u32string_view characters = text_.substr(i, end - i);
        plain(characters);
        std::size_t from = 0, to = 0;
        const std::size_t after = bracketed(end, Script::hangul, from, to);
        if (after != 0 && to - from == characters.size()) {
            readings_.emplace(characters, text_.substr(from, to - from));
            const std::size_t tail = end_of_run(after, Script::hangul);
            std::u32string joined(text_.substr(from, to - from));
            joined += text_.substr(after, tail - after);
            word(joined, false);
            return tail;
        }
        if (const auto known = readings_.find(characters); known != readings_.end())
            word(known->second, false);
        return end;
    }
    void plain(std::u32string_view characters)
    {
        if (characters.size() <= kWordMax) stem(characters);
        pairs(characters);
    }

    // Digits with the commas of their thousands as one term.
    std::size_t number(std::size_t i)
    {
        std::size_t end = end_of_run(i, Script::digit);
        std::u32string digits(text_.substr(i, end - i));
        while (digits.size() < kWordMax && end + 3 < text_.size() && text_[end] == U',' &&
               end_of_run(end + 1, Script::digit) == end + 4) {
            digits += text_.substr(end + 1, 3);
            end += 4;
        }
        pieces(digits);
        return end;
    }
    std::size_t letters(std::size_t i)
    {
        const std::size_t end = end_of_run(i, Script::letter);
        pieces(text_.substr(i, end - i));
        return end;
    }
    void pieces(std::u32string_view run)
    {
        for (; !run.empty(); run.remove_prefix(std::min(run.size(), kWordMax))) stem(run.substr(0, kWordMax));
    }

    std::u32string_view text_;
    std::vector<Term> terms_;
    std::vector<std::string> found_;
    std::size_t identified_ = 0;
    std::unordered_map<std::u32string_view, std::u32string_view> readings_;
};

}  // namespace

std::vector<Term> analyze(std::string_view text)
{
    const std::u32string decoded = decode_utf8(normalize(text));
    return Analysis(decoded).run();
}

}  // namespace jiphyeon
