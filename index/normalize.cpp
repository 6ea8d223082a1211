// Folding of what looks or means the same to one form, before anything is compared. Width, case and
// punctuation are folded first and canonical composition (NFC) comes last, so that the result is a fixed
// point: folding can bring a letter before a combining mark, never the other way round.
//
// Composition sorts combining marks by insertion; a text made of nothing else would cost its length squared.
// Runs of marks are therefore cut at Unicode's Stream-Safe limit of 30.

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include "jiphyeon/index.hpp"

namespace jiphyeon {
namespace {

constexpr int kMarksMax = 30;
constexpr UChar32 kMiddleDot = 0xB7;
constexpr UChar32 kDrop = -1;

bool is_leading_jamo(UChar32 c)
{
    return (c >= 0x1100 && c <= 0x115F) || (c >= 0xA960 && c <= 0xA97C);
}

bool is_invisible(UChar32 c)
{
    return c == 0xAD || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFE00 && c <= 0xFE0F);
}

UChar32 fold_punctuation(UChar32 c, UChar32 before)
{
    switch (c) {
        case 0x2022:  // bullet
        case 0x2024:
        case 0x2027:
        case 0x2219:
        case 0x22C5:
        case 0x30FB:
        case 0x318D:  // the old vowel that Korean keyboards give for a middle dot
        case 0xFF65:
            return kMiddleDot;
        case 0x119E:  // the same from old word processors; after a leading consonant it is a vowel
            return is_leading_jamo(before) ? c : kMiddleDot;
        case 0x2018:
        case 0x2019:
        case 0x201A:
        case 0x201B:
        case 0x2032:
        case 0xB4:
            return '\'';
        case 0x201C:
        case 0x201D:
        case 0x201E:
        case 0x201F:
        case 0x2033:
        case 0xAB:
        case 0xBB:
            return '"';
        case 0x2010:
        case 0x2011:
        case 0x2012:
        case 0x2013:
        case 0x2014:
        case 0x2015:
        case 0x2212:
            return '-';
        case 0x223C:
        case 0x301C:
            return '~';
        case 0xFFE6:
            return 0x20A9;  // won sign
        default:
            return c;
    }
}

UChar32 fold(UChar32 c, UChar32 before)
{
    if (c < 0x80) {
        if (c >= 'A' && c <= 'Z') return c + ('a' - 'A');
        if (c < 0x20 || c == 0x7F) return c == '\n' ? '\n' : ' ';
        return c;
    }
    if (c >= 0xAC00 && c <= 0xD7A3) return c;
    if (is_invisible(c)) return kDrop;
    if (c >= 0xFF01 && c <= 0xFF5E) return fold(c - 0xFEE0, before);
    if (c == 0x2028 || c == 0x2029 || c == 0x85) return '\n';
    if (u_charType(c) == U_SPACE_SEPARATOR || u_charType(c) == U_CONTROL_CHAR) return ' ';
    return u_tolower(fold_punctuation(c, before));
}

}  // namespace

std::string normalize(std::string_view text)
{
    const icu::UnicodeString source =
        icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
    icu::UnicodeString folded(source.length(), 0, 0);
    UChar32 before = 0;
    int marks = 0;
    for (std::int32_t i = 0; i < source.length(); i = source.moveIndex32(i, 1)) {
        const UChar32 c = fold(source.char32At(i), before);
        if (c == kDrop) continue;
        marks = c >= 0x300 && u_getCombiningClass(c) != 0 ? marks + 1 : 0;
        if (marks > kMarksMax) continue;
        folded.append(c);
        before = c;
    }
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
    if (U_FAILURE(status)) throw IndexError(IndexError::Kind::io, u_errorName(status));
    std::string out;
    out.reserve(text.size());
    if (nfc->isNormalized(folded, status) && U_SUCCESS(status)) return folded.toUTF8String(out);
    status = U_ZERO_ERROR;
    const icu::UnicodeString composed = nfc->normalize(folded, status);
    if (U_FAILURE(status)) throw IndexError(IndexError::Kind::io, u_errorName(status));
    return composed.toUTF8String(out);
}

}  // namespace jiphyeon
