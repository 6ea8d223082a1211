// Ways to listen to a generation with one callback.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::test {

inline GenerateEvents hearing(std::function<bool(std::string_view text)> on_text)
{
    GenerateEvents events;
    events.on_text = std::move(on_text);
    return events;
}
inline GenerateEvents filling(decltype(GenerateEvents::on_slot) on_slot)
{
    GenerateEvents events;
    events.on_slot = std::move(on_slot);
    return events;
}

}  // namespace jiphyeon::test
