// Walks the statements of a template. Names live in scopes, of which a loop opens one for each item and a
// macro one on top of the template's own. What a value can do is Python's, as far as templates show it; the
// rest is refused.
#include "jinja.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "jinja_program.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "utf8.hpp"

namespace jiphyeon::jinja {

struct Namespace {
    Mapping entries;
};

struct Macro {
    const Statement* statement = nullptr;
};

namespace {

constexpr std::size_t kStepsMax = 1'000'000;
constexpr std::size_t kStepsOfItem = 10;             // a scope with what `loop` holds
constexpr std::size_t kBytesOfStep = 64;             // read in one step
constexpr std::size_t kBytesMax = 64u << 20;         // made in all, each copy counted
constexpr std::size_t kCharactersOfMax = 16u << 20;  // bytes of a text whose characters are looked for
constexpr std::size_t kDepthMax = 600;

using TextPtr = std::shared_ptr<const Text>;
using ListPtr = std::shared_ptr<const List>;
using MappingPtr = std::shared_ptr<const Mapping>;
using NamespacePtr = std::shared_ptr<Namespace>;
using MacroPtr = std::shared_ptr<const Macro>;

[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, "chat template: " + what);
}

template <typename T>
const T* as(const Value& value)
{
    return std::get_if<T>(&value.held);
}

template <>
const Text* as<Text>(const Value& value)
{
    const auto* const text = std::get_if<TextPtr>(&value.held);
    return text == nullptr ? nullptr : text->get();
}

const List* list_in(const Value& value)
{
    const auto* const list = as<ListPtr>(value);
    return list == nullptr ? nullptr : list->get();
}

const Mapping* mapping_in(const Value& value)
{
    const auto* const mapping = as<MappingPtr>(value);
    return mapping == nullptr ? nullptr : mapping->get();
}

const Value* find(const Mapping& mapping, std::string_view key)
{
    const auto found =
        std::find_if(mapping.begin(), mapping.end(), [&](const auto& entry) { return entry.first == key; });
    return found == mapping.end() ? nullptr : &found->second;
}

void put(Mapping& mapping, std::string_view key, Value value)
{
    const auto found =
        std::find_if(mapping.begin(), mapping.end(), [&](const auto& entry) { return entry.first == key; });
    if (found != mapping.end()) {
        found->second = std::move(value);
    } else {
        mapping.emplace_back(key, std::move(value));
    }
}

Value text_value(std::string_view bytes)
{
    return text_of(Text::of_template(bytes));
}

bool is_true(const Value& value)
{
    if (as<Undefined>(value) != nullptr || as<None>(value) != nullptr) return false;
    if (const auto* const flag = as<bool>(value)) return *flag;
    if (const auto* const number = as<std::int64_t>(value)) return *number != 0;
    if (const auto* const number = as<double>(value)) return *number != 0;
    if (const auto* const text = as<Text>(value)) return text->size() > 0;
    if (const List* const list = list_in(value)) return !list->empty();
    if (const Mapping* const mapping = mapping_in(value)) return !mapping->empty();
    return true;
}

// Whole numbers, of which truth values are two.
std::optional<std::int64_t> integer_in(const Value& value)
{
    if (const auto* const number = as<std::int64_t>(value)) return *number;
    if (const auto* const flag = as<bool>(value)) return *flag ? 1 : 0;
    return std::nullopt;
}

std::optional<double> number_in(const Value& value)
{
    if (const auto* const number = as<double>(value)) return *number;
    if (const auto whole = integer_in(value)) return static_cast<double>(*whole);
    return std::nullopt;
}

// White space of Python's str.strip and str.split.
bool is_white_space(std::uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

// Where `part` first is at or after `from`. In linear time also where much of it is found again and again.
std::size_t place_of(const std::string& bytes, const std::string& part, std::size_t from)
{
    const void* const found = memmem(bytes.data() + from, bytes.size() - from, part.data(), part.size());
    return found == nullptr ? std::string::npos
                            : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
}

enum class Ends { left, right, both };

std::string decimal(double number)
{
    if (!std::isfinite(number) || std::abs(number) >= 1e16 || (number != 0 && std::abs(number) < 1e-4))
        unsupported("a number of this size in the text");
    std::array<char, 64> buffer{};
    const auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::fixed).ptr;
    std::string out(buffer.data(), end);
    return out.find('.') == std::string::npos ? out + ".0" : out;
}

// What a value is written as.
Text written(const Value& value)
{
    if (const auto* const text = as<Text>(value)) return *text;
    if (as<Undefined>(value) != nullptr) return {};
    if (as<None>(value) != nullptr) return Text::of_template("None");
    if (const auto* const flag = as<bool>(value)) return Text::of_template(*flag ? "True" : "False");
    if (const auto* const number = as<std::int64_t>(value)) return Text::of_template(std::to_string(*number));
    if (const auto* const number = as<double>(value)) return Text::of_template(decimal(*number));
    unsupported("a list or mapping in the text");
}

const Text& need_text(const Value& value, std::string_view what)
{
    const auto* const text = as<Text>(value);
    if (text == nullptr) unsupported(std::string(what) + " of what is no text");
    return *text;
}

// Arguments of a filter, test, method or function, in order; those with names after the others.
struct Arguments {
    std::vector<Value> values;
    Mapping named;

