"""kill -9 in the middle of ingesting, of asking and of recording: nothing acknowledged is missing afterwards.

Method: the real program is killed at a random moment; what the outside saw as done (documents stored, sentences
shown, receipts) is the oracle for what is there when it starts again. JIPHYEON_KILL_ROUNDS: rounds per place (5).
"""
import base64
import hashlib
import http.client
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
# Quick to read, of six formats, one of them an archive.
FILES = ["public/규정/여객선운임지원규정_시행2026-01-01.hwpx", "public/규정/연안침식관측및관리지침.pdf",
         "public/규정/행정정보공개처리지침_시행2025-07-01.docx", "public/예산/2026년_세출예산.xlsx",
         "public/안내/의료선_5월_순회일정.txt", "public/교육/2026_현장업무_자료모음.zip"]
QUESTIONS = ["여객선 운임 지원 횟수는 한 달에 몇 회입니까?", "연안침식 관측은 어떻게 합니까?"]


def copy_of_samples(appliance, names):
    folder = appliance.place / "archive"
    folder.mkdir()
    for name in names:
        shutil.copy(SAMPLES / name, folder)
    return folder


def root_from_proof(leaf, number, size, proof):
    """RFC 9162, 2.1.3.2: the root of the tree of `size` leaves in which `leaf` has this number."""
    fn, sn, root = number, size - 1, leaf
    for digest in proof:
        if sn == 0:
            raise ValueError("the proof is too long")
        if fn & 1 or fn == sn:
            root = hashlib.sha256(b"\x01" + digest + root).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = hashlib.sha256(b"\x01" + root + digest).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ValueError("the proof is too short")
    return root


class Killed(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)

    def assert_sound(self, a):
        verified = a.run("audit", "verify")
        self.assertTrue(verified["ok"], verified["problems"])
        return verified

    def assert_receipt(self, a, receipt):
        """The leaf is in the tree of which the receipt named size and root."""
        proof = a.run("audit", "prove", receipt["leaf"], "--size", receipt["size"])
        leaf = hashlib.sha256(b"\x00" + base64.b64decode(proof["leaf_bytes"])).digest()
        root = root_from_proof(leaf, receipt["leaf"], receipt["size"],
                               [base64.b64decode(digest) for digest in proof["proof"]])
        self.assertEqual(base64.b64encode(root).decode(), receipt["root"])

    def report(self, what):
        print(f"{type(self).__name__}: {ROUNDS} rounds, {what}", flush=True)


class KilledWhileIngesting(Killed):
    """The next run ends with the same chunks as an undisturbed one, and reads again only what was not stored."""

    def ingest(self, a, folder):
        line = [PROGRAM, "ingest", folder, "--label", "public", "--data", a.data, "--json"]
        return subprocess.Popen(list(map(str, line)), start_new_session=True, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True)

    def test_the_next_run_ends_with_the_same_chunks_as_an_undisturbed_one(self):
        calm = Appliance()
        self.addCleanup(calm.close)
        folder = copy_of_samples(calm, FILES)
        started = time.monotonic()
        child = self.ingest(calm, folder)
        undisturbed = json.loads(child.communicate()[0])
        seconds = time.monotonic() - started
        expected, counts = calm.chunks()
        self.assertEqual(undisturbed["quarantined"] + undisturbed["refused"], 0, undisturbed["files"])
        self.assertEqual(counts["embedded"], counts["chunks"])
        self.assertGreater(counts["documents"], len(FILES))  # members of the archive are documents as well

        stored = 0
        for number in range(ROUNDS):
            with self.subTest(round=number):
                a = Appliance()
                try:
                    stored += self.kill_and_resume(a, seconds, expected, counts)
                finally:
                    a.close()
        self.report(f"{stored} documents were stored before the kills, {counts['chunks']} chunks and vectors each")

    def kill_and_resume(self, a, seconds, expected, counts):
        folder = copy_of_samples(a, FILES)
        child = self.ingest(a, folder)
        time.sleep(self.random.uniform(0, seconds))
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()

        # What is there is whole: a document with all of its chunks, or nothing of it.
        before, _ = a.chunks()
        sources = {chunk["source_id"] for chunk in before}
        self.assertEqual(before, [chunk for chunk in expected if chunk["source_id"] in sources])

        resumed = a.run("ingest", folder, "--label", "public")
        after, counts_after = a.chunks()
        self.assertEqual(after, expected)
        self.assertEqual(counts_after, counts)
        self.assertEqual(resumed["quarantined"] + resumed["refused"], 0, resumed["files"])
        self.assertGreaterEqual(resumed["unchanged"], len(sources))
        self.assert_sound(a)
        return len(sources)


