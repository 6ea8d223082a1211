// Grammars against std::regex as a slow oracle on every short text, and the parts that an oracle has not:
// bytes of split characters, slots, forced text, bounds.
#include "grammar.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <regex>
#include <set>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {
namespace {

GrammarState state_of(std::string_view grammar)
{
    return GrammarState(Grammar::parse(grammar));
}

bool matches(std::string_view grammar, std::string_view text)
{
    GrammarState state = state_of(grammar);
    return state.advance(text) && state.may_end();
}

std::string error_of(std::string_view grammar)
{
    try {
        Grammar::parse(grammar);
    } catch (const EngineError& error) {
        EXPECT_EQ(error.kind, EngineError::Kind::bad_request);
        return error.what();
    }
    return "";
}

void for_all_texts(std::string_view alphabet, std::size_t length,
                   const std::function<void(const std::string&)>& check)
{
    std::vector<std::string> texts = {""};
    for (std::size_t i = 0; i < texts.size(); ++i) {
        check(texts[i]);
        if (texts[i].size() == length) continue;
        for (const char c : alphabet) texts.push_back(texts[i] + c);
    }
}

struct Pair {
    const char* grammar;
    const char* regex;
};

// A text is a living prefix exactly when a text of the language, not much longer, begins with it. The bodies
// are chosen so that two more characters are always enough to finish.
TEST(Grammar, AgreesWithRegularExpressionsOnEveryShortText)
{
    const std::vector<Pair> pairs = {
        {"root ::= \"ab\"* | \"a\" [bc]? \"c\"", "(ab)*|a[bc]?c"},
        {"root ::= (\"a\" | \"b\" c)+ [^ab]?\nc ::= \"c\"", "(a|bc)+[^ab]?"},
        {"root ::= [a-b]{2,4} \"c\"?", "[ab]{2,4}c?"},
        {"root ::= (\"a\" | \"ab\" | \"b\")* \"c\"", "(a|ab|b)*c"},
        {"root ::= (\"a\"? \"b\"?)* \"c\"{2}", "(a?b?)*cc"},
        {"root ::= x y | y x # two orders\nx ::= \"a\"{1,}\ny ::= \"b\" | (\"c\"\n  \"a\")",
         "a+(b|ca)|(b|ca)a+"},
        {"root ::= . [^c] .", "[abc][^c][abc]"},
        {"root ::= (\"a\"{0,2}){2} \"b\"", "a{0,4}b"},
    };
    for (const Pair& pair : pairs) {
        const std::regex oracle(pair.regex);
        std::set<std::string> prefixes;
        for_all_texts("abc", 8, [&](const std::string& text) {
            if (!std::regex_match(text, oracle)) return;
            for (std::size_t n = 0; n <= text.size(); ++n) prefixes.insert(text.substr(0, n));
        });
        for_all_texts("abc", 6, [&](const std::string& text) {
            EXPECT_EQ(matches(pair.grammar, text), std::regex_match(text, oracle))
                << pair.grammar << " on " << text;
            EXPECT_EQ(state_of(pair.grammar).accepts(text), prefixes.contains(text) || text.empty())
                << pair.grammar << " on prefix " << text;
        });
    }
}

TEST(Grammar, ReadsWhatJsonGrammarsUse)
{
    constexpr std::string_view kJson = R"gbnf(
root   ::= value
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::= "[" ws (value ("," ws value)*)? "]" ws
string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
)gbnf";
    EXPECT_TRUE(matches(kJson, R"({"제목": "휴직 \"규정\"", "쪽": [1, -2.5e3, {}], "참": true})"));
    EXPECT_FALSE(matches(kJson, R"({"제목": })"));
    EXPECT_FALSE(matches(kJson, "\"\x1F\""));
    EXPECT_TRUE(matches(kJson, "\"\\uAC00\""));
    EXPECT_FALSE(matches(kJson, "\"\\uAC0\""));
}

