// Small made vocabularies against slow algorithms that try everything, then the real vocabularies against ids
// that the reference implementations gave (data/tokens_*.jsonl, made by bench/tokenizers.py --freeze).
#include "tokenizer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "gguf_writer.hpp"
#include "model_files.hpp"
#include "tokenizer_ugm.hpp"

namespace jiphyeon {
namespace {

using test::GgufWriter;

// The file's spelling of a byte, for the bytes that the tests use.
std::string spelt(unsigned char byte)
{
    const auto two = [](unsigned c) {
        return std::string{static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
    };
    if (byte >= '!' && byte <= '~') return std::string(1, static_cast<char>(byte));
    if ((byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE) return two(byte);
    if (byte <= ' ') return two(0x100u + byte);
    return two(byte <= 0xA0 ? 0x121u + byte - 0x7F : 0x143u);
}

struct BpeFile {
    std::vector<std::string> tokens;
    std::vector<std::string> merges;
    std::vector<std::int32_t> types;

    BpeFile()
    {
        for (unsigned byte = 0; byte < 256; ++byte) add(spelt(static_cast<unsigned char>(byte)), 1);
    }
    std::int32_t add(const std::string& text, std::int32_t type)
    {
        tokens.push_back(text);
        types.push_back(type);
        return static_cast<std::int32_t>(tokens.size() - 1);
    }
    std::int32_t merge(std::int32_t left, std::int32_t right)
    {
        const std::string a = tokens[static_cast<std::size_t>(left)];
        const std::string b = tokens[static_cast<std::size_t>(right)];
        merges.push_back(a + " " + b);
        return add(a + b, 1);
    }
    std::string file(const std::string& pre = "qwen2") const
    {
        GgufWriter writer;
        writer.string("tokenizer.ggml.model", "gpt2");
        writer.string("tokenizer.ggml.pre", pre);
        writer.strings("tokenizer.ggml.tokens", tokens);
        writer.integers("tokenizer.ggml.token_type", types);
        writer.strings("tokenizer.ggml.merges", merges);
        return writer.finish();
    }
};

std::unique_ptr<Tokenizer> tokenizer_of(const std::string& bytes)
{
    return make_tokenizer(Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}));
}

EngineError::Kind error_of(const std::string& bytes)
{
    try {
        tokenizer_of(bytes);
    } catch (const EngineError& error) {
        return error.kind;
    }
    ADD_FAILURE() << "no error";
    return EngineError::Kind::io;
}

TEST(BpeTokenizer, MergesLikeTheTextbookOnRandomVocabularies)
{
    std::mt19937 random(3);
    const auto pick = [&](std::size_t n) {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
    };
    for (int round = 0; round < 60; ++round) {
        BpeFile made;
        struct Merge {
            TokenId left, right, result;
        };
        std::vector<Merge> merges;
        std::vector<TokenId> usable = {'a', 'b', 'c'};
        std::map<std::string, TokenId> known;
        for (int i = 0; i < 12; ++i) {
            const TokenId left = usable[pick(usable.size())];
            const TokenId right = usable[pick(usable.size())];
            const std::string text =
                made.tokens[static_cast<std::size_t>(left)] + made.tokens[static_cast<std::size_t>(right)];
            if (known.contains(text)) continue;
            merges.push_back({left, right, made.merge(left, right)});
            known[text] = merges.back().result;
            usable.push_back(merges.back().result);
        }
        const auto tokenizer = tokenizer_of(made.file());
        for (int i = 0; i < 100; ++i) {
            std::string text;
            for (std::size_t n = 1 + pick(24); n > 0; --n) text += static_cast<char>('a' + pick(3));
            std::vector<TokenId> expected(text.begin(), text.end());
            for (bool merged = true; merged;) {  // the earliest merge that applies, at its leftmost place
                merged = false;
                for (const Merge& merge : merges) {
                    const std::array<TokenId, 2> pair = {merge.left, merge.right};
                    const auto at = std::search(expected.begin(), expected.end(), pair.begin(), pair.end());
                    if (at == expected.end()) continue;
                    *at = merge.result;
                    expected.erase(at + 1);
                    merged = true;
                    break;
                }
            }
            ASSERT_EQ(tokenizer->encode(text), expected) << text;
        }
    }
}

TEST(BpeTokenizer, AnyBytesComeBackFromTheirTokens)
{
    BpeFile made;
    made.merge(0xEA, 0xB0);
    const auto tokenizer = tokenizer_of(made.file());
    std::mt19937 random(4);
    for (int i = 0; i < 300; ++i) {
        std::string text(random() % 40, ' ');
        for (char& c : text) c = static_cast<char>(random());
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    }
}

TEST(BpeTokenizer, TextNeverBecomesAControlTokenButUserDefinedOnesAreCutOut)
{
    BpeFile made;
    const TokenId control = made.add("<|im_end|>", 3);
    const TokenId longer = made.add("<tool_call>", 4);
    const TokenId shorter = made.add("<tool", 4);
    made.add("[PAD]", 5);
    const auto tokenizer = tokenizer_of(made.file());
    EXPECT_EQ(tokenizer->control("<|im_end|>"), control);
    EXPECT_FALSE(tokenizer->control("<tool_call>"));
    EXPECT_TRUE(tokenizer->ends_generation(control));
    EXPECT_EQ(tokenizer->piece(control), "");
    const std::vector<TokenId> ids = tokenizer->encode("<|im_end|>[PAD]");
    EXPECT_EQ(ids.size(), std::string("<|im_end|>[PAD]").size());  // one per byte
    EXPECT_EQ(tokenizer->encode("a<tool_call><tool"), (std::vector<TokenId>{'a', longer, shorter}));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("a<tool_call><tool")), "a<tool_call><tool");
}

