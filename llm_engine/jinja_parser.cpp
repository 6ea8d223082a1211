// From the text of a template to its statements: cut into text and tags with the rules of white space of
// jinja2, each tag into tokens, and these by recursive descent with jinja2's precedence.
#include <algorithm>
#include <array>
#include <charconv>

#include "jinja_lexer.hpp"
#include "jinja_program.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::jinja {
namespace {

constexpr std::size_t kDepthMax = 100;
constexpr std::size_t kHeightMax = 300;

[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, "chat template: " + what);
}

[[noreturn]] void too_large(const std::string& what)
{
    throw EngineError(EngineError::Kind::too_large, "chat template: " + what);
}

class Parser {
public:
    explicit Parser(std::vector<Part> parts) : parts_(std::move(parts)) {}

    Block whole()
    {
        Block out = block({});
        if (part_ < parts_.size()) unsupported("'" + word() + "' at this place");
        return out;
    }

private:
    using Kind = Expression::Kind;

    class Deeper {
    public:
        explicit Deeper(std::size_t& depth) : depth_(depth)
        {
            if (++depth_ > kDepthMax) too_large("nested too deeply");
        }
        Deeper(const Deeper&) = delete;
        Deeper& operator=(const Deeper&) = delete;
        ~Deeper() { --depth_; }

    private:
        std::size_t& depth_;
    };

    // Statements up to one of `ends`, or up to the end. The part that ends them is not passed.
    Block block(const std::vector<std::string_view>& ends)
    {
        const Deeper deeper(depth_);
        Block out;
        for (; part_ < parts_.size(); ++part_) {
            token_ = 0;
            const Part& part = parts_[part_];
            if (part.kind == Part::Kind::text) {
                out.push_back({.kind = Statement::Kind::text, .text = Text::of_template(part.text)});
            } else if (part.kind == Part::Kind::output) {
                out.push_back({.kind = Statement::Kind::output, .expression = tuple()});
                finish();
            } else if (std::find(ends.begin(), ends.end(), word()) != ends.end()) {
                return out;
            } else {
                statement(out);
            }
        }
        if (!ends.empty()) unsupported("'" + std::string(ends.front()) + "' is missing");
        return out;
    }

    // The body of a statement, with the part that ends it as the current one.
    Block body(const std::vector<std::string_view>& ends)
    {
        finish();
        ++part_;
        Block out = block(ends);
        if (part_ >= parts_.size()) unsupported("'" + std::string(ends.front()) + "' is missing");
        return out;
    }

    std::string word() const { return token_of(0).kind == Token::Kind::name ? token_of(0).text : ""; }

    void statement(Block& out)
    {
        const std::string what = word();
        ++token_;
        if (what == "if") {
            out.push_back(condition());
        } else if (what == "for") {
            out.push_back(loop());
        } else if (what == "set") {
            out.push_back(assignment());
        } else if (what == "macro") {
            out.push_back(macro());
        } else if (what == "do") {
            out.push_back({.kind = Statement::Kind::evaluation, .expression = tuple()});
            finish();
        } else if (what == "break" || what == "continue") {
            if (loops_ == 0) unsupported("'" + what + "' outside a loop");
            out.push_back(
                {.kind = what == "break" ? Statement::Kind::break_loop : Statement::Kind::continue_loop});
            finish();
        } else if (what == "generation") {  // marks the model's own turns for training; writes what it holds
            Block inner = body({"endgeneration"});
            std::move(inner.begin(), inner.end(), std::back_inserter(out));
            ++token_;
            finish();
        } else {
            unsupported("the statement '" + what + "'");
        }
    }

    Statement condition()
    {
        Statement out{.kind = Statement::Kind::condition};
        ExpressionPtr test = tuple();
        while (true) {
            Block inner = body({"endif", "elif", "else"});
            out.branches.push_back({std::move(test), std::move(inner)});
            const std::string next = word();
            ++token_;
            if (next == "endif") break;
            if (out.branches.back().condition == nullptr) unsupported("'" + next + "' after 'else'");
            test = next == "elif" ? tuple() : nullptr;
        }
        finish();
        return out;
    }

