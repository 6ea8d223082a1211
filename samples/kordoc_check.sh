#!/bin/sh
# Lets kordoc, a reader that shares no code with ours, read every HWPX file of the built archive and looks for
# the first line of each page's true text in what it got.
#   kordoc_check.sh [ARCHIVE]     ARCHIVE: output of build.py (default build/samples)
# Exit 0 all read, or kordoc cannot be had here (counted as skipped); 1 something is missing. The package lies in
# the user's cache. Counts are printed as Python's unittest prints them, one test a file.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
archive=${1:-$here/../build/samples}
home=${XDG_CACHE_HOME:-$HOME/.cache}/jiphyeon/kordoc
skip() { printf '%s\nRan 1 tests\nOK (skipped=1)\n' "$1"; exit 0; }
[ -f "$archive/truth.jsonl" ] || { echo "no archive at $archive: run samples/build.py"; exit 1; }
. "$here/../packaging/node.sh" || true
command -v npm >/dev/null || skip "kordoc not run: no Node.js"
mkdir -p "$home"
if [ ! -x "$home/node_modules/.bin/kordoc" ]; then
    npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$home" kordoc@4.14.1 >/dev/null 2>&1 ||
        skip "kordoc not run: it cannot be installed"
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
find "$archive/public" "$archive/internal" "$archive/restricted" -name '*.hwpx' -exec \
    "$home/node_modules/.bin/kordoc" --silent --out-dir "$out" {} +
python3 - "$archive" "$out" <<'PY'
import json, pathlib, re, sys

archive, out = map(pathlib.Path, sys.argv[1:])
def bare(text):
    return re.sub(r"[^0-9A-Za-z가-힣]", "", text)
read = {p.stem: bare(p.read_text(encoding="utf-8")) for p in out.rglob("*.md")}
pages, missing = 0, []
for row in map(json.loads, (archive / "truth.jsonl").read_text(encoding="utf-8").splitlines()):
    path = pathlib.Path(row["document"])
    if path.suffix != ".hwpx" or path.parts[0] == "hostile" or "!" in row["document"]:
        continue
    for line in row["text"].splitlines():
        pages += line == row["text"].splitlines()[0]
        cells = [bare(re.sub(r"(?<=[가-힣])\d\)|^\d\) ", "", c)) for c in line.split("\t")]
        if not all(c in read.get(path.stem, "") for c in cells):
            missing.append(path)
            print(f"{path}, page {row['page']}: not read: {line}")
print(f"kordoc read {len(read)} files, {pages} pages, {len(missing)} lines missing")
print(f"Ran {len(read)} tests")
print(f"FAILED (failures={len(set(missing))})" if missing else "OK")
sys.exit(bool(missing) or not read)
PY
