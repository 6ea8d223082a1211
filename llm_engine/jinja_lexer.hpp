// Cuts a template into text and tags, and each tag into tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon::jinja {

struct Token {
    enum class Kind { name, text, integer, real, symbol, end };
    Kind kind = Kind::end;
    std::string text = {};  // of a text literal: what it stands for
};

// A stretch of text, an expression to write, or a statement.
struct Part {
    enum class Kind { text, output, statement };
    Kind kind = Kind::text;
    std::string text = {};
    std::vector<Token> tokens = {};  // ends with Kind::end
};

// With jinja2's rules of white space. Throws EngineError: unsupported, too_large (length).
std::vector<Part> cut_template(std::string_view source);

}  // namespace jiphyeon::jinja
