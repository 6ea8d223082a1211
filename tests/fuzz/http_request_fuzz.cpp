// The reader of HTTP requests on arbitrary bytes: head, then a chunked body however it is cut.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http_request.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace jiphyeon;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    try {
        const std::optional<std::size_t> end = head_end(bytes);
        if (!end) return 0;
        const HttpRequest request = parse_head(bytes.substr(0, *end), [](std::string_view) { return true; });
        // What was accepted leaves no room for a second reading.
        for (const auto& [name, value] : request.headers)
            if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) std::abort();
        if (request.chunked && request.header("content-length") != nullptr) std::abort();
        request.cookie("a");
        if (!request.chunked) return 0;
        ChunkedBody whole(4096), pieces(4096);
        std::string_view rest = bytes.substr(*end);
        whole.take(rest);
        while (!rest.empty() && !pieces.done()) {
            const std::size_t step = std::min<std::size_t>(rest.size(), 1 + rest.size() % 3);
            pieces.take(rest.substr(0, step));
            rest.remove_prefix(step);
        }
        if (whole.done() && (!pieces.done() || whole.body() != pieces.body())) std::abort();
    } catch (const HttpRefused&) {
    }
    return 0;
}
