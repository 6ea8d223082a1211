// SentencePiece's BPE (`tokenizer.ggml.model` = llama): Llama 2, Mistral 7B, Gemma. The text starts as its
// characters, and the neighbours whose joint piece has the best score are joined until none is left. What is
// no piece then becomes byte pieces.
#pragma once

#include <array>

#include "symbols.hpp"
#include "vocabulary.hpp"

namespace jiphyeon {

class SpmTokenizer final : public VocabularyTokenizer {
public:
    // space_prefix: a space goes before the text and before what follows a user-defined token. Throws
    // EngineError malformed: no scores, a byte piece not spelt <0xXX>, neither byte pieces nor an unknown
    // token.
    SpmTokenizer(Vocabulary vocabulary, bool space_prefix);

    std::string piece(TokenId id) const override;

private:
    void encode_stretch(std::string_view text, std::vector<TokenId>& out) const override;
    TokenId id_of(std::string_view text) const;

    bool space_prefix_;
    std::size_t longest_ = 0;                            // bytes of a piece
    std::unordered_map<std::string_view, TokenId> ids_;  // of normal pieces
    std::array<TokenId, 256> byte_ids_{};                // -1: no such piece
};

}  // namespace jiphyeon
