"""Formats without pages: text in CP949, HTML, and a mail with its attachment."""

import html
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from markup import Block, Page, page_text


def write_text(target: Path, pages: list[Page]) -> None:
    text = "\n\n".join(page_text(p) for p in pages)
    target.write_bytes(text.replace("\n", "\r\n").encode("cp949"))


def write_html(target: Path, title: str, pages: list[Page]) -> None:
    body = "\n".join(_html(b) for page in pages for b in page)
    target.write_text(
        f'<!DOCTYPE html>\n<html lang="ko">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        "<style>body { font-family: serif }</style>\n<script>document.title = document.title;</script>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n", encoding="utf-8")


def _html(b: Block) -> str:
    if b.kind in ("title", "heading"):
        tag = f"h{b.level + 1}"
        return f"<{tag}>{html.escape(b.text)}</{tag}>"
    if b.kind != "table":
        return f"<p>{html.escape(b.text)}</p>"
    rows = ""
    for r in range(b.rows):
        rows += "<tr>" + "".join(
            f'<{"th" if c.header else "td"} rowspan="{c.rowspan}" colspan="{c.colspan}">{html.escape(c.text)}</{"th" if c.header else "td"}>'
            for c in b.cells if c.row == r) + "</tr>\n"
    caption = f"<caption>{html.escape(b.text)}</caption>\n" if b.text else ""
    return f"<table>\n{caption}{rows}</table>"


def write_mail(target: Path, title: str, pages: list[Page], head: dict[str, str], attached: list[Path]) -> None:
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = title
    for name, value in head.items():
        mail[name] = value
    mail.set_content("\n\n".join(page_text(p) for p in pages) + "\n", cte="base64")
    for path in attached:
        mail.add_attachment(path.read_bytes(), maintype="application", subtype="octet-stream", filename=path.name)
    if mail.is_multipart():
        mail.set_boundary("=_doseoyeonan_2026")
    target.write_bytes(mail.as_bytes())