TEST(BpeTokenizer, WholeWordsAndTheStartTokenFollowTheRule)
{
    BpeFile made;
    made.add("abc", 1);  // no merge leads there
    EXPECT_EQ(tokenizer_of(made.file("llama-bpe"))->encode("abc"), std::vector<TokenId>{256});
    EXPECT_EQ(tokenizer_of(made.file("qwen2"))->encode("abc"), (std::vector<TokenId>{'a', 'b', 'c'}));
}

// Quadratic merging of these would take hours.
TEST(BpeTokenizer, AMegabyteWithoutASpaceIsTokenized)
{
    BpeFile made;
    TokenId last = 'a';
    for (int i = 0; i < 6; ++i) last = made.merge(last, last);
    const auto tokenizer = tokenizer_of(made.file());
    const std::string run(1u << 20, 'a');
    EXPECT_EQ(tokenizer->encode(run), std::vector<TokenId>((1u << 20) / 64, last));
}

TEST(BpeTokenizer, WhatNoContextCouldHoldIsRefused)
{
    const auto tokenizer = tokenizer_of(BpeFile().file());
    try {
        tokenizer->encode(std::string((16u << 20) + 1, 'a'));
        ADD_FAILURE() << "no error";
    } catch (const EngineError& error) {
        EXPECT_EQ(error.kind, EngineError::Kind::too_large);
    }
}

TEST(BpeTokenizer, UnsoundFilesAreRefused)
{
    BpeFile lacks_byte;
    lacks_byte.tokens[7] = "zz";
    EXPECT_EQ(error_of(lacks_byte.file()), EngineError::Kind::malformed);
    BpeFile lacks_result;
    lacks_result.merges.push_back("a b");
    EXPECT_EQ(error_of(lacks_result.file()), EngineError::Kind::malformed);
    BpeFile no_pair;
    no_pair.merges.push_back("ab");
    EXPECT_EQ(error_of(no_pair.file()), EngineError::Kind::malformed);
    BpeFile bad_type;
    bad_type.types[0] = 9;
    EXPECT_EQ(error_of(bad_type.file()), EngineError::Kind::malformed);
    EXPECT_EQ(error_of(BpeFile().file("unheard-of")), EngineError::Kind::unsupported);
}

