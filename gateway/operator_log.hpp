// Lines for the machine's operator (standard error, which systemd keeps): one JSON object a line, so that no
// text of a client can start a line of its own.
#pragma once

#include <string>
#include <string_view>

namespace jiphyeon {

void log_line(std::string_view what, std::string_view detail);
// Logs under a fresh incident number and returns that number.
std::string log_incident(std::string_view where, std::string_view detail);

}  // namespace jiphyeon
