"""Writes what PyPI gguf's numpy code (gguf 0.19.0, numpy 2.4) makes of random data:

blocks.jsonl     random blocks of every weight type that the engine reads, and their values by gguf.quants.dequantize
quantized.jsonl  random values, and their blocks by gguf.quants.quantize for the types where it has a rule

One line per type: its id in GGUF, its name, the bytes of the blocks and the bits of the float32 values in hexadecimal.

    python3 tests/llm_engine/data/make_blocks.py        (pip install gguf)
"""
import json
import pathlib

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

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


def random_values(random):
    """Rows of 32: ordinary ones, zeros, equal ones, one that stands out, and steps that fall on ties."""
    values = random.normal(0, 0.02, (12, 32)).astype(np.float32)
    values[1], values[2], values[3, 7] = 0, -0.25, 1.5
    values[4] = np.arange(32) / 16 - 1
    values[5] = np.abs(values[5])
    values[6] *= 1e-7
    return values


def write(name, kinds, make):
    with open(pathlib.Path(__file__).with_name(name), "w", encoding="utf-8") as sink:
        for kind in kinds:
            blocks, values = make(kind)
            sink.write(json.dumps({"id": int(kind), "type": kind.name, "blocks": blocks.tobytes().hex(),
                                   "values": values.astype(np.float32).tobytes().hex()}) + "\n")


def main():
    random = np.random.default_rng(20)

    def dequantized(kind):
        blocks = random_blocks(random, kind)
        return blocks, dequantize(blocks, kind)

    def quantized(kind):
        values = random_values(random)
        return quantize(values, kind), values

    write("blocks.jsonl", [Type.F32, Type.F16, Type.BF16, *HALVES], dequantized)
    write("quantized.jsonl", [Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0], quantized)


main()
