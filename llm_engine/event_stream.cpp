#include "event_stream.hpp"

#include <utility>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

std::vector<std::string> EventStream::push(std::string_view bytes)
{
    std::vector<std::string> out;
    while (!bytes.empty()) {
        if (std::exchange(after_cr_, false) && bytes.front() == '\n') bytes.remove_prefix(1);
        const std::size_t end = bytes.find_first_of("\r\n");
        const std::string_view part = bytes.substr(0, end);
        if (part.size() > kEventMax - line_.size())
            throw EngineError(EngineError::Kind::malformed, "the server sends a line without an end");
        line_ += part;
        if (end == std::string_view::npos) break;
        after_cr_ = bytes[end] == '\r';
        bytes.remove_prefix(end + 1);
        end_line(out);
    }
    return out;
}

void EventStream::end_line(std::vector<std::string>& out)
{
    std::string_view line = line_;
    if (std::exchange(first_line_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
    if (line.empty()) {
        if (has_data_) out.push_back(std::exchange(data_, {}));
        has_data_ = false;
    } else {
        const std::size_t colon = line.find(':');
        if (line.substr(0, colon) == "data") {
            std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
            if (value.starts_with(' ')) value.remove_prefix(1);
            if (value.size() + 1 > kEventMax - data_.size())
                throw EngineError(EngineError::Kind::malformed, "the server sends an event without an end");
            if (std::exchange(has_data_, true)) data_ += '\n';
            data_ += value;
        }
    }
    line_.clear();
}

}  // namespace jiphyeon