// One byte at a time must decide like the whole: a token may end inside a syllable.
TEST(Grammar, TakesCharactersInPiecesOfBytes)
{
    constexpr std::string_view kGrammar = "root ::= [가-힣]+ [^가-힣ㄱ-ㅎ]";
    const std::string text = "한국어😀";
    GrammarState state = state_of(kGrammar);
    for (const char c : text) {
        EXPECT_FALSE(state.may_end());
        ASSERT_TRUE(state.advance(std::string_view(&c, 1)));
    }
    EXPECT_TRUE(state.must_end());

    GrammarState inside = state_of(kGrammar);
    ASSERT_TRUE(inside.advance("\xED"));       // 툀 to 힣 begin so
    EXPECT_TRUE(inside.accepts("\x9E\xA3"));   // 힣
    EXPECT_FALSE(inside.accepts("\x9E\xA4"));  // U+D7A4, no syllable
    EXPECT_FALSE(inside.accepts("\xA0"));      // a surrogate
    EXPECT_FALSE(inside.accepts("가"));
    EXPECT_FALSE(state_of(kGrammar).accepts("ㄱ"));
    EXPECT_FALSE(state_of("root ::= [^a]").accepts("\xC0"));  // never in UTF-8
}

// Every code point of some ranges, so that each border of the cut into bytes is met.
TEST(Grammar, ClassesHoldExactlyTheirCharacters)
{
    const auto utf8 = [](std::uint32_t c) {
        std::string out;
        if (c < 0x80) {
            out += static_cast<char>(c);
        } else if (c < 0x800) {
            out += static_cast<char>(0xC0 | c >> 6);
        } else if (c < 0x10000) {
            out += static_cast<char>(0xE0 | c >> 12);
            out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
        } else {
            out += static_cast<char>(0xF0 | c >> 18);
            out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
            out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
        }
        if (c >= 0x80) out += static_cast<char>(0x80 | (c & 0x3F));
        return out;
    };
    struct Case {
        const char* text;
        std::uint32_t first, last;
    };
    const std::vector<Case> cases = {{"\\x41-\\U00010FFF", 0x41, 0x10FFF},
                                     {"\\u07F0-\\u0810", 0x7F0, 0x810},
                                     {"\\uAC00-\\uD7A3", 0xAC00, 0xD7A3},
                                     {"\\uFFF0-\\U00020100", 0xFFF0, 0x20100}};
    for (const Case& each : cases) {
        const GrammarState in = state_of("root ::= [" + std::string(each.text) + "]");
        const GrammarState out = state_of("root ::= [^" + std::string(each.text) + "]");
        for (std::uint32_t c = 1; c <= 0x10FFFF; c += c > 0x21000 ? 0x1001 : 1) {
            if (c >= 0xD800 && c <= 0xDFFF) continue;
            const bool inside = c >= each.first && c <= each.last;
            ASSERT_EQ(in.accepts(utf8(c)), inside) << each.text << " U+" << std::hex << c;
            ASSERT_EQ(out.accepts(utf8(c)), !inside) << each.text << " U+" << std::hex << c;
        }
    }
}

TEST(Grammar, StopsAtASlotUntilItIsPassed)
{
    GrammarState state = state_of("root ::= (sentence <slot:cite>){1,2}\nsentence ::= [^.]+ \".\"");
    EXPECT_FALSE(state.at_slot());
    ASSERT_TRUE(state.advance("휴직은 1년이다."));
    ASSERT_EQ(state.at_slot(), "cite");
    EXPECT_FALSE(state.may_end());
    EXPECT_FALSE(state.accepts("그"));
    EXPECT_TRUE(state.first_bytes().none());
    state.pass_slot("cite");
    EXPECT_TRUE(state.may_end());
    EXPECT_TRUE(state.accepts("그"));
    EXPECT_FALSE(state.accepts("끝.다"));  // not across the next slot
    ASSERT_TRUE(state.advance("둘째."));
    state.pass_slot("cite");
    EXPECT_TRUE(state.must_end());
}

TEST(Grammar, ASlotBesideTextIsOnlyPossible)
{
    GrammarState optional = state_of("root ::= \"a\" (<slot:x>)?");
    ASSERT_TRUE(optional.advance("a"));
    EXPECT_FALSE(optional.at_slot());  // it may end instead
    EXPECT_TRUE(optional.may_end());
    GrammarState state = state_of("root ::= \"1.\" ([0-9]+ | <slot:a> \"x\" | <slot:b>)");
    ASSERT_TRUE(state.advance("1."));
    EXPECT_FALSE(state.at_slot());
    EXPECT_EQ(state.may_slot(), "a");
    GrammarState digits = state;
    ASSERT_TRUE(digits.advance("5"));
    EXPECT_FALSE(digits.may_slot());
    GrammarState second = state;
    second.pass_slot("b");
    EXPECT_TRUE(second.must_end());
    state.pass_slot("a");
    EXPECT_EQ(state.forced(), "x");
}

