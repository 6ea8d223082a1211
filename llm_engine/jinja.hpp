// Runs the chat templates of model files: the part of Jinja that they use, as jinja2 runs it with trim_blocks
// and lstrip_blocks. Statements if, for, set, macro, break, continue; expressions with filters, tests,
// slices, methods of texts and mappings, namespace(), range() and raise_exception(). What a template uses
// beyond that is refused when it is reached, never guessed.
//
// Every byte of a text knows whether it is the template's or comes from a turn, through joining, cutting and
// trimming, so that the caller can look for control tokens in the template's words alone.
//
// Templates are foreign programs: nesting, steps, the bytes they make and (as steps) those they read are
// bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace jiphyeon::jinja {

class Text {
public:
    Text() = default;
    static Text of_template(std::string_view bytes) { return Text(bytes, true); }
    static Text of_turn(std::string_view bytes) { return Text(bytes, false); }

    const std::string& bytes() const { return bytes_; }
    bool is_of_template(std::size_t at) const { return from_template_[at] != 0; }
    bool is_of_template() const { return from_template_.find('\0') == std::string::npos; }  // all of it
    std::size_t size() const { return bytes_.size(); }
    Text part(std::size_t begin, std::size_t end) const;
    void append(const Text& other);

private:
    Text(std::string_view bytes, bool of_template)
        : bytes_(bytes), from_template_(bytes.size(), of_template ? '\1' : '\0')
    {
    }
    std::string bytes_;
    std::string from_template_;  // per byte: 1 or 0
};

struct Value;
using List = std::vector<Value>;
// In order of insertion, no key twice. Keys count as the template's words; one out of a turn is refused.
using Mapping = std::vector<std::pair<std::string, Value>>;
struct Undefined {};
struct None {};
struct Namespace;
struct Macro;

struct Value {
    std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const Text>,
                 std::shared_ptr<const List>, std::shared_ptr<const Mapping>, std::shared_ptr<Namespace>,
                 std::shared_ptr<const Macro>>
        held = Undefined{};
};

Value text_of(Text text);
Value list_of(List items);
Value mapping_of(Mapping entries);

class Program;  // a parsed template

class Template {
public:
    // Throws EngineError: unsupported (not of the part of Jinja above), too_large (nesting, length).
    explicit Template(std::string_view source);
    Template(Template&&) noexcept;
    Template& operator=(Template&&) noexcept;
    ~Template();

    // Throws EngineError: bad_request (the template itself refuses, by raise_exception), unsupported,
    // too_large (steps, bytes).
    Text render(const Mapping& variables) const;

private:
    std::unique_ptr<const Program> program_;
};

}  // namespace jiphyeon::jinja