    // By position or by name; null where it is left out.
    const Value* find(std::size_t position, std::string_view name) const
    {
        if (position < values.size()) return &values[position];
        return jinja::find(named, name);
    }
    void limit(std::size_t count, std::string_view what) const
    {
        if (values.size() + named.size() > count) unsupported("more arguments of " + std::string(what));
    }
};

class Run {
public:
    explicit Run(const Mapping& variables) : scopes_(1)
    {
        for (const auto& [name, value] : variables) scopes_[0][name] = value;
    }

    Text whole(const Block& block)
    {
        execute(block);
        return std::move(out_);
    }

private:
    enum class Flow { on, next_item, end_loop };
    using Scope = std::map<std::string, Value, std::less<>>;
    using Places = std::vector<std::uint32_t>;

    class Deeper {
    public:
        explicit Deeper(Run& run) : run_(run)
        {
            run_.step();
            if (++run_.depth_ > kDepthMax) too_large("nested too deeply");
        }
        Deeper(const Deeper&) = delete;
        Deeper& operator=(const Deeper&) = delete;
        ~Deeper() { --run_.depth_; }

    private:
        Run& run_;
    };

    [[noreturn]] static void too_large(const std::string& what)
    {
        throw EngineError(EngineError::Kind::too_large, "chat template: " + what);
    }
    void step(std::size_t count = 1)
    {
        if (count > kStepsMax - steps_) too_large("more than " + std::to_string(kStepsMax) + " steps");
        steps_ += count;
    }
    void charge(std::size_t bytes)
    {
        if (bytes > kBytesMax - bytes_) too_large("more than " + std::to_string(kBytesMax) + " bytes");
        bytes_ += bytes;
    }
    Value charged(Text text)
    {
        charge(text.size());
        return text_of(std::move(text));
    }
    void read(std::size_t bytes) { step(1 + bytes / kBytesOfStep); }

    const Value* find_in(const Mapping& mapping, std::string_view key)
    {
        step(mapping.size() * (1 + key.size() / kBytesOfStep));
        return find(mapping, key);
    }

    // Where the characters of a text begin, and its end. A byte that is no UTF-8 is a character.
    Places characters_of(const Text& text)
    {
        if (text.size() > kCharactersOfMax)
            too_large("the characters of a text of " + std::to_string(text.size()) + " bytes");
        read(text.size());
        const std::string_view bytes = text.bytes();
        Places out;
        for (std::size_t at = 0; at < bytes.size();) {
            out.push_back(static_cast<std::uint32_t>(at));
            at += std::max(first_character(bytes.substr(at)).length, 1u);
        }
        out.push_back(static_cast<std::uint32_t>(bytes.size()));
        return out;
    }

    Flow execute(const Block& block)
    {
        for (const Statement& statement : block) {
            const Deeper deeper(*this);
            if (const Flow flow = execute(statement); flow != Flow::on) return flow;
        }
        return Flow::on;
    }

    Flow execute(const Statement& statement)
    {
        switch (statement.kind) {
            case Statement::Kind::text:
                write(statement.text);
                break;
            case Statement::Kind::output:
                write(written(evaluate(*statement.expression)));
                break;
            case Statement::Kind::evaluation:
                evaluate(*statement.expression);
                break;
            case Statement::Kind::condition:
                for (const Statement::Branch& branch : statement.branches) {
                    if (branch.condition == nullptr || is_true(evaluate(*branch.condition)))
                        return execute(branch.body);
                }
                break;
            case Statement::Kind::loop:
                return loop(statement);
            case Statement::Kind::assignment:
                assign(statement);
                break;
            case Statement::Kind::capture:
                scopes_.back()[statement.names[0]] = charged(captured(statement.body));
                break;
            case Statement::Kind::macro:
                scopes_.back()[statement.names[0]] = {std::make_shared<const Macro>(Macro{&statement})};
                break;
            case Statement::Kind::break_loop:
                return Flow::end_loop;
            case Statement::Kind::continue_loop:
                return Flow::next_item;
        }
        return Flow::on;
    }

    void write(const Text& text)
    {
        charge(text.size());
        out_.append(text);
    }

    Text captured(const Block& block)
    {
        Text outer = std::exchange(out_, Text());
        execute(block);
        return std::exchange(out_, std::move(outer));
    }

    void assign(const Statement& statement)
    {
        const Value value = evaluate(*statement.expression);
        if (!statement.attribute.empty()) {
            const Value target = look_up(statement.names[0]);
            const auto* const space = as<NamespacePtr>(target);
            if (space == nullptr) unsupported("setting a part of what is no namespace");
            check(value, false);
            step((*space)->entries.size());
            put((*space)->entries, statement.attribute, value);
        } else {
            check(value, true);
            bind(statement.names, value);
        }
    }

    // Values that are kept are not nested so deeply that freeing them would be a danger, and a namespace
    // holds no other, so that none can hold itself.
    void check(const Value& value, bool may_hold_namespaces)
    {
        const Deeper deeper(*this);
        if (as<NamespacePtr>(value) != nullptr && !may_hold_namespaces)
            unsupported("a namespace inside another");
        if (const List* const list = list_in(value)) {
            for (const Value& item : *list) check(item, may_hold_namespaces);
        }
        if (const Mapping* const mapping = mapping_in(value)) {
            for (const auto& entry : *mapping) check(entry.second, may_hold_namespaces);
        }
    }

