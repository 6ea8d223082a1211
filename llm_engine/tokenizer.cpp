#include "tokenizer.hpp"

#include "tokenizer_bpe.hpp"
#include "tokenizer_ugm.hpp"

namespace jiphyeon {
namespace {

[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, what);
}

std::unique_ptr<Tokenizer> make_bpe(const Gguf& file)
{
    const std::string_view pre = file.find_string("tokenizer.ggml.pre").value_or("");
    const PretokenizerRule* rule = find_pretokenizer(pre);
    if (rule == nullptr) unsupported("pre-tokenizer '" + std::string(pre) + "'");
    Vocabulary vocabulary = Vocabulary::read(file);
    if (!file.has("tokenizer.ggml.add_bos_token")) vocabulary.add_bos = rule->add_bos;
    const std::vector<std::string_view> merges = file.strings("tokenizer.ggml.merges");
    return std::make_unique<BpeTokenizer>(std::move(vocabulary), merges, *rule);
}

std::unique_ptr<Tokenizer> make_ugm(const Gguf& file)
{
    const std::string_view map = file.bytes("tokenizer.ggml.precompiled_charsmap");
    UgmTokenizer::Spaces spaces;
    spaces.prefix = file.find_bool("tokenizer.ggml.add_space_prefix").value_or(true);
    spaces.collapse = file.find_bool("tokenizer.ggml.remove_extra_whitespaces").value_or(true);
    spaces.keep_trailing = file.find_bool("jiphyeon.tokenizer.keep_trailing_space").value_or(false);
    Vocabulary vocabulary = Vocabulary::read(file);
    if (!file.has("tokenizer.ggml.add_eos_token")) vocabulary.add_eos = true;
    return std::make_unique<UgmTokenizer>(std::move(vocabulary),
                                          map.empty() ? CharacterMap() : CharacterMap(map), spaces);
}

}  // namespace

std::string Tokenizer::decode(std::span<const TokenId> ids) const
{
    std::string text;
    for (const TokenId id : ids) text += piece(id);
    return text;
}

std::unique_ptr<Tokenizer> make_tokenizer(const Gguf& file)
{
    const std::string_view model = file.string("tokenizer.ggml.model");
    if (model == "gpt2") return make_bpe(file);
    if (model == "t5") return make_ugm(file);
    unsupported("tokenizer '" + std::string(model) + "'");
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& model)
{
    return make_tokenizer(Gguf::open(model));
}

}  // namespace jiphyeon
