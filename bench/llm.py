#!/usr/bin/env python3
"""Speed and results of the engine beside llama.cpp, on the same model files and threads, taking turns in one run.

    bench/run llm [--quick] [--threads N] [--only equality|perplexity|speed|serving|kv] [--model CASE]

Speed: a prompt of 512 (and 2,048) tokens, and 64 greedy tokens after a short prompt, without guesses; medians of runs
that alternate. llama.cpp gets the batch sizes and the flash attention setting that it was fastest with in a short
sweep before. rows8, rows16: how much longer a step for so many users takes than one for one. Shares of the physical
limit: of the bytes that a plain loop reads in a second, what decoding reads, each weight once per token; of the integer
operations of a plain loop, what the products of a prompt need. The plain loops take their turns between the measurements,
as a machine that is shared gives more at one minute than at the next. The Q4_0 file is made by our quantiser from the Q4_K_M.

Serving, with the 1.5B: eight users who ask about one document of 1,024 tokens, beside llama.cpp's batched decoding of
eight sequences that the document was copied to (throughput: all tokens a second from the questions on); answers that
quote their evidence, beside llama.cpp made to write the same tokens (end to end: from the first token to the last); and
a second question on a document (first token), beside a cold start of ours: with the document's pages in memory, in the file below it, and in the file
when the system holds nothing of it in memory.

Keys and values (kv), with the 1.5B: q8 beside our own f16, at a context of 4,096 tokens: memory, tokens a second, and
the perplexity of the statutes.

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
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MODELS = Path(os.environ.get("JIPHYEON_MODELS", ROOT / "build" / "models"))
FILES = {
    "1.5B Q4_K_M": "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    "1.5B Q4_0": "qwen2.5-coder-1.5b-instruct-q4_0.gguf",
    "0.5B": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
}
PROGRAM = os.environ.get("JIPHYEON_ENGINE_BENCH", ROOT / "build" / "release" / "bench" / "jiphyeon_engine_bench")


def model_of(case):
    """The file, made where it is one that we make; None where its origin is not there."""
    if case != "1.5B Q4_0":
        return MODELS / FILES[case] if (MODELS / FILES[case]).exists() else None
    made, origin = ROOT / "build" / "peers" / FILES[case], MODELS / FILES["1.5B Q4_K_M"]
    if not made.exists() and origin.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(PROGRAM), "quantize", str(origin), str(made), "Q4_0"], check=True)
    return made if made.exists() else None


class Ours:
    name = "jiphyeon"

    def __init__(self, model, threads, guess_tokens=0, adapter=None, kv="f16", more=()):
        command = [PROGRAM, model, threads, "best", guess_tokens, adapter or "", kv, *more]
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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

    def decode_ms(self, tokens, count, domain=""):
        done = self.ask(op="generate", tokens=tokens, max_tokens=count + 1, cache_domain=domain)
        # The first of the tokens comes out of the prompt's logits.
        return done["decode_ms"] / max(1, len(done["tokens"]) - 1)

    def greedy(self, tokens, count):
        return self.ask(op="generate", tokens=tokens, max_tokens=count)["tokens"]

    def logits(self, tokens):
        return np.frombuffer(base64.b64decode(self.ask(op="logits", tokens=tokens)["logits"]), dtype=np.float32)

    def together(self, prompts, count, domain):
        return self.ask(op="together", prompts=prompts, max_tokens=count, cache_domain=domain)["ms"]

    def vector(self, text):
        return np.frombuffer(base64.b64decode(self.ask(op="embed", texts=[text])["vectors"]), dtype=np.float32)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class LlamaCpp:
    def __init__(self, model, threads, n_batch=512, n_ubatch=512, flash=False, context=4096, logits_all=False, adapter=None):
        import llama_cpp
        self.name = f"llama.cpp ({llama_cpp.__version__})"
        self.llama = llama_cpp.Llama(str(model), n_ctx=context, n_threads=threads, n_threads_batch=threads, n_batch=n_batch,
                                     n_ubatch=n_ubatch, flash_attn=flash, logits_all=logits_all, verbose=False,
                                     lora_path=str(adapter) if adapter else None)

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


class LlamaCppBatch:
    """Eight sequences in one context, through llama.cpp's C interface."""

    def __init__(self, model, threads, sequences, context):
        import llama_cpp
        self.lib, self.sequences = llama_cpp, sequences
        self.name = f"llama.cpp ({llama_cpp.__version__})"
        # llama.cpp goes on calling it after this peer is closed, so the class keeps it.
        LlamaCppBatch.silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(LlamaCppBatch.silent, None)
        self.model = llama_cpp.llama_model_load_from_file(str(model).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max = context, 512, 512, sequences + 1
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True  # a copied prefix is shared, not held eight times
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)

    def decode(self, rows):
        """rows: (token, position, sequence, wants logits)."""
        for i, (token, position, sequence, wanted) in enumerate(rows):
            self.batch.token[i], self.batch.pos[i] = token, position
            self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, sequence
            self.batch.logits[i] = wanted
        self.batch.n_tokens = len(rows)
        if self.lib.llama_decode(self.context, self.batch) != 0:
            raise RuntimeError("llama_decode failed")

    def best(self, row):
        pointer = self.lib.llama_get_logits_ith(self.context, row)
        return int(np.argmax(np.ctypeslib.as_array(pointer, shape=(self.vocabulary,))))

    def read(self, document):
        self.lib.llama_memory_clear(self.memory, True)
        for first in range(0, len(document), 512):
            part = document[first:first + 512]
            self.decode([(token, first + i, 0, False) for i, token in enumerate(part)])

    def together(self, document, questions, count):
        """Milliseconds for the questions and `count` tokens of each answer; the document is there already."""
        for i in range(len(questions)):
            self.lib.llama_memory_seq_rm(self.memory, i + 1, -1, -1)
            self.lib.llama_memory_seq_cp(self.memory, 0, i + 1, 0, len(document))
        start = time.perf_counter()
        rows, last = [], []
        for i, question in enumerate(questions):
            rows += [(token, len(document) + k, i + 1, k + 1 == len(question)) for k, token in enumerate(question)]
            last.append(len(rows) - 1)
        self.decode(rows)
        tokens = [self.best(row) for row in last]
        for step in range(count - 1):
            self.decode([(tokens[i], len(document) + len(question) + step, i + 1, True)
                         for i, question in enumerate(questions)])
            tokens = [self.best(i) for i in range(len(questions))]
        return (time.perf_counter() - start) * 1000

    def close(self):
        self.lib.llama_batch_free(self.batch)
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)


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
    peer = LlamaCpp(model, threads, **sweep(model, threads, tokens[:512]))
    runs = 3 if quick else 7
    bytes_read, operations = work_per_token(model)

    def job(metric, measure, count, runs):
        mine, theirs, limits = alternate([lambda: measure(ours), lambda: measure(peer), lambda: ours.ask(op="limits")], runs)
        rates = [[count * 1000 / ms for ms in result] for result in (mine, theirs)]
        limit, work = ("bytes_per_s", bytes_read) if metric == "decode" else ("operations_per_s", operations)
        shares = [rate * work / each[limit] for rate, each in zip(rates[0], limits)]
        return [case_of(case, metric, "tokens/s", *rates, peer.name),
                case_of(case, f"{metric} share of limit", "1", shares, None, None)]

    cases = job("prefill", lambda engine: engine.prefill_ms(tokens[:512]), 512, runs)
    if not quick:
        cases += job("prefill 2048", lambda engine: engine.prefill_ms(tokens), 2048, 3)
    cases += job("decode", lambda engine: engine.decode_ms(tokens[:32], 64), 1, runs)
    peer.close()
    cases += rows(case, ours, tokens[:16], runs)
    ours.close()
    loads = []
    for _ in range(runs):
        again = Ours(model, threads)
        loads.append(again.loaded["load_ms"] / 1000)
        again.close()
    cases.append(case_of(case, "load", "s", loads, None, None))
    return cases