TEST(BpeTokenizer, OfUserDefinedTokensTheFirstThenTheLongestIsCutOut)
{
    BpeFile made;
    const TokenId ab = made.add("ab", 4);
    const TokenId abc = made.add("abc", 4);
    const TokenId bcd = made.add("bcde", 4);
    const auto tokenizer = tokenizer_of(made.file());
    EXPECT_EQ(tokenizer->encode("abcde"), (std::vector<TokenId>{abc, 'd', 'e'}));
    EXPECT_EQ(tokenizer->encode("xbcdeab"), (std::vector<TokenId>{'x', bcd, ab}));
}

// A file without the name of a rule says so itself, or is older than the names.
TEST(BpeTokenizer, WithoutARuleTheModelsOfGpt2sTimeAreCutLikeGpt2AndOthersAreRefused)
{
    const auto file = [](const std::string& architecture, bool says_default) {
        const BpeFile made;
        GgufWriter writer;
        writer.string("general.architecture", architecture);
        writer.string("tokenizer.ggml.model", "gpt2");
        if (says_default) writer.string("tokenizer.ggml.pre", "default");
        writer.strings("tokenizer.ggml.tokens", made.tokens);
        writer.integers("tokenizer.ggml.token_type", made.types);
        writer.strings("tokenizer.ggml.merges", {});
        return writer.finish();
    };
    EXPECT_EQ(tokenizer_of(file("gptneox", false))->encode("a"), std::vector<TokenId>{'a'});
    EXPECT_EQ(tokenizer_of(file("gpt2", true))->encode("a"), std::vector<TokenId>{'a'});
    EXPECT_EQ(error_of(file("llama", false)), EngineError::Kind::unsupported);
    EXPECT_EQ(error_of(file("llama", true)), EngineError::Kind::unsupported);
}

struct SpmFile {
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    std::vector<float> scores = {0, 0, 0};
    std::vector<std::int32_t> types = {2, 3, 3};

    TokenId add(const std::string& text, float score, std::int32_t type = 1)
    {
        tokens.push_back(text);
        scores.push_back(score);
        types.push_back(type);
        return static_cast<TokenId>(tokens.size() - 1);
    }
    TokenId add_bytes()  // the id of byte 0
    {
        const auto first = static_cast<TokenId>(tokens.size());
        for (unsigned byte = 0; byte < 256; ++byte) {
            const char* const digits = "0123456789ABCDEF";
            add(std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + ">", 0, 6);
        }
        return first;
    }
    GgufWriter writer() const
    {
        GgufWriter out;
        out.string("tokenizer.ggml.model", "llama");
        out.strings("tokenizer.ggml.tokens", tokens);
        out.reals("tokenizer.ggml.scores", scores);
        out.integers("tokenizer.ggml.token_type", types);
        return out;
    }
    std::string file(bool space_prefix) const
    {
        GgufWriter out = writer();
        out.boolean("tokenizer.ggml.add_space_prefix", space_prefix);
        return out.finish();
    }
};

TEST(SpmTokenizer, JoinsTheBestScoringNeighboursLeftmostFirst)
{
    std::mt19937 random(6);
    for (int round = 0; round < 60; ++round) {
        SpmFile made;
        std::map<std::string, TokenId> ids;
        for (const char c : {'a', 'b', 'c'}) ids[std::string(1, c)] = made.add(std::string(1, c), 0);
        for (int i = 0; i < 14; ++i) {
            std::string piece;
            for (std::size_t n = 2 + random() % 4; n > 0; --n) piece += static_cast<char>('a' + random() % 3);
            const float score = -static_cast<float>(random() % 6);  // with ties
            if (!ids.contains(piece)) ids[piece] = made.add(piece, score);
        }
        const auto tokenizer = tokenizer_of(made.file(false));
        for (int i = 0; i < 100; ++i) {
            std::vector<std::string> parts;
            std::string text;
            for (std::size_t n = 1 + random() % 24; n > 0; --n) {
                parts.emplace_back(1, static_cast<char>('a' + random() % 3));
                text += parts.back();
            }
            while (true) {
                std::size_t best = parts.size();
                float best_score = -1e9f;
                for (std::size_t at = 0; at + 1 < parts.size(); ++at) {
                    const auto found = ids.find(parts[at] + parts[at + 1]);
                    if (found == ids.end()) continue;
                    const float score = made.scores[static_cast<std::size_t>(found->second)];
                    if (score > best_score) best = at;
                    best_score = std::max(best_score, score);
                }
                if (best == parts.size()) break;
                parts[best] += parts[best + 1];
                parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
            }
            std::vector<TokenId> expected;
            for (const std::string& part : parts) expected.push_back(ids[part]);
            ASSERT_EQ(tokenizer->encode(text), expected) << text;
        }
    }
}

