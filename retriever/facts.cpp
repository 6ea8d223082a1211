// One pass over the characters for numbers and dates, one over the words for the rest. All readings are made
// for both sides, the sentence and the passage, so that "3만 5천원", "35,000원" and "3.5만 원" meet.
#include "facts.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "jiphyeon/index.hpp"
#include "words.hpp"

namespace jiphyeon {
namespace {

bool is_digit(char32_t c)
{
    return c >= U'0' && c <= U'9';
}
bool is_hangul(char32_t c)
{
    return c >= 0xAC00 && c <= 0xD7A3;
}
bool is_latin(char32_t c)
{
    return c >= U'a' && c <= U'z';
}

struct Name {
    std::u32string_view word;
    double value;
};

// Longest first where one begins another.
constexpr std::array<Name, 11> kScales = {{{U"천만", 1e7},
                                           {U"백만", 1e6},
                                           {U"십만", 1e5},
                                           {U"천억", 1e11},
                                           {U"백억", 1e10},
                                           {U"십억", 1e9},
                                           {U"조", 1e12},
                                           {U"억", 1e8},
                                           {U"만", 1e4},
                                           {U"천", 1e3},
                                           {U"백", 1e2}}};
constexpr std::array<Name, 10> kDays = {{{U"하루", 1},
                                         {U"이틀", 2},
                                         {U"사흘", 3},
                                         {U"나흘", 4},
                                         {U"닷새", 5},
                                         {U"엿새", 6},
                                         {U"이레", 7},
                                         {U"여드레", 8},
                                         {U"열흘", 10},
                                         {U"보름", 15}}};
constexpr std::array<Name, 13> kNative = {{{U"다섯", 5},
                                           {U"여섯", 6},
                                           {U"일곱", 7},
                                           {U"여덟", 8},
                                           {U"아홉", 9},
                                           {U"스무", 20},
                                           {U"한", 1},
                                           {U"두", 2},
                                           {U"세", 3},
                                           {U"네", 4},
                                           {U"열두", 12},
                                           {U"열한", 11},
                                           {U"열", 10}}};

struct Unit {
    std::u32string_view written, canonical;
};
constexpr std::array<Unit, 66> kUnits = {{
    {U"퍼센트포인트", U"%p"}, {U"퍼센트", U"%"},    {U"%p", U"%p"},       {U"%", U"%"},
    {U"개월", U"개월"},       {U"개소", U"곳"},     {U"개년", U"년"},     {U"개", U"개"},
    {U"달", U"개월"},         {U"시간", U"시간"},   {U"시", U"시"},       {U"분기", U"분기"},
    {U"분", U"분"},           {U"초", U"초"},       {U"일", U"일"},       {U"주일", U"주"},
    {U"주", U"주"},           {U"년", U"년"},       {U"월", U"월"},       {U"원", U"원"},
    {U"명", U"명"},           {U"인", U"명"},       {U"사람", U"명"},     {U"회", U"회"},
    {U"차례", U"회"},         {U"번", U"회"},       {U"건", U"건"},       {U"곳", U"곳"},
    {U"점", U"점"},           {U"배", U"배"},       {U"부", U"부"},       {U"장", U"장"},
    {U"쪽", U"쪽"},           {U"면", U"면"},       {U"종", U"종"},       {U"대", U"대"},
    {U"척", U"척"},           {U"톤", U"t"},        {U"t", U"t"},         {U"킬로미터", U"km"},
    {U"km", U"km"},           {U"㎞", U"km"},       {U"센티미터", U"cm"}, {U"cm", U"cm"},
    {U"㎝", U"cm"},           {U"밀리미터", U"mm"}, {U"mm", U"mm"},       {U"㎜", U"mm"},
    {U"미터", U"m"},          {U"제곱미터", U"㎡"}, {U"㎡", U"㎡"},       {U"m", U"m"},
    {U"킬로그램", U"kg"},     {U"kg", U"kg"},       {U"세대", U"세대"},   {U"가구", U"가구"},
    {U"세", U"세"},           {U"살", U"세"},       {U"급", U"급"},       {U"가지", U"가지"},
    {U"학점", U"학점"},       {U"박", U"박"},       {U"리터", U"l"},      {U"채", U"채"},
    {U"층", U"층"},           {U"마리", U"마리"},
}};

struct BoundWord {
    std::u32string_view word;
    Bound bound;
};
constexpr std::array<BoundWord, 6> kBounds = {{{U"이상", Bound::at_least},
                                               {U"이하", Bound::at_most},
                                               {U"초과", Bound::more_than},
                                               {U"미만", Bound::less_than},
                                               {U"이내", Bound::at_most},
                                               {U"안에", Bound::at_most}}};

class Reader {
public:
    Reader(std::u32string text, Facts& facts) : text_(std::move(text)), facts_(facts) {}