class KilledWhileAsking(Killed):
    """Every sentence that was shown is in the record, and the record is closed."""

    def test_every_shown_sentence_is_in_the_record(self):
        a = Appliance()
        self.addCleanup(a.close)
        a.add_user("auditor", "--role", "auditor")
        a.add_user("kim", "--role", "user")
        a.run("ingest", copy_of_samples(a, FILES[:2]), "--label", "public")
        a.start()
        a.change_password("auditor", "감사자-암호-2026-하하")
        a.change_password("kim", "김서기-암호-2026-가나")
        started = time.monotonic()
        for question in QUESTIONS:
            a.run("ask", question, as_user="kim")
        seconds = (time.monotonic() - started) / len(QUESTIONS)
        a.stop()

        shown, finished, cut = 0, 0, 0
        for number in range(ROUNDS):
            with self.subTest(round=number):
                question = QUESTIONS[number % len(QUESTIONS)]
                sentences, receipts = self.ask_and_kill(a, question, at_sentence=number % 2 == 0, seconds=seconds)
                closing = self.assert_recorded(a, question, sentences)
                for receipt in receipts:
                    self.assert_receipt(a, receipt)
                shown += len(sentences)
                finished += len(receipts)
                cut += closing == "interrupted"
        self.report(f"{shown} sentences shown, {finished} answers finished before the kill, "
                    f"{cut} records closed at the next start")
        self.assertGreater(shown, 0)

    def ask_and_kill(self, a, question, at_sentence, seconds):
        """Sentences and receipts that came through before the kill: in every other round as soon as a sentence is
        shown (or a moment later), else at any time."""
        a.start()
        client = a.client()
        self.assertEqual(client.login("kim", a.passwords["kim"]), 200)
        sentences, receipts = [], []
        shown = threading.Event()
        asking = threading.Thread(target=read_answer, args=(client, question, sentences, receipts, shown))
        asking.start()
        if at_sentence:
            shown.wait(60)
            time.sleep(self.random.choice([0, self.random.uniform(0, 0.02)]))
        else:
            time.sleep(self.random.uniform(0, 2 * seconds))
        a.stop(signal.SIGKILL)
        asking.join(30)
        self.assertFalse(asking.is_alive())
        return sentences, receipts

    def assert_recorded(self, a, question, sentences):
        self.assert_sound(a)
        leaves = a.run("audit", "list", "--limit", "1000", "--actor", "kim", as_user="auditor")["leaves"]
        asked = [leaf for leaf in leaves if leaf["action"] == "asked"]
        last_login = max(leaf["leaf"] for leaf in leaves if leaf["action"] == "login")
        opened = [leaf for leaf in asked if leaf["leaf"] > last_login]
        if not opened:  # killed before the question reached the record
            self.assertEqual(sentences, [])
            return None
        record = a.run("audit", "show", opened[-1]["leaf"], "--reason", "강제 종료 시험의 확인", as_user="auditor")
        self.assertEqual(record["question"]["question"], question)
        kept = [piece["sentence"]["text"] for piece in record["pieces"] if "sentence" in piece]
        self.assertEqual(kept[:len(sentences)], sentences)
        self.assertIsNotNone(record["closed"], "the record was left open")
        self.assertIn(record["closed"]["action"], ("answered", "interrupted"))
        return record["closed"]["action"]


def read_answer(client, question, sentences, receipts, shown):
    """Reads the event stream as it comes, so that what was shown before the kill is known."""
    connection = http.client.HTTPSConnection(client.host, client.port, context=client.tls, timeout=120)
    try:
        connection.request("POST", "/api/ask", json.dumps({"question": question}),
                           {"Content-Type": "application/json", "Cookie": client.cookie,
                            "X-CSRF-Token": client.csrf, "Sec-Fetch-Site": "same-origin"})
        event = None
        for line in connection.getresponse():
            text = line.decode().strip()
            if text.startswith("event: "):
                event = text.removeprefix("event: ")
            elif text.startswith("data: ") and event == "sentence":
                sentences.append(json.loads(text.removeprefix("data: "))["sentence"]["text"])
                shown.set()
            elif text.startswith("data: ") and event == "done":
                receipts.append(json.loads(text.removeprefix("data: "))["receipt"])
                shown.set()
    except (OSError, http.client.HTTPException):
        pass  # the kill
    except ValueError:
        pass  # a line that the kill cut


class KilledWhileRecording(Killed):
    """No receipt is lost: its leaf is in the tree that it names, and that tree is the beginning of today's."""

    def test_no_receipt_is_lost(self):
        a = Appliance(llm=None)
        self.addCleanup(a.close)
        total = 0
        for number in range(ROUNDS):
            with self.subTest(round=number):
                a.start()
                receipts = []
                ending = threading.Event()
                writers = [threading.Thread(target=self.change_accounts, args=(a, f"{number}-{w}", receipts, ending))
                           for w in range(2)]
                for writer in writers:
                    writer.start()
                enough = self.random.randint(1, 5)
                self.assertTrue(wait_until(lambda: len(receipts) >= enough, 60))
                time.sleep(self.random.uniform(0, 0.3))
                a.stop(signal.SIGKILL)
                ending.set()
                for writer in writers:
                    writer.join(60)
                verified = self.assert_sound(a)
                accounts = {user["account"] for user in a.run("user", "list")["users"]}
                for account, receipt in receipts:
                    self.assertIn(account, accounts)
                    self.assertLessEqual(receipt["size"], verified["size"])
                    self.assert_receipt(a, receipt)
                total += len(receipts)
        self.report(f"{total} receipts, all of them in the record")

    @staticmethod
    def change_accounts(a, name, receipts, ending):
        """New accounts by way of the server, until it is killed. A call that meets no server would open the folder
        itself, hence the check before each."""
        for i in range(100):
            if ending.is_set():
                return
            done = a.command("user", "add", f"user{name}-{i}", "--json")
            if done.returncode == 0:
                reply = json.loads(done.stdout)
                receipts.append((reply["account"], reply["receipt"]))


if __name__ == "__main__":
    unittest.main(verbosity=1)