TEST(SpmTokenizer, WhatIsNoPieceBecomesBytesAndComesBack)
{
    SpmFile made;
    const TokenId bytes = made.add_bytes();
    const TokenId ga = made.add("가", -1);
    const TokenId space = made.add("\xE2\x96\x81", -2);
    const auto tokenizer = tokenizer_of(made.file(false));
    EXPECT_EQ(tokenizer->encode("가 각\xFF"),
              (std::vector<TokenId>{ga, space, bytes + 0xEA, bytes + 0xB0, bytes + 0x81, bytes + 0xFF}));
    std::mt19937 random(9);
    for (int i = 0; i < 300; ++i) {
        std::string text(random() % 40, ' ');
        for (char& c : text) c = random() % 4 == 0 ? ' ' : static_cast<char>(random());
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    }
}

TEST(SpmTokenizer, WithoutBytePiecesUnknownNeighboursAreOneToken)
{
    SpmFile made;
    const TokenId ga = made.add("가", -1);
    const auto tokenizer = tokenizer_of(made.file(false));
    EXPECT_EQ(tokenizer->encode("가힣힣\xFF가나"), (std::vector<TokenId>{ga, 0, ga, 0}));
    EXPECT_EQ(tokenizer->piece(0), "\uFFFD");
}

TEST(SpmTokenizer, AbsentKeysMeanASpaceBeforeTheTextAndAStartToken)
{
    SpmFile made;
    const TokenId ga = made.add("\xE2\x96\x81가", -1);
    made.add("\xE2\x96\x81", -2);
    made.add("가", -2);
    const TokenId tag = made.add("<b>", 0, 4);
    const auto tokenizer = tokenizer_of(made.writer().finish());
    EXPECT_EQ(tokenizer->encode("가", true), (std::vector<TokenId>{1, ga}));
    EXPECT_EQ(tokenizer->encode("가<b>가"), (std::vector<TokenId>{ga, tag, ga}));
    EXPECT_EQ(tokenizer->encode("", true), std::vector<TokenId>{1});
    EXPECT_TRUE(tokenizer->ends_generation(2));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("가 가<b>")), " 가 가<b>");
}

// Joining "<" with "s>" spells the start token.
TEST(SpmTokenizer, NoPiecesAreJoinedIntoAControlToken)
{
    SpmFile made;
    const TokenId open = made.add("<", -1);
    made.add("s", -1);
    made.add(">", -1);
    const TokenId close = made.add("s>", -1);
    EXPECT_EQ(tokenizer_of(made.file(false))->encode("<s>"), (std::vector<TokenId>{open, close}));
}

TEST(SpmTokenizer, AMegabyteWithoutASpaceIsTokenized)
{
    SpmFile made;
    std::string piece = "가";
    TokenId last = made.add(piece, 0);
    for (int i = 0; i < 6; ++i) last = made.add(piece += piece, static_cast<float>(-i));
    std::string run;
    for (int i = 0; i < 1 << 18; ++i) run += "가";
    EXPECT_EQ(tokenizer_of(made.file(false))->encode(run), std::vector<TokenId>((1u << 18) / 64, last));
}

TEST(SpmTokenizer, UnsoundFilesAreRefused)
{
    SpmFile bad_byte;
    bad_byte.add("<0xG0>", 0, 6);
    EXPECT_EQ(error_of(bad_byte.file(true)), EngineError::Kind::malformed);
    SpmFile no_number;
    no_number.add("a", std::nanf(""));
    EXPECT_EQ(error_of(no_number.file(true)), EngineError::Kind::malformed);
    GgufWriter no_scores;
    no_scores.string("tokenizer.ggml.model", "llama");
    no_scores.strings("tokenizer.ggml.tokens", {"a"});
    EXPECT_EQ(error_of(no_scores.finish()), EngineError::Kind::malformed);
}

