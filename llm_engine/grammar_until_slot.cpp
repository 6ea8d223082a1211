// Writes what may come up to the next slot as a grammar of its own.
//
// Of each place of the automaton two languages are wanted: what leads from it to the end of its rule without
// a slot ("whole"), and what leads from it to the first slot, wherever that lies ("cut"). After a call comes
// either a cut of the called rule, with which all ends, or the whole of it and then a cut of what follows.
// The places on the stack are joined in the same way. Places that no finite text leads away from are left
// out, as some servers refuse rules without a text.
#include <array>
#include <cassert>
#include <cstdio>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "grammar.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {
namespace {

using Kind = Grammar::Node::Kind;

class UntilSlot {
public:
    explicit UntilSlot(const Grammar& grammar) : nodes_(grammar.nodes()), edges_(grammar.edges())
    {
        for (std::vector<bool>& part : finite_) part.assign(nodes_.size(), false);
        // Places mostly lead to such as were made before them, so that few rounds are enough.
        for (bool changed = true; changed;) {
            changed = false;
            for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
                for (const Part part : {whole, cut}) {
                    if (finite_[part][i] || !leads_on(part, i)) continue;
                    finite_[part][i] = changed = true;
                }
            }
        }
    }

    // A parse: a place and those to return to, innermost first.
    void add_parse(const std::vector<std::uint32_t>& places)
    {
        std::string before;  // the whole of the places so far
        for (const std::uint32_t place : places) {
            if (finite_[cut][place]) root_.push_back(before + reference(cut, place));
            if (!finite_[whole][place]) return;
            before += reference(whole, place);
        }
        root_.push_back(before);
    }

    std::string text()
    {
        if (root_.empty())
            throw EngineError(EngineError::Kind::bad_request, "no finite text fits the grammar from here");
        std::string out = rule("root", root_);
        while (!open_.empty()) {
            const auto [part, place] = open_.back();
            open_.pop_back();
            out += rule(name(part, place), alternatives(part, place));
            if (out.size() > Grammar::kTextMax)
                throw EngineError(EngineError::Kind::bad_request, "the grammar is too large for a server");
        }
        return out;
    }

private:
    enum Part { whole, cut };

    bool leads_on(Part part, std::uint32_t place) const
    {
        const Grammar::Node& node = nodes_[place];
        switch (node.kind) {
            case Kind::end_of_rule:
                return part == whole;
            case Kind::slot:
                return part == cut;
            case Kind::either:
                return finite_[part][node.next] || finite_[part][node.other];
            case Kind::call:
                return (part == cut && finite_[cut][node.other]) ||
                       (finite_[whole][node.other] && finite_[part][node.next]);
            case Kind::bytes:
                for (std::uint32_t i = 0; i < node.other; ++i)
                    if (finite_[part][edges_[node.next + i].next]) return true;
                return false;
            case Kind::span:
                assert(false);  // until_slot() refuses
        }
        return false;
    }

    static std::string name(Part part, std::uint32_t place)
    {
        return (part == whole ? "w" : "c") + std::to_string(place);
    }

    // With a space before it; empty for a place that is already the end of its part.
    std::string reference(Part part, std::uint32_t place)
    {
        if (nodes_[place].kind == (part == whole ? Kind::end_of_rule : Kind::slot)) return {};
        if (named_.emplace(part, place).second) open_.emplace_back(part, place);
        return " " + name(part, place);
    }

    static std::string rule(const std::string& name, const std::vector<std::string>& alternatives)
    {
        std::string out = name + " ::=";
        for (std::size_t i = 0; i < alternatives.size(); ++i)
            out += (i == 0 ? "" : " |") + (alternatives[i].empty() ? " \"\"" : alternatives[i]);
        return out + "\n";
    }

    std::vector<std::string> alternatives(Part part, std::uint32_t place)
    {
        const Grammar::Node& node = nodes_[place];
        std::vector<std::string> out;
        if (node.kind == Kind::either) {
            if (finite_[part][node.next]) out.push_back(reference(part, node.next));
            if (finite_[part][node.other] && node.other != node.next)
                out.push_back(reference(part, node.other));
        } else if (node.kind == Kind::call) {
            if (part == cut && finite_[cut][node.other]) out.push_back(reference(cut, node.other));
            if (finite_[whole][node.other] && finite_[part][node.next]) {
                std::string called = reference(whole, node.other);
                out.push_back(called + reference(part, node.next));
            }
        } else {
            std::map<std::uint32_t, std::string> classes;  // of characters, by the place they lead to
            collect(place, {}, classes);
            for (const auto& [next, ranges] : classes)
                if (finite_[part][next]) out.push_back(" [" + ranges + "]" + reference(part, next));
        }
        return out;
    }

    struct Character {
        std::uint32_t first = 0, last = 0;  // so far
        unsigned missing = 0;               // bytes
    };
    void collect(std::uint32_t place, Character so_far, std::map<std::uint32_t, std::string>& classes) const
    {
        const Grammar::Node& node = nodes_[place];
        for (std::uint32_t i = 0; i < node.other; ++i) {
            const Grammar::Edge& edge = edges_[node.next + i];
            Character now;
            if (so_far.missing > 0) {
                // Only full ranges follow a range (the compiler's split), so what comes out is one range too.
                assert(so_far.first == so_far.last || (edge.first == 0x80 && edge.last == 0xBF));
                now = {so_far.first << 6 | (edge.first & 0x3Fu), so_far.last << 6 | (edge.last & 0x3Fu),
                       so_far.missing - 1};
            } else if (edge.first < 0x80) {
                now = {edge.first, edge.last, 0};
            } else {
                now.missing = edge.first < 0xE0 ? 1 : edge.first < 0xF0 ? 2 : 3;
                const std::uint32_t bits = 0x3Fu >> now.missing;
                now.first = edge.first & bits;
                now.last = edge.last & bits;
            }
            if (now.missing > 0) {
                collect(edge.next, now, classes);
            } else {
                std::string& ranges = classes[edge.next];
                ranges += escaped(now.first);
                if (now.last != now.first) ranges += "-" + escaped(now.last);
            }
        }
    }

    static std::string escaped(std::uint32_t character)
    {
        std::array<char, 11> out{};
        std::snprintf(out.data(), out.size(), character > 0xFFFF ? "\\U%08X" : "\\u%04X", character);
        return out.data();
    }

    const std::vector<Grammar::Node>& nodes_;
    const std::vector<Grammar::Edge>& edges_;
    std::array<std::vector<bool>, 2> finite_;  // by part and place: some finite text leads to its end
    std::vector<std::string> root_;
    std::set<std::pair<Part, std::uint32_t>> named_;
    std::vector<std::pair<Part, std::uint32_t>> open_;  // named, but not yet written
};

}  // namespace

std::string GrammarState::until_slot() const
{
    assert(continuation_ == 0);
    if (grammar_->quotable() != nullptr)
        throw EngineError(EngineError::Kind::unsupported,
                          "a grammar with quotations says no server what may come");
    UntilSlot out(*grammar_);
    for (const Parse& parse : parses_) {
        std::vector<std::uint32_t> places = {parse.node};
        for (std::uint32_t at = parse.stack; at != 0; at = frames_[at].under)
            places.push_back(frames_[at].node);
        out.add_parse(places);
    }
    if (ended_) out.add_parse({});
    return out.text();
}

}  // namespace jiphyeon
