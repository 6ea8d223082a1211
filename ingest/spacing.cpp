// Tesseract's blanks are unusable in Korean (it takes the air between two syllables for one), and its boxes
// of single letters come from the timing of a network. The ink is exact: runs of letters between wide gaps
// are words. Letters are dealt out to the runs by dynamic programming over widths and positions.
#include "spacing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "code_points.hpp"

namespace jiphyeon {
namespace {

constexpr double kGapOfLetter = 0.21;  // of a Hangul letter's width: narrower gaps are air
constexpr double kGapOfDigits = 0.42;  // between two digits
constexpr double kGapOfUsual = 1.8;    // of the usual gap, for lines that are set wide
constexpr std::size_t kSymbolsMax = 400;

// Width of the printed letter in Hangul letters.
double width_of(const std::string& text)
{
    std::size_t at = 0;
    const char32_t c = next_code_point(text, at);
    if (c >= 0x1100) return c >= 0x2000 && c < 0x2E80 ? 0.6 : 0.92;
    if (c >= '0' && c <= '9') return 0.5;
    if (c == '.' || c == ',' || c == ':' || c == ';' || c == '\'' || c == '!' || c == 'i' || c == 'l' ||
        c == 'I' || c == '|')
        return 0.14;
    if (c == '(' || c == ')' || c == '[' || c == ']' || c == '-' || c == '"') return 0.26;
    if (c >= 'A' && c <= 'Z') return 0.62;
    return 0.5;
}

bool is_digit(const std::string& text)
{
    return text.size() == 1 && text[0] >= '0' && text[0] <= '9';
}

// Marks before which Korean has no blank.
bool closes(const std::string& text)
{
    return text == "," || text == "." || text == ")" || text == "%" || text == "]";
}

struct Run {
    int begin = 0, end = 0;
};

// Runs of ink; gaps of up to `air` columns do not part them.
std::vector<Run> runs_of(const std::vector<bool>& ink, int left, double air)
{
    std::vector<Run> runs;
    for (std::size_t x = 0; x < ink.size(); ++x) {
        if (!ink[x]) continue;
        const int at = left + static_cast<int>(x);
        if (runs.empty() || at - runs.back().end > air) runs.push_back({at, at + 1});
        runs.back().end = at + 1;
    }
    return runs;
}

}  // namespace

std::string spaced_text(const std::vector<Symbol>& symbols, int left, const std::vector<bool>& ink)
{
    const auto plain = [&] {
        std::string out;
        for (const Symbol& symbol : symbols) out += symbol.text;
        return out;
    };
    const std::size_t n = symbols.size();
    if (n < 2 || n > kSymbolsMax) return plain();
    std::vector<double> before(n + 1, 0);  // widths of the first i letters together
    for (std::size_t i = 0; i < n; ++i) before[i + 1] = before[i] + width_of(symbols[i].text);
    const std::vector<Run> fine = runs_of(ink, left, 0);
    if (fine.size() < 2) return plain();
    double inked = 0;
    std::vector<int> gaps;
    for (std::size_t i = 0; i < fine.size(); ++i) {
        inked += fine[i].end - fine[i].begin;
        if (i > 0) gaps.push_back(fine[i].begin - fine[i - 1].end);
    }
    std::nth_element(gaps.begin(), gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2), gaps.end());
    const double usual = gaps[gaps.size() / 2];
    const double letter = inked / before[n];
    const std::vector<Run> runs =
        runs_of(ink, left, std::max(kGapOfLetter * letter * 1.1, kGapOfUsual * usual));
    if (runs.size() < 2 || runs.size() > n) return plain();

    // best[r][i]: least cost when the first r runs hold the first i letters.
    constexpr double kNever = std::numeric_limits<double>::infinity();
    const std::size_t count = runs.size();
    std::vector<std::vector<double>> best(count + 1, std::vector<double>(n + 1, kNever));
    std::vector<std::vector<std::size_t>> from(count + 1, std::vector<std::size_t>(n + 1, 0));
    best[0][0] = 0;
    for (std::size_t r = 0; r < count; ++r) {
        const double width = (runs[r].end - runs[r].begin) / letter;
        for (std::size_t i = r; i < n; ++i) {
            if (best[r][i] == kNever) continue;
            double misplaced = 0;
            for (std::size_t j = i + 1; j <= n - (count - r - 1); ++j) {
                const double middle = (symbols[j - 1].left + symbols[j - 1].right) / 2.0;
                const double outside = std::max({0.0, runs[r].begin - middle, middle - runs[r].end}) / letter;
                misplaced += outside * outside;
                const double wide = before[j] - before[i];
                if (wide > width * 1.7 + 2) break;
                const double off = (wide - width) / std::sqrt(wide + 0.5);
                const double cost = best[r][i] + off * off + 2 * misplaced;
                if (cost < best[r + 1][j]) {
                    best[r + 1][j] = cost;
                    from[r + 1][j] = i;
                }
            }
        }
    }
    if (best[count][n] == kNever) return plain();
    std::vector<bool> blank(n + 1, false);
    for (std::size_t r = count, i = n; r > 0; --r) {
        i = from[r][i];
        // A 1 stands in much air of its own.
        const double gap = r > 1 ? (runs[r - 1].begin - runs[r - 2].end) / letter : 0;
        const bool figures = i > 0 && is_digit(symbols[i - 1].text) && is_digit(symbols[i].text);
        blank[i] = i > 0 && !closes(symbols[i].text) && (!figures || gap > kGapOfDigits);
    }
    std::string out;
    for (std::size_t i = 0; i < n; ++i) {
        if (blank[i]) out.push_back(' ');
        out += symbols[i].text;
    }
    return out;
}

}  // namespace jiphyeon
