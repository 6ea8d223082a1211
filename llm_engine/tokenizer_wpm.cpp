// Cleaning and cutting are those of the reference implementation (Hugging Face's BertNormalizer and
// BertPreTokenizer), in its order: control characters, Chinese characters, accents, case, words.
#include "tokenizer_wpm.hpp"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>

#include "utf8.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kWordMax = 100;  // characters; a longer word is unknown
constexpr UChar32 kReplacement = 0xFFFD;

// Ranges of the reference, which are not quite those of Unicode's blocks.
bool is_chinese(UChar32 c)
{
    constexpr std::array<std::pair<UChar32, UChar32>, 8> kRanges = {{{0x4E00, 0x9FFF},
                                                                     {0x3400, 0x4DBF},
                                                                     {0x20000, 0x2A6DF},
                                                                     {0x2A700, 0x2B73F},
                                                                     {0x2B740, 0x2B81F},
                                                                     {0x2B920, 0x2CEAF},
                                                                     {0xF900, 0xFAFF},
                                                                     {0x2F800, 0x2FA1F}}};
    return std::any_of(kRanges.begin(), kRanges.end(),
                       [&](const auto& range) { return c >= range.first && c <= range.second; });
}

bool is_punctuation(UChar32 c)
{
    if (c < 0x80) return c > ' ' && c < 0x7F && !u_isalnum(c);
    return (U_GET_GC_MASK(c) & U_GC_P_MASK) != 0;
}

// Without control characters, and with spaces around Chinese ones. Bytes that are no UTF-8 become U+FFFD,
// which is no piece, so that they make their word unknown.
icu::UnicodeString cleaned(std::string_view text)
{
    constexpr std::uint32_t kRemoved = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK;
    icu::UnicodeString out;
    while (!text.empty()) {
        const Utf8Character character = first_character(text);
        text.remove_prefix(std::max<std::size_t>(character.length, 1));
        const auto c = static_cast<UChar32>(character.code);
        if (character.length == 0) {
            out.append(kReplacement);
        } else if (c == '\t' || c == '\n' || c == '\r') {
            out.append(u' ');
        } else if (c == kReplacement || (U_GET_GC_MASK(c) & kRemoved) != 0) {
            continue;
        } else if (u_isUWhiteSpace(c)) {
            out.append(u' ');
        } else if (is_chinese(c)) {
            out.append(u' ').append(c).append(u' ');
        } else {
            out.append(c);
        }
    }
    return out;
}

// Every character decomposed by itself: the canonical order of marks, which the reference makes first, takes
// a time quadratic in their number and changes only where the few marks stand that do not go.
icu::UnicodeString without_accents(const icu::UnicodeString& text)
{
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* const nfd = icu::Normalizer2::getNFDInstance(status);
    if (U_FAILURE(status)) throw EngineError(EngineError::Kind::unsupported, u_errorName(status));
    icu::UnicodeString out;
    icu::UnicodeString parts;
    for (std::int32_t at = 0; at < text.length(); at = text.moveIndex32(at, 1)) {
        const UChar32 whole = text.char32At(at);
        if (!nfd->getDecomposition(whole, parts)) parts.setTo(whole);
        for (std::int32_t i = 0; i < parts.length(); i = parts.moveIndex32(i, 1)) {
            const UChar32 c = parts.char32At(i);
            if (u_charType(c) != U_NON_SPACING_MARK) out.append(c);
        }
    }
    return out;
}

// Character by character: the reference knows no final sigma.
icu::UnicodeString lowered(const icu::UnicodeString& text)
{
    constexpr UChar32 kDottedCapitalI = 0x130;  // the one letter that becomes two characters
    icu::UnicodeString out;
    for (std::int32_t at = 0; at < text.length(); at = text.moveIndex32(at, 1)) {
        const UChar32 c = text.char32At(at);
        out.append(u_tolower(c));
        if (c == kDottedCapitalI) out.append(u'\u0307');
    }
    return out;
}

// The pieces that start a word, without their U+2581, or those that go on in one.
PieceTrie trie_of(const Vocabulary& vocabulary, bool starts)
{
    std::vector<std::pair<std::string_view, TokenId>> pieces;
    for (auto [text, id] : pieces_of(vocabulary, TokenKind::normal)) {
        const bool is_start = text.starts_with(kSpacePiece) && text != kSpacePiece;
        if (is_start) text.remove_prefix(kSpacePiece.size());
        if (is_start == starts) pieces.emplace_back(text, id);
    }
    return PieceTrie(std::move(pieces));
}

}  // namespace

WpmTokenizer::WpmTokenizer(Vocabulary vocabulary, const Letters& letters)
    : VocabularyTokenizer(std::move(vocabulary)),
      letters_(letters),
      starts_(trie_of(vocabulary_, true)),
      continuations_(trie_of(vocabulary_, false))
{
    if (!vocabulary_.unknown) {
        throw EngineError(EngineError::Kind::malformed, "tokenizer: no unknown token");
    }
}

void WpmTokenizer::encode_stretch(std::string_view text, std::vector<TokenId>& out) const
{
    icu::UnicodeString clean = cleaned(text);
    if (letters_.strip_accents) clean = without_accents(clean);
    if (letters_.lowercase) clean = lowered(clean);
    std::string word;
    std::size_t characters = 0;
    const auto end_word = [&] {
        encode_word(word, characters, out);
        word.clear();
        characters = 0;
    };
    for (std::int32_t at = 0; at < clean.length(); at = clean.moveIndex32(at, 1)) {
        const UChar32 c = clean.char32At(at);
        const bool alone = is_punctuation(c);
        if (alone || c == ' ') end_word();
        if (c == ' ') continue;
        icu::UnicodeString(c).toUTF8String(word);
        ++characters;
        if (alone) end_word();
    }
    end_word();
}

void WpmTokenizer::encode_word(std::string_view word, std::size_t characters, std::vector<TokenId>& out) const
{
    if (word.empty()) return;
    const std::size_t first = out.size();
    PieceTrie::Match match = starts_.longest(word);
    while (characters <= kWordMax && match.length > 0) {
        out.push_back(match.id);
        word.remove_prefix(match.length);
        if (word.empty()) return;
        match = continuations_.longest(word);
    }
    out.resize(first);
    out.push_back(*vocabulary_.unknown);
}

}  // namespace jiphyeon
