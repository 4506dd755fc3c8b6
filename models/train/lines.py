"""Lines for the line reader: a picture of 32 rows and its text, by kind; the same for the same seed and number."""
import numpy as np

from . import camera, counter, display, paint, real, texts
from .display import Line

CLASSES = "0123456789.-:x"      # class 0 of the network is the blank, these follow
WIDEST = 512

KINDS = (("lcd", 0.34), ("led", 0.15), ("screen", 0.06), ("counter", 0.33), ("real", 0.05), ("nothing", 0.07))


def nothing(rng, tall: float) -> Line:
    """No number: blank glass, print without digits, a display that is off, rows of which half is cut away."""
    kind = rng.random()
    if kind < 0.3:
        h, w = int(1.5 * tall), int(tall * rng.uniform(2, 6))
        picture = np.broadcast_to(paint.grey(rng, 5, 245, 20), (h, w, 3)).astype(np.float32)
        picture = picture * (1 + rng.uniform(0, 0.4) * paint.smooth(rng, (h, w), 5))[..., None]
        if rng.random() < 0.5:
            picture = paint.scratches(rng, picture, rng.uniform(0.2, 0.9))
        return Line(picture, "", (0.2 * tall, 0.25 * tall, w - 0.2 * tall, 1.25 * tall), tall)
    if kind < 0.55:
        line = display.lcd(rng, "1" * int(rng.integers(2, 8)), tall)
        x0, y0, x1, y1 = line.row
        w = line.picture.shape[1]
        flat = line.picture[2:4, :, :].mean(0, keepdims=True)
        fade = rng.uniform(0.0, 0.12)
        picture = flat + (line.picture - flat) * fade
        return Line(np.ascontiguousarray(picture), "", (x0, y0, min(w, x1), y1), line.pitch)
    if kind < 0.8:
        mask = paint.label(rng, tall)
        mask = np.pad(mask, int(tall * 0.4))
        picture = np.broadcast_to(paint.grey(rng, 120, 245), mask.shape + (3,)).astype(np.float32)
        ink = paint.grey(rng, 0, 90)
        picture = picture if rng.random() < 0.6 else 255 - picture
        picture = paint.mix(picture, ink if rng.random() < 0.6 else 255 - ink, mask)
        h, w = mask.shape
        return Line(picture, "x", (0.4 * tall, 0.4 * tall, w - 0.4 * tall, h - 0.4 * tall), tall)
    n = int(rng.integers(2, 7))
    make = display.lcd if rng.random() < 0.6 else display.led
    line = make(rng, texts.digits(rng, n), tall)
    x0, y0, x1, y1 = line.row
    h = y1 - y0
    cut = rng.uniform(0.52, 0.7) * h
    row = (x0, y0 + cut, x1, y1 + 0.3 * h) if rng.random() < 0.5 else (x0, y0 - 0.3 * h, x1, y1 - cut)
    return Line(line.picture, "x" * n, row, line.pitch)


def draw(rng, kind: str) -> Line:
    tall = 64.0
    if kind == "counter":
        return counter.counter(rng, tall)
    if kind == "real":
        return real.line(rng, tall)
    if kind == "nothing":
        return nothing(rng, tall)
    return getattr(display, kind)(rng, texts.display(rng), tall)


def sample(seed: int, number: int) -> tuple:
    """Line `number` of the endless sequence `seed`: uint8 RGB 32 x W, text, kind."""
    rng = np.random.default_rng([seed, number])
    kind = str(rng.choice([k for k, _ in KINDS], p=[p for _, p in KINDS]))
    line = draw(rng, kind)
    # Digits mostly 20 to 38 columns apart, and from 12 to 52.
    low, high = (20, 38) if rng.random() < 0.7 else (12, 52)
    rows = (line.row[3] - line.row[1]) * 1.3
    natural = line.pitch / rows * camera.HEIGHT
    stretch = float(np.clip(np.exp(rng.uniform(np.log(low), np.log(high))) / natural, 0.6, 3.5))
    picture = camera.take(rng, line, stretch)
    if picture.shape[1] > WIDEST:
        picture = np.asarray(camera.Image.fromarray(picture).resize((WIDEST, camera.HEIGHT), camera.Image.BILINEAR))
    return picture, line.text, kind


def encode(text: str) -> list:
    return [CLASSES.index(c) + 1 for c in text]


def needed(text: str) -> int:
    """Time steps that CTC needs at least."""
    return len(text) + sum(a == b for a, b in zip(text, text[1:]))
