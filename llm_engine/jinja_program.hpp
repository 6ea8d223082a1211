// What a template is parsed into (jinja_parser.cpp) and run from (jinja.cpp).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja.hpp"

namespace jiphyeon::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

struct Argument {
    std::string name;  // empty: by position
    ExpressionPtr value;
};

struct Expression {
    enum class Kind {
        literal,     // value
        name,        // name
        list,        // operands
        mapping,     // operands: key, value, key, value, …
        attribute,   // operands[0].name
        subscript,   // operands[0][operands[1]]
        slice,       // operands[0][operands[1]:operands[2]:operands[3]], null where left out
        call,        // operands[0](arguments)
        filter,      // operands[0] | name(arguments)
        test,        // operands[0] is name(arguments)
        negation,    // not operands[0]
        minus,       // -operands[0]
        binary,      // operands[0] name operands[1]: + - * / // % ** ~ and or
        comparison,  // operands[0] names[0] operands[1] names[1] operands[2] …
        conditional  // operands[1] if operands[0] else operands[2], which may be null
    };
    Kind kind = Kind::literal;
    Value value = {};
    std::string name = {};
    std::vector<std::string> names = {};
    std::vector<ExpressionPtr> operands = {};
    std::vector<Argument> arguments = {};
    std::size_t height = 1;  // levels of expressions, itself included
};

struct Statement;
using Block = std::vector<Statement>;

struct Statement {
    enum class Kind {
        text,        // text
        output,      // expression
        evaluation,  // expression, whose value is dropped
        condition,   // branches
        loop,        // names in expression if condition: body, else otherwise
        assignment,  // names = expression; attribute not empty: names[0].attribute
        capture,     // names[0] = what body writes
        macro,       // names[0](parameters): body
        break_loop,
        continue_loop
    };
    struct Branch {
        ExpressionPtr condition;  // null: else
        Block body;
    };
    Kind kind = Kind::text;
    Text text = {};
    std::vector<std::string> names = {};
    std::string attribute = {};
    ExpressionPtr expression = {};
    ExpressionPtr condition = {};
    std::vector<Branch> branches = {};
    std::vector<Argument> parameters = {};  // with their defaults, which may be null
    Block body = {};
    Block otherwise = {};
};

class Program {
public:
    // Throws EngineError as Template's constructor.
    static Program parse(std::string_view source);
    Block body;
};

}  // namespace jiphyeon::jinja
