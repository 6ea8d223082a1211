"""HWPX: a complete OWPML package (KS X 6101) with headings, tables, footnotes and page breaks."""

import re
from pathlib import Path
from xml.sax.saxutils import escape

from archive_zip import write_zip
from markup import Block, Page, indent_level, page_text

_ns = " ".join(
    f'xmlns:{prefix}="http://www.hancom.co.kr/hwpml/{rest}"'
    for prefix, rest in (
        ("ha", "2011/app"), ("hp", "2011/paragraph"), ("hp10", "2016/paragraph"), ("hs", "2011/section"),
        ("hc", "2011/core"), ("hh", "2011/head"), ("hm", "2011/master-page"),
    )
)
_xml = '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>'
_langs = ("HANGUL", "LATIN", "HANJA", "JAPANESE", "OTHER", "SYMBOL", "USER")
_lower = tuple(lang.lower() for lang in _langs)

# Character shapes by id: height in hundredths of a point, bold.
_chars = [(1400, False), (1900, True), (1600, True), (1450, True), (1150, False), (1150, True), (1050, False)]
# Paragraph shapes by id: alignment, outline level or None, left margin and indent in HWPUNIT.
_paras = [("JUSTIFY", None, 0, 0), ("CENTER", None, 0, 0), ("LEFT", 0, 0, 0), ("LEFT", 1, 0, 0),
          ("JUSTIFY", None, 1400, -1400), ("JUSTIFY", None, 2800, -1400), ("JUSTIFY", None, 4200, -1400),
          ("JUSTIFY", None, 5600, -1400), ("LEFT", None, 0, 0)]
# Styles by id: Korean name, English name, paragraph shape, character shape.
_styles = [("바탕글", "Normal", 0, 0), ("제목", "Title", 1, 1), ("개요 1", "Outline 1", 2, 2),
           ("개요 2", "Outline 2", 3, 3), ("각주", "Footnote", 8, 6)]
_text_width = 45928  # A4 less the margins, in HWPUNIT (1/7200 inch)


def _each(tag: str, value: str) -> str:
    return f"<hh:{tag} " + " ".join(f'{k}="{value}"' for k in _lower) + "/>"


