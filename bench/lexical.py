#!/usr/bin/env python3
"""Lexical search: how well and how fast, beside tantivy (Rust, 2-grams) and BM25 over Kiwi's morphemes (bm25s).

    bench/run lexical [--quick] [--data DIR]

Quality: nDCG@10 on the local sets DIR/{welfare,facts,statutes} (corpus.jsonl, queries.jsonl), all with the defaults;
the peers' k1 and b are swept and their best is taken. Speed: the union of the sets, repeated to --chunks chunks, one
thread; batches of questions alternate between the engines and medians are given. Without the data nothing is run.
"""
import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETS = ("welfare", "facts", "statutes")


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class Ours:
    """The index alone, driven over a pipe."""

    def __init__(self, folder):
        program = os.environ.get("JIPHYEON_INDEX_BENCH", ROOT / "build" / "release" / "bench" / "jiphyeon_index_bench")
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(op="open", folder=str(folder))

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request, ensure_ascii=False) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def put(self, items, per_document):
        return sum(self.ask(op="put", items=items[i:i + 2000], per_document=per_document)["seconds"]
                   for i in range(0, len(items), 2000))

    def search(self, texts, k):
        answer = self.ask(op="search", texts=texts, k=k)
        return answer["hits"], answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Tantivy:
    """Its BM25 (k1 1.2, b 0.75 are fixed there) over overlapping pairs of characters of each word."""

    name = "tantivy 2-gram"

    def __init__(self, folder):
        import tantivy
        self.tantivy = tantivy
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("id", stored=True, tokenizer_name="raw")
        builder.add_text_field("text", tokenizer_name="pairs", index_option="freq")
        Path(folder).mkdir()
        self.index = tantivy.Index(builder.build(), path=str(folder))
        analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.lowercase()).build()
        self.words = analyzer
        self.index.register_tokenizer(
            "pairs", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())

    def terms(self, text):
        out = []
        for word in self.words.analyze(text):
            out += [word] if len(word) < 3 else [word[i:i + 2] for i in range(len(word) - 1)]
        return out

    def put(self, items):
        start = time.perf_counter()
        writer = self.index.writer(heap_size=200_000_000, num_threads=1)
        for item in items:
            text = " ".join(self.terms(item["title"] + "\n" + item["text"]))
            writer.add_document(self.tantivy.Document(id=item["id"], text=text))
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()
        return time.perf_counter() - start

    def search(self, texts, k):
        hits, seconds = [], []
        query_type, occur = self.tantivy.Query, self.tantivy.Occur
        for text in texts:
            start = time.perf_counter()
            query = query_type.boolean_query(
                [(occur.Should, query_type.term_query(self.index.schema, "text", term, "freq"))
                 for term in self.terms(text)])
            found = self.searcher.search(query, k, count=False).hits
            ids = [self.searcher.doc(address)["id"][0] for _, address in found]
            seconds.append(time.perf_counter() - start)
            hits.append(ids)
        return hits, seconds


class Kiwi:
    """bm25s over the stems that Kiwi's morphological analysis keeps: nouns, verbs, foreign words and numbers."""

    name = "bm25s + kiwi"
    KEPT = ("N", "V", "SL", "SN", "SH", "XR", "MA")

    def __init__(self):
        import kiwipiepy
        self.kiwi = kiwipiepy.Kiwi(num_workers=2)

    def terms(self, texts):
        return [[token.form for token in tokens if token.tag.startswith(self.KEPT)]
                for tokens in self.kiwi.tokenize(texts)]

    def ndcg(self, corpus, questions):
        import bm25s
        documents = self.terms([item["title"] + "\n" + item["text"] for item in corpus])
        asked = self.terms([question["text"] for question in questions])
        best = 0
        for k1, b in ((1.2, 0.75), (0.9, 0.4), (1.5, 0.75)):
            engine = bm25s.BM25(k1=k1, b=b)
            engine.index(documents, show_progress=False)
            rows, _ = engine.retrieve(asked, k=10, show_progress=False, n_threads=1)
            hits = [[corpus[row]["id"] for row in one] for one in rows]
            best = max(best, ndcg(hits, questions))
        return best


