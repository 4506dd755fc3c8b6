#!/usr/bin/env python3
"""Draws the images of this folder that cli/tests/layout.rs reads, with their texts. Needs Pillow, DejaVu and Liberation fonts.

roll_on_its_side.png is not drawn here."""
import pathlib
import random

from PIL import Image, ImageDraw, ImageFont

HERE = pathlib.Path(__file__).resolve().parent
WORDS = ("the of and meter water report valve room pressure reading station north every quiet morning engineer found small "
         "letter between columns that should never meet because a reader goes down first and then across page").split()


def save(image, name, bits=1):
    """As a small PNG: black and white, or 16 greys."""
    image = image.convert("1", dither=0) if bits == 1 else image.quantize(16)
    image.save(HERE / f"{name}.png", optimize=True)


def columns(name, seed, font, size, gutter, count, width, rows, justified):
    """Columns whose gutter is `gutter` times the size of the type."""
    r, text, font = random.Random(seed), [], ImageFont.truetype(font, size)
    leading, gap = size * 10 // 7, int(gutter * size)
    image = Image.new("L", (count * width + (count - 1) * gap + 120, rows * leading + 120), 255)
    draw = ImageDraw.Draw(image)
    for column in range(count):
        for row in range(rows):
            words = [r.choice(WORDS)]
            while font.getlength(" ".join(words + ["pressure"])) < width:
                words.append(r.choice(WORDS))
            space = (width - sum(map(font.getlength, words))) / (len(words) - 1) if justified else font.getlength(" ")
            x = 60 + column * (width + gap)
            for word in words:
                draw.text((x, 60 + row * leading), word, font=font, fill=0)
                x += font.getlength(word) + space
            text += words
    save(image, name)
    (HERE / f"{name}.txt").write_text("\n".join(" ".join(text[i:i + 12]) for i in range(0, len(text), 12)) + "\n")


def turned(name, short, shade):
    """A page upside down with one short faint line."""
    font = ImageFont.truetype("DejaVuSans.ttf", 26)
    image = Image.new("L", (640, 420), 240)
    draw, y = ImageDraw.Draw(image), 30
    lines = ["Delivery note 2027-08-14", "Pump station north, valve 12", "Pressure 4.7 bar at 21 degrees",
             "Next service in eleven months", "Signed by the engineer on duty"]
    for i, line in enumerate(lines):
        draw.text((40, y), line, font=font, fill=30)
        y += 52
        if i == 2:
            draw.text((40, y), short, font=font, fill=shade)
            y += 52
    image = image.rotate(180)
    image.save(HERE / f"{name}.png", optimize=True)


def both_directions():
    font = ImageFont.truetype("DejaVuSans.ttf", 30)
    image = Image.new("L", (560, 300), 255)
    draw = ImageDraw.Draw(image)
    draw.text((60, 240), "Keep it dry", font=font, fill=0)
    image = image.rotate(180)
    draw = ImageDraw.Draw(image)
    for i, line in enumerate(["Pump station north", "Valve 12 is open", "Fill to the mark"]):
        draw.text((60, 100 + 60 * i), line, font=font, fill=0)
    save(image, "both_directions")


def long_line():
    r, font = random.Random(3), ImageFont.truetype("DejaVuSans.ttf", 24)
    text = " ".join(r.choice(WORDS) for _ in range(90))
    image = Image.new("L", (int(font.getlength(text)) + 40, 44), 255)
    ImageDraw.Draw(image).text((20, 8), text, font=font, fill=0)
    save(image, "long_line")
    (HERE / "long_line.txt").write_text(text + "\n")


def glyph(letter, font, rows):
    """A letter as rows of dots."""
    big = ImageFont.truetype(font, 64)
    image = Image.new("L", (90, 100), 0)
    ImageDraw.Draw(image).text((10, 10), letter, font=big, fill=255)
    box, top, bottom = image.getbbox(), 10 + big.getbbox("H")[1], 10 + big.getbbox("H")[3]
    if not box:
        return [[False] * 3] * rows
    high = (bottom - top) / rows
    across = max(1, round((box[2] - box[0]) / high))
    at = lambda x: box[0] + (box[2] - box[0]) * x / across
    mean = lambda part: sum(part.tobytes()) / len(part.tobytes())
    return [[mean(image.crop((int(at(x)), int(top + y * high), max(int(at(x)) + 1, int(at(x + 1))),
                                int(top + (y + 1) * high)))) > 110 for x in range(across)] for y in range(rows)]


def dots(name, pitch, dot, rows, font, size=None, at=None, ground=230, ink=40):
    """What an ink-jet printer puts on packages: letters of dots of `dot` pixels that are `pitch` apart."""
    lines = [[glyph(c, font, rows) for c in line] for line in ["BEST BEFORE", "12.08.2027 L4711", "14:35 A2"]]
    width = max(sum(len(g[0]) + 1 for g in line) for line in lines) * pitch
    left, y = at or (8 * pitch, 8 * pitch)
    times = 4
    w, h = size or (int(width + 16 * pitch), int(len(lines) * (rows + 4) * pitch + 14 * pitch))
    image = Image.new("L", (w * times, h * times), ground)
    draw = ImageDraw.Draw(image)
    for line in lines:
        x = left
        for g in line:
            for j, row in enumerate(g):
                for i, on in enumerate(row):
                    if on:
                        cx, cy, q = (x + (i + .5) * pitch) * times, (y + (j + .5) * pitch) * times, dot / 2 * times
                        draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=ink)
            x += (len(g[0]) + 1) * pitch
        y += (rows + 4) * pitch
    save(image.resize((w, h), Image.LANCZOS), name, bits=4)


columns("narrow_gutter_serif", 7, "DejaVuSerif.ttf", 28, 0.6, 2, 560, 22, True)
columns("narrow_gutter_sans", 8, "LiberationSans-Regular.ttf", 26, 0.8, 2, 500, 18, True)
columns("narrow_gutter_three", 9, "LiberationSerif-Regular.ttf", 26, 1.0, 3, 380, 20, True)
turned("turned_faint_word", "size", 215)
turned("turned_faint_line", "No 8", 200)
both_directions()
long_line()
MONO, NARROW, BOLD = "DejaVuSansMono.ttf", "LiberationSansNarrow-Regular.ttf", "LiberationMono-Bold.ttf"
dots("dots_fine", 4, 2.8, 7, MONO)
dots("dots_coarse", 16, 8, 7, NARROW)
dots("dots_on_a_large_image", 5, 3, 9, BOLD, (1800, 1200), (900, 500))