def _header() -> str:
    fonts = "".join(
        f'<hh:fontface lang="{lang}" fontCnt="1"><hh:font id="0" face="함초롬바탕" type="TTF" isEmbedded="0"/></hh:fontface>'
        for lang in _langs)
    borders = ""
    for number, (line, fill) in enumerate((("NONE", None), ("SOLID", None), ("SOLID", "#E5E5E5")), 1):
        sides = "".join(f'<hh:{side}Border type="{line}" width="0.12 mm" color="#000000"/>'
                        for side in ("left", "right", "top", "bottom"))
        brush = f'<hc:fillBrush><hc:winBrush faceColor="{fill}" hatchColor="#999999" alpha="0"/></hc:fillBrush>' if fill else ""
        borders += (f'<hh:borderFill id="{number}" threeD="0" shadow="0" centerLine="NONE" breakCellSeparateLine="0">'
                    '<hh:slash type="NONE" Crooked="0" isCounter="0"/><hh:backSlash type="NONE" Crooked="0" isCounter="0"/>'
                    f'{sides}<hh:diagonal type="SOLID" width="0.1 mm" color="#000000"/>{brush}</hh:borderFill>')
    chars = "".join(
        f'<hh:charPr id="{i}" height="{height}" textColor="#000000" shadeColor="none" useFontSpace="0" useKerning="0" '
        f'symMark="NONE" borderFillIDRef="1">{_each("fontRef", "0")}{_each("ratio", "100")}{_each("spacing", "0")}'
        f'{_each("relSz", "100")}{_each("offset", "0")}{"<hh:bold/>" if bold else ""}'
        '<hh:underline type="NONE" shape="SOLID" color="#000000"/><hh:strikeout shape="NONE" color="#000000"/>'
        '<hh:outline type="NONE"/><hh:shadow type="NONE" color="#C0C0C0" offsetX="10" offsetY="10"/></hh:charPr>'
        for i, (height, bold) in enumerate(_chars))
    heads = "".join(
        f'<hh:paraHead start="1" level="{n}" align="LEFT" useInstWidth="1" autoIndent="1" widthAdjust="0" '
        f'textOffsetType="PERCENT" textOffset="50" numFormat="DIGIT" charPrIDRef="4294967295" checkable="0"></hh:paraHead>'
        for n in range(1, 8))
    paras = "".join(
        f'<hh:paraPr id="{i}" tabPrIDRef="0" condense="0" fontLineHeight="0" snapToGrid="1" suppressLineNumbers="0" checked="0">'
        f'<hh:align horizontal="{align}" vertical="BASELINE"/>'
        f'<hh:heading type="{"NONE" if outline is None else "OUTLINE"}" idRef="0" level="{outline or 0}"/>'
        '<hh:breakSetting breakLatinWord="KEEP_WORD" breakNonLatinWord="KEEP_WORD" widowOrphan="0" keepWithNext="0" '
        'keepLines="0" pageBreakBefore="0" lineWrap="BREAK"/><hh:autoSpacing eAsianEng="0" eAsianNum="0"/>'
        f'<hh:margin><hc:intent value="{indent}" unit="HWPUNIT"/><hc:left value="{left}" unit="HWPUNIT"/>'
        '<hc:right value="0" unit="HWPUNIT"/><hc:prev value="0" unit="HWPUNIT"/><hc:next value="300" unit="HWPUNIT"/></hh:margin>'
        '<hh:lineSpacing type="PERCENT" value="160" unit="HWPUNIT"/>'
        '<hh:border borderFillIDRef="1" offsetLeft="0" offsetRight="0" offsetTop="0" offsetBottom="0" connect="0" ignoreMargin="0"/>'
        '</hh:paraPr>' for i, (align, outline, left, indent) in enumerate(_paras))
    styles = "".join(
        f'<hh:style id="{i}" type="PARA" name="{name}" engName="{english}" paraPrIDRef="{para}" charPrIDRef="{char}" '
        f'nextStyleIDRef="0" langID="1042" lockForm="0"/>' for i, (name, english, para, char) in enumerate(_styles))
    return (f'{_xml}<hh:head {_ns} version="1.5" secCnt="1">'
            '<hh:beginNum page="1" footnote="1" endnote="1" pic="1" tbl="1" equation="1"/><hh:refList>'
            f'<hh:fontfaces itemCnt="7">{fonts}</hh:fontfaces><hh:borderFills itemCnt="3">{borders}</hh:borderFills>'
            f'<hh:charProperties itemCnt="{len(_chars)}">{chars}</hh:charProperties>'
            '<hh:tabProperties itemCnt="1"><hh:tabPr id="0" autoTabLeft="0" autoTabRight="0"/></hh:tabProperties>'
            f'<hh:numberings itemCnt="1"><hh:numbering id="1" start="0">{heads}</hh:numbering></hh:numberings>'
            f'<hh:paraProperties itemCnt="{len(_paras)}">{paras}</hh:paraProperties>'
            f'<hh:styles itemCnt="{len(_styles)}">{styles}</hh:styles></hh:refList>'
            '<hh:compatibleDocument targetProgram="HWP201X"><hh:layoutCompatibility/></hh:compatibleDocument>'
            '<hh:docOption><hh:linkinfo path="" pageInherit="0" footnoteInherit="0"/></hh:docOption>'
            '<hh:trackchageConfig flags="56"/></hh:head>')


def _note_pr(tag: str, length: str, place: str) -> str:
    return (f'<hp:{tag}><hp:autoNumFormat type="DIGIT" userChar="" prefixChar="" suffixChar=")" supscript="0"/>'
            f'<hp:noteLine length="{length}" type="SOLID" width="0.12 mm" color="#000000"/>'
            '<hp:noteSpacing betweenNotes="283" belowLine="567" aboveLine="850"/>'
            f'<hp:numbering type="CONTINUOUS" newNum="1"/><hp:placement place="{place}" beneathText="0"/></hp:{tag}>')


