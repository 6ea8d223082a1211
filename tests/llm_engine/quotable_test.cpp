// Quotations against slow oracles: all spans of a text by trying each, and all texts that may be written by
// trying to read them; then those that a random model writes.
#include "quotable.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "grammar.hpp"
#include "support/temp_dir.hpp"
#include "tiny_model.hpp"
#include "utf8.hpp"

namespace jiphyeon {
namespace {

// Characters with their class: letter, mark (of a syllable in several), digit, sign, point, space, other,
// quotation mark, no character at all.
const std::vector<std::pair<std::string, char>> kAlphabet = {
    {"가", 'l'},      {"나", 'l'},      {"法", 'l'}, {"\u1100\u1161", 'l'},
    {"A", 'l'},       {"e\u0301", 'l'}, {"1", 'd'},  {"2", 'd'},
    {".", 'p'},       {",", 'p'},       {"%", 'g'},  {"-", 'g'},
    {" ", 's'},       {"\u3000", 's'},  {"\n", 's'}, {"(", 'o'},
    {"」", 'o'},      {"“", 'q'},       {"”", 'q'},  {"\xff", 'x'},
    {"\xec\xa0", 'x'}};

// What is a character of two code points for the alphabet is two for us, so a text is kept as both.
struct Text {
    std::string bytes;
    std::vector<std::size_t> starts;  // of code points
    std::string classes;              // of code points
};

Text random_text(std::mt19937& random, std::size_t size)
{
    Text text;
    for (std::size_t i = 0; i < size; ++i) {
        // Spaces and letters most of the time.
        const std::size_t which =
            random() % 3 == 0 ? 12 : random() % (random() % 4 == 0 ? kAlphabet.size() : 12);
        const auto& [bytes, kind] = kAlphabet[which];
        for (std::size_t k = 0; k < bytes.size(); ++k) {
            const bool begins = (static_cast<std::uint8_t>(bytes[k]) & 0xC0) != 0x80;
            if (!begins && kind != 'x') continue;
            text.starts.push_back(text.bytes.size() + k);
            text.classes.push_back(k > 0 && bytes == "e\u0301" ? 'm' : kind);
        }
        text.bytes += bytes;
    }
    text.starts.push_back(text.bytes.size());
    return text;
}

// Whether a word or number goes on from code point i - 1 to i.
bool goes_on(const std::string& classes, std::size_t i)
{
    static const std::vector<std::pair<std::string, std::size_t>> kForms = [] {
        std::vector<std::pair<std::string, std::size_t>> forms = {{"dg", 1}, {"gd", 1}};
        for (const char any : std::string("lmdgpso")) forms.push_back({std::string{any, 'm'}, 1});
        for (const char left : std::string("lmd")) {
            for (const char right : std::string("lmd")) {
                forms.push_back({{left, right}, 1});
                for (const char between : std::string("gp"))
                    for (const std::size_t cut : {1u, 2u}) forms.push_back({{left, between, right}, cut});
            }
        }
        return forms;
    }();
    return std::any_of(kForms.begin(), kForms.end(), [&](const auto& form) {
        return i >= form.second && classes.compare(i - form.second, form.first.size(), form.first) == 0;
    });
}

struct Limits {
    std::size_t least, most;
};

// Each span and where it stands first.
std::map<std::string, std::pair<std::size_t, std::size_t>> all_spans(const std::vector<Text>& texts,
                                                                     Limits limits)
{
    std::map<std::string, std::pair<std::size_t, std::size_t>> spans;
    for (std::size_t t = 0; t < texts.size(); ++t) {
        const Text& text = texts[t];
        for (std::size_t begin = 0; begin < text.classes.size(); ++begin) {
            const std::size_t part = std::min(text.classes.find_first_of("qx", begin), text.classes.size());
            // A part begins after what is in no quotation, so that nothing goes on across it.
            if (part == begin || text.classes[begin] == 's' || goes_on(text.classes, begin)) continue;
            const auto is_end = [&](std::size_t end) {
                return text.classes[end - 1] != 's' &&
                       (end == part || !goes_on(text.classes.substr(0, part), end));
            };
            const auto add = [&](std::size_t end) {
                const std::size_t start = text.starts[begin];
                spans.emplace(text.bytes.substr(start, text.starts[end] - start), std::pair(t, start));
            };
            bool found = false;
            for (std::size_t end = begin + limits.least; end <= std::min(part, begin + limits.most); ++end) {
                if (!is_end(end)) continue;
                add(end);
                found = true;
            }
            const std::size_t longest = begin + limits.most;
            if (!found && longest <= part && text.classes[longest - 1] != 's') add(longest);
        }
    }
    return spans;
}

Quoting quoting_of(const std::vector<Text>& texts, Limits limits)
{
    Quoting quoting;
    quoting.characters_min = limits.least;
    quoting.characters_max = limits.most;
    for (const Text& text : texts) quoting.passages.push_back(text.bytes);
    return quoting;
}

std::optional<Quotable::Span> stepped(const Quotable& quotable, std::string_view bytes)
{
    std::optional<Quotable::Span> span = Quotable::Span{};
    for (const char byte : bytes) {
        if (span) span = quotable.step(*span, static_cast<std::uint8_t>(byte));
    }
    return span;
}

TEST(Quotable, SpansAreThoseThatTryingEachFinds)
{
    std::mt19937 random(3);
    for (int round = 0; round < 300; ++round) {
        const Limits limits{1 + random() % 3, 3 + random() % 8};
        std::vector<Text> texts;
        for (std::size_t i = 0; i < 1 + random() % 2; ++i)
            texts.push_back(random_text(random, 4 + random() % 20));
        const auto spans = all_spans(texts, limits);
        if (spans.empty()) {
            EXPECT_THROW(Quotable(quoting_of(texts, limits)), EngineError);
            continue;
        }
        const Quotable quotable(quoting_of(texts, limits));
        std::set<std::string> prefixes;
        for (const auto& [span, source] : spans)
            for (std::size_t n = 0; n <= span.size(); ++n) prefixes.insert(span.substr(0, n));
        for (const std::string& prefix : prefixes) {
            const auto span = stepped(quotable, prefix);
            ASSERT_TRUE(span) << prefix;
            ASSERT_EQ(quotable.may_end(*span), spans.contains(prefix)) << '[' << prefix << ']';
            std::bitset<256> next;
            quotable.add_next_bytes(*span, next);
            for (unsigned byte = 0; byte < 256; ++byte) {
                const bool expected = prefixes.contains(prefix + static_cast<char>(byte));
                ASSERT_EQ(quotable.step(*span, static_cast<std::uint8_t>(byte)).has_value(), expected)
                    << prefix;
                ASSERT_EQ(next[byte], expected) << prefix;
            }
            if (!spans.contains(prefix)) continue;
            const Quotable::Source source = quotable.source_of(*span);
            ASSERT_EQ(std::pair(source.passage, source.start), spans.at(prefix)) << prefix;
        }
    }
}

TEST(Quotable, NeitherWordsNorNumbersAreCut)
{
    const Quotable quotable(
        {.passages = {"예산은 △3.5% 늘어 1,200원(부가세 포함)이다. 위법·부당하지 아니하다."}});
    const auto whole = [&](std::string_view text) {
        const auto span = stepped(quotable, text);
        return span && quotable.may_end(*span);
    };
    EXPECT_TRUE(whole("예산은 △3.5% 늘어"));
    EXPECT_TRUE(whole("△3.5%"));
    EXPECT_TRUE(whole("1,200원"));
    EXPECT_TRUE(whole("부가세 포함"));
    EXPECT_TRUE(whole("아니하다"));
    EXPECT_TRUE(whole("아니하다."));
    EXPECT_FALSE(whole("예산"));
    EXPECT_FALSE(whole("3.5%"));
    EXPECT_FALSE(whole("△3.5"));
    EXPECT_FALSE(whole("200원"));
    EXPECT_FALSE(whole("법"));
    EXPECT_FALSE(whole("위법"));
    EXPECT_FALSE(whole(" 아니하다"));
    EXPECT_FALSE(whole("아니하다. "));
    EXPECT_FALSE(whole("늘어  1,200원"));
}

TEST(Quotable, WhatCannotBeQuotedFromIsRefused)
{
    const auto refused = [](const Quoting& quoting) {
        try {
            const Quotable quotable(quoting);
        } catch (const EngineError& error) {
            return error.kind == EngineError::Kind::bad_request;
        }
        return false;
    };
    EXPECT_FALSE(refused({.passages = {"휴가"}}));
    EXPECT_TRUE(refused({.passages = {}}));
    EXPECT_TRUE(refused({.passages = {" 가 "}})) << "shorter than any quotation";
    EXPECT_TRUE(refused({.passages = {"휴가"}, .open = ""}));
    EXPECT_TRUE(refused({.passages = {"휴가"}, .close = "’’"}));
    EXPECT_TRUE(refused({.passages = {"휴가"}, .open = "\xe2\x80"}));
    EXPECT_TRUE(refused({.passages = {"휴가"}, .characters_min = 0}));
    EXPECT_TRUE(refused({.passages = {"휴가"}, .characters_min = 9, .characters_max = 8}));
    EXPECT_TRUE(refused({.passages = {"휴가"}, .characters_max = Quotable::kCharactersMax + 1}));
    EXPECT_TRUE(refused({.passages = {std::string(Quotable::kPassageBytesMax, 'a'), "b"}}));
}

// A passage of one word again and again makes places that differ only at their far ends.
TEST(Quotable, APassageThatRepeatsItselfCostsNoMore)
{
    std::string text;
    while (text.size() + 4 <= Quotable::kPassageBytesMax) text += "가 ";
    const Quotable quotable({.passages = {text}, .characters_max = Quotable::kCharactersMax});
    const auto span = stepped(quotable, text.substr(0, 4 * 500 - 1));
    ASSERT_TRUE(span);
    EXPECT_TRUE(quotable.may_end(*span));
    EXPECT_EQ(quotable.source_of(*span).start, 0u);
    EXPECT_FALSE(stepped(quotable, text.substr(0, 4 * 500)));
}

GrammarState state_of(std::string_view grammar, const Quoting& quoting)
{
    return GrammarState(Grammar::parse(grammar, std::make_shared<Quotable>(quoting)));
}

std::string refusal_of(std::string_view grammar, bool with_passages)
{
    try {
        Grammar::parse(grammar, with_passages ? std::make_shared<Quotable>(Quoting{.passages = {"휴가 규정"}})
                                              : nullptr);
    } catch (const EngineError& error) {
        EXPECT_EQ(error.kind, EngineError::Kind::bad_request);
        return error.what();
    }
    return "";
}

TEST(QuotingGrammar, TheOpeningMarkStandsNowhereElse)
{
    EXPECT_NE(refusal_of("root ::= <quote>", false).find("passages"), std::string::npos);
    EXPECT_NE(refusal_of("root ::= \"“\" .", true).find("opening"), std::string::npos);
    EXPECT_EQ(refusal_of("root ::= \"“\" .", false), "");
    EXPECT_EQ(refusal_of("root ::= [“”]", true), "");
    GrammarState state = state_of("root ::= [^a-z]+ | <quote>", {.passages = {"휴가 규정"}});
    EXPECT_TRUE(state.accepts("‘’"));
    EXPECT_FALSE(state.accepts("가“휴가"));
    EXPECT_TRUE(state.accepts("“휴가”"));
    EXPECT_FALSE(state.accepts("“휴일”"));
}

TEST(QuotingGrammar, WhatIsCertainIsForced)
{
    GrammarState state =
        state_of("root ::= <quote> \".\"", {.passages = {"휴가 규정", "휴직 규정"}, .characters_min = 5});
    EXPECT_EQ(state.forced(), "“휴");
    ASSERT_TRUE(state.advance("“휴직"));
    EXPECT_EQ(state.forced(), " 규정”.");
    ASSERT_TRUE(state.advance(state.forced()));
    ASSERT_EQ(state.quoted().size(), 1u);
    EXPECT_TRUE(state.must_end());
}

// The ideographic space and 」 share two of their three bytes.
TEST(QuotingGrammar, OnlyTheWholeClosingMarkClosesAQuotation)
{
    const Quoting quoting{.passages = {"휴가　규정"}, .open = "「", .close = "」"};
    for (const bool bytewise : {false, true}) {
        GrammarState state = state_of("root ::= <quote>", quoting);
        const std::string text = "「휴가　규정」";
        for (std::size_t i = 0; i < text.size(); i += bytewise ? 1 : text.size())
            ASSERT_TRUE(state.advance(std::string_view(text).substr(i, bytewise ? 1 : text.size())));
        ASSERT_EQ(state.quoted().size(), 1u);
        EXPECT_EQ(state.quoted()[0].end, text.size() - 3);
        EXPECT_EQ(state.quoted()[0].span.bytes, quoting.passages[0].size());
    }
}

TEST(QuotingGrammar, NoServerIsToldOfIt)
{
    try {
        state_of("root ::= <quote>", {.passages = {"휴가 규정"}}).until_slot();
        ADD_FAILURE() << "told";
    } catch (const EngineError& error) {
        EXPECT_EQ(error.kind, EngineError::Kind::unsupported);
    }
}

// A reader of what `(. | <quote>)*` allows, which tries everything.
class SlowReader {
public:
    SlowReader(std::set<std::string> spans, const Quoting& quoting)
        : spans_(std::move(spans)), open_(quoting.open), close_(quoting.close)
    {
    }
    // Whether some text that is allowed begins so.
    bool allows(std::string_view text) const
    {
        while (!text.empty()) {
            if (open_.starts_with(text)) return true;
            if (text.starts_with(open_)) {
                text.remove_prefix(open_.size());
                const std::optional<std::size_t> size = quotation(text);
                if (!size) return false;
                text.remove_prefix(*size);
                continue;
            }
            const std::size_t length = first_character(text).length;
            if (length == 0) return begins_character(std::string(text));
            text.remove_prefix(length);
        }
        return true;
    }

private:
    static bool begins_character(const std::string& text)
    {
        if (first_character(text).length == text.size()) return true;
        // The second bytes that may follow are such a range for each first one that one of these is in it.
        return text.size() < 4 && (begins_character(text + '\x80') || begins_character(text + '\x90') ||
                                   begins_character(text + '\xa0'));
    }
    // Bytes of a text that are a quotation without its opening mark or the beginning of one.
    std::optional<std::size_t> quotation(std::string_view text) const
    {
        for (const std::string& span : spans_) {
            const std::string whole = span + close_;
            if (text.starts_with(whole)) return whole.size();
            if (whole.starts_with(text)) return text.size();
        }
        return std::nullopt;
    }
    std::set<std::string> spans_;
    std::string open_, close_;
};

// Tokens that end anywhere: inside a character, inside a mark, before, in and behind a quotation.
std::vector<std::string> random_vocabulary(std::mt19937& random, const Quoting& quoting)
{
    std::vector<std::string> pieces = {quoting.open,
                                       quoting.close,
                                       " ",
                                       "가",
                                       quoting.open.substr(0, 1),
                                       quoting.close.substr(quoting.close.size() - 1)};
    for (int i = 0; i < 120; ++i) {
        const std::string& passage = quoting.passages[random() % quoting.passages.size()];
        std::string piece = passage.substr(random() % passage.size(), 1 + random() % 9);
        if (random() % 6 == 0) piece = quoting.open.substr(random() % quoting.open.size()) + piece;
        if (random() % 6 == 0) piece += quoting.close.substr(0, 1 + random() % quoting.close.size());
        pieces.push_back(piece);
    }
    return pieces;
}

TEST(QuotingGrammar, MasksOfRandomVocabulariesAreThoseOfASlowReader)
{
    std::mt19937 random(11);
    const std::vector<std::pair<std::string, std::string>> marks = {{"“", "”"}, {"「", "」"}, {"\"", "\""}};
    std::size_t quotes = 0;
    for (int round = 0; round < 60; ++round) {
        std::vector<Text> texts;
        for (std::size_t i = 0; i < 1 + random() % 3; ++i)
            texts.push_back(random_text(random, 10 + random() % 30));
        const Limits limits{1 + random() % 3, 4 + random() % 12};
        Quoting quoting = quoting_of(texts, limits);
        std::tie(quoting.open, quoting.close) = marks[static_cast<std::size_t>(round) % marks.size()];
        // The alphabet's quotation marks are the first pair; the others' are cut out beforehand.
        if (quoting.open != "“") {
            for (Text& text : texts) {
                for (std::size_t i = 0; i < text.classes.size(); ++i) {
                    const std::string each =
                        text.bytes.substr(text.starts[i], text.starts[i + 1] - text.starts[i]);
                    if (text.classes[i] == 'q') text.classes[i] = 'o';
                    if (each == quoting.open || each == quoting.close) text.classes[i] = 'q';
                }
            }
        }
        std::set<std::string> spans;
        for (const auto& [span, source] : all_spans(texts, limits)) spans.insert(span);
        if (spans.empty()) continue;
        const SlowReader slow(spans, quoting);
        const std::vector<std::string> vocabulary = random_vocabulary(random, quoting);
        GrammarState state = state_of("root ::= (. | <quote>)*", quoting);
        std::string text;
        for (int step = 0; step < 40; ++step) {
            std::vector<const std::string*> allowed;
            for (const std::string& piece : vocabulary) {
                const bool fast = state.accepts(piece);
                ASSERT_EQ(fast, slow.allows(text + piece)) << '[' << text << "] + [" << piece << ']';
                if (fast) allowed.push_back(&piece);
            }
            if (allowed.empty()) break;  // of so few tokens none may fit
            const std::string& chosen = *allowed[random() % allowed.size()];
            ASSERT_TRUE(state.advance(chosen));
            text += chosen;
        }
        for (const GrammarState::Quoted& quoted : state.quoted()) {
            const Quotable::Source source = state.grammar().quotable()->source_of(quoted.span);
            const std::string words = text.substr(quoted.end - quoted.span.bytes, quoted.span.bytes);
            EXPECT_TRUE(spans.contains(words)) << words;
            EXPECT_EQ(quoting.passages[source.passage].substr(source.start, words.size()), words);
            EXPECT_TRUE(std::string_view(text).substr(quoted.end).starts_with(quoting.close));
            EXPECT_TRUE(std::string_view(text).substr(0, quoted.end - words.size()).ends_with(quoting.open));
            ++quotes;
        }
    }
    EXPECT_GT(quotes, 50u);
}

class QuotingEngine : public ::testing::Test {
protected:
    void SetUp() override
    {
        const auto path = folder_.path() / "tiny.gguf";
        test::TinyOptions options;
        options.width = 128;
        options.inner = 256;
        std::ofstream(path, std::ios::binary) << test::tiny_model(options);
        engine_ = open_engine(path, {.context_tokens = 1024});
        request_.prompt = engine_->tokenizer().encode("질문: 휴직 기간은?");
        request_.max_tokens = 400;
        request_.quoting.passages = {
            "제12조(휴직) ① 휴직 기간은 2년 이내로 한다. 다만, \u1112\u1172\u110c\u1175\u11a8은 제외한다.",
            "휴직 기간은 1,095일(3년)을 넘지 못한다. 法令에 “특별한 규정”이 있는 경우는 그러하지 아니하다."};
    }
    void expect_verbatim(const Generated& out) const
    {
        std::size_t from = 0;
        for (const Quote& quote : out.quotes) {
            ASSERT_LT(quote.start, quote.end);
            ASSERT_LE(quote.end, out.text.size());
            const std::string words = out.text.substr(quote.start, quote.end - quote.start);
            EXPECT_EQ(request_.quoting.passages.at(quote.passage).substr(quote.passage_start, words.size()),
                      words);
            EXPECT_EQ(out.text.find(request_.quoting.open, from) + request_.quoting.open.size(), quote.start);
            EXPECT_TRUE(std::string_view(out.text).substr(quote.end).starts_with(request_.quoting.close));
            from = quote.end;
        }
        // What was not closed is the beginning of a span.
        const std::size_t last = out.text.find(request_.quoting.open, from);
        if (last == std::string::npos) return;
        const std::string rest = out.text.substr(last + request_.quoting.open.size());
        const auto& passages = request_.quoting.passages;
        EXPECT_TRUE(std::any_of(passages.begin(), passages.end(), [&](const std::string& passage) {
            return passage.find(rest) != std::string::npos;
        })) << rest;
    }

