#include "writing.hpp"

#include <algorithm>

namespace jiphyeon {
namespace {

// What the source of a sentence must hold of the question's words, as a share of what the best passage does.
// Not of the words themselves: a question in other words than the documents' finds few of them anywhere.
constexpr float kOffTheQuestion = 0.5f;

std::string one_line(std::string_view text)
{
    std::string out(text);
    std::replace(out.begin(), out.end(), '\n', ' ');
    return out;
}

std::string trimmed(std::string_view text)
{
    const std::size_t start = text.find_first_not_of(" \n\t");
    if (start == std::string_view::npos) return {};
    return std::string(text.substr(start, text.find_last_not_of(" \n\t") - start + 1));
}

}  // namespace

Writing::Writing(Answer& answer, const Attribution& attribution, std::size_t passage, const Wanted& wanted,
                 const AskEvents& events, std::function<double()> elapsed_ms)
    : answer_(answer),
      attribution_(attribution),
      passage_(passage),
      wanted_(wanted),
      events_(events),
      elapsed_ms_(std::move(elapsed_ms))
{
}

GenerateEvents::SlotFill Writing::at_slot(std::string_view since)
{
    const std::string text = trimmed(since);
    if (text.empty() || said_before(text)) return {"", true};
    const std::optional<Attribution::Source> source = attribution_.source_of(text, passage_);
    const bool answers = !answer_.sentences.empty() || tells(text, wanted_);
    if (!answers || !source || source->check.support == Support::unsupported ||
        attribution_.cover_of(source->window) < kOffTheQuestion * attribution_.cover()) {
        // What follows would go on from words that do not hold.
        ++dropped_;
        return {"", true};
    }
    Sentence sentence;
    sentence.text = text;
    sentence.support = source->check.support;
    sentence.doubt = source->check.doubt;
    cite(sentence, source->window);
    const std::string fill = " [" + std::to_string(sentence.citations.front()) + "]";
    if (!release(std::move(sentence))) return {fill, true};
    if (source->check.support == Support::supported && !conflicting_) {
        if (const auto other = attribution_.contradiction(text, source->window)) {
            conflicting_ = true;
            quote(*other);
            return {fill, true};
        }
    }
    return {fill, cancelled_};
}

void Writing::quote(const Attribution::Window& window)
{
    Sentence sentence;
    sentence.text = one_line(attribution_.text_of(window));
    cite(sentence, window);
    quoted_ = true;
    release(std::move(sentence));
}

Outcome Writing::outcome() const
{
    if (cancelled_) return Outcome::cancelled;
    if (answer_.sentences.empty()) return Outcome::not_enough;
    if (conflicting_) return Outcome::conflicting;
    const bool partly = quoted_ || dropped_ > 0 ||
                        std::any_of(answer_.sentences.begin(), answer_.sentences.end(),
                                    [](const Sentence& s) { return s.support != Support::supported; });
    return partly ? Outcome::partly_supported : Outcome::answered;
}

bool Writing::said_before(const std::string& text) const
{
    return std::any_of(answer_.sentences.begin(), answer_.sentences.end(),
                       [&](const Sentence& s) { return s.text == text; });
}

void Writing::cite(Sentence& sentence, const Attribution::Window& window)
{
    Evidence& e = answer_.evidence[window.evidence];
    e.cited = true;
    sentence.citations = {e.n};
    sentence.spans = {{e.n, window.start, window.end}};
}

bool Writing::release(Sentence sentence)
{
    if (answer_.sentences.empty()) answer_.timings.first_sentence_ms = elapsed_ms_();
    answer_.sentences.push_back(std::move(sentence));
    if (events_.on_sentence && !events_.on_sentence(answer_.sentences.back())) cancelled_ = true;
    return !cancelled_;
}

}  // namespace jiphyeon
