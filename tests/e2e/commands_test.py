"""Every command of the command line, with the server up and with it down: the fields that its JSON promises, its exit
code, its errors and its help in both languages.

The fields are a contract (README, "The command line"): what is listed here may be added to, not renamed.
"""
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import MODELS, PROGRAM, SAMPLES, Appliance  # noqa: E402

REGULATION = "public/규정/여객선운임지원규정_시행2026-01-01.hwpx"
BUDGET = "public/예산/2026년_세출예산.xlsx"
SECRET = "hostile/비밀_표시_문서.hwpx"
BROKEN = "hostile/잘린_문서.pdf"
QUESTION = "여객선 운임 지원 횟수는 한 달에 몇 회입니까?"
SMALL_MODEL = MODELS / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
EMBEDDER = MODELS / "multilingual-e5-small-q4_0.gguf"

COMMANDS = {
    "init": [], "extract": [], "ingest": [], "documents": ["list", "show", "withdraw"], "jobs": ["stop"],
    "quarantine": ["retry"], "search": [], "ask": [], "mask": [],
    "engine": ["inspect", "generate", "embed", "rerank", "tokenize", "quantize"],
    "serve": [], "user": ["list", "add", "set", "reset-password", "token"], "role": ["grant", "revoke"],
    "label": ["list", "set"],
    "audit": ["list", "show", "verify", "prove", "replay", "checkpoint", "erase"],
    "backup": [], "restore": [], "selftest": [], "models": [],
}
HANGUL = re.compile("[가-힣]")


def program(*words, input_text=None):
    return subprocess.run([str(PROGRAM), *map(str, words)], capture_output=True, text=True, input=input_text,
                          timeout=600, check=False)


class Commands(unittest.TestCase):
    def assert_fields(self, reply, **fields):
        """`reply` has these fields, each of the type that is named."""
        for name, kind in fields.items():
            self.assertIn(name, reply)
            self.assertIsInstance(reply[name], kind, f"{name}: {reply[name]!r}")

    def assert_receipt(self, receipt):
        self.assert_fields(receipt, leaf=int, size=int, root=str)

    def assert_error(self, done, exit_code, kind, words=""):
        self.assertEqual(done.returncode, exit_code, done.stdout + done.stderr)
        error = json.loads(done.stdout)["error"]
        self.assertEqual(set(error), {"kind", "message", "where"})
        self.assertEqual(error["kind"], kind)
        self.assertIn(words, error["message"])

    def reply(self, *words, expect=0, input_text=None):
        """Of a command that needs no data folder."""
        done = program(*words, "--json", input_text=input_text)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return json.loads(done.stdout)


