"""Sets the blocks of one page into drawing operations that the PDF and the scan writer both draw.

Units are points from the top left corner of an A4 page. A page that does not fit is an error: page
breaks stand in the source, so that the true text of every page is known.
Operations: ("text", x, baseline, size, bold, string), ("line", x1, y1, x2, y2), ("rect", x, y, w, h, gray),
("oval", x, y, w, h).
"""

import math
import re
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from markup import Block, Page, indent_level

WIDTH, HEIGHT = 595.28, 841.89
LEFT, TOP, BOTTOM = 72.0, 70.0, 68.0
TEXT_WIDTH = WIDTH - 2 * LEFT
FONT_FOLDER = Path("/usr/share/fonts/truetype/nanum")
FONT_FILES = {False: FONT_FOLDER / "NanumMyeongjo.ttf", True: FONT_FOLDER / "NanumMyeongjoBold.ttf"}
FONT_NAMES = {False: "NanumMyeongjo", True: "NanumMyeongjoBold"}
LEADING = 1.75
_amount = re.compile(r"-?[\d,.]+%?|-")

for _bold, _file in FONT_FILES.items():
    pdfmetrics.registerFont(TTFont(FONT_NAMES[_bold], str(_file)))


def width_of(text: str, size: float, bold: bool = False) -> float:
    return pdfmetrics.stringWidth(text, FONT_NAMES[bold], size)


def check_glyphs(text: str, where: str) -> None:
    glyphs = pdfmetrics.getFont(FONT_NAMES[False]).face.charToGlyph
    missing = sorted({c for c in text if c not in "\n\t" and ord(c) not in glyphs})
    if missing:
        raise ValueError(f"{where}: no glyph for {missing}")


def wrap(text: str, size: float, width: float, bold: bool = False) -> list[str]:
    """Breaks at spaces, and inside a word only when the word alone is wider than the line."""
    lines, line = [], ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line else word
        if width_of(candidate, size, bold) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        while width_of(word, size, bold) > width:
            cut = len(word)
            while width_of(word[:cut], size, bold) > width:
                cut -= 1
            lines.append(word[:cut])
            word = word[cut:]
        line = word
    return lines + [line]


class PageFull(Exception):
    pass


class Setter:
    def __init__(self, size: float):
        self.size = size
        self.ops: list[tuple] = []
        self.y = TOP

    def lines(self, texts: list[str], x: float, size: float, bold=False, center=False, hang=0.0):
        for i, text in enumerate(texts):
            self.y += size * LEADING
            left = x + (hang if i else 0)
            if center:
                left = (WIDTH - width_of(text, size, bold)) / 2
            self.ops.append(("text", left, self.y - size * 0.45, size, bold, text))

    def block(self, b: Block):
        size = self.size
        if b.kind == "title":
            self.lines(wrap(b.text, size + 5, TEXT_WIDTH - 40, True), LEFT, size + 5, True, center=True)
            self.y += size
        elif b.kind == "heading":
            grown = size + (2 if b.level == 1 else 0.5)
            self.y += size * 0.6
            self.lines(wrap(b.text, grown, TEXT_WIDTH, True), LEFT, grown, True)
            self.y += size * 0.2
        elif b.kind == "table":
            self.table(b)
        elif b.kind == "figure":
            self.figure(b)
        else:
            self.paragraph(b)

    def paragraph(self, b: Block):
        level = indent_level(b.text) if b.kind == "paragraph" else 0
        small = b.text.startswith(("※", "* "))
        size = self.size - (1.5 if small else 0)
        x = LEFT + level * self.size
        hang = size * 1.2 if level or b.text[:1] in "□①②③④⑤⑥⑦⑧⑨⑩" else 0.0
        first = wrap(b.text, size, LEFT + TEXT_WIDTH - x - hang)
        self.lines(first, x, size, hang=hang)
        if b.kind == "paragraph":
            self.y += self.size * 0.35

    def table(self, b: Block):
        size, pad = max(9.0, self.size - 2.5), 4.0
        if b.text:
            self.lines(wrap(b.text, size, TEXT_WIDTH), LEFT, size, True)
        else:
            self.y += 4
        widths = column_widths(b, size, pad)
        edges = [LEFT + sum(widths[:i]) for i in range(b.cols + 1)]
        texts = {id(c): wrap(c.text, size, edges[c.col + c.colspan] - edges[c.col] - 2 * pad, c.header) for c in b.cells}
        leading = size * 1.4
        heights = [leading + 2 * pad] * b.rows
        for c in sorted(b.cells, key=lambda c: c.rowspan):
            need = len(texts[id(c)]) * leading + 2 * pad
            have = sum(heights[c.row:c.row + c.rowspan])
            if need > have:
                heights[c.row + c.rowspan - 1] += need - have
        self.y += 3
        tops = [self.y + sum(heights[:i]) for i in range(b.rows + 1)]
        for c in b.cells:
            x, y = edges[c.col], tops[c.row]
            w, h = edges[c.col + c.colspan] - x, tops[c.row + c.rowspan] - y
            self.ops.append(("rect", x, y, w, h, 0.88 if c.header else None))
            base = y + (h - len(texts[id(c)]) * leading) / 2
            for i, text in enumerate(texts[id(c)]):
                spare = w - 2 * pad - width_of(text, size, c.header)
                left = x + pad + spare * (0.5 if c.header else 1.0 if _amount.fullmatch(c.text) else 0.0)
                self.ops.append(("text", left, base + (i + 1) * leading - size * 0.35, size, c.header, text))
        self.y = tops[-1] + self.size * 0.5

    def figure(self, b: Block):
        self.y += 6
        self.ops.extend(figure_ops(b, LEFT + (TEXT_WIDTH - 450) / 2, self.y))
        self.y += 192
        self.lines(wrap(b.text, self.size - 2, TEXT_WIDTH), LEFT, self.size - 2, True, center=True)
        self.y += self.size * 0.5

    def notes(self, notes: list[Block]):
        if not notes:
            return
        size = self.size - 3.5
        wrapped = [wrap(n.text, size, TEXT_WIDTH - size) for n in notes]
        height = sum(len(lines) for lines in wrapped) * size * LEADING
        if self.y + height + 10 > HEIGHT - BOTTOM:
            raise PageFull
        self.y = HEIGHT - BOTTOM - height
        self.ops.append(("line", LEFT, self.y - 4, LEFT + 130, self.y - 4))
        for lines in wrapped:
            self.lines(lines, LEFT, size, hang=size)


