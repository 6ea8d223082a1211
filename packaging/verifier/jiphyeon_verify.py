#!/usr/bin/env python3
"""Verifies the record of a Jiphyeon appliance from a copy of its files, without the appliance.

    jiphyeon_verify.py AUDIT_FOLDER [--vkey FILE] [--remembered FILE] [--remember FILE] [--bodies-key FILE] [--json]

Re-derives every leaf, the chain and the tree from the stored bytes; checks every signed checkpoint, the gapless
numbering, and that this record continues the checkpoint of an earlier visit (--remembered). --remember writes
the newest checkpoint for the next visit. With the key of bodies (32 bytes in hexadecimal) the sealed texts are
opened and compared with what the leaves commit to. Reads only. Exit 0: nothing wrong was found in what was
checked; 1: problems; 2: wrong use.

Needs Python 3.9 and the package `cryptography`. The layout is described in policy/FORMAT.md; no code is shared
with the program that writes.
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import struct
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_der_public_key

FORMAT = 1
HEADER = 16
LEAF, QUESTION, PIECE, ANSWER, CHECKPOINT, NOTE = 1, 2, 3, 4, 5, 6
UNSIGNED_MAX = 256
PROBLEMS_MAX = 100
PAYLOAD_MAX = 64 << 20
LEAF_FIELDS = (
    "sequence utc_us boottime_us boot_id actor os_user session origin action record outcome objects "
    "model_sha256 commitment previous"
).split()


class Malformed(Exception):
    """Stored bytes that are not what the format says."""


def sha256(data):
    return hashlib.sha256(data).digest()


def take_field(data, at):
    if at + 4 > len(data):
        raise Malformed("a field is cut short")
    (length,) = struct.unpack_from("<I", data, at)
    end = at + 4 + length
    if end > len(data):
        raise Malformed("a field is cut short")
    return data[at + 4 : end], end


def parse_leaf(data):
    if data[:1] != b"\x01":
        raise Malformed("a leaf of another format")
    leaf, at = {}, 1
    for name in LEAF_FIELDS:
        leaf[name], at = take_field(data, at)
    if at != len(data):
        raise Malformed("bytes after the end of a leaf")
    for name in ("sequence", "utc_us", "boottime_us"):
        if len(leaf[name]) != 8:
            raise Malformed(f"{name} has a wrong length")
    leaf["sequence"] = struct.unpack("<Q", leaf["sequence"])[0]
    if len(leaf["record"]) not in (0, 8):
        raise Malformed("record has a wrong length")
    leaf["record"] = struct.unpack("<Q", leaf["record"])[0] if leaf["record"] else None
    for name in ("commitment", "previous"):
        if len(leaf[name]) != 32:
            raise Malformed(f"{name} has a wrong length")
    objects, at = leaf["objects"], 0
    while at < len(objects):
        _, at = take_field(objects, at)
    return leaf


class Tree:
    """Grows leaf by leaf; `hashes` holds every perfect subtree's hash, in the order of the tree file."""

    def __init__(self):
        self.size = 0
        self.peaks = []  # (height, hash), highest first
        self.hashes = []

    def add(self, leaf_hash):
        height, value = 0, leaf_hash
        self.hashes.append(value)
        while self.peaks and self.peaks[-1][0] == height:
            value = sha256(b"\x01" + self.peaks.pop()[1] + value)
            height += 1
            self.hashes.append(value)
        self.peaks.append((height, value))
        self.size += 1

    def root(self):
        if not self.peaks:
            return sha256(b"")
        value = self.peaks[-1][1]
        for _, peak in reversed(self.peaks[:-1]):
            value = sha256(b"\x01" + peak + value)
        return value


class SigningKey:
    """A verifier key: <origin>+<id>+<base64 of 0x02 and the public key>."""

    def __init__(self, text):
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise Malformed("not a verifier key")
        self.origin = parts[0]
        try:
            raw = base64.b64decode(parts[2], validate=True)
            if raw[:1] != b"\x02":
                raise Malformed("a verifier key of another kind")
            self.key_id = sha256(raw[1:])[:4]
            self.key = load_der_public_key(raw[1:])
        except ValueError as error:
            raise Malformed(f"not a verifier key: {error}") from error
        if self.key_id.hex() != parts[1] or not isinstance(self.key, ec.EllipticCurvePublicKey):
            raise Malformed("a verifier key whose id does not fit")

    def has_signed(self, checkpoint):
        for name, signature in checkpoint["signatures"]:
            if name == self.origin and signature[:4] == self.key_id:
                try:
                    self.key.verify(signature[4:], checkpoint["signed"], ec.ECDSA(hashes.SHA256()))
                    return True
                except InvalidSignature:
                    return False
        return False