def ndcg(hits, questions):
    total = 0
    for found, question in zip(hits, questions):
        gold = set(question["gold"])
        gain = sum(1 / math.log2(rank + 2) for rank, one in enumerate(found[:10]) if one in gold)
        total += gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(gold))))
    return total / len(questions)


def p95(values):
    return sorted(values)[int(0.95 * (len(values) - 1))]


def case(name, metric, unit, ours, peer, peer_name, runs):
    lower_is_better = unit == "ms"
    ratio = None if peer is None else round(peer / ours if lower_is_better else ours / peer, 3)
    return {"case": name, "metric": metric, "unit": unit, "ours": round(ours, 4),
            "peer": None if peer is None else round(peer, 4), "peer_name": peer_name, "ratio": ratio, "runs": runs}


def quality(data, folder, quick):
    cases, kiwi = [], Kiwi()
    for name in SETS:
        corpus, questions = lines(data / name / "corpus.jsonl"), lines(data / name / "queries.jsonl")
        if quick:
            questions = random.Random(7).sample(questions, len(questions) // 5)
        texts = [question["text"] for question in questions]
        ours = Ours(folder / f"ours-{name}")
        ours.put(corpus, 1)
        mine = ndcg(ours.search(texts, 10)[0], questions)
        ours.close()
        peer = Tantivy(folder / f"tantivy-{name}")
        peer.put(corpus)
        for other, value in ((peer.name, ndcg(peer.search(texts, 10)[0], questions)),
                             (kiwi.name, kiwi.ndcg(corpus, questions))):
            cases.append(case(f"{name}, {len(questions)} questions", "nDCG@10", "", mine, value, other, 1))
    return cases


def speed(data, folder, chunks, runs):
    texts, questions = [], []
    for name in SETS:
        texts += lines(data / name / "corpus.jsonl")
        questions += [question["text"] for question in lines(data / name / "queries.jsonl")]
    items = [{"id": f"{i}", "title": texts[i % len(texts)]["title"], "text": texts[i % len(texts)]["text"]}
             for i in range(chunks)]
    questions = questions[::max(1, len(questions) // (runs * 100))][:runs * 100]
    ours, peer = Ours(folder / "ours"), Tantivy(folder / "tantivy")
    cases = [case(f"index {chunks} chunks", "chunks", "1/s", chunks / ours.put(items, 20), chunks / peer.put(items),
                  peer.name, 1)]
    for k in (10, 100):
        mine, other = [], []
        for run in range(runs):
            batch = questions[run * 100:(run + 1) * 100]
            mine += ours.search(batch, k)[1]
            other += peer.search(batch, k)[1]
        for metric, of in (("median", statistics.median), ("p95", p95)):
            cases.append(case(f"top {k} of {chunks} chunks", metric, "ms", 1000 * of(mine), 1000 * of(other), peer.name,
                              len(mine)))
    ours.close()
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    shared = Path(os.environ.get("JIPHYEON_SHARED_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=shared / "retrieval")
    parser.add_argument("--chunks", type=int)
    arguments = parser.parse_args()
    if not (arguments.data / "welfare" / "corpus.jsonl").exists():
        print(f"no sets at {arguments.data}: nothing measured", file=sys.stderr)
        print(json.dumps({"suite": "lexical", "cases": []}))
        return 0
    chunks = arguments.chunks or (8_000 if arguments.quick else 100_000)
    folder = Path(tempfile.mkdtemp(prefix="jiphyeon-lexical-"))
    try:
        cases = quality(arguments.data, folder, arguments.quick)
        cases += speed(arguments.data, folder, chunks, 3 if arguments.quick else 9)
    finally:
        shutil.rmtree(folder)
    print(f"{'case':34} {'metric':8} {'ours':>10} {'peer':>10} {'ratio':>7}  peer")
    for row in cases:
        print(f"{row['case']:34} {row['metric']:8} {row['ours']:10} {row['peer'] or '-':>10} {row['ratio'] or '-':>7}  "
              f"{row['peer_name']} {row['unit']}")
    print(json.dumps({"suite": "lexical", "cases": cases}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
