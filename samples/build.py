#!/usr/bin/env python3
"""Makes the sample archive: the documents of a fictional ministry (도서연안부) in the formats agencies use.

    build.py [OUTPUT]            writes the files and OUTPUT/truth.jsonl (default build/samples)
    build.py --paginate FILE     puts page breaks into a text/*.md that has none (done once, when it is written)

archive.jsonl lists the documents: path, title, format, source (text/*.md in the markup that markup.py
describes at its top; `hidden` where no reader is to get at it), version of the source, label, days in force,
what it supersedes, and whether ingest is to index, refuse or quarantine it. What lies under parts/ only goes
into a mail or an archive. The same input gives the same bytes.

truth.jsonl has a line for each page: document, page (null where the format has none), text; without the page
numbers in footers. questions.jsonl asks about the archive: the evidence of an answerable question is any of its
gold places (both, where `conflict` says that they contradict each other), `answer` lists accepted forms;
`absent` are terms of an unanswerable question that occur nowhere; what a forbidden one asks for stands in a
restricted document only. identifiers.txt lists every planted personal identifier with its kind.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import markup  # noqa: E402

PAGED = {"hwpx", "pdf", "misnamed pdf", "scan", "tiff", "jpeg", "docx", "xlsx", "odt"}


def entries() -> list[dict]:
    return [json.loads(line) for line in (HERE / "archive.jsonl").read_text(encoding="utf-8").splitlines()]


def pages_of(entry: dict) -> list[markup.Page]:
    """Of a hostile file, `hidden` is the text that no reader is to get out of it."""
    path = entry.get("source") or entry.get("hidden")
    return markup.parse(HERE / path, entry.get("version")) if path else []


def write(entry: dict, out: Path) -> None:
    # Imported here, so that listing pages and their text needs no package beyond the standard library.
    import hostile
    import hwpx
    import layout
    import office
    import pdf
    import plain
    import scan
    from archive_zip import write_zip

    target = out / entry["path"]
    target.parent.mkdir(parents=True, exist_ok=True)
    title, kind = entry["title"], entry["format"]
    size = entry.get("size", 15)
    pages = pages_of(entry)
    for page in pages:
        layout.check_glyphs(markup.page_text(page), entry["path"])
    made = {
        "hwpx": lambda: hwpx.write_hwpx(target, title, pages),
        "pdf": lambda: pdf.write_pdf(target, title, pages, size),
        "scan": lambda: scan.write_scanned_pdf(target, title, pages, size),
        "tiff": lambda: scan.write_tiff(target, pages, size),
        "jpeg": lambda: scan.write_jpeg(target, pages, size),
        "docx": lambda: office.write_docx(target, title, pages),
        "xlsx": lambda: office.write_xlsx(target, title, pages),
        "odt": lambda: office.write_odt(target, title, pages),
        "txt": lambda: plain.write_text(target, pages),
        "html": lambda: plain.write_html(target, title, pages),
        "eml": lambda: plain.write_mail(target, title, pages, entry["mail"], [out / p for p in entry["attached"]]),
        "zip": lambda: write_zip(target, [(Path(p).name, (out / p).read_bytes()) for p in entry["members"]]),
        "empty": lambda: target.write_bytes(b""),
        "truncated hwpx": lambda: hostile.truncated_hwpx(target, title, pages),
        "truncated pdf": lambda: hostile.truncated_pdf(target, title, pages, size),
        "locked pdf": lambda: pdf.write_pdf(target, title, pages, size, password="not-in-the-archive"),
        "locked hwpx": lambda: hwpx.write_locked_hwpx(target, title, pages),
        "misnamed pdf": lambda: hostile.pdf_named_otherwise(target, title, pages, size),
        "program": lambda: hostile.program_named_pdf(target),
        "bomb": lambda: hostile.bomb(target),
        "escaping zip": lambda: hostile.escaping_zip(target),
    }
    made[kind]()


def truth_rows() -> list[dict]:
    """The true text of every page; what a mail or archive holds is named HOLDER!/NAME, as ingest names it."""
    listed = entries()
    holder = {part: e["path"] for e in listed for part in e.get("members", []) + e.get("attached", [])}
    rows = []
    for entry in listed:
        if "source" not in entry:
            continue
        path = entry["path"]
        name = f"{holder[path]}!/{Path(path).name}" if path in holder else path
        for number, page in enumerate(pages_of(entry), 1):
            where = number if entry["format"] in PAGED else None
            rows.append({"document": name, "page": where, "text": markup.page_text(page)})
    return rows


def build(out: Path) -> None:
    """Everything, into a fresh folder. Attachments and members of archives are made under parts/ and then removed."""
    if out.exists() and any(out.iterdir()) and not (out / "truth.jsonl").exists():
        sys.exit(f"{out} is not empty and no earlier output of this program")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "truth.jsonl").touch()
    for entry in sorted(entries(), key=lambda e: not e["path"].startswith("parts/")):
        write(entry, out)
    with (out / "truth.jsonl").open("w", encoding="utf-8") as truth:
        for row in truth_rows():
            truth.write(json.dumps(row, ensure_ascii=False) + "\n")
    shutil.rmtree(out / "parts", ignore_errors=True)


def paginate(path: Path, size: float) -> None:
    """Breaks pages where they are full, never after a heading, keeping a table row by row and repeating its header."""
    import layout

    lines = path.read_text(encoding="utf-8").splitlines()
    out: list[str] = []
    page: list[str] = []
    header: list[str] = []
    scratch = path.with_suffix(".page")

    def fits(candidate: list[str]) -> bool:
        scratch.write_text("\n".join(candidate), encoding="utf-8")
        (only,) = markup.parse(scratch)
        return layout.fill(size, only)

    units, figure = [], None
    for line in lines:
        if figure is not None:
            figure.append(line)
            if line == "}":
                units.append("\n".join(figure))
                figure = None
        elif line.startswith("{"):
            figure = [line]
        else:
            units.append(line)
    for unit in units:
        if unit == "===":
            out += page + [unit]
            page = []
            continue
        header = header + [unit] if unit.startswith("|!") else header if unit.startswith("|") else []
        if fits(page + [unit]):
            page.append(unit)
            continue
        moved: list[str] = []
        while page and (page[-1].startswith(("#", "표:", "|!")) or not page[-1].strip()):
            moved.insert(0, page.pop())
        if unit.startswith("|") and not moved:
            moved = list(header)
        out += page + ["==="]
        page = [m for m in moved if m.strip()] + [unit]
    scratch.unlink(missing_ok=True)
    path.write_text("\n".join(out + page) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", nargs="?", default=str(HERE.parent / "build" / "samples"))
    parser.add_argument("--paginate", metavar="FILE")
    parser.add_argument("--size", type=float, default=15)
    options = parser.parse_args()
    if options.paginate:
        paginate(Path(options.paginate), options.size)
    else:
        build(Path(options.output))


if __name__ == "__main__":
    main()