class WithoutDataFolder(Commands):
    def test_help_is_there_in_korean_and_in_english_for_every_command(self):
        for command, parts in COMMANDS.items():
            for words in [[command], *[[command, part] for part in parts]]:
                with self.subTest(words):
                    korean, english = program(*words, "--help", "--lang", "ko"), program(*words, "--help", "--lang", "en")
                    self.assertEqual((korean.returncode, english.returncode), (0, 0), english.stderr)
                    self.assertRegex(korean.stdout, HANGUL)
                    # The example of a label is Korean in both.
                    self.assertNotRegex(english.stdout.replace("restricted:감사관", ""), HANGUL)
                    self.assertIn("--help", english.stdout)
        for language, word in (("ko", "도움말"), ("en", "evidence")):
            listing = program("--lang", language, "--help").stdout
            self.assertIn(word, listing)
            for command in COMMANDS:
                self.assertIn(f"\n  {command} ", listing)

    def test_extract_shows_blocks_and_tables_and_says_why_a_file_is_refused(self):
        seen = self.reply("extract", SAMPLES / BUDGET)
        self.assert_fields(seen, format=str, title=str, pages=int, blocks=list)
        self.assertIsNone(seen["refused"])
        for block in seen["blocks"]:
            self.assert_fields(block, kind=str, text=str, page=int, page_exact=bool, level=int,
                               confidence=(int, float))
            self.assertIn("box", block)
            self.assertIn(block["kind"], {"heading", "paragraph", "list", "table", "note", "header", "footer",
                                          "figure", "equation"})
        tables = [block for block in seen["blocks"] if block["kind"] == "table"]
        self.assertTrue(tables)
        for cell in [cell for table in tables for row in table["grid"] for cell in row]:
            self.assert_fields(cell, text=str, row=int, col=int, rowspan=int, colspan=int, header=bool)
        pdf = self.reply("extract", SAMPLES / "public/공고/2025-31_섬택배비_시범사업_철회.pdf")
        boxes = [block["box"] for block in pdf["blocks"] if block["box"]]
        self.assertTrue(boxes)
        for left, top, right, bottom in boxes:
            self.assertTrue(0 <= left < right <= 1000 and 0 <= top < bottom <= 1000)
        refused = self.reply("extract", SAMPLES / BROKEN, expect=1)["refused"]
        self.assert_fields(refused, reason=str)

    def test_mask_reads_a_file_or_standard_input_and_gives_spans_in_bytes(self):
        text = "문의: 홍길동 010-2290-5518, 주민등록번호 710509-1613189 입니다."
        from_input = self.reply("mask", input_text=text)
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            self.assertEqual(self.reply("mask", file.name), from_input)
        self.assert_fields(from_input, text=str, spans=list)
        self.assertNotIn("1613189", from_input["text"])
        found = {}
        for span in from_input["spans"]:
            self.assert_fields(span, start=int, end=int, type=str, confidence=(int, float))
            found[text.encode()[span["start"]:span["end"]].decode()] = span["type"]
        self.assertIn("710509-1613189", found)

    def test_engine_generates_embeds_and_tokenizes(self):
        made = self.reply("engine", "generate", "--model", SMALL_MODEL, "--prompt", "대한민국의 수도는",
                          "--max-tokens", 4, "--threads", 2)
        self.assert_fields(made, text=str, tokens=list, logits_hash=str, timings_ms=dict)
        self.assertEqual(len(made["tokens"]), 4)
        with tempfile.TemporaryDirectory() as folder:
            evidence = Path(folder) / "근거.txt"
            evidence.write_text("제3조(연가) 연가는 15일로 한다. 반가는 4시간으로 계산한다.", encoding="utf-8")
            quoting = ("engine", "generate", "--model", SMALL_MODEL, "--prompt", 'json: {"연가": "15일", ',
                       "--max-tokens", 40, "--evidence", evidence, "--quote-marks")
            made = self.reply(*quoting, '""')
            self.assertTrue(made["quotes"])
            for quote in made["quotes"]:
                self.assert_fields(quote, text=str, start=int, file=str, file_start=int)
                for where, start in ((made["text"], quote["start"]),
                                     (evidence.read_text(encoding="utf-8"), quote["file_start"])):
                    self.assertTrue(where.encode()[start:].startswith(quote["text"].encode()))
            self.assertIn("quotation mark", self.reply(*quoting, "“", expect=2)["error"]["message"])
        vectors = self.reply("engine", "embed", "--model", EMBEDDER, "--prompt", "query: 연가")["vectors"]
        self.assertAlmostEqual(sum(x * x for x in vectors[0]), 1, places=3)
        self.assertTrue(self.reply("engine", "tokenize", "--model", SMALL_MODEL, "--prompt", "연가")["tokens"])
        lines = "".join(json.dumps({"id": f"줄{i}", "text": text}) + "\n" for i, text in enumerate(["연가", "병가"]))
        done = program("engine", "tokenize", "--model", SMALL_MODEL, "--batch", "-", "--json", input_text=lines)
        answered = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["id"] for line in answered], ["줄0", "줄1"])
        self.assertTrue(all(line["tokens"] for line in answered))

    def test_engine_says_in_its_own_words_what_it_cannot_do(self):
        for words, said in (
                (("generate", "--model", EMBEDDER, "--prompt", "연가"), "does not generate"),
                (("generate", "--model", SMALL_MODEL, "--prompt", "연가 " * 90, "--context", 64), "64"),
                (("embed", "--model", SMALL_MODEL, "--prompt", "연가"), "makes no vectors"),
                (("rerank", "--model", SMALL_MODEL, "--query", "연가", "--prompt", "병가"), "does not score")):
            with self.subTest(words=words[:3]):
                error = self.reply("engine", *words, expect=2)["error"]
                self.assertEqual(error["kind"], "usage")
                self.assertIn(said, error["message"])
                self.assertNotIn("사건", error["message"])

    def test_engine_inspect_tells_what_a_model_needs_and_one_without_room_is_refused(self):
        seen = self.reply("engine", "inspect", "--model", SMALL_MODEL)
        self.assert_fields(seen, name=str, architecture=str, quantization=str, sha256=str, memory=dict, memory_bytes=int,
                           available_bytes=int, fits=bool)
        self.assertEqual(sum(seen["memory"].values()), seen["memory_bytes"])
        self.assertGreater(seen["memory"]["weights"], SMALL_MODEL.stat().st_size)
        longer = self.reply("engine", "inspect", "--model", SMALL_MODEL, "--context", 32768)
        self.assertGreater(longer["memory"]["caches"], seen["memory"]["caches"])

    def test_engine_quantizes_a_model_that_works_and_writes_over_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "작은_모델.gguf"
            made = self.reply("engine", "quantize", EMBEDDER, out, "--type", "Q8_0")
            self.assert_fields(made, file=str, type=str, sha256=str, bytes_before=int, bytes_after=int, converted=int,
                               converted_twice=int, other_type=list)
            self.assertEqual(made["bytes_after"], out.stat().st_size)
            vectors = [self.reply("engine", "embed", "--model", model, "--prompt", "query: 연가")["vectors"][0]
                       for model in (EMBEDDER, out)]
            self.assertGreater(sum(x * y for x, y in zip(*vectors)), 0.999)
            again = program("engine", "quantize", EMBEDDER, out, "--type", "Q4_0", "--json")
            self.assert_error(again, 2, "usage", "--force")
            self.reply("engine", "quantize", EMBEDDER, out, "--type", "Q4_0", "--force")
            self.assertLess(out.stat().st_size, made["bytes_after"])
            written = out.read_bytes()
            with tempfile.NamedTemporaryFile(suffix=".gguf") as cut:
                cut.write(written[:5000])
                cut.flush()
                broken = program("engine", "quantize", cut.name, out, "--type", "Q8_0", "--force", "--json")
            self.assert_error(broken, 3, "not_done", "GGUF")
            self.assertEqual(list(Path(folder).iterdir()), [out])
            self.assertEqual(out.read_bytes(), written)

    def test_wrong_use_is_an_error_object_and_exit_2(self):
        self.assert_error(program("search", "--json", "--no-such-option"), 2, "usage")
        self.assert_error(program("no-such-command", "--json"), 2, "usage")
        self.assert_error(program("search", "연가", "--json", "--data", "/nonexistent"), 3, "data_folder")
        self.assert_error(program("extract", "--json", "/nonexistent"), 2, "usage")


