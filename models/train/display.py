"""Lines of LCD and LED displays, and of screens with a font."""
import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from . import fonts, paint, segments, texts


@dataclasses.dataclass
class Line:
    """A line as drawn, before the camera: picture, what it says, the row's extent, middle and width of the cells."""
    picture: np.ndarray
    text: str
    row: tuple           # x0, y0, x1, y1 of the digits
    pitch: float         # pixels from digit to digit


@dataclasses.dataclass
class Layout:
    """Masks of a display row (0 to 255) and where things are."""
    lit: np.ndarray
    unlit: np.ndarray
    row: tuple
    pitch: float


def lay_out(rng, text: str, led: bool, tall: float) -> Layout:
    """Draws the segments of `text`, `tall` pixels high."""
    style = segments.Style.draw(rng, led)
    pitch = style.width + rng.uniform(0.1, 0.42) * (1.6 if rng.random() < 0.15 else 1)
    if not led and rng.random() < 0.55:
        # Energy meters have narrow cells, fuel pumps wide ones.
        factor = rng.uniform(0.62, 0.9) if rng.random() < 0.7 else rng.uniform(1.15, 1.5)
        style.width *= factor
        pitch *= factor
        style.thickness = min(style.thickness, style.width / 3)
    dot = dict(size=rng.uniform(0.07, 0.17), drop=rng.choice([0, rng.uniform(0, 0.06)]),
               shape=str(rng.choice(["round", "square", "comma"], p=[0.5, 0.35, 0.15])),
               own=rng.uniform(0.12, 0.3) if rng.random() < 0.15 else 0.0, at=rng.uniform(0.3, 0.7))
    dot["size"] = min(dot["size"], max(0.07, (pitch - style.width) * 1.1 + dot["own"]))
    colon = rng.uniform(0.0, 0.3) if rng.random() < 0.7 else 0.0
    slim_one = rng.random() < 0.06
    short_minus = rng.random() < 0.25
    dark = int(rng.integers(0, 4)) if rng.random() < 0.3 else 0
    margin = (rng.uniform(0.1, 0.9) if rng.random() < 0.6 else rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.6))
    count = len(text) + dark
    w = int(tall * (margin[0] + margin[1] + count * (pitch + 0.05) + 0.3))
    h = int(tall * 1.9)
    top = (h - tall) / 2
    lit, unlit = Image.new("L", (w, h), 0), Image.new("L", (w, h), 0)
    pen, ghost = ImageDraw.Draw(lit), ImageDraw.Draw(unlit)
    shapes = segments.polygons(style)
    font = None
    if rng.random() < 0.12:
        font = str(rng.choice(fonts.files("segment")))

    def put(draw, polygon, x, level):
        draw.polygon([((x + px) * tall, top + py * tall) for px, py in polygon], fill=level)

    def spot(draw, x, y, level, shape="round"):
        r = dot["size"] / 2
        box = [(x - r) * tall, top + (y - r) * tall, (x + r) * tall, top + (y + r) * tall]
        if shape == "round":
            draw.ellipse(box, fill=level)
        else:
            draw.rectangle(box, fill=level)
        if shape == "comma":
            draw.line([(x * tall, top + (y + r) * tall), ((x - r) * tall, top + (y + 2.4 * r) * tall)], fill=level,
                      width=max(1, int(tall * r * 0.9)))

    uneven = rng.uniform(0, 0.45) if rng.random() < 0.35 else 0.0
    flicker = rng.uniform(0.2, 0.8) if led and rng.random() < 0.2 else 0.0
    level = lambda: int(255 * (1 - uneven * rng.random()) * (1 - flicker * (rng.random() < 0.3)))
    x, start, foot = margin[0], None, 1 - dot["size"] / 2 + dot["drop"]
    for char in "_" * dark + text:
        step = pitch
        if char == ".":
            gap = pitch - style.width
            x += dot["own"]
            at = x - (gap + dot["own"]) * (1 - dot["at"]) - 0.5 * style.slant
            spot(pen, at, foot, level(), dot["shape"])
            continue
        if char == ":":
            x += colon
            at = x - (pitch - style.width + colon) / 2
            for y in (rng.uniform(0.26, 0.36), rng.uniform(0.64, 0.76)):
                shape = "round" if dot["shape"] == "comma" else dot["shape"]
                spot(pen, at + (0.5 - y) * style.slant, y, level(), shape)
            continue
        for polygon in shapes.values():
            put(ghost, polygon, x, 255)
        if char != "_":
            start = x if start is None else start
        if char == "-" and short_minus:
            put(pen, [(0.15 * style.width, 0.46), (0.8 * style.width, 0.46), (0.8 * style.width, 0.54),
                      (0.15 * style.width, 0.54)], x, level())
        elif font and char.isdigit():
            mask = fonts.glyph(font, char).resize((max(2, int(style.width * tall * (0.35 if char == "1" else 1))),
                                                   int(tall)))
            lit.paste(255, (int((x + style.width) * tall) - mask.width, int(top)), mask)
        elif char == "x":
            for name in str(rng.choice(segments.OTHERS)):
                put(pen, shapes[name], x, level())
        elif char != "_":
            shift = 0.0
            if char == "1" and slim_one:
                shift = style.width * 0.55
                step -= shift
            for name in style.lit(char):
                put(pen, shapes[name], x - shift, level())
        x += step
        if rng.random() < 0.7:
            spot(ghost, x - (pitch - style.width) * (1 - dot["at"]) - 0.5 * style.slant, foot, 255)
    start = margin[0] if start is None else start
    end = x - pitch + style.width + dot["own"] * 0.5
    end += 0.1 if text.endswith(".") else 0.0
    lean = style.slant / 2
    row = ((start - lean) * tall, top, (end + lean) * tall, top + tall)
    wide = int(min(w, (end + margin[1]) * tall))
    return Layout(np.asarray(lit, np.float32)[:, :wide], np.asarray(unlit, np.float32)[:, :wide], row, pitch * tall)