struct WpmFile {
    std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
    std::vector<std::int32_t> types = {3, 2, 3, 3};

    TokenId start(const std::string& text) { return add("\xE2\x96\x81" + text); }
    TokenId add(const std::string& text)
    {
        tokens.push_back(text);
        types.push_back(1);
        return static_cast<TokenId>(tokens.size() - 1);
    }
    GgufWriter writer() const
    {
        GgufWriter out;
        out.string("tokenizer.ggml.model", "bert");
        out.strings("tokenizer.ggml.tokens", tokens);
        out.integers("tokenizer.ggml.token_type", types);
        out.integer("tokenizer.ggml.unknown_token_id", 1);
        out.integer("tokenizer.ggml.cls_token_id", 2);
        out.integer("tokenizer.ggml.seperator_token_id", 3);
        return out;
    }
};

TEST(WpmTokenizer, TakesTheLongestPieceAndGivesUpAWordThatCannotBeUsedUp)
{
    WpmFile made;
    const TokenId hwi = made.start("휴");
    const TokenId hyujik = made.start("휴직");
    const TokenId gi = made.add("기");
    const TokenId gigan = made.add("기간");
    GgufWriter writer = made.writer();
    writer.boolean("tokenizer.ggml.normalizer.lowercase", false);
    const auto tokenizer = tokenizer_of(writer.finish());
    EXPECT_EQ(tokenizer->encode("휴직기간 휴기 휴직기가 기간"),
              (std::vector<TokenId>{hyujik, gigan, hwi, gi, 1, 1}));
    EXPECT_EQ(tokenizer->encode("휴직\xFF"), std::vector<TokenId>{1});
    EXPECT_EQ(tokenizer->encode("휴", true), (std::vector<TokenId>{2, hwi, 3}));
    EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{2, hyujik, gigan, 3}), " 휴직기간");
    EXPECT_EQ(tokenizer->encode("[CLS]"), (std::vector<TokenId>{1, 1, 1}));
}

// Vocabularies of uncased models hold Hangul as jamo.
TEST(WpmTokenizer, AccentsGoAndSyllablesBecomeJamoWhereTheModelIsUncased)
{
    WpmFile made;
    const TokenId h = made.start("ᄒ");
    const TokenId a = made.add("ᅡ");
    const TokenId n = made.add("ᆫ");
    const TokenId eclair = made.start("eclair");
    const auto uncased = tokenizer_of(made.writer().finish());
    EXPECT_EQ(uncased->encode("한 ÉCLAIR e\u0301clair"), (std::vector<TokenId>{h, a, n, eclair, eclair}));

    const TokenId han = made.start("한");
    const TokenId accented = made.start("éclair");
    GgufWriter keeps = made.writer();
    keeps.boolean("tokenizer.ggml.normalizer.strip_accents", false);
    EXPECT_EQ(tokenizer_of(keeps.finish())->encode("한 ÉCLAIR"), (std::vector<TokenId>{han, accented}));
}

TEST(WpmTokenizer, PunctuationAndChineseCharactersAreWordsAndControlCharactersGo)
{
    WpmFile made;
    const TokenId law = made.start("法");
    const TokenId open = made.start("(");
    const TokenId a = made.start("a");
    const TokenId ab = made.start("ab");
    const TokenId dollar = made.start("$");
    const TokenId note = made.start("※");
    const auto tokenizer = tokenizer_of(made.writer().finish());
    EXPECT_EQ(tokenizer->encode("法法(a$a※"), (std::vector<TokenId>{law, law, open, a, dollar, a, note}));
    EXPECT_EQ(tokenizer->encode("a\u200bb\ta\u3000a\u0001b\uFFFD"), (std::vector<TokenId>{ab, a, ab}));
    // The vocabulary's own mark is no start of a word in a text.
    made.add("b");
    EXPECT_EQ(tokenizer_of(made.writer().finish())->encode("b\u2581a"), std::vector<TokenId>{1});
}

