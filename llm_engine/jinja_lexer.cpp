// White space: a line end after a statement goes, as does the white space between a line's start and a
// statement, and all of it on the side of a tag that has a "-".
#include "jinja_lexer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::jinja {
namespace {

constexpr std::size_t kSourceMax = 1u << 20;
constexpr std::size_t kNameMax = 256;  // so that to look one up is a step
constexpr std::string_view kWhiteSpace = " \t\n\r\f\v";

[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, "chat template: " + what);
}

bool is_space(char c)
{
    return kWhiteSpace.find(c) != std::string_view::npos;
}

bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, std::uint32_t c)
{
    const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (c < 0x80) return put(c);
    if (c < 0x800) {
        put(0xC0 | c >> 6);
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12);
        put(0x80 | (c >> 6 & 0x3F));
    } else {
        put(0xF0 | c >> 18);
        put(0x80 | (c >> 12 & 0x3F));
        put(0x80 | (c >> 6 & 0x3F));
    }
    put(0x80 | (c & 0x3F));
}

class Lexer {
public:
    explicit Lexer(std::string_view source)
    {
        for (std::size_t i = 0; i < source.size(); ++i) {  // line ends are one character
            const bool pair = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
            if (!pair) source_.push_back(source[i] == '\r' ? '\n' : source[i]);
        }
        if (source_.ends_with('\n')) source_.pop_back();
    }