class WithDataFolder(Commands):
    """The same commands twice: the server does them, or the command itself."""

    @classmethod
    def setUpClass(cls):
        cls.a = Appliance()
        cls.addClassCleanup(cls.a.close)
        for account, role in (("auditor", "auditor"), ("reader", "user")):
            cls.a.add_user(account, "--role", role)
        cls.a.start()
        cls.a.change_password("auditor", "감사자-암호-2026-하하")
        cls.a.change_password("reader", "김서기-암호-2026-가나")
        cls.a.stop()

    def setUp(self):
        self.assertIsNone(self.a.server)

    def test_init_says_what_is_shown_only_once(self):
        self.assert_fields(self.a.init, administrator=str, password=str, address=str, escrow_shares=list)
        self.assert_error(self.a.command("init", "--json"), 3, "data_folder")

    def test_1_every_command_with_the_server_down(self):
        self.every_command("down")

    def test_2_every_command_with_the_server_up(self):
        self.a.start()
        self.addCleanup(self.a.stop)
        self.assertRegex(self.a.address, r"^https://127\.0\.0\.1:\d+$")  # the field that `serve --json` prints
        self.every_command("up")

    def every_command(self, state):
        for part in (self.archive, self.corpus, self.searching, self.asking, self.accounts, self.record, self.upkeep,
                     self.errors):
            with self.subTest(part.__name__, server=state):
                part(state)

    def archive(self, state):
        a = self.a
        folder = a.place / f"archive-{state}"
        folder.mkdir()
        for sample in (REGULATION, BROKEN, SECRET):
            text = (SAMPLES / sample).read_bytes()
            (folder / Path(sample).name).write_bytes(text)
        report = a.run("ingest", folder, "--label", "public", expect=(1,))
        self.assert_fields(report, indexed=int, unchanged=int, refused=int, quarantined=int, pages=int, chunks=int,
                           seconds=(int, float), files=list)
        self.assertEqual((report["refused"], report["quarantined"], len(report["files"])), (1, 1, 3))
        for file in report["files"]:
            self.assert_fields(file, path=str, state=str, reason=str)
            self.assertEqual(bool(file["reason"]), file["state"] in ("refused", "quarantined"))
        again = a.run("ingest", folder / Path(REGULATION).name, "--label", "public", expect=(0,))
        self.assertEqual((again["indexed"], again["unchanged"]), (0, 1))

        documents = a.run("documents", expect=(0,))["documents"]
        self.assertEqual(a.run("documents", "list")["documents"], documents)
        for document in documents:
            self.assert_fields(document, id=str, source_id=str, title=str, format=str, version=int, label=str,
                               state=str, pages=int, chunks=int, masked=int)
        mine = next(document for document in documents if document["source_id"] == Path(REGULATION).name)
        one = a.run("documents", "show", mine["id"])
        self.assert_fields(one, id=str, versions=list, view=dict)

        jobs = a.run("jobs", expect=(0,))["jobs"]
        for job in jobs:
            self.assert_fields(job, id=str, kind=str, state=str, started=str)
        self.assertEqual(jobs[-1]["state"], "done")
        self.assert_error(a.command("jobs", "stop", jobs[-1]["id"], "--json"), 3, "not_found")

        quarantined = a.run("quarantine", expect=(0,))["files"]
        self.assertEqual({Path(file["path"]).name for file in quarantined}, {Path(BROKEN).name})
        for file in quarantined:
            self.assert_fields(file, path=str, state=str, reason=str)
        retried = a.run("quarantine", "retry", "--label", "public", expect=(1,))
        self.assert_fields(retried, indexed=int, quarantined=int, files=list)
        self.assertGreater(retried["quarantined"], 0)

    def corpus(self, state):
        corpus = self.a.place / f"corpus-{state}.jsonl"
        rows = [{"id": f"{state}-1", "title": "등대 개방 안내", "text": f"{state} 등대는 매주 화요일에 연다.",
                 "label": "public", "effective_from": "2025-01-01", "effective_to": "2025-12-31"},
                {"id": f"{state}-2", "title": "등대 개방 안내", "text": f"{state} 등대는 매주 목요일에 연다.",
                 "label": "public", "effective_from": "2026-01-01", "supersedes": f"{state}-1"}]
        corpus.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        self.assertEqual(self.a.run("ingest", corpus, expect=(0,))["indexed"], 2)
        for day, word in (("2025-06-01", "화요일"), ("2026-06-01", "목요일")):
            hits = self.a.run("search", f"{state} 등대 개방", "--as-of", day)["hits"]
            found = [hit["text"] for hit in hits if hit["source_id"].startswith(state)]
            self.assertEqual(len(found), 1, found)
            self.assertIn(word, found[0])

    def searching(self, _):
        for leg in ("lexical", "dense", "hybrid"):
            hits = self.a.run("search", "여객선 운임 지원", "--leg", leg, "-k", "3", expect=(0,))["hits"]
            self.assertTrue(0 < len(hits) <= 3)
            for hit in hits:
                self.assert_fields(hit, source_id=str, document=str, version=int, page=int, section=str, text=str,
                                   score=(int, float))
        self.assertEqual(self.a.run("search", "쀍뛟궯", "--leg", "lexical", expect=(1,))["hits"], [])
        lines = [{"id": "하나", "text": "여객선 운임"}, {"id": 2, "text": "지원 횟수"}]
        answered = self.a.run_batch("search", lines=lines)
        self.assertEqual([line["id"] for line in answered], ["하나", 2])
        self.assertTrue(all(line["hits"] for line in answered))
        self.assertTrue(self.a.run("search", "여객선 운임", as_user="reader", expect=(0,))["hits"])

    def asking(self, _):
        answered, = self.a.run_batch("ask", lines=[{"id": "q1", "text": QUESTION}])
        self.assertEqual(answered["id"], "q1")
        self.assert_fields(answered, outcome=str, answer=str, sentences=list, evidence=list, receipt=dict,
                           timings_ms=dict)
        self.assertIn(answered["outcome"], {"answered", "partly_supported", "conflicting", "not_found", "not_enough",
                                            "out_of_scope", "refused", "search_only", "busy", "cancelled", "failed"})
        self.assertTrue(answered["sentences"])
        for sentence in answered["sentences"]:
            self.assert_fields(sentence, text=str, citations=list, support=str)
            self.assertIn(sentence["support"], {"supported", "partial", "unsupported"})
        for evidence in answered["evidence"]:
            self.assert_fields(evidence, n=int, source_id=str, document=str, page=int, section=str, text=str,
                               cited=bool)
        self.assert_receipt(answered["receipt"])
        type(self).asked = answered["receipt"]

    def accounts(self, state):
        a, name = self.a, f"park-{state}"
        added = a.run("user", "add", name, "--role", "user", "--clearance", "internal", expect=(0,))
        self.assert_fields(added, account=str, password=str, receipt=dict)
        self.assert_receipt(added["receipt"])
        self.assert_receipt(a.run("user", "set", name, "--department", "감사관")["receipt"])
        self.assert_receipt(a.run("role", "grant", name, "librarian")["receipt"])
        self.assert_receipt(a.run("role", "revoke", name, "user")["receipt"])
        self.assert_fields(a.run("user", "reset-password", name), password=str, receipt=dict)
        self.assert_fields(a.run("user", "token", "add", name, "시험"), token=str, receipt=dict)
        self.assert_receipt(a.run("user", "token", "revoke", name, "시험")["receipt"])
        self.assert_receipt(a.run("user", "set", name, "--disable")["receipt"])
        user, = [user for user in a.run("user", "list")["users"] if user["account"] == name]
        self.assertEqual((user["roles"], user["departments"], user["disabled"]), (["librarian"], ["감사관"], True))

        document = next(d for d in a.run("documents")["documents"] if d["source_id"] == f"{state}-2")
        self.assert_receipt(a.run("label", "set", document["id"], "internal", expect=(0,))["receipt"])
        labels = {row["label"]: row["documents"] for row in a.run("label", "list", expect=(0,))["labels"]}
        self.assertGreater(labels["internal"], 0)
        self.assert_receipt(a.run("documents", "withdraw", document["id"], expect=(0,))["receipt"])
        self.assertEqual(a.run("documents", "show", document["id"], expect=(3,))["error"]["kind"], "not_found")

    def record(self, _):
        a = self.a
        listed = a.run("audit", "list", "--limit", "5", as_user="auditor", expect=(0,))
        self.assert_fields(listed, leaves=list, size=int)
        for leaf in listed["leaves"]:
            self.assert_fields(leaf, leaf=int, time=str, actor=str, action=str, outcome=str, objects=list)
        leaf = self.asked["leaf"]
        shown = a.run("audit", "show", leaf, "--reason", "명령 시험에서 확인함", as_user="auditor", expect=(0,))
        self.assert_fields(shown, question=dict, pieces=list, body=dict, closed=dict)
        self.assertEqual(shown["question"]["question"], QUESTION)
        checkpoint = a.place / "checkpoint"
        signed = a.run("audit", "checkpoint", "--out", checkpoint, expect=(0,))
        self.assert_fields(signed, checkpoint=str, size=int, root=str)
        self.assertEqual(checkpoint.read_text(), signed["checkpoint"])
        verified = a.run("audit", "verify", "--remembered", checkpoint, expect=(0,))
        self.assert_fields(verified, ok=bool, records=int, size=int, root=str, problems=list, not_checked=list)
        self.assertTrue(verified["ok"])
        proved = a.run("audit", "prove", leaf, expect=(0,))
        self.assert_fields(proved, leaf=int, size=int, root=str, leaf_hash=str, proof=list)
        replayed = a.run("audit", "replay", leaf, as_user="auditor", expect=(0,))
        self.assertEqual((replayed["same"], replayed["differences"]), (True, []))
        noted = a.run("user", "add", f"gone-{leaf}")["receipt"]["leaf"]
        self.assert_receipt(a.run("audit", "erase", noted, "--reason", "명령 시험에서 파기함", as_user="auditor")["receipt"])
        self.assertEqual(a.run("audit", "show", noted, "--reason", "명령 시험에서 확인함", as_user="auditor",
                               expect=(3,))["error"]["kind"], "erased")
        self.assertTrue(a.run("audit", "verify")["ok"])

    def upkeep(self, state):
        a = self.a
        for model in a.run("models", expect=(0,))["models"]:
            self.assert_fields(model, role=str, name=str, sha256=str, memory_bytes=int, present=bool)
        tested = a.run("selftest", expect=(0,))
        self.assert_fields(tested, ok=bool, checks=list)
        for check in tested["checks"]:
            self.assert_fields(check, name=str, ok=bool, detail=str)
        copy, restored = a.place / f"backup-{state}", a.place / f"restored-{state}"
        self.assert_fields(a.run("backup", copy, expect=(0,)), to=str, receipt=dict)
        before = sorted(d["id"] for d in a.run("documents")["documents"])
        done = program("restore", copy, "--key-file", f"{a.data}.key", "--data", restored, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        reply = json.loads(done.stdout)
        self.assertTrue(reply["audit"]["ok"], reply)
        there = json.loads(program("documents", "--data", restored, "--json").stdout)["documents"]
        self.assertEqual(sorted(d["id"] for d in there), before)

    def errors(self, _):
        a = self.a
        self.assert_error(a.command("ingest", a.place / "없는-폴더", "--json"), 2, "bad_request", "없는-폴더")
        self.assert_error(a.command("ingest", "없는-파일.pdf", "--json"), 2, "bad_request", "그런 파일이나 폴더가 없습니다")
        self.assert_error(a.command("audit", "list", "--json"), 3, "forbidden")
        self.assert_error(a.command("documents", "show", "no-such-document", "--json"), 3, "not_found")
        wrong = a.place / "wrong.secret"
        wrong.write_text("틀린 암호")
        self.assert_error(a.command("search", "연가", "--as", "reader", "--token-file", wrong, "--json"), 3,
                          "not_logged_in")


class TamperedRecord(Commands):
    """The log refuses to open when acknowledged leaves are gone; `audit verify` says so, as a report."""

    def test_verify_names_what_is_wrong_where_the_record_refuses_to_open(self):
        a = Appliance(llm=None)
        self.addCleanup(a.close)
        for number in range(3):
            a.add_user(f"user{number}")
        size = a.run("audit", "verify", expect=(0,))["size"]
        log = a.data / "audit" / "log"
        log.write_bytes(log.read_bytes()[:-700])
        self.assert_error(a.command("documents", "--json"), 3, "rolled_back")
        report = a.run("audit", "verify", expect=(1,))
        self.assert_fields(report, ok=bool, records=int, size=int, root=str, problems=list, not_checked=list)
        self.assertFalse(report["ok"])
        self.assertIn(f"{size} leaves were acknowledged", "\n".join(problem["what"] for problem in report["problems"]))
        people = a.command("audit", "verify", "--lang", "ko")
        self.assertEqual(people.returncode, 1)
        self.assertIn("기록에 문제가 있습니다.", people.stdout)

    def test_verify_names_a_changed_byte(self):
        a = Appliance(llm=None)
        self.addCleanup(a.close)
        log = a.data / "audit" / "log"
        data = bytearray(log.read_bytes())
        data[len(data) // 2] ^= 1
        log.write_bytes(data)
        report = a.run("audit", "verify", expect=(1,))
        self.assertFalse(report["ok"])
        self.assertTrue(report["problems"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
