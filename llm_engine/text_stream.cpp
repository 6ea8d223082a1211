#include "text_stream.hpp"

#include <algorithm>
#include <cstdint>

namespace jiphyeon {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Bytes of the sound character at the start of `bytes`; 0: it lacks some; -1: there is none.
int character_length(std::string_view bytes)
{
    const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
    const std::uint8_t lead = at(0);
    if (lead < 0x80) return 1;
    if (lead < 0xc2 || lead > 0xf4) return -1;
    const int length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    for (std::size_t i = 1; i < static_cast<std::size_t>(length); ++i) {
        if (i >= bytes.size()) return 0;
        std::uint8_t low = 0x80;
        std::uint8_t high = 0xbf;
        if (i == 1) {
            if (lead == 0xe0) low = 0xa0;
            if (lead == 0xed) high = 0x9f;
            if (lead == 0xf0) low = 0x90;
            if (lead == 0xf4) high = 0x8f;
        }
        if (at(i) < low || at(i) > high) return -1;
    }
    return length;
}

}  // namespace

void TextStream::push(std::string_view bytes)
{
    if (stopped_) return;
    pending_ += bytes;
    std::string_view rest = pending_;
    while (!rest.empty()) {
        const int length = character_length(rest);
        if (length == 0) break;
        if (length < 0) {
            text_ += kReplacement;
            rest.remove_prefix(1);
        } else {
            text_ += rest.substr(0, static_cast<std::size_t>(length));
            rest.remove_prefix(static_cast<std::size_t>(length));
        }
    }
    pending_.erase(0, pending_.size() - rest.size());

    std::size_t first = std::string::npos;
    for (const std::string& stop : stops_) {
        if (!stop.empty()) first = std::min(first, text_.find(stop, taken_));
    }
    if (first != std::string::npos) {
        text_.resize(first);
        stopped_ = true;
    }
}

std::string TextStream::take()
{
    std::size_t held = 0;
    if (!stopped_) {
        for (const std::string& stop : stops_) {
            for (std::size_t size = std::min(stop.empty() ? 0 : stop.size() - 1, text_.size() - taken_);
                 size > held; --size) {
                if (text_.ends_with(std::string_view(stop).substr(0, size))) held = size;
            }
        }
    }
    std::string out = text_.substr(taken_, text_.size() - held - taken_);
    taken_ += out.size();
    return out;
}

std::string TextStream::finish()
{
    std::string out = text_.substr(taken_);
    taken_ = text_.size();
    return out;
}

}  // namespace jiphyeon