    void bind(const std::vector<std::string>& names, const Value& value)
    {
        if (names.size() == 1) {
            scopes_.back()[names[0]] = value;
            return;
        }
        const List* const items = list_in(value);
        if (items == nullptr || items->size() != names.size()) unsupported("taking a value apart");
        for (std::size_t i = 0; i < names.size(); ++i) scopes_.back()[names[i]] = (*items)[i];
    }

    // What stands in `else` is no longer of this loop: it can break off the one around it.
    Flow loop(const Statement& statement)
    {
        List items = items_of(evaluate(*statement.expression));
        if (statement.condition != nullptr) {
            scopes_.emplace_back();
            std::erase_if(items, [&](const Value& item) {
                bind(statement.names, item);
                return !is_true(evaluate(*statement.condition));
            });
            scopes_.pop_back();
        }
        for (std::size_t i = 0; i < items.size(); ++i) {
            step(kStepsOfItem);
            scopes_.emplace_back();
            bind(statement.names, items[i]);
            scopes_.back()["loop"] = loop_variables(items, i);
            const Flow flow = execute(statement.body);
            scopes_.pop_back();
            if (flow == Flow::end_loop) break;
        }
        if (!items.empty()) return Flow::on;
        scopes_.emplace_back();
        const Flow flow = execute(statement.otherwise);
        scopes_.pop_back();
        return flow;
    }

    static Value loop_variables(const List& items, std::size_t at)
    {
        const auto number = [](std::size_t n) { return Value{static_cast<std::int64_t>(n)}; };
        return mapping_of({{"index", number(at + 1)},
                           {"index0", number(at)},
                           {"revindex", number(items.size() - at)},
                           {"revindex0", number(items.size() - at - 1)},
                           {"first", {at == 0}},
                           {"last", {at + 1 == items.size()}},
                           {"length", number(items.size())},
                           {"previtem", at > 0 ? items[at - 1] : Value{}},
                           {"nextitem", at + 1 < items.size() ? items[at + 1] : Value{}}});
    }

    // What a loop goes over.
    List items_of(const Value& value)
    {
        if (const List* const list = list_in(value)) {
            step(list->size());
            return *list;
        }
        List out;
        if (const Mapping* const mapping = mapping_in(value)) {
            step(mapping->size());
            for (const auto& entry : *mapping) out.push_back(charged(Text::of_template(entry.first)));
        } else if (const auto* const text = as<Text>(value)) {
            const Places places = characters_of(*text);
            for (std::size_t i = 0; i + 1 < places.size(); ++i) {
                step();
                out.push_back(charged(text->part(places[i], places[i + 1])));
            }
        } else if (as<Undefined>(value) == nullptr) {
            unsupported("going over what is no list");
        }
        return out;
    }

    Value look_up(std::string_view name) const
    {
        for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
            if (const auto found = scope->find(name); found != scope->end()) return found->second;
        }
        return {};
    }

    Value evaluate(const Expression& expression)
    {
        const Deeper deeper(*this);
        const auto operand = [&](std::size_t i) { return evaluate(*expression.operands[i]); };
        switch (expression.kind) {
            case Expression::Kind::literal:
                return expression.value;
            case Expression::Kind::name:
                return look_up(expression.name);
            case Expression::Kind::list: {
                List items;
                for (const ExpressionPtr& item : expression.operands) items.push_back(evaluate(*item));
                return list_of(std::move(items));
            }
            case Expression::Kind::mapping: {
                Mapping entries;
                for (std::size_t i = 0; i + 1 < expression.operands.size(); i += 2) {
                    const Value value = operand(i);
                    const Text& key = need_text(value, "a key");
                    // Keys do not know where they come from, and come back as words of the template's.
                    if (!key.is_of_template()) unsupported("a key out of a turn");
                    charge(key.size());
                    find_in(entries, key.bytes());
                    put(entries, key.bytes(), operand(i + 1));
                }
                return mapping_of(std::move(entries));
            }
            case Expression::Kind::attribute:
                return attribute(operand(0), expression.name);
            case Expression::Kind::subscript:
                return subscript(operand(0), operand(1));
            case Expression::Kind::slice:
                return slice(expression);
            case Expression::Kind::call:
                return call(expression);
            case Expression::Kind::filter:
                return filter(operand(0), expression.name, arguments(expression.arguments));
            case Expression::Kind::test:
                return {test(operand(0), expression.name, arguments(expression.arguments))};
            case Expression::Kind::negation:
                return {!is_true(operand(0))};
            case Expression::Kind::minus:
                return subtract({std::int64_t{0}}, operand(0));
            case Expression::Kind::binary:
                return binary(expression);
            case Expression::Kind::comparison:
                return comparison(expression);
            case Expression::Kind::conditional:
                if (is_true(operand(0))) return operand(1);
                return expression.operands[2] == nullptr ? Value{} : operand(2);
        }
        return {};
    }

    Arguments arguments(const std::vector<Argument>& written_arguments)
    {
        Arguments out;
        for (const Argument& argument : written_arguments) {
            if (argument.name.empty()) {
                if (!out.named.empty()) unsupported("an argument without a name after one with");
                out.values.push_back(evaluate(*argument.value));
            } else {
                if (find_in(out.named, argument.name) != nullptr) unsupported("an argument twice");
                put(out.named, argument.name, evaluate(*argument.value));
            }
        }
        return out;
    }