def surroundings(rng, shape: tuple, row: tuple, tall: float) -> np.ndarray:
    """Units, icons, bars and frames beside the number, as a mask 0 to 1; none taller than half a digit."""
    mask = np.zeros(shape, np.float32)
    h, w = shape
    x0, y0, x1, y1 = map(int, row)
    if rng.random() < 0.35:
        small = paint.label(rng, tall * rng.uniform(0.12, 0.34), str(rng.choice(texts.UNITS)))
        y = int(rng.uniform(y0, y1 - small.shape[0])) if rng.random() < 0.4 else y1 - small.shape[0]
        paint.stamp(mask, small, x1 + int(tall * rng.uniform(0.08, 0.4)), y)
    if rng.random() < 0.1:
        small = paint.label(rng, tall * rng.uniform(0.15, 0.4), texts.digits(rng, int(rng.integers(1, 4))))
        x = x1 + int(tall * rng.uniform(0.1, 0.4)) if rng.random() < 0.5 else x0 - small.shape[1] - int(tall * 0.15)
        paint.stamp(mask, small, x, int(rng.uniform(y0, y1 - small.shape[0])))
    for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.35 else 0):
        small = paint.label(rng, tall * rng.uniform(0.08, 0.22))
        y = y0 - small.shape[0] - int(tall * rng.uniform(0.04, 0.35)) if rng.random() < 0.5 else \
            y1 + int(tall * rng.uniform(0.08, 0.35))
        paint.stamp(mask, small, int(rng.uniform(-0.1, 0.9) * w), y)
    if rng.random() < 0.08:
        y, t = y0 - int(tall * rng.uniform(0.08, 0.2)), max(1, int(tall * 0.03))
        mask[max(0, y):max(0, y + t), int((x0 + x1) / 2):x1] = 1
    return mask


