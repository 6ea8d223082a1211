// What the recognisers share: one view cut into runs of digits, and looks to the left and right of a place.
// Every look is bounded by a constant, so a scan is linear in the text.
#pragma once

#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/pii.hpp"
#include "pii_view.hpp"

namespace jiphyeon {

struct Found {
    std::size_t first, last;  // [first, last) code points of the view
    PiiType type;
    float confidence;
};

struct Run {
    std::size_t first, last;  // a maximal run of ASCII digits
    std::size_t size() const { return last - first; }
};

enum class Gap : std::uint8_t { none, blank, hyphen, dot, slash, wave, bracket, bar, comma, line };

// Runs of digits that follow each other with at most a few separators between.
struct Chain {
    static constexpr std::size_t kGroupsMax = 20, kDigitsMax = 20;
    std::array<char, kDigitsMax> digit{};
    std::array<std::size_t, kGroupsMax> group{};  // digits per group
    std::array<std::size_t, kGroupsMax> end{};    // view index behind each group
    std::array<Gap, kGroupsMax> gap{};            // before each group; none for the first
    std::size_t groups = 0, digits = 0, first = 0;
    bool joined_before = false;  // a digit and a hyphen or dot stand right before

    std::string_view text(std::size_t from, std::size_t count) const { return {digit.data() + from, count}; }
    // Number of groups that hold exactly `count` digits; 0 where no border is there.
    std::size_t groups_of(std::size_t count) const;
    // The first groups have exactly these sizes.
    bool shape(std::initializer_list<std::size_t> sizes) const;
    bool gaps_are(std::size_t from, std::size_t to, std::initializer_list<Gap> allowed) const;
};

class Scan {
public:
    explicit Scan(const View& view);

    const View& view() const { return view_; }
    const std::vector<Run>& runs() const { return runs_; }
    Chain chain(std::size_t run) const;
    char32_t at(std::size_t i) const { return i < view_.text.size() ? view_.text[i] : U'\0'; }
    char32_t before(std::size_t i) const { return i > 0 ? view_.text[i - 1] : U'\0'; }

    // Up to `count` letters and digits (lower case, other characters left out) before or after a place,
    // over at most one line break.
    std::u32string left(std::size_t place, std::size_t count) const;
    std::u32string right(std::size_t place, std::size_t count) const;
    // A quantity's unit, a year or counter follows: the digits are no identifier.
    bool unit_follows(std::size_t place) const;

private:
    const View& view_;
    std::vector<Run> runs_;
};

bool has_any(std::u32string_view text, std::initializer_list<std::u32string_view> words);
// Where the last of the words ends in `text`; 0 for none.
std::size_t last_of(std::u32string_view text, std::initializer_list<std::u32string_view> words);

bool is_digit(char32_t c);
bool is_latin(char32_t c);
bool is_hangul(char32_t c);

// The recognisers. Each adds what it finds in the view.
void find_numbers(const Scan& scan,
                  std::vector<Found>& out);  // registration numbers, licences, cards, accounts
void find_passports(const Scan& scan, std::vector<Found>& out);
void find_phones(const Scan& scan, std::vector<Found>& out);
void find_emails(const Scan& scan, std::vector<Found>& out);
void find_vehicles(const Scan& scan, std::vector<Found>& out);
void find_form_fields(const Scan& scan,
                      std::vector<Found>& out);  // birth dates, addresses, names by their labels

// Shapes that two recognisers must agree on.
bool is_phone_shape(const Chain& chain, std::size_t& groups);

}  // namespace jiphyeon
