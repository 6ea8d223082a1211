#include "attribution.hpp"

#include <algorithm>
#include <cmath>

#include "facts.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kWindowMax = 3;
constexpr float kLongerWindow = 0.02f;   // what each further sentence must gain to be taken in
constexpr float kShareSupported = 0.6f;  // below it the words are too few to call it the passage's
constexpr float kShareLeast = 0.42f;
constexpr float kQuestionWord = 0.5f;  // a word repeated from the question says less about the source
constexpr float kPredicate = 0.4f;     // so does a polite ending
constexpr float kPairs = 0.85f;        // syllable pairs instead of the whole stem
constexpr float kContradictionShare = 0.75f;
constexpr std::size_t kCandidates = 6;
constexpr float kNearlyAsGood = 0.15f;

bool same_value(double a, double b)
{
    return std::abs(a - b) <= 1e-9 * std::max({1.0, std::abs(a), std::abs(b)});
}

bool holds(const DateFact& fact, const DateFact& source)
{
    return (fact.year == 0 || fact.year == source.year) && (fact.month == 0 || fact.month == source.month) &&
           (fact.day == 0 || fact.day == source.day);
}

bool same_unit(const Quantity& a, const Quantity& b)
{
    return a.unit == b.unit || a.unit.empty() || b.unit.empty();
}

// A limit may be left out, but not turned into another one.
bool bound_fits(Bound said, Bound source)
{
    return said == Bound::none || said == source;
}

bool quantity_found(const Quantity& fact, const Facts& source)
{
    for (const Quantity& q : source.quantities)
        if (same_value(fact.value, q.value) && same_unit(fact, q) && bound_fits(fact.bound, q.bound))
            return true;
    // "2026년" may stand there as part of a date, "3월" as well.
    for (const DateFact& d : source.dates) {
        const int value = static_cast<int>(fact.value);
        if ((fact.unit == "년" && d.year == value) || (fact.unit == "월" && d.month == value) ||
            (fact.unit == "일" && d.day == value))
            return true;
    }
    return false;
}

// "제12조제3항" is also said by the passage of 제12조 that has a paragraph marked ③.
bool identifier_found(const std::string& identifier, const std::vector<std::string>& source,
                      std::string_view text)
{
    if (std::find(source.begin(), source.end(), identifier) != source.end()) return true;
    const std::size_t paragraph = identifier.rfind("항");
    const std::size_t article = identifier.find("조");
    const std::size_t open = identifier.rfind("제", paragraph);
    if (paragraph == std::string::npos || article == std::string::npos || open == std::string::npos ||
        open < article)
        return false;
    if (std::find(source.begin(), source.end(), identifier.substr(0, open)) == source.end()) return false;
    const int number = std::atoi(identifier.c_str() + open + 3);
    if (number < 1 || number > 20) return false;
    return text.find(to_utf8(std::u32string(1, U'①' + static_cast<char32_t>(number - 1)))) !=
           std::string_view::npos;
}

std::unordered_set<std::string> pairs_of(std::string_view text)
{
    std::unordered_set<std::string> pairs;
    for (Term& term : analyze(text))
        if (term.field == Field::bigram) pairs.insert(std::move(term.text));
    return pairs;
}

}  // namespace

Attribution::Attribution(std::span<const Evidence> evidence, const Query& question, Rarity rarity)
    : evidence_(evidence), question_(question), asked_(read_facts(question.text)), rarity_(std::move(rarity))
{
    for (const Evidence& e : evidence) {
        Passage passage;
        passage.segments = split_sentences(e.chunk.text);
        for (const Segment& s : passage.segments) {
            const std::string_view text = std::string_view(e.chunk.text).substr(s.start, s.end - s.start);
            passage.squeezed.push_back(squeeze(text));
            passage.pairs.push_back(pairs_of(text));
        }
        const std::string context = e.title + " " + e.chunk.header + " " + e.chunk.place.section;
        passage.context = squeeze(context);
        passage.context_pairs = pairs_of(context);
        passages_.push_back(std::move(passage));
    }
    if (question.as_of) {
        const std::vector<DateFact> day = read_facts(day_to_text(*question.as_of)).dates;
        if (!day.empty()) day_asked_about_ = day.front();
    }
    question_words_ = weigh(question_.words, true);
    for (const Passage& passage : passages_)
        cover_ = std::max(cover_, share_of(question_words_, passage, 0, passage.segments.size()));
    if (const std::vector<Window> best = windows(question_words_, std::nullopt); !best.empty())
        cover_ = (cover_ + best.front().share) / 2;
}

