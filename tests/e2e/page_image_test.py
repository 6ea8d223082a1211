"""Page images of documents with personal data: what is hidden in the text cannot be read off the image either.

Method: a PDF of the samples whose pages show identifiers, and scans of it (a PDF of pictures, a photograph's JPEG),
go through ingestion; the images that the HTTPS server shows are read by Tesseract and searched for the identifiers.
The control is the original page at the same size, off which the same reading gets identifiers.
Run with the Python of the samples (Pillow).
"""
import json
import os
import re
import subprocess
import sys
import unittest
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parent))
from appliance import ROOT, SAMPLES, Appliance  # noqa: E402

SOURCE = "public/교육/외국인선원_안전교육_이수현황.pdf"
SCAN_DPI = 200
SHOWN_DPI = 110  # at which the product renders a page
WORDS_KEPT = 0.8  # of the words that are read off lines without an identifier
WINDOW = 6  # that many characters in a row of an identifier count as read


def identifiers():
    lines = (ROOT / "samples" / "identifiers.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[1] for line in lines if line and not line.startswith("#")]


def bare(text):
    return re.sub("[^0-9a-z]", "", text.lower())


def windows(text):
    text = bare(text)
    return {text[i:i + WINDOW] for i in range(len(text) - WINDOW + 1)}


def page_of_pdf(path, page, dpi):
    done = subprocess.run(["pdftoppm", "-png", "-r", str(dpi), "-f", str(page), "-l", str(page), str(path)],
                          capture_output=True, check=True)
    return Image.open(BytesIO(done.stdout)).convert("L")


def without_paint(image):
    """Black areas, which confuse the reading, made white; strokes of letters are thinner than that."""
    black = image.convert("L").point(lambda v: 255 if v == 0 else 0)
    areas = black.filter(ImageFilter.MinFilter(9)).filter(ImageFilter.MaxFilter(11))
    out = image.convert("L")
    out.paste(255, mask=areas)
    return out


def read_off(image):
    """The lines that Tesseract reads, as a page of text and as scattered words, at a size that suits it."""
    image = image.convert("L").resize((image.width * 2, image.height * 2), Image.Resampling.LANCZOS)
    png = BytesIO()
    image.save(png, "PNG")
    lines = []
    for layout in ("3", "11"):
        done = subprocess.run(["tesseract", "-", "-", "-l", "Hangul", "--psm", layout], input=png.getvalue(),
                              capture_output=True, check=True, env={**os.environ, "OMP_THREAD_LIMIT": "1"})
        lines += done.stdout.decode().splitlines()
    return lines


class PageImages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.truth = {row["page"]: row["text"] for row in
                     map(json.loads, (SAMPLES / "truth.jsonl").read_text(encoding="utf-8").splitlines())
                     if row["document"] == SOURCE}
        cls.a = Appliance(llm=None)
        cls.addClassCleanup(cls.a.close)
        cls.a.add_user("reader", "--role", "user")
        folder = cls.folder = cls.a.place / "archive"
        folder.mkdir()
        (folder / "원본.pdf").write_bytes((SAMPLES / SOURCE).read_bytes())
        scans = [page_of_pdf(SAMPLES / SOURCE, page, SCAN_DPI) for page in sorted(cls.truth)]
        scans[0].save(folder / "스캔.pdf", save_all=True, append_images=scans[1:], resolution=SCAN_DPI)
        scans[0].save(folder / "사진.jpg", quality=85, dpi=(SCAN_DPI, SCAN_DPI))
        report = cls.a.run("ingest", folder, "--label", "public")
        assert report["indexed"] == 3, report["files"]
        cls.a.start()
        cls.a.change_password("reader", "김서기-암호-2026-가나")
        cls.client = cls.a.client()
        cls.client.login("reader", cls.a.passwords["reader"])
        answer, data = cls.client.request("GET", "/api/documents")
        assert answer.status == 200, data
        cls.documents = {row["source_id"]: row for row in json.loads(data)["documents"]}

    def shown(self, name, page):
        answer, data = self.client.request("GET", f"/api/documents/{self.documents[name]['id']}/pages/{page}.png")
        self.assertEqual(answer.status, 200, data[:500])
        return Image.open(BytesIO(data)).convert("L")

    def original(self, name, page, size):
        """The page as it would be shown if nothing were hidden."""
        file = self.folder / name
        image = page_of_pdf(file, page, SHOWN_DPI) if file.suffix == ".pdf" else Image.open(file).convert("L")
        return image.resize(size, Image.Resampling.LANCZOS)

    def check(self, name, pages):
        controls = 0
        for page in pages:
            with self.subTest(name, page=page):
                controls += self.check_page(name, page)
        self.assertGreater(controls, 0, "the control: no identifier is read off the original pages")

    def check_page(self, name, page):
        """How many identifiers are read off the original."""
        lines = self.truth[page].splitlines()
        here = [i for i in identifiers() if i in self.truth[page]]
        self.assertTrue(here)
        others = [line for line in lines if not any(i in line for i in here)]
        harmless = set().union(*map(windows, others))

        image = self.shown(name, page)
        painted_lines = read_off(image) + read_off(without_paint(image))
        original_lines = read_off(self.original(name, page, image.size))
        readable = [i for i in here if any(bare(i) in bare(line) for line in original_lines)]
        for identifier in here:
            for line in painted_lines:
                self.assertEqual((windows(identifier) & windows(line)) - harmless, set(), f"{identifier} in: {line}")

        # A whole line is painted over where a part of it is hidden.
        words = set(re.findall("[가-힣]{2,}", "\n".join(others)))
        of_original = words & set(re.findall("[가-힣]{2,}", "\n".join(original_lines)))
        of_painted = of_original & set(re.findall("[가-힣]{2,}", "\n".join(painted_lines)))
        print(f"{name}, page {page}: {len(here)} identifiers, {len(readable)} read off the original, none off the image "
              f"shown; {len(of_original)} other words read off the original, {len(of_painted)} of them off the image",
              flush=True)
        self.assertGreaterEqual(len(of_painted), WORDS_KEPT * len(of_original), sorted(of_original - of_painted))
        return len(readable)

    def test_of_a_pdf_are_painted_over(self):
        self.check("원본.pdf", sorted(self.truth))

    def test_of_a_scanned_pdf_are_painted_over(self):
        self.check("스캔.pdf", sorted(self.truth))

    def test_of_a_picture_are_painted_over(self):
        self.check("사진.jpg", [1])


if __name__ == "__main__":
    unittest.main(verbosity=1)
