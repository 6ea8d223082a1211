// Viterbi over byte places: every piece that begins at a reachable place offers its end a better sum. Pieces
// are bounded in length, so time is linear in the text. A character that is no piece costs ten less than the
// worst piece; neighbours that are unknown become one token, as in SentencePiece.
#include "tokenizer_ugm.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "utf8.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kReplacementBytesMax = 256;  // of one character: a text grows by no more

constexpr double kUnknownPenalty = 10.0;

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, "tokenizer: " + what);
}

}  // namespace

CharacterMap::CharacterMap(std::string_view bytes)
{
    std::uint32_t trie_bytes = 0;
    if (bytes.size() < sizeof trie_bytes) malformed("character map too short");
    std::memcpy(&trie_bytes, bytes.data(), sizeof trie_bytes);
    bytes.remove_prefix(sizeof trie_bytes);
    if (trie_bytes > bytes.size() || trie_bytes % sizeof(std::uint32_t) != 0 || trie_bytes == 0) {
        malformed("character map with a trie of " + std::to_string(trie_bytes) + " bytes");
    }
    units_.resize(trie_bytes / sizeof(std::uint32_t));
    std::memcpy(units_.data(), bytes.data(), trie_bytes);
    replacements_ = bytes.substr(trie_bytes);
    if (replacements_.empty() || replacements_.back() != '\0') malformed("character map without an end");
    for (std::size_t at = 0; at < replacements_.size(); at = replacements_.find('\0', at) + 1) {
        if (replacements_.find('\0', at) - at > kReplacementBytesMax) malformed("an endless character map");
    }
}

CharacterMap::Match CharacterMap::longest(std::string_view text) const
{
    constexpr std::uint32_t kLabel = 1u << 31 | 0xFF;
    const auto offset = [](std::uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
    Match best;
    if (units_.empty()) return best;
    std::size_t at = offset(units_[0]);
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<std::uint8_t>(text[i]);
        at ^= byte;
        if (byte == 0 || at >= units_.size() || (units_[at] & kLabel) != byte) break;
        const bool key_ends = (units_[at] >> 8 & 1) != 0;
        at ^= offset(units_[at]);
        if (!key_ends || at >= units_.size()) continue;
        const std::uint32_t value = units_[at] & ~(1u << 31);
        if (value >= replacements_.size()) malformed("character map points outside itself");
        best = {i + 1, replacements_.c_str() + value};
    }
    return best;
}

UgmTokenizer::UgmTokenizer(Vocabulary vocabulary, CharacterMap map, const Spaces& spaces)
    : VocabularyTokenizer(std::move(vocabulary)),
      map_(std::move(map)),
      spaces_(spaces),
      trie_(pieces_of(vocabulary_, TokenKind::normal))
{
    if (vocabulary_.scores.empty()) malformed("no scores");
    if (!vocabulary_.unknown) malformed("no unknown token");
    double least = 0;
    for (std::size_t i = 0; i < vocabulary_.scores.size(); ++i) {
        if (!(std::abs(vocabulary_.scores[i]) < 1e9f)) malformed("a score that is no number");
        if (vocabulary_.kinds[i] == TokenKind::normal) least = std::min<double>(least, vocabulary_.scores[i]);
    }
    unknown_score_ = least - kUnknownPenalty;
}

std::string UgmTokenizer::normalized(std::string_view text) const
{
    std::string mapped;
    mapped.reserve(text.size() + text.size() / 2);
    while (!text.empty()) {
        const CharacterMap::Match match = map_.longest(text);
        const std::size_t length = match.length > 0 ? match.length : first_character(text).length;
        mapped += match.length > 0 ? match.replacement
                  : length > 0     ? text.substr(0, length)
                                   : kReplacementPiece;
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }

    std::string out;
    out.reserve(mapped.size() + mapped.size() / 2 + kSpacePiece.size());
    bool pending = spaces_.prefix && !mapped.empty();  // a space that is due before the next character
    bool started = false;
    for (const char c : mapped) {
        if (c != ' ') {
            if (pending) out += kSpacePiece;
            pending = false;
            started = true;
            out.push_back(c);
        } else if (!spaces_.collapse) {
            if (pending && !started) out += kSpacePiece;
            pending = false;
            started = true;
            out += kSpacePiece;
        } else {
            pending = pending || started;
        }
    }
    const bool trailing = mapped.ends_with(' ') && spaces_.collapse && spaces_.keep_trailing;
    if (trailing && (started || spaces_.prefix)) out += kSpacePiece;
    return out;
}

void UgmTokenizer::encode_stretch(std::string_view text, std::vector<TokenId>& out) const
{
    struct Best {
        double score = -std::numeric_limits<double>::infinity();
        std::uint32_t from = 0;
        TokenId id = -1;
    };
    const std::string normal = normalized(text);
    std::vector<Best> best(normal.size() + 1);
    best[0].score = 0;
    const TokenId unknown = *vocabulary_.unknown;
    for (std::size_t start = 0; start < normal.size();) {
        const std::size_t length =
            std::max<std::size_t>(first_character(std::string_view(normal).substr(start)).length, 1);
        bool is_piece = false;  // the character alone
        PieceTrie::Place place;
        for (std::size_t end = start;
             end < normal.size() && trie_.step(place, static_cast<std::uint8_t>(normal[end]));) {
            const TokenId id = trie_.id_at(place);
            if (++end - start == length && id >= 0) is_piece = true;
            if (id < 0) continue;
            const double score = best[start].score + vocabulary_.scores[static_cast<std::size_t>(id)];
            if (score > best[end].score) best[end] = {score, static_cast<std::uint32_t>(start), id};
        }
        const double score = best[start].score + unknown_score_;
        if (!is_piece && score > best[start + length].score) {
            best[start + length] = {score, static_cast<std::uint32_t>(start), unknown};
        }
        start += length;
    }

    const std::size_t first = out.size();
    for (std::size_t at = normal.size(); at > 0; at = best[at].from) {
        if (best[at].id == unknown && out.size() > first && out.back() == unknown) continue;
        out.push_back(best[at].id);
    }
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
}

}  // namespace jiphyeon