    Statement loop()
    {
        Statement out{.kind = Statement::Kind::loop, .names = targets()};
        expect_word("in");
        out.expression = disjunction();
        if (take_word("if")) out.condition = conditional();
        ++loops_;
        out.body = body({"endfor", "else"});
        --loops_;
        if (take_word("else")) out.otherwise = body({"endfor"});
        expect_word("endfor");
        finish();
        return out;
    }

    Statement assignment()
    {
        Statement out{.kind = Statement::Kind::assignment, .names = targets()};
        if (take(".")) out.attribute = name();
        if (take("=")) {
            out.expression = tuple();
        } else {
            if (!out.attribute.empty() || out.names.size() != 1) unsupported("a set block of this form");
            out.kind = Statement::Kind::capture;
            const std::size_t loops = std::exchange(loops_, 0);  // no loop is left half through a text
            out.body = body({"endset"});
            loops_ = loops;
            expect_word("endset");
        }
        finish();
        return out;
    }

    Statement macro()
    {
        Statement out{.kind = Statement::Kind::macro, .names = {name()}};
        expect("(");
        while (!take(")")) {
            Argument parameter{name(), nullptr};
            if (take("=")) parameter.value = conditional();
            out.parameters.push_back(std::move(parameter));
            if (!is(",") && !is(")")) unsupported("the parameters of a macro");
            take(",");
        }
        const std::size_t loops = std::exchange(loops_, 0);
        out.body = body({"endmacro"});
        loops_ = loops;
        expect_word("endmacro");
        if (token().kind == Token::Kind::name) ++token_;
        finish();
        return out;
    }

    std::vector<std::string> targets()
    {
        const bool bracketed = take("(");
        std::vector<std::string> out = {name()};
        while (take(",")) out.push_back(name());
        if (bracketed) expect(")");
        return out;
    }

    // Expressions with commas between them are one list.
    ExpressionPtr tuple()
    {
        ExpressionPtr first = conditional();
        if (!is(",")) return first;
        auto out = made(Kind::list);
        add(*out, std::move(first));
        while (take(",") && token().kind != Token::Kind::end) add(*out, conditional());
        return out;
    }

    ExpressionPtr conditional()
    {
        const Deeper deeper(depth_);
        ExpressionPtr value = disjunction();
        while (take_word("if")) {
            auto out = made(Kind::conditional);
            add(*out, disjunction());
            add(*out, std::move(value));
            add(*out, take_word("else") ? conditional() : nullptr);
            value = std::move(out);
        }
        return value;
    }

    ExpressionPtr disjunction()
    {
        ExpressionPtr left = conjunction();
        while (take_word("or")) left = binary("or", std::move(left), conjunction());
        return left;
    }

    ExpressionPtr conjunction()
    {
        ExpressionPtr left = negation();
        while (take_word("and")) left = binary("and", std::move(left), negation());
        return left;
    }

    ExpressionPtr negation()
    {
        if (!take_word("not")) return comparison();
        const Deeper deeper(depth_);
        auto out = made(Kind::negation);
        add(*out, negation());
        return out;
    }

    ExpressionPtr comparison()
    {
        ExpressionPtr first = sum();
        std::unique_ptr<Expression> out;
        while (true) {
            std::string operation;
            for (const std::string_view symbol : {"==", "!=", "<=", ">=", "<", ">"}) {
                if (operation.empty() && take(symbol)) operation = symbol;
            }
            if (operation.empty() && take_word("in")) operation = "in";
            if (operation.empty() && is_word("not") && token_of(token_ + 1).text == "in") {
                token_ += 2;
                operation = "not in";
            }
            if (operation.empty()) break;
            if (!out) {
                out = made(Kind::comparison);
                add(*out, std::move(first));
            }
            out->names.push_back(operation);
            add(*out, sum());
        }
        if (out) return out;
        return first;
    }

    ExpressionPtr sum()
    {
        ExpressionPtr left = joined();
        while (is("+") || is("-")) {
            const std::string operation = token_of(token_++).text;
            left = binary(operation, std::move(left), joined());
        }
        return left;
    }

    ExpressionPtr joined()
    {
        ExpressionPtr left = product();
        while (take("~")) left = binary("~", std::move(left), product());
        return left;
    }

    ExpressionPtr product()
    {
        ExpressionPtr left = power();
        while (is("*") || is("/") || is("//") || is("%")) {
            const std::string operation = token_of(token_++).text;
            left = binary(operation, std::move(left), power());
        }
        return left;
    }