    void run()
    {
        for (std::size_t i = 0; i < text_.size();) {
            const std::size_t next = is_digit(text_[i]) ? number(i) : native(i);
            i = std::max(i + 1, next);
        }
    }

    // "(단위: 백만원)" stands above a table and is meant for each of its bare numbers. They stay as they are
    // too: a sentence may repeat the number without its scale. Two declared units do not tell which is whose.
    void apply_declared_unit()
    {
        const std::size_t declared = text_.find(U"단위");
        if (declared == std::u32string::npos) return;
        std::size_t i = blank(declared + 2);
        if (at(i) != U':') return;
        i = blank(i + 1);
        const double scale = scales(i);
        const Unit* const unit = unit_at(blank(i));
        if (unit == nullptr && scale == 1) return;
        const std::size_t end = blank(unit == nullptr ? i : blank(i) + unit->written.size());
        if (at(end) == U',' || at(end) == U'/' || at(end) == U'·') return;
        const std::size_t written = facts_.quantities.size();
        for (std::size_t n = 0; n < written; ++n) {
            Quantity q = facts_.quantities[n];
            if (!q.unit.empty()) continue;
            q.value *= scale;
            q.unit = unit == nullptr ? "" : to_utf8(unit->canonical);
            facts_.quantities.push_back(std::move(q));
        }
    }

private:
    char32_t at(std::size_t i) const { return i < text_.size() ? text_[i] : U'\0'; }
    bool says(std::size_t i, std::u32string_view word) const
    {
        return text_.compare(std::min(i, text_.size()), word.size(), word) == 0;
    }
    std::size_t blank(std::size_t i) const { return at(i) == U' ' ? i + 1 : i; }

    // A whole run of at most `max` digits; moves `i` behind it.
    std::optional<int> small(std::size_t& i, std::size_t max) const
    {
        std::size_t end = i;
        int value = 0;
        while (is_digit(at(end)) && end - i < max + 1)
            value = value * 10 + static_cast<int>(at(end++) - U'0');
        if (end == i || end - i > max) return std::nullopt;
        i = end;
        return value;
    }

    // "2026년 5월 19일", "2026. 5. 19.", "2026-05-19", "5월 19일", "2026년": the place behind, 0 for none.
    std::size_t date(std::size_t i)
    {
        std::size_t p = i;
        const auto first = small(p, 4);
        if (!first) return 0;
        const bool year = p - i == 4 && *first >= 1900 && *first < 2100;
        DateFact fact;
        if (year) {
            fact.year = *first;
            const char32_t mark = at(p);
            if (mark == U'년' ||
                ((mark == U'.' || mark == U'-' || mark == U'/') && is_digit(at(blank(p + 1))))) {
                std::size_t q = blank(mark == U'년' && at(p + 1) == U'도' ? p + 2 : p + 1);
                p = mark == U'년' ? p + 1 : p;
                if (const auto month = small(q, 2);
                    month && *month >= 1 && *month <= 12 &&
                    (mark == U'년' ? at(q) == U'월' : at(q) == mark || mark == U'.')) {
                    fact.month = *month;
                    p = q + (at(q) == U'월' || at(q) == mark ? 1 : 0);
                    std::size_t r = blank(p);
                    if (const auto day = small(r, 2);
                        day && *day >= 1 && *day <= 31 && (mark != U'년' || at(r) == U'일')) {
                        fact.day = *day;
                        p = r + (at(r) == U'일' ? 1 : 0);
                    }
                } else if (mark != U'년') {
                    return 0;
                }
            } else {
                return 0;
            }
        } else if (p - i <= 2 && at(p) == U'월' && *first >= 1 && *first <= 12) {
            fact.month = *first;
            std::size_t r = blank(p + 1);
            const auto day = small(r, 2);
            if (!day || at(r) != U'일' || *day < 1 || *day > 31) return 0;
            fact.day = *day;
            p = r + 1;
        } else {
            return 0;
        }
        facts_.dates.push_back(fact);
        return p;
    }

