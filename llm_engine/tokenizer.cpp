#include "tokenizer.hpp"

#include "tokenizer_bpe.hpp"
#include "tokenizer_spm.hpp"
#include "tokenizer_ugm.hpp"
#include "tokenizer_wpm.hpp"

namespace jiphyeon {
namespace {

[[noreturn]] void unsupported(const std::string& what)
{
    throw EngineError(EngineError::Kind::unsupported, what);
}

// A file that names no rule is from before there were names. For the models of GPT-2's own time that can only
// be GPT-2's words; others would be tokenized wrongly without a sign of it.
std::string_view rule_name(const Gguf& file)
{
    const std::string_view name = file.find_string("tokenizer.ggml.pre").value_or("default");
    const std::string_view architecture = file.find_string("general.architecture").value_or("");
    const bool early = architecture == "gpt2" || architecture == "gptneox";
    return name == "default" && early ? "gpt-2" : name;
}

std::unique_ptr<Tokenizer> make_bpe(const Gguf& file)
{
    const std::string_view pre = rule_name(file);
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

std::unique_ptr<Tokenizer> make_spm(const Gguf& file)
{
    Vocabulary vocabulary = Vocabulary::read(file);
    if (!file.has("tokenizer.ggml.add_bos_token")) vocabulary.add_bos = true;
    const bool space_prefix = file.find_bool("tokenizer.ggml.add_space_prefix").value_or(true);
    return std::make_unique<SpmTokenizer>(std::move(vocabulary), space_prefix);
}

// Around a whole input go [CLS] and [SEP], which stand in for the start and the end token.
std::unique_ptr<Tokenizer> make_wpm(const Gguf& file)
{
    Vocabulary vocabulary = Vocabulary::read(file);
    vocabulary.unknown = vocabulary.special(file, "unknown", 100);
    vocabulary.bos = vocabulary.special(file, "bos", vocabulary.special(file, "cls", 101));
    vocabulary.eos = vocabulary.special(file, "seperator", 102);  // so the key is spelt
    if (!file.has("tokenizer.ggml.add_bos_token")) vocabulary.add_bos = true;
    vocabulary.add_eos = file.find_bool("tokenizer.ggml.add_sep_token").value_or(true);
    WpmTokenizer::Letters letters;
    letters.lowercase = file.find_bool("tokenizer.ggml.normalizer.lowercase").value_or(true);
    letters.strip_accents =
        file.find_bool("tokenizer.ggml.normalizer.strip_accents").value_or(letters.lowercase);
    return std::make_unique<WpmTokenizer>(std::move(vocabulary), letters);
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
    if (model == "llama") return make_spm(file);
    if (model == "t5") return make_ugm(file);
    if (model == "bert") return make_wpm(file);
    unsupported("tokenizer '" + std::string(model) + "'");
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& model)
{
    return make_tokenizer(Gguf::open(model));
}

}  // namespace jiphyeon