TEST(WpmTokenizer, AWordOfMoreThanAHundredCharactersIsUnknown)
{
    WpmFile made;
    const TokenId first = made.start("ᄒ");
    const TokenId next = made.add("ᄒ");
    const auto tokenizer = tokenizer_of(made.writer().finish());
    std::string word;
    for (int i = 0; i < 100; ++i) word += "ᄒ";
    std::vector<TokenId> expected(100, next);
    expected[0] = first;
    EXPECT_EQ(tokenizer->encode(word), expected);
    EXPECT_EQ(tokenizer->encode(word + "ᄒ"), std::vector<TokenId>{1});
}

TEST(WpmTokenizer, AFileWithoutAnUnknownTokenIsRefused)
{
    GgufWriter writer;
    writer.string("tokenizer.ggml.model", "bert");
    writer.strings("tokenizer.ggml.tokens", {"a"});
    EXPECT_EQ(error_of(writer.finish()), EngineError::Kind::malformed);
}

struct UgmFile {
    std::vector<std::string> tokens = {"<s>", "<pad>", "</s>", "<unk>"};
    std::vector<float> scores = {0, 0, 0, 0};
    std::vector<std::int32_t> types = {3, 3, 3, 2};
    std::string map;
    bool keep_trailing = true;

    TokenId add(const std::string& text, float score)
    {
        tokens.push_back(text);
        scores.push_back(score);
        types.push_back(1);
        return static_cast<TokenId>(tokens.size() - 1);
    }
    std::string file() const
    {
        GgufWriter writer;
        writer.string("tokenizer.ggml.model", "t5");
        writer.strings("tokenizer.ggml.tokens", tokens);
        writer.reals("tokenizer.ggml.scores", scores);
        writer.integers("tokenizer.ggml.token_type", types);
        writer.integer("tokenizer.ggml.bos_token_id", 0);
        writer.integer("tokenizer.ggml.eos_token_id", 2);
        writer.integer("tokenizer.ggml.unknown_token_id", 3);
        writer.boolean("tokenizer.ggml.add_bos_token", true);
        writer.boolean("jiphyeon.tokenizer.keep_trailing_space", keep_trailing);
        if (!map.empty()) {
            std::string bytes("\0\0\0\0", 4);  // array of u8
            const std::uint64_t size = map.size();
            bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
            writer.raw("tokenizer.ggml.precompiled_charsmap", 9, bytes + map);
        }
        return writer.finish();
    }
};

// All cuts of "▁" + text, each part a piece or one unknown character.
double best_score(const std::map<std::string, float>& pieces, const std::string& rest, double unknown)
{
    if (rest.empty()) return 0;
    double best = -1e30;
    for (std::size_t n = 1; n <= rest.size(); ++n) {
        const auto piece = pieces.find(rest.substr(0, n));
        if (piece != pieces.end())
            best = std::max(best, piece->second + best_score(pieces, rest.substr(n), unknown));
    }
    const std::size_t character = rest.starts_with("\xE2\x96\x81") ? 3 : 1;
    return std::max(best, unknown + best_score(pieces, rest.substr(character), unknown));
}

TEST(UgmTokenizer, TakesTheBestOfAllCuts)
{
    std::mt19937 random(5);
    for (int round = 0; round < 40; ++round) {
        UgmFile made;
        std::map<std::string, float> pieces;
        float least = 0;
        for (int i = 0; i < 10; ++i) {
            std::string piece = random() % 3 == 0 ? "\xE2\x96\x81" : "";
            for (std::size_t n = random() % 3 + (piece.empty() ? 1 : 0); n > 0; --n)
                piece += static_cast<char>('a' + random() % 3);
            if (pieces.contains(piece)) continue;
            pieces[piece] = -static_cast<float>(random() % 1000) / 100;
            least = std::min(least, pieces[piece]);
            made.add(piece, pieces[piece]);
        }
        const auto tokenizer = tokenizer_of(made.file());
        for (int i = 0; i < 40; ++i) {
            std::string text;
            for (std::size_t n = 1 + random() % 9; n > 0; --n) text += static_cast<char>('a' + random() % 4);
            double sum = 0;
            std::size_t bytes = 0;
            for (const TokenId id : tokenizer->encode(text)) {
                if (id == 3) continue;
                sum += made.scores[static_cast<std::size_t>(id)];
                bytes += made.tokens[static_cast<std::size_t>(id)].size();
            }
            // Characters that no chosen piece holds are unknown ones, joined or not; the space is one of
            // three bytes.
            std::size_t unknown = text.size() + 3 - bytes;
            if (tokenizer->encode(text).front() == 3) unknown -= 2;
            sum += static_cast<double>(unknown) * (least - 10.0);
            EXPECT_NEAR(sum, best_score(pieces, "\xE2\x96\x81" + text, least - 10.0), 1e-4) << text;
        }
    }
}

