// Labels as text. The text is what the index stores with a chunk, so one label has exactly one text:
// departments in NFC, sorted, joined by '+'. What does not parse is never readable.
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>

#include "jiphyeon/policy.hpp"

namespace jiphyeon {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"public", "internal", "restricted", "confidential"};
constexpr std::size_t kDepartmentBytesMax = 120;
constexpr std::size_t kDepartmentsMax = 64;

[[noreturn]] void bad_label(std::string_view text, const char* why)
{
    throw PolicyError(PolicyError::Kind::bad_label, "label \"" + std::string(text) + "\": " + why);
}

bool is_utf8(const std::string& text)
{
    std::string again;
    return icu::UnicodeString::fromUTF8(text).toUTF8String(again) == text;
}

std::string department(std::string_view name, std::string_view label)
{
    if (name.empty() || name.size() > kDepartmentBytesMax)
        bad_label(label, "department name empty or too long");
    const std::string bytes(name);
    if (!is_utf8(bytes)) bad_label(label, "not UTF-8");

    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
    if (U_FAILURE(status)) throw PolicyError(PolicyError::Kind::io, "no normalisation data");
    const icu::UnicodeString normal = nfc->normalize(icu::UnicodeString::fromUTF8(bytes), status);
    if (U_FAILURE(status)) bad_label(label, "cannot be normalised");

    for (std::int32_t i = 0; i < normal.length(); i = normal.moveIndex32(i, 1)) {
        const UChar32 c = normal.char32At(i);
        if (c == ':' || c == ',' || c == '+' || u_iscntrl(c) ||
            u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT))
            bad_label(label, "character not allowed in a department's name");
    }
    if (u_isUWhiteSpace(normal.char32At(0)) || u_isUWhiteSpace(normal.char32At(normal.length() - 1)))
        bad_label(label, "blank around a department's name");
    std::string out;
    normal.toUTF8String(out);
    return out;
}

}  // namespace

Label Label::parse(std::string_view text)
{
    const std::size_t colon = text.find(':');
    const std::string_view level_text = text.substr(0, colon);
    const auto level = std::find(kLevelNames.begin(), kLevelNames.end(), level_text);
    if (level == kLevelNames.end()) bad_label(text, "unknown level");

    Label label{static_cast<Level>(level - kLevelNames.begin()), {}};
    if (colon == std::string_view::npos) return label;
    std::string_view rest = text.substr(colon + 1);
    for (;;) {
        const std::size_t plus = rest.find('+');
        label.departments.insert(department(rest.substr(0, plus), text));
        if (label.departments.size() > kDepartmentsMax) bad_label(text, "too many departments");
        if (plus == std::string_view::npos) return label;
        rest.remove_prefix(plus + 1);
    }
}

std::string Label::to_text() const
{
    std::string text(kLevelNames.at(static_cast<std::size_t>(level)));
    char separator = ':';
    for (const std::string& name : departments) {
        text += separator;
        text += name;
        separator = '+';
    }
    return text;
}

Label join(const Label& a, const Label& b)
{
    Label both{std::max(a.level, b.level), a.departments};
    both.departments.insert(b.departments.begin(), b.departments.end());
    return both;
}

}  // namespace jiphyeon
