"""Tampers with a real record in every way of the threat model and expects the right words from both verifiers:
the independent one (packaging/verifier) and AuditLog's. A careful attacker is assumed where it makes a
difference: he repairs the checks of entries, but has neither the signing key nor the key of bodies.

    tamper_test.py DRIVER VERIFIER GOLDEN
"""
import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from hashlib import sha256

DRIVER, VERIFIER, GOLDEN = sys.argv[1:4]
HEADER = 16


def load_verifier():
    spec = importlib.util.spec_from_file_location("jiphyeon_verify", VERIFIER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def driver(*words, expect=(0,)):
    done = subprocess.run([DRIVER, *words], capture_output=True, text=True, check=False)
    assert done.returncode in expect, (words, done.returncode, done.stderr)
    return done.stdout


class Entry:
    def __init__(self, kind, record, before, payload):
        self.kind, self.record, self.before, self.payload = kind, record, before, payload

    def encode(self, offset):
        data = struct.pack("<IBQQ", len(self.payload), self.kind, self.record, self.before) + self.payload
        return data + sha256(struct.pack("<Q", offset) + data).digest()[:8]

    @property
    def is_leaf(self):
        return self.kind & 0x7F == 1


def read_entries(path):
    with open(path, "rb") as file:
        data = file.read()
    entries, at = [], HEADER
    while at < len(data):
        length, kind, record, before = struct.unpack_from("<IBQQ", data, at)
        entries.append(Entry(kind, record, before, data[at + 21 : at + 21 + length]))
        at += 29 + length
    return data[:HEADER], entries


def write_entries(path, header, entries):
    data = header
    for entry in entries:
        data += entry.encode(len(data))
    with open(path, "wb") as file:
        file.write(data)


def leaf_place(entries, number):
    return [i for i, entry in enumerate(entries) if entry.is_leaf][number]


class Tamper(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.mkdtemp(prefix="jiphyeon-tamper-")
        cls.site = os.path.join(cls.base, "site")
        cls.clean = os.path.join(cls.base, "clean")
        driver("init", cls.site)
        driver("make", cls.site, cls.clean)
        cls.vkey = os.path.join(cls.base, "vkey")
        shutil.copy(os.path.join(cls.clean, "public_key"), cls.vkey)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.base)

    def setUp(self):
        self.dir = os.path.join(self.base, self.id().rsplit(".", 1)[-1])
        shutil.copytree(self.clean, self.dir)
        self.log = os.path.join(self.dir, "log")

    def verifier(self, *options, folder=None):
        done = subprocess.run(
            [sys.executable, VERIFIER, folder or self.dir, "--json", "--vkey", self.vkey,
             "--bodies-key", os.path.join(self.site, "bodies.hex"), *options],
            capture_output=True, text=True, check=False,
        )
        self.assertIn(done.returncode, (0, 1), done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["ok"], done.returncode == 0)
        return report

    def reports(self, remembered=None):
        """Of the independent verifier, and of the program on the same files; the latter opens them, so it is last."""
        options = ["--remembered", remembered] if remembered else []
        independent = self.verifier(*options)
        words = ["verify", self.site, self.dir] + ([remembered] if remembered else [])
        own = json.loads(driver(*words, expect=(0, 1)))
        return independent, own

    def expect_problem(self, leaf, words, remembered=None):
        independent, own = self.reports(remembered)
        for name, report in (("independent", independent), ("own", own)):
            self.assertFalse(report["ok"], name)
            found = [p for p in report["problems"] if p["leaf"] == leaf and words in p["what"]]
            self.assertTrue(found, f"{name}: no '{words}' at leaf {leaf} in {report['problems']}")
        if "opened" in own:  # what open() lets pass, AuditLog::verify finds
            self.assertFalse(own["opened"]["ok"])
        return independent, own

    def edit(self, change):
        header, entries = read_entries(self.log)
        entries = change(entries) or entries
        write_entries(self.log, header, entries)

    def test_untouched_record_is_in_order(self):
        independent, own = self.reports()
        for report in (independent, own, own["opened"]):
            self.assertEqual(report["problems"], [])
            self.assertTrue(report["ok"])
        self.assertEqual((independent["size"], independent["records"]), (11, 7))
        for name in ("size", "records", "root"):
            self.assertEqual(independent[name], own[name])
        self.assertEqual(independent["not_checked"], ["rollback: no remembered checkpoint given"])

    def test_without_keys_the_verifier_says_what_it_did_not_check(self):
        done = subprocess.run([sys.executable, VERIFIER, self.dir, "--json"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(
            json.loads(done.stdout)["not_checked"],
            ["signing key: taken from the log's own folder", "rollback: no remembered checkpoint given",
             "bodies and the seal of the head: no key given"],
        )

    def test_bytes_all_over_the_log_changed(self):
        with open(self.log, "rb") as file:
            data = bytearray(file.read())
        step = max(1, len(data) // 60)
        module = load_verifier()
        for at in range(0, len(data), step):
            changed = bytearray(data)
            changed[at] ^= 0x10
            with open(self.log, "wb") as file:
                file.write(changed)
            arguments = type("A", (), {
                "folder": self.dir, "vkey": self.vkey, "remembered": None,
                "bodies_key": os.path.join(self.site, "bodies.hex")})
            self.assertFalse(module.Verifier(arguments).run()["ok"], f"byte {at}")
            # Into a copy: opening may add to the log.
            copy = self.dir + f".{at}"
            shutil.copytree(self.dir, copy)
            own = json.loads(driver("verify", self.site, copy, expect=(1,)))
            self.assertFalse(own["ok"], f"byte {at}")
            shutil.rmtree(copy)

    def test_one_byte_changed_in_a_leaf(self):
        with open(self.log, "rb") as file:
            data = bytearray(file.read())
        at = data.index(b"login")
        data[at] ^= 1
        with open(self.log, "wb") as file:
            file.write(data)
        self.expect_problem(2, "were changed")

    def test_one_byte_changed_in_a_leaf_and_its_check_repaired(self):
        def change(entries):
            entry = entries[leaf_place(entries, 2)]
            entry.payload = entry.payload.replace(b"login", b"logon")

        self.edit(change)
        independent, _ = self.expect_problem(3, "does not follow the leaf before it")
        self.assertTrue(any("another root" in p["what"] for p in independent["problems"]))

    def test_leaf_dropped(self):
        def change(entries):
            at = leaf_place(entries, 3)
            del entries[at - 1 : at + 1]  # with its body

        self.edit(change)
        self.expect_problem(3, "carries the number 4: a leaf is missing, added or moved")

    def test_two_leaves_swapped(self):
        def change(entries):
            a, b = leaf_place(entries, 3), leaf_place(entries, 4)
            entries[a - 1 : a + 1], entries[b - 1 : b + 1] = entries[b - 1 : b + 1], entries[a - 1 : a + 1]

        self.edit(change)
        self.expect_problem(3, "carries the number 4: a leaf is missing, added or moved")
        # The second look is at the same files: the program has refused to open them, or added nothing.
        self.expect_problem(4, "carries the number 3: a leaf is missing, added or moved")

    def test_leaf_added(self):
        def change(entries):
            at = leaf_place(entries, 8)
            entries.insert(at + 1, Entry(0x81, 9, 0, entries[at].payload))

        self.edit(change)
        self.expect_problem(9, "carries the number 8: a leaf is missing, added or moved")

    def test_tail_cut(self):
        def change(entries):
            del entries[leaf_place(entries, 7) + 1 :]

        self.edit(change)
        _, own = self.expect_problem(8, "the tail is cut: 11 leaves were acknowledged, 8 are here")
        self.assertIn("were acknowledged", own["refused"])

    def test_tail_cut_within_an_entry(self):
        os.truncate(self.log, os.path.getsize(self.log) - 5)
        _, own = self.expect_problem(11, "are no entries of the log")
        self.assertIn("were acknowledged", own["refused"])

    def test_log_and_head_cut_together_are_caught_by_the_seal(self):
        def change(entries):
            del entries[leaf_place(entries, 7) + 1 :]

        self.edit(change)
        head = os.path.join(self.dir, "head")
        with open(head, "rb") as file:
            data = bytearray(file.read())
        for at in (0, 4096):
            struct.pack_into("<QQ", data, at + 20, 8, os.path.getsize(self.log))
        with open(head, "wb") as file:
            file.write(data)
        self.expect_problem(0, "the head is not readable, or sealed with another key")

    def test_old_copy_restored(self):
        old = self.dir + ".old"
        shutil.copytree(self.dir, old)
        driver("add", self.site, self.dir, "3")
        remembered = os.path.join(self.base, "remembered")
        with open(remembered, "w", encoding="utf-8") as file:
            file.write(driver("checkpoint", self.site, self.dir))
        independent, own = self.reports(remembered)
        self.assertTrue(independent["ok"] and own["ok"])
        shutil.rmtree(self.dir)
        shutil.copytree(old, self.dir)
        independent, own = self.reports()  # by itself it is in order
        self.assertTrue(independent["ok"] and own["ok"])
        self.expect_problem(11, "rolled back: the remembered checkpoint has 14 leaves, this log 11", remembered)
        # The old copy went on and has outgrown what was remembered.
        driver("add", self.site, self.dir, "5")
        self.expect_problem(14, "history was changed: the first 14 leaves do not have the remembered root", remembered)

    def test_checkpoint_signed_with_another_key(self):
        other = os.path.join(self.base, "other-site")
        if not os.path.exists(other):
            driver("init", other)
        forged_dir = self.dir + ".forged"
        driver("make", other, forged_dir)
        _, forged = read_entries(os.path.join(forged_dir, "log"))
        foreign = [entry for entry in forged if entry.kind & 0x7F == 5][-1].payload.decode()

        def change(entries):
            last = [entry for entry in entries if entry.kind & 0x7F == 5][-1]
            text = last.payload.decode()
            last.payload = (text.split("\n\n")[0] + "\n\n" + foreign.split("\n\n")[1]).encode()

        self.edit(change)
        self.expect_problem(11, "the checkpoint of size 11 is not signed by the log's key")

    def test_whole_record_signed_with_another_key(self):
        other = os.path.join(self.base, "third-site")
        driver("init", other)
        shutil.copy(os.path.join(self.site, "bodies"), other)
        shutil.rmtree(self.dir)
        driver("make", other, self.dir)
        self.expect_problem(11, "the checkpoint of size 11 is not signed by the log's key")

    def test_checkpoints_removed(self):
        def change(entries):
            kept = [entry for entry in entries if entry.kind & 0x7F != 5]
            return kept

        self.edit(change)
        self.expect_problem(0, "there is no signed checkpoint")

    def test_body_exchanged_for_an_older_one(self):
        # The holder of the site's key rewrites a body: it opens, but the leaf committed to another.
        module = load_verifier()
        with open(os.path.join(self.site, "bodies"), "rb") as file:
            site_key = file.read()
        with open(os.path.join(self.dir, "keys"), "rb") as file:
            slots = file.read()
        keys = module.BodyKeys(site_key, lambda record: slots[HEADER + 64 * record : HEADER + 64 * record + 64])
        record_key = keys.unseal(keys.wrapping, keys.slots(4)[:61], "jiphyeon audit key 4")

        def change(entries):
            entry = entries[leaf_place(entries, 4) - 1]
            text = keys.open(4, 6, 0, entry.payload)
            context = b"jiphyeon audit body 4 6 0"
            box = module.AESGCM(record_key).encrypt(bytes(12), text[:32] + text[32:].replace(b"ingest", b"egress"), context)
            entry.payload = b"\x01" + bytes(12) + box

        self.edit(change)
        self.expect_problem(4, "its body is not the one it commits to")

    def test_piece_removed(self):
        def change(entries):
            pieces = [i for i, entry in enumerate(entries) if entry.kind & 0x7F == 3 and entry.record == 6]
            del entries[pieces[1]]

        self.edit(change)
        self.expect_problem(7, "that does not follow the one before it")

    def test_body_changed(self):
        def change(entries):
            entry = entries[leaf_place(entries, 4) - 1]
            entry.payload = entry.payload[:-1] + bytes([entry.payload[-1] ^ 1])

        self.edit(change)
        self.expect_problem(4, "its body cannot be opened")

    def test_key_destroyed_without_an_erasure(self):
        with open(os.path.join(self.dir, "keys"), "r+b") as file:
            file.seek(HEADER + 64 * 6)
            file.write(b"\xff" + bytes(63))
        self.expect_problem(6, "the key of its body is gone, and no leaf says that it was erased")

    def test_erased_body_is_in_order_and_its_old_key_is_not(self):
        independent, own = self.reports()
        self.assertTrue(independent["ok"] and own["ok"])  # record 0 of every record here is erased
        with open(os.path.join(self.dir, "keys"), "rb") as file:
            slots = file.read()
        self.assertEqual(slots[HEADER : HEADER + 64], b"\xff" + bytes(63))
        with open(os.path.join(self.dir, "keys"), "r+b") as file:
            file.seek(HEADER)
            file.write(slots[HEADER + 64 * 6 : HEADER + 64 * 7])
        self.expect_problem(0, "a leaf says that its body was erased, and the key is still here")

    def test_tree_file_changed(self):
        path = os.path.join(self.dir, "tree")
        with open(path, "r+b") as file:
            file.seek(HEADER + 32 * 2 + 3)
            file.write(b"XXXX")
        self.expect_problem(0, "the tree file differs from the leaves at hash 2")

    def test_remembered_file_is_written_and_used_by_the_next_visit(self):
        kept = os.path.join(self.base, "kept")
        self.assertTrue(self.verifier("--remember", kept)["ok"])
        driver("add", self.site, self.dir, "2")
        report = self.verifier("--remembered", kept, "--remember", kept)
        self.assertTrue(report["ok"], report)
        self.assertEqual(report["not_checked"], [])
        with open(kept, encoding="utf-8") as file:
            self.assertEqual(file.read().split("\n")[1], "13")
        os.truncate(self.log, os.path.getsize(self.log) - 1)
        self.assertFalse(self.verifier("--remembered", kept, "--remember", kept)["ok"])
        with open(kept, encoding="utf-8") as file:
            self.assertEqual(file.read().split("\n")[1], "13")  # a bad visit is not remembered


class Golden(unittest.TestCase):
    def test_verifier_agrees_with_the_golden_vectors(self):
        module = load_verifier()
        with open(GOLDEN, encoding="utf-8") as file:
            golden = json.load(file)
        tree = module.Tree()
        for size, entry in enumerate(golden["leaves"]):
            self.assertEqual(tree.root().hex(), golden["roots"][size])
            data = bytes.fromhex(entry["encoded"])
            leaf = module.parse_leaf(data)
            self.assertEqual(leaf["sequence"], entry["fields"]["sequence"])
            self.assertEqual(leaf["record"], entry["fields"]["record"])
            self.assertEqual(leaf["actor"].decode(), entry["fields"]["actor"])
            for bad in (data[:-1], data + b"\0", b"\x02" + data[1:]):
                self.assertRaises(module.Malformed, module.parse_leaf, bad)
            tree.add(module.sha256(b"\0" + data))
        self.assertEqual(tree.root().hex(), golden["roots"][-1])
        key = module.SigningKey(golden["verifier_key"])
        self.assertTrue(key.has_signed(module.parse_checkpoint(golden["checkpoint"].encode())))
        self.assertFalse(key.has_signed(module.parse_checkpoint(golden["checkpoint_of_another_key"].encode())))
        bodies = golden["bodies"]
        keys = module.BodyKeys(bytes.fromhex(bodies["site_key"]), lambda record: bytes.fromhex(bodies["key_slot"]))
        piece = keys.open(bodies["record"], module.PIECE, 1, bytes.fromhex(bodies["piece_1"]))
        self.assertEqual(piece.decode(), bodies["parts"][1])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
