// Cuts a text into the words that byte-level BPE merges within. Models publish this as a regular expression;
// the few shapes in use are written out here as one scanner with a row of options per name in
// `tokenizer.ggml.pre`.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace jiphyeon {

struct PretokenizerRule {
    enum class Shape : std::uint8_t {
        gpt2,    // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
        llama3,  // (?i:'s|…)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}|
                 // ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    };
    std::string_view name;
    Shape shape;
    unsigned digits = 0;       // llama3: n
    bool whole_words = false;  // a word that is itself a token is taken without merging
    bool add_bos = false;      // where the file does not say
};

// nullptr where the name is not known.
const PretokenizerRule* find_pretokenizer(std::string_view name);

// Words in order; together they are the text. A byte that is no UTF-8 counts as a symbol of its own.
std::vector<std::string_view> split_words(std::string_view text, const PretokenizerRule& rule);

}  // namespace jiphyeon
