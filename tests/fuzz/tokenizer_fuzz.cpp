// Any text through a vocabulary of each family and every way of cutting words, and any bytes as a
// normaliser's table and as the file of a vocabulary. Byte-level tokens and byte pieces give the text back;
// no text makes a control token.
#include "tokenizer.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>

#include "../llm_engine/gguf_writer.hpp"
#include "chat_template.hpp"
#include "tokenizer_ugm.hpp"

namespace {

using namespace jiphyeon;

std::unique_ptr<Tokenizer> tokenizer_of(const std::string& file)
{
    return make_tokenizer(Gguf::parse({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}));
}

std::unique_ptr<Tokenizer> byte_level(const std::string& pre)
{
    std::vector<std::string> tokens = test::byte_pieces();
    std::vector<std::string> merges;
    for (const auto& [left, right] :
         {std::pair{0xEA, 0xB0}, {0xEB, 0x8B}, {'a', 'a'}, {'<', '|'}, {0x20, 0xEA}}) {
        merges.push_back(tokens[static_cast<std::size_t>(left)] + " " +
                         tokens[static_cast<std::size_t>(right)]);
        tokens.push_back(tokens[static_cast<std::size_t>(left)] + tokens[static_cast<std::size_t>(right)]);
    }
    std::vector<std::int32_t> types(tokens.size(), 1);
    tokens.push_back("<|im_end|>");
    types.push_back(3);
    test::GgufWriter writer;
    writer.string("tokenizer.ggml.model", "gpt2");
    writer.string("tokenizer.ggml.pre", pre);
    writer.strings("tokenizer.ggml.tokens", tokens);
    writer.integers("tokenizer.ggml.token_type", types);
    writer.strings("tokenizer.ggml.merges", merges);
    return tokenizer_of(writer.finish());
}

std::unique_ptr<Tokenizer> unigram()
{
    test::GgufWriter writer;
    writer.string("tokenizer.ggml.model", "t5");
    writer.strings("tokenizer.ggml.tokens", {"<s>", "<unk>", "</s>", "\xE2\x96\x81", "가", "나", "가나",
                                             "\xE2\x96\x81"
                                             "가",
                                             "a"});
    writer.reals("tokenizer.ggml.scores", {0, 0, 0, -2, -3, -3, -4, -4, -3});
    writer.integers("tokenizer.ggml.token_type", {3, 2, 3, 1, 1, 1, 1, 1, 1});
    writer.integer("tokenizer.ggml.unknown_token_id", 1);
    return tokenizer_of(writer.finish());
}

std::unique_ptr<Tokenizer> sentence_pieces()
{
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    std::vector<std::int32_t> types = {2, 3, 3};
    for (unsigned byte = 0; byte < 256; ++byte) {
        const char* const digits = "0123456789ABCDEF";
        tokens.push_back(std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + ">");
        types.push_back(6);
    }
    for (const std::string piece : {"a", "aa", "aaaa", "<", "s", "s>", "<s", "가", "가나", "나",
                                    "\xE2\x96\x81", "\xE2\x96\x81\xE2\x96\x81"}) {
        tokens.push_back(piece);
        types.push_back(1);
    }
    tokens.push_back("<b>");
    types.push_back(4);
    std::vector<float> scores;
    for (std::size_t i = 0; i < tokens.size(); ++i) scores.push_back(-static_cast<float>(i % 5));
    test::GgufWriter writer;
    writer.string("tokenizer.ggml.model", "llama");
    writer.strings("tokenizer.ggml.tokens", tokens);
    writer.reals("tokenizer.ggml.scores", scores);
    writer.integers("tokenizer.ggml.token_type", types);
    return tokenizer_of(writer.finish());
}

std::unique_ptr<Tokenizer> word_pieces(bool lowercase)
{
    test::GgufWriter writer;
    writer.string("tokenizer.ggml.model", "bert");
    writer.strings("tokenizer.ggml.tokens", {"[CLS]", "[UNK]", "[SEP]",
                                             "\xE2\x96\x81"
                                             "가",
                                             "\xE2\x96\x81"
                                             "a",
                                             "가", "a", "ᆫ",
                                             "\xE2\x96\x81"
                                             "["});
    writer.integers("tokenizer.ggml.token_type", {3, 2, 3, 1, 1, 1, 1, 1, 1});
    writer.integer("tokenizer.ggml.unknown_token_id", 1);
    writer.boolean("tokenizer.ggml.normalizer.lowercase", lowercase);
    return tokenizer_of(writer.finish());
}

bool has(const std::vector<TokenId>& ids, TokenId wanted)
{
    return std::find(ids.begin(), ids.end(), wanted) != ids.end();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const std::array<std::unique_ptr<Tokenizer>, 7> kBytes = {
        byte_level("qwen2"),  byte_level("qwen35"), byte_level("llama-bpe"), byte_level("gpt-2"),
        byte_level("exaone"), byte_level("gpt-4o"), byte_level("tekken")};
    static const std::unique_ptr<Tokenizer> kUnigram = unigram();
    static const std::unique_ptr<Tokenizer> kSentence = sentence_pieces();
    static const std::array<std::unique_ptr<Tokenizer>, 2> kWords = {word_pieces(true), word_pieces(false)};
    const std::string text(reinterpret_cast<const char*>(data), size);

    for (const auto& tokenizer : kBytes) {
        const std::vector<TokenId> ids = tokenizer->encode(text);
        assert(tokenizer->decode(ids) == text);
        assert(!has(ids, *tokenizer->control("<|im_end|>")));
    }
    const std::vector<TokenId> pieces = kUnigram->encode(text);
    assert(!has(pieces, 0) && !has(pieces, 2));
    const std::vector<TokenId> joined = kSentence->encode(text);
    assert(!has(joined, 1) && !has(joined, 2));
    // A space goes before the text and after a user-defined token; a U+2581 comes back as a space.
    if (text.find("<b>") == std::string::npos && text.find("\xE2\x96\x81") == std::string::npos)
        assert(kSentence->decode(joined) == (text.empty() ? "" : " " + text));
    for (const auto& tokenizer : kWords) {
        const std::vector<TokenId> words = tokenizer->encode(text);
        assert(!has(words, 0) && !has(words, 2));
    }

    try {
        const CharacterMap map(text);
        for (std::size_t i = 0; i < size; i += 7) map.longest(std::string_view(text).substr(i));
    } catch (const EngineError& error) {
        assert(error.kind == EngineError::Kind::malformed);
    }
    try {
        const Gguf file = Gguf::parse({data, size});
        const std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(file);
        tokenizer->decode(tokenizer->encode("제1조 목적", true));
        ChatTemplate::from(file);
    } catch (const EngineError& error) {
        assert(error.kind == EngineError::Kind::malformed || error.kind == EngineError::Kind::unsupported);
    }
    return 0;
}
