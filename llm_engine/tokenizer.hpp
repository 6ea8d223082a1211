// Makes the tokenizer that a model file describes. Families: `gpt2` (byte-level BPE, tokenizer_bpe.cpp),
// `llama` (SentencePiece's BPE, tokenizer_spm.cpp), `t5` (unigram with a normaliser, tokenizer_ugm.cpp) and
// `bert` (WordPiece, tokenizer_wpm.cpp).
//
// Of the models' own reference implementations two habits are left out: Qwen's composes text (NFC) before it
// cuts words, for which model files have no key, so decomposed Hangul stays as it is; and control tokens are
// never looked for in a text.
//
// Nothing in a text can become a control token: control, unknown and unused entries of the vocabulary take no
// part in matching. Time is linear in the text but for a logarithm in the length of a run without a boundary.
#pragma once

#include <memory>

#include "gguf.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {

// `file` may go afterwards. Throws EngineError: malformed, unsupported (another family or pre-tokenizer).
std::unique_ptr<Tokenizer> make_tokenizer(const Gguf& file);

}  // namespace jiphyeon
