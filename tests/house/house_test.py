"""The house stays as README draws it: which module may know which, and who may open which door.

Method: reads every #include and every target_link_libraries of the tree; builds nothing.
"""
import os
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# module -> public headers of others it may include. `app` builds everything; tests and bench may look anywhere.
ARROWS = {
    "policy/crypto": set(),
    "policy/sandbox": set(),
    "policy": {"crypto"},
    "index": {"crypto"},
    "ingest": {"index", "crypto", "sandbox"},
    "llm_engine": {"crypto", "sandbox"},
    "retriever": {"index", "llm_engine", "crypto"},
    "gateway": {"policy", "pii", "audit", "index", "retriever", "llm_engine", "crypto"},
}
OWN_HEADERS = {
    "policy/crypto": {"crypto"},
    "policy/sandbox": {"sandbox"},
    "policy": {"policy", "pii", "audit"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def sources() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.cpp", "*.hpp", "*.h"], cwd=ROOT, capture_output=True, text=True,
                            check=True)
    return [Path(line) for line in listed.stdout.splitlines()]


def module_of(path: Path) -> str | None:
    text = path.as_posix()
    for module in sorted(ARROWS, key=len, reverse=True):
        if text.startswith(module + "/"):
            return module
    return None


def includes(path: Path) -> list[tuple[str, str]]:
    return INCLUDE.findall((ROOT / path).read_text(encoding="utf-8"))


class TheHouse(unittest.TestCase):
    def test_a_module_includes_only_the_public_headers_it_may_know(self):
        wrong = []
        for path in sources():
            module = module_of(path)
            if module is None:
                continue
            may = ARROWS[module] | OWN_HEADERS.get(module, {module})
            for _, name in includes(path):
                if name.startswith("jiphyeon/") and Path(name).stem not in may:
                    wrong.append(f"{path}: {name}")
        self.assertEqual(wrong, [])

    def test_no_module_includes_a_private_header_of_another(self):
        """A quoted include is a public header or lies in the module's own folder."""
        wrong = []
        for path in sources():
            module = module_of(path)
            if module is None:
                continue
            for quote, name in includes(path):
                if quote != '"' or name.startswith("jiphyeon/"):
                    continue
                beside = [Path(os.path.normpath(path.parent / name)), Path(module) / name]
                found = [p for p in beside if (ROOT / p).exists()]
                if not found or module_of(found[0]) != module:
                    wrong.append(f"{path}: {name}")
        self.assertEqual(wrong, [])

    def test_each_module_links_what_it_includes_and_nothing_more_of_ours(self):
        for module in ARROWS:
            text = (ROOT / module / "CMakeLists.txt").read_text(encoding="utf-8")
            links = set(re.findall(r"jiphyeon_(policy|index|ingest|llm_engine|retriever|gateway|crypto|sandbox)\b", text))
            own = module.split("/")[-1]
            libraries = {"pii": "policy", "audit": "policy"}
            may = {libraries.get(name, name) for name in ARROWS[module]} | {own}
            self.assertLessEqual(links, may, module)

    def test_only_the_crypto_module_calls_a_cryptographic_library(self):
        """gateway hands certificates to the TLS library, which wants its types."""
        wrong = []
        for path in sources():
            if module_of(path) == "policy/crypto" or path.parts[0] in ("tests", "bench"):
                continue
            text = (ROOT / path).read_text(encoding="utf-8")
            if re.search(r"\bEVP_\w+\s*\(", text):
                wrong.append(f"{path}: EVP call")
            if path.parts[0] != "gateway" and re.search(r"#\s*include\s*<openssl/", text):
                wrong.append(f"{path}: openssl header")
        self.assertEqual(wrong, [])

    def test_nothing_in_the_tree_names_a_machine_or_a_registry(self):
        pattern = r"/(work|root)/|/home/[a-z]+/|pypi\.org|pythonhosted|registry\.npmjs|repo1?\.maven"
        found = subprocess.run(["git", "grep", "-nIE", pattern, "--", ".", ":!tests/house"], cwd=ROOT,
                               capture_output=True, text=True, check=False)
        self.assertEqual(found.stdout, "")


if __name__ == "__main__":
    unittest.main()
