"""kill -9 in the middle of ingesting, of asking and of recording: nothing acknowledged is missing afterwards.

Method: the real program in a process group of its own; the group is killed at a random moment; what the outside saw
as done (files reported, sentences shown, receipts) is the oracle. Rounds: JIPHYEON_KILL_ROUNDS (5).
"""
import base64
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import PROGRAM, SAMPLES, Appliance, wait_until  # noqa: E402

ROUNDS = int(os.environ.get("JIPHYEON_KILL_ROUNDS", "5"))
SEED = int(os.environ.get("JIPHYEON_KILL_SEED", "1"))
# Quick to read, of five formats.
FILES = ["public/규정/여객선운임지원규정_시행2026-01-01.hwpx", "public/규정/연안침식관측및관리지침.pdf",
         "public/규정/행정정보공개처리지침_시행2025-07-01.docx", "public/예산/2026년_세출예산.xlsx",
         "public/안내/섬생활_민원_질의응답집.odt", "public/안내/의료선_5월_순회일정.txt",
         "public/보도자료/20260402_무인섬봄정화.html"]


def chunks_of(appliance):
    """Every chunk's text, through the store's own search for what all of them hold."""
    rows = appliance.run("documents")["documents"]
    return sorted((row["source_id"], row["state"], row["chunks"], row["pages"]) for row in rows)


class KilledInTheMiddle(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)

    def archive(self, appliance):
        folder = appliance.place / "archive"
        folder.mkdir()
        for name in FILES:
            shutil.copy(SAMPLES / name, folder)
        return folder

    def test_of_ingesting_the_next_run_ends_with_the_same_documents_as_an_undisturbed_one(self):
        calm = Appliance(models=False)
        self.addCleanup(calm.close)
        calm.run("ingest", self.archive(calm), "--label", "public")
        expected = [(Path(s).name, *rest) for s, *rest in chunks_of(calm)]

        for number in range(ROUNDS):
            with self.subTest(round=number):
                a = Appliance(models=False)
                try:
                    folder = self.archive(a)
                    line = [PROGRAM, "ingest", folder, "--label", "public", "--data", a.data, "--json"]
                    child = subprocess.Popen(list(map(str, line)), start_new_session=True,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    time.sleep(self.random.uniform(0.05, 3.0))
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
                    before = {row["source_id"] for row in a.run("documents")["documents"]}
                    a.run("ingest", folder, "--label", "public")
                    after = {row["source_id"] for row in a.run("documents")["documents"]}
                    self.assertLessEqual(before, after)
                    self.assertEqual([(Path(s).name, *rest) for s, *rest in chunks_of(a)], expected)
                    self.assertTrue(a.run("audit", "verify")["ok"])
                finally:
                    a.close()

    def test_of_asking_every_shown_sentence_is_in_the_record(self):
        a = Appliance()
        self.addCleanup(a.close)
        a.add_user("auditor", "--role", "auditor")
        a.run("ingest", self.archive(a), "--label", "public")
        a.add_user("kim", "--role", "user")
        for number in range(ROUNDS):
            with self.subTest(round=number):
                a.start()
                client = a.client()
                self.assertEqual(client.login("kim", a.passwords["kim"]), 200)
                if number == 0:
                    client.request("POST", "/api/password", {"old": a.passwords["kim"], "new": "김서기-암호-2026-가"})
                    a.passwords["kim"] = "김서기-암호-2026-가"
                    client = a.client()
                    self.assertEqual(client.login("kim", a.passwords["kim"]), 200)
                shown = []
                asking = threading.Thread(target=self.read_sentences, args=(client, shown), daemon=True)
                asking.start()
                wait_until(lambda: shown, self.random.uniform(2, 25))
                time.sleep(self.random.uniform(0, 1.5))
                a.stop(signal.SIGKILL)
                asking.join(10)
                verified = a.run("audit", "verify")
                self.assertTrue(verified["ok"], verified["problems"])
                self.assert_recorded(a, shown)

    def read_sentences(self, client, shown):
        """Reads the event stream as it comes, so that what was shown before the kill is known."""
        import http.client
        connection = http.client.HTTPSConnection(client.host, client.port, context=client.tls, timeout=60)
        try:
            connection.request("POST", "/api/ask", json.dumps({"question": "여객선 운임 지원은 누가 받을 수 있습니까?"}),
                               {"Content-Type": "application/json", "Cookie": client.cookie,
                                "X-CSRF-Token": client.csrf, "Sec-Fetch-Site": "same-origin"})
            answer = connection.getresponse()
            event = None
            for line in answer:
                text = line.decode().strip()
                if text.startswith("event: "):
                    event = text.removeprefix("event: ")
                elif text.startswith("data: ") and event == "sentence":
                    shown.append(json.loads(text.removeprefix("data: "))["sentence"]["text"])
        except OSError:
            pass
        except http.client.HTTPException:
            pass

    def assert_recorded(self, a, shown):
        leaves = a.run("audit", "list", "--limit", "1000", as_user="auditor")["leaves"]
        asked = [leaf for leaf in leaves if leaf["action"] == "asked"]
        self.assertTrue(asked)
        record = a.run("audit", "show", asked[-1]["leaf"], "--reason", "강제 종료 시험의 확인", as_user="auditor")
        pieces = "\n".join(record["pieces"])
        for sentence in shown:
            self.assertIn(sentence, pieces)
        closed = [leaf for leaf in leaves if leaf.get("record") == asked[-1]["leaf"] and leaf is not asked[-1]]
        self.assertTrue(closed, "the record was left open")

    def test_of_recording_no_receipt_is_lost(self):
        a = Appliance(models=False)
        self.addCleanup(a.close)
        for number in range(ROUNDS):
            with self.subTest(round=number):
                a.start()
                receipts = []
                ending = threading.Event()
                writer = threading.Thread(target=self.change_accounts, args=(a, number, receipts, ending))
                writer.start()
                wait_until(lambda: len(receipts) >= self.random.randint(1, 4), 30)
                a.stop(signal.SIGKILL)
                ending.set()
                writer.join(60)
                verified = a.run("audit", "verify")
                self.assertTrue(verified["ok"], verified["problems"])
                for receipt in receipts:
                    self.assertLessEqual(receipt["size"], verified["size"])
                    proof = a.run("audit", "prove", receipt["leaf"], "--size", receipt["size"])
                    self.assertEqual(base64.b64decode(proof["root"]), base64.b64decode(receipt["root"]))

    def change_accounts(self, a, number, receipts, ending):
        for i in range(50):
            if ending.is_set():
                return
            done = a.command("user", "add", f"사용자{number}-{i}", "--json")
            if done.returncode == 0 and not ending.is_set():
                receipts.append(json.loads(done.stdout)["receipt"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