def bezel(rng, picture: np.ndarray, row: tuple, tall: float) -> np.ndarray:
    """The edges of the display's window, where they come into view."""
    if rng.random() > 0.3:
        return picture
    h, w = picture.shape[:2]
    colour = paint.grey(rng, 0, 255, 10)
    inner = [int(v) for v in (row[0] - tall * rng.uniform(0.15, 0.6), row[1] - tall * rng.uniform(0.08, 0.5),
                              row[2] + tall * rng.uniform(0.15, 0.6), row[3] + tall * rng.uniform(0.08, 0.5))]
    sides = rng.random(4) < 0.5
    mask = np.zeros((h, w), np.float32)
    if sides[0] and inner[0] > 0:
        mask[:, :inner[0]] = 1
    if sides[1] and inner[1] > 0:
        mask[:inner[1]] = 1
    if sides[2] and inner[2] < w:
        mask[:, max(0, inner[2]):] = 1
    if sides[3] and inner[3] < h:
        mask[max(0, inner[3]):] = 1
    if rng.random() < 0.5:
        deep = paint.blur(mask * 255, tall * rng.uniform(0.02, 0.15)) / 255
        picture = picture * (1 - rng.uniform(0.1, 0.6) * deep[..., None])
    return paint.mix(picture, colour, mask)


def fading(rng, text: str) -> str:
    """Another number of the same form, which the display showed before."""
    return "".join(str(rng.integers(0, 10)) if c.isdigit() and rng.random() < 0.4 else c for c in text)


def lcd(rng, text: str, tall: float) -> Line:
    seed = int(rng.integers(0, 2**31))
    lay = lay_out(np.random.default_rng(seed), text, False, tall)
    shape = lay.lit.shape
    negative = rng.random() < 0.15
    if negative:
        ground, ink = paint.grey(rng, 15, 70, 14), paint.grey(rng, 130, 250, 14)
    else:
        ground = np.array([(165, 180, 150), (150, 165, 120), (205, 210, 205), (150, 170, 185), (190, 190, 175),
                           (120, 150, 200), (215, 220, 160), (230, 170, 90)][int(rng.integers(0, 8))], np.float32)
        ground = np.clip(ground * rng.uniform(0.45, 1.15) + rng.normal(0, 8, 3), 30, 250)
        ink = np.clip(ground - rng.uniform(0.35, 1.0) * ground + rng.normal(0, 6, 3), 0, 255)
    contrast = rng.uniform(0.12, 0.4) if rng.random() < 0.15 else rng.uniform(0.5, 1.0)
    alpha = lay.lit / 255
    if rng.random() < 0.65:
        alpha = np.maximum(alpha, lay.unlit / 255 * rng.uniform(0, 0.25))
    if rng.random() < 0.08:
        old = fading(rng, text)
        before = lay_out(np.random.default_rng(seed), old, False, tall).lit / 255
        wide = min(before.shape[1], shape[1])
        if before.shape == shape or wide == shape[1]:
            alpha = np.maximum(alpha, before[:, :wide] * rng.uniform(0.05, 0.35))
    marks = surroundings(rng, shape, lay.row, tall)
    alpha = np.maximum(alpha, marks * rng.uniform(0.4, 1.0))
    if rng.random() < 0.35:
        move = tall * rng.uniform(0.02, 0.07)
        shade = paint.shift(alpha, int(move * rng.uniform(0.3, 1)), int(move * rng.uniform(-1, 1)))
        shade = paint.blur(shade * 255, move * rng.uniform(0.1, 0.6)) / 255
        alpha = np.maximum(alpha, shade * rng.uniform(0.1, 0.45))
    view = 1 + rng.uniform(-0.35, 0.35) * np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    picture = np.broadcast_to(ground, shape + (3,)).astype(np.float32)
    picture = picture * (1 + 0.12 * rng.random() * paint.smooth(rng, shape, 4))[..., None]
    picture = paint.mix(picture, ink, np.clip(alpha * contrast * view, 0, 1))
    return Line(bezel(rng, picture, lay.row, tall), text, lay.row, lay.pitch)


LED_COLOURS = ((255, 30, 20), (255, 30, 20), (255, 50, 30), (255, 140, 10), (60, 255, 60), (60, 130, 255),
               (240, 245, 255), (120, 255, 220))


