"""Writes audit_golden.json: leaves, hashes, proofs, checkpoints and sealed bodies, computed here from
policy/FORMAT.md and RFC 6962 alone. Both the C++ tests and the verifier's test are held to the result.
Signatures and nonces differ from run to run; everything else is fixed."""
import base64
import hashlib
import json
import os
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def sha(data):
    return hashlib.sha256(data).digest()


def field(data):
    return struct.pack("<I", len(data)) + data


def encode(leaf):
    texts = [leaf[name].encode() for name in ("boot_id", "actor", "os_user", "session", "origin", "action")]
    record = b"" if leaf["record"] is None else struct.pack("<Q", leaf["record"])
    objects = b"".join(field(item.encode()) for item in leaf["objects"])
    return b"\x01" + b"".join(
        field(part)
        for part in [
            struct.pack("<Q", leaf["sequence"]),
            struct.pack("<q", leaf["utc_us"]),
            struct.pack("<q", leaf["boottime_us"]),
            *texts,
            record,
            leaf["outcome"].encode(),
            objects,
            leaf["model_sha256"].encode(),
            bytes.fromhex(leaf["commitment"]),
            bytes.fromhex(leaf["previous"]),
        ]
    )


def root(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha(b"\x01" + root(leaves[:split]) + root(leaves[split:]))


def inclusion(index, leaves):
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return inclusion(index, leaves[:split]) + [root(leaves[split:])]
    return inclusion(index - split, leaves[split:]) + [root(leaves[:split])]


def consistency(old, leaves, whole=True):
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if old <= split:
        return consistency(old, leaves[:split], whole) + [root(leaves[split:])]
    return consistency(old - split, leaves[split:], False) + [root(leaves[:split])]


def checkpoint(key, origin, size, head):
    text = f"{origin}\n{size}\n{base64.b64encode(head).decode()}\n"
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signature = sha(spki)[:4] + key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    return spki, f"{text}\n\u2014 {origin} {base64.b64encode(signature).decode()}\n"


def derive(key, purpose):
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(key)


def seal(key, text, context):
    nonce = os.urandom(12)
    return b"\x01" + nonce + AESGCM(key).encrypt(nonce, text, context.encode())


def main():
    base = {
        "boot_id": "0b1e6c2a-5d0e-4f57-9a35-3d8f2c1a7e90", "actor": "kim", "os_user": "jiphyeon",
        "session": "s-7", "origin": "10.20.30.40", "action": "asked", "record": None, "outcome": "",
        "objects": [], "model_sha256": "", "utc_us": 1_790_000_000_000_000, "boottime_us": 86_400_000_000,
    }
    changes = [
        {},
        {"action": "answered", "record": 0, "outcome": "answered", "objects": ["doc:1", "doc:2#제3조"],
         "model_sha256": "9f" * 32},
        {"actor": "김주무관", "action": "login", "utc_us": -1, "boottime_us": 0},
        {"actor": "", "os_user": "", "session": "", "origin": "", "boot_id": "", "action": "unclean start",
         "objects": ["acknowledged 3", "found 3", "cut bytes 0"]},
        {"actor": "\u1100\u1161\u11a8", "action": "asked", "objects": ["", "\x1b[31m\n=1+1"]},
        {"action": "interrupted", "record": 4, "utc_us": 2**63 - 1},
        {"action": "erased", "record": 0, "outcome": "retention"},
    ]
    leaves, encoded, previous = [], [], bytes(32)
    for i, change in enumerate(changes):
        commitment = bytes(32) if change.get("action") in ("unclean start", "erased") else sha(f"body {i}".encode())
        leaf = {**base, **change, "sequence": i, "commitment": commitment.hex(), "previous": previous.hex()}
        data = encode(leaf)
        previous = sha(b"\0" + data)
        leaves.append({"fields": leaf, "encoded": data.hex(), "hash": previous.hex()})
        encoded.append(previous)
    roots = [root(encoded[:size]).hex() for size in range(len(encoded) + 1)]
    inclusions = [
        {"leaf": i, "size": size, "proof": [p.hex() for p in inclusion(i, encoded[:size])]}
        for size in range(1, len(encoded) + 1)
        for i in range(size)
    ]
    consistencies = [
        {"from": old, "to": size, "proof": [p.hex() for p in consistency(old, encoded[:size])]}
        for size in range(1, len(encoded) + 1)
        for old in range(1, size + 1)
    ]
    origin = "jiphyeon.test/audit"
    signer = ec.derive_private_key(0x1234567890ABCDEF1234567890ABCDEF1234567890ABCDEF1234567890ABCDEF, ec.SECP256R1())
    other = ec.derive_private_key(0x0FEDCBA987654321, ec.SECP256R1())
    spki, text = checkpoint(signer, origin, len(encoded), root(encoded))
    _, forged = checkpoint(other, origin, len(encoded), root(encoded))
    site_key = bytes(range(32))
    record_key = bytes(range(100, 132))
    salt = bytes([7]) * 32
    parts = ["하나", "둘", "{\"n\":2}"]
    commitment = sha(salt + b"".join(field(part.encode()) for part in parts))
    print(json.dumps({
        "origin": origin,
        "leaves": leaves,
        "roots": roots,
        "inclusion_proofs": inclusions,
        "consistency_proofs": consistencies,
        "checkpoint": text,
        "checkpoint_of_another_key": forged,
        "verifier_key": f"{origin}+{sha(spki)[:4].hex()}+{base64.b64encode(bytes([2]) + spki).decode()}",
        "bodies": {
            "site_key": site_key.hex(),
            "record": 6,
            "key_slot": seal(derive(site_key, "jiphyeon audit body keys"), record_key, "jiphyeon audit key 6").ljust(64, b"\0").hex(),
            "piece_1": seal(record_key, parts[1].encode(), "jiphyeon audit body 6 3 1").hex(),
            "answer": seal(record_key, salt + parts[2].encode(), "jiphyeon audit body 6 4 0").hex(),
            "parts": parts,
            "salt": salt.hex(),
            "commitment": commitment.hex(),
        },
    }, indent=1, ensure_ascii=False))


main()
