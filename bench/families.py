#!/usr/bin/env python3
"""Logits of a tiny random model of every family beside llama.cpp's, from the same files.

    bench/run families [--quick]

NMSE: the mean square of the difference as a share of the mean square of llama.cpp's logits (of the vectors, for an
encoder), over three prompts of 30 tokens, without and with a low-rank adapter; in F32 files it should stay below 1e-4, in Q8_0 files below 5e-4. Both
engines keep keys and values as halves. hyperclovax, which llama.cpp does not know, has no peer here, and bert has one
with real weights in bench/embed.py; the tests compare every family with a forward pass in double
(tests/llm_engine/model_test.cpp).
"""
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from llm import LlamaCpp, Ours

ROOT = Path(__file__).resolve().parent.parent
BOUNDS = {"f32": 1e-4, "q8_0": 5e-4}


def prompts(seed=7):
    generator = random.Random(seed)
    return [[generator.randrange(97, 123) for _ in range(30)] for _ in range(3)]


def nmse(mine, theirs):
    return float(np.mean((mine - theirs) ** 2) / np.mean(theirs ** 2))


def logits_error(path, adapter=None):
    ours, peer = Ours(path, 1, adapter=adapter), LlamaCpp(path, 1, context=1024, adapter=adapter)
    errors = []
    for prompt in prompts():
        peer.llama.reset()
        peer.llama.eval(prompt)
        theirs = peer.last_logits()
        errors.append(nmse(ours.logits(prompt)[:len(theirs)], theirs))
    name = peer.name
    ours.close()
    peer.close()
    return max(errors), name


def vectors_error(path):
    import llama_cpp
    ours = Ours(path, 1)
    peer = llama_cpp.Llama(str(path), embedding=True, n_threads=1, n_ctx=512, verbose=False)
    errors = []
    for prompt in prompts():
        text = bytes(prompt).decode()
        mine = ours.vector(text)
        theirs = np.asarray(peer.embed(text, normalize=True), dtype=np.float32)
        errors.append(nmse(mine, theirs))
    ours.close()
    peer.close()
    return max(errors), f"llama.cpp ({llama_cpp.__version__})"


def main():
    cases, good = [], True
    tiny_models = ROOT / "build" / "release" / "tests" / "llm_engine" / "jiphyeon_tiny_models"
    for kind, bound in BOUNDS.items():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([tiny_models, folder, kind], check=True)
            for path in sorted(Path(folder).glob("*.gguf")):
                family = path.stem
                if family in ("hyperclovax", "bert"):
                    continue
                vectors = family == "gemma-embedding"
                runs = {kind: lambda: (vectors_error if vectors else logits_error)(path)}
                if not vectors:
                    runs[f"{kind} with adapter"] = lambda: logits_error(path, path.parent / "adapters" / path.name)
                for what, error_of in runs.items():
                    error, peer_name = error_of()
                    good = good and error < bound
                    print(f"{family:16} {what:18} NMSE {error:.2e}   bound {bound:.0e}   "
                          f"{'holds' if error < bound else 'DOES NOT HOLD'}", flush=True)
                    cases.append({"case": family, "metric": f"nmse {what}", "unit": "share", "ours": error, "peer": None,
                                  "peer_name": peer_name, "ratio": bound / error, "runs": 3})
    print(json.dumps({"suite": "families", "cases": cases}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