    double plain_number(std::size_t& i) const
    {
        double value = 0;
        while (is_digit(at(i)) ||
               (at(i) == U',' && is_digit(at(i + 1)) && is_digit(at(i + 2)) && is_digit(at(i + 3)))) {
            if (at(i) != U',') value = value * 10 + static_cast<double>(at(i) - U'0');
            ++i;
        }
        if (at(i) == U'.' && is_digit(at(i + 1))) {
            double place = 0.1;
            for (++i; is_digit(at(i)); ++i, place /= 10) value += place * static_cast<double>(at(i) - U'0');
        }
        return value;
    }

    // "3천만": scales follow each other. Moves `i` behind them.
    double scales(std::size_t& i) const
    {
        double scale = 1;
        for (bool more = true; more;) {
            more = false;
            const std::size_t word = blank(i);
            for (const Name& name : kScales)
                if (says(word, name.word)) {
                    scale *= name.value;
                    i = word + name.word.size();
                    more = true;
                    break;
                }
        }
        return scale;
    }

    // The longest unit that is written there; null where none is.
    const Unit* unit_at(std::size_t i) const
    {
        const Unit* best = nullptr;
        for (const Unit& u : kUnits)
            if (says(i, u.written) && (best == nullptr || u.written.size() > best->written.size())) best = &u;
        return best;
    }

    std::size_t number(std::size_t i)
    {
        const char32_t before = i > 0 ? text_[i - 1] : U'\0';
        if (const std::size_t end = date(i); end != 0) return end;
        if (before == U'제' || is_latin(before)) {  // an identifier's part
            while (is_digit(at(i))) ++i;
            return i;
        }
        const std::size_t start = i;
        double total = 0;
        for (;;) {
            double value = plain_number(i);
            const double scale = scales(i);
            total += value * scale;
            if (scale > 1 && is_digit(at(blank(i)))) {
                i = blank(i);
                continue;
            }
            break;
        }
        if (at(i) == U':' && is_digit(at(i + 1))) {  // a time of day
            add(total, U"시", start, i);
            std::size_t p = i + 1;
            const auto minutes = small(p, 2);
            if (minutes && *minutes > 0) add(*minutes, U"분", i + 1, p);
            return p;
        }
        return unit(total, start, i);
    }

    // The unit and bound behind a number.
    std::size_t unit(double value, std::size_t start, std::size_t i)
    {
        const std::size_t word = blank(i);
        const Unit* best = unit_at(word);
        // A single letter that goes on as another word is no unit: "5 인사", "3 m…".
        if (best != nullptr && best->written.size() == 1 && word > i && is_hangul(best->written[0]) &&
            is_hangul(at(word + 1)) && !is_particle(word + 1))
            best = nullptr;
        if (best != nullptr && is_latin(best->written.back()) && is_latin(at(word + best->written.size())))
            best = nullptr;
        const std::size_t end = best == nullptr ? i : word + best->written.size();
        add(value, best == nullptr ? U"" : best->canonical, start, end);
        return end;
    }

    bool is_particle(std::size_t i) const
    {
        constexpr std::u32string_view first = U"이을를은는의에로과와도만씩간당까부입";
        return first.find(at(i)) != std::u32string_view::npos;
    }

