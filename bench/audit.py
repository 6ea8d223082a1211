#!/usr/bin/env python3
"""The tamper-evident record beside a table in SQLite (WAL, synchronous=FULL) whose rows are chained by SHA-256.

    bench/run audit [--quick] [--folder DIR]

Appending: acts of 1,000 bytes, each durable before the next, from one writer and from eight; runs alternate and
medians are given. The peer stores the body in clear and has no tree, no signatures and no proofs: it is what one
would write without this module, and the floor of what a durable row costs on the disk. Verifying: all rows of each.
"""
import argparse
import hashlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BODY = "x" * 1000


class Ours:
    def __init__(self, folder):
        program = os.environ.get("JIPHYEON_AUDIT_BENCH", ROOT / "build" / "release" / "bench" / "jiphyeon_audit_bench")
        self.process = subprocess.Popen([str(program), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"jiphyeon_audit_bench ended with {self.process.wait()}")
        return json.loads(line)

    def notes(self, count, threads):
        return count / self.ask(op="notes", count=count, threads=threads)["seconds"]


class Sqlite:
    def __init__(self, path):
        self.path = path
        with self.connect() as database:
            database.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, time REAL, actor TEXT, action TEXT, "
                             "body TEXT, hash BLOB)")

    def connect(self):
        database = sqlite3.connect(self.path, isolation_level=None, timeout=60)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        return database

    @staticmethod
    def row_hash(previous, stamp, actor, action, body):
        return hashlib.sha256(previous + repr((stamp, actor, action, body)).encode()).digest()

    def write(self, count):
        database = self.connect()
        for _ in range(count):
            database.execute("BEGIN IMMEDIATE")
            last = database.execute("SELECT hash FROM log ORDER BY seq DESC LIMIT 1").fetchone()
            stamp = time.time()
            value = self.row_hash(last[0] if last else b"", stamp, "kim", "login", BODY)
            database.execute("INSERT INTO log (time, actor, action, body, hash) VALUES (?,?,?,?,?)",
                             (stamp, "kim", "login", BODY, value))
            database.execute("COMMIT")
        database.close()

    def notes(self, count, threads):
        writers = [threading.Thread(target=self.write, args=(count // threads,)) for _ in range(threads)]
        start = time.perf_counter()
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        return count / (time.perf_counter() - start)

    def verify(self):
        database = self.connect()
        start = time.perf_counter()
        previous, rows = b"", 0
        for stamp, actor, action, body, value in database.execute(
                "SELECT time, actor, action, body, hash FROM log ORDER BY seq"):
            if self.row_hash(previous, stamp, actor, action, body) != value:
                raise RuntimeError("the peer's chain is broken")
            previous, rows = value, rows + 1
        return rows / (time.perf_counter() - start)


def case(name, metric, unit, ours, peer, runs, peer_name="sqlite WAL FULL, hash chain"):
    higher_is_better = not unit.startswith("ms")
    ratio = None
    if peer is not None:
        ratio = round(ours / peer if higher_is_better else peer / ours, 3)
    return {"case": name, "metric": metric, "unit": unit, "ours": round(ours, 3),
            "peer": None if peer is None else round(peer, 1), "peer_name": None if peer is None else peer_name,
            "ratio": ratio, "runs": runs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", default=ROOT / "build", help="on the disk to be measured")
    arguments = parser.parse_args()
    runs, count = (3, 160) if arguments.quick else (7, 800)
    cases = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        ours, peer = Ours(Path(folder) / "record"), Sqlite(Path(folder) / "peer.sqlite")
        for threads in (1, 8):
            pairs = [(ours.notes(count, threads), peer.notes(count, threads)) for _ in range(runs)]
            mine, other = (statistics.median(values) for values in zip(*pairs))
            writers = "writer" if threads == 1 else "writers"
            cases.append(case(f"append, {threads} {writers}", "durable acts", "1/s", mine, other, runs))
        ours.notes(2_000 if arguments.quick else 50_000, 64)
        verified, other = [], []
        for _ in range(runs):
            done = ours.ask(op="verify")
            if not done["ok"]:
                raise RuntimeError("the record does not verify")
            verified.append(done["leaves"] / done["seconds"])
            other.append(peer.verify())
        cases.append(case(f"verify, {done['leaves']} leaves with bodies", "leaves", "1/s",
                          statistics.median(verified), statistics.median(other), runs))
        proofs = statistics.median(ours.ask(op="proofs", count=1000)["seconds"] for _ in range(runs))
        cases.append(case(f"inclusion proof among {done['leaves']}", "time", "ms", proofs, None, runs))
    print(f"{'case':40} {'ours':>12} {'peer':>12} {'ratio':>7}  unit")
    for row in cases:
        print(f"{row['case']:40} {row['ours']:12} {row['peer'] or '-':>12} {row['ratio'] or '-':>7}  {row['unit']}")
    print(json.dumps({"suite": "audit", "cases": cases}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
