#!/usr/bin/env python3
"""The whole way of a question on the sample archive: is the right place among the evidence, is the right answer said,
does the sentence that says it cite that place, is silence kept where the archive has no answer, does nothing of another
department come out, and how long does the first checked sentence take.

    bench/run answers [--quick] [--data DIR] [--questions FILE] [--details FILE]

Without --data a data folder is made and the archive is ingested first. Questions are asked by the operator at the
console, who sees what is public; --quick asks every fourth. Every fifth is asked a second time, when the engine still
holds its documents' keys and values. There is no peer: the figures are shares of 1.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(os.environ.get("JIPHYEON_PROGRAM", ROOT / "build" / "release" / "bin" / "jiphyeon"))
SILENT = {"not_found", "not_enough"}
AGAIN = " again"


def jiphyeon(*arguments, text=None):
    done = subprocess.run([PROGRAM, *map(str, arguments)], input=text, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"jiphyeon {arguments[0]} ended with {done.returncode}")
    return done.stdout


def prepare(folder):
    samples = ROOT / "build" / "samples"
    subprocess.run([ROOT / "samples" / "make", samples], check=True, stdout=sys.stderr)
    jiphyeon("init", "--data", folder, "--models", ROOT / "build" / "models", "--json")
    parts = [samples / name for name in ("public", "internal", "restricted", "hostile")]
    jiphyeon("ingest", *parts, "--data", folder, "--json")


def ask(folder, questions):
    def line(q, suffix=""):
        return json.dumps({"id": q["id"] + suffix, "text": q["question"], **({"as_of": q["as_of"]} if "as_of" in q else {})},
                          ensure_ascii=False)

    lines = []
    for i, q in enumerate(questions):
        lines.append(line(q))
        if i % 5 == 0:
            lines.append(line(q, AGAIN))
    out = jiphyeon("ask", "--batch", "-", "--data", folder, "--json", text="\n".join(lines) + "\n")
    return {answer["id"]: answer for answer in map(json.loads, out.splitlines())}


def squeezed(text):
    return re.sub(r"[\s,]", "", unicodedata.normalize("NFKC", text)).lower()


def holds(text, wanted):
    """One of the wordings of the answer stands in the text; a number only where no further digit follows or precedes."""
    plain = squeezed(text)
    def bounded(w):
        return (r"(?<!\d)" if w[0].isdigit() else "") + re.escape(w) + (r"(?!\d)" if w[-1].isdigit() else "")

    return any(re.search(bounded(squeezed(w)), plain) for w in wanted)


def article(section):
    found = re.match(r"제\d+조(의\d+)?", section or "")
    return found.group(0) if found else None


def same_file(a, b):
    """Source ids are paths within what was ingested, be it the archive or one of its folders."""
    return a == b or a.endswith("/" + b) or b.endswith("/" + a)


def is_place(evidence, gold):
    if not same_file(evidence["source_id"], gold["source"]):
        return False
    if gold.get("page") and evidence.get("page"):
        last = evidence.get("page_end") or evidence["page"]
        if evidence["page"] <= gold["page"] <= last:
            return True
    wanted, section = squeezed(gold.get("section") or ""), squeezed(evidence.get("section") or "")
    if article(wanted):
        return article(wanted) == article(section) or article(wanted) + "(" in section
    if wanted and section:
        return wanted in section or section in wanted
    # Mail, web pages and the like: the document is the finest place that the evidence has.
    return not section and not evidence.get("page")


def judge(question, answer):
    evidence = {item["n"]: item for item in answer.get("evidence", [])}
    gold = question["gold"]
    at_gold = {n for n, item in evidence.items() if any(is_place(item, g) for g in gold)}
    saying = [s for s in answer.get("sentences", []) if question["answer"] and holds(s["text"], question["answer"])]
    said = json.dumps({key: answer.get(key) for key in ("answer", "sentences", "evidence", "message")}, ensure_ascii=False)
    return {
        "evidence": bool(at_gold),
        "answer": bool(saying) or bool(question["answer"]) and holds(answer.get("answer", ""), question["answer"]),
        "citation": bool(saying) and any(set(s["citations"]) & at_gold for s in saying),
        "saying": bool(saying),
        "marked": all(s["citations"] and s["support"] in ("supported", "partial") for s in answer.get("sentences", [])),
        "silent": answer["outcome"] in SILENT,
        "leaks": [w for w in question.get("must_not_contain", []) if squeezed(w) in squeezed(said)],
        "conflict": answer["outcome"] == "conflicting",
        "total_ms": answer.get("timings_ms", {}).get("total") or 0,
    }


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data")
    parser.add_argument("--questions", default=ROOT / "samples" / "questions.jsonl")
    parser.add_argument("--details", help="one JSON line per question is written there")
    options = parser.parse_args()
    questions = [json.loads(line) for line in Path(options.questions).read_text(encoding="utf-8").splitlines() if line]
    if options.quick:
        questions = questions[::4]

    with tempfile.TemporaryDirectory() as scratch:
        folder = options.data or Path(scratch) / "data"
        if not options.data:
            prepare(folder)
        answers = ask(folder, questions)

    judged = [(q, answers[q["id"]], judge(q, answers[q["id"]])) for q in questions]
    if options.details:
        with open(options.details, "w", encoding="utf-8") as out:
            for question, answer, verdict in judged:
                out.write(json.dumps({"id": question["id"], "kind": question["kind"], "outcome": answer["outcome"],
                                      **verdict, "given": answer}, ensure_ascii=False) + "\n")

    def of(kind):
        return [v for q, _, v in judged if q["kind"] == kind]

    cases = []

    def case(name, metric, values, bar, unit="share"):
        value = (sum(values) / len(values)) if values else 0.0
        print(f"{name:<46}{sum(values):>5} of {len(values):<5}{value:>7.2f}   wanted {bar}")
        cases.append({"case": name, "metric": metric, "unit": unit, "ours": value, "peer": None, "peer_name": None,
                      "ratio": None, "runs": len(values)})

    answerable = of("answerable")
    case("answerable: evidence holds the gold place", "evidence", [v["evidence"] for v in answerable], ">= 0.90")
    case("answerable: answer holds the gold answer", "answer", [v["answer"] for v in answerable], ">= 0.70")
    case("sentence with the gold answer cites its place", "citation", [v["citation"] for v in answerable if v["saying"]],
         ">= 0.85")
    case("every sentence has citation and mark", "marked", [v["marked"] for _, _, v in judged], "1.00")
    case("unanswerable: not_found or not_enough", "abstention", [v["silent"] for v in of("unanswerable")], ">= 0.80")
    case("forbidden: something came out", "leak", [bool(v["leaks"]) for v in of("forbidden")], "0.00")
    case("contradicting documents: outcome conflicting", "conflict", [v["conflict"] for q, _, v in judged if q.get("conflict")],
         "all")
    def first_seconds(answers_of):
        times = [a.get("timings_ms", {}).get("first_sentence") or 0 for a in answers_of]
        return [t / 1000 for t in times if t]

    for when, values, bar in (("cold", first_seconds(a for i, a in answers.items() if not i.endswith(AGAIN)), "<= 30"),
                              ("cached", first_seconds(a for i, a in answers.items() if i.endswith(AGAIN)), "<= 8")):
        for name, value in (("median", statistics.median(values) if values else 0), ("p95", percentile(values, 0.95))):
            print(f"first checked sentence, {when}, {name:<12}{value:>21.1f} s   {'wanted ' + bar if name == 'p95' else ''}")
            cases.append({"case": f"first checked sentence, {when}", "metric": name, "unit": "s", "ours": value,
                          "peer": None, "peer_name": None, "ratio": None, "runs": len(values)})
    print(json.dumps({"suite": "answers", "cases": cases}, ensure_ascii=False))


if __name__ == "__main__":
    main()