def column_widths(b: Block, size: float, pad: float) -> list[float]:
    """Shares the line among columns by their longest text, none narrower than its longest word allows."""
    want = [30.0] * b.cols
    for c in b.cells:
        if c.colspan == 1:
            want[c.col] = max(want[c.col], min(width_of(c.text, size, c.header), 190.0) + 2 * pad + 2)
    scale = TEXT_WIDTH / sum(want)
    return [w * scale for w in want]


def figure_ops(b: Block, x0: float, y0: float) -> list[tuple]:
    ops: list[tuple] = []
    for command in b.drawing:
        kind, *words = command.split(" ")
        count = 2 if kind == "text" else 4
        n = [float(w) for w in words[:count]]
        text = " ".join(words[count:])
        if kind in ("box", "oval"):
            shape = (x0 + n[0], y0 + n[1], n[2], n[3])
            ops.append(("rect", *shape, None) if kind == "box" else ("oval", *shape))
            parts = wrap(text, 10, n[2] - 4) if text else []
            for i, part in enumerate(parts):
                left = x0 + n[0] + (n[2] - width_of(part, 10)) / 2
                ops.append(("text", left, y0 + n[1] + n[3] / 2 + 3.5 + (i - (len(parts) - 1) / 2) * 13, 10, False, part))
        elif kind == "text":
            ops.append(("text", x0 + n[0], y0 + n[1], 10, False, text))
        elif kind in ("line", "arrow"):
            ops.append(("line", x0 + n[0], y0 + n[1], x0 + n[2], y0 + n[3]))
            if kind == "arrow":
                back = math.atan2(n[1] - n[3], n[0] - n[2])
                for turn in (-0.45, 0.45):
                    ops.append(("line", x0 + n[2], y0 + n[3],
                                x0 + n[2] + 7 * math.cos(back + turn), y0 + n[3] + 7 * math.sin(back + turn)))
        else:
            raise ValueError(f"unknown drawing command: {command}")
    return ops


def set_page(page: Page, size: float, number: int | None) -> list[tuple]:
    """The operations of one page; raises PageFull when its blocks do not fit."""
    setter = Setter(size)
    for block in page:
        if block.kind != "note":
            setter.block(block)
    if setter.y > HEIGHT - BOTTOM:
        raise PageFull
    setter.notes([b for b in page if b.kind == "note"])
    if number is not None:
        foot = f"- {number} -"
        setter.ops.append(("text", (WIDTH - width_of(foot, 9.5)) / 2, HEIGHT - 34, 9.5, False, foot))
    return setter.ops


def fill(size: float, page: Page) -> bool:
    try:
        set_page(page, size, None)
        return True
    except PageFull:
        return False
