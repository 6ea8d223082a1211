#include "query.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "facts.hpp"
#include "words.hpp"

namespace jiphyeon {
namespace {

using std::chrono::year;
using std::chrono::year_month_day;

Day last_day(int y, int month)
{
    const year_month_day last{std::chrono::year_month_day_last{
        year{y},
        std::chrono::month_day_last{std::chrono::month{static_cast<unsigned>(month == 0 ? 12 : month)}}}};
    return static_cast<Day>(std::chrono::sys_days(last).time_since_epoch().count());
}

// A date with a word that makes it the day to look at. A year or month alone stands for its last day, or for
// today where that is still to come.
std::optional<Day> as_of_day(std::string_view text, Day today)
{
    const std::string squeezed = squeeze(text);
    for (const DateFact& date : read_facts(text).dates) {
        if (date.year == 0) continue;
        const std::string when = squeeze(date.text());
        bool marked = false;
        for (const std::string_view word : {"기준", "당시", "시점", "현재", "에시행", "에적용", "시행중"}) {
            const std::size_t at = squeezed.find(word);
            const std::size_t year_at = squeezed.find(std::to_string(date.year));
            marked = marked || (at != std::string::npos && year_at != std::string::npos && at > year_at &&
                                at - year_at < 40);
        }
        if (!marked) continue;
        if (date.month != 0 && date.day != 0) {
            const year_month_day exact{year{date.year}, std::chrono::month{static_cast<unsigned>(date.month)},
                                       std::chrono::day{static_cast<unsigned>(date.day)}};
            if (exact.ok()) return static_cast<Day>(std::chrono::sys_days(exact).time_since_epoch().count());
        }
        const Day last = last_day(date.year, date.month);
        const year_month_day now{std::chrono::sys_days(std::chrono::days(today))};
        return static_cast<int>(now.year()) == date.year && last > today ? today : last;
    }
    return std::nullopt;
}

std::vector<std::string_view> tokens_of(std::string_view text)
{
    std::vector<std::string_view> out;
    std::size_t i = 0;
    while (i < text.size()) {
        const std::size_t start = text.find_first_not_of(" \t\r\n", i);
        if (start == std::string_view::npos) break;
        i = std::min(text.find_first_of(" \t\r\n", start), text.size());
        out.push_back(text.substr(start, i - start));
    }
    return out;
}

// A verb's form rather than a noun's: its ending is the asker's way of speaking, and documents speak
// otherwise.
bool is_predicate(std::string_view token)
{
    while (!token.empty() &&
           (token.back() == '.' || token.back() == '?' || token.back() == '!' || token.back() == ','))
        token.remove_suffix(1);
    for (const std::string_view end :
         {"다",   "까",   "요",   "면",   "는데",   "려고",   "하고",   "되고", "받고", "있고",
          "없고", "라고", "다고", "해서", "어서",   "아서",   "여서",   "려서", "거나", "도록",
          "하는", "되는", "받는", "있는", "없는",   "하던",   "할",     "될",   "받을", "인데",
          "지만", "하게", "되게", "했을", "하면서", "되면서", "한다는", "라는", "려는", "해야",
          "하여", "되어", "했던", "하기", "되기",   "받기"})
        if (token.size() > end.size() && token.ends_with(end)) return true;
    return false;
}

Wanted wanted_of(std::string_view text)
{
    const std::u32string normal = to_code_points(normalize(text));
    const auto has = [&](std::u32string_view word) { return normal.find(word) != std::u32string::npos; };
    if (has(U"며칠")) return {Wanted::Kind::quantity, "일"};
    if (const std::size_t at = normal.find(U"몇"); at != std::u32string::npos) {
        // "몇 명" has the unit where a number would have it.
        std::u32string counted = U"3" + normal.substr(at + 1);
        for (const std::u32string_view scale : {U"3천", U"3백", U"3만", U"3억"})
            if (counted.starts_with(scale)) counted = U"3" + counted.substr(2);
        const Facts facts = read_facts(to_utf8(counted));
        if (!facts.dates.empty()) return {Wanted::Kind::time, ""};
        if (!facts.quantities.empty()) return {Wanted::Kind::quantity, facts.quantities.front().unit};
        return {Wanted::Kind::quantity, ""};
    }
    if (has(U"언제")) return {Wanted::Kind::time, ""};
    if (has(U"얼마 동안") || has(U"얼마동안") || has(U"얼마나 오래")) return {Wanted::Kind::time, ""};
    if (has(U"얼마")) {
        for (const std::u32string_view money :
             {U"금액",   U"비용", U"요금",   U"수수료", U"가격",   U"예산",   U"사업비", U"수당",   U"급여",
              U"시급",   U"월급", U"봉급",   U"연봉",   U"보조금", U"지원금", U"보상금", U"부담금", U"보증금",
              U"과태료", U"벌금", U"이용료", U"사용료", U"임대료", U"운임",   U"상한액"})
            if (has(money)) return {Wanted::Kind::quantity, "원"};
        return {Wanted::Kind::quantity, ""};
    }
    return {};
}

// A greeting, a sum, or a request to do something that answering cannot do.
bool is_small_talk(std::string_view text, const std::vector<Word>& words)
{
    const std::string squeezed = squeeze(text);
    static const std::array<std::string_view, 10> greetings = {"안녕",     "고마워",   "고맙",   "감사합니다",
                                                               "반가",     "너는누구", "넌누구", "당신은누구",
                                                               "이름이뭐", "뭐할수있"};
    if (words.size() <= 3)
        for (const std::string_view greeting : greetings)
            if (squeezed.starts_with(greeting)) return true;
    if (!squeezed.empty() && squeezed.find_first_not_of("0123456789+-*/=().,?×÷은는") == std::string::npos)
        return true;
    static const std::array<std::string_view, 12> acts = {
        "보내줘",   "보내주세요",   "삭제해줘", "삭제해주세요", "예약해줘", "예약해주세요",
        "결재해줘", "결재해주세요", "발송해줘", "발송해주세요", "번역해줘", "그려줘"};
    for (const std::string_view act : acts)
        if (squeezed.ends_with(act) || squeezed.ends_with(std::string(act) + ".")) return true;
    return words.empty();
}

}  // namespace

std::vector<Word> content_words(std::string_view text)
{
    std::vector<Word> out;
    for (const std::string_view token : tokens_of(text)) {
        const bool predicate = is_predicate(token);
        bool open = false;
        for (Term& term : analyze(token)) {
            if (term.field == Field::stem) {
                open = !is_function_word(term.text);
                if (open) out.push_back({std::move(term.text), {}, predicate});
            } else if (term.field == Field::bigram && open) {
                out.back().pairs.push_back(std::move(term.text));
            }
        }
    }
    return out;
}

Query analyze_question(std::string_view text, Day today)
{
    Query query;
    query.text = std::string(text);
    query.words = content_words(text);
    const Facts facts = read_facts(text);
    query.identifiers = facts.identifiers;
    query.phrases = facts.quotes;
    query.as_of = as_of_day(text, today);
    query.wanted = wanted_of(text);
    for (Term& term : analyze(text))
        if (term.field == Field::exact) query.terms.push_back(std::move(term));
    for (const Word& word : query.words) {
        query.terms.push_back({Field::stem, word.stem, 1});
        for (const std::string& pair : word.pairs) query.terms.push_back({Field::bigram, pair, 1});
    }
    const std::string squeezed = squeeze(text);
    for (const std::string_view word : {"부칙", "시행일", "경과조치", "언제부터시행", "적용례"})
        query.wants_addendum = query.wants_addendum || squeezed.find(word) != std::string::npos;
    query.is_small_talk = query.identifiers.empty() && is_small_talk(text, query.words);
    return query;
}

bool tells(std::string_view text, const Wanted& wanted)
{
    if (wanted.kind == Wanted::Kind::anything) return true;
    const Facts facts = read_facts(text);
    if (wanted.kind == Wanted::Kind::time) {
        if (!facts.dates.empty()) return true;
        for (const Quantity& q : facts.quantities)
            for (const std::string_view unit : {"일", "시", "월", "개월", "년", "분기", "주", "시간", "분"})
                if (q.unit == unit) return true;
        const std::string squeezed = squeeze(text);
        for (const std::string_view word :
             {"전날", "다음날", "즉시", "매일", "매주", "매월", "매년", "해마다", "상반기", "하반기", "요일"})
            if (squeezed.find(word) != std::string::npos) return true;
        return false;
    }
    for (const Quantity& q : facts.quantities) {
        if (wanted.unit.empty() || q.unit.empty() || q.unit == wanted.unit) return true;
        if (wanted.unit == "원" && (q.unit == "%" || q.unit == "배")) return true;  // of another sum
    }
    if (wanted.unit == "일" || wanted.unit == "년" || wanted.unit == "시")
        if (!facts.dates.empty()) return true;
    // Amounts that have words instead of numbers.
    const std::string squeezed = squeeze(text);
    for (const std::string_view word : {"무료", "전액", "절반", "없습니다", "없다", "없음", "않습니다",
                                        "아니합니다", "아니한다", "제한이없"})
        if (squeezed.find(word) != std::string::npos) return true;
    return false;
}

}  // namespace jiphyeon