    void add(double value, std::u32string_view unit, std::size_t start, std::size_t end)
    {
        Quantity q;
        q.value = value;
        q.unit = to_utf8(unit);
        q.text = to_utf8(std::u32string_view(text_).substr(start, end - start));
        std::size_t next = blank(end);
        for (const std::u32string_view filler : {U"간", U"의", U"을", U"를"})
            if (says(next, filler)) {
                next = blank(next + filler.size());
                break;
            }
        for (const BoundWord& b : kBounds)
            if (says(next, b.word)) q.bound = b.bound;
        facts_.quantities.push_back(std::move(q));
    }

    // "일곱 곳", "열흘": native numerals count only with a unit behind them.
    std::size_t native(std::size_t i)
    {
        if (!is_hangul(at(i)) || (i > 0 && is_hangul(text_[i - 1]))) return 0;
        for (const Name& day : kDays)
            if (says(i, day.word)) {
                const std::size_t end = i + day.word.size();
                add(day.value, U"일", i, end);
                return end;
            }
        for (const Name& n : kNative) {
            if (!says(i, n.word)) continue;
            const std::size_t word = blank(i + n.word.size());
            for (const std::u32string_view counter :
                 {U"사람", U"차례", U"가지", U"시간", U"명", U"번", U"곳", U"달", U"개", U"건", U"쪽", U"장",
                  U"대", U"척", U"배", U"시", U"살"})
                if (says(word, counter) &&
                    (word > i + n.word.size() || n.word.size() > 1 || counter.size() > 1)) {
                    const char32_t after = at(word + counter.size());
                    if (is_hangul(after) && !is_particle(word + counter.size()) && after != U'이') continue;
                    return unit(n.value, i, i + n.word.size());
                }
        }
        return 0;
    }

    std::u32string text_;
    Facts& facts_;
};

struct WordAt {
    std::u32string_view text;
    std::size_t start;
};

// Runs of Hangul with at most what stands between blanks.
std::vector<WordAt> hangul_words(std::u32string_view text)
{
    std::vector<WordAt> out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!is_hangul(text[i])) continue;
        const std::size_t start = i;
        while (i < text.size() && is_hangul(text[i])) ++i;
        out.push_back({text.substr(start, i - start), start});
    }
    return out;
}

std::u32string stem_of(std::u32string_view word)
{
    for (const Term& term : analyze(to_utf8(word)))
        if (term.field == Field::stem) return to_code_points(term.text);
    return {};
}

bool is_organisation(std::u32string_view stem)
{
    constexpr std::u32string_view single = U"과국실청부처원팀법관소";
    static const std::initializer_list<std::u32string_view> long_ends = {
        U"위원회", U"센터", U"공단", U"공사", U"규정", U"지침",   U"규칙",  U"조례",
        U"요령",   U"학교", U"병원", U"협회", U"재단", U"특별시", U"광역시"};
    static const std::initializer_list<std::u32string_view> ordinary = {
        U"공무원", U"구성원", U"임직원",   U"해당과", U"각과", U"사무실",
        U"대부분", U"이사회", U"관계기관", U"방법",   U"장소"};
    for (const std::u32string_view word : ordinary)
        if (stem == word) return false;
    for (const std::u32string_view end : long_ends)
        if (stem.size() > end.size() && stem.ends_with(end)) return true;
    return stem.size() >= 3 && single.find(stem.back()) != std::u32string_view::npos;
}

bool is_title(std::u32string_view word)
{
    for (const std::u32string_view title :
         {U"장관", U"차관", U"국장", U"과장", U"팀장", U"계장", U"사무관", U"주무관", U"서기관", U"원장",
          U"청장", U"실장", U"소장", U"위원장", U"위원"})
        if (word.starts_with(title) && word.size() <= title.size() + 2) return true;
    return false;
}

