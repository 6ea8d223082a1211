// Vocabularies of this family spell bytes as printable characters (space is U+0120); spelling is undone once
// at load, so that the rest works on bytes and ids.
#include "tokenizer_bpe.hpp"

#include "utf8.hpp"

namespace jiphyeon {
namespace {

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, "tokenizer: " + what);
}

// Which byte each character stands for: printable Latin-1 for itself, the others for U+0100 onwards, in
// order.
std::array<std::int16_t, 0x144> byte_of_character()
{
    std::array<std::int16_t, 0x144> bytes;
    bytes.fill(-1);
    std::size_t next = 0x100;
    for (std::int16_t byte = 0; byte < 256; ++byte) {
        const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        bytes[printable ? static_cast<std::size_t>(byte) : next++] = byte;
    }
    return bytes;
}

// Bytes of a token in the file's spelling; nullopt where it is not spelt so.
std::optional<std::string> unspell(std::string_view text)
{
    static const auto kBytes = byte_of_character();
    std::string out;
    while (!text.empty()) {
        const Utf8Character c = first_character(text);
        if (c.length == 0 || c.code >= kBytes.size() || kBytes[c.code] < 0) return std::nullopt;
        out.push_back(static_cast<char>(kBytes[c.code]));
        text.remove_prefix(c.length);
    }
    return out;
}

}  // namespace

std::uint64_t BpeTokenizer::pair_key(TokenId left, TokenId right)
{
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
}

BpeTokenizer::BpeTokenizer(Vocabulary vocabulary, std::span<const std::string_view> merges,
                           const PretokenizerRule& rule)
    : VocabularyTokenizer(std::move(vocabulary)), rule_(rule), pieces_(vocabulary_.texts.size())
{
    ids_.reserve(pieces_.size());
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
        const std::string& text = vocabulary_.texts[i];
        if (vocabulary_.kinds[i] == TokenKind::user_defined) pieces_[i] = text;
        if (vocabulary_.kinds[i] != TokenKind::normal) continue;
        pieces_[i] = unspell(text).value_or("");
        if (pieces_[i].empty()) malformed("token " + std::to_string(i) + " is not spelt in bytes");
        ids_.emplace(pieces_[i], static_cast<TokenId>(i));
    }
    const auto id_of = [&](const std::string& bytes) {
        const auto found = ids_.find(bytes);
        if (found == ids_.end()) malformed("the vocabulary lacks a byte or the parts of a merge");
        return found->second;
    };
    for (std::size_t byte = 0; byte < 256; ++byte)
        byte_ids_[byte] = id_of(std::string(1, static_cast<char>(byte)));
    merges_.reserve(merges.size());
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
        const std::size_t space = merges[rank].find(' ', 1);
        if (space == std::string_view::npos) malformed("merge " + std::to_string(rank) + " is no pair");
        const std::optional<std::string> left = unspell(merges[rank].substr(0, space));
        const std::optional<std::string> right = unspell(merges[rank].substr(space + 1));
        if (!left || !right) malformed("merge " + std::to_string(rank) + " is not spelt in bytes");
        merges_.try_emplace(pair_key(id_of(*left), id_of(*right)),
                            Joined{id_of(*left + *right), static_cast<double>(rank)});
    }
}

std::string BpeTokenizer::piece(TokenId id) const
{
    return known(id) ? pieces_[static_cast<std::size_t>(id)] : std::string();
}

void BpeTokenizer::encode_stretch(std::string_view text, std::vector<TokenId>& out) const
{
    for (const std::string_view word : split_words(text, rule_)) {
        const auto whole = rule_.whole_words ? ids_.find(word) : ids_.end();
        if (whole != ids_.end()) {
            out.push_back(whole->second);
        } else {
            merge_word(word, out);
        }
    }
}

void BpeTokenizer::merge_word(std::string_view word, std::vector<TokenId>& out) const
{
    std::vector<Symbol> symbols;
    symbols.reserve(word.size());
    for (const char c : word) append_symbol(symbols, byte_ids_[static_cast<std::uint8_t>(c)], 1);
    join_symbols(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Joined> {
        const auto merge = merges_.find(pair_key(left.id, right.id));
        if (merge == merges_.end()) return std::nullopt;
        return merge->second;
    });
    for (std::uint32_t i = 0; i != Symbol::kNone; i = symbols[i].next) out.push_back(symbols[i].id);
}

}  // namespace jiphyeon
