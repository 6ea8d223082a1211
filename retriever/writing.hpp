// One attempt of the model at an answer: fills the citation slots of the grammar, lets out the sentences that
// hold and drops the others.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "attribution.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "jiphyeon/retriever.hpp"
#include "query.hpp"

namespace jiphyeon {

class Writing {
public:
    // answer: gets the sentences and the marks of its evidence. passage: index of the evidence that the model
    // is shown. elapsed_ms: since the question came. All must outlive this.
    Writing(Answer& answer, const Attribution& attribution, std::size_t passage, const Wanted& wanted,
            const AskEvents& events, std::function<double()> elapsed_ms);

    // What the slot behind the words `since` is filled with: the number of the evidence that supports them,
    // or the end of the answer.
    GenerateEvents::SlotFill at_slot(std::string_view since);
    // A passage in its own words: it holds, but whether it is the answer the reader must see.
    void quote(const Attribution::Window& window);

    // not_enough while nothing was let out.
    Outcome outcome() const;

private:
    bool said_before(const std::string& text) const;
    void cite(Sentence& sentence, const Attribution::Window& window);
    bool release(Sentence sentence);

    Answer& answer_;
    const Attribution& attribution_;
    std::size_t passage_;
    const Wanted& wanted_;
    const AskEvents& events_;
    std::function<double()> elapsed_ms_;
    std::size_t dropped_ = 0;
    bool quoted_ = false, conflicting_ = false, cancelled_ = false;
};

}  // namespace jiphyeon
