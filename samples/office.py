"""DOCX, XLSX and ODT, with true headings, merged cells and page breaks."""

import datetime
import tempfile
from pathlib import Path

import docx
from docx.enum.text import WD_BREAK
from docx.oxml.ns import qn
from docx.shared import Cm, Pt
from odf import style as odf_style
from odf import table as odf_table
from odf import text as odf_text
from odf.opendocument import OpenDocumentText
from openpyxl import Workbook
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

import scan
from archive_zip import settle
from markup import Block, Page

_made = datetime.datetime(2026, 1, 2, 9, 0, 0)


def write_docx(target: Path, title: str, pages: list[Page]) -> None:
    document = docx.Document()
    document.core_properties.title = title
    document.core_properties.author = "도서연안부"
    document.core_properties.created = document.core_properties.modified = _made
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "바탕", Pt(14)
    normal.element.rPr.rFonts.set(qn("w:eastAsia"), "바탕")
    for number, page in enumerate(pages):
        fresh = number > 0
        for b in page:
            if fresh:
                document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
                fresh = False
            _docx_block(document, b)
    document.save(str(target))
    settle(target)


def _docx_block(document, b: Block) -> None:
    if b.kind == "title":
        document.add_paragraph(b.text, style="Title")
    elif b.kind == "heading":
        document.add_heading(b.text, level=b.level)
    elif b.kind == "table":
        if b.text:
            document.add_paragraph(b.text, style="Caption")
        grid = document.add_table(rows=b.rows, cols=b.cols, style="Table Grid")
        for c in b.cells:
            cell = grid.cell(c.row, c.col)
            if c.rowspan > 1 or c.colspan > 1:
                cell = cell.merge(grid.cell(c.row + c.rowspan - 1, c.col + c.colspan - 1))
            cell.text = c.text
    elif b.kind == "figure":
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / "figure.png"
            scan.figure_png(b, picture)
            document.add_picture(str(picture), width=Cm(15.5))
        document.add_paragraph(b.text, style="Caption")
    else:
        document.add_paragraph(b.text)


def write_xlsx(target: Path, title: str, pages: list[Page]) -> None:
    """One sheet a page; its first heading names the sheet."""
    book = Workbook()
    book.remove(book.active)
    book.properties.title, book.properties.creator, book.properties.created = title, "도서연안부", _made
    for number, page in enumerate(pages, 1):
        name = next((b.text for b in page if b.kind == "heading"), f"시트{number}")
        _sheet(book.create_sheet(name[:31]), page)
    book.save(str(target))
    settle(target)


def _sheet(sheet, page: Page) -> None:
    edge = Side(style="thin")
    row = 1
    for b in page:
        if b.kind != "table":
            sheet.cell(row, 1, b.text).font = Font(bold=b.kind in ("title", "heading"))
            row += 1
            continue
        if b.text:
            sheet.cell(row, 1, b.text)
            row += 1
        for c in b.cells:
            cell = sheet.cell(row + c.row, c.col + 1, _number(c.text))
            cell.border = Border(edge, edge, edge, edge)
            cell.alignment = Alignment(wrap_text=True, vertical="center")
            if isinstance(cell.value, int):
                cell.number_format = "#,##0"
            if c.header:
                cell.fill, cell.font = PatternFill("solid", fgColor="E5E5E5"), Font(bold=True)
            if c.rowspan > 1 or c.colspan > 1:
                sheet.merge_cells(start_row=row + c.row, start_column=c.col + 1,
                                  end_row=row + c.row + c.rowspan - 1, end_column=c.col + c.colspan)
        row += b.rows + 1
    for letter in "ABCDEFGH":
        sheet.column_dimensions[letter].width = 20


def _number(text: str) -> int | str:
    """Amounts written with thousands commas become numbers, as in a real workbook; codes and dates stay text."""
    plain = text.replace(",", "")
    grouped = "," in text and plain.isdigit() and f"{int(plain):,}" == text
    return int(plain) if grouped else text


def write_odt(target: Path, title: str, pages: list[Page]) -> None:
    document = OpenDocumentText()
    bold = odf_style.Style(name="Strong", family="text")
    bold.addElement(odf_style.TextProperties(fontweight="bold"))
    document.automaticstyles.addElement(bold)
    fresh_style = odf_style.Style(name="NewPage", family="paragraph")
    fresh_style.addElement(odf_style.ParagraphProperties(breakbefore="page"))
    document.automaticstyles.addElement(fresh_style)
    for number, page in enumerate(pages):
        if number:
            document.text.addElement(odf_text.P(stylename=fresh_style))
        for b in page:
            _odt_block(document.text, b, bold)
    document.save(str(target))
    settle(target, first="mimetype")


def _odt_block(body, b: Block, bold) -> None:
    if b.kind in ("title", "heading"):
        body.addElement(odf_text.H(outlinelevel=max(1, b.level + (b.kind == "heading")), text=b.text))
    elif b.kind == "table":
        if b.text:
            body.addElement(odf_text.P(text=b.text))
        grid = odf_table.Table(name=f"표{len(body.childNodes)}")
        grid.addElement(odf_table.TableColumn(numbercolumnsrepeated=b.cols))
        at = {(c.row, c.col): c for c in b.cells}
        for r in range(b.rows):
            line = odf_table.TableRow()
            for col in range(b.cols):
                c = at.get((r, col))
                if c is None:
                    line.addElement(odf_table.CoveredTableCell())
                    continue
                cell = odf_table.TableCell(numberrowsspanned=c.rowspan, numbercolumnsspanned=c.colspan)
                text = odf_text.P()
                text.addElement(odf_text.Span(stylename=bold, text=c.text) if c.header else odf_text.Span(text=c.text))
                cell.addElement(text)
                line.addElement(cell)
            grid.addElement(line)
        body.addElement(grid)
    elif b.kind == "figure":
        raise ValueError("figures are not written to ODT")
    else:
        body.addElement(odf_text.P(text=b.text))
