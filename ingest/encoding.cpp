#include "encoding.hpp"

#include <unicode/ucnv.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "code_points.hpp"

namespace jiphyeon {
namespace {

struct ConverterCloser {
    void operator()(UConverter* converter) const noexcept { ucnv_close(converter); }
};

// nullopt: the converter is unknown, or (strict) a byte could not be read.
std::optional<std::string> convert(std::string_view bytes, const char* name, bool strict)
{
    UErrorCode status = U_ZERO_ERROR;
    const std::unique_ptr<UConverter, ConverterCloser> from(ucnv_open(name, &status));
    if (U_FAILURE(status)) return std::nullopt;
    if (strict) ucnv_setToUCallBack(from.get(), UCNV_TO_U_CALLBACK_STOP, nullptr, nullptr, nullptr, &status);
    const std::unique_ptr<UConverter, ConverterCloser> to(ucnv_open("UTF-8", &status));
    if (U_FAILURE(status)) return std::nullopt;
    std::string out(bytes.size() * 3 + 16, '\0');
    char* target = out.data();
    const char* source = bytes.data();
    ucnv_convertEx(to.get(), from.get(), &target, out.data() + out.size(), &source,
                   bytes.data() + bytes.size(), nullptr, nullptr, nullptr, nullptr, true, true, &status);
    if (U_FAILURE(status)) return std::nullopt;
    out.resize(static_cast<std::size_t>(target - out.data()));
    return out;
}

// UTF-16 without a mark: the high bytes of Hangul and Latin text are few and lie on one side.
std::optional<std::string> guess_utf16(std::string_view bytes)
{
    if (bytes.size() < 16 || bytes.size() % 2 != 0) return std::nullopt;
    const std::size_t sample = std::min<std::size_t>(bytes.size(), 8192) & ~std::size_t{1};
    std::size_t even = 0, odd = 0;
    for (std::size_t i = 0; i < sample; i += 2) {
        const auto high = [](char c) {
            const auto b = static_cast<unsigned char>(c);
            return b == 0 || b == 0x20 || b == 0x30 || b == 0x31 || (b >= 0xAC && b <= 0xD7);
        };
        even += high(bytes[i]);
        odd += high(bytes[i + 1]);
    }
    const std::size_t units = sample / 2;
    if (bytes.substr(0, sample).find('\0') == std::string_view::npos) return std::nullopt;
    if (odd > units * 9 / 10 && even < odd) return convert(bytes, "UTF-16LE", true);
    if (even > units * 9 / 10 && odd < even) return convert(bytes, "UTF-16BE", true);
    return std::nullopt;
}

}  // namespace

bool is_utf8(std::string_view bytes)
{
    for (std::size_t at = 0; at < bytes.size();)
        if (next_code_point(bytes, at) == kNoCodePoint) return false;
    return true;
}

Decoded decode_text(std::string_view bytes)
{
    if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
    if (bytes.starts_with("\xFF\xFE"))
        if (auto text = convert(bytes.substr(2), "UTF-16LE", false)) return {std::move(*text), "UTF-16LE"};
    if (bytes.starts_with("\xFE\xFF"))
        if (auto text = convert(bytes.substr(2), "UTF-16BE", false)) return {std::move(*text), "UTF-16BE"};
    if (auto text = guess_utf16(bytes)) {
        const bool le = bytes.size() > 1 && (*text).find('\0') == std::string::npos;
        if (le) return {std::move(*text), "UTF-16"};
    }
    const std::size_t zeros = static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\0'));
    if (zeros > 0) return {};
    std::size_t controls = 0;
    for (const char c : bytes) {
        const auto b = static_cast<unsigned char>(c);
        controls += b < 0x20 && b != '\n' && b != '\r' && b != '\t' && b != '\f' && b != 0x1A && b != 0x1B;
    }
    if (controls * 100 > bytes.size()) return {};
    if (is_utf8(bytes)) return {std::string(bytes), "UTF-8"};
    if (auto text = convert(bytes, "windows-949", true)) return {std::move(*text), "CP949"};
    // A text cut in the middle of a character is still a text: allow a broken tail, not a broken body.
    for (std::size_t cut = 1; cut <= 3 && cut < bytes.size(); ++cut)
        if (is_utf8(bytes.substr(0, bytes.size() - cut)))
            return {std::string(bytes.substr(0, bytes.size() - cut)), "UTF-8"};
    if (bytes.size() > 1)
        if (auto text = convert(bytes.substr(0, bytes.size() - 1), "windows-949", true))
            return {std::move(*text), "CP949"};
    return {};
}

std::string decode_named(std::string_view bytes, std::string_view charset)
{
    std::string name(charset);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    // Mail says euc-kr and ks_c_5601-1987 and sends the larger CP949.
    if (name == "euc-kr" || name.starts_with("ks_c_5601") || name == "ksc5601" || name == "cp949" ||
        name == "uhc" || name == "x-windows-949" || name == "ms949")
        name = "windows-949";
    if (name == "us-ascii") name = "utf-8";
    if (name == "utf-8" && is_utf8(bytes)) return std::string(bytes);
    if (!name.empty() && name != "utf-8")
        if (auto text = convert(bytes, name.c_str(), false)) return *text;
    Decoded decoded = decode_text(bytes);
    return decoded.encoding.empty() ? std::string(bytes) : std::move(decoded.text);
}

std::string decode_file_name(std::string_view bytes)
{
    if (is_utf8(bytes)) return std::string(bytes);
    if (auto text = convert(bytes, "windows-949", true)) return *text;
    return std::string(bytes);
}

}  // namespace jiphyeon
