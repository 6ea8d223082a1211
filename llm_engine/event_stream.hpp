// The data of server-sent events out of the bytes of an answer, however these were cut up on their way.
//
// Understood as browsers do it: lines end in LF, CR or CRLF, a byte order mark at the start is skipped,
// several `data` lines of one event are joined by LF, comments and other fields are passed over, and an event
// that no empty line closes never happened.
//
// Example:
//     EventStream events;
//     for (const std::string& data : events.push(bytes)) …
//
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

class EventStream {
public:
    static constexpr std::size_t kEventMax = 1u << 20;  // bytes of an event's data, and of a line

    // Takes bytes; the events that they complete. Throws EngineError malformed for a line or an event of more
    // than kEventMax.
    std::vector<std::string> push(std::string_view bytes);

private:
    void end_line(std::vector<std::string>& out);

    std::string line_;
    std::string data_;
    bool has_data_ = false;
    bool after_cr_ = false;
    bool first_line_ = true;
};

}  // namespace jiphyeon
