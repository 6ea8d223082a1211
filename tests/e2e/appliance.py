"""The real program for tests: a data folder with the samples, accounts, a server, and an HTTPS client."""
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("JIPHYEON_BUILD", ROOT / "build" / "release"))
PROGRAM = BUILD / "bin" / "jiphyeon"
SAMPLES = Path(os.environ.get("JIPHYEON_SAMPLES", ROOT / "build" / "samples"))
MODELS = Path(os.environ.get("JIPHYEON_MODELS", ROOT / "build" / "models"))
FOLDERS = ["public", "internal", "restricted", "hostile"]


class Failed(Exception):
    pass


class Appliance:
    """A data folder in a temporary place. `program` may be wrapped, e.g. by strace. `llm`: the role in models.lock
    of the model that answers; None: lexical search alone."""

    def __init__(self, llm: str | None = "llm"):
        self.place = Path(tempfile.mkdtemp(prefix="jiphyeon-e2e-"))
        self.data = self.place / "data"
        self.server = None
        arguments = ["--models", MODELS, "--models-lock", self.lock_with(llm)] if llm else []
        self.init = self.run("init", "--port", "0", *arguments)
        self.passwords = {"admin": self.init["password"]}

    def lock_with(self, llm):
        """A list of approved models in which the one of this role is the one that answers."""
        models = (ROOT / "packaging" / "models.lock").read_text(encoding="utf-8").split("[[model]]")
        wanted = [m for m in models if f'role = "{llm}"' in m or 'role = "embedder"' in m]
        lock = self.place / "models.lock"
        lock.write_text("".join("[[model]]" + re.sub('role = "llm.*?"', 'role = "llm"', m) for m in wanted),
                        encoding="utf-8")
        return lock

    def set(self, section, **values):
        """Writes values into a section of the settings file, which has it. Not while the server is up."""
        file = self.data / "jiphyeon.toml"
        text = file.read_text(encoding="utf-8")
        for name, value in values.items():
            line = f"{name} = {json.dumps(value)}"
            text, found = re.subn(rf"(?m)^{name} = .*$", lambda _, line=line: line, text)
            if not found:
                text = text.replace(f"[{section}]\n", f"[{section}]\n{line}\n")
        file.write_text(text, encoding="utf-8")

    def close(self):
        self.stop()
        shutil.rmtree(self.place, ignore_errors=True)

    # ---- the command line

    def command(self, *words, input_text=None, wrapper=()):
        line = [*map(str, wrapper), str(PROGRAM), *map(str, words), "--data", str(self.data)]
        return subprocess.run(line, capture_output=True, text=True, input=input_text, timeout=1800, check=False)

    def run(self, *words, as_user=None, expect=(0, 1), input_text=None, wrapper=()):
        """The JSON reply of a command; raises Failed with its error object on any other exit."""
        extra = ["--json"]
        if as_user:
            secret = self.place / f"{as_user}.secret"
            secret.write_text(self.passwords[as_user])
            extra += ["--as", as_user, "--token-file", secret]
        done = self.command(*words, *extra, input_text=input_text, wrapper=wrapper)
        if done.returncode not in expect:
            raise Failed(f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return json.loads(done.stdout)

    def run_batch(self, *words, lines, as_user=None):
        file = self.place / "batch.jsonl"
        file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        extra = []
        if as_user:
            secret = self.place / f"{as_user}.secret"
            secret.write_text(self.passwords[as_user])
            extra = ["--as", as_user, "--token-file", secret]
        done = self.command(*words, "--batch", file, "--json", *extra)
        if done.returncode not in (0, 1):
            raise Failed(f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def add_user(self, account, *arguments):
        self.passwords[account] = self.run("user", "add", account, *arguments)["password"]

    def change_password(self, account, new):
        """The one-time password is good for this alone. Needs the server."""
        client = self.client()
        if client.login(account, self.passwords[account]) != 200:
            raise Failed(f"{account} cannot log in")
        answer, data = client.request("POST", "/api/password", {"old": self.passwords[account], "new": new})
        if answer.status != 200:
            raise Failed(f"password of {account}: {answer.status} {data[:500]}")
        self.passwords[account] = new

    def chunks(self):
        """Every chunk that is stored, and the counts of documents, chunks and vectors. Not while the server is up."""
        done = subprocess.run([BUILD / "tests" / "e2e" / "jiphyeon_dump_chunks", self.data / "index"],
                              capture_output=True, text=True, check=True)
        *chunks, counts = map(json.loads, done.stdout.splitlines())
        return chunks, counts

    def add_demo_users(self):
        self.add_user("reader", "--role", "user", "--clearance", "internal")
        self.add_user("inspector", "--role", "user", "--clearance", "restricted", "--department", "감사관")
        self.add_user("auditor", "--role", "auditor")

    def ingest_samples(self):
        return self.run("ingest", *[SAMPLES / folder for folder in FOLDERS])

    # ---- the server

    def start(self, wrapper=()):
        line = [*map(str, wrapper), str(PROGRAM), "serve", "--data", str(self.data), "--json"]
        self.log = open(self.place / "serve.log", "ab")
        self.wrapped = bool(wrapper)
        self.server = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=self.log, text=True)
        first = self.server.stdout.readline()
        if not first:
            raise Failed("the server ended: " + (self.place / "serve.log").read_text()[-2000:])
        self.address = json.loads(first)["address"]

    def stop(self, how=signal.SIGTERM):
        if self.server is None:
            return
        # A wrapper such as strace keeps signals to itself: they go to the program that it runs.
        wrapped = subprocess.run(["pgrep", "-P", str(self.server.pid), "-x", "jiphyeon"], capture_output=True, text=True,
                                 check=False).stdout.split() if self.wrapped else []
        for pid in map(int, wrapped or [self.server.pid]):
            os.kill(pid, how)
        self.server.wait(timeout=60)
        self.server.stdout.close()
        self.log.close()
        self.server = None

    def client(self):
        return Client(self.address)


class Client:
    """A browser's session over HTTPS, certificate unchecked because it is self-signed and fresh."""

    def __init__(self, address):
        host, port = address.removeprefix("https://").split(":")
        self.host, self.port = host, int(port)
        self.tls = ssl.create_default_context()
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE
        self.cookie, self.csrf = None, None

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=300)
        sent = {"Sec-Fetch-Site": "same-origin", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        if self.cookie:
            sent["Cookie"] = self.cookie
        if self.csrf:
            sent["X-CSRF-Token"] = self.csrf
        connection.request(method, path, json.dumps(body) if body is not None else None, sent)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    def login(self, account, password):
        answer, data = self.request("POST", "/api/login", {"account": account, "password": password})
        if answer.status != 200:
            return answer.status
        self.cookie = answer.getheader("Set-Cookie").split(";")[0]
        self.csrf = json.loads(data)["csrf"]
        return 200

    def ask(self, question):
        """The events of an answer, in order."""
        answer, data = self.request("POST", "/api/ask", {"question": question})
        if answer.status != 200:
            raise Failed(f"ask: {answer.status} {data[:500]}")
        events = []
        for frame in data.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in frame.splitlines() if ": " in line and line[0] != ":")
            if "data" in fields:
                events.append((fields.get("event", "message"), json.loads(fields["data"])))
        return events


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False
