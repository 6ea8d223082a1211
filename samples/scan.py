"""Page images that look scanned: drawn at 200 dpi, turned by about one degree, blurred, noised, unevenly lit."""

import random
import tempfile
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

import pdf
from layout import FONT_FILES, HEIGHT, WIDTH, figure_ops, set_page
from markup import Block, Page

DPI = 200
SCALE = DPI / 72


@lru_cache(maxsize=None)
def _font(size: float, bold: bool, scale: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT_FILES[bold]), size * scale, layout_engine=ImageFont.Layout.BASIC)


def draw(image: Image.Image, ops: list[tuple], scale: float) -> None:
    pen = ImageDraw.Draw(image)
    thin = max(1, round(0.6 * scale))
    for kind, *v in ops:
        if kind == "text":
            x, y, size, bold, text = v
            pen.text((x * scale, y * scale), text, font=_font(size, bold, scale), fill=0, anchor="ls")
        elif kind == "line":
            pen.line([c * scale for c in v], fill=0, width=thin)
        elif kind == "rect":
            x, y, w, h, gray = v
            fill = None if gray is None else int(gray * 255)
            pen.rectangle([x * scale, y * scale, (x + w) * scale, (y + h) * scale], outline=0, fill=fill, width=thin)
        elif kind == "oval":
            x, y, w, h = v
            pen.ellipse([x * scale, y * scale, (x + w) * scale, (y + h) * scale], outline=0, width=thin)


def page_image(page: Page, size: float, number: int | None) -> Image.Image:
    image = Image.new("L", (round(WIDTH * SCALE), round(HEIGHT * SCALE)), 255)
    draw(image, set_page(page, size, number), SCALE)
    return image


def figure_png(block: Block, target: Path) -> None:
    image = Image.new("L", (900, 390), 255)
    draw(image, figure_ops(block, 0, 2), 2.0)
    image.save(target)


def scanned(image: Image.Image, seed: str) -> Image.Image:
    dice = random.Random(seed)
    angle = dice.choice((-1, 1)) * dice.uniform(0.7, 1.2)
    image = image.rotate(angle, resample=Image.Resampling.BICUBIC, fillcolor=255)
    image = image.filter(ImageFilter.GaussianBlur(0.6))
    light = Image.linear_gradient("L").rotate(dice.choice((0, 90, 180, 270))).resize(image.size)
    image = ImageChops.subtract(image, light.point(lambda v: v // 9))
    tile = Image.frombytes("L", (512, 512), dice.randbytes(512 * 512)).point(lambda v: v // 9)
    noise = Image.new("L", image.size)
    for x in range(0, image.width, tile.width):
        for y in range(0, image.height, tile.height):
            noise.paste(tile, (x, y))
    return ImageChops.subtract(ImageChops.add(image, noise), noise.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def scans(pages: list[Page], size: float, seed: str) -> list[Image.Image]:
    return [scanned(page_image(p, size, n), f"{seed}:{n}") for n, p in enumerate(pages, 1)]


def write_scanned_pdf(target: Path, title: str, pages: list[Page], size: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for n, image in enumerate(scans(pages, size, target.name), 1):
            files.append(Path(folder) / f"{n:03}.jpg")
            image.save(files[-1], quality=70)
        pdf.write_image_pdf(target, title, files)


def write_tiff(target: Path, pages: list[Page], size: float) -> None:
    first, *rest = scans(pages, size, target.name)
    first.save(target, save_all=True, append_images=rest, compression="tiff_adobe_deflate", dpi=(DPI, DPI))


def write_jpeg(target: Path, pages: list[Page], size: float) -> None:
    (only,) = scans(pages, size, target.name)
    only.save(target, quality=78, dpi=(DPI, DPI))