std::vector<Attribution::Weighted> Attribution::weigh(std::span<const Word> words, bool question) const
{
    std::vector<Term> terms;
    for (const Word& word : words) terms.push_back({Field::stem, word.stem, 1});
    const std::vector<float> rare = rarity_(terms);
    std::vector<Weighted> out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        float weight = std::max(rare[i], 0.1f);
        if (words[i].predicate) weight *= kPredicate;
        const bool asked = std::any_of(question_.words.begin(), question_.words.end(),
                                       [&](const Word& q) { return q.stem == words[i].stem; });
        if (asked && !question) weight *= kQuestionWord;
        out.push_back({&words[i], weight});
    }
    return out;
}

// Share of the words' weight that segments [first, last) with their headings hold.
float Attribution::share_of(std::span<const Weighted> words, const Passage& passage, std::size_t first,
                            std::size_t last) const
{
    float all = 0, held = 0;
    for (const auto& [word, weight] : words) {
        all += weight;
        bool whole = passage.context.find(word->stem) != std::string::npos;
        for (std::size_t s = first; s < last && !whole; ++s)
            whole = passage.squeezed[s].find(word->stem) != std::string::npos;
        if (whole) {
            held += weight;
            continue;
        }
        std::size_t found = 0;
        for (const std::string& pair : word->pairs) {
            bool here = passage.context_pairs.contains(pair);
            for (std::size_t s = first; s < last && !here; ++s) here = passage.pairs[s].contains(pair);
            found += here ? 1 : 0;
        }
        if (!word->pairs.empty())
            held += weight * kPairs * static_cast<float>(found) / static_cast<float>(word->pairs.size());
    }
    return all > 0 ? held / all : 0;
}

std::vector<Attribution::Window> Attribution::windows(std::span<const Weighted> words,
                                                      std::optional<std::size_t> evidence) const
{
    std::vector<std::pair<float, Window>> found;
    const std::size_t begin = evidence.value_or(0), end = evidence ? begin + 1 : passages_.size();
    for (std::size_t e = begin; e < end; ++e) {
        const Passage& passage = passages_[e];
        for (std::size_t first = 0; first < passage.segments.size(); ++first)
            for (std::size_t last = first + 1; last <= std::min(first + kWindowMax, passage.segments.size());
                 ++last) {
                const float share = share_of(words, passage, first, last);
                if (share <= 0) continue;
                found.emplace_back(share - kLongerWindow * static_cast<float>(last - first - 1),
                                   Window{e, passage.segments[first].start, passage.segments[last - 1].end,
                                          first, last, share});
            }
    }
    // Stable: of equals the better evidence and the earlier place come first.
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first + 1e-6f; });
    std::vector<Window> out;
    for (const auto& [value, window] : found) out.push_back(window);
    return out;
}

std::vector<Attribution::Window> Attribution::candidates(std::string_view sentence,
                                                         std::optional<std::size_t> evidence) const
{
    const std::vector<Word> words = content_words(sentence);
    const std::vector<Window> all = windows(weigh(words, false), evidence);
    std::vector<Window> out;
    for (const Window& window : all)
        if (out.size() < kCandidates && window.share >= all.front().share - kNearlyAsGood)
            out.push_back(window);
    return out;
}