def parse_checkpoint(data):
    head, blank, tail = data.rpartition(b"\n\n")
    lines = head.split(b"\n")
    if not blank or len(lines) != 3 or not lines[0]:
        raise Malformed("not a checkpoint")
    if not lines[1].isdigit() or (lines[1] != b"0" and lines[1].startswith(b"0")):
        raise Malformed("a checkpoint whose size is not a number")
    try:
        root = base64.b64decode(lines[2], validate=True)
        signatures = []
        for line in tail.decode().split("\n")[:-1]:
            dash, name, value = line.split(" ")
            if dash != "\u2014":
                raise Malformed("not a signature line")
            signatures.append((name, base64.b64decode(value, validate=True)))
    except ValueError as error:
        raise Malformed(f"not a checkpoint: {error}") from error
    if len(root) != 32 or base64.b64encode(root) != lines[2] or not tail.endswith(b"\n"):
        raise Malformed("not a checkpoint")
    return {
        "origin": lines[0].decode(errors="replace"),
        "size": int(lines[1]),
        "root": root,
        "signed": head + b"\n",
        "signatures": signatures,
    }


class BodyKeys:
    """Opens sealed texts: the site's key opens a record's key, and that its bodies."""

    def __init__(self, site_key, slots):
        self.wrapping = self.derive(site_key, b"jiphyeon audit body keys")
        self.head = self.derive(site_key, b"jiphyeon audit head")
        self.slots = slots

    @staticmethod
    def derive(site_key, purpose):
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(site_key)

    @staticmethod
    def unseal(key, box, context):
        if box[:1] != b"\x01" or len(box) < 29:
            raise Malformed("not a sealed text")
        return AESGCM(key).decrypt(box[1:13], box[13:], context.encode())

    def open(self, record, kind, number, box):
        key = self.unseal(self.wrapping, self.slots(record)[:61], f"jiphyeon audit key {record}")
        return self.unseal(key, box, f"jiphyeon audit body {record} {kind} {number}")