    Value attribute(const Value& value, std::string_view name)
    {
        if (as<Undefined>(value) != nullptr)
            unsupported("'" + std::string(name) + "' of what is not defined");
        const Value* found = nullptr;
        if (const Mapping* const mapping = mapping_in(value)) found = find_in(*mapping, name);
        if (const auto* const space = as<NamespacePtr>(value)) found = find_in((*space)->entries, name);
        return found == nullptr ? Value{} : *found;
    }

    Value subscript(const Value& value, const Value& index)
    {
        if (const auto* const key = as<Text>(index)) return attribute(value, key->bytes());
        if (as<Undefined>(value) != nullptr) unsupported("a part of what is not defined");
        const std::optional<std::int64_t> wanted = integer_in(index);
        if (!wanted) return {};
        const auto place = [&](std::size_t count) -> std::optional<std::size_t> {
            const auto size = static_cast<std::int64_t>(count);
            if (*wanted >= size || *wanted < -size) return std::nullopt;
            return static_cast<std::size_t>(*wanted < 0 ? *wanted + size : *wanted);
        };
        if (const List* const list = list_in(value)) {
            const auto at = place(list->size());
            return at ? (*list)[*at] : Value{};
        }
        if (const auto* const text = as<Text>(value)) {
            const Places places = characters_of(*text);
            const auto at = place(places.size() - 1);
            return at ? charged(text->part(places[*at], places[*at + 1])) : Value{};
        }
        return {};
    }

    Value slice(const Expression& expression)
    {
        const Value value = evaluate(*expression.operands[0]);
        const auto bound = [&](std::size_t i) -> std::optional<std::int64_t> {
            if (expression.operands[i] == nullptr) return std::nullopt;
            const Value at = evaluate(*expression.operands[i]);
            if (as<None>(at) != nullptr) return std::nullopt;
            const std::optional<std::int64_t> number = integer_in(at);
            if (!number) unsupported("a slice of this form");
            return number;
        };
        const std::optional<std::int64_t> first = bound(1);
        const std::optional<std::int64_t> last = bound(2);
        const std::int64_t by = bound(3).value_or(1);
        const auto* const text = as<Text>(value);
        const List* const list = list_in(value);
        if (by == 0 || (text == nullptr && list == nullptr)) unsupported("a slice of this form");
        const Places places = text != nullptr ? characters_of(*text) : Places();
        const auto size = static_cast<std::int64_t>(text != nullptr ? places.size() - 1 : list->size());
        // As Python: counted from the end where negative, then held inside.
        const std::int64_t least = by > 0 ? 0 : -1;
        const auto inside = [&](std::optional<std::int64_t> at, std::int64_t otherwise) {
            if (!at) return otherwise;
            const std::int64_t from_start = *at >= 0 ? *at : *at < -size ? least : *at + size;
            return std::clamp(from_start, least, by > 0 ? size : size - 1);
        };
        const std::int64_t begin = inside(first, by > 0 ? 0 : size - 1);
        const std::int64_t end = inside(last, by > 0 ? size : -1);
        if (text != nullptr && by == 1) {
            const auto from = static_cast<std::size_t>(begin);
            return charged(text->part(places[from], places[static_cast<std::size_t>(std::max(begin, end))]));
        }
        List items;
        Text characters;
        for (std::int64_t at = begin; by > 0 ? at < end : at > end;) {
            step();
            const auto i = static_cast<std::size_t>(at);
            if (text != nullptr) {
                characters.append(text->part(places[i], places[i + 1]));
            } else {
                items.push_back((*list)[i]);
            }
            if (by > size || by < -size) break;
            at += by;
        }
        return text != nullptr ? charged(std::move(characters)) : list_of(std::move(items));
    }

    static Value subtract(const Value& a, const Value& b)
    {
        if (const auto x = integer_in(a), y = integer_in(b); x && y) {
            std::int64_t out = 0;
            if (__builtin_sub_overflow(*x, *y, &out)) unsupported("a number of this size");
            return {out};
        }
        const auto x = number_in(a);
        const auto y = number_in(b);
        if (!x || !y) unsupported("'-' of what are no numbers");
        return {*x - *y};
    }

    Value binary(const Expression& expression)
    {
        const std::string& name = expression.name;
        const Value a = evaluate(*expression.operands[0]);
        if (name == "and") return is_true(a) ? evaluate(*expression.operands[1]) : a;
        if (name == "or") return is_true(a) ? a : evaluate(*expression.operands[1]);
        const Value b = evaluate(*expression.operands[1]);
        if (name == "~") return joined(written(a), written(b));
        if (name == "+" && as<Text>(a) != nullptr && as<Text>(b) != nullptr)
            return joined(*as<Text>(a), *as<Text>(b));
        if (name == "+" && list_in(a) != nullptr && list_in(b) != nullptr) {
            List out = *list_in(a);
            out.insert(out.end(), list_in(b)->begin(), list_in(b)->end());
            step(out.size());
            return list_of(std::move(out));
        }
        if (name == "*" && as<Text>(a) != nullptr && integer_in(b))
            return repeated(*as<Text>(a), *integer_in(b));
        if (name == "-") return subtract(a, b);
        return arithmetic(name, a, b);
    }

    Value joined(Text a, const Text& b)
    {
        charge(a.size() + b.size());
        a.append(b);
        return text_of(std::move(a));
    }

    Value repeated(const Text& text, std::int64_t count)
    {
        Text out;
        for (std::int64_t i = 0; i < count; ++i) {
            step();
            charge(text.size());
            out.append(text);
        }
        return text_of(std::move(out));
    }