TEST(Grammar, ForcedTextIsTheOnlyOneAndWholeCharacters)
{
    GrammarState state = state_of("root ::= \"[문서:\" (\"가나\" | \"가다\") \"]\" \"끝\"?");
    EXPECT_EQ(state.forced(), "[문서:가");  // 나 and 다 begin with the same byte
    ASSERT_TRUE(state.advance(state.forced()));
    EXPECT_EQ(state.forced(), "");
    ASSERT_TRUE(state.advance("다"));
    EXPECT_EQ(state.forced(), "]");
    ASSERT_TRUE(state.advance("]"));
    EXPECT_TRUE(state.may_end());
    EXPECT_EQ(state.forced(), "");  // it may end here
    ASSERT_TRUE(state.advance("\xEB"));
    EXPECT_EQ(state.forced(), "");  // inside a character
}

TEST(Grammar, ForcedTextOfAnEndlessLoopIsBounded)
{
    EXPECT_EQ(state_of("root ::= \"가\" root").forced().size(), 4095u);
    const GrammarState nest = state_of("root ::= \"(\" root \")\"");  // ends where nesting may go no deeper
    EXPECT_LE(nest.forced().size(), Grammar::kDepthMax + 1);
    EXPECT_TRUE(nest.accepts(nest.forced()));
}

TEST(Grammar, ARefusedPieceChangesNothing)
{
    GrammarState state = state_of("root ::= (\"(\" root \")\")? \"x\"");
    ASSERT_TRUE(state.advance("(("));
    EXPECT_FALSE(state.advance("(x)y"));
    EXPECT_FALSE(state.accepts(")"));
    ASSERT_TRUE(state.advance("x)"));
    ASSERT_TRUE(state.advance("x)x"));
    EXPECT_TRUE(state.must_end());
}

// Frames of finished calls are dropped on the way; nesting is bounded, right recursion is not.
TEST(Grammar, LongTextsAndDeepNestingStayBounded)
{
    GrammarState list =
        state_of("root ::= item root | item\nitem ::= \"(\" item \")\" | [a-z] word\nword ::= [가-힣]*");
    for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(list.advance("((a가))"));
    EXPECT_TRUE(list.may_end());

    GrammarState nest = state_of("root ::= \"(\" root \")\" | \"x\"");
    std::size_t depth = 0;
    while (nest.advance("(")) ++depth;
    EXPECT_GE(depth, 200u);
    EXPECT_LE(depth, Grammar::kDepthMax);
    ASSERT_TRUE(nest.advance("x"));
    for (std::size_t i = 0; i < depth; ++i) ASSERT_TRUE(nest.advance(")"));
    EXPECT_TRUE(nest.must_end());
}

// More different stacks than are kept: each is dropped after its use without touching those that live.
TEST(Grammar, ClosersAnswerTheirOpenersAfterThousandsOfNestings)
{
    GrammarState state =
        state_of("root ::= item* \"end\"\nitem ::= \"(\" item \")\" | \"[\" item \"]\" | \"x\"");
    for (unsigned round = 0; round < 4096; ++round) {
        std::string closers;
        for (unsigned bit = 0; bit < 13; ++bit) {
            const bool square = ((round * 2654435761u) >> bit & 1) != 0;
            ASSERT_TRUE(state.advance(square ? "[" : "("));
            closers.insert(closers.begin(), square ? ']' : ')');
        }
        ASSERT_TRUE(state.advance("x"));
        for (const char& closer : closers) {
            ASSERT_FALSE(state.accepts(closer == ']' ? ")" : "]"));
            ASSERT_TRUE(state.advance({&closer, 1}));
        }
    }
    ASSERT_TRUE(state.advance("end"));
    EXPECT_TRUE(state.must_end());
}