    ExpressionPtr power()
    {
        ExpressionPtr left = unary(true);
        while (take("**")) left = binary("**", std::move(left), unary(true));
        return left;
    }

    ExpressionPtr unary(bool with_filters)
    {
        const Deeper deeper(depth_);
        ExpressionPtr out;
        if (take("-")) {
            auto minus = made(Kind::minus);
            add(*minus, unary(false));
            out = std::move(minus);
        } else {
            out = take("+") ? unary(false) : primary();
        }
        out = postfix(std::move(out));
        return with_filters ? filtered(std::move(out)) : std::move(out);
    }

    ExpressionPtr postfix(ExpressionPtr value)
    {
        while (true) {
            if (take(".")) {
                auto out = made(Kind::attribute);
                add(*out, std::move(value));
                out->name = name();
                value = std::move(out);
            } else if (take("[")) {
                value = subscript(std::move(value));
            } else if (take("(")) {
                auto out = made(Kind::call);
                add(*out, std::move(value));
                add_arguments(*out, arguments());
                value = std::move(out);
            } else {
                return value;
            }
        }
    }

    ExpressionPtr subscript(ExpressionPtr value)
    {
        ExpressionPtr first = is(":") ? nullptr : conditional();
        auto out = made(is(":") ? Kind::slice : Kind::subscript);
        add(*out, std::move(value));
        add(*out, std::move(first));
        while (out->kind == Kind::slice && out->operands.size() < 4)
            add(*out, take(":") && !is(":") && !is("]") ? conditional() : nullptr);
        expect("]");
        return out;
    }

    // After "(" up to and with ")".
    std::vector<Argument> arguments()
    {
        std::vector<Argument> out;
        while (!take(")")) {
            Argument argument;
            const bool named = token().kind == Token::Kind::name && token_of(token_ + 1).text == "=" &&
                               token_of(token_ + 1).kind == Token::Kind::symbol;
            if (named) {
                argument.name = name();
                expect("=");
            }
            argument.value = conditional();
            out.push_back(std::move(argument));
            if (!is(",") && !is(")")) unsupported("the arguments of a call");
            take(",");
        }
        return out;
    }

    ExpressionPtr filtered(ExpressionPtr value)
    {
        while (true) {
            if (take("|")) {
                auto out = made(Kind::filter);
                add(*out, std::move(value));
                out->name = name();
                if (take("(")) add_arguments(*out, arguments());
                value = std::move(out);
            } else if (take_word("is")) {
                const bool negated = take_word("not");
                auto out = made(Kind::test);
                add(*out, std::move(value));
                out->name = name();
                if (take("(")) {
                    add_arguments(*out, arguments());
                } else if (starts_operand()) {
                    std::vector<Argument> operand;
                    operand.push_back({"", postfix(primary())});
                    add_arguments(*out, std::move(operand));
                }
                value = std::move(out);
                if (!negated) continue;
                auto opposite = made(Kind::negation);
                add(*opposite, std::move(value));
                value = std::move(opposite);
            } else {
                return value;
            }
        }
    }

    bool starts_operand() const
    {
        if (token().kind == Token::Kind::name) {
            constexpr std::array<std::string_view, 6> kWords = {"else", "or", "and", "is", "if", "in"};
            return std::find(kWords.begin(), kWords.end(), token().text) == kWords.end() &&
                   token().text != "not";
        }
        return token().kind == Token::Kind::symbol ? is("[") || is("{") : token().kind != Token::Kind::end;
    }

    ExpressionPtr primary()
    {
        const Token here = token();
        ++token_;
        if (here.kind == Token::Kind::name) return name_or_constant(here.text);
        if (here.kind == Token::Kind::text) {
            std::string text = here.text;
            for (; token().kind == Token::Kind::text; ++token_) text += token().text;
            return literal(text_of(Text::of_template(text)));
        }
        if (here.kind == Token::Kind::integer) {
            std::int64_t number = 0;
            const auto [end, error] =
                std::from_chars(here.text.data(), here.text.data() + here.text.size(), number);
            if (error != std::errc()) unsupported("a number of this size");
            return literal({number});
        }
        if (here.kind == Token::Kind::real) {
            double number = 0;
            std::from_chars(here.text.data(), here.text.data() + here.text.size(), number);
            return literal({number});
        }
        if (here.kind == Token::Kind::symbol && here.text == "(") {
            if (take(")")) return made(Kind::list);
            ExpressionPtr value = tuple_in_brackets();
            expect(")");
            return value;
        }
        if (here.kind == Token::Kind::symbol && (here.text == "[" || here.text == "{"))
            return display(here.text == "[" ? Kind::list : Kind::mapping);
        unsupported("an expression of this form");
    }