// Three pieces cost 16.5, an unknown character and one piece 6 + 10 + 1.
TEST(UgmTokenizer, AnUnknownCharacterCostsTenMoreThanTheWorstPiece)
{
    UgmFile made;
    const TokenId space = made.add("\xE2\x96\x81", -1);
    const TokenId ab = made.add("ab", -6);
    const TokenId cd = made.add("cd", -6);
    const TokenId ef = made.add("ef", -4.5f);
    const TokenId tail = made.add("bcdef", -1);
    EXPECT_EQ(tokenizer_of(made.file())->encode("abcdef"), (std::vector<TokenId>{space, ab, cd, ef}));
    made.scores[static_cast<std::size_t>(ef)] = -5.5f;  // now 17.5
    EXPECT_EQ(tokenizer_of(made.file())->encode("abcdef"), (std::vector<TokenId>{space, 3, tail}));
}

TEST(UgmTokenizer, JoinsNeighbouringUnknownCharactersAndFramesWholeInputs)
{
    UgmFile made;
    const TokenId space = made.add("\xE2\x96\x81", -2);
    const TokenId ga = made.add("가", -1);
    const auto tokenizer = tokenizer_of(made.file());
    EXPECT_EQ(tokenizer->encode("가힣힣\xFF가", true), (std::vector<TokenId>{0, space, ga, 3, ga, 2}));
    EXPECT_EQ(tokenizer->encode(""), std::vector<TokenId>{});
    EXPECT_EQ(tokenizer->encode("<s>"), (std::vector<TokenId>{space, 3}));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("가 가")), " 가 가");
}

TEST(UgmTokenizer, SpacesAreCollapsedAndOneAtTheEndIsKeptWhereTheFileSaysSo)
{
    const auto normalized = [](bool keep_trailing, std::string_view text) {
        Vocabulary vocabulary{.texts = {"<unk>"}, .kinds = {TokenKind::unknown}, .scores = {0}, .unknown = 0};
        return UgmTokenizer(vocabulary, {}, {.keep_trailing = keep_trailing}).normalized(text);
    };
    const std::string s = "\xE2\x96\x81";
    EXPECT_EQ(normalized(true, "  a   b  "), s + "a" + s + "b" + s);
    EXPECT_EQ(normalized(false, "  a   b  "), s + "a" + s + "b");
    EXPECT_EQ(normalized(true, "   "), s);
    EXPECT_EQ(normalized(false, "   "), "");
    EXPECT_EQ(normalized(true, ""), "");
}

TEST(UgmTokenizer, UnsoundCharacterMapsAreRefused)
{
    const auto u32 = [](std::uint32_t value) {
        return std::string(reinterpret_cast<const char*>(&value), 4);
    };
    const auto refused = [](const std::string& bytes, std::string_view text) {
        try {
            CharacterMap(bytes).longest(text);
        } catch (const EngineError& error) {
            return error.kind == EngineError::Kind::malformed;
        }
        return false;
    };
    EXPECT_TRUE(refused("", "a"));
    EXPECT_TRUE(refused(u32(8) + u32(0), "a"));                        // longer than the map
    EXPECT_TRUE(refused(u32(3) + "abc" + std::string(1, '\0'), "a"));  // no whole units
    EXPECT_TRUE(refused(u32(4) + u32(0) + "x", "a"));                  // texts without an end
    // Unit 0 leads to place 2: its child for 'a' (0x61) is unit 0x63, whose value at 2 points far outside.
    std::string units;
    for (std::uint32_t i = 0; i < 256; ++i) {
        units += u32(i == 0      ? 2u << 10
                     : i == 0x63 ? 0x61u | 1u << 8 | (0x63u ^ 2u) << 10
                     : i == 2    ? 1u << 31 | 77u
                                 : 1u << 31);
    }
    EXPECT_TRUE(refused(u32(1024) + units + std::string("b\0", 2), "a"));
    EXPECT_FALSE(refused(u32(1024) + units + std::string("b\0", 2), "b"));
    EXPECT_FALSE(refused(u32(4) + u32(0xFFFFFC00) + std::string(1, '\0'), "a"));  // leads outside: no match
}

