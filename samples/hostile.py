"""Files that must not be indexed, or only after their true kind has been found. Each is small."""

import io
import zipfile
from pathlib import Path

import hwpx
import pdf
from archive_zip import DATE, write_zip
from markup import Page


def truncated_hwpx(target: Path, title: str, pages: list[Page]) -> None:
    whole = io.BytesIO()
    hwpx.write_hwpx(whole, title, pages)
    target.write_bytes(whole.getvalue()[: len(whole.getvalue()) * 3 // 5])


def truncated_pdf(target: Path, title: str, pages: list[Page], size: float) -> None:
    pdf.write_pdf(target, title, pages, size)
    target.write_bytes(target.read_bytes()[:900])


def pdf_named_otherwise(target: Path, title: str, pages: list[Page], size: float) -> None:
    pdf.write_pdf(target, title, pages, size)


def program_named_pdf(target: Path) -> None:
    target.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + bytes((i * 37 + 11) % 256 for i in range(3000)))


def bomb(target: Path) -> None:
    """A word document of about 200 KB whose body inflates to 200 MB of blanks."""
    blank = b" " * (1 << 20)
    with zipfile.ZipFile(target, "w") as z:
        def entry(name: str):
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            return info
        z.writestr(entry("[Content_Types].xml"),
                   '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
                   '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType='
                   '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>')
        with z.open(entry("word/document.xml"), "w") as body:
            body.write(b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>')
            for _ in range(200):
                body.write(blank)
            body.write(b"</w:body></w:document>")


def escaping_zip(target: Path) -> None:
    """An archive whose members' names point outside of it."""
    note = "이 파일은 압축을 푸는 폴더 바깥을 가리키는 이름을 가지고 있다.".encode()
    write_zip(target, [("../../바깥.txt", note), ("/절대경로.txt", note)])
