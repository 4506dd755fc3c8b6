"""Counters with wheels: one window, and lines of four to eight with the gaps between them."""
import dataclasses
import functools
import math

import numpy as np
from PIL import Image, ImageFilter

from . import fonts, paint, texts
from .display import Line


@dataclasses.dataclass
class Look:
    """What all wheels of one counter share."""
    font: str
    stretch: float       # of the font's width
    weight: int          # pixels by which strokes grow (positive) or shrink at 64 rows
    digit: float         # height of a digit over the window's
    pitch: float         # from digit to digit, in digit heights
    ground: np.ndarray
    ink: np.ndarray
    squeeze: float       # 0 flat to 0.95 strongly curved
    shade: float
    power: float
    ticks: bool          # a scale at the wheel's side

    @classmethod
    def draw(cls, rng) -> "Look":
        font = str(rng.choice(fonts.files("wheel")))
        width = fonts.width(font)
        stretch = float(np.clip(rng.uniform(0.8, 1.35), 0.42 / width, 0.8 / width))
        dark = rng.random() < 0.5
        ground, ink = colours(rng, dark)
        return cls(font=font, stretch=stretch, weight=int(rng.choice([-3, 0, 0, 3, 5])),
                   digit=rng.uniform(0.5, 0.84), pitch=rng.uniform(1.12, 1.7), ground=ground, ink=ink,
                   squeeze=rng.uniform(0.05, 0.93), shade=rng.uniform(0, 0.6), power=rng.uniform(1.5, 4),
                   ticks=bool(rng.random() < 0.08))


def colours(rng, dark: bool) -> tuple:
    """Ground and ink of a wheel."""
    if dark:
        ground, ink = paint.grey(rng, 8, 75, 8), paint.grey(rng, 130, 245, 8)
    else:
        ground, ink = paint.grey(rng, 140, 245, 8), paint.grey(rng, 5, 95, 8)
    part = 1.0 if rng.random() < 0.7 else rng.uniform(0.4, 1.0)
    return ground, ground + (ink - ground) * part


def reddened(rng, look: Look) -> Look:
    """The same wheel in red: white on red, or red on white."""
    red = np.array([rng.uniform(120, 230), rng.uniform(15, 80), rng.uniform(15, 80)], np.float32)
    white = paint.grey(rng, 170, 245)
    kind = rng.random()
    if kind < 0.5:
        ground, ink = red, white
    elif kind < 0.85:
        ground, ink = white, red
    else:
        ground, ink = look.ground, red if look.ground.mean() > 120 else red * 1.1
    return dataclasses.replace(look, ground=ground, ink=np.clip(ink, 0, 255))


@functools.lru_cache(maxsize=4096)
def weighted(font: str, char: str, weight: int) -> Image.Image:
    """A digit with thicker (weight above 0) or thinner strokes."""
    glyph = fonts.glyph(font, char)
    if not weight:
        return glyph
    pad = Image.new("L", (glyph.width + 8, glyph.height + 8), 0)
    pad.paste(glyph, (4, 4))
    size = 3 if abs(weight) == 3 else 5
    pad = pad.filter(ImageFilter.MaxFilter(size) if weight > 0 else ImageFilter.MinFilter(size))
    grow = size // 2 if weight > 0 else 0
    return pad.crop((4 - grow, 4 - grow, 4 + glyph.width + grow, 4 + glyph.height + grow))


def digit_mask(look: Look, char: str, tall: int) -> np.ndarray:
    """A digit of the wheel, `tall` rows high."""
    glyph = weighted(look.font, char, look.weight)
    scale = tall / fonts.HEIGHT
    size = (max(2, round(glyph.width * scale * look.stretch)), max(2, round(glyph.height * scale)))
    return np.asarray(glyph.resize(size, Image.BILINEAR, reducing_gap=2.0), np.float32) / 255


