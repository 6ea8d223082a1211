// Unigram with SentencePiece's normaliser (`tokenizer.ggml.model` = t5): XLM-R, e5, bge-m3. The text is
// normalised, spaces become U+2581, and of all ways to cut it into pieces the one with the largest sum of
// scores is taken. FORMAT.md beside this file has the keys and the form of the normaliser's table.
#pragma once

#include "piece_trie.hpp"
#include "vocabulary.hpp"

namespace jiphyeon {

// Replaces the longest key that begins at each place of a text.
class CharacterMap {
public:
    CharacterMap() = default;
    // Throws EngineError malformed.
    explicit CharacterMap(std::string_view bytes);

    struct Match {
        std::size_t length = 0;  // bytes of the key; 0: none begins here
        std::string_view replacement;
    };
    Match longest(std::string_view text) const;

private:
    std::vector<std::uint32_t> units_;
    std::string replacements_;
};

class UgmTokenizer final : public VocabularyTokenizer {
public:
    struct Spaces {
        bool prefix = true;
        bool collapse = true;        // runs become one; none at the start
        bool keep_trailing = false;  // with collapse: one at the end stays
    };
    // Throws EngineError malformed: no scores, no unknown token.
    UgmTokenizer(Vocabulary vocabulary, CharacterMap map, const Spaces& spaces);

    std::string piece(TokenId id) const override { return spaced_piece(id); }
    // What the pieces are matched against. For tests.
    std::string normalized(std::string_view text) const;

private:
    void encode_stretch(std::string_view text, std::vector<TokenId>& out) const override;

    CharacterMap map_;
    Spaces spaces_;
    PieceTrie trie_;
    double unknown_score_ = 0;
};

}  // namespace jiphyeon
