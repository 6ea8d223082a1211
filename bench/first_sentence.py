"""How long the first checked sentence of an answer takes where the engine remembers nothing, alone and beside a batch
that is being indexed.

    bench/run first_sentence [--quick]

The questions of the samples, each asked once of a running server without a prefix cache; then again while documents
that nobody may see are being ingested. --quick asks every fourth. There is no peer: p95 is wanted within 15 s, and
beside a batch within 1.5 times what it is alone.
"""
import argparse
import json
import statistics
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from answers import percentile  # noqa: E402
from appliance import Appliance  # noqa: E402

DOCUMENTS = 3000  # more than are done in the time


def write_batch(folder):
    """The samples' texts over and over, no two of them equal."""
    folder.mkdir()
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "samples" / "text").glob("*.md"))]
    for i in range(DOCUMENTS):
        text = texts[i % len(texts)]
        (folder / f"{i:04}.md").write_text(f"제{i}권\n\n" + text.replace("제1조", f"제1조의{i + 2}"), encoding="utf-8")


def first_sentences(appliance, questions, goes_on=lambda: True):
    """Seconds, of questions that were answered while it went on."""
    seconds = []
    for i, question in enumerate(questions):
        print(f"\r{i}/{len(questions)} ", end="", file=sys.stderr, flush=True)
        reply = appliance.run("ask", question)
        first = reply.get("timings_ms", {}).get("first_sentence")
        if not goes_on():
            raise RuntimeError(f"the batch ended after {i} questions: give it more documents")
        if first:
            seconds.append(first / 1000)
    return seconds


def measure(questions):
    appliance = Appliance()
    try:
        appliance.ingest_samples()
        appliance.set("engine", prefix_cache_mib=0)
        appliance.start()
        alone = first_sentences(appliance, questions)
        batch = appliance.place / "batch"
        write_batch(batch)
        ingest = threading.Thread(target=lambda: appliance.command("ingest", batch, "--json"))
        ingest.start()
        beside = first_sentences(appliance, questions, ingest.is_alive)
        appliance.stop()
        ingest.join()
        return alone, beside
    finally:
        appliance.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    lines = (ROOT / "samples" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines][::4 if options.quick else 1]

    subprocess.run([ROOT / "samples" / "make", ROOT / "build" / "samples"], check=True, stdout=sys.stderr)
    cases = []
    for when, seconds in zip(("cold", "cold beside a batch"), measure(questions)):
        for metric, value in (("median", statistics.median(seconds)), ("p95", percentile(seconds, 0.95))):
            print(f"first checked sentence, {when:20} {metric:7}{value:8.1f} s of {len(seconds)} answers")
            cases.append({"case": f"first checked sentence, {when}", "metric": metric, "unit": "s", "ours": value,
                          "peer": None, "peer_name": None, "ratio": None, "runs": len(seconds)})
    print(f"p95 beside a batch: {cases[3]['ours'] / cases[1]['ours']:.2f} times as long")
    print(json.dumps({"suite": "first_sentence", "cases": cases}, ensure_ascii=False))


if __name__ == "__main__":
    main()