    std::vector<Part> parts()
    {
        std::vector<Part> out;
        while (at_ < source_.size()) {
            std::size_t tag = at_;
            while (tag < source_.size() && !begins_tag(tag)) ++tag;
            std::string_view text(source_.data() + at_, tag - at_);
            at_ = tag;
            if (tag < source_.size()) text = before_tag(text, source_[tag + 1], sign_at(tag + 2));
            if (!text.empty()) out.push_back({Part::Kind::text, std::string(text)});
            if (tag < source_.size()) read_tag(out);
        }
        return out;
    }

private:
    bool begins_tag(std::size_t at) const
    {
        return source_[at] == '{' && at + 1 < source_.size() &&
               (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#');
    }
    char sign_at(std::size_t at) const
    {
        return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
    }

    std::string_view before_tag(std::string_view text, char kind, char sign) const
    {
        if (sign == '-') {
            const std::size_t last = text.find_last_not_of(kWhiteSpace);
            return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
        }
        if (kind == '{' || sign == '+') return text;
        // A statement alone at the start of its line takes the white space before it along.
        const std::size_t newline = text.rfind('\n');
        const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
        if (line == 0 && !line_starts_) return text;
        return text.find_first_not_of(kWhiteSpace, line) == std::string_view::npos ? text.substr(0, line)
                                                                                   : text;
    }

    void after_tag(char kind, char sign)
    {
        const std::size_t start = at_;
        if (sign == '-') {
            while (at_ < source_.size() && is_space(source_[at_])) ++at_;
        } else if (kind != '{' && sign != '+' && at_ < source_.size() && source_[at_] == '\n') {
            ++at_;
        }
        line_starts_ = at_ > start && source_[at_ - 1] == '\n';
    }

    void read_tag(std::vector<Part>& out)
    {
        const char kind = source_[at_ + 1];
        at_ += 2;
        if (sign_at(at_) != '\0') ++at_;
        if (kind == '#') {
            const std::size_t end = source_.find("#}", at_);
            if (end == std::string::npos) unsupported("a comment without an end");
            at_ = end + 2;
            return after_tag(kind, end > 0 && source_[end - 1] != '#' ? sign_at(end - 1) : '\0');
        }
        Part part{kind == '{' ? Part::Kind::output : Part::Kind::statement};
        const std::string_view close = kind == '{' ? "}}" : "%}";
        std::size_t open_brackets = 0;
        while (true) {
            while (at_ < source_.size() && is_space(source_[at_])) ++at_;
            if (at_ >= source_.size()) unsupported("a tag without an end");
            const std::string_view rest(source_.data() + at_, source_.size() - at_);
            const char sign = sign_at(at_);
            if (open_brackets == 0 && rest.substr(sign != '\0' ? 1 : 0).starts_with(close)) {
                at_ += close.size() + (sign != '\0' ? 1 : 0);
                part.tokens.push_back({});
                out.push_back(std::move(part));
                return after_tag(kind, sign);
            }
            part.tokens.push_back(token());
            if (part.tokens.back().kind != Token::Kind::symbol) continue;
            const std::string& symbol = part.tokens.back().text;
            if (symbol == "(" || symbol == "[" || symbol == "{") ++open_brackets;
            if ((symbol == ")" || symbol == "]" || symbol == "}") && open_brackets > 0) --open_brackets;
        }
    }

    Token token()
    {
        const std::size_t start = at_;
        const char c = source_[at_];
        const auto cut = [&](Token::Kind kind) { return Token{kind, source_.substr(start, at_ - start)}; };
        if (c == '\'' || c == '"') return {Token::Kind::text, text_literal()};
        if (is_name_start(c)) {
            while (at_ < source_.size() && (is_name_start(source_[at_]) || is_digit(source_[at_]))) ++at_;
            if (at_ - start > kNameMax)
                unsupported("a name of more than " + std::to_string(kNameMax) + " bytes");
            return cut(Token::Kind::name);
        }
        if (is_digit(c)) {
            const auto digits = [&] {
                while (at_ < source_.size() && is_digit(source_[at_])) ++at_;
            };
            digits();
            const bool real = at_ + 1 < source_.size() && source_[at_] == '.' && is_digit(source_[at_ + 1]);
            if (real) ++at_;
            digits();
            return cut(real ? Token::Kind::real : Token::Kind::integer);
        }
        constexpr std::array<std::string_view, 6> kPairs = {"==", "!=", "<=", ">=", "//", "**"};
        const std::string_view two = std::string_view(source_).substr(at_, 2);
        if (std::find(kPairs.begin(), kPairs.end(), two) != kPairs.end()) {
            at_ += 2;
            return cut(Token::Kind::symbol);
        }
        constexpr std::string_view kSymbols = "+-*/%~<>=()[]{}.,:|";
        if (kSymbols.find(c) == std::string_view::npos) unsupported(std::string("the character '") + c + "'");
        ++at_;
        return cut(Token::Kind::symbol);
    }

    std::string text_literal()
    {
        const char quote = source_[at_++];
        std::string out;
        while (true) {
            if (at_ >= source_.size()) unsupported("a text without an end");
            const char c = source_[at_++];
            if (c == quote) return out;
            if (c != '\\' || at_ >= source_.size()) {
                out.push_back(c);
                continue;
            }
            const char escaped = source_[at_++];
            constexpr std::string_view kNames = "nrtfvab0\\'\"";
            constexpr std::string_view kStandFor("\n\r\t\f\v\a\b\0\\'\"", 11);
            const std::size_t which = kNames.find(escaped);
            if (escaped == 'x' || escaped == 'u' || escaped == 'U') {
                append_utf8(out, hexadecimal(escaped == 'x' ? 2 : escaped == 'u' ? 4 : 8));
            } else if (is_digit(escaped) &&
                       (escaped != '0' || (at_ < source_.size() && is_digit(source_[at_])))) {
                unsupported("an octal escape");
            } else if (which != std::string_view::npos) {
                out.push_back(kStandFor[which]);
            } else if (escaped != '\n') {  // a line end after a backslash is no character
                out.push_back('\\');
                out.push_back(escaped);
            }
        }
    }

    std::uint32_t hexadecimal(std::size_t digits)
    {
        std::uint32_t value = 0;
        const char* const begin = source_.data() + at_;
        const char* const end = begin + std::min(digits, source_.size() - at_);
        const auto [last, error] = std::from_chars(begin, end, value, 16);
        const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
        if (error != std::errc() || last != begin + digits || value > 0x10FFFF || surrogate)
            unsupported("an escape that is no character");
        at_ += digits;
        return value;
    }

    std::string source_;
    std::size_t at_ = 0;
    bool line_starts_ = true;  // nothing of the line is before `at_`
};

}  // namespace

std::vector<Part> cut_template(std::string_view source)
{
    if (source.size() > kSourceMax) {
        throw EngineError(EngineError::Kind::too_large,
                          "chat template: " + std::to_string(source.size()) + " bytes");
    }
    return Lexer(source).parts();
}

}  // namespace jiphyeon::jinja