def work_per_token(model):
    """Bytes that decoding a token reads of the weights, and integer operations that a token of a prompt needs."""
    import gguf
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(model).tensors}
    # Of the embeddings decoding reads a row, unless they are the projection to the vocabulary as well.
    read = sum(int(t.n_bytes) for name, t in tensors.items() if name != "token_embd.weight" or "output.weight" not in tensors)
    return read, 2 * sum(int(t.n_elements) for name, t in tensors.items() if name.startswith("blk."))


def rows(case, ours, prompt, runs):
    """Steps alone: long against short answers of so many users, whose prompts are in the cache but for a token."""
    prompts = [prompt[:-1] + [100 + i] for i in range(16)]

    def step(count):
        return (ours.together(prompts[:count], 40, "rows") - ours.together(prompts[:count], 8, "rows")) / 32

    single, *many = alternate([lambda count=count: step(count) for count in (1, 8, 16)], runs)
    return [case_of(case, f"rows{count}", "single steps", [ms / statistics.median(single) for ms in steps], None, None)
            for count, steps in zip((8, 16), many)]


QUESTIONS = ["신청은 누구에게 합니까?", "언제부터 시행합니까?", "예외는 무엇입니까?", "누가 승인합니까?",
             "비용은 누가 부담합니까?", "기한은 며칠입니까?", "어떤 서류가 필요합니까?", "취소할 수 있습니까?"]