    static Value arithmetic(const std::string& name, const Value& a, const Value& b)
    {
        const auto x = integer_in(a);
        const auto y = integer_in(b);
        if (x && y && name != "/" && name != "**") {
            std::int64_t out = 0;
            if (name == "+" && !__builtin_add_overflow(*x, *y, &out)) return {out};
            if (name == "*" && !__builtin_mul_overflow(*x, *y, &out)) return {out};
            const bool divides = (name == "//" || name == "%") && *y != 0 && *y != -1;
            if (divides) {  // towards minus infinity, with the remainder of the divisor's sign
                const bool below = *x % *y != 0 && (*x < 0) != (*y < 0);
                return {name == "//" ? *x / *y - (below ? 1 : 0) : *x % *y + (below ? *y : 0)};
            }
            unsupported("'" + name + "' of these numbers");
        }
        const auto u = number_in(a);
        const auto v = number_in(b);
        if (u && v && name == "+") return {*u + *v};
        if (u && v && name == "*") return {*u * *v};
        if (u && v && name == "/" && *v != 0) return {*u / *v};
        unsupported("'" + name + "' of these values");
    }

    Value comparison(const Expression& expression)
    {
        Value left = evaluate(*expression.operands[0]);
        for (std::size_t i = 0; i < expression.names.size(); ++i) {
            Value right = evaluate(*expression.operands[i + 1]);
            if (!holds(expression.names[i], left, right)) return {false};
            left = std::move(right);
        }
        return {true};
    }

    bool holds(std::string_view relation, const Value& a, const Value& b)
    {
        if (relation == "==") return equal(a, b);
        if (relation == "!=") return !equal(a, b);
        if (relation == "in") return contains(b, a);
        if (relation == "not in") return !contains(b, a);
        int order = 0;
        if (as<Text>(a) != nullptr && as<Text>(b) != nullptr) {
            read(std::min(as<Text>(a)->size(), as<Text>(b)->size()));
            order = as<Text>(a)->bytes().compare(as<Text>(b)->bytes());
        } else if (const auto x = integer_in(a), y = integer_in(b); x && y) {
            order = *x < *y ? -1 : *x > *y ? 1 : 0;
        } else {
            const auto u = number_in(a);
            const auto v = number_in(b);
            if (!u || !v) unsupported("an order of these values");
            order = *u < *v ? -1 : *u > *v ? 1 : 0;
        }
        if (relation == "<") return order < 0;
        if (relation == "<=") return order <= 0;
        return relation == ">" ? order > 0 : order >= 0;
    }

    bool equal(const Value& a, const Value& b)
    {
        const Deeper deeper(*this);
        if (const auto x = integer_in(a), y = integer_in(b); x && y) return *x == *y;
        if (const auto x = number_in(a), y = number_in(b); x && y) return *x == *y;
        if (as<Text>(a) != nullptr && as<Text>(b) != nullptr) {
            read(std::min(as<Text>(a)->size(), as<Text>(b)->size()));
            return as<Text>(a)->bytes() == as<Text>(b)->bytes();
        }
        if (const List* x = list_in(a), *y = list_in(b); x != nullptr && y != nullptr) {
            return std::equal(x->begin(), x->end(), y->begin(), y->end(),
                              [&](const Value& u, const Value& v) { return equal(u, v); });
        }
        if (mapping_in(a) != nullptr && mapping_in(b) != nullptr) unsupported("comparing mappings");
        return (as<None>(a) != nullptr && as<None>(b) != nullptr) ||
               (as<Undefined>(a) != nullptr && as<Undefined>(b) != nullptr);
    }

    bool contains(const Value& whole, const Value& part)
    {
        if (const List* const list = list_in(whole)) {
            return std::any_of(list->begin(), list->end(),
                               [&](const Value& item) { return equal(item, part); });
        }
        if (const auto* const text = as<Text>(whole)) {
            read(text->size());
            return place_of(text->bytes(), need_text(part, "'in'").bytes(), 0) != std::string::npos;
        }
        if (const Mapping* const mapping = mapping_in(whole))
            return as<Text>(part) != nullptr && find_in(*mapping, as<Text>(part)->bytes()) != nullptr;
        if (as<Undefined>(whole) == nullptr) unsupported("'in' of what is no list");
        return false;
    }

    Value call(const Expression& expression)
    {
        const Expression& callee = *expression.operands[0];
        if (callee.kind == Expression::Kind::attribute) {
            const Value object = evaluate(*callee.operands[0]);
            const Arguments given = arguments(expression.arguments);
            return method(object, callee.name, given);
        }
        if (callee.kind != Expression::Kind::name) unsupported("a call of this form");
        const Arguments given = arguments(expression.arguments);
        const Value value = look_up(callee.name);
        if (const auto* const macro = as<MacroPtr>(value)) return call(*(*macro)->statement, given);
        if (as<Undefined>(value) == nullptr) unsupported("a call of '" + callee.name + "'");
        return function(callee.name, given);
    }

