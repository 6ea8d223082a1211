// From GBNF text to the automaton of grammar.hpp, in two passes: a recursive-descent parser makes a tree per
// rule, then each tree is emitted backwards, every part knowing the place that follows it. Characters become
// byte sequences here, so that nothing later has to know UTF-8.
#include <algorithm>
#include <array>
#include <map>

#include "grammar.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "utf8.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint32_t kCodePointMax = 0x10FFFF;
constexpr std::uint32_t kUnbounded = 0xFFFFFFFF;
constexpr std::uint32_t kRepeatMax = 10'000;
constexpr int kNestingMax = 100;

struct Range {
    std::uint32_t first;
    std::uint32_t last;
};

struct Tree {
    enum class Kind { characters, sequence, alternatives, repeat, rule, slot, quote };
    Kind kind = Kind::sequence;
    std::vector<Range> ranges = {};  // characters
    std::vector<Tree> parts = {};    // sequence, alternatives; repeat: one
    std::uint32_t least = 0;         // repeat
    std::uint32_t most = 0;          // repeat; kUnbounded
    std::string name = {};           // rule, slot
    std::size_t at = 0;              // in the text, for messages
};

bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

constexpr Range kSurrogates = {0xD800, 0xDFFF};  // no UTF-8 encodes them

std::vector<Range> without_surrogates(const std::vector<Range>& ranges)
{
    std::vector<Range> cut;
    for (const Range& range : ranges) {
        if (range.first < kSurrogates.first) {
            cut.push_back({range.first, std::min(range.last, kSurrogates.first - 1)});
        }
        if (range.last > kSurrogates.last) {
            cut.push_back({std::max(range.first, kSurrogates.last + 1), range.last});
        }
    }
    return cut;
}

// Sorted and without overlaps.
std::vector<Range> joined(std::vector<Range> ranges)
{
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
    std::vector<Range> out;
    for (const Range& range : ranges) {
        if (!out.empty() && range.first <= out.back().last + 1) {
            out.back().last = std::max(out.back().last, range.last);
        } else {
            out.push_back(range);
        }
    }
    return out;
}