def _section_properties() -> str:
    borders = "".join(
        f'<hp:pageBorderFill type="{kind}" borderFillIDRef="1" textBorder="PAPER" headerInside="0" footerInside="0" fillArea="PAPER">'
        '<hp:offset left="1417" right="1417" top="1417" bottom="1417"/></hp:pageBorderFill>' for kind in ("BOTH", "EVEN", "ODD"))
    return ('<hp:secPr id="" textDirection="HORIZONTAL" spaceColumns="1134" tabStop="8000" tabStopVal="4000" tabStopUnit="HWPUNIT" '
            'outlineShapeIDRef="1" memoShapeIDRef="0" textVerticalWidthHead="0" masterPageCnt="0">'
            '<hp:grid lineGrid="0" charGrid="0" wonggojiFormat="0"/><hp:startNum pageStartsOn="BOTH" page="0" pic="0" tbl="0" equation="0"/>'
            '<hp:visibility hideFirstHeader="0" hideFirstFooter="0" hideFirstMasterPage="0" border="SHOW_ALL" fill="SHOW_ALL" '
            'hideFirstPageNum="0" hideFirstEmptyLine="0" showLineNumber="0"/>'
            '<hp:lineNumberShape restartType="0" countBy="0" distance="0" startNumber="0"/>'
            '<hp:pagePr landscape="WIDELY" width="59528" height="84186" gutterType="LEFT_ONLY">'
            '<hp:margin header="2834" footer="2834" gutter="0" left="6800" right="6800" top="4252" bottom="4252"/></hp:pagePr>'
            + _note_pr("footNotePr", "-1", "EACH_COLUMN") + _note_pr("endNotePr", "14692344", "END_OF_DOCUMENT") + borders
            + '</hp:secPr><hp:ctrl><hp:colPr id="" type="NEWSPAPER" layout="LEFT" colCount="1" sameSz="1" sameGap="0"/></hp:ctrl>'
            '<hp:ctrl><hp:pageNum pos="BOTTOM_CENTER" formatType="DIGIT" sideChar="-"/></hp:ctrl>')


