#!/usr/bin/env python3
"""Recorded answers are computed again by an engine that works otherwise, and one whose weights are others is told.

    replay.py [ANSWERS]

Questions of the samples are asked, some at a time, and recorded. Then the program starts anew with other threads and
another instruction set, without a cache, and `audit replay` must reproduce each answer to the byte. At last the model is another file: each
replay must name that.
"""
import hashlib
import itertools
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from appliance import MODELS, Appliance  # noqa: E402

TOGETHER = 4  # questions at once
OTHER_MODEL = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"


def progress(done, total, started):
    left = (time.monotonic() - started) / max(1, done) * (total - done)
    print(f"\r{done}/{total}, {left / 60:.0f} min left ", end="", file=sys.stderr, flush=True)


def ask(appliance, count):
    """Leaves of answers that the model wrote."""
    lines = (ROOT / "samples" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    forms = ["{}", "{} 알려 주세요.", "질문드립니다. {}", "담당자입니다. {}", "{} 답해 주십시오.", "확인 부탁드립니다. {}"]
    texts = (form.format(question) for form, question in itertools.product(forms, questions))
    leaves, started = [], time.monotonic()
    with ThreadPoolExecutor(TOGETHER) as pool:
        while len(leaves) < count and (some := list(itertools.islice(texts, TOGETHER))):
            for reply in pool.map(lambda text: appliance.run("ask", text), some):
                if reply["outcome"] in ("answered", "partly_supported"):
                    leaves.append(reply["receipt"]["leaf"])
            progress(len(leaves), count, started)
    return leaves[:count]


def replay(appliance, leaves):
    started, replies = time.monotonic(), []
    for leaf in leaves:
        replies.append(appliance.run("audit", "replay", leaf, as_user="auditor"))
        progress(len(replies), len(leaves), started)
    return replies


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    appliance = Appliance()
    try:
        appliance.add_demo_users()
        appliance.ingest_samples()
        appliance.start()
        appliance.change_password("auditor", "감사-암호-2026-가나다라")
        leaves = ask(appliance, count)
        appliance.stop()

        appliance.set("engine", threads=3, isa="avx2", prefix_cache_mib=0)
        appliance.start()
        again = replay(appliance, leaves)
        appliance.stop()
        same = sum(reply["same"] and reply["generated"] for reply in again)
        print(f"\n{same} of {len(leaves)} answers byte for byte by three threads and AVX2")
        for leaf, reply in zip(leaves, again):
            if not reply["same"]:
                print(f"leaf {leaf}: {reply['differences']}")

        digest = hashlib.sha256((MODELS / OTHER_MODEL).read_bytes()).hexdigest()
        appliance.set("models", llm=str(MODELS / OTHER_MODEL), llm_sha256=digest)
        appliance.start()
        named = sum("another model file" in reply["differences"] for reply in replay(appliance, leaves[:5]))
        appliance.stop()
        print(f"\n{named} of {len(leaves[:5])} replays name the other model file")
        return 0 if same == count and named == min(5, count) else 1
    finally:
        appliance.close()


if __name__ == "__main__":
    sys.exit(main())
