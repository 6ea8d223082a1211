"""Answers written by a server on the network: llama-cpp-python's, behind the real program.
JIPHYEON_LLAMA_SERVER_PYTHON names a Python that has it (bench/peers remote prints one).

The archive is one regulation. The questions are few: what is looked at is the way of an answer into the record, and
what the program does when the server is not there.
"""
import os
import re
import socket
import subprocess
import sys
import time
import unittest
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import MODELS, SAMPLES, Appliance  # noqa: E402

PYTHON = os.environ["JIPHYEON_LLAMA_SERVER_PYTHON"]
MODEL = MODELS / "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
REGULATION = SAMPLES / "public" / "규정" / "여객선운임지원규정_시행2026-01-01.hwpx"
QUESTION = "여객선 운임 지원 횟수는 한 달에 몇 회입니까?"
CONTEXT = 2048


class Server:
    def __init__(self, log):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.log = log
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [PYTHON, "-m", "llama_cpp.server", "--model", MODEL, "--model_alias", "qwen", "--host", "127.0.0.1",
                 "--port", str(self.port), "--n_ctx", str(CONTEXT), "--n_threads", "2",
                 "--interrupt_requests", "false", "--verbose", "false"], stdout=log, stderr=log)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url + "/models", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the server does not come up: " + Path(self.log).read_text()[-2000:])

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Remote(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.a = Appliance()
        cls.addClassCleanup(cls.a.close)
        cls.server = Server(cls.a.place / "server.log")
        cls.addClassCleanup(cls.server.stop)
        cls.settings = cls.a.data / "jiphyeon.toml"
        text = cls.settings.read_text(encoding="utf-8")
        for name, value in {"url": cls.server.url, "kind": "llama-cpp-python", "model": "qwen"}.items():
            text = re.sub(rf"(\[remote\][^\[]*?\n{name} = )['\"][^'\"]*['\"]", rf'\1"{value}"', text)
        # Without likeliest tokens, for which the model would have to read every passage once more.
        for name, value in {"context_tokens": CONTEXT, "likeliest": 0}.items():
            text = re.sub(rf"(?m)^{name} = \d+$", f"{name} = {value}", text)
        cls.settings.write_text(text, encoding="utf-8")
        cls.a.add_user("auditor", "--role", "auditor")
        cls.a.run("ingest", REGULATION, "--label", "public")
        cls.a.start()
        cls.a.change_password("auditor", "감사-암호-2026-가나다라")

    @classmethod
    def leaf(cls, *words):
        return cls.a.run("audit", *words, as_user="auditor")

    def test_1_without_the_server_a_question_fails_and_search_goes_on(self):
        done = self.a.command("ask", QUESTION, "--json")
        self.assertEqual(done.returncode, 3, done.stdout)
        self.assertIn('"lost"', done.stdout)
        self.assertTrue(self.a.run("search", QUESTION)["hits"])

    def test_2_the_server_answers_and_the_record_says_so(self):
        self.server.start()
        reply = self.a.run("ask", QUESTION)
        self.assertIn(reply["outcome"], ("answered", "partly_supported"), reply)
        self.assertIn("20회", reply["answer"])
        self.assertIs(reply["replayable"], False)

        shown = self.leaf("show", reply["receipt"]["leaf"], "--reason", "원격 서버의 답을 확인합니다")
        generation = shown["body"]["generation"]
        self.assertIs(generation["replayable"], False)
        self.assertEqual({name: generation["remote"][name] for name in ("server", "model", "served_as")},
                         {"server": self.server.url, "model": "qwen", "served_as": "qwen"})
        self.assertTrue(generation["remote"]["text"])
        self.assertEqual((generation["tokens"], generation["logits_hash"], shown["model_sha256"]), ([], "", ""))

        replayed = self.leaf("replay", reply["receipt"]["leaf"])
        self.assertEqual((replayed["same"], replayed["replayable"]), (False, False))
        self.assertIn(self.server.url, " ".join(replayed["differences"]))
        report = self.leaf("verify")
        self.assertTrue(report["ok"], report)


if __name__ == "__main__":
    unittest.main()