void read_names(std::u32string_view text, Facts& facts)
{
    const std::vector<WordAt> words = hangul_words(text);
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::u32string stem = stem_of(words[i].text);
        if (is_organisation(stem)) facts.names.push_back(squeeze(to_utf8(stem)));
        if (i > 0 && is_title(words[i].text) && words[i - 1].text.size() >= 2 &&
            words[i - 1].text.size() <= 4 &&
            words[i].start == words[i - 1].start + words[i - 1].text.size() + 1)
            facts.names.push_back(squeeze(to_utf8(words[i - 1].text)));
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!is_latin(text[i])) continue;
        const std::size_t start = i;
        while (i < text.size() && is_latin(text[i])) ++i;
        if (i - start >= 2 && (start == 0 || !is_digit(text[start - 1])))
            facts.foreign.push_back(to_utf8(text.substr(start, i - start)));
    }
}

void read_quotes(std::u32string_view text, Facts& facts)
{
    constexpr std::array<std::pair<char32_t, char32_t>, 6> pairs = {
        {{U'「', U'」'}, {U'『', U'』'}, {U'“', U'”'}, {U'‘', U'’'}, {U'"', U'"'}, {U'\'', U'\''}}};
    for (std::size_t i = 0; i < text.size(); ++i)
        for (const auto& [open, close] : pairs) {
            if (text[i] != open) continue;
            const std::size_t end = text.find(close, i + 1);
            if (end == std::u32string_view::npos || end - i < 3 || end - i > 120) break;
            facts.quotes.push_back(squeeze(to_utf8(text.substr(i + 1, end - i - 1))));
            i = end;
            break;
        }
}

// Stems whose being or doing is denied: "지급하지 아니한다", "대상이 아니다", "제한이 없다", "토요일은
// 제외한다".
void read_negations(std::u32string_view text, Facts& facts)
{
    std::vector<WordAt> words = hangul_words(text);
    const auto key = [](std::u32string_view word) {
        std::u32string stem(word);
        for (const std::u32string_view end : {U"하지", U"되지", U"받지", U"지"})
            if (stem.size() > end.size() + 1 && stem.ends_with(end)) {
                stem.resize(stem.size() - end.size());
                return to_utf8(stem);
            }
        return to_utf8(stem_of(word));
    };
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::u32string_view word = words[i].text;
        const bool denies = word.starts_with(U"아니") || word.starts_with(U"않") ||
                            word.starts_with(U"못하") || word.starts_with(U"못한") ||
                            word.starts_with(U"못합") || word.starts_with(U"못함") ||
                            word.starts_with(U"없") || word.starts_with(U"제외") ||
                            word.starts_with(U"금지") || word.starts_with(U"불가");
        if (denies && i > 0) facts.negated.push_back(key(words[i - 1].text));
        for (const std::u32string_view inside : {U"하지않", U"지않", U"지못", U"지아니"})
            if (const std::size_t at = word.find(inside); at != std::u32string_view::npos && at >= 2)
                facts.negated.push_back(to_utf8(word.substr(0, at)));
    }
}

}  // namespace

std::string DateFact::text() const
{
    std::string out;
    if (year != 0) out += std::to_string(year) + "년";
    if (month != 0) out += (out.empty() ? "" : " ") + std::to_string(month) + "월";
    if (day != 0) out += (out.empty() ? "" : " ") + std::to_string(day) + "일";
    return out;
}

Facts read_facts(std::string_view text)
{
    Facts facts;
    const std::u32string original = to_code_points(text);
    const std::u32string normal = to_code_points(normalize(text));
    Reader reader(normal, facts);
    reader.run();
    reader.apply_declared_unit();
    // Dates and sums are read above, with their parts; what is left are articles, tables, document numbers.
    for (const Term& term : analyze(text)) {
        if (term.field != Field::exact) continue;
        const bool numbered = term.text.starts_with("제") || term.text.starts_with("별");
        const bool joined = term.text.find('-') != std::string::npos && !day_from_text(term.text) &&
                            !day_from_text(term.text + "-01");
        if (numbered || joined) facts.identifiers.push_back(term.text);
    }
    read_names(normal, facts);
    read_quotes(original, facts);
    read_negations(normal, facts);
    return facts;
}

}  // namespace jiphyeon