std::optional<Attribution::Source> Attribution::source_of(std::string_view sentence,
                                                          std::optional<std::size_t> evidence) const
{
    std::optional<Source> best;
    for (const Window& window : candidates(sentence, evidence)) {
        Source source{window, check(sentence, window)};
        if (source.check.support == Support::supported) return source;
        const bool better = !best || (best->check.support == Support::unsupported &&
                                      source.check.support == Support::partial);
        if (better) best = std::move(source);
    }
    return best;
}

std::string_view Attribution::text_of(const Window& window) const
{
    return std::string_view(evidence_[window.evidence].chunk.text)
        .substr(window.start, window.end - window.start);
}

// The window with one sentence more on both sides; a table as a whole, since its heads stand far above.
std::string Attribution::around(const Window& window) const
{
    const Evidence& e = evidence_[window.evidence];
    const Passage& passage = passages_[window.evidence];
    const std::string context = e.title + "\n" + e.chunk.header + "\n" + e.chunk.place.section + "\n";
    if (e.chunk.kind == ChunkKind::table) return context + e.chunk.text;
    const std::size_t first = window.first > 0 ? window.first - 1 : 0;
    const std::size_t last = std::min(window.last + 1, passage.segments.size());
    const std::size_t start = passage.segments[first].start, end = passage.segments[last - 1].end;
    return context + e.chunk.text.substr(start, end - start);
}

Attribution::Check Attribution::check(std::string_view sentence, const Window& window) const
{
    const Evidence& e = evidence_[window.evidence];
    const Facts said = read_facts(sentence);
    const std::string near_text = around(window);
    const Facts near = read_facts(near_text);
    const std::string whole =
        e.title + "\n" + e.chunk.header + "\n" + e.chunk.place.section + "\n" + e.chunk.text;
    const std::string whole_squeezed = squeeze(whole);
    const auto unsupported = [](const std::string& what) {
        return Check{Support::unsupported, what + "이(가) 근거에 없습니다"};
    };
    const Facts whole_facts = said.identifiers.empty() ? Facts{} : read_facts(whole);
    const auto in = [](const auto& all, const auto& one) {
        return std::find(all.begin(), all.end(), one) != all.end();
    };
    const auto in_whole = [&](const std::string& squeezed) {
        return whole_squeezed.find(squeezed) != std::string::npos;
    };

    // What the asker said is neither invented nor the passage's word: the sentence then holds in part. Not
    // so a date: what holds today need not hold on the day that the asker has in mind.
    std::string echoed;
    for (const DateFact& fact : said.dates) {
        // Only what was in force on the day asked about was searched, so its passages need not name it.
        const bool asked_about = day_asked_about_ && fact.year != 0 && holds(fact, *day_asked_about_);
        const bool found = std::any_of(near.dates.begin(), near.dates.end(),
                                       [&](const DateFact& d) { return holds(fact, d); });
        if (!found && !asked_about) return unsupported("날짜 " + fact.text());
    }
    for (const Quantity& fact : said.quantities) {
        if (quantity_found(fact, near)) continue;
        if (!quantity_found(fact, asked_)) return unsupported("수치 " + fact.text);
        echoed = fact.text;
    }
    for (const std::string& identifier : said.identifiers) {
        if (identifier_found(identifier, whole_facts.identifiers, whole)) continue;
        if (!in(asked_.identifiers, identifier)) return unsupported(identifier);
        echoed = identifier;
    }
    for (const std::string& quote : said.quotes)
        if (!in_whole(quote)) return unsupported("인용 \"" + quote + "\"");
    for (const std::string& name : said.names) {
        // "계약은 과장이": what stands before a title may be a common word with its particle.
        const std::vector<Word> common = content_words(name);
        if (in_whole(name) || (common.size() == 1 && in_whole(common.front().stem))) continue;
        if (!in(asked_.names, name)) return unsupported("이름 " + name);
        echoed = name;
    }
    for (const std::string& word : said.foreign) {
        if (in_whole(word)) continue;
        if (!in(asked_.foreign, word)) return unsupported(word);
        echoed = word;
    }

    // What one side denies the other must not affirm.
    const std::string sentence_squeezed = squeeze(sentence);
    const Facts there = read_facts(text_of(window));
    const auto denies = [](const Facts& facts, const std::string& stem) {
        return std::any_of(facts.negated.begin(), facts.negated.end(), [&](const std::string& n) {
            return n.find(stem) != std::string::npos || stem.find(n) != std::string::npos;
        });
    };
    for (const std::string& stem : said.negated)
        if (!denies(near, stem)) return unsupported("부정하는 내용 '" + stem + "'");
    for (const std::string& stem : there.negated)
        if (sentence_squeezed.find(stem) != std::string::npos && stem.size() >= 6 && !denies(said, stem) &&
            said.negated.size() < there.negated.size())
            return {Support::unsupported, "근거는 '" + stem + "'을(를) 부정합니다"};

    if (window.share < kShareLeast) return {Support::unsupported, "근거에서 같은 내용을 찾지 못했습니다"};
    if (!echoed.empty())
        return {Support::partial, "질문에 있는 '" + echoed + "'은(는) 근거에 적혀 있지 않습니다"};
    if (window.share < kShareSupported)
        return {Support::partial, "문장의 일부 낱말은 근거에서 찾지 못했습니다"};
    return {Support::supported, {}};
}

