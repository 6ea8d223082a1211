"""The real server with the real models on the samples, from the command line and through HTTPS.

One data folder for all tests: the archive is read once, the server runs under strace so that every socket that the
whole run opens is seen. Slow questions are few here; bench/run answers asks them all.
"""
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import BUILD, FOLDERS, PROGRAM, ROOT, SAMPLES, Appliance, Client  # noqa: E402

TRACE = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=socket,connect,bind,sendto,sendmsg", "-o"]
VERIFIER = ROOT / "packaging" / "verifier" / "jiphyeon_verify.py"


def entries(name):
    return [json.loads(line) for line in (ROOT / "samples" / name).read_text(encoding="utf-8").splitlines() if line]


def sockets_that_leave(trace: str) -> list[str]:
    """Lines of an strace log that open or use anything but AF_UNIX and the loopback addresses."""
    wrong = []
    for line in trace.splitlines():
        if re.search(r"socket\((?!AF_UNIX|AF_INET, SOCK_STREAM|AF_INET6, SOCK_STREAM)", line):
            wrong.append(line)
        if re.search(r"(connect|bind|sendto|sendmsg)\(.*AF_(INET|INET6|NETLINK|PACKET)", line):
            if not re.search(r'inet_addr\("127\.|sin_addr=inet_addr\("127\.|inet_pton\(AF_INET6, "::1"', line):
                wrong.append(line)
    return wrong