class _Section:
    def __init__(self, notes: dict[str, str]):
        self.notes = notes  # footnotes of the page in hand, by number
        self.ids = 0

    def next_id(self) -> int:
        self.ids += 1
        return 1000000000 + self.ids

    def paragraph(self, runs: str, para=0, style=0, page_break=False) -> str:
        return (f'<hp:p id="{self.next_id()}" paraPrIDRef="{para}" styleIDRef="{style}" pageBreak="{int(page_break)}" '
                f'columnBreak="0" merged="0">{runs}</hp:p>')

    def run(self, text: str, char=0) -> str:
        """A run of text in which each footnote mark ("1)" of a note on this page) becomes its note."""
        for number, note in self.notes.items():
            mark = re.search(rf"(?<=[가-힣]){number}\)", text)
            if mark:
                before, after = text[:mark.start()], text[mark.end():]
                return self.run(before, char) + self.note(number, note) + (self.run(after, char) if after else "")
        return f'<hp:run charPrIDRef="{char}"><hp:t>{escape(text)}</hp:t></hp:run>'

    def sub_list(self, paragraphs: str, align="TOP") -> str:
        return (f'<hp:subList id="" textDirection="HORIZONTAL" lineWrap="BREAK" vertAlign="{align}" linkListIDRef="0" '
                f'linkListNextIDRef="0" textWidth="0" textHeight="0" hasTextRef="0" hasNumRef="0">{paragraphs}</hp:subList>')

    def note(self, number: str, text: str) -> str:
        auto = (f'<hp:run charPrIDRef="6"><hp:ctrl><hp:autoNum num="{number}" numType="FOOTNOTE"><hp:autoNumFormat type="DIGIT" '
                f'userChar="" prefixChar="" suffixChar=")" supscript="0"/></hp:autoNum></hp:ctrl><hp:t> {escape(text)}</hp:t></hp:run>')
        body = self.sub_list(self.paragraph(auto, 8, 4))
        return (f'<hp:run charPrIDRef="0"><hp:ctrl><hp:footNote number="{number}" suffixChar="41" instId="{self.next_id()}">'
                f'{body}</hp:footNote></hp:ctrl></hp:run>')

    def table(self, b: Block) -> str:
        width = _text_width // b.cols
        cells = {r: "" for r in range(b.rows)}
        for c in b.cells:
            text = self.paragraph(self.run(c.text, 5 if c.header else 4), 8)
            cells[c.row] += (
                f'<hp:tc name="" header="{int(c.header)}" hasMargin="0" protect="0" editable="0" dirty="0" '
                f'borderFillIDRef="{3 if c.header else 2}">{self.sub_list(text, "CENTER")}'
                f'<hp:cellAddr colAddr="{c.col}" rowAddr="{c.row}"/><hp:cellSpan colSpan="{c.colspan}" rowSpan="{c.rowspan}"/>'
                f'<hp:cellSz width="{width * c.colspan}" height="{2000 * c.rowspan}"/>'
                '<hp:cellMargin left="510" right="510" top="141" bottom="141"/></hp:tc>')
        rows = "".join(f"<hp:tr>{cells[r]}</hp:tr>" for r in range(b.rows))
        caption = ""
        if b.text:
            body = self.sub_list(self.paragraph(self.run(b.text, 5), 8))
            caption = f'<hp:caption side="TOP" fullSz="0" width="8504" gap="850" lastWidth="{_text_width}">{body}</hp:caption>'
        return (f'<hp:run charPrIDRef="0"><hp:tbl id="{self.next_id()}" zOrder="0" numberingType="TABLE" textWrap="TOP_AND_BOTTOM" '
                'textFlow="BOTH_SIDES" lock="0" dropcapstyle="None" pageBreak="CELL" repeatHeader="1" '
                f'rowCnt="{b.rows}" colCnt="{b.cols}" cellSpacing="0" borderFillIDRef="2" noAdjust="0">'
                f'<hp:sz width="{width * b.cols}" widthRelTo="ABSOLUTE" height="{2000 * b.rows}" heightRelTo="ABSOLUTE" protect="0"/>'
                '<hp:pos treatAsChar="1" affectLSpacing="0" flowWithText="1" allowOverlap="0" holdAnchorAndSO="0" vertRelTo="PARA" '
                'horzRelTo="COLUMN" vertAlign="TOP" horzAlign="LEFT" vertOffset="0" horzOffset="0"/>'
                '<hp:outMargin left="283" right="283" top="283" bottom="283"/>'
                f'{caption}<hp:inMargin left="510" right="510" top="141" bottom="141"/>{rows}</hp:tbl></hp:run>')

    def block(self, b: Block, page_break: bool, first: str) -> str:
        para, style, char = 0, 0, 0
        if b.kind == "title":
            para, style, char = 1, 1, 1
        elif b.kind == "heading":
            para, style, char = 1 + b.level, 1 + b.level, 1 + b.level
        elif b.kind == "paragraph" and indent_level(b.text):
            para = 3 + indent_level(b.text)
        elif b.kind == "form":
            para = 8
        elif b.kind == "figure":
            raise ValueError("figures are not written to HWPX")
        runs = self.table(b) if b.kind == "table" else self.run(b.text, char)
        return self.paragraph(first + runs, para, style, page_break)


def _section(pages: list[Page]) -> str:
    out, first = "", f'<hp:run charPrIDRef="0">{_section_properties()}</hp:run>'
    section = _Section({})
    for number, page in enumerate(pages):
        section.notes = dict(b.text.split(") ", 1) for b in page if b.kind == "note")
        fresh = number > 0
        for b in page:
            if b.kind != "note":
                out += section.block(b, fresh, first)
                fresh, first = False, ""
    return f"{_xml}<hs:sec {_ns}>{out}</hs:sec>"


def _rdf() -> str:
    """Which part is the header and which a section, for readers that go by RDF."""
    package_ns = "http://www.hancom.co.kr/hwpml/2016/meta/pkg#"
    described = "".join(
        f'<rdf:Description rdf:about=""><ns0:hasPart xmlns:ns0="{package_ns}" rdf:resource="{part}"/></rdf:Description>'
        f'<rdf:Description rdf:about="{part}"><rdf:type rdf:resource="{package_ns}{kind}"/></rdf:Description>'
        for part, kind in (("Contents/header.xml", "HeaderFile"), ("Contents/section0.xml", "SectionFile")))
    return (f'{_xml}<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{described}'
            f'<rdf:Description rdf:about=""><rdf:type rdf:resource="{package_ns}Document"/></rdf:Description></rdf:RDF>')


