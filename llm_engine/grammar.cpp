// Runs the automaton of a grammar: a set of parses, each a place and a stack of places to return to, is moved
// on byte by byte. Stacks share their lower parts in a tree of frames, so moving a parse on is cheap, and
// equal parses are found equal. Looking ahead adds frames at the end of that tree and cuts them off again.
#include "grammar.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {
namespace {

using Kind = Grammar::Node::Kind;

constexpr std::size_t kForcedMax = 4096;
constexpr std::size_t kFramesKept = 4096;  // above this many, frames that no parse needs are dropped
constexpr std::uint32_t kTooDeep = 0xFFFFFFFF;

// Pairs seen in one closure. Nearly always a handful.
class Seen {
public:
    bool add(std::uint32_t node, std::uint32_t stack)
    {
        const std::uint64_t key = static_cast<std::uint64_t>(stack) << 32 | node;
        if (few_.size() < 24) {
            if (std::find(few_.begin(), few_.end(), key) != few_.end()) return false;
            few_.push_back(key);
            return true;
        }
        if (many_.empty()) many_.insert(few_.begin(), few_.end());
        return many_.insert(key).second;
    }
    std::size_t size() const { return std::max(few_.size(), many_.size()); }

private:
    std::vector<std::uint64_t> few_;
    std::unordered_set<std::uint64_t> many_;
};

unsigned continuation_after(unsigned before, std::uint8_t byte)
{
    if (byte >= 0xC0) return byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
    return byte >= 0x80 && before > 0 ? before - 1 : 0;
}

}  // namespace

struct GrammarState::Step {
    std::vector<Parse> parses;
    Quotable::Span span;  // of the parses in a quotation
    bool left = false;    // by some of them, for the closing mark
    bool stayed = false;  // others are still in it
    bool ended = false;
    Seen seen;
    bool alive() const { return ended || !parses.empty(); }
};

GrammarState::GrammarState(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)), frames_(1)
{
    Step start;
    close_over(grammar_->root(), 0, start);
    become(std::move(start));
}

std::uint32_t GrammarState::push(std::uint32_t node, std::uint32_t under) const
{
    for (std::uint32_t child = frames_[under].first_child; child != 0; child = frames_[child].next_sibling) {
        if (frames_[child].node == node) return child;
    }
    const std::uint32_t depth = frames_[under].depth + 1;
    if (depth > Grammar::kDepthMax) return kTooDeep;
    const auto index = static_cast<std::uint32_t>(frames_.size());
    frames_.push_back({node, under, 0, frames_[under].first_child, depth});
    frames_[under].first_child = index;
    return index;
}

// The newest frame is always the first child of the one under it, so cutting back to front leaves a sound
// tree.
void GrammarState::truncate(std::size_t frames) const
{
    for (; frames_.size() > frames; frames_.pop_back()) {
        frames_[frames_.back().under].first_child = frames_.back().next_sibling;
    }
}

// Adds every place that can be reached from this one without a byte.
void GrammarState::close_over(std::uint32_t node, std::uint32_t stack, Step& step) const
{
    const std::vector<Grammar::Node>& nodes = grammar_->nodes();
    std::vector<Parse> open = {{node, stack}};
    while (!open.empty()) {
        const Parse at = open.back();
        open.pop_back();
        if (!step.seen.add(at.node, at.stack)) continue;
        if (step.parses.size() > Grammar::kParsesMax || step.seen.size() > 16 * Grammar::kParsesMax) {
            throw EngineError(EngineError::Kind::bad_request, "the grammar is too ambiguous: more than " +
                                                                  std::to_string(Grammar::kParsesMax) +
                                                                  " parses of one text");
        }
        const Grammar::Node& here = nodes[at.node];
        switch (here.kind) {
            case Kind::bytes:
            case Kind::slot:
            case Kind::span:
                step.parses.push_back(at);
                break;
            case Kind::either:
                open.push_back({here.other, at.stack});
                open.push_back({here.next, at.stack});
                break;
            case Kind::call: {
                // Nothing is left to do after the last call of a rule, so it needs no frame.
                const bool last = nodes[here.next].kind == Kind::end_of_rule;
                const std::uint32_t inner = last ? at.stack : push(here.next, at.stack);
                if (inner != kTooDeep) open.push_back({here.other, inner});
                break;
            }
            case Kind::end_of_rule:
                if (at.stack == 0) {
                    step.ended = true;
                } else {
                    open.push_back({frames_[at.stack].node, frames_[at.stack].under});
                }
                break;
        }
    }
}

// As every parse has come to a quotation with the same opening mark, one span serves all that stand in one.
GrammarState::Step GrammarState::step_byte(const std::vector<Parse>& parses, const Quotable::Span& span,
                                           std::uint8_t byte) const
{
    Step step;
    const auto follow = [&](const Grammar::Node& node, std::uint32_t stack, const auto& condition) {
        for (std::uint32_t i = 0; i < node.other; ++i) {
            const Grammar::Edge& edge = grammar_->edges()[node.next + i];
            if (byte < edge.first || byte > edge.last || !condition()) continue;
            close_over(edge.next, stack, step);
        }
    };
    for (const Parse& parse : parses) {
        const Grammar::Node& node = grammar_->nodes()[parse.node];
        if (node.kind == Kind::bytes) follow(node, parse.stack, [] { return true; });
        if (node.kind != Kind::span) continue;
        const Quotable& quotable = *grammar_->quotable();
        if (const auto longer = quotable.step(span, byte)) {
            step.span = *longer;
            step.stayed = true;
            close_over(parse.node, parse.stack, step);
        }
        follow(grammar_->nodes()[node.next], parse.stack, [&] {
            const bool whole = quotable.may_end(span);  // dear, and seldom asked: few bytes can close
            step.left = step.left || whole;
            return whole;
        });
    }
    return step;
}

