#include "mime.hpp"

#include <algorithm>
#include <cctype>

#include "encoding.hpp"
#include "parse.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kFieldsMax = 2000;
constexpr std::size_t kPartsMax = 2000;

std::string lower(std::string_view text)
{
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
    return text;
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    const char low = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

std::string unescape(std::string_view text, char escape, bool header)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (header && text[i] == '_') {
            out.push_back(' ');
        } else if (text[i] != escape) {
            out.push_back(text[i]);
        } else if (i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
            i += 2;
        } else if (i + 1 < text.size() && text[i + 1] == '\n') {
            ++i;  // soft line break
        } else if (i + 2 < text.size() && text[i + 1] == '\r' && text[i + 2] == '\n') {
            i += 2;
        } else {
            out.push_back(text[i]);
        }
    }
    return out;
}

std::string_view line_of(std::string_view text, std::size_t at, std::size_t& next)
{
    const std::size_t end = std::min(text.find('\n', at), text.size());
    next = std::min(end + 1, text.size());
    std::string_view line = text.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
}

}  // namespace

std::string decode_base64(std::string_view text)
{
    std::string out;
    unsigned bits = 0, have = 0;
    for (const char c : text) {
        int value = -1;
        if (c >= 'A' && c <= 'Z')
            value = c - 'A';
        else if (c >= 'a' && c <= 'z')
            value = c - 'a' + 26;
        else if (c >= '0' && c <= '9')
            value = c - '0' + 52;
        else if (c == '+' || c == '-')
            value = 62;
        else if (c == '/' || c == '_')
            value = 63;
        if (c == '=') break;
        if (value < 0) continue;
        bits = (bits << 6 | static_cast<unsigned>(value)) & 0xFFFFFF;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out.push_back(static_cast<char>(bits >> have & 0xFF));
        }
    }
    return out;
}

std::string decode_words(std::string_view header)
{
    std::string out;
    bool word_before = false;
    for (std::size_t at = 0; at < header.size();) {
        const std::size_t begin = header.find("=?", at);
        const std::size_t charset_end = begin == std::string_view::npos ? begin : header.find('?', begin + 2);
        const bool whole = charset_end != std::string_view::npos && charset_end + 2 < header.size() &&
                           header[charset_end + 2] == '?';
        const std::size_t end = whole ? header.find("?=", charset_end + 3) : std::string_view::npos;
        if (end == std::string_view::npos) {
            out += header.substr(at);
            break;
        }
        // Blanks between two encoded words are folding, not text.
        const std::string_view between = header.substr(at, begin - at);
        if (!word_before || !trimmed(between).empty()) out += between;
        std::string charset(header.substr(begin + 2, charset_end - begin - 2));
        charset = charset.substr(0, charset.find('*'));
        const std::string_view body = header.substr(charset_end + 3, end - charset_end - 3);
        const bool base64 = std::tolower(static_cast<unsigned char>(header[charset_end + 1])) == 'b';
        out += decode_named(base64 ? decode_base64(body) : unescape(body, '=', true), charset);
        word_before = true;
        at = end + 2;
    }
    return is_utf8(out) ? out : decode_named(out, "");
}

std::string MimePart::field(const std::string& name) const
{
    const auto it = fields.find(name);
    return it == fields.end() ? std::string() : decode_words(it->second);
}

std::string MimePart::type() const
{
    const auto it = fields.find("content-type");
    if (it == fields.end()) return "text/plain";
    return lower(trimmed(std::string_view(it->second).substr(0, it->second.find(';'))));
}

std::string MimePart::parameter(const std::string& name, const std::string& wanted) const
{
    const auto it = fields.find(name);
    if (it == fields.end()) return {};
    std::map<std::string, std::string> found;  // "filename", "filename*", "filename*0*"
    const std::string& value = it->second;
    std::size_t at = value.find(';');
    while (at != std::string::npos && at < value.size()) {
        ++at;
        const std::size_t equals = value.find('=', at);
        if (equals == std::string::npos) break;
        const std::string key = lower(trimmed(std::string_view(value).substr(at, equals - at)));
        std::size_t end = equals + 1;
        while (end < value.size() && value[end] == ' ') ++end;
        std::string text;
        if (end < value.size() && value[end] == '"') {
            for (++end; end < value.size() && value[end] != '"'; ++end) {
                if (value[end] == '\\' && end + 1 < value.size()) ++end;
                text.push_back(value[end]);
            }
            at = value.find(';', end);
        } else {
            at = value.find(';', end);
            text = std::string(
                trimmed(std::string_view(value).substr(end, at == std::string::npos ? at : at - end)));
        }
        if (found.size() < 100) found.emplace(key, text);
    }
    if (const auto plain = found.find(wanted); plain != found.end()) return decode_words(plain->second);
    std::string joined;
    bool extended = false;
    if (const auto one = found.find(wanted + "*"); one != found.end()) {
        joined = one->second;
        extended = true;
    }
    for (std::size_t i = 0; joined.empty() || i > 0; ++i) {
        const std::string key = wanted + "*" + std::to_string(i);
        const auto part = found.contains(key + "*") ? found.find(key + "*") : found.find(key);
        if (part == found.end()) break;
        extended = extended || part->first.ends_with("*");
        joined += part->second;
    }
    if (!extended) return decode_words(joined);
    const std::size_t first = joined.find('\'');
    const std::size_t second = first == std::string::npos ? first : joined.find('\'', first + 1);
    if (second == std::string::npos) return decode_named(unescape(joined, '%', false), "utf-8");
    return decode_named(unescape(std::string_view(joined).substr(second + 1), '%', false),
                        joined.substr(0, first));
}

std::string MimePart::decoded() const
{
    const auto it = fields.find("content-transfer-encoding");
    const std::string how = it == fields.end() ? "" : lower(trimmed(it->second));
    if (how == "base64") return decode_base64(body);
    if (how == "quoted-printable") return unescape(body, '=', false);
    return std::string(body);
}

std::vector<MimePart> MimePart::parts() const
{
    std::vector<MimePart> out;
    const std::string boundary = parameter("content-type", "boundary");
    if (boundary.empty()) return out;
    const std::string mark = "--" + boundary;
    std::size_t at = 0, start = std::string_view::npos, next = 0;
    while (at < body.size() && out.size() < kPartsMax) {
        const std::string_view line = line_of(body, at, next);
        if (line.starts_with(mark)) {
            const std::string_view rest = trimmed(line.substr(mark.size()));
            if (rest.empty() || rest == "--") {
                if (start != std::string_view::npos)
                    out.push_back(parse_mime(body.substr(start, at - start)));
                start = rest == "--" ? std::string_view::npos : next;
                if (rest == "--") return out;
            }
        }
        at = next;
    }
    if (start != std::string_view::npos && start < body.size()) out.push_back(parse_mime(body.substr(start)));
    return out;
}

MimePart parse_mime(std::string_view bytes)
{
    MimePart part;
    std::string name;
    std::size_t at = 0, next = 0;
    while (at < bytes.size()) {
        const std::string_view line = line_of(bytes, at, next);
        at = next;
        if (line.empty()) break;
        if ((line.front() == ' ' || line.front() == '\t') && !name.empty()) {
            part.fields[name] += " " + std::string(trimmed(line));
            continue;
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        name = lower(trimmed(line.substr(0, colon)));
        if (part.fields.size() >= kFieldsMax)
            quarantine("too_large", "전자우편의 머리글이 지나치게 많습니다.");
        part.fields.emplace(name, trimmed(line.substr(colon + 1)));
    }
    part.body = bytes.substr(at);
    return part;
}

}  // namespace jiphyeon
