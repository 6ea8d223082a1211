"""Writes blocks.jsonl: random blocks of every weight type that the engine reads and their values as PyPI gguf's
numpy code (gguf.quants.dequantize, gguf 0.19.0, numpy 2.4) gives them. One line per type: its id in GGUF, its
name, the bytes of the blocks and the bits of the float32 values in hexadecimal.

    python3 tests/llm_engine/data/make_blocks.py        (pip install gguf)
"""
import json
import pathlib

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

# Where the halves of a block lie: random bytes could make infinities of them.
HALVES = {Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.IQ4_NL: [0],
          Type.IQ4_XS: [0], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.MXFP4: []}


def random_blocks(random, kind):
    elements, size = GGML_QUANT_SIZES[kind]
    if elements == 1:
        floats = random.normal(0, 1, 64).astype(np.float32)
        if kind == Type.BF16:
            return (floats.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
        return floats.astype(np.float16 if kind == Type.F16 else np.float32).view(np.uint8)
    blocks = random.integers(0, 256, (4 if elements == 256 else 8, size), dtype=np.uint8)
    blocks[0], blocks[1] = 0, 255
    for at in HALVES[kind]:
        scales = random.normal(0, 0.02, len(blocks)).astype(np.float16)
        scales[2] = 3e-7  # subnormal
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    if kind == Type.MXFP4:
        blocks[:, 0] = [0, 1, 2, 120, 127, 131, 140, 240]
    return blocks.reshape(-1)


def main():
    random = np.random.default_rng(20)
    kinds = [Type.F32, Type.F16, Type.BF16, *HALVES]
    with open(pathlib.Path(__file__).with_name("blocks.jsonl"), "w", encoding="utf-8") as sink:
        for kind in kinds:
            blocks = random_blocks(random, kind)
            values = dequantize(blocks, kind).astype(np.float32)
            sink.write(json.dumps({"id": int(kind), "type": kind.name, "blocks": blocks.tobytes().hex(),
                                   "values": values.tobytes().hex()}) + "\n")


main()