def eight_users(model, threads, quick):
    """Greedy answers without guesses on both sides, so that each has as many steps."""
    count, runs = 48, 3 if quick else 5
    ours = Ours(model, threads)
    peer = LlamaCppBatch(model, threads, len(QUESTIONS), 1024 + len(QUESTIONS) * 128)
    document = prompts_of(ours, [1024])[0]
    questions = [ours.ask(op="tokenize", text="\n\n질문: " + question + "\n답:")["tokens"] for question in QUESTIONS]
    prompts = [document + question for question in questions]
    ours.together([document + [questions[0][0]]], 1, "department")
    peer.read(document)
    mine, theirs = alternate([lambda: ours.together(prompts, count, "department"),
                              lambda: peer.together(document, questions, count)], runs)
    total = count * len(questions)
    cases = [case_of("eight users", "throughput", "tokens/s", [total * 1000 / ms for ms in mine],
                     [total * 1000 / ms for ms in theirs], peer.name)]
    peer.close()
    ours.close()
    return cases


def quoting_answer(model, threads, quick):
    """Articles of the samples that the model is asked to write out; llama.cpp is made to write the same tokens."""
    ours, peer = Ours(model, threads, guess_tokens=11), LlamaCpp(model, threads)
    articles = [part.strip() for path in sorted((ROOT / "samples" / "text").glob("*.md"))
                for part in path.read_text(encoding="utf-8").split("\n\n") if 150 < len(part) < 400 and "|" not in part]
    articles = articles[::max(1, len(articles) // (3 if quick else 8))][:3 if quick else 8]
    mine, theirs = [], []
    for article in articles:
        text = ("<|im_start|>user\n다음 글을 한 글자도 바꾸지 말고 그대로 옮겨 쓰십시오.\n\n" + article +
                "<|im_end|>\n<|im_start|>assistant\n")
        prompt = [token for token in peer.llama.tokenize(text.encode(), add_bos=False, special=True)]
        done = ours.ask(op="generate", tokens=prompt, max_tokens=160)
        mine.append(done["decode_ms"])
        peer.llama.reset()
        peer.llama.eval(prompt)
        start = time.perf_counter()
        for token in done["tokens"]:
            peer.best()
            peer.llama.eval([token])
        theirs.append((time.perf_counter() - start) * 1000)
        print(f"  quoted {len(done['tokens'])} tokens in {done['steps']} steps", file=sys.stderr)
    ours.close()
    peer.close()
    # Of each answer the ratio, as answers differ in length.
    ratios = [b / a for a, b in zip(mine, theirs)]
    case = case_of("quoting answer", "end to end", "ms", mine, theirs, peer.name, lower_is_better=True)
    case["ratio"] = statistics.median(ratios)
    print(f"{'quoting answer':14} ratio by answer: " + " ".join(f"{ratio:.2f}" for ratio in ratios))
    return [case]


def second_question(model, threads, quick):
    ours = Ours(model, threads)
    document = prompts_of(ours, [1500])[0]
    first, second = [ours.ask(op="tokenize", text="\n\n질문: " + question + "\n답:")["tokens"] for question in QUESTIONS[:2]]
    cold, warm = [], []
    for run in range(2 if quick else 5):
        cold.append(ours.together([document + first], 1, f"department {run}"))
        warm.append(ours.together([document + second], 1, f"department {run}"))
    ours.close()
    case = case_of("second question", "first token", "ms", warm, cold, "jiphyeon, cold", lower_is_better=True)
    return [case] + second_question_from_disk(model, threads, quick)


def forget_in_memory(process):
    """Makes the system write out and forget what it holds of the engine's file."""
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        if os.readlink(entry).endswith(" (deleted)"):
            file = os.open(entry, os.O_RDWR)
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def second_question_from_disk(model, threads, quick):
    """Memory holds two pages of 256 tokens, so that another document pushes the first one out."""
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        ours = Ours(model, threads, more=(15, 1024, folder))
        document, other = prompts_of(ours, [1500, 1500])
        first, second = [ours.ask(op="tokenize", text="\n\n질문: " + question + "\n답:")["tokens"] for question in QUESTIONS[:2]]
        cold, written, read = [], [], []
        for run in range(2 if quick else 5):
            domain = f"department {run}"
            cold.append(ours.together([document + first], 1, domain))
            ours.together([other + first], 1, domain)
            written.append(ours.together([document + second], 1, domain))
            ours.together([other + second], 1, domain)
            forget_in_memory(ours.process)
            read.append(ours.together([document + first], 1, domain))
        ours.close()
    return [case_of("second question", metric, "ms", times, cold, "jiphyeon, cold", lower_is_better=True)
            for metric, times in (("file", written), ("disk", read))]


def case_of(case, metric, unit, ours, peer, peer_name, lower_is_better=False):
    mine, theirs = statistics.median(ours), statistics.median(peer) if peer else None
    ratio = None if theirs is None else theirs / mine if lower_is_better else mine / theirs
    print(f"{case:14} {metric:14} {mine:9.2f} {'' if theirs is None else f'{theirs:9.2f}'} {unit}   "
          f"{'' if ratio is None else f'{ratio:5.2f}x'}   ({min(ours):.2f}-{max(ours):.2f})", flush=True)
    return {"case": case, "metric": metric, "unit": unit, "ours": mine, "peer": theirs, "peer_name": peer_name,
            "ratio": ratio, "runs": len(ours)}


def serving(model, threads, quick):
    return eight_users(model, threads, quick) + quoting_answer(model, threads, quick) + second_question(model, threads, quick)


def keys_and_values(model, threads, quick):
    engines = [Ours(model, threads, kv=kv) for kv in ("q8", "f16")]
    prompt = prompts_of(engines[0], [4000])[0]
    rates = [[1000 / ms for ms in times] for times in alternate(
        [lambda engine=engine: engine.decode_ms(prompt, 64, "department") for engine in engines], 3 if quick else 7)]
    text = statutes()[:8000 if quick else None]
    perplexities = [[engine.ask(op="perplexity", text=text, context=512)["perplexity"]] for engine in engines]
    memory = [[engine.loaded["memory_bytes"] / 2**20] for engine in engines]
    for engine in engines:
        engine.close()
    return [case_of("kv q8", "decode at 4,000", "tokens/s", *rates, "f16"),
            case_of("kv q8", "memory", "MiB", *memory, "f16", lower_is_better=True),
            case_of("kv q8", "perplexity", "1", *perplexities, "f16", lower_is_better=True)]


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


def statutes():
    """60 kB of statutes where shared data lies beside the project, else of the samples' rules."""
    archive = Path(os.environ.get("JIPHYEON_SHARED_DATA", ROOT.parent / "shared" / "data")) / "statutes" / "statutes.tar.xz"
    if not archive.exists():
        text = korean_text()
    else:
        with tarfile.open(archive) as files:
            names = sorted(name for name in files.getnames() if name.endswith("법률.md"))
            text = "\n".join(files.extractfile(name).read().decode() for name in names[:8])
    return text.encode()[:60_000].decode(errors="ignore")


def perplexity(case, model, threads, quick):
    """Both on the same tokens, in parts of 512, the second half of each scored."""
    text = statutes()[:8000 if quick else None]
    ours, peer = Ours(model, threads), LlamaCpp(model, threads, context=512, logits_all=True)
    mine = ours.ask(op="perplexity", text=text, context=512)
    tokens = ours.ask(op="tokenize", text=text)["tokens"]
    costs = []
    for first in range(0, len(tokens) - 511, 512):
        part = tokens[first:first + 512]
        peer.llama.reset()
        peer.llama.eval(part)
        for i in range(256, 511):
            logits = peer.llama.scores[i].astype(np.float64)
            top = logits.max()
            costs.append(top + np.log(np.exp(logits - top).sum()) - logits[part[i + 1]])
    ours.close()
    peer.close()
    assert mine["scored"] == len(costs)
    theirs = float(np.exp(np.mean(costs)))
    print(f"{case:14} {len(tokens)} tokens, {len(costs)} scored: ours {100 * (mine['perplexity'] / theirs - 1):+.3f} % of theirs")
    return [case_of(case, "perplexity", "1", [mine["perplexity"]], [theirs], peer.name, lower_is_better=True)]


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
    parser.add_argument("--only", choices=["equality", "perplexity", "speed", "serving", "kv"])
    parser.add_argument("--model", choices=list(FILES))
    options = parser.parse_args()
    cases = []
    for case in [options.model] if options.model else FILES:
        model = model_of(case)
        if model is None:
            continue
        if options.only in (None, "speed"):
            cases += speed(case, model, options.threads, options.quick)
        if options.only in (None, "serving") and case == "1.5B Q4_K_M":
            cases += serving(model, options.threads, options.quick)
        if options.only in (None, "kv") and case == "1.5B Q4_K_M":
            cases += keys_and_values(model, options.threads, options.quick)
        if options.only in (None, "perplexity") and case == "1.5B Q4_K_M":
            cases += perplexity(case, model, options.threads, options.quick)
        if options.only in (None, "equality") and case != "1.5B Q4_0":
            cases += equality(case, model, options.threads, options.quick)
    print(json.dumps({"suite": "llm", "cases": cases}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
