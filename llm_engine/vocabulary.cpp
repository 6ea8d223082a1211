#include "vocabulary.hpp"

#include <algorithm>
#include <array>

namespace jiphyeon {
namespace {

constexpr std::size_t kTokensMax = 1u << 24;
constexpr std::size_t kTextMax =
    16u << 20;  // far beyond any context; the work space is some 20 bytes for each

// Models name one end token in their metadata but were trained to end in more than one way (end of a turn, of
// a document, of a file). Counted only where the vocabulary holds them as control tokens.
constexpr std::array<std::string_view, 21> kEnds = {
    "<|endoftext|>", "<|im_end|>",    "<|eot_id|>",   "<|eom_id|>",      "<|end_of_text|>", "<|end|>",
    "<end_of_turn>", "</s>",          "<eos>",        "[|endofturn|]",   "<|endofturn|>",   "<|stop|>",
    "<|fim_pad|>",   "<|repo_name|>", "<|file_sep|>", "<|end_of_turn|>", "<EOT>",           "<|EOT|>",
    "<|return|>",    "<|call|>",      "<|flush|>"};

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, "tokenizer: " + what);
}

std::optional<TokenId> special_id(const Gguf& file, std::string_view name, std::size_t tokens)
{
    const std::string key = "tokenizer.ggml." + std::string(name) + "_token_id";
    const std::optional<std::uint64_t> id = file.find_integer(key);
    if (!id) return std::nullopt;
    if (*id >= tokens) malformed(key + " is outside the vocabulary");
    return static_cast<TokenId>(*id);
}

std::vector<TokenKind> read_kinds(const Gguf& file, std::size_t tokens)
{
    const std::vector<std::int64_t> stored = file.integers("tokenizer.ggml.token_type");
    std::vector<TokenKind> kinds(tokens, TokenKind::normal);
    if (stored.empty()) return kinds;
    if (stored.size() != tokens) malformed("token_type has another length than tokens");
    for (std::size_t i = 0; i < tokens; ++i) {
        if (stored[i] < 1 || stored[i] > 6) malformed("unknown token_type " + std::to_string(stored[i]));
        kinds[i] = static_cast<TokenKind>(stored[i]);
    }
    return kinds;
}

}  // namespace

Vocabulary Vocabulary::read(const Gguf& file)
{
    Vocabulary out;
    const std::vector<std::string_view> texts = file.strings("tokenizer.ggml.tokens");
    if (texts.empty() || texts.size() > kTokensMax) malformed(std::to_string(texts.size()) + " tokens");
    out.texts.assign(texts.begin(), texts.end());
    out.kinds = read_kinds(file, texts.size());
    out.scores = file.floats("tokenizer.ggml.scores");
    if (!out.scores.empty() && out.scores.size() != texts.size()) {
        malformed("scores has another length than tokens");
    }
    out.bos = special_id(file, "bos", texts.size());
    out.eos = special_id(file, "eos", texts.size());
    out.unknown = special_id(file, "unknown", texts.size());
    out.add_bos = file.find_bool("tokenizer.ggml.add_bos_token").value_or(false);
    out.add_eos = file.find_bool("tokenizer.ggml.add_eos_token").value_or(false);
    out.ends.assign(texts.size(), false);
    for (const std::string_view name : {"eos", "eot", "eom"}) {
        if (const auto id = special_id(file, name, texts.size()))
            out.ends[static_cast<std::size_t>(*id)] = true;
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (out.kinds[i] != TokenKind::control) continue;
        if (std::find(kEnds.begin(), kEnds.end(), texts[i]) != kEnds.end()) out.ends[i] = true;
    }
    return out;
}

VocabularyTokenizer::VocabularyTokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary))
{
    for (std::size_t i = 0; i < vocabulary_.texts.size(); ++i) {
        const auto id = static_cast<TokenId>(i);
        if (vocabulary_.kinds[i] == TokenKind::control) controls_.emplace(vocabulary_.texts[i], id);
        if (vocabulary_.kinds[i] == TokenKind::user_defined && !vocabulary_.texts[i].empty()) {
            user_defined_.push_back(id);
        }
    }
    std::stable_sort(user_defined_.begin(), user_defined_.end(), [&](TokenId a, TokenId b) {
        return vocabulary_.texts[static_cast<std::size_t>(a)].size() >
               vocabulary_.texts[static_cast<std::size_t>(b)].size();
    });
}

std::vector<TokenId> VocabularyTokenizer::encode(std::string_view text, bool add_special) const
{
    if (text.size() > kTextMax) {
        throw EngineError(EngineError::Kind::too_large, "text of " + std::to_string(text.size()) +
                                                            " bytes, limit " + std::to_string(kTextMax));
    }
    // Stretches of text and the user-defined tokens between them, cut out longest token first.
    struct Stretch {
        std::string_view text;
        TokenId id = -1;
    };
    std::vector<Stretch> stretches = {{text}};
    for (const TokenId id : user_defined_) {
        const std::string& token = vocabulary_.texts[static_cast<std::size_t>(id)];
        if (text.find(token) == std::string_view::npos) continue;
        std::vector<Stretch> cut;
        for (const Stretch& stretch : stretches) {
            std::string_view rest = stretch.text;
            while (stretch.id < 0) {
                const std::size_t at = rest.find(token);
                if (at == std::string_view::npos) break;
                if (at > 0) cut.push_back({rest.substr(0, at)});
                cut.push_back({{}, id});
                rest.remove_prefix(at + token.size());
            }
            if (stretch.id >= 0 || !rest.empty()) cut.push_back({rest, stretch.id});
        }
        stretches = std::move(cut);
    }

    std::vector<TokenId> ids;
    if (add_special && vocabulary_.add_bos && vocabulary_.bos) ids.push_back(*vocabulary_.bos);
    for (const Stretch& stretch : stretches) {
        if (stretch.id >= 0) {
            ids.push_back(stretch.id);
        } else if (!stretch.text.empty()) {
            encode_stretch(stretch.text, ids);
        }
    }
    if (add_special && vocabulary_.add_eos && vocabulary_.eos) ids.push_back(*vocabulary_.eos);
    return ids;
}

std::optional<TokenId> VocabularyTokenizer::control(std::string_view name) const
{
    const auto found = controls_.find(name);
    if (found == controls_.end()) return std::nullopt;
    return found->second;
}

bool VocabularyTokenizer::ends_generation(TokenId id) const
{
    return known(id) && vocabulary_.ends[static_cast<std::size_t>(id)];
}

}  // namespace jiphyeon