std::vector<Range> all_but(std::vector<Range> ranges)
{
    ranges.push_back(kSurrogates);
    std::vector<Range> rest;
    std::uint32_t next = 0;
    for (const Range& range : joined(std::move(ranges))) {
        if (range.first > next) rest.push_back({next, range.first - 1});
        next = range.last + 1;
    }
    if (next <= kCodePointMax) rest.push_back({next, kCodePointMax});
    return rest;
}

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::map<std::string, Tree> rules()
    {
        std::map<std::string, Tree> rules;
        skip_space(true);
        while (at_ < text_.size()) {
            const std::size_t start = at_;
            std::string name = take_name();
            skip_space(false);
            if (text_.substr(at_, 3) != "::=") fail("'::=' expected");
            at_ += 3;
            skip_space(true);
            Tree body = alternatives(0);
            if (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r')
                fail("end of the rule expected");
            if (!rules.emplace(std::move(name), std::move(body)).second) fail_at(start, "rule defined twice");
            skip_space(true);
        }
        return rules;
    }

    [[noreturn]] void fail_at(std::size_t place, const std::string& what) const
    {
        const std::string_view before = text_.substr(0, place);
        const auto line = 1 + std::count(before.begin(), before.end(), '\n');
        const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
        throw EngineError(EngineError::Kind::bad_request,
                          "grammar line " + std::to_string(line) + ", column " +
                              std::to_string(place - line_start + 1) + ": " + what);
    }

private:
    [[noreturn]] void fail(const std::string& what) const { fail_at(at_, what); }

    void skip_space(bool lines)
    {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '#') {
                while (at_ < text_.size() && text_[at_] != '\n') ++at_;
            } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
                ++at_;
            } else {
                break;
            }
        }
    }

    std::string take_name()
    {
        const std::size_t start = at_;
        while (at_ < text_.size() && is_name_character(text_[at_])) ++at_;
        if (at_ == start) fail("name expected");
        return std::string(text_.substr(start, at_ - start));
    }

    Tree alternatives(int nesting)
    {
        if (nesting > kNestingMax) fail("groups nest too deep");
        Tree tree{.kind = Tree::Kind::alternatives, .at = at_};
        tree.parts.push_back(sequence(nesting));
        while (at_ < text_.size() && text_[at_] == '|') {
            ++at_;
            skip_space(true);
            tree.parts.push_back(sequence(nesting));
        }
        return tree.parts.size() == 1 ? std::move(tree.parts.front()) : tree;
    }

    Tree sequence(int nesting)
    {
        Tree tree{.kind = Tree::Kind::sequence, .at = at_};
        while (at_ < text_.size()) {
            const char c = text_[at_];
            const std::size_t start = at_;
            if (c == '"') {
                literal(tree);
            } else if (c == '[') {
                tree.parts.push_back(
                    {.kind = Tree::Kind::characters, .ranges = character_class(), .at = start});
            } else if (c == '.') {
                ++at_;
                tree.parts.push_back({.kind = Tree::Kind::characters, .ranges = all_but({}), .at = start});
            } else if (c == '(') {
                ++at_;
                skip_space(true);
                Tree group = alternatives(nesting + 1);
                if (at_ >= text_.size() || text_[at_] != ')') fail("')' expected");
                ++at_;
                tree.parts.push_back(std::move(group));
            } else if (c == '<') {
                tree.parts.push_back(slot_or_quote());
            } else if (is_name_character(c)) {
                tree.parts.push_back({.kind = Tree::Kind::rule, .name = take_name(), .at = start});
            } else if (c == '*' || c == '+' || c == '?' || c == '{') {
                if (tree.parts.empty()) fail("nothing to repeat");
                repeat(tree.parts.back());
            } else {
                break;
            }
            skip_space(nesting > 0);
        }
        return tree;
    }

    // A literal is one part of the sequence, so that a repetition after it repeats the whole of it.
    void literal(Tree& sequence)
    {
        Tree tree{.kind = Tree::Kind::sequence, .at = at_};
        ++at_;
        while (at_ < text_.size() && text_[at_] != '"') {
            const std::uint32_t c = character();
            tree.parts.push_back({.kind = Tree::Kind::characters, .ranges = {{c, c}}, .at = at_});
        }
        if (at_ >= text_.size()) fail_at(tree.at, "literal without an end");
        ++at_;
        sequence.parts.push_back(std::move(tree));
    }

    std::vector<Range> character_class()
    {
        const std::size_t start = at_++;
        const bool negated = at_ < text_.size() && text_[at_] == '^';
        if (negated) ++at_;
        std::vector<Range> ranges;
        while (at_ < text_.size() && text_[at_] != ']') {
            const std::uint32_t first = character();
            std::uint32_t last = first;
            if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
                ++at_;
                last = character();
            }
            if (last < first) fail("range runs backwards");
            ranges.push_back({first, last});
        }
        if (at_ >= text_.size()) fail_at(start, "class without an end");
        ++at_;
        std::vector<Range> result = negated ? all_but(std::move(ranges)) : joined(without_surrogates(ranges));
        if (result.empty()) fail_at(start, "class that no character can match");
        return result;
    }

    Tree slot_or_quote()
    {
        const std::size_t start = at_;
        if (text_.substr(at_).starts_with("<quote>")) {
            at_ += 7;
            return {.kind = Tree::Kind::quote, .at = start};
        }
        if (text_.substr(at_, 6) != "<slot:") fail("'<slot:NAME>' or '<quote>' expected");
        at_ += 6;
        Tree tree{.kind = Tree::Kind::slot, .name = take_name(), .at = start};
        if (at_ >= text_.size() || text_[at_] != '>') fail("'>' expected");
        ++at_;
        return tree;
    }

    void repeat(Tree& last)
    {
        Tree tree{.kind = Tree::Kind::repeat, .at = at_};
        const char c = text_[at_++];
        tree.least = c == '+' ? 1 : 0;
        tree.most = c == '?' ? 1 : kUnbounded;
        if (c == '{') {
            skip_space(false);
            tree.least = tree.most = number();
            skip_space(false);
            if (at_ < text_.size() && text_[at_] == ',') {
                ++at_;
                skip_space(false);
                tree.most = at_ < text_.size() && text_[at_] != '}' ? number() : kUnbounded;
                skip_space(false);
            }
            if (at_ >= text_.size() || text_[at_] != '}') fail("'}' expected");
            ++at_;
            if (tree.most < tree.least) fail_at(tree.at, "repetition with its limits reversed");
        }
        tree.parts.push_back(std::move(last));
        last = std::move(tree);
    }

    std::uint32_t number()
    {
        std::uint32_t value = 0;
        const std::size_t start = at_;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
            value = value * 10 + static_cast<std::uint32_t>(text_[at_++] - '0');
            if (value > kRepeatMax) fail_at(start, "repetition of more than " + std::to_string(kRepeatMax));
        }
        if (at_ == start) fail("number expected");
        return value;
    }

    std::uint32_t character()
    {
        const std::size_t start = at_;
        const std::uint32_t value = text_[at_] == '\\' ? escape() : utf8();
        if (value > kCodePointMax || (value >= 0xD800 && value <= 0xDFFF))
            fail_at(start, "no such character");
        return value;
    }

    std::uint32_t escape()
    {
        if (++at_ >= text_.size()) fail("escape without an end");
        switch (const char c = text_[at_++]) {
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'x':
                return hexadecimal(2);
            case 'u':
                return hexadecimal(4);
            case 'U':
                return hexadecimal(8);
            case '\\':
            case '"':
            case '[':
            case ']':
            case '-':
            case '^':
                return static_cast<std::uint32_t>(c);
            default:
                --at_;
                fail("unknown escape");
        }
    }

    std::uint32_t hexadecimal(int digits)
    {
        std::uint32_t value = 0;
        for (; digits > 0; --digits) {
            const char c = at_ < text_.size() ? text_[at_] : '\0';
            const bool lower = c >= 'a' && c <= 'f';
            const bool upper = c >= 'A' && c <= 'F';
            if (!lower && !upper && !(c >= '0' && c <= '9')) fail("hexadecimal digit expected");
            const int digit = lower ? c - 'a' + 10 : upper ? c - 'A' + 10 : c - '0';
            value = value << 4 | static_cast<std::uint32_t>(digit);
            ++at_;
        }
        return value;
    }

    std::uint32_t utf8()
    {
        const Utf8Character c = first_character(text_.substr(at_));
        if (c.length == 0) fail("the grammar is not UTF-8");
        at_ += c.length;
        return c.code;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

class GrammarCompiler {
public:
    GrammarCompiler(std::string_view text, std::shared_ptr<const Quotable> quotable) : parser_(text)
    {
        grammar_->quotable_ = std::move(quotable);
    }

    std::shared_ptr<const Grammar> run()
    {
        rules_ = parser_.rules();
        if (!rules_.contains("root")) parser_.fail_at(0, "there is no rule 'root'");
        for (const auto& [name, tree] : rules_) {
            entries_[name] =
                add({.kind = Kind::either});  // filled when the body is there: rules may be recursive
        }
        const std::uint32_t end = add({.kind = Kind::end_of_rule});
        for (const auto& [name, tree] : rules_) {
            const std::uint32_t body = emit(tree, end);
            Grammar::Node& entry = grammar_->nodes_[entries_[name]];
            entry.next = entry.other = body;
        }
        grammar_->root_ = entries_["root"];
        refuse_left_recursion();
        return std::move(grammar_);
    }

private:
    using Kind = Grammar::Node::Kind;

    std::uint32_t add(const Grammar::Node& node)
    {
        if (grammar_->nodes_.size() >= Grammar::kNodesMax) parser_.fail_at(0, "the grammar is too large");
        grammar_->nodes_.push_back(node);
        return static_cast<std::uint32_t>(grammar_->nodes_.size() - 1);
    }

    std::uint32_t emit(const Tree& tree, std::uint32_t next)
    {
        switch (tree.kind) {
            case Tree::Kind::characters:
                return emit_characters(without_opening_mark(tree), next);
            case Tree::Kind::quote:
                return emit_quote(tree, next);
            case Tree::Kind::sequence:
                for (auto part = tree.parts.rbegin(); part != tree.parts.rend(); ++part)
                    next = emit(*part, next);
                return next;
            case Tree::Kind::alternatives: {
                std::uint32_t entry = emit(tree.parts.back(), next);
                for (std::size_t i = tree.parts.size() - 1; i-- > 0;) {
                    entry = add({Kind::either, emit(tree.parts[i], next), entry});
                }
                return entry;
            }
            case Tree::Kind::repeat:
                return emit_repeat(tree, next);
            case Tree::Kind::rule: {
                const auto entry = entries_.find(tree.name);
                if (entry == entries_.end()) parser_.fail_at(tree.at, "there is no rule '" + tree.name + "'");
                return add({Kind::call, next, entry->second});
            }
            case Tree::Kind::slot: {
                auto& names = grammar_->slot_names_;
                const auto known = std::find(names.begin(), names.end(), tree.name);
                const auto index = static_cast<std::uint32_t>(known - names.begin());
                if (known == names.end()) names.push_back(tree.name);
                return add({Kind::slot, next, index});
            }
        }
        return next;
    }

    std::vector<Range> without_opening_mark(const Tree& tree) const
    {
        if (grammar_->quotable_ == nullptr) return tree.ranges;
        const std::uint32_t mark = grammar_->quotable_->open();
        std::vector<Range> cut;
        for (const Range& range : tree.ranges) {
            if (range.first < mark) cut.push_back({range.first, std::min(range.last, mark - 1)});
            if (range.last > mark) cut.push_back({std::max(range.first, mark + 1), range.last});
        }
        if (cut.empty()) parser_.fail_at(tree.at, "the opening quotation mark stands only in <quote>");
        return cut;
    }

    std::uint32_t emit_quote(const Tree& tree, std::uint32_t next)
    {
        const Quotable* const quotable = grammar_->quotable();
        if (quotable == nullptr) parser_.fail_at(tree.at, "<quote> without passages to quote from");
        const std::uint32_t close = emit_characters({{quotable->close(), quotable->close()}}, next);
        const std::uint32_t span = add({Kind::span, close});
        return emit_characters({{quotable->open(), quotable->open()}}, span);
    }

    std::uint32_t emit_repeat(const Tree& tree, std::uint32_t next)
    {
        const Tree& body = tree.parts.front();
        std::uint32_t entry = next;
        if (tree.most == kUnbounded) {
            const std::uint32_t loop = add({Kind::either, 0, next});
            const std::uint32_t again = emit(body, loop);
            grammar_->nodes_[loop].next = again;
            entry = loop;
        } else {
            for (std::uint32_t i = tree.least; i < tree.most; ++i) {
                const std::uint32_t once = emit(body, entry);
                entry = add({Kind::either, once, next});
            }
        }
        for (std::uint32_t i = 0; i < tree.least; ++i) {
            const std::uint32_t before = entry;
            entry = emit(body, before);
            if (entry == before) break;  // an empty body: nested, its repetitions would take for ever
        }
        return entry;
    }

    // One node with an edge per lead byte range; longer characters go on through nodes of continuation bytes.
    std::uint32_t emit_characters(const std::vector<Range>& ranges, std::uint32_t next)
    {
        std::vector<Sequence> sequences;
        for (const Range& range : ranges) split(range.first, range.last, sequences);
        return emit_sequences(sequences, 0, next);
    }

    struct Sequence {
        std::size_t length = 0;
        std::array<std::uint8_t, 4> first{};
        std::array<std::uint8_t, 4> last{};
    };

    // Cuts a range of characters into ranges whose UTF-8 forms are products of byte ranges.
    static void split(std::uint32_t first, std::uint32_t last, std::vector<Sequence>& out)
    {
        static constexpr std::array<std::uint32_t, 3> kLastOfLength = {0x7F, 0x7FF, 0xFFFF};
        for (const std::uint32_t border : kLastOfLength) {
            if (first <= border && last > border) {
                split(first, border, out);
                split(border + 1, last, out);
                return;
            }
        }
        for (unsigned bits = 6; bits <= 18 && last > 0x7F; bits += 6) {
            const std::uint32_t low = (1u << bits) - 1;
            if ((first & ~low) == (last & ~low)) continue;
            if ((first & low) != 0) {
                split(first, first | low, out);
                split((first | low) + 1, last, out);
                return;
            }
            if ((last & low) != low) {
                split(first, (last & ~low) - 1, out);
                split(last & ~low, last, out);
                return;
            }
        }
        Sequence sequence;
        sequence.length = encode(first, sequence.first);
        encode(last, sequence.last);
        out.push_back(sequence);
    }

    static std::size_t encode(std::uint32_t c, std::array<std::uint8_t, 4>& out)
    {
        if (c <= 0x7F) {
            out[0] = static_cast<std::uint8_t>(c);
            return 1;
        }
        const std::size_t length = c <= 0x7FF ? 2 : c <= 0xFFFF ? 3 : 4;
        for (std::size_t i = length; i-- > 1; c >>= 6) out[i] = static_cast<std::uint8_t>(0x80 | (c & 0x3F));
        out[0] = static_cast<std::uint8_t>((0xF00u >> length) | c);
        return length;
    }

    // Precondition: sequences are in order, and those from `depth` on share their bytes before it.
    std::uint32_t emit_sequences(const std::vector<Sequence>& sequences, std::size_t depth,
                                 std::uint32_t next)
    {
        std::vector<Grammar::Edge> edges;
        for (std::size_t i = 0; i < sequences.size();) {
            std::size_t end = i + 1;
            while (end < sequences.size() && sequences[end].first[depth] == sequences[i].first[depth] &&
                   sequences[end].last[depth] == sequences[i].last[depth]) {
                ++end;
            }
            const std::vector<Sequence> group(sequences.begin() + static_cast<std::ptrdiff_t>(i),
                                              sequences.begin() + static_cast<std::ptrdiff_t>(end));
            const bool last_byte = group.front().length == depth + 1;
            edges.push_back({sequences[i].first[depth], sequences[i].last[depth],
                             last_byte ? next : emit_sequences(group, depth + 1, next)});
            i = end;
        }
        const auto first_edge = static_cast<std::uint32_t>(grammar_->edges_.size());
        grammar_->edges_.insert(grammar_->edges_.end(), edges.begin(), edges.end());
        return add({Kind::bytes, first_edge, static_cast<std::uint32_t>(edges.size())});
    }

    // A rule that can come back to itself before a byte is matched would be entered for ever.
    void refuse_left_recursion()
    {
        find_nullable();
        std::map<std::uint32_t, int> color;  // of a rule's entry: 1 on the path, 2 done
        for (const auto& [name, entry] : entries_) walk_rule(name, entry, color, 0);
    }

    void find_nullable()
    {
        const auto& nodes = grammar_->nodes_;
        nullable_.assign(nodes.size(), false);
        for (bool changed = true; changed;) {
            changed = false;
            for (std::size_t i = 0; i < nodes.size(); ++i) {
                if (nullable_[i]) continue;
                const Grammar::Node& node = nodes[i];
                const bool is =
                    node.kind == Kind::end_of_rule ||
                    (node.kind == Kind::either && (nullable_[node.next] || nullable_[node.other])) ||
                    (node.kind == Kind::slot && nullable_[node.next]) ||
                    (node.kind == Kind::call && nullable_[node.next] && nullable_[node.other]);
                if (is) nullable_[i] = changed = true;
            }
        }
    }

    void walk_rule(const std::string& name, std::uint32_t entry, std::map<std::uint32_t, int>& color,
                   int depth)
    {
        int& mine = color[entry];
        if (mine == 2) return;
        if (mine == 1) parser_.fail_at(rules_[name].at, "rule '" + name + "' is left-recursive");
        if (depth > kNestingMax) parser_.fail_at(rules_[name].at, "rules nest too deep");
        mine = 1;
        std::vector<std::uint32_t> open = {entry};
        std::vector<bool> seen(grammar_->nodes_.size(), false);
        while (!open.empty()) {
            const std::uint32_t at = open.back();
            open.pop_back();
            if (seen[at]) continue;
            seen[at] = true;
            const Grammar::Node& node = grammar_->nodes_[at];
            if (node.kind == Kind::either) open.insert(open.end(), {node.next, node.other});
            if (node.kind == Kind::slot) open.push_back(node.next);
            if (node.kind != Kind::call) continue;
            walk_rule(name_of(node.other), node.other, color, depth + 1);
            if (nullable_[node.other]) open.push_back(node.next);
        }
        color[entry] = 2;
    }

    const std::string& name_of(std::uint32_t entry) const
    {
        return std::find_if(entries_.begin(), entries_.end(),
                            [&](const auto& each) { return each.second == entry; })
            ->first;
    }

    Parser parser_;
    std::map<std::string, Tree> rules_;
    std::map<std::string, std::uint32_t> entries_;
    std::shared_ptr<Grammar> grammar_{new Grammar};
    std::vector<bool> nullable_;
};

std::shared_ptr<const Grammar> Grammar::parse(std::string_view text, std::shared_ptr<const Quotable> quotable)
{
    if (text.size() > kTextMax) {
        throw EngineError(EngineError::Kind::bad_request,
                          "grammar of more than " + std::to_string(kTextMax) + " bytes");
    }
    return GrammarCompiler(text, std::move(quotable)).run();
}

}  // namespace jiphyeon