    Value call(const Statement& macro, const Arguments& given)
    {
        given.limit(macro.parameters.size(), "a macro");
        step(macro.parameters.size() * (1 + given.named.size()));
        for (const auto& entry : given.named) {
            const bool is_open = std::any_of(
                macro.parameters.begin() + static_cast<std::ptrdiff_t>(given.values.size()),
                macro.parameters.end(), [&](const Argument& each) { return each.name == entry.first; });
            if (!is_open) unsupported("the argument '" + entry.first + "' of a macro");
        }
        Scope scope;
        for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
            const Argument& parameter = macro.parameters[i];
            const Value* const value = given.find(i, parameter.name);
            scope[parameter.name] = value != nullptr             ? *value
                                    : parameter.value != nullptr ? evaluate(*parameter.value)
                                                                 : Value{};
        }
        std::vector<Scope> outer;
        outer.swap(scopes_);
        scopes_.push_back(std::move(outer.front()));  // a macro sees the template's names, not its caller's
        scopes_.push_back(std::move(scope));
        Value out = charged(captured(macro.body));
        outer.front() = std::move(scopes_.front());
        outer.swap(scopes_);
        return out;
    }

    Value function(const std::string& name, const Arguments& given)
    {
        if (name == "raise_exception") {
            const std::string detail = given.values.empty() ? "" : written(given.values[0]).bytes();
            throw EngineError(EngineError::Kind::bad_request, "the chat template refuses: " + detail);
        }
        if (name == "namespace" && given.values.empty()) {
            for (const auto& entry : given.named) check(entry.second, false);
            return {std::make_shared<Namespace>(Namespace{given.named})};
        }
        if (name == "dict" && given.values.empty()) return mapping_of(given.named);
        if (name == "range" && given.named.empty() && !given.values.empty() && given.values.size() <= 3) {
            std::vector<std::int64_t> numbers;
            for (const Value& value : given.values) {
                const std::optional<std::int64_t> number = integer_in(value);
                if (!number) unsupported("range() of what is no number");
                numbers.push_back(*number);
            }
            const std::int64_t by = numbers.size() == 3 ? numbers[2] : 1;
            const std::int64_t end = numbers.size() == 1 ? numbers[0] : numbers[1];
            constexpr std::int64_t kFar = std::int64_t{1} << 32;
            const bool far = std::any_of(numbers.begin(), numbers.end(),
                                         [](std::int64_t n) { return n < -kFar || n > kFar; });
            if (by == 0 || far) unsupported("range() of these numbers");
            List items;
            std::int64_t at = numbers.size() == 1 ? 0 : numbers[0];
            for (; by > 0 ? at < end : at > end; at += by) {
                step();
                items.push_back({at});
            }
            return list_of(std::move(items));
        }
        unsupported("the function '" + name + "'");
    }

    Value method(const Value& object, const std::string& name, const Arguments& given)
    {
        if (const auto* const text = as<Text>(object)) return text_method(*text, name, given);
        if (const Mapping* const mapping = mapping_in(object)) {
            if (name == "get" && !given.values.empty()) {
                given.limit(2, "get()");
                const Value* const found = find_in(*mapping, need_text(given.values[0], "get()").bytes());
                return found != nullptr ? *found : given.values.size() > 1 ? given.values[1] : Value{None{}};
            }
            if (const Value* const index =
                    name == "cycle" && !given.values.empty() ? find_in(*mapping, "index0") : nullptr) {
                const auto at = static_cast<std::size_t>(integer_in(*index).value_or(0));
                return given.values[at % given.values.size()];
            }
            if (name == "items" || name == "keys" || name == "values") {
                given.limit(0, name);
                return entries(*mapping, name);
            }
        }
        unsupported("the method '" + name + "'");
    }

    Value entries(const Mapping& mapping, std::string_view what)
    {
        step(mapping.size());
        List out;
        for (const auto& [key, value] : mapping) {
            if (what == "items") out.push_back(list_of({charged(Text::of_template(key)), value}));
            if (what == "keys") out.push_back(charged(Text::of_template(key)));
            if (what == "values") out.push_back(value);
        }
        return list_of(std::move(out));
    }

    Text stripped(const Text& text, Ends ends, const Text* characters)
    {
        const std::string_view bytes = text.bytes();
        const Places places = characters_of(text);
        std::set<std::string_view> wanted;
        if (characters != nullptr) {
            const std::string_view all = characters->bytes();
            const Places ends_of = characters_of(*characters);
            step(ends_of.size());
            for (std::size_t i = 0; i + 1 < ends_of.size(); ++i)
                wanted.insert(all.substr(ends_of[i], ends_of[i + 1] - ends_of[i]));
        }
        const auto goes = [&](std::size_t i) {
            const std::string_view character = bytes.substr(places[i], places[i + 1] - places[i]);
            if (characters != nullptr) return wanted.contains(character);
            const Utf8Character c = first_character(character);
            return c.length > 0 && is_white_space(c.code);
        };
        std::size_t first = 0;
        std::size_t last = places.size() - 1;
        while (ends != Ends::right && first < last && goes(first)) ++first;
        while (ends != Ends::left && first < last && goes(last - 1)) --last;
        return text.part(places[first], places[last]);
    }

    Value text_method(const Text& text, const std::string& name, const Arguments& given)
    {
        const std::string& bytes = text.bytes();
        const auto* const first = given.values.empty() ? nullptr : as<Text>(given.values[0]);
        if (!given.named.empty()) unsupported("named arguments of '" + name + "'");
        if (name == "strip" || name == "lstrip" || name == "rstrip") {
            given.limit(1, name);
            if (!given.values.empty() && first == nullptr) unsupported("'" + name + "' of these values");
            const Ends ends = name == "strip" ? Ends::both : name == "lstrip" ? Ends::left : Ends::right;
            return charged(stripped(text, ends, first));
        }
        if (name == "startswith" || name == "endswith") {
            given.limit(1, name);
            if (first == nullptr) unsupported("'" + name + "' of these values");
            read(std::min(text.size(), first->size()));
            return {name == "startswith" ? bytes.starts_with(first->bytes())
                                         : bytes.ends_with(first->bytes())};
        }
        if (name == "split") return split(text, given);
        if (name == "replace" && given.values.size() == 2 && first != nullptr)
            return replaced(text, *first, need_text(given.values[1], "replace()"));
        if ((name == "upper" || name == "lower") && given.values.empty()) return cased(text, name == "upper");
        if (name == "join" && given.values.size() == 1) return join(given.values[0], text);
        unsupported("the method '" + name + "' of a text");
    }

    Value split(const Text& text, const Arguments& given)
    {
        given.limit(2, "split()");
        const std::string& bytes = text.bytes();
        List out;
        if (given.values.empty()) {  // at white space, without empty parts
            const Places places = characters_of(text);
            std::size_t start = 0;
            for (std::size_t i = 0; i < places.size(); ++i) {
                const Utf8Character c = first_character(std::string_view(bytes).substr(places[i]));
                const bool ends = i + 1 == places.size() || (c.length > 0 && is_white_space(c.code));
                if (!ends) continue;
                step();
                if (places[i] > start) out.push_back(charged(text.part(start, places[i])));
                start = i + 1 < places.size() ? places[i + 1] : places[i];
            }
            return list_of(std::move(out));
        }
        const std::string& separator = need_text(given.values[0], "split()").bytes();
        const std::int64_t most = given.values.size() > 1 ? integer_in(given.values[1]).value_or(-1) : -1;
        if (separator.empty()) unsupported("split() at nothing");
        read(text.size());
        std::size_t start = 0;
        for (std::int64_t cuts = 0; cuts != most; ++cuts) {
            const std::size_t at = place_of(bytes, separator, start);
            if (at == std::string::npos) break;
            step();
            out.push_back(charged(text.part(start, at)));
            start = at + separator.size();
        }
        out.push_back(charged(text.part(start, bytes.size())));
        return list_of(std::move(out));
    }

    Value replaced(const Text& text, const Text& old, const Text& by)
    {
        if (old.size() == 0) unsupported("replace() of nothing");
        read(text.size());
        Text out;
        std::size_t start = 0;
        while (true) {
            const std::size_t at = place_of(text.bytes(), old.bytes(), start);
            if (at == std::string::npos) break;
            step();
            charge(at - start + by.size());
            out.append(text.part(start, at));
            out.append(by);
            start = at + old.size();
        }
        charge(text.size() - start);
        out.append(text.part(start, text.size()));
        return text_of(std::move(out));
    }

    // ASCII alone: the rules of other letters change lengths.
    Value cased(const Text& text, bool upper)
    {
        Text out;
        charge(text.size());
        for (std::size_t i = 0; i < text.size(); ++i) {
            const char c = text.bytes()[i];
            if ((c & 0x80) != 0) unsupported("upper or lower case of letters outside ASCII");
            const bool changes = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
            const std::string changed(1, static_cast<char>(changes ? c ^ 0x20 : c));
            out.append(text.is_of_template(i) ? Text::of_template(changed) : Text::of_turn(changed));
        }
        return text_of(std::move(out));
    }

    Value join(const Value& list, const Text& separator)
    {
        Text out;
        bool first = true;
        for (const Value& item : items_of(list)) {
            const Text text = written(item);
            charge(text.size() + separator.size());
            if (!std::exchange(first, false)) out.append(separator);
            out.append(text);
        }
        return text_of(std::move(out));
    }

    Value filter(const Value& value, const std::string& name, const Arguments& given)
    {
        const Value* const first = given.values.empty() ? nullptr : &given.values[0];
        if (name == "default" || name == "d") {
            given.limit(2, name);
            const Value* const fallback = given.find(0, "default_value");
            const Value* const falsy = given.find(1, "boolean");
            const bool missing =
                as<Undefined>(value) != nullptr || (falsy != nullptr && is_true(*falsy) && !is_true(value));
            return !missing ? value : fallback != nullptr ? *fallback : text_value("");
        }
        if (name == "join") {
            given.limit(1, name);
            const Value* const separator = given.find(0, "d");
            return join(value, separator != nullptr ? written(*separator) : Text());
        }
        if (name == "selectattr" || name == "rejectattr") return selected(value, given, name == "selectattr");
        if (name == "map") return mapped(value, given);
        if (name == "trim" && given.named.empty()) {
            given.limit(1, name);
            return charged(
                stripped(written(value), Ends::both, first != nullptr ? &need_text(*first, name) : nullptr));
        }
        if (name == "replace" && given.values.size() == 2)
            return replaced(written(value), need_text(*first, name), need_text(given.values[1], name));
        given.limit(0, name);
        if (name == "length" || name == "count") return {length(value)};
        if (name == "upper" || name == "lower") return cased(written(value), name == "upper");
        if (name == "string") return charged(written(value));
        if (name == "safe") return value;
        if (name == "list") return list_of(items_of(value));
        if (name == "items" && mapping_in(value) != nullptr) return entries(*mapping_in(value), name);
        if (name == "first" || name == "last") {
            const List items = items_of(value);
            return items.empty() ? Value{} : name == "first" ? items.front() : items.back();
        }
        if (name == "reverse" && list_in(value) != nullptr) {
            List items = items_of(value);
            std::reverse(items.begin(), items.end());
            return list_of(std::move(items));
        }
        if (name == "int" && integer_in(value)) return {*integer_in(value)};
        unsupported("the filter '" + name + "'");
    }

    std::int64_t length(const Value& value)
    {
        if (as<Undefined>(value) != nullptr) return 0;
        if (const List* const list = list_in(value)) return static_cast<std::int64_t>(list->size());
        if (const Mapping* const mapping = mapping_in(value))
            return static_cast<std::int64_t>(mapping->size());
        return static_cast<std::int64_t>(characters_of(need_text(value, "length")).size()) - 1;
    }

    // map() and its like take what is not true for an empty list.
    List items_or_none(const Value& value) { return is_true(value) ? items_of(value) : List(); }

    Value selected(const Value& list, const Arguments& given, bool keeps)
    {
        if (given.values.empty() || !given.named.empty()) unsupported("selectattr() of this form");
        const std::string& name = need_text(given.values[0], "selectattr()").bytes();
        List out;
        for (const Value& item : items_or_none(list)) {
            step();
            const Value part = attribute(item, name);
            bool is = is_true(part);
            if (given.values.size() > 1) {
                step(given.values.size());
                const Arguments rest{{given.values.begin() + 2, given.values.end()}, {}};
                is = test(part, need_text(given.values[1], "selectattr()").bytes(), rest);
            }
            if (is == keeps) out.push_back(item);
        }
        return list_of(std::move(out));
    }

    Value mapped(const Value& list, const Arguments& given)
    {
        const Value* const name = find(given.named, "attribute");
        List out;
        for (const Value& item : items_or_none(list)) {
            step();
            if (name != nullptr && given.values.empty() && given.named.size() == 1) {
                out.push_back(attribute(item, need_text(*name, "map()").bytes()));
            } else if (given.named.empty() && !given.values.empty()) {
                const Deeper deeper(*this);
                step(given.values.size());
                const Arguments rest{{given.values.begin() + 1, given.values.end()}, {}};
                out.push_back(filter(item, need_text(given.values[0], "map()").bytes(), rest));
            } else {
                unsupported("map() of this form");
            }
        }
        return list_of(std::move(out));
    }

    bool test(const Value& value, const std::string& name, const Arguments& given)
    {
        if (!given.named.empty()) unsupported("named arguments of '" + name + "'");
        if (given.values.size() == 1) {
            const Value& other = given.values[0];
            if (name == "equalto" || name == "eq" || name == "==") return equal(value, other);
            if (name == "ne" || name == "!=") return !equal(value, other);
            if (name == "in") return contains(other, value);
            const auto number = integer_in(value);
            const auto divisor = integer_in(other);
            if (name == "divisibleby" && number && divisor && *divisor > 0) return *number % *divisor == 0;
        } else if (given.values.empty()) {
            const bool flag = as<bool>(value) != nullptr;
            const bool whole = as<std::int64_t>(value) != nullptr;
            const bool is_list = list_in(value) != nullptr;
            const bool is_mapping = mapping_in(value) != nullptr;
            const bool is_text = as<Text>(value) != nullptr;
            if (name == "defined") return as<Undefined>(value) == nullptr;
            if (name == "undefined") return as<Undefined>(value) != nullptr;
            if (name == "none") return as<None>(value) != nullptr;
            if (name == "string") return is_text;
            if (name == "boolean") return flag;
            if (name == "true") return flag && is_true(value);
            if (name == "false") return flag && !is_true(value);
            if (name == "integer") return whole;
            if (name == "float") return as<double>(value) != nullptr;
            if (name == "number") return whole || flag || as<double>(value) != nullptr;
            if (name == "mapping") return is_mapping;
            // What is not defined is iterable and has a length: none.
            if (name == "iterable" || name == "sequence")
                return is_list || is_mapping || is_text || as<Undefined>(value) != nullptr;
            if ((name == "odd" || name == "even") && integer_in(value))
                return (*integer_in(value) % 2 != 0) == (name == "odd");
        }
        unsupported("the test '" + name + "'");
    }

    std::vector<Scope> scopes_;
    Text out_;
    std::size_t steps_ = 0;
    std::size_t bytes_ = 0;
    std::size_t depth_ = 0;
};

}  // namespace

Text Text::part(std::size_t begin, std::size_t end) const
{
    Text out;
    out.bytes_ = bytes_.substr(begin, end - begin);
    out.from_template_ = from_template_.substr(begin, end - begin);
    return out;
}

void Text::append(const Text& other)
{
    bytes_ += other.bytes_;
    from_template_ += other.from_template_;
}

Value text_of(Text text)
{
    return {std::make_shared<const Text>(std::move(text))};
}

Value list_of(List items)
{
    return {std::make_shared<const List>(std::move(items))};
}

Value mapping_of(Mapping entries)
{
    return {std::make_shared<const Mapping>(std::move(entries))};
}

Template::Template(std::string_view source)
    : program_(std::make_unique<const Program>(Program::parse(source)))
{
}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Text Template::render(const Mapping& variables) const
{
    return Run(variables).whole(program_->body);
}

}  // namespace jiphyeon::jinja
