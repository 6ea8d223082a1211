"""PDF with a text layer, PDF of page images, and PDF locked by a password."""

from pathlib import Path

from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from layout import FONT_NAMES, HEIGHT, WIDTH, set_page
from markup import Page


def write_pdf(target: Path, title: str, pages: list[Page], size: float, password: str | None = None) -> None:
    lock = StandardEncryption(password, strength=128) if password else None
    canvas = Canvas(str(target), pagesize=(WIDTH, HEIGHT), invariant=1, encrypt=lock, pageCompression=1)
    canvas.setTitle(title)
    canvas.setAuthor("도서연안부")
    for number, page in enumerate(pages, 1):
        draw(canvas, set_page(page, size, number))
        canvas.showPage()
    canvas.save()


def draw(canvas: Canvas, ops: list[tuple]) -> None:
    canvas.setLineWidth(0.6)
    for kind, *v in ops:
        if kind == "text":
            x, y, size, bold, text = v
            canvas.setFillGray(0)
            canvas.setFont(FONT_NAMES[bold], size)
            canvas.drawString(x, HEIGHT - y, text)
        elif kind == "line":
            canvas.line(v[0], HEIGHT - v[1], v[2], HEIGHT - v[3])
        elif kind == "rect":
            x, y, w, h, gray = v
            canvas.setFillGray(gray if gray is not None else 1)
            canvas.rect(x, HEIGHT - y - h, w, h, fill=int(gray is not None))
        elif kind == "oval":
            x, y, w, h = v
            canvas.ellipse(x, HEIGHT - y - h, x + w, HEIGHT - y)


def write_image_pdf(target: Path, title: str, images: list[Path]) -> None:
    canvas = Canvas(str(target), pagesize=(WIDTH, HEIGHT), invariant=1)
    canvas.setTitle(title)
    for image in images:
        canvas.drawImage(ImageReader(str(image)), 0, 0, WIDTH, HEIGHT)
        canvas.showPage()
    canvas.save()
