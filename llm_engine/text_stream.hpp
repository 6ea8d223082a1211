// Makes a stream of text out of tokens' bytes: only whole characters leave, and never the beginning of a stop
// text that may yet become complete. Bytes that can belong to no character become U+FFFD.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

class TextStream {
public:
    explicit TextStream(std::vector<std::string> stops) : stops_(std::move(stops)) {}

    void push(std::string_view bytes);
    // What may leave now and has not yet.
    std::string take();
    // No more bytes will come: also what was held back, but for an unfinished character.
    std::string finish();
    // A stop text has come; it and what follows are not part of the text.
    bool stopped() const { return stopped_; }
    // All text so far, stop texts excluded, held back or not.
    const std::string& text() const { return text_; }

private:
    std::vector<std::string> stops_;
    std::string pending_;  // bytes of an unfinished character
    std::string text_;
    std::size_t taken_ = 0;
    bool stopped_ = false;
};

}  // namespace jiphyeon
