#!/usr/bin/env python3
"""Speed and results of the engine beside llama.cpp, on the same model files and threads, taking turns in one run.

    bench/run llm [--quick] [--threads N] [--only equality|speed]

Speed: a prompt of 512 (and 2,048) tokens, and 64 greedy tokens after a short prompt; medians of runs that alternate.
llama.cpp gets the batch sizes and the flash attention setting that it was fastest with in a short sweep before.

Equality: on 20 Korean prompts of 50 to 1,500 tokens the first 64 greedy tokens are those of llama.cpp, or at the first
difference the gap between the two best logits is below the largest difference of logits between both engines at the
equal positions before it: then the two tokens are as likely as rounding can tell.
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

ROOT = Path(__file__).resolve().parent.parent
MODELS = Path(os.environ.get("JIPHYEON_MODELS", ROOT / "build" / "models"))
FILES = {
    "1.5B Q4_K_M": "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    "0.5B": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
}


class Ours:
    name = "jiphyeon"

    def __init__(self, model, threads):
        program = os.environ.get("JIPHYEON_ENGINE_BENCH", ROOT / "build" / "release" / "bench" / "jiphyeon_engine_bench")
        self.process = subprocess.Popen([str(program), str(model), str(threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.loaded = json.loads(self.process.stdout.readline())

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the engine ended with {self.process.wait()}")
        return json.loads(line)

    def prefill_ms(self, tokens):
        return self.ask(op="generate", tokens=tokens, max_tokens=0)["prompt_ms"]

    def decode_ms(self, tokens, count):
        done = self.ask(op="generate", tokens=tokens, max_tokens=count + 1)
        # The first of the tokens comes out of the prompt's logits.
        return done["decode_ms"] / max(1, len(done["tokens"]) - 1)

    def greedy(self, tokens, count):
        return self.ask(op="generate", tokens=tokens, max_tokens=count)["tokens"]

    def logits(self, tokens):
        return np.frombuffer(base64.b64decode(self.ask(op="logits", tokens=tokens)["logits"]), dtype=np.float32)

    def vector(self, text):
        return np.frombuffer(base64.b64decode(self.ask(op="embed", texts=[text])["vectors"]), dtype=np.float32)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class LlamaCpp:
    def __init__(self, model, threads, n_batch=512, n_ubatch=512, flash=False, context=4096):
        import llama_cpp
        self.name = f"llama.cpp ({llama_cpp.__version__})"
        self.llama = llama_cpp.Llama(str(model), n_ctx=context, n_threads=threads, n_threads_batch=threads, n_batch=n_batch,
                                     n_ubatch=n_ubatch, flash_attn=flash, logits_all=False, verbose=False)

    def prefill_ms(self, tokens):
        self.llama.reset()
        start = time.perf_counter()
        self.llama.eval(tokens)
        return (time.perf_counter() - start) * 1000

    def decode_ms(self, tokens, count):
        self.llama.reset()
        self.llama.eval(tokens)
        token = self.best()
        start = time.perf_counter()
        for _ in range(count):
            self.llama.eval([token])
            token = self.best()
        return (time.perf_counter() - start) * 1000 / count

    def last_logits(self):
        pointer = self.llama._ctx.get_logits()
        return np.ctypeslib.as_array(pointer, shape=(self.llama.n_vocab(),))

    def best(self):
        return int(np.argmax(self.last_logits()))

    def close(self):
        self.llama.close()


def korean_text():
    """Sentences of the samples' documents, one after the other."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "samples" / "text").glob("*.md")))


def prompts_of(ours, lengths):
    tokens = ours.ask(op="tokenize", text=korean_text())["tokens"]
    step = (len(tokens) - max(lengths)) // len(lengths)
    return [tokens[i * step:i * step + length] for i, length in enumerate(lengths)]


def sweep(model, threads, tokens):
    """The settings with which llama.cpp reads a prompt fastest."""
    best = None
    for n_ubatch in (256, 512):
        for flash in (False, True):
            peer = LlamaCpp(model, threads, n_batch=512, n_ubatch=n_ubatch, flash=flash)
            peer.prefill_ms(tokens[:64])
            took = min(peer.prefill_ms(tokens) for _ in range(2))
            peer.close()
            print(f"  llama.cpp n_ubatch {n_ubatch} flash {flash}: {len(tokens) / took * 1000:.1f} tokens/s", file=sys.stderr)
            if best is None or took < best[0]:
                best = (took, {"n_batch": 512, "n_ubatch": n_ubatch, "flash": flash})
    return best[1]