def window(rng, look: Look, value: float, h: int, w: int) -> np.ndarray:
    """One wheel behind its window; digits move up as the value grows."""
    tall = max(4, round(look.digit * h))
    step = look.pitch * tall
    half = int(h * 0.72)
    strip = np.zeros((2 * half, w), np.float32)
    base = math.floor(value)
    for k in range(base - 2, base + 4):
        mask = digit_mask(look, str(k % 10), tall)
        y = half + (k - value) * step - mask.shape[0] / 2
        paint.stamp(strip, mask, int((w - mask.shape[1]) / 2), round(y))
        if look.ticks:
            for i in range(5):
                at = int(half + (k + i / 5 - value) * step)
                if 0 <= at < 2 * half:
                    strip[at:at + max(1, h // 40), int(w * (0.75 if i else 0.6)):] = 0.8
    y = np.linspace(-1, 1, h)
    rows = half + np.arcsin(look.squeeze * y) / look.squeeze * h / 2
    rows = np.clip(rows, 0, 2 * half - 1.001)
    low = rows.astype(int)
    part = (rows - low).astype(np.float32)[:, None]
    strip = strip[low] * (1 - part) + strip[np.minimum(low + 1, 2 * half - 1)] * part
    picture = np.broadcast_to(look.ground, (h, w, 3)).astype(np.float32)
    picture = paint.mix(picture, look.ink, np.clip(strip, 0, 1))
    return picture * (1 - look.shade * np.abs(y[:, None, None]) ** look.power).astype(np.float32)


def gap(rng, look: Look, h: int, w: int) -> np.ndarray:
    """What is seen between two wheels: frame, spacer, gear teeth, shadow."""
    bases = [look.ground * rng.uniform(0.2, 1.1), paint.grey(rng, 5, 60), paint.grey(rng, 60, 230)]
    base = bases[int(rng.integers(0, 3))]
    picture = np.broadcast_to(base, (h, w, 3)).astype(np.float32)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    kind = rng.random()
    if kind < 0.6:
        period, duty = h * rng.uniform(0.08, 0.34), rng.uniform(0.25, 0.75)
        skew = rng.choice([0, rng.uniform(-1.5, 1.5)])
        phase = (y / period + skew * x / max(1, w) + rng.random()) % 1
        sides = np.ones(w, np.float32)
        if rng.random() < 0.7 and w > 3:
            a, b = sorted(rng.uniform(0, 1, 2))
            sides = ((np.arange(w) / w >= a * 0.6) & (np.arange(w) / w <= max(b, a + 0.35))).astype(np.float32)
        teeth = (phase < duty).astype(np.float32) * sides
        picture = paint.mix(picture, paint.grey(rng, 5, 245), teeth * rng.uniform(0.3, 1))
    if kind > 0.4 and w > 2:
        for _ in range(int(rng.integers(1, 4))):
            at, wide = int(rng.integers(0, w)), max(1, int(w * rng.uniform(0.08, 0.4)))
            line = np.zeros((h, w), np.float32)
            line[:, at:at + wide] = rng.uniform(0.3, 1)
            if rng.random() < 0.25:
                a, b = sorted(rng.uniform(0, h, 2).astype(int))
                line[:a], line[b:] = 0, 0
            picture = paint.mix(picture, paint.grey(rng, 0, 245), line)
    return picture


def values(text: str, part: float) -> list:
    """Where each wheel stands: only the last anywhere, the others by the carry rule."""
    out, last = [], part
    for i, char in enumerate(reversed(text)):
        own = last if i == 0 else max(0.0, last - 9)
        last = int(char) + own
        out.append(last)
    return out[::-1]


def nearest(positions: list) -> str:
    """The digit that shows most of each wheel."""
    return "".join(str(math.floor(v + 0.5) % 10) for v in positions)


def counter(rng, tall: float) -> Line:
    """A counter in its frame. `tall` is the height of the windows."""
    text, part = texts.counter(rng)
    look = Look.draw(rng)
    h = int(tall)
    w = int(h * rng.uniform(0.36, 0.78))
    w = max(w, int(look.digit * h * fonts.width(look.font) * look.stretch * 1.02))
    between = max(1, int(w * (rng.uniform(0.05, 0.4) if rng.random() < 0.8 else 0.02)))
    positions = values(text, part)
    positions = [v + rng.normal(0, 0.035) * (rng.random() < 0.6) for v in positions]
    red = int(rng.integers(1, 4)) if rng.random() < 0.45 else 0
    red = min(red, len(text) - 1)
    red_look = reddened(rng, look)
    if rng.random() < 0.12:
        swap = dict(zip(("ground", "ink"), colours(rng, bool(rng.random() < 0.5))))
        red_look, red = dataclasses.replace(look, **swap), max(red, 1)
    alike, one = rng.random() < 0.6, gap(rng, look, h, between)
    up, down = int(h * rng.uniform(0.05, 0.45)), int(h * rng.uniform(0.05, 0.45))
    left, right = (int(w * rng.uniform(0.1, 0.9)) for _ in range(2))
    frame = [paint.grey(rng, 5, 60), paint.grey(rng, 150, 245), look.ground, paint.grey(rng, 60, 150)][
        int(rng.choice(4, p=[0.35, 0.3, 0.15, 0.2]))]
    total = left + len(text) * (w + between) - between + right
    picture = np.broadcast_to(frame, (up + h + down, total, 3)).astype(np.float32)
    picture = picture * (1 + 0.1 * paint.smooth(rng, picture.shape[:2], 4))[..., None]
    separate = rng.random() < 0.3
    x = left
    for i, v in enumerate(positions):
        own = red_look if i >= len(text) - red else look
        tile = window(rng, own, v, h, w)
        dy = int(rng.normal(0, 0.012) * h)
        y0, y1 = max(0, up + dy), up + dy + h
        picture[y0:y1, x:x + w] = tile[y0 - up - dy:][:y1 - y0][:picture.shape[0] - y0]
        if i + 1 < len(text):
            if separate:
                picture[:, x + w:x + w + between] = frame
            else:
                picture[up:up + h, x + w:x + w + between] = one if alike else gap(rng, look, h, between)
        elif rng.random() < 0.5 and not separate:
            wide = min(between, right)
            picture[up:up + h, x + w:x + w + wide] = one[:, :wide]
        x += w + between
    if not separate and left > between and rng.random() < 0.4:
        picture[up:up + h, left - between:left] = one
    if red and rng.random() < 0.3:
        edge(picture, (left + (len(text) - red) * (w + between) - between // 2, up, x, up + h), max(1, h // 20),
             np.array([200, 30, 30], np.float32))
    if rng.random() < 0.45:
        shadow(rng, picture, up, h)
    picture = marks(rng, picture, (left, up, x - between, up + h))
    row = (left, up, x - between, up + h)
    return Line(np.clip(picture, 0, 255), nearest(positions), row, w + between)


def edge(picture: np.ndarray, box: tuple, t: int, colour) -> None:
    """A frame of a given thickness."""
    x0, y0, x1, y1 = box
    x0, y0 = max(0, x0), max(0, y0)
    picture[y0:y0 + t, x0:x1], picture[max(0, y1 - t):y1, x0:x1] = colour, colour
    picture[y0:y1, x0:x0 + t], picture[y0:y1, max(0, x1 - t):x1] = colour, colour


def shadow(rng, picture: np.ndarray, up: int, h: int) -> None:
    """The shadow of the frame on the upper part of the wheels."""
    deep = max(2, int(h * rng.uniform(0.05, 0.3)))
    fall = 1 - rng.uniform(0.2, 0.7) * np.linspace(1, 0, deep, dtype=np.float32) ** rng.choice([0.3, 1])
    picture[up:up + deep] *= fall[:, None, None]


def marks(rng, picture: np.ndarray, box: tuple) -> np.ndarray:
    """Print near the counter: m3 beside the last wheel, words above and below."""
    x0, y0, x1, y1 = box
    mask = np.zeros(picture.shape[:2], np.float32)
    h = y1 - y0
    if rng.random() < 0.25:
        small = paint.label(rng, h * rng.uniform(0.18, 0.4), str(rng.choice(["m3", "kWh", "m3", "L", "gal"])))
        paint.stamp(mask, small, x1 + int(h * 0.12), int(rng.uniform(y0, y1 - small.shape[0])))
    for _ in range(int(rng.integers(0, 3)) if rng.random() < 0.3 else 0):
        small = paint.label(rng, h * rng.uniform(0.1, 0.25))
        y = y0 - small.shape[0] - 2 if rng.random() < 0.5 else y1 + 2
        paint.stamp(mask, small, int(rng.uniform(0, picture.shape[1])), y)
    ground = picture[:, -1].mean()
    ink = paint.grey(rng, 0, 80) if ground > 110 else paint.grey(rng, 150, 255)
    return paint.mix(picture, ink, mask)