def package(title: str, pages: list[Page]) -> list[tuple[str, bytes]]:
    preview = "\n".join(page_text(p) for p in pages).replace("\t", " ")[:1000]
    parts = ("Contents/header.xml", "Contents/section0.xml", "settings.xml")
    items = "".join(f'<opf:item id="{Path(p).stem}" href="{p}" media-type="application/xml"/>' for p in parts)
    texts = {
        "mimetype": "application/hwp+zip",
        "version.xml": f'{_xml}<hv:HCFVersion xmlns:hv="http://www.hancom.co.kr/hwpml/2011/version" tagetApplication="WORDPROCESSOR" '
                       'major="5" minor="1" micro="1" buildNumber="0" os="10" xmlVersion="1.5" application="Jiphyeon samples" appVersion="1.0"/>',
        "META-INF/container.xml": f'{_xml}<ocf:container xmlns:ocf="urn:oasis:names:tc:opendocument:xmlns:container" '
                                  'xmlns:hpf="http://www.hancom.co.kr/schema/2011/hpf"><ocf:rootfiles>'
                                  '<ocf:rootfile full-path="Contents/content.hpf" media-type="application/hwpml-package+xml"/>'
                                  '<ocf:rootfile full-path="Preview/PrvText.txt" media-type="text/plain"/>'
                                  '<ocf:rootfile full-path="META-INF/container.rdf" media-type="application/rdf+xml"/>'
                                  '</ocf:rootfiles></ocf:container>',
        "META-INF/container.rdf": _rdf(),
        "META-INF/manifest.xml": f'{_xml}<odf:manifest xmlns:odf="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        "Contents/content.hpf": f'{_xml}<opf:package {_ns} xmlns:opf="http://www.idpf.org/2007/opf/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
                                f'version="" unique-identifier="" id=""><opf:metadata><opf:title>{escape(title)}</opf:title>'
                                '<opf:language>ko</opf:language><opf:meta name="creator" content="text">도서연안부</opf:meta></opf:metadata>'
                                f'<opf:manifest>{items}</opf:manifest><opf:spine><opf:itemref idref="header" linear="yes"/>'
                                '<opf:itemref idref="section0" linear="yes"/></opf:spine></opf:package>',
        "Contents/header.xml": _header(),
        "Contents/section0.xml": _section(pages),
        "settings.xml": f'{_xml}<ha:HWPApplicationSetting {_ns}><ha:CaretPosition listIDRef="0" paraIDRef="0" pos="0"/></ha:HWPApplicationSetting>',
        "Preview/PrvText.txt": preview,
    }
    return [(name, text.encode("utf-8")) for name, text in texts.items()]


def write_hwpx(target, title: str, pages: list[Page]) -> None:
    write_zip(target, package(title, pages), stored={"mimetype", "version.xml"})


def write_locked_hwpx(target, title: str, pages: list[Page]) -> None:
    """A package whose manifest declares its section encrypted, as the word processor does for a password."""
    entry = ('<odf:file-entry full-path="Contents/section0.xml" media-type="application/xml" size="4096"><odf:encryption-data '
             'checksum-type="SHA256" checksum="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="><odf:algorithm algorithm-name='
             '"http://www.w3.org/2001/04/xmlenc#aes256-cbc" initialisation-vector="AAAAAAAAAAAAAAAAAAAAAA=="/><odf:key-derivation '
             'key-derivation-name="PBKDF2" key-size="32" iteration-count="1024" salt="AAAAAAAAAAAAAAAAAAAAAA=="/>'
             '</odf:encryption-data></odf:file-entry>')
    manifest = f'{_xml}<odf:manifest xmlns:odf="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">{entry}</odf:manifest>'
    unreadable = bytes((i * 131 + i // 7) % 256 for i in range(4096))
    replaced = {"META-INF/manifest.xml": manifest.encode(), "Contents/section0.xml": unreadable, "Preview/PrvText.txt": b""}
    write_zip(target, [(n, replaced.get(n, d)) for n, d in package(title, pages)], stored={"mimetype", "version.xml"})
