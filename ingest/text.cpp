// Plain text. A blank line ends a paragraph; so does a line that begins an item or an article. Lines that a
// mail program or an editor wrapped at one width are joined; lines of a table drawn with characters are kept.
#include <algorithm>

#include "builder.hpp"
#include "encoding.hpp"
#include "structure.hpp"

namespace jiphyeon {
namespace {

// Display width: Hangul takes two columns.
std::size_t columns(std::string_view line)
{
    std::size_t width = 0;
    for (const char c : line) {
        const auto b = static_cast<unsigned char>(c);
        if ((b & 0xC0) == 0x80) continue;
        width += b >= 0xE0 ? 2 : 1;
    }
    return width;
}

std::vector<std::string_view> split_lines(std::string_view text)
{
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        while (!line.empty() &&
               (line.back() == '\r' || line.back() == ' ' || line.back() == '\t' || line.back() == '\x1A'))
            line.remove_suffix(1);
        lines.push_back(line);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

// The width at which the writer's program wrapped, or 0 where lines are paragraphs.
std::size_t wrap_width(const std::vector<std::string_view>& lines)
{
    std::vector<std::size_t> widths;
    for (const std::string_view line : lines)
        if (!line.empty()) widths.push_back(columns(line));
    if (widths.size() < 12) return 0;
    std::sort(widths.begin(), widths.end());
    const std::size_t longest = widths.back();
    if (longest < 50 || longest > 110) return 0;
    const auto near = static_cast<std::size_t>(
        std::count_if(widths.begin(), widths.end(), [&](std::size_t w) { return w + 12 >= longest; }));
    return near * 3 > widths.size() ? longest : 0;
}

}  // namespace

Document parse_text(std::string_view bytes)
{
    const Decoded decoded = decode_text(bytes);
    if (decoded.encoding.empty()) refuse("unknown_format", "글로 읽을 수 없는 파일입니다.");
    DocumentBuilder builder("text");
    const std::vector<std::string_view> lines = split_lines(decoded.text);
    const std::size_t width = wrap_width(lines);
    std::string paragraph;
    std::size_t last_width = 0;
    const auto flush = [&] {
        builder.add_text(BlockKind::paragraph, paragraph);
        paragraph.clear();
    };
    for (const std::string_view line : lines) {
        if (line.find_first_not_of(" \t\f") == std::string_view::npos) {
            flush();
            continue;
        }
        const bool wrapped =
            width > 0 && last_width + 12 >= width && !begins_item(line) && line.front() != ' ';
        if (!paragraph.empty()) {
            if (wrapped) {
                paragraph.push_back(' ');
            } else {
                flush();
            }
        }
        paragraph += line;
        last_width = columns(line);
    }
    flush();
    return builder.finish();
}

}  // namespace jiphyeon
