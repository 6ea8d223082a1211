// WordPiece (`tokenizer.ggml.model` = bert): BERT and what was trained from it. The text is cleaned and cut
// into words at white space, punctuation and Chinese characters; of each word the longest piece is taken,
// then the longest of what is left, and a word that cannot be used up so is one unknown token.
//
// The vocabulary holds a piece that starts a word with U+2581 before it, and one that goes on in a word bare
// (`##` in the model's own spelling).
#pragma once

#include "piece_trie.hpp"
#include "vocabulary.hpp"

namespace jiphyeon {

class WpmTokenizer final : public VocabularyTokenizer {
public:
    struct Letters {
        bool lowercase = true;
        // Decomposes (NFD) and drops nonspacing marks: é becomes e, and a Hangul syllable its jamo, which is
        // how the vocabularies of such models hold Korean.
        bool strip_accents = true;
    };
    // Throws EngineError malformed: no unknown token.
    WpmTokenizer(Vocabulary vocabulary, const Letters& letters);

    std::string piece(TokenId id) const override { return spaced_piece(id); }

private:
    void encode_stretch(std::string_view text, std::vector<TokenId>& out) const override;
    void encode_word(std::string_view word, std::size_t characters, std::vector<TokenId>& out) const;

    Letters letters_;
    PieceTrie starts_;
    PieceTrie continuations_;
};

}  // namespace jiphyeon
