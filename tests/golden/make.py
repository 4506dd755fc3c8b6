#!/usr/bin/env python3
"""Render the golden images of this folder (needs Pillow, numpy and the DejaVu fonts; fixed seeds).

    tests/golden/make.py [FOLDER OF DejaVuSans*.ttf]

The images are in the repository; run this only to change them. What is expected of each is in
`<name>.expected.txt`, which `EDGE_OCR_UPDATE_GOLDEN=1 cargo test --test golden` rewrites and a person then reads.
"""
import pathlib
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = pathlib.Path(__file__).resolve().parent
FONTS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/fonts/truetype/dejavu")


def font(size, face="DejaVuSans"):
    return ImageFont.truetype(str(FONTS / f"{face}.ttf"), size)


def text(size, lines, face="DejaVuSans", ink=20, paper=245):
    """An image of `size` with `(x, y, font size, text)` on it."""
    im = Image.new("L", size, paper)
    draw = ImageDraw.Draw(im)
    for x, y, points, what in lines:
        draw.text((x, y), what, font=font(points, face), fill=ink)
    return im


def camera(im, seed, noise=6, blur=0.6, light=40):
    """As a cheap camera sees it: uneven light, a soft lens, a noisy sensor."""
    rng = np.random.default_rng(seed)
    a = np.asarray(im.filter(ImageFilter.GaussianBlur(blur)), dtype=np.float32)
    h, w = a.shape
    a = a - light * (np.linspace(0, 1, w)[None, :] * np.linspace(0.3, 1, h)[:, None])
    a = a + rng.normal(0, noise, a.shape)
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


def save(im, name, **how):
    im.save(HERE / name, optimize=True, **how)
    print(name, im.size, (HERE / name).stat().st_size)


save(text((360, 96), [(12, 10, 26, "edge-ocr reads this"), (12, 52, 26, "0123456789 OK")]), "check.png")

RECEIPT = """CORNER BAKERY
12 Mill Lane, Brookfield
Tel 555-0142

Date 14/03/2026  09:41
Table 7  Server Ana

2 x Sourdough        9.80
1 x Rye loaf         4.25
3 x Butter roll      3.60
1 x Oat milk 1L      2.15
1 x Plum jam         5.95

SUBTOTAL            25.75
TAX 8%               2.06
TOTAL               27.81
CASH                30.00
CHANGE               2.19

Thank you, come again!""".split("\n")
receipt = text((420, 640), [(28, 24 + 29 * i, 19, line) for i, line in enumerate(RECEIPT)], "DejaVuSansMono")
table = Image.new("L", (560, 760), 96)
table.paste(receipt, (70, 60))
table = table.rotate(2.5, resample=Image.Resampling.BICUBIC, fillcolor=96)
save(camera(table, 1), "receipt.jpg", quality=82)

LEFT = ["The harbour was quiet when", "the first boats came in.", "Nobody on the quay spoke;", "they counted the crates and", "wrote the numbers down.", "By noon the fog had gone."]
RIGHT = ["Across the square the bell", "rang eleven times and then", "stopped. A dog crossed the", "street without any hurry,", "looked back once, and lay", "down in front of the bank."]
lines = [(30, 40 + 44 * i, 22, t) for i, t in enumerate(LEFT)] + [(430, 52 + 44 * i, 22, t) for i, t in enumerate(RIGHT)]
save(text((800, 340), lines), "columns.png")

slant = text((760, 420), [(60, 70 + 56 * i, 26, t) for i, t in enumerate(["A page that was not laid", "straight on the glass still", "reads from top to bottom,", "row after row after row."])])
save(slant.rotate(7, resample=Image.Resampling.BICUBIC, fillcolor=245), "slanted.png")

upside = text((520, 150), [(20, 18, 30, "THIS SIDE UP"), (20, 78, 30, "Handle with care")])
save(upside.rotate(180), "upside_down.png")

tall = Image.new("L", (300, 420), 240)
tall.paste(text((380, 60), [(10, 8, 32, "EMERGENCY EXIT")], paper=240).rotate(90, expand=True), (40, 20))
tall.paste(text((170, 60), [(6, 8, 32, "Door 42")], paper=240), (110, 180))
save(tall, "tall.png")

rng = np.random.default_rng(5)
WORDS = "amber basin cedar delta ember field grain hotel index joker kayak lemon metal north olive pilot quilt river stone tower union valve wheat yield zebra".split()
page = [" ".join(rng.choice(WORDS, 9)) for _ in range(34)]
save(camera(text((1500, 2000), [(90, 90 + 54 * i, 30, t) for i, t in enumerate(page)], "DejaVuSerif"), 6, light=20, noise=2), "page.jpg", quality=55)

plate = Image.new("L", (640, 400), 70)
plate.paste(text((260, 70), [(14, 8, 46, "KX 4791 B")], ink=10, paper=235).resize((234, 63)), (200, 210))
save(camera(plate, 7, noise=9, blur=1.0), "plate.jpg", quality=75)

save(camera(text((52, 70), [(10, 2, 56, "7")], ink=235, paper=30), 8, light=0), "digit.png")
save(text((160, 46), [(8, 6, 28, "Kitchen")], ink=40, paper=200), "word.png")
save(Image.new("L", (320, 240), 200), "blank.png")
