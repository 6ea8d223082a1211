// Any text through a byte-level vocabulary and a unigram one, and any bytes as a normaliser's table and as
// the file of a vocabulary. Byte-level tokens give the text back; no text makes a control token.
#include "tokenizer.hpp"

#include <algorithm>
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

std::string two_bytes(unsigned c)
{
    return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
}

std::unique_ptr<Tokenizer> byte_level()
{
    std::vector<std::string> tokens;
    unsigned next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        const unsigned c = printable ? byte : next++;
        tokens.push_back(c < 0x80 ? std::string(1, static_cast<char>(c)) : two_bytes(c));
    }
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
    writer.string("tokenizer.ggml.pre", "qwen2");
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const std::unique_ptr<Tokenizer> kBytes = byte_level();
    static const std::unique_ptr<Tokenizer> kUnigram = unigram();
    const std::string text(reinterpret_cast<const char*>(data), size);

    const std::vector<TokenId> ids = kBytes->encode(text);
    assert(kBytes->decode(ids) == text);
    assert(std::find(ids.begin(), ids.end(), *kBytes->control("<|im_end|>")) == ids.end());
    const std::vector<TokenId> pieces = kUnigram->encode(text);
    assert(std::none_of(pieces.begin(), pieces.end(), [](TokenId id) { return id == 0 || id == 2; }));

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
        ChatTemplate::from(file, *tokenizer);
    } catch (const EngineError& error) {
        assert(error.kind == EngineError::Kind::malformed || error.kind == EngineError::Kind::unsupported);
    }
    return 0;
}
