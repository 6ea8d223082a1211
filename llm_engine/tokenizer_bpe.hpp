// Byte-level BPE (`tokenizer.ggml.model` = gpt2): words are cut by the pre-tokenizer, each starts as its
// bytes, and the pair of neighbours that was merged earliest in training is merged until none is left.
#pragma once

#include "pretokenizer.hpp"
#include "symbols.hpp"
#include "vocabulary.hpp"

namespace jiphyeon {

class BpeTokenizer final : public VocabularyTokenizer {
public:
    // merges: "left right" in the file's spelling, earliest first. Throws EngineError malformed: a byte
    // without a token, a merge of or into what is no token.
    BpeTokenizer(Vocabulary vocabulary, std::span<const std::string_view> merges,
                 const PretokenizerRule& rule);

    std::string piece(TokenId id) const override;

private:
    void encode_stretch(std::string_view text, std::vector<TokenId>& out) const override;
    void merge_word(std::string_view word, std::vector<TokenId>& out) const;
    static std::uint64_t pair_key(TokenId left, TokenId right);

    const PretokenizerRule& rule_;
    std::vector<std::string> pieces_;                    // bytes of each token; empty for what is no text
    std::unordered_map<std::string_view, TokenId> ids_;  // of whole pieces
    std::unordered_map<std::uint64_t, Joined> merges_;   // the cost is the rank
    std::array<TokenId, 256> byte_ids_{};
};

}  // namespace jiphyeon