TEST(UgmTokenizer, FilesWithoutScoresOrUnknownAreRefused)
{
    GgufWriter writer;
    writer.string("tokenizer.ggml.model", "t5");
    writer.strings("tokenizer.ggml.tokens", {"a"});
    EXPECT_EQ(error_of(writer.finish()), EngineError::Kind::malformed);
    GgufWriter other;
    other.string("tokenizer.ggml.model", "rwkv");
    EXPECT_EQ(error_of(other.finish()), EngineError::Kind::unsupported);
}

struct Frozen {
    const char* name;
    const char* model;
    const char* data;
};

class FrozenTokens : public testing::TestWithParam<Frozen> {};

TEST_P(FrozenTokens, AreEqualToTheReference)
{
    const std::filesystem::path model = test::model_file(GetParam().model);
    if (model.empty()) GTEST_SKIP() << GetParam().model << " is not there (packaging/models.py)";
    const auto tokenizer = open_tokenizer(model);
    std::ifstream data(std::filesystem::path(JIPHYEON_TEST_DATA) / GetParam().data);
    std::size_t lines = 0;
    for (std::string line; std::getline(data, line); ++lines) {
        const nlohmann::json entry = nlohmann::json::parse(line);
        const auto text = entry["text"].get<std::string>();
        EXPECT_EQ(tokenizer->encode(text), entry["ids"].get<std::vector<TokenId>>()) << text;
    }
    EXPECT_GT(lines, 300u);
}

// Small vocabularies of families without a model here (bench/family_tokens.py --freeze).
TEST(FrozenFamilies, AreEqualToTheReference)
{
    std::ifstream data(std::filesystem::path(JIPHYEON_TEST_DATA) / "tokens_families.json");
    const nlohmann::json frozen = nlohmann::json::parse(data);
    for (const nlohmann::json& family : frozen["families"]) {
        const auto model = family["model"].get<std::string>();
        GgufWriter writer;
        writer.string("tokenizer.ggml.model", model);
        writer.strings("tokenizer.ggml.tokens", family["tokens"]);
        writer.integers("tokenizer.ggml.token_type", family["kinds"]);
        writer.integer("tokenizer.ggml.unknown_token_id", 0);
        if (family.contains("pre")) writer.string("tokenizer.ggml.pre", family["pre"].get<std::string>());
        if (family.contains("merges")) writer.strings("tokenizer.ggml.merges", family["merges"]);
        if (family.contains("scores")) writer.reals("tokenizer.ggml.scores", family["scores"]);
        if (family.contains("lowercase"))
            writer.boolean("tokenizer.ggml.normalizer.lowercase", family["lowercase"]);
        const auto tokenizer = tokenizer_of(writer.finish());
        ASSERT_EQ(family["ids"].size(), frozen["texts"].size());
        for (std::size_t i = 0; i < frozen["texts"].size(); ++i) {
            const auto text = frozen["texts"][i].get<std::string>();
            EXPECT_EQ(tokenizer->encode(text), family["ids"][i].get<std::vector<TokenId>>())
                << model << " " << family.value("pre", "") << ": " << text;
        }
    }
    EXPECT_EQ(frozen["families"].size(), 7u);
}

INSTANTIATE_TEST_SUITE_P(Models, FrozenTokens,
                         testing::Values(Frozen{"Qwen15b", test::kQwen15b, "tokens_qwen2.jsonl"},
                                         Frozen{"Qwen05b", test::kQwen05b, "tokens_qwen2.jsonl"},
                                         Frozen{"E5Small", test::kE5Small, "tokens_xlm-r.jsonl"}),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace jiphyeon
