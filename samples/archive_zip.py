"""ZIP files whose bytes depend on nothing but their content."""

import io
import re
import zipfile
from pathlib import Path

DATE = (2026, 1, 2, 9, 0, 0)


def write_zip(target, entries: list[tuple[str, bytes]], stored: set[str] = frozenset()) -> None:
    with zipfile.ZipFile(target, "w") as z:
        for name, data in entries:
            info = zipfile.ZipInfo(name, DATE)
            info.external_attr = 0o644 << 16
            info.create_system = 3
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            z.writestr(info, data)


def settle(target: Path, first: str | None = None) -> None:
    """Rewrites an office file made by a library without its clock times; `first` is stored as the first entry."""
    with zipfile.ZipFile(io.BytesIO(target.read_bytes())) as z:
        entries = sorted((n, z.read(n)) for n in z.namelist())
    entries.sort(key=lambda e: e[0] != first)
    stamp = rb"\g<1>2026-01-02T09:00:00Z\g<2>"
    entries = [
        (n, re.sub(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*(</)", stamp, d) if n == "docProps/core.xml" else d)
        for n, d in entries
    ]
    write_zip(target, entries, {first} if first else frozenset())