    ExpressionPtr tuple_in_brackets()
    {
        ExpressionPtr first = conditional();
        if (!is(",")) return first;
        auto out = made(Kind::list);
        add(*out, std::move(first));
        while (take(",") && !is(")")) add(*out, conditional());
        return out;
    }

    ExpressionPtr display(Kind kind)
    {
        const std::string_view close = kind == Kind::list ? "]" : "}";
        auto out = made(kind);
        while (!take(close)) {
            add(*out, conditional());
            if (kind == Kind::mapping) {
                expect(":");
                add(*out, conditional());
            }
            if (!is(",") && !is(close)) unsupported("a list of this form");
            take(",");
        }
        return out;
    }

    ExpressionPtr name_or_constant(const std::string& text)
    {
        if (text == "true" || text == "True") return literal({true});
        if (text == "false" || text == "False") return literal({false});
        if (text == "none" || text == "None") return literal({None{}});
        auto out = made(Kind::name);
        out->name = text;
        return out;
    }

    static std::unique_ptr<Expression> made(Kind kind)
    {
        auto out = std::make_unique<Expression>();
        out->kind = kind;
        return out;
    }
    // Rows of operations nest too, though the parser needs no depth for them: who runs the expression does.
    static void grow(Expression& parent, const Expression* child)
    {
        if (child != nullptr) parent.height = std::max(parent.height, child->height + 1);
        if (parent.height > kHeightMax) too_large("an expression of too many parts");
    }
    static void add(Expression& parent, ExpressionPtr operand)
    {
        grow(parent, operand.get());
        parent.operands.push_back(std::move(operand));
    }
    static void add_arguments(Expression& parent, std::vector<Argument> arguments)
    {
        for (const Argument& argument : arguments) grow(parent, argument.value.get());
        parent.arguments = std::move(arguments);
    }
    static ExpressionPtr literal(Value value)
    {
        auto out = made(Kind::literal);
        out->value = std::move(value);
        return out;
    }
    static ExpressionPtr binary(const std::string& operation, ExpressionPtr left, ExpressionPtr right)
    {
        auto out = made(Kind::binary);
        out->name = operation;
        add(*out, std::move(left));
        add(*out, std::move(right));
        return out;
    }

    const Token& token_of(std::size_t index) const
    {
        const std::vector<Token>& tokens = parts_[part_].tokens;
        return tokens[std::min(index, tokens.size() - 1)];
    }
    const Token& token() const { return token_of(token_); }
    bool is(std::string_view symbol) const
    {
        return token().kind == Token::Kind::symbol && token().text == symbol;
    }
    bool is_word(std::string_view text) const
    {
        return token().kind == Token::Kind::name && token().text == text;
    }
    bool take(std::string_view symbol)
    {
        const bool found = is(symbol);
        token_ += found ? 1 : 0;
        return found;
    }
    bool take_word(std::string_view text)
    {
        const bool found = is_word(text);
        token_ += found ? 1 : 0;
        return found;
    }
    void expect(std::string_view symbol)
    {
        if (!take(symbol)) unsupported("'" + std::string(symbol) + "' is missing");
    }
    void expect_word(std::string_view text)
    {
        if (!take_word(text)) unsupported("'" + std::string(text) + "' is missing");
    }
    std::string name()
    {
        if (token().kind != Token::Kind::name) unsupported("a name is missing");
        return token_of(token_++).text;
    }
    void finish()
    {
        if (token().kind != Token::Kind::end) unsupported("'" + token().text + "' at this place");
    }

    std::vector<Part> parts_;
    std::size_t part_ = 0;
    std::size_t token_ = 0;
    std::size_t depth_ = 0;
    std::size_t loops_ = 0;
};

}  // namespace

Program Program::parse(std::string_view source)
{
    Program out;
    out.body = Parser(cut_template(source)).whole();
    return out;
}

}  // namespace jiphyeon::jinja