    test::TempDir folder_;
    std::unique_ptr<Engine> engine_;
    GenerateRequest request_;
};

TEST_F(QuotingEngine, WhateverARandomModelQuotesIsVerbatim)
{
    std::size_t quotes = 0;
    for (unsigned seed = 0; seed < 24; ++seed) {
        request_.sampling = {.temperature = 2, .top_k = 0, .top_p = 1, .seed = seed};
        request_.grammar = seed % 2 == 0 ? "root ::= ([a-z가-힣 ]{0,2} <quote> [가-힣]*){1,20}" : "";
        request_.quoting.open = seed % 3 == 0 ? "「" : "“";
        request_.quoting.close = seed % 3 == 0 ? "」" : "”";
        const Generated out = engine_->generate(request_, {});
        expect_verbatim(out);
        quotes += out.quotes.size();
    }
    EXPECT_GT(quotes, 24u);
}

// Slots are filled between quotations, also with marks that belong to nobody.
TEST_F(QuotingEngine, PlacesOfQuotationsCountWhatSlotsWereFilledWith)
{
    request_.grammar = "root ::= (<quote> \".\" <slot:cite>){3}";
    request_.sampling = {.temperature = 1, .seed = 5};
    GenerateEvents events;
    std::vector<std::string> before;
    events.on_slot = [&](std::string_view, std::string_view since) {
        before.emplace_back(since);
        return GenerateEvents::SlotFill{.text = " [" + std::to_string(before.size()) + "쪽] ", .stop = false};
    };
    const Generated out = engine_->generate(request_, events);
    ASSERT_EQ(out.quotes.size(), 3u);
    expect_verbatim(out);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ("“" + out.text.substr(out.quotes[i].start, out.quotes[i].end - out.quotes[i].start) + "”.",
                  before[i]);
}

TEST_F(QuotingEngine, AStopTextInAQuotationEndsItUnlisted)
{
    request_.quoting.passages = {"휴직 기간"};
    request_.quoting.characters_min = 5;
    request_.grammar = "root ::= <quote>";
    EXPECT_EQ(engine_->generate(request_, {}).quotes.size(), 1u);
    request_.stop = {"간”"};
    const Generated out = engine_->generate(request_, {});
    EXPECT_EQ(out.text, "“휴직 기");
    EXPECT_TRUE(out.quotes.empty());
}

}  // namespace
}  // namespace jiphyeon
