"""The markup of text/*.md and its parser.

One line is one block:

    = 제목                  title of the document
    # 제1장 총칙            heading; ## is one level deeper
    ~ 수신  기획조정실장     line of an official form (두문, 결문, 결재란)
    표: 표 1. 노선별 운임    caption of the table that follows
    |! 구분 | 기준 |        table row; ! marks a header row
    | ^ | < |               ^ joins the cell above, < joins the cell to the left
    {그림 1. 전면 구성      a figure with its caption; drawing commands follow, } ends it
    > 1 이 금액은 …         footnote 1 of this page; its mark in the text is [1]
    ===                     page break (a new sheet in a workbook)
    [[2-3]] 제5조(지원) …    this line only in versions 2 to 3 of the document

Every other line is a paragraph. Drawing commands work in a box of 450 by 190 units, origin top left:
    box X Y W H text | oval X Y W H text | line X1 Y1 X2 Y2 | arrow X1 Y1 X2 Y2 | text X Y text
"""

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Cell:
    text: str
    row: int
    col: int
    rowspan: int = 1
    colspan: int = 1
    header: bool = False


@dataclass
class Block:
    kind: str  # title, heading, paragraph, form, table, figure, note
    text: str = ""
    level: int = 0
    cells: list[Cell] = field(default_factory=list)
    rows: int = 0
    cols: int = 0
    drawing: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What a reader sees, line by line."""
        if self.kind == "table":
            grid = [[c.text for c in self.cells if c.row == r] for r in range(self.rows)]
            return ([self.text] if self.text else []) + ["\t".join(row) for row in grid]
        if self.kind == "figure":
            return [label(c) for c in self.drawing if label(c)] + [self.text]
        return [self.text]


Page = list[Block]


def label(command: str) -> str:
    words = command.split(" ")
    return " ".join(words[{"box": 5, "oval": 5, "text": 3}.get(words[0], len(words)):])


def page_text(page: Page) -> str:
    return "\n".join(line for block in page for line in block.lines())


_version = re.compile(r"^\[\[(\d)(?:-(\d))?\]\] ?")
_note_mark = re.compile(r"\[(\d+)\]")


def source_lines(path: Path, version: int | None = None):
    """The lines of one version; without a version, all lines with the mark taken off."""
    for line in path.read_text(encoding="utf-8").splitlines():
        mark = _version.match(line)
        if mark:
            first, last = int(mark[1]), int(mark[2] or mark[1])
            if version is not None and not first <= version <= last:
                continue
            line = line[mark.end():]
        yield line


def parse(path: Path, version: int | None = None) -> list[Page]:
    pages: list[Page] = [[]]
    rows: list[tuple[bool, list[str]]] = []
    caption = ""
    figure: Block | None = None

    def end_table():
        nonlocal caption
        if rows:
            pages[-1].append(_table(caption, rows, path))
            rows.clear()
            caption = ""

    for line in source_lines(path, version):
        if figure is not None:
            if line == "}":
                pages[-1].append(figure)
                figure = None
            else:
                figure.drawing.append(line)
            continue
        if line.startswith("|"):
            header = line.startswith("|!")
            cells = [c.strip() for c in line[2 if header else 1:].rstrip().rstrip("|").split("|")]
            rows.append((header, cells))
            continue
        end_table()
        if not line.strip():
            continue
        text = _note_mark.sub(r"\1)", line)
        if line == "===":
            pages.append([])
        elif line.startswith("표: "):
            caption = text[3:]
        elif line.startswith("{"):
            figure = Block("figure", text[1:].strip())
        elif line.startswith("= "):
            pages[-1].append(Block("title", text[2:]))
        elif line.startswith("## "):
            pages[-1].append(Block("heading", text[3:], level=2))
        elif line.startswith("# "):
            pages[-1].append(Block("heading", text[2:], level=1))
        elif line.startswith("~"):
            pages[-1].append(Block("form", text[1:].strip()))
        elif line.startswith("> "):
            number, _, rest = line[2:].partition(" ")
            pages[-1].append(Block("note", f"{number}) {rest}"))
        else:
            pages[-1].append(Block("paragraph", text))
    end_table()
    return pages


def _table(caption: str, rows: list[tuple[bool, list[str]]], path: Path) -> Block:
    width = len(rows[0][1])
    grid: list[list[Cell]] = []
    for r, (header, texts) in enumerate(rows):
        if len(texts) != width:
            raise ValueError(f"{path.name}: row of {len(texts)} cells in a table of {width}: {texts}")
        line: list[Cell] = []
        for c, text in enumerate(texts):
            if text == "<" and c:
                line.append(line[-1])
            elif text == "^" and r:
                line.append(grid[-1][c])
            else:
                line.append(Cell(text, r, c, header=header))
        grid.append(line)
    cells = {id(cell): cell for line in grid for cell in line}
    for cell in cells.values():
        cell.rowspan = 1 + max(r for r, line in enumerate(grid) if any(c is cell for c in line)) - cell.row
        cell.colspan = sum(c is cell for c in grid[cell.row])
    return Block("table", caption, cells=list(cells.values()), rows=len(grid), cols=width)


def indent_level(text: str) -> int:
    """How deep an item of a regulation or of a 개조식 report stands: 0 to 4."""
    for level, pattern in (
        (0, r"[①-⑳□]|제\d+조"),
        (1, r"\d{1,2}\. |[○◦]"),
        (2, r"[가-하]\. |- "),
        (3, r"\d{1,2}\) |· "),
        (2, r"※|\* "),
    ):
        if re.match(pattern, text):
            return level
    return 0
