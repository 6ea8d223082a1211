#!/usr/bin/env python3
"""Checks that HWPX files are complete OWPML packages. Prints each fault; exit 1 when there is one.

    check_hwpx.py FILE...
"""

import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

REQUIRED = ("mimetype", "version.xml", "settings.xml", "META-INF/container.xml", "META-INF/container.rdf",
            "META-INF/manifest.xml",
            "Contents/content.hpf", "Contents/header.xml", "Contents/section0.xml", "Preview/PrvText.txt")


def local(element) -> str:
    return element.tag.rpartition("}")[2]


def faults(path: Path) -> list[str]:
    try:
        package = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        return ["not a ZIP file"]
    with package:
        found = container_faults(package)
        return found or part_faults(package)


def container_faults(package: zipfile.ZipFile) -> list[str]:
    found = []
    names = package.namelist()
    first = package.infolist()[0] if names else None
    if first is None or first.filename != "mimetype" or first.compress_type != zipfile.ZIP_STORED:
        found.append("mimetype is not the first entry, stored")
    elif package.read("mimetype") != b"application/hwp+zip":
        found.append("mimetype has another content")
    found += [f"{name} is missing" for name in REQUIRED if name not in names]
    found += [f"{name} stands twice" for name in set(names) if names.count(name) > 1]
    return found + ([f"{bad} is damaged"] if (bad := package.testzip()) else [])


def part_faults(package: zipfile.ZipFile) -> list[str]:
    if b"encryption-data" in package.read("META-INF/manifest.xml"):
        return ["the package is encrypted"]
    trees, found = {}, []
    for name in package.namelist():
        if name.endswith((".xml", ".hpf")):
            try:
                trees[name] = ElementTree.fromstring(package.read(name))
            except ElementTree.ParseError as e:
                found.append(f"{name} is not well-formed: {e}")
    if found:
        return found
    roots = [e.get("full-path") for e in trees["META-INF/container.xml"].iter() if local(e) == "rootfile"]
    if "Contents/content.hpf" not in roots:
        found.append("container.xml does not name Contents/content.hpf")
    items = {e.get("id"): e.get("href") for e in trees["Contents/content.hpf"].iter() if local(e) == "item"}
    found += [f"content.hpf names {href}, which is missing" for href in items.values() if href not in package.namelist()]
    spine = [items.get(e.get("idref")) for e in trees["Contents/content.hpf"].iter() if local(e) == "itemref"]
    if "Contents/section0.xml" not in spine:
        found.append("the spine has no section")
    header = trees["Contents/header.xml"]
    if int(header.get("secCnt", "0")) != sum(bool(h) and "section" in h for h in spine):
        found.append("secCnt differs from the number of sections in the spine")
    found += list_faults(header)
    for href in spine:
        if href and "section" in href:
            found += section_faults(href, trees[href], header)
    return found


def list_faults(header) -> list[str]:
    """Every list in header.xml holds as many items as it says."""
    return [f"{local(e)} says {e.get('itemCnt')} items and has {len(e)}"
            for e in header.iter() if e.get("itemCnt") and int(e.get("itemCnt")) != len(e)]


def section_faults(name: str, section, header) -> list[str]:
    found = []
    known = {kind: {e.get("id") for e in header.iter() if local(e) == kind} for kind in ("paraPr", "charPr", "style", "borderFill")}
    for e in section.iter():
        for attribute, kind in (("paraPrIDRef", "paraPr"), ("charPrIDRef", "charPr"), ("styleIDRef", "style"), ("borderFillIDRef", "borderFill")):
            if (ref := e.get(attribute)) is not None and ref not in known[kind]:
                found.append(f"{name}: {local(e)} refers to {kind} {ref}, which header.xml does not define")
    first = next((e for e in section.iter() if local(e) == "p"), None)
    if first is None or not any(local(e) == "secPr" for e in first.iter()):
        found.append(f"{name}: the first paragraph has no secPr")
    for table in (e for e in section.iter() if local(e) == "tbl"):
        found += [f"{name}: {fault}" for fault in table_faults(table)]
    return found


def table_faults(table) -> list[str]:
    rows, cols = int(table.get("rowCnt")), int(table.get("colCnt"))
    taken: dict[tuple[int, int], int] = {}
    for cell in (c for tr in table if local(tr) == "tr" for c in tr if local(c) == "tc"):
        part = {local(e): e for e in cell}
        if not {"subList", "cellAddr", "cellSpan", "cellSz", "cellMargin"} <= part.keys():
            return ["a cell lacks a part"]
        r0, c0 = int(part["cellAddr"].get("rowAddr")), int(part["cellAddr"].get("colAddr"))
        for r in range(r0, r0 + int(part["cellSpan"].get("rowSpan"))):
            for c in range(c0, c0 + int(part["cellSpan"].get("colSpan"))):
                taken[r, c] = taken.get((r, c), 0) + 1
    whole = {(r, c): 1 for r in range(rows) for c in range(cols)}
    return [] if taken == whole else ["the cells of a table do not tile its grid"]


def main() -> int:
    bad = 0
    for name in sys.argv[1:]:
        for fault in faults(Path(name)):
            print(f"{name}: {fault}")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