std::optional<Attribution::Window> Attribution::contradiction(std::string_view sentence,
                                                              const Window& window) const
{
    const Facts said = read_facts(sentence);
    if (said.quantities.empty()) return std::nullopt;
    // What its own source does not say either need not be said by the other.
    const Passage& own = passages_[window.evidence];
    std::vector<Word> words;
    for (Word& word : content_words(sentence)) {
        const bool number = word.stem.find_first_of("0123456789") != std::string::npos;
        const Weighted alone[] = {{&word, 1.0f}};
        if (!number && share_of(alone, own, window.first, window.last) >= 0.5f)
            words.push_back(std::move(word));
    }
    if (words.size() < 2) return std::nullopt;
    const std::vector<Weighted> weighted = weigh(words, true);
    const Evidence& a = evidence_[window.evidence];
    const std::vector<Window> all = windows(weighted, std::nullopt);
    const auto other = std::find_if(all.begin(), all.end(), [&](const Window& w) {
        return evidence_[w.evidence].source_id != a.source_id &&
               evidence_[w.evidence].state == DocumentState::current;
    });
    if (other == all.end() || other->share < kContradictionShare || a.state != DocumentState::current)
        return std::nullopt;

    // The two passages must be about the same: each sentence's words are the other's as well.
    const std::vector<Word> there = content_words(text_of(*other));
    if (share_of(weigh(there, true), own, window.first, window.last) < kContradictionShare * 0.6f)
        return std::nullopt;

    const Facts facts = read_facts(text_of(*other));
    for (const Quantity& q : said.quantities) {
        if (q.unit.empty()) continue;
        bool same_kind = false, same = false;
        for (const Quantity& o : facts.quantities) {
            if (o.unit != q.unit) continue;
            same_kind = true;
            same = same || same_value(o.value, q.value);
        }
        if (same_kind && !same) return *other;
    }
    return std::nullopt;
}

float Attribution::cover_of(const Window& window) const
{
    const Passage& passage = passages_[window.evidence];
    const std::size_t first = window.first > 0 ? window.first - 1 : 0;
    return share_of(question_words_, passage, first, std::min(window.last + 1, passage.segments.size()));
}

std::optional<Attribution::Window> Attribution::best_for_question(std::size_t evidence) const
{
    const std::vector<Window> all = windows(question_words_, evidence);
    for (const Window& window : all)
        if (window.share >= all.front().share - kNearlyAsGood && tells(text_of(window), question_.wanted))
            return window;
    return std::nullopt;
}

}  // namespace jiphyeon