def led(rng, text: str, tall: float) -> Line:
    lay = lay_out(rng, text, True, tall)
    shape = lay.lit.shape
    colour = np.array(LED_COLOURS[int(rng.integers(0, len(LED_COLOURS)))], np.float32)
    dark = paint.grey(rng, 2, 45, 5)
    if rng.random() < 0.2:
        dark = dark + colour * rng.uniform(0.02, 0.2)
    picture = np.broadcast_to(dark, shape + (3,)).astype(np.float32)
    if rng.random() < 0.6:
        picture = paint.mix(picture, paint.grey(rng, 40, 110), lay.unlit / 255 * rng.uniform(0, 0.3))
    core = paint.blur(lay.lit, tall * 0.012 * rng.random()) / 255
    near, far = paint.blur(lay.lit, tall * 0.03) / 255, paint.blur(lay.lit, tall * rng.uniform(0.08, 0.18)) / 255
    if rng.random() < 0.15:
        period, duty = tall * rng.uniform(0.3, 2), rng.uniform(0.3, 0.8)
        rows = (np.arange(shape[0]) / period + rng.random()) % 1 < duty
        core, near = core * np.where(rows, 1, rng.uniform(0.3, 0.9))[:, None], near
    light = rng.uniform(0.45, 1.0)
    white = rng.uniform(0.0, 0.9) if rng.random() < 0.6 else 0.0
    picture = picture + colour * (light * near * rng.uniform(0.0, 0.6) + light * far * rng.uniform(0, 0.45))[..., None]
    picture = paint.mix(picture, colour * light + (255 - colour * light) * white, core)
    marks = surroundings(rng, shape, lay.row, tall)
    picture = paint.mix(picture, paint.grey(rng, 60, 200), marks * rng.uniform(0.2, 0.9))
    return Line(np.clip(bezel(rng, picture, lay.row, tall), 0, 255), text, lay.row, lay.pitch)


def screen(rng, text: str, tall: float) -> Line:
    """A screen, a printed number or a dot matrix: characters of a font."""
    use = "screen" if rng.random() < 0.6 else "wheel"
    path = str(rng.choice(fonts.files(use)))
    stretch, space = rng.uniform(0.8, 1.2), rng.uniform(0.08, 0.3)
    tight = use == "wheel"
    cell = fonts.width(path) * stretch
    margin = rng.uniform(0.1, 0.7, 2)
    w, h = int(tall * (margin.sum() + (cell + space) * (len(text) + 1))), int(tall * 1.9)
    top, x, start = (h - tall) / 2, margin[0], margin[0]
    mask = np.zeros((h, w), np.float32)
    for char in text:
        glyph = fonts.glyph(path, {"x": str(rng.choice(list(texts.LETTERS)))}.get(char, char))
        glyph = glyph.resize((max(2, round(glyph.width * stretch * tall / fonts.HEIGHT)),
                              max(2, round(glyph.height * tall / fonts.HEIGHT))), Image.BOX)
        y = {".": top + tall - glyph.height, "-": top + tall / 2 - glyph.height / 2,
             ":": top + tall * 0.92 - glyph.height}.get(char, top + tall - glyph.height)
        wide = glyph.width / tall if tight or char in ".:" else cell
        paint.stamp(mask, np.asarray(glyph, np.float32) / 255, int((x + wide / 2) * tall - glyph.width / 2), int(y))
        x += wide + space
    end = x - space
    mask = mask[:, :int((end + margin[1]) * tall)]
    row = (start * tall, top, end * tall, top + tall)
    ground, ink = paint.grey(rng, 0, 255), paint.grey(rng, 0, 255)
    while abs(ground.mean() - ink.mean()) < 60:
        ground, ink = paint.grey(rng, 0, 255, 25), paint.grey(rng, 0, 255, 25)
    mask = np.maximum(mask, surroundings(rng, mask.shape, row, tall) * rng.uniform(0.4, 1))
    picture = np.broadcast_to(ground, mask.shape + (3,)).astype(np.float32)
    return Line(paint.mix(picture, ink, mask), text, row, (cell + space) * tall)
