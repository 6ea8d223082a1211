// Any bytes as a text: terms within their bounds, and normalisation that is finished after one pass.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "jiphyeon/index.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string once = jiphyeon::normalize(text);
    if (jiphyeon::normalize(once) != once) std::abort();
    const auto terms = jiphyeon::analyze(text);
    if (terms.size() > 4 * size + 4) std::abort();
    for (const jiphyeon::Term& term : terms) {
        if (term.text.empty() || term.text.size() > 256 || term.text.find('\0') != std::string::npos)
            std::abort();
    }
    return 0;
}