class Verifier:
    def __init__(self, arguments):
        self.folder = arguments.folder
        self.problems, self.not_checked = [], []
        self.tree = Tree()
        self.previous = bytes(32)
        self.records = {}
        self.checkpoints, self.checkpoint_size, self.newest = 0, 0, None
        self.key = self.read_key(arguments.vkey)
        self.remembered = self.read_remembered(arguments.remembered)
        self.slots = b""
        self.bodies = None
        if arguments.bodies_key:
            with open(arguments.bodies_key, encoding="ascii") as file:
                site_key = bytes.fromhex(file.read().strip())
            if len(site_key) != 32:
                sys.exit("jiphyeon_verify: the key of bodies has 64 hexadecimal digits")
            self.bodies = BodyKeys(site_key, self.slot)
        else:
            self.not_checked.append("bodies and the seal of the head: no key given")
        # In the order in which a record in use grows safely under a reader.
        self.head = self.read_head()
        self.log = self.read_file("log", b"JIPALOG ")
        self.slots = self.read_file("keys", b"JIPAKEYS")

    def problem(self, leaf, what):
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append({"leaf": leaf, "what": what})
        elif len(self.problems) == PROBLEMS_MAX:
            self.problems.append({"leaf": leaf, "what": "more problems follow and are not listed"})

    def read_file(self, name, magic):
        try:
            with open(os.path.join(self.folder, name), "rb") as file:
                data = file.read()
        except OSError as error:
            self.problem(0, f"{name}: {error.strerror}")
            return b""
        if data[:8] != magic:
            self.problem(0, f"{name} does not begin as it must")
            return b""
        if struct.unpack_from("<I", data.ljust(HEADER, b"\0"), 8)[0] != FORMAT:
            self.problem(0, f"{name} has another format number")
            return b""
        return data

    def read_key(self, path):
        if not path:
            self.not_checked.append("signing key: taken from the log's own folder")
            path = os.path.join(self.folder, "public_key")
        try:
            with open(path, encoding="ascii") as file:
                return SigningKey(file.read())
        except (OSError, ValueError, Malformed) as error:
            self.problem(0, f"signing key: {error}")
            self.not_checked.append("signatures: no key")
            return None

    def read_remembered(self, path):
        if not path:
            self.not_checked.append("rollback: no remembered checkpoint given")
            return None
        try:
            with open(path, "rb") as file:
                checkpoint = parse_checkpoint(file.read())
        except (OSError, Malformed) as error:
            self.problem(0, f"the remembered checkpoint: {error}")
            return None
        if self.key and not self.key.has_signed(checkpoint):
            self.problem(checkpoint["size"], "the remembered checkpoint is not signed by the log's key")
        if self.key and checkpoint["origin"] != self.key.origin:
            self.problem(checkpoint["size"], f"the remembered checkpoint is of another log: {checkpoint['origin']}")
        return checkpoint

    def read_head(self):
        try:
            with open(os.path.join(self.folder, "head"), "rb") as file:
                data = file.read()
        except OSError as error:
            self.problem(0, f"head: {error.strerror}")
            return None
        newest = None
        for at in (0, 4096):
            slot = data[at : at + 109]
            if len(slot) < 109 or slot[:8] != b"JIPAHEAD":
                continue
            if self.bodies and not hmac.compare_digest(
                hmac.new(self.bodies.head, slot[:77], "sha256").digest(), slot[77:]
            ):
                continue
            version, counter, size, log_bytes, _, clean = struct.unpack_from("<IQQQQB", slot, 8)
            if version == FORMAT and (newest is None or counter > newest["counter"]):
                newest = {"counter": counter, "size": size, "log_bytes": log_bytes, "clean": clean == 1}
        if newest is None:
            self.problem(0, "the head is not readable, or sealed with another key")
        return newest

    def slot(self, record):
        return self.slots[HEADER + 64 * record : HEADER + 64 * (record + 1)].ljust(64, b"\0")

    def compare_remembered(self):
        known = self.remembered
        if known and known["size"] == self.tree.size and known["root"] != self.tree.root():
            self.problem(
                self.tree.size,
                f"history was changed: the first {self.tree.size} leaves do not have the remembered root",
            )

    def read_log(self):
        log = self.log
        self.compare_remembered()
        at = HEADER
        while at < len(log):
            end = None
            if at + 29 <= len(log):
                length, kind, record, before = struct.unpack_from("<IBQQ", log, at)
                end = at + 29 + length
            if end is None or end > len(log) or length > PAYLOAD_MAX or not LEAF <= kind & 0x7F <= NOTE:
                self.problem(self.tree.size, f"the bytes from {at} on are no entries of the log")
                self.not_checked.append(f"what lies behind leaf {self.tree.size}")
                break
            if sha256(struct.pack("<Q", at) + log[at : end - 8])[:8] != log[end - 8 : end]:
                self.problem(self.tree.size, f"the stored bytes at {at} were changed")
            payload = log[at + 21 : end - 8]
            kind &= 0x7F
            if kind == LEAF:
                self.take_leaf(payload)
            elif kind == CHECKPOINT:
                self.take_checkpoint(payload)
            else:
                self.take_body(kind, record, before, at, payload)
            at = end
        return len(log)

    def take_leaf(self, payload):
        number = self.tree.size
        try:
            leaf = parse_leaf(payload)
            if leaf["sequence"] != number:
                self.problem(
                    number, f"carries the number {leaf['sequence']}: a leaf is missing, added or moved"
                )
            if leaf["previous"] != self.previous:
                self.problem(number, "does not follow the leaf before it: that one was changed")
            self.take_links(leaf)
        except Malformed as error:
            self.problem(number, f"cannot be decoded: {error}")
        self.previous = sha256(b"\0" + payload)
        self.tree.add(self.previous)
        self.compare_remembered()

    def take_links(self, leaf):
        closes = leaf["record"] is not None
        number = leaf["record"] if closes else leaf["sequence"]
        record = self.records.get(number)
        if record is None:
            if closes:
                self.problem(leaf["sequence"], f"closes record {number}, which was never opened")
            return
        if closes and leaf["action"] == b"erased":
            record["erased"] = True
            return
        if closes:
            if record["closed"]:
                self.problem(leaf["sequence"], f"closes record {number} a second time")
            record["closed"] = True
        if record["commitment"] not in (None, leaf["commitment"]):
            self.problem(leaf["sequence"], "its body is not the one it commits to")
        record["commitment"] = None
        if record["closed"]:
            record["pieces"] = []

    def take_body(self, kind, number, before, at, payload):
        opening = kind in (QUESTION, NOTE)
        known = number in self.records
        if (number != self.tree.size or known) if opening else not known:
            self.problem(self.tree.size, f"before it lies a body of record {number}, which is not open")
            return
        fresh = {"note": False, "closed": False, "erased": False, "last": 0, "pieces": [], "commitment": None}
        record = self.records.setdefault(number, fresh)
        if record["closed"] or record["note"] or before != record["last"]:
            self.problem(
                self.tree.size,
                f"before it lies a body of record {number} that does not follow the one before it",
            )
        record["note"] = kind == NOTE
        record["last"] = at
        if not self.bodies or self.slot(number)[0] in (0, 0xFF):
            return
        try:
            ordinal = len(record["pieces"]) if kind == PIECE else 0
            text = self.bodies.open(number, kind, ordinal, payload)
        except (InvalidTag, Malformed):
            self.problem(number, "its body cannot be opened: changed, or not under this key")
            return
        if kind == PIECE:
            record["pieces"].append(text)
            return
        commitment = hashlib.sha256(text[:32])
        for part in record["pieces"] + [text[32:]]:
            commitment.update(struct.pack("<I", len(part)) + part)
        record["commitment"] = commitment.digest()

    def take_checkpoint(self, payload):
        size = self.tree.size
        name = f"the checkpoint of size {size}"
        try:
            checkpoint = parse_checkpoint(payload)
        except Malformed as error:
            self.problem(size, f"{name}: {error}")
            return
        if checkpoint["size"] != size:
            self.problem(
                size, f"the checkpoint here names size {checkpoint['size']}: leaves are missing or added"
            )
        if checkpoint["root"] != self.tree.root():
            self.problem(size, f"{name} has another root than the leaves before it")
        if self.key and checkpoint["origin"] != self.key.origin:
            self.problem(size, f"{name} is of another log: {checkpoint['origin']}")
        if self.key and not self.key.has_signed(checkpoint):
            self.problem(size, f"{name} is not signed by the log's key")
        self.checkpoints += 1
        self.checkpoint_size = size
        self.newest = payload

    def check_head(self, log_bytes):
        head, size = self.head, self.tree.size
        if not head:
            return
        if size < head["size"]:
            self.problem(
                size, f"the tail is cut: {head['size']} leaves were acknowledged, {size} are here"
            )
        if head["clean"] and log_bytes > head["log_bytes"]:
            self.problem(head["size"], "bytes were added after the log was closed in order")
        if head["clean"] and self.checkpoint_size != size:
            self.problem(self.checkpoint_size, "the leaves from here on are under no signed checkpoint")

    def check_records(self):
        for number, record in sorted(self.records.items()):
            if not record["note"] and not record["closed"] and self.head and self.head["clean"]:
                self.problem(number, "the record was never closed")
            state = self.slot(number)[0]
            if state in (0, 0xFF) and not record["erased"]:
                self.problem(number, "the key of its body is gone, and no leaf says that it was erased")
            if state not in (0, 0xFF) and record["erased"]:
                self.problem(number, "a leaf says that its body was erased, and the key is still here")

    def check_tree_file(self):
        path = os.path.join(self.folder, "tree")
        if not os.path.exists(path):
            self.not_checked.append("tree file: not there (it is made again when the log is opened)")
            return
        stored = self.read_file("tree", b"JIPATREE")[HEADER:]
        for i, value in enumerate(self.tree.hashes):
            if stored[32 * i : 32 * i + 32] != value:
                self.problem(0, f"the tree file differs from the leaves at hash {i}")
                return

    def run(self):
        log_bytes = self.read_log()
        self.check_head(log_bytes)
        self.check_records()
        self.check_tree_file()
        size = self.tree.size
        if self.remembered and self.remembered["size"] > size:
            self.problem(
                size,
                f"rolled back: the remembered checkpoint has {self.remembered['size']} leaves, this log {size}",
            )
        if size and not self.checkpoints:
            self.problem(0, "there is no signed checkpoint")
        if size - self.checkpoint_size >= UNSIGNED_MAX:
            self.problem(self.checkpoint_size, "more leaves than the log ever leaves unsigned follow here")
        if size != self.checkpoint_size:
            self.not_checked.append(f"signature over the leaves from {self.checkpoint_size} on")
        return {
            "ok": not self.problems,
            "records": len(self.records),
            "size": size,
            "root": self.tree.root().hex(),
            "checkpoints": self.checkpoints,
            "problems": self.problems,
            "not_checked": self.not_checked,
        }


def print_report(report):
    print(f"leaves {report['size']}, records {report['records']}, signed checkpoints {report['checkpoints']}")
    print(f"root {report['root']}")
    for problem in report["problems"]:
        print(f"PROBLEM at leaf {problem['leaf']}: {problem['what']}")
    for item in report["not_checked"]:
        print(f"not checked: {item}")
    print("nothing wrong in what was checked" if report["ok"] else "THE RECORD IS NOT IN ORDER")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="the record's folder, or a copy of it")
    parser.add_argument("--vkey", metavar="FILE", help="verifier key, kept by the auditor")
    parser.add_argument("--remembered", metavar="FILE", help="checkpoint of an earlier visit")
    parser.add_argument("--remember", metavar="FILE", help="write the newest checkpoint here when all is well")
    parser.add_argument("--bodies-key", metavar="FILE", help="key of bodies, 64 hexadecimal digits")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    arguments = parser.parse_args()
    verifier = Verifier(arguments)
    report = verifier.run()
    if arguments.json:
        print(json.dumps(report))
    else:
        print_report(report)
    if arguments.remember and report["ok"] and verifier.newest:
        temporary = arguments.remember + ".new"
        with open(temporary, "wb") as file:
            file.write(verifier.newest)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, arguments.remember)
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
