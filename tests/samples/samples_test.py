#!/usr/bin/env python3
"""Tests of the sample archive. What needs only its text runs on the standard library; what builds the files
needs samples/requirements.txt and is skipped, with a message, where it is not installed."""

import collections
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
sys.path.insert(0, str(SAMPLES))

import build  # noqa: E402
import check_hwpx  # noqa: E402
import markup  # noqa: E402

ENTRIES = build.entries()
TRUTH = build.truth_rows()
QUESTIONS = [json.loads(line) for line in (SAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
IDENTIFIERS = [line.split("\t") for line in (SAMPLES / "identifiers.txt").read_text(encoding="utf-8").splitlines()]
CAN_BUILD = all(importlib.util.find_spec(name) for name in ("reportlab", "PIL", "docx", "openpyxl", "odf"))


def restricted(path: str) -> bool:
    holder = path.split("!/")[0]
    return next(e for e in ENTRIES if e["path"] == holder)["label"]["level"] == "restricted"


def flat(text: str) -> str:
    return text.replace("\t", " ")


def sentences(path: Path, version: int | None = None):
    """Sentences of a source, each once whatever the versions; forms, 부칙 and table heads left out."""
    in_addenda = False
    for line in markup.source_lines(path, version):
        if line.startswith("#"):
            in_addenda = "부칙" in line
        if in_addenda or not line.strip() or line.startswith(("~", "|!", "===", "{", "}")):
            continue
        for part in line.strip("|").split("|") if line.startswith("|") else re.split(r"(?<=[.?!])\s+", line):
            bare = re.sub(r"^(?:[①-⑳□○※>]|- |= |#+ |표: |\d{1,2}[.)] |[가-하]\. |제\d+조(?:의\d+)?\([^)]*\))\s*", "", part.strip())
            yield re.sub(r"\s+", " ", bare)


class Archive(unittest.TestCase):
    def test_has_thirty_documents_and_a_hundred_and_twenty_pages_without_superseded_versions(self):
        superseded = {e.get("supersedes") for e in ENTRIES}
        documents = [e for e in ENTRIES if not e["path"].startswith("hostile/") and e["path"] not in superseded]
        counted = {e["path"] for e in documents}
        pages = [r for r in TRUTH if r["page"] is not None and r["document"].split("!/")[0] in counted]
        self.assertGreaterEqual(len(documents), 30)
        self.assertGreaterEqual(len(pages), 120)

    def test_pages_are_not_hollow(self):
        # Superseded versions break where the newest, which is longest, does.
        superseded = {e.get("supersedes") for e in ENTRIES}
        short = [(r["document"], r["page"]) for r in TRUTH
                 if r["document"] not in superseded and len(re.sub(r"\s", "", r["text"])) < 120]
        self.assertEqual(short, [])

    def long_sentences(self, version: int | None) -> list[str]:
        sources = sorted((SAMPLES / "text").glob("*.md"))
        return [x for path in sources for x in sentences(path, version) if len(re.findall("[가-힣]", x)) > 12]

    def test_no_sentence_of_more_than_twelve_syllables_recurs(self):
        found = self.long_sentences(None)
        self.assertGreater(len(found), 800)
        self.assertEqual([x for x, n in collections.Counter(found).items() if n > 1], [])

    def test_nor_does_one_recur_with_other_numbers(self):
        # In the newest versions: an amendment may be nothing but another number.
        newest = max(e.get("version", 0) for e in ENTRIES)
        found = [re.sub(r"[\d.,]+", "0", x) for x in self.long_sentences(newest)]
        self.assertEqual([x for x, n in collections.Counter(found).items() if n > 1], [])

    def test_each_footnote_stands_on_the_page_of_its_mark(self):
        notes = 0
        for e in ENTRIES:
            for page in build.pages_of(e):
                for number in (b.text.split(")")[0] for b in page if b.kind == "note"):
                    notes += 1
                    marked = [b for b in page if b.kind != "note" and re.search(rf"(?<=[가-힣]){number}\)", b.text)]
                    self.assertEqual(len(marked), 1, e["path"])
        self.assertGreaterEqual(notes, 3)

    def test_every_source_belongs_to_a_document_and_paths_are_unique(self):
        used = {e.get("source", e.get("hidden")) for e in ENTRIES}
        self.assertEqual({f"text/{p.name}" for p in (SAMPLES / "text").glob("*.md")} - used, set())
        self.assertEqual(len({e["path"] for e in ENTRIES}), len(ENTRIES))

    def test_labels_and_folders_agree(self):
        for e in ENTRIES:
            folder = e["path"].split("/")[0]
            want = {"internal": "internal", "restricted": "restricted"}.get(folder, "public")
            self.assertEqual(e["label"]["level"], want, e["path"])
            self.assertEqual(bool(e["label"]["departments"]), want == "restricted", e["path"])
            self.assertIn(e["expect"], {"indexed", "refused", "quarantined", "part"}, e["path"])

    def test_versions_form_a_chain_without_gap_and_each_states_its_date(self):
        by_path = {e["path"]: e for e in ENTRIES}
        chained = [e for e in ENTRIES if "supersedes" in e]
        self.assertEqual(len(chained), 2)
        for e in chained:
            before = by_path[e["supersedes"]]
            self.assertLess(before["effective_to"], e["effective_from"])
        for e in ENTRIES:
            if "version" in e:
                year, month, day = (int(p) for p in e["effective_from"].split("-"))
                first = next(r["text"] for r in TRUTH if r["document"] == e["path"])
                self.assertIn(f"[시행 {year}. {month}. {day}.]", first)
                self.assertIn(e["effective_from"], e["path"])


class Identifiers(unittest.TestCase):
    def test_list_holds_every_planted_identifier_and_nothing_else(self):
        text = "\n".join(r["text"] for r in TRUTH) + (SAMPLES / "archive.jsonl").read_text(encoding="utf-8")
        listed = {value for _, value in IDENTIFIERS}
        self.assertEqual([v for v in listed if v not in text], [])
        shapes = (r"\b\d{6}-[1-8]\d{6}\b", r"\b010-\d{4}-\d{4}\b", r"\b\d{4}-\d{4}-\d{4}-\d{4}\b", r"\b\d{2}-\d{2}-\d{6}-\d{2}\b",
                  r"\b[A-Z]\d{3}[A-Z]\d{4}\b", r"[\w.]+@example\.\w+", r"(?:은행|뱅크|우체국) ?([\d-]{10,})")
        for shape in shapes:
            for found in re.finditer(shape, text):
                self.assertIn(found.group(found.lastindex or 0), listed)

    def test_check_digits_hold(self):
        weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
        for kind, value in IDENTIFIERS:
            digits = [int(c) for c in value if c.isdigit()]
            if kind in ("주민등록번호", "외국인등록번호"):
                base = 11 if kind == "주민등록번호" else 13
                total = sum(a * b for a, b in zip(digits, weights))
                self.assertEqual(digits[12], (base - total % 11) % 10, value)
            elif kind == "카드":
                doubled = [d if i % 2 else d * 2 for i, d in enumerate(digits)]
                self.assertEqual(sum(d - 9 if d > 9 else d for d in doubled) % 10, 0, value)

    def test_each_kind_is_planted(self):
        kinds = {kind for kind, _ in IDENTIFIERS}
        self.assertEqual(kinds, {"주민등록번호", "외국인등록번호", "전화", "카드", "계좌", "운전면허", "여권", "전자우편"})


class Questions(unittest.TestCase):
    def gold_text(self, gold: dict) -> str:
        rows = [r for r in TRUTH if r["document"] == gold["source"] and r["page"] == gold["page"]]
        self.assertEqual(len(rows), 1, gold)
        return flat(rows[0]["text"])

    def test_kinds_are_thirty_five_fifteen_and_ten(self):
        kinds = collections.Counter(q["kind"] for q in QUESTIONS)
        self.assertEqual(kinds, {"answerable": 35, "unanswerable": 15, "forbidden": 10})
        self.assertEqual(len({q["id"] for q in QUESTIONS}), 60)

    def test_gold_answers_stand_on_their_gold_page(self):
        for q in QUESTIONS:
            if q["kind"] == "unanswerable":
                self.assertEqual(q["gold"], [], q["id"])
                continue
            for gold in q["gold"]:
                text = self.gold_text(gold)
                self.assertTrue(any(a in text for a in q["answer"]), (q["id"], gold))

    def test_gold_sections_stand_before_their_answer(self):
        for q in QUESTIONS:
            for gold in q["gold"]:
                whole = "\n".join(flat(r["text"]) for r in TRUTH if r["document"] == gold["source"] and r["page"] is not None
                                  and r["page"] <= gold["page"]) if gold["page"] else self.gold_text(gold)
                article = re.match(r"제\d+조(?:의\d+)?", gold["section"])
                wanted = article[0] if article else gold["section"].split(" > ")[-1]
                if wanted != "본문":
                    self.assertIn(wanted, whole, q["id"])

    def test_open_questions_have_no_restricted_gold_and_forbidden_ones_only_such(self):
        for q in QUESTIONS:
            for gold in q["gold"]:
                self.assertEqual(restricted(gold["source"]), q["kind"] == "forbidden", q["id"])

    def test_forbidden_strings_stand_only_in_restricted_documents(self):
        for q in QUESTIONS:
            for secret in q.get("must_not_contain", []):
                places = {r["document"] for r in TRUTH if secret in flat(r["text"])}
                self.assertTrue(places, secret)
                self.assertTrue(all(restricted(p) for p in places), (secret, places))
                self.assertNotIn(secret, q["question"])

    def test_terms_of_unanswerable_questions_stand_nowhere(self):
        for q in QUESTIONS:
            if q["kind"] == "unanswerable":
                self.assertTrue(q["absent"])
                for term in q["absent"]:
                    self.assertEqual([r["document"] for r in TRUTH if term in flat(r["text"])], [], q["id"])

    def test_questions_are_not_copied_from_the_text(self):
        whole = re.sub(r"\s", "", "".join(r["text"] for r in TRUTH))
        for q in QUESTIONS:
            bare = re.sub(r"\s", "", q["question"])
            longest = max((n for n in range(len(bare)) for i in range(len(bare) - n + 1) if bare[i:i + n] in whole), default=0)
            self.assertLess(longest, 18, q["question"])

    def test_answers_with_a_date_differ_between_versions(self):
        dated = [q for q in QUESTIONS if "as_of" in q]
        self.assertGreaterEqual(len(dated), 2)
        for q in dated:
            entry = next(e for e in ENTRIES if e["path"] == q["gold"][0]["source"])
            self.assertTrue(entry["effective_from"] <= q["as_of"] <= entry["effective_to"], q["id"])

    def test_the_contradiction_is_one(self):
        (q,) = [q for q in QUESTIONS if q.get("conflict")]
        pages = [self.gold_text(g) for g in q["gold"]]
        held = [{a for a in q["answer"] if a in page} for page in pages]
        self.assertEqual([len(h) for h in held], [1, 1])
        self.assertNotEqual(held[0], held[1])


@unittest.skipUnless(CAN_BUILD, "packages of samples/requirements.txt are not installed")
class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.out = Path(cls.folder.name) / "archive"
        build.build(cls.out)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def tree(self, root: Path) -> dict[str, bytes]:
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def test_a_second_build_gives_the_same_bytes(self):
        second = Path(self.folder.name) / "second"
        subprocess.run([sys.executable, str(SAMPLES / "build.py"), str(second)], check=True)
        one, two = self.tree(self.out), self.tree(second)
        self.assertEqual(one.keys(), two.keys())
        self.assertEqual([name for name in one if one[name] != two[name]], [])

    def test_every_listed_file_is_there_and_no_other(self):
        listed = {e["path"] for e in ENTRIES if e["expect"] != "part"}
        self.assertEqual(self.tree(self.out).keys() - {"truth.jsonl"}, listed)

    def test_will_not_clear_a_folder_that_it_did_not_make(self):
        other = Path(self.folder.name) / "other"
        other.mkdir()
        (other / "keep").write_text("x")
        with self.assertRaises(SystemExit):
            build.build(other)
        self.assertTrue((other / "keep").exists())

    def test_hwpx_packages_are_complete(self):
        files = [self.out / e["path"] for e in ENTRIES if e["format"] == "hwpx" and e["expect"] != "part"]
        self.assertGreaterEqual(len(files), 10)
        self.assertEqual({str(f): check_hwpx.faults(f) for f in files if check_hwpx.faults(f)}, {})

    def test_checker_sees_a_missing_part_a_torn_table_and_a_late_mimetype(self):
        good = self.out / "public/규정/위임전결규정_시행2025-09-01.hwpx"
        with zipfile.ZipFile(good) as z:
            parts = [(n, z.read(n)) for n in z.namelist()]

        def broken(change) -> list[str]:
            path = Path(self.folder.name) / "broken.hwpx"
            from archive_zip import write_zip
            write_zip(path, change(parts), stored={"mimetype"})
            return check_hwpx.faults(path)

        self.assertEqual(broken(lambda p: p), [])
        self.assertTrue(broken(lambda p: p[1:] + p[:1]))
        self.assertTrue(broken(lambda p: [e for e in p if e[0] != "settings.xml"]))
        self.assertTrue(broken(lambda p: [(n, d.replace(b'colAddr="1"', b'colAddr="2"')) for n, d in p]))
        self.assertTrue(broken(lambda p: [(n, d.replace(b'paraPrIDRef="8"', b'paraPrIDRef="77"')) for n, d in p]))

    def test_bomb_is_small_and_inflates_a_thousandfold(self):
        path = self.out / "hostile/압축폭탄.docx"
        with zipfile.ZipFile(path) as z:
            inflated = sum(i.file_size for i in z.infolist())
        self.assertLess(path.stat().st_size, 1 << 20)
        self.assertGreater(inflated, 200 << 20)

    def test_text_in_cp949_is_not_utf8(self):
        data = (self.out / "public/전산/20250726_장애처리일지.txt").read_bytes()
        self.assertIn("저장장치", data.decode("cp949"))
        with self.assertRaises(UnicodeDecodeError):
            data.decode("utf-8")

    def test_locked_pdf_shows_none_of_its_text(self):
        data = (self.out / "hostile/암호_문서.pdf").read_bytes()
        self.assertIn(b"/Encrypt", data)


if __name__ == "__main__":
    unittest.main()
