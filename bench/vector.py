#!/usr/bin/env python3
"""Vector search through the index, beside faiss-cpu (flat and HNSW, as built for this CPU) and hnswlib.

    bench/run vector [--quick] [--rows N]

Rows are unit vectors of 384 dimensions around 2,000 centres, close to one another as those of a text embedder are.
Ours answers with the stored chunks, the peers with row numbers. One thread; batches alternate, medians are given.
Filtered: labels that hold 50, 10 and 1 percent of the rows; the peers are given the same rows as a bitmap. recall@10 is
counted against an exact scan in float64. The graphs' effort is swept, and the fastest setting of a peer whose recall
is at least 0.98 is taken (its highest where none is).
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np  # noqa: E402

DIM = 384
K = 10


class Ours:
    def __init__(self, folder, graph_from):
        program = os.environ.get("JIPHYEON_INDEX_BENCH", ROOT / "build" / "release" / "bench" / "jiphyeon_index_bench")
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(op="open", folder=str(folder), graph_from=graph_from)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def load(self, labels, file):
        """Rows in blocks of one label each; a block is a document."""
        block = len(labels) // 100
        for at in range(0, len(labels), block):
            items = [{"id": str(i), "text": "문단", "label": labels[i]} for i in range(at, min(at + block, len(labels)))]
            self.ask(op="put", items=items, per_document=block)
        self.ask(op="vectors", file=str(file), dim=DIM)
        return self.ask(op="wait")["seconds"]

    def nearest(self, file, labels):
        answer = self.ask(op="nearest", file=str(file), dim=DIM, k=K, labels=labels)
        return [[int(one) for one in hits] for hits in answer["hits"]], answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(search, queries):
    hits, seconds = [], []
    for query in queries:
        start = time.perf_counter()
        found = search(query)
        seconds.append(time.perf_counter() - start)
        hits.append([int(one) for one in found])
    return hits, seconds


def recall(hits, truth):
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(hits, truth)]))


class Peers:
    def __init__(self, rows):
        import faiss
        import hnswlib
        faiss.omp_set_num_threads(1)
        self.faiss = faiss
        self.flat = faiss.IndexFlatIP(DIM)
        self.flat.add(rows)
        self.built = {}
        faiss.omp_set_num_threads(2)
        start = time.perf_counter()
        self.graph = faiss.IndexHNSWFlat(DIM, 16, faiss.METRIC_INNER_PRODUCT)
        self.graph.hnsw.efConstruction = 100
        self.graph.add(rows)
        self.built["faiss-cpu HNSW"] = time.perf_counter() - start
        faiss.omp_set_num_threads(1)
        start = time.perf_counter()
        self.hnswlib = hnswlib.Index(space="ip", dim=DIM)
        self.hnswlib.init_index(max_elements=len(rows), M=16, ef_construction=100)
        self.hnswlib.add_items(rows, num_threads=2)
        self.hnswlib.set_num_threads(1)
        self.built["hnswlib"] = time.perf_counter() - start

    def flat_search(self, allowed):
        parameters = None
        if allowed is not None:
            bitmap = np.packbits(allowed, bitorder="little")
            parameters = self.faiss.SearchParameters(sel=self.faiss.IDSelectorBitmap(bitmap))
        return lambda query: self.flat.search(query[None], K, params=parameters)[1][0]

    def graph_search(self, effort, allowed):
        parameters = self.faiss.SearchParametersHNSW(efSearch=effort)
        if allowed is not None:
            bitmap = np.packbits(allowed, bitorder="little")
            parameters = self.faiss.SearchParametersHNSW(efSearch=effort, sel=self.faiss.IDSelectorBitmap(bitmap))
        return lambda query: self.graph.search(query[None], K, params=parameters)[1][0]

    def hnswlib_search(self, effort):
        def search(query):
            self.hnswlib.set_ef(effort)
            return self.hnswlib.knn_query(query[None], k=K)[0][0]
        return search

    def settings(self, allowed):
        """name -> searches from the fastest to the most thorough."""
        efforts = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
        found = {"faiss-cpu flat": [self.flat_search(allowed)],
                 "faiss-cpu HNSW": [self.graph_search(effort, allowed) for effort in efforts]}
        if allowed is None:
            found["hnswlib"] = [self.hnswlib_search(effort) for effort in efforts]
        return found


def choose(searches, queries, truth):
    for search in searches:
        if recall(timed(search, queries)[0], truth) >= 0.98:
            return search
    return searches[-1]


def sample(rows, queries):
    random = np.random.default_rng(7)
    centres = random.standard_normal((2000, DIM)).astype(np.float32)
    def draw(n):
        made = centres[random.integers(len(centres), size=n)] + 0.8 * random.standard_normal((n, DIM), dtype=np.float32)
        made[:, 0] += 30  # one direction that all share: inner products lie in a narrow band
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return draw(rows), draw(queries)


def nearest(rows, queries, allowed):
    numbers = np.arange(len(rows)) if allowed is None else np.flatnonzero(allowed)
    scores = queries.astype(np.float64) @ rows[numbers].astype(np.float64).T
    return [list(numbers[np.argsort(-one, kind="stable")[:K]]) for one in scores]


def case(name, metric, unit, ours, peer, peer_name, runs):
    ratio = None if peer is None else round(peer / ours if unit in ("ms", "s") else ours / peer, 3)
    return {"case": name, "metric": metric, "unit": unit, "ours": round(ours, 4),
            "peer": None if peer is None else round(peer, 4), "peer_name": peer_name, "ratio": ratio, "runs": runs}


def compare(name, ours, file, queries, labels, searches, truth, cases, rounds):
    mine, hits, others = [], None, {peer: [] for peer in searches}
    found = {}
    for _ in range(rounds):
        hits, seconds = ours.nearest(file, labels)
        mine += seconds
        for peer, search in searches.items():
            found[peer], seconds = timed(search, queries)
            others[peer] += seconds
    for peer in searches:
        cases.append(case(name, "median", "ms", 1000 * statistics.median(mine), 1000 * statistics.median(others[peer]),
                          peer, len(mine)))
        cases.append(case(name, "recall@10", "", recall(hits, truth), recall(found[peer], truth), peer, len(queries)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int)
    arguments = parser.parse_args()
    count = arguments.rows or (10_000 if arguments.quick else 100_000)
    count -= count % 100
    rounds, asked = (3, 50) if arguments.quick else (5, 200)
    rows, queries = sample(count, asked)
    labels = ["public"] * count
    block = count // 100
    for at in range(100):  # of each hundred blocks: 1, 10 and 50 under the narrow labels
        label = "hundredth" if at == 37 else "tenth" if at % 10 == 3 else "half" if at % 2 == 0 else "public"
        labels[at * block:(at + 1) * block] = [label] * block
    scopes = {"all": ["public", "half", "tenth", "hundredth"], "50 %": ["half"], "10 %": ["tenth"],
              "1 %": ["hundredth"]}
    folder = Path(tempfile.mkdtemp(prefix="jiphyeon-vector-"))
    cases = []
    try:
        rows.tofile(folder / "rows")
        queries.tofile(folder / "queries")
        scan, graph = Ours(folder / "scan", 1 << 40), Ours(folder / "graph", 1000)
        scan.load(labels, folder / "rows")
        built = graph.load(labels, folder / "rows")
        peers = Peers(rows)
        for peer, seconds in peers.built.items():
            cases.append(case(f"graph of {count} rows", "build", "s", built, seconds, f"{peer}, 2 threads", 1))
        for name, within in scopes.items():
            allowed = None if name == "all" else np.isin(np.array(labels), within)
            truth = nearest(rows, queries, allowed)
            chosen = {peer: choose(searches, queries, truth) for peer, searches in peers.settings(allowed).items()}
            flat = {"faiss-cpu flat": chosen.pop("faiss-cpu flat")}
            compare(f"scan, {name} of {count}", scan, folder / "queries", queries, within, flat, truth, cases, rounds)
            compare(f"graph, {name} of {count}", graph, folder / "queries", queries, within, chosen, truth, cases,
                    rounds)
        scan.close()
        graph.close()
    finally:
        shutil.rmtree(folder)
    print(f"{'case':28} {'metric':10} {'ours':>9} {'peer':>9} {'ratio':>7}  peer")
    for row in cases:
        print(f"{row['case']:28} {row['metric']:10} {row['ours']:9} {row['peer']:>9} {row['ratio']:>7}  "
              f"{row['peer_name']} {row['unit']}")
    print(json.dumps({"suite": "vector", "cases": cases}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