def alternate(measures, runs):
    """Calls the measures in turn; the list of results of each."""
    results = [[] for _ in measures]
    for measure in measures:
        measure()  # warms caches and buffers
    for _ in range(runs):
        for i, measure in enumerate(measures):
            results[i].append(measure())
    return results


def speed(case, model, threads, quick):
    ours = Ours(model, threads)
    tokens = prompts_of(ours, [2048])[0]
    peer = LlamaCpp(model, threads, **({"flash": False} if quick else sweep(model, threads, tokens[:512])))
    runs = 3 if quick else 7
    jobs = [("prefill", lambda e: e.prefill_ms(tokens[:512]), 512)]
    if not quick:
        jobs.append(("prefill 2048", lambda e: e.prefill_ms(tokens), 2048))
    jobs.append(("decode", lambda e: e.decode_ms(tokens[:32], 64), 1))
    cases = []
    for metric, measure, count in jobs:
        mine, theirs = alternate([lambda: measure(ours), lambda: measure(peer)], 3 if metric == "prefill 2048" else runs)
        rates = [[count * 1000 / ms for ms in result] for result in (mine, theirs)]
        medians = [statistics.median(rate) for rate in rates]
        spread = " / ".join(f"{min(rate):.1f}-{max(rate):.1f}" for rate in rates)
        print(f"{case:14} {metric:14} {medians[0]:9.1f} {medians[1]:9.1f} tokens/s   {medians[0] / medians[1]:5.2f}x   ({spread})")
        cases.append({"case": case, "metric": metric, "unit": "tokens/s", "ours": medians[0], "peer": medians[1],
                      "peer_name": peer.name, "ratio": medians[0] / medians[1], "runs": len(mine)})
    cases.append({"case": case, "metric": "load", "unit": "s", "ours": ours.loaded["load_ms"] / 1000, "peer": None,
                  "peer_name": None, "ratio": None, "runs": 1})
    ours.close()
    peer.close()
    return cases


def compare(ours, peer, prompt, count):
    """Greedy tokens of both; where they part, whether rounding explains it."""
    mine = ours.greedy(prompt, count)
    peer.llama.reset()
    peer.llama.eval(prompt)
    largest = 0.0
    theirs = []
    for i in range(count):
        logits = peer.last_logits().copy()
        theirs.append(int(np.argmax(logits)))
        if i >= len(mine):  # ours saw the end; so must they
            return theirs[-1] in ENDS, i, 0.0, 0.0
        own = ours.logits(prompt + mine[:i])[:len(logits)] if i < 8 or theirs[-1] != mine[i] else None
        if theirs[-1] != mine[i]:
            top = np.sort(logits)[-2:]
            gap = float(top[1] - top[0])
            if i == 0:
                largest = float(np.max(np.abs(own - logits)))
            return gap < largest, i, gap, largest
        if own is not None:
            largest = max(largest, float(np.max(np.abs(own - logits))))
        peer.llama.eval([mine[i]])
    return True, count, 0.0, largest


ENDS = {151643, 151645}  # <|endoftext|>, <|im_end|> of the qwen2 vocabulary


def equality(case, model, threads, quick):
    ours = Ours(model, threads)
    peer = LlamaCpp(model, threads)
    count = 5 if quick else 20
    lengths = [50 + round(i * (1450 if not quick else 350) / (count - 1)) for i in range(count)]
    good = equal = 0
    for prompt in prompts_of(ours, lengths):
        ok, at, gap, largest = compare(ours, peer, prompt, 64)
        good += ok
        equal += at == 64 or (ok and gap == 0)
        print(f"{case:14} prompt of {len(prompt):4}: " +
              (f"64 tokens equal, largest logit difference {largest:.3f}" if at == 64 else
               f"first difference at {at}, gap {gap:.3f}, largest logit difference before {largest:.3f}: "
               f"{'explained' if ok else 'NOT EXPLAINED'}"))
    ours.close()
    peer.close()
    print(f"{case:14} {good} of {count} prompts agree, {equal} of them in all tokens")
    return [{"case": case, "metric": "greedy agreement", "unit": "share of prompts", "ours": good / count, "peer": None,
             "peer_name": peer.name, "ratio": None, "runs": count}]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["equality", "speed"])
    parser.add_argument("--model", choices=list(FILES))
    options = parser.parse_args()
    cases = []
    for case, file in FILES.items():
        model = MODELS / file
        if (options.model and options.model != case) or not model.exists():
            continue
        if options.only != "equality":
            cases += speed(case, model, options.threads, options.quick)
        if options.only != "speed":
            cases += equality(case, model, options.threads, options.quick)
    print(json.dumps({"suite": "llm", "cases": cases}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