TEST(Grammar, BadGrammarsAreRefusedWithTheirPlace)
{
    EXPECT_NE(error_of("root ::= \"a\"\nb ::= missing").find("line 2, column 7"), std::string::npos);
    EXPECT_NE(error_of("root ::= \"a").find("literal without an end"), std::string::npos);
    EXPECT_NE(error_of("a ::= \"x\"").find("'root'"), std::string::npos);
    EXPECT_NE(error_of("root ::= [z-a]").find("backwards"), std::string::npos);
    EXPECT_NE(error_of("root ::= \"a\"{3,2}").find("reversed"), std::string::npos);
    EXPECT_NE(error_of("root ::= \"a\"{99999}").find("repetition of more"), std::string::npos);
    EXPECT_NE(error_of("root ::= ([a-z]{5000}){5000}").find("too large"), std::string::npos);
    EXPECT_NE(error_of("root ::= <other:x>").find("<slot:NAME>"), std::string::npos);
    EXPECT_NE(error_of("root ::= \"\\q\"").find("escape"), std::string::npos);
    EXPECT_NE(error_of("root ::= \"\xFF\"").find("UTF-8"), std::string::npos);
    EXPECT_NE(error_of("root ::= \"\\uD800\"").find("no such character"), std::string::npos);
    EXPECT_NE(error_of("root ::= \"a\"\nroot ::= \"b\"").find("twice"), std::string::npos);
    EXPECT_NE(error_of(std::string(Grammar::kTextMax + 1, ' ')), "");
    EXPECT_NE(error_of("root ::= " + std::string(500, '(')).find("nest"), std::string::npos);
    EXPECT_EQ(error_of("root ::= (((\"\"){9999}){9999}){9999} \"a\""), "");
}

TEST(Grammar, LeftRecursionIsRefusedAlsoThroughEmptyRules)
{
    EXPECT_NE(error_of("root ::= root \"a\" | \"b\"").find("left-recursive"), std::string::npos);
    EXPECT_NE(error_of("root ::= e x\ne ::= \"\"?\nx ::= e root").find("left-recursive"), std::string::npos);
    EXPECT_NE(error_of("root ::= <slot:a> root").find("left-recursive"), std::string::npos);
    EXPECT_EQ(error_of("root ::= \"a\" root?"), "");
}

// A text fits what until_slot() writes exactly when it can be taken and a slot or the end may come then.
void expect_until_slot(const GrammarState& state, std::string_view alphabet)
{
    const auto until = Grammar::parse(state.until_slot());
    std::size_t fitting = 0;
    for_all_texts(alphabet, 5, [&](const std::string& text) {
        GrammarState here = state;
        const bool fits = here.advance(text) && (here.may_slot() || here.may_end());
        GrammarState there{until};
        EXPECT_EQ(there.advance(text) && there.may_end(), fits) << "\"" << text << "\" in\n"
                                                                << state.until_slot();
        fitting += fits ? 1 : 0;
    });
    EXPECT_GT(fitting, 0u);
}

TEST(GrammarUntilSlot, AllowsTheTextsUpToTheNextSlotAndNoOthers)
{
    for (const char* grammar : {
             "root ::= \"a\" [bc]* <slot:x> \"c\"",
             "root ::= (\"a\" b <slot:x>)* \"c\"\nb ::= \"b\" | \"c\" b",
             "root ::= \"a\" inner \"c\" | \"b\"\ninner ::= \"b\" | \"c\" <slot:x> \"a\"",
             "root ::= \"a\" root \"b\" | \"c\" <slot:x> | \"b\"",
             "root ::= (\"a\" | <slot:x>) \"b\"",
             "root ::= endless | \"ab\"\nendless ::= \"a\" endless",
         }) {
        expect_until_slot(state_of(grammar), "abc");
    }
}

TEST(GrammarUntilSlot, GoesOnBehindASlotInsideOfCalls)
{
    GrammarState state =
        state_of("root ::= \"a\" outer \"b\"\nouter ::= inner \"c\" | inner\ninner ::= \"b\" <slot:x> [ac]?");
    ASSERT_TRUE(state.advance("ab"));
    state.pass_slot("x");
    expect_until_slot(state, "abc");
}

TEST(GrammarUntilSlot, WritesCharactersOfEveryLengthInTheirRanges)
{
    const auto until = Grammar::parse(state_of("root ::= [^다\\n] <slot:x>").until_slot());
    const auto fits = [&](std::string_view text) {
        GrammarState state{until};
        return state.advance(text) && state.may_end();
    };
    for (const char* text : {"a", "\x7f", "\u0080", "\u07ff", "\u0800", "단", "닣", "\ud7ff", "\ue000",
                             "\uffff", "\U00010000", "\U0010ffff"})
        EXPECT_TRUE(fits(text)) << text;
    for (const char* text : {"다", "\n", "ab", ""}) EXPECT_FALSE(fits(text)) << text;
}

TEST(GrammarUntilSlot, SaysSoWhereNoFiniteTextFits)
{
    EXPECT_THROW(state_of("root ::= \"a\" root").until_slot(), EngineError);
}

}  // namespace
}  // namespace jiphyeon
