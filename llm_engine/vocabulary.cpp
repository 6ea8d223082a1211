#include "vocabulary.hpp"

#include <algorithm>
#include <array>

namespace jiphyeon {
namespace {

constexpr std::size_t kTokensMax = 1u << 24;
constexpr std::size_t kTokenBytesMax = 4096;
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

std::vector<std::pair<std::string_view, TokenId>> pieces_of(const Vocabulary& vocabulary, TokenKind kind)
{
    std::vector<std::pair<std::string_view, TokenId>> pieces;
    for (std::size_t i = 0; i < vocabulary.texts.size(); ++i) {
        if (vocabulary.kinds[i] == kind) pieces.emplace_back(vocabulary.texts[i], static_cast<TokenId>(i));
    }
    return pieces;
}

Vocabulary Vocabulary::read(const Gguf& file)
{
    Vocabulary out;
    const std::vector<std::string_view> texts = file.strings("tokenizer.ggml.tokens");
    if (texts.empty() || texts.size() > kTokensMax) malformed(std::to_string(texts.size()) + " tokens");
    for (const std::string_view text : texts) {
        if (text.size() > kTokenBytesMax) malformed("a token of " + std::to_string(text.size()) + " bytes");
    }
    out.texts.assign(texts.begin(), texts.end());
    out.kinds = read_kinds(file, texts.size());
    out.scores = file.floats("tokenizer.ggml.scores");
    if (!out.scores.empty() && out.scores.size() != texts.size()) {
        malformed("scores has another length than tokens");
    }
    const bool spm = file.find_string("tokenizer.ggml.model") == "llama";  // whose ids go without saying
    const auto or_none = [&](TokenId id) { return spm ? std::optional<TokenId>(id) : std::nullopt; };
    out.bos = out.special(file, "bos", or_none(1));
    out.eos = out.special(file, "eos", or_none(2));
    out.unknown = out.special(file, "unknown", or_none(0));
    out.add_bos = file.find_bool("tokenizer.ggml.add_bos_token").value_or(false);
    out.add_eos = file.find_bool("tokenizer.ggml.add_eos_token").value_or(false);
    out.ends.assign(texts.size(), false);
    if (out.eos) out.ends[static_cast<std::size_t>(*out.eos)] = true;
    for (const std::string_view name : {"eot", "eom"}) {
        if (const auto id = special_id(file, name, texts.size()))
            out.ends[static_cast<std::size_t>(*id)] = true;
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (out.kinds[i] != TokenKind::control) continue;
        if (std::find(kEnds.begin(), kEnds.end(), texts[i]) != kEnds.end()) out.ends[i] = true;
    }
    return out;
}

std::optional<TokenId> Vocabulary::special(const Gguf& file, std::string_view name,
                                           std::optional<TokenId> fallback) const
{
    if (const std::optional<TokenId> id = special_id(file, name, texts.size())) return id;
    if (fallback && static_cast<std::size_t>(*fallback) >= texts.size()) return std::nullopt;
    return fallback;
}

VocabularyTokenizer::VocabularyTokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), user_defined_(pieces_of(vocabulary_, TokenKind::user_defined))
{
    for (std::size_t i = 0; i < vocabulary_.texts.size(); ++i) {
        if (vocabulary_.kinds[i] == TokenKind::control)
            controls_.emplace(vocabulary_.texts[i], static_cast<TokenId>(i));
    }
}

std::vector<TokenId> VocabularyTokenizer::encode(std::string_view text, bool add_special) const
{
    if (text.size() > kTextMax) {
        throw EngineError(EngineError::Kind::too_large, "text of " + std::to_string(text.size()) +
                                                            " bytes, limit " + std::to_string(kTextMax));
    }
    std::vector<TokenId> ids;
    if (add_special && vocabulary_.add_bos && vocabulary_.bos) ids.push_back(*vocabulary_.bos);
    // User-defined tokens are cut out, at each place the longest, and what lies between them is encoded.
    std::size_t start = 0;
    for (std::size_t at = 0; at < text.size();) {
        const PieceTrie::Match match = user_defined_.longest(text.substr(at));
        if (match.length == 0) {
            ++at;
            continue;
        }
        if (at > start) encode_stretch(text.substr(start, at - start), ids);
        ids.push_back(match.id);
        at += match.length;
        start = at;
    }
    if (start < text.size()) encode_stretch(text.substr(start), ids);
    if (add_special && vocabulary_.add_eos && vocabulary_.eos) ids.push_back(*vocabulary_.eos);
    return ids;
}

std::string VocabularyTokenizer::spaced_piece(TokenId id) const
{
    if (!known(id)) return {};
    const auto index = static_cast<std::size_t>(id);
    const TokenKind kind = vocabulary_.kinds[index];
    if (kind == TokenKind::user_defined) return vocabulary_.texts[index];
    if (kind == TokenKind::unknown) return std::string(kReplacementPiece);
    if (kind != TokenKind::normal) return {};
    std::string out;
    std::string_view rest = vocabulary_.texts[index];
    while (!rest.empty()) {
        const bool space = rest.starts_with(kSpacePiece);
        out.push_back(space ? ' ' : rest.front());
        rest.remove_prefix(space ? kSpacePiece.size() : 1);
    }
    return out;
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
