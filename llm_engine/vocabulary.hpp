// What tokenizers of all families share: the vocabulary as the file states it, its special tokens, and how a
// text is cut at user-defined tokens before the family's own matching runs on the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gguf.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "piece_trie.hpp"

namespace jiphyeon {

enum class TokenKind : std::uint8_t { normal = 1, unknown, control, user_defined, unused, byte };

struct Vocabulary {
    std::vector<std::string> texts = {};  // as in the file: in the family's own spelling
    std::vector<TokenKind> kinds = {};
    std::vector<float> scores = {};  // empty where the family has none
    std::optional<TokenId> bos = {};
    std::optional<TokenId> eos = {};
    std::optional<TokenId> unknown = {};
    std::vector<bool> ends = {};  // ends a generation
    bool add_bos = false;
    bool add_eos = false;

    // Throws EngineError malformed: no tokens, more than 2^24, arrays of different lengths, ids out of range.
    static Vocabulary read(const Gguf& file);
    // `tokenizer.ggml.NAME_token_id`; where the file does not say, `fallback` if the vocabulary is so large.
    std::optional<TokenId> special(const Gguf& file, std::string_view name,
                                   std::optional<TokenId> fallback) const;
};

// The texts of the tokens of one kind. Views into the vocabulary.
std::vector<std::pair<std::string_view, TokenId>> pieces_of(const Vocabulary& vocabulary, TokenKind kind);

inline constexpr std::string_view kSpacePiece = "\xE2\x96\x81";        // U+2581, how families write a space
inline constexpr std::string_view kReplacementPiece = "\xEF\xBF\xBD";  // U+FFFD, for what no token stands for

class VocabularyTokenizer : public Tokenizer {
public:
    std::vector<TokenId> encode(std::string_view text, bool add_special) const final;
    std::optional<TokenId> control(std::string_view name) const final;
    bool ends_generation(TokenId id) const final;
    std::size_t size() const final { return vocabulary_.texts.size(); }

protected:
    explicit VocabularyTokenizer(Vocabulary vocabulary);
    // Appends the ids of a stretch without user-defined tokens.
    virtual void encode_stretch(std::string_view text, std::vector<TokenId>& out) const = 0;
    // The text of a token whose family writes spaces as U+2581: U+FFFD for unknown, empty for control tokens.
    std::string spaced_piece(TokenId id) const;
    bool known(TokenId id) const
    {
        return id >= 0 && static_cast<std::size_t>(id) < vocabulary_.texts.size();
    }

    const Vocabulary vocabulary_;

private:
    std::unordered_map<std::string_view, TokenId> controls_;
    PieceTrie user_defined_;
};

}  // namespace jiphyeon