class EndToEnd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.a = Appliance()
        cls.addClassCleanup(cls.a.close)
        cls.a.add_demo_users()
        cls.report = cls.a.ingest_samples()
        cls.trace = cls.a.place / "trace"
        cls.a.start(wrapper=[*TRACE, cls.trace])

    def reader(self) -> Client:
        client = self.a.client()
        self.assertEqual(client.login("reader", self.a.passwords["reader"]), 200)
        if not getattr(type(self), "reader_changed", False):
            answer, data = client.request("POST", "/api/password",
                                          {"old": self.a.passwords["reader"], "new": "새로운-암호-2026-가나다"})
            self.assertEqual(answer.status, 200, data)
            self.a.passwords["reader"] = "새로운-암호-2026-가나다"
            type(self).reader_changed = True
            client = self.a.client()
            self.assertEqual(client.login("reader", self.a.passwords["reader"]), 200)
        return client

    def test_every_file_of_the_archive_is_accounted_for_as_expected(self):
        states = {Path(f["path"]).relative_to(SAMPLES).as_posix(): f for f in self.report["files"]
                  if "!/" not in f["path"]}
        for entry in entries("archive.jsonl"):
            if entry["expect"] == "part":
                continue
            with self.subTest(entry["path"]):
                self.assertIn(entry["path"], states)
                self.assertEqual(states[entry["path"]]["state"], entry["expect"], states[entry["path"]]["reason"])
        total = sum(self.report[state] for state in ("indexed", "unchanged", "refused", "quarantined"))
        self.assertEqual(total, len(self.report["files"]))

    def test_ingesting_again_changes_nothing(self):
        again = self.a.ingest_samples()
        self.assertEqual(again["indexed"], 0)
        self.assertEqual(again["unchanged"], self.report["indexed"])

    def test_a_question_over_https_streams_checked_sentences_with_citations(self):
        events = self.reader().ask("섬 주민 여객선 운임 지원은 한 달에 몇 회까지 받을 수 있습니까?")
        kinds = [kind for kind, _ in events]
        self.assertIn("evidence", kinds)
        done = events[-1][1]
        self.assertEqual(kinds[-1], "done", events[-1])
        self.assertIn(done["outcome"], ("answered", "partly_supported"), done)
        self.assertTrue(done["sentences"])
        for sentence in done["sentences"]:
            self.assertTrue(sentence["citations"], sentence)
            self.assertIn(sentence["support"], ("supported", "partial"))
        self.assertEqual([e["sentence"]["text"] for k, e in events if k == "sentence"],
                         [s["text"] for s in done["sentences"]])
        self.assertGreater(done["receipt"]["size"], 0)

    def test_what_the_archive_does_not_say_is_not_answered(self):
        question = next(q for q in entries("questions.jsonl") if q["kind"] == "unanswerable")
        reply = self.a.run("ask", question["question"])
        self.assertIn(reply["outcome"], ("not_found", "not_enough", "out_of_scope", "answered", "partly_supported"))
        if reply["outcome"] in ("answered", "partly_supported"):  # then at least every sentence is cited
            self.assertTrue(all(s["citations"] for s in reply["sentences"]))

    def test_a_reader_without_the_right_learns_nothing_of_restricted_documents(self):
        for question in [q for q in entries("questions.jsonl") if q["kind"] == "forbidden"][:3]:
            with self.subTest(question["id"]):
                self.reader()
                for method in ("ask", "search"):
                    said = json.dumps(self.a.run(method, question["question"], as_user="reader"), ensure_ascii=False)
                    for secret in question["must_not_contain"]:
                        self.assertNotIn(secret, said)

    def test_the_inspector_finds_what_only_his_department_may_read(self):
        question = next(q for q in entries("questions.jsonl") if q["kind"] == "forbidden")
        sources = {gold["source"] for gold in question["gold"]}
        client = self.a.client()
        self.assertEqual(client.login("inspector", self.a.passwords["inspector"]), 200)
        new = "감사관-암호-2026-하하"
        client.request("POST", "/api/password", {"old": self.a.passwords["inspector"], "new": new})
        self.a.passwords["inspector"] = new
        hits = self.a.run("search", question["question"], as_user="inspector")["hits"]
        self.assertTrue(any(source.endswith(hit["source_id"]) for source in sources for hit in hits), hits[:3])

    def test_commands_work_with_the_server_up_and_down(self):
        up = self.a.run("search", "여객선 운임 지원", "-k", "3")
        self.a.stop()
        try:
            down = self.a.run("search", "여객선 운임 지원", "-k", "3")
        finally:
            self.a.start(wrapper=[*TRACE, "/dev/null"])
        self.assertTrue(up["hits"])
        self.assertEqual([h["text"] for h in up["hits"]], [h["text"] for h in down["hits"]])

    def test_the_record_verifies_and_the_independent_verifier_agrees(self):
        reply = self.a.run("audit", "verify")
        self.assertTrue(reply["ok"], reply["problems"])
        self.assertGreater(reply["size"], 5)
        done = subprocess.run([sys.executable, VERIFIER, self.a.data / "audit", "--json"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue(json.loads(done.stdout)["ok"])

    def test_a_recorded_answer_can_be_computed_again_byte_for_byte(self):
        asked = self.a.run("ask", "여객선 운임 지원 규정에서 읍·면·동장은 며칠 안에 지원 여부를 알려야 합니까?")
        self.assertIn("receipt", asked)
        client = self.a.client()
        client.login("auditor", self.a.passwords["auditor"])
        new = "감사자-암호-2026-하하"
        client.request("POST", "/api/password", {"old": self.a.passwords["auditor"], "new": new})
        self.a.passwords["auditor"] = new
        replayed = self.a.run("audit", "replay", asked["receipt"]["leaf"], as_user="auditor")
        self.assertTrue(replayed["same"], replayed["differences"])

    def test_no_personal_identifier_of_the_samples_lies_in_the_data_folder(self):
        self.a.stop()
        try:
            dumped = subprocess.run([BUILD / "tests" / "e2e" / "jiphyeon_dump_store", self.a.data / "index"],
                                    capture_output=True, check=True).stdout
        finally:
            self.a.start(wrapper=[*TRACE, "/dev/null"])
        raw = b"".join(f.read_bytes() for f in self.a.data.rglob("*") if f.is_file())
        self.assertIn("여객선".encode(), dumped)  # the control: what is stored can be found
        planted = [line.split("\t") for line in
                   (ROOT / "samples" / "identifiers.txt").read_text(encoding="utf-8").splitlines()
                   if line and not line.startswith("#")]
        self.assertTrue(planted)
        for kind, identifier in planted:
            with self.subTest(kind=kind):
                self.assertNotIn(identifier.encode(), dumped, identifier)
                self.assertNotIn(identifier.encode(), raw, identifier)

    def test_zz_nothing_but_unix_and_loopback_sockets_were_opened(self):
        self.assertEqual(sockets_that_leave(self.trace.read_text(errors="replace")), [])
        with tempfile.NamedTemporaryFile() as log:  # the control: one that leaves is seen by the same means
            code = "import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.1', 9))"
            subprocess.run([*TRACE, log.name, sys.executable, "-c", code], check=False)
            self.assertNotEqual(sockets_that_leave(Path(log.name).read_text(errors="replace")), [])


if __name__ == "__main__":
    if not PROGRAM.exists():
        sys.exit(f"{PROGRAM} is not there: build the release preset first")
    for folder in FOLDERS:
        if not (SAMPLES / folder).exists():
            sys.exit("the samples are not there: samples/make build/samples")
    unittest.main(verbosity=1)
