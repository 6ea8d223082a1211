// Cuts a text into the words that byte-level BPE merges within. Models publish this as a regular expression;
// the few shapes in use are written out here as one scanner with a row of options per name in
// `tokenizer.ggml.pre`.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace jiphyeon {

// SPACES stands for \s*[\r\n]+|\s+(?!\S)|\s+ and CONTRACTION for (?i:'s|'t|'re|'ve|'m|'ll|'d).
struct PretokenizerRule {
    enum class Shape : std::uint8_t {
        gpt2,    // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
        llama3,  // CONTRACTION|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|SPACES
        o200k,   // with U = \p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M} and L = \p{Ll}\p{Lm}\p{Lo}\p{M}:
                 // [^\r\n\p{L}\p{N}]?[U]*[L]+CONTRACTION?|[^\r\n\p{L}\p{N}]?[U]+[L]*CONTRACTION?|
                 // \p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n/]*|SPACES
    };
    std::string_view name;
    Shape shape = Shape::gpt2;
    unsigned digits = 0;             // n; gpt2: 1 cuts out every digit first, 0 keeps runs of them
    bool marks_are_letters = false;  // llama3: \p{L} stands for [\p{L}\p{M}]
    bool contractions = true;        // o200k
    bool whole_words = false;        // a word that is itself a token is taken without merging
    bool add_bos = false;            // where the file does not say
};

// nullptr where the name is not known.
const PretokenizerRule* find_pretokenizer(std::string_view name);

// Words in order; together they are the text. A byte that is no UTF-8 counts as a symbol of its own.
std::vector<std::string_view> split_words(std::string_view text, const PretokenizerRule& rule);

}  // namespace jiphyeon
