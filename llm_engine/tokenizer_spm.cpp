#include "tokenizer_spm.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "utf8.hpp"

namespace jiphyeon {
namespace {

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, "tokenizer: " + what);
}

// The byte that a piece <0xXX> stands for.
std::optional<std::uint8_t> byte_of(std::string_view text)
{
    const auto digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
    const int high = digit(text[3]);
    const int low = digit(text[4]);
    if (high < 0 || low < 0) return std::nullopt;
    return static_cast<std::uint8_t>(high * 16 + low);
}

}  // namespace

SpmTokenizer::SpmTokenizer(Vocabulary vocabulary, bool space_prefix)
    : VocabularyTokenizer(std::move(vocabulary)), space_prefix_(space_prefix)
{
    if (vocabulary_.scores.empty()) malformed("no scores");
    byte_ids_.fill(-1);
    ids_.reserve(vocabulary_.texts.size());
    for (std::size_t i = 0; i < vocabulary_.texts.size(); ++i) {
        const std::string& text = vocabulary_.texts[i];
        const auto id = static_cast<TokenId>(i);
        if (vocabulary_.kinds[i] == TokenKind::byte) {
            const std::optional<std::uint8_t> byte = byte_of(text);
            if (!byte) malformed("byte piece " + std::to_string(i) + " is not spelt <0xXX>");
            byte_ids_[*byte] = id;
        } else if (vocabulary_.kinds[i] == TokenKind::normal) {
            if (std::isnan(vocabulary_.scores[i])) malformed("a score that is no number");
            ids_.emplace(text, id);
            longest_ = std::max(longest_, text.size());
        }
    }
    const bool all_bytes = std::find(byte_ids_.begin(), byte_ids_.end(), -1) == byte_ids_.end();
    if (!all_bytes && !vocabulary_.unknown) malformed("neither all byte pieces nor an unknown token");
}

std::string SpmTokenizer::piece(TokenId id) const
{
    if (known(id) && vocabulary_.kinds[static_cast<std::size_t>(id)] == TokenKind::byte)
        return std::string(1, static_cast<char>(*byte_of(vocabulary_.texts[static_cast<std::size_t>(id)])));
    return spaced_piece(id);
}

TokenId SpmTokenizer::id_of(std::string_view text) const
{
    if (text.size() > longest_) return -1;
    const auto found = ids_.find(text);
    return found == ids_.end() ? -1 : found->second;
}

void SpmTokenizer::encode_stretch(std::string_view text, std::vector<TokenId>& out) const
{
    std::string spelt;
    spelt.reserve(text.size() + text.size() / 2 + kSpacePiece.size());
    if (space_prefix_) spelt += kSpacePiece;
    for (const char c : text) {
        if (c == ' ') {
            spelt += kSpacePiece;
        } else {
            spelt.push_back(c);
        }
    }
    const std::string_view view = spelt;
    std::vector<Symbol> symbols;
    symbols.reserve(view.size());
    for (std::size_t at = 0; at < view.size();) {
        const std::uint32_t size = std::max(first_character(view.substr(at)).length, 1u);
        append_symbol(symbols, id_of(view.substr(at, size)), size);
        at += size;
    }
    join_symbols(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Joined> {
        const TokenId id = id_of(view.substr(left.begin, left.size + right.size));
        if (id < 0) return std::nullopt;
        return Joined{id, -static_cast<double>(vocabulary_.scores[static_cast<std::size_t>(id)])};
    });

    bool after_unknown = false;  // neighbours that are unknown are one token
    const auto put = [&](TokenId id) {
        if (id >= 0) out.push_back(id);
        if (id < 0 && !after_unknown) out.push_back(*vocabulary_.unknown);
        after_unknown = id < 0;
    };
    for (std::uint32_t i = 0; i != Symbol::kNone; i = symbols[i].next) {
        const Symbol& symbol = symbols[i];
        if (symbol.id >= 0) {
            put(symbol.id);
        } else {
            for (const char c : view.substr(symbol.begin, symbol.size))
                put(byte_ids_[static_cast<std::uint8_t>(c)]);
        }
    }
}

}  // namespace jiphyeon