bool GrammarState::accepts(std::string_view piece) const
{
    if (piece.empty()) return true;
    if (!first_bytes_[static_cast<std::uint8_t>(piece.front())]) return false;
    const std::size_t frames = frames_.size();
    Step step = step_byte(parses_, span_, static_cast<std::uint8_t>(piece.front()));
    for (std::size_t i = 1; i < piece.size() && step.alive(); ++i) {
        step = step_byte(step.parses, step.span, static_cast<std::uint8_t>(piece[i]));
    }
    truncate(frames);
    return step.alive();
}

bool GrammarState::advance(std::string_view piece)
{
    if (piece.empty()) return true;
    if (!first_bytes_[static_cast<std::uint8_t>(piece.front())]) return false;
    const std::size_t frames = frames_.size();
    Step step;
    step.parses = parses_;
    step.span = span_;
    unsigned continuation = continuation_;
    std::optional<Quoted> left = left_;
    std::vector<Quoted> quoted;
    for (std::size_t i = 0; i < piece.size(); ++i) {
        const auto byte = static_cast<std::uint8_t>(piece[i]);
        const Quotable::Span before = step.span;
        step = step_byte(step.parses, before, byte);
        if (!step.alive()) {
            truncate(frames);
            return false;
        }
        continuation = continuation_after(continuation, byte);
        if (step.left) left = {taken_ + i, before};
        // No span holds the closing mark, so with the whole character it is certain what it was.
        if (left && continuation == 0) {
            if (!step.stayed) quoted.push_back(*left);
            left.reset();
        }
    }
    continuation_ = continuation;
    left_ = left;
    quoted_.insert(quoted_.end(), quoted.begin(), quoted.end());
    taken_ += piece.size();
    become(std::move(step));
    return true;
}

void GrammarState::become(Step step)
{
    parses_ = std::move(step.parses);
    span_ = step.span;
    ended_ = step.ended;
    if (frames_.size() > kFramesKept) drop_unused_frames();
    first_bytes_.reset();
    for (const Parse& parse : parses_) add_next_bytes(parse, span_, first_bytes_);
}

void GrammarState::add_next_bytes(const Parse& parse, const Quotable::Span& span,
                                  std::bitset<256>& bytes) const
{
    const auto add = [&](const Grammar::Node& node) {
        for (std::uint32_t i = 0; i < node.other; ++i) {
            const Grammar::Edge& edge = grammar_->edges()[node.next + i];
            for (unsigned byte = edge.first; byte <= edge.last; ++byte) bytes.set(byte);
        }
    };
    const Grammar::Node& node = grammar_->nodes()[parse.node];
    if (node.kind == Kind::bytes) add(node);
    if (node.kind != Kind::span) return;
    grammar_->quotable()->add_next_bytes(span, bytes);
    if (grammar_->quotable()->may_end(span)) add(grammar_->nodes()[node.next]);
}

void GrammarState::drop_unused_frames()
{
    const std::vector<Frame> old = std::exchange(frames_, std::vector<Frame>(1));
    for (Parse& parse : parses_) {
        std::vector<std::uint32_t> path;
        for (std::uint32_t at = parse.stack; at != 0; at = old[at].under) path.push_back(old[at].node);
        parse.stack = 0;
        for (auto node = path.rbegin(); node != path.rend(); ++node) parse.stack = push(*node, parse.stack);
    }
}

std::optional<std::string> GrammarState::slot_of(bool all) const
{
    if (all && ended_) return std::nullopt;
    const auto is_slot = [&](const Parse& parse) { return grammar_->nodes()[parse.node].kind == Kind::slot; };
    const auto first = std::find_if(parses_.begin(), parses_.end(), is_slot);
    if (first == parses_.end()) return std::nullopt;
    if (all && !std::all_of(parses_.begin(), parses_.end(), is_slot)) return std::nullopt;
    return grammar_->slot_name(grammar_->nodes()[first->node].other);
}

std::optional<std::string> GrammarState::at_slot() const
{
    return slot_of(true);
}

std::optional<std::string> GrammarState::may_slot() const
{
    return slot_of(false);
}

void GrammarState::pass_slot(std::string_view name)
{
    Step step;
    for (const Parse& parse : parses_) {
        const Grammar::Node& node = grammar_->nodes()[parse.node];
        if (node.kind == Kind::slot && grammar_->slot_name(node.other) == name) {
            close_over(node.next, parse.stack, step);
        }
    }
    become(std::move(step));
}

std::string GrammarState::forced() const
{
    std::string text;
    if (continuation_ != 0 || ended_) return text;
    const std::size_t frames = frames_.size();
    std::size_t whole = 0;  // bytes up to the last end of a character
    unsigned continuation = 0;
    std::vector<Parse> parses = parses_;
    Quotable::Span span = span_;
    while (text.size() < kForcedMax) {
        std::bitset<256> next;
        bool certain = true;
        for (const Parse& parse : parses) {
            certain = certain && grammar_->nodes()[parse.node].kind != Kind::slot;
            add_next_bytes(parse, span, next);
        }
        if (!certain || next.count() != 1) break;
        std::uint8_t only = 0;
        while (!next[only]) ++only;
        Step step = step_byte(parses, span, only);
        if (!step.alive()) break;  // its calls nest too deep
        text.push_back(static_cast<char>(only));
        continuation = continuation_after(continuation, only);
        if (continuation == 0) whole = text.size();
        if (step.ended) break;
        parses = std::move(step.parses);
        span = step.span;
    }
    truncate(frames);
    text.resize(whole);
    return text;
}

}  // namespace jiphyeon
