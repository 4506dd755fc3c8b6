"""Single wheels and LCD digits for the wheel reader: 32 x 20 pictures and where the wheel stands, 0 to 10."""
import dataclasses
import functools

import numpy as np
from PIL import Image

from . import camera, counter, display, paint, real
from .display import Line

SIZE = (20, 32)         # width, height
STATES = 20             # 0, 0-1, 1, 1-2, ... 9, 9-0


def drawn_wheel(rng) -> tuple:
    """A wheel with what lies around its window."""
    look = counter.Look.draw(rng)
    if rng.random() < 0.22:
        look = counter.reddened(rng, look)
    h = 64
    look = dataclasses.replace(look, pitch=rng.uniform(1.08, 1.7), digit=rng.uniform(0.5, 0.86))
    w = int(h * rng.uniform(0.36, 0.8))
    w = max(w, int(look.digit * h * fonts_width(look) * 1.02))
    value = float(rng.uniform(0, 10)) if rng.random() < 0.75 else float(rng.integers(0, 10))
    tile = counter.window(rng, look, value, h, w)
    side, tops = int(w * rng.uniform(0.1, 0.4)), int(h * rng.uniform(0.1, 0.3))
    picture = np.broadcast_to(paint.grey(rng, 5, 245), (h + 2 * tops, w + 2 * side, 3)).astype(np.float32).copy()
    if rng.random() < 0.15:
        picture[:] = look.ground
    picture[tops:tops + h, side:side + w] = tile
    kind = rng.random()
    if kind < 0.6:
        left, right = counter.gap(rng, look, h, side), counter.gap(rng, look, h, side)
        picture[tops:tops + h, :side] = left
        picture[tops:tops + h, side + w:] = right if rng.random() < 0.5 else left
    if rng.random() < 0.45:
        counter.shadow(rng, picture, tops, h)
    if rng.random() < 0.1:
        counter.edge(picture, (side - 2, tops - 2, side + w + 2, tops + h + 2), 3, np.array([200, 30, 30], np.float32))
    return Line(picture, "", (side, tops, side + w, tops + h), w), value


def fonts_width(look) -> float:
    return counter.fonts.width(look.font) * look.stretch


def drawn_lcd(rng) -> tuple:
    """A digit of an LCD or LED between its neighbours."""
    text = "".join(map(str, rng.integers(0, 10, 3)))
    shown = text
    if rng.random() >= 0.6:
        at = 1 if rng.random() < 0.5 else 2
        shown = text[:at] + "." + text[at:]
    line = (display.lcd if rng.random() < 0.85 else display.led)(rng, shown, 64.0)
    x0, y0, x1, y1 = line.row
    middle = x0 + (x1 - x0) / 2
    half = line.pitch * rng.uniform(0.42, 0.56)
    return Line(line.picture, text[1], (middle - half, y0 - 4, middle + half, y1 + 4), line.pitch), float(text[1])


def crop(rng, line: Line) -> np.ndarray:
    """The part that a field's cell would cut out, seen by a camera, 32 x 20."""
    x0, y0, x1, y1 = line.row
    w, h = x1 - x0, y1 - y0
    if rng.random() < 0.6:
        a = rng.uniform(-0.14, 0.1, 4)
    else:
        a = rng.uniform(-0.02, 0.22, 4)
    corners = np.array([(x0 - a[0] * w, y0 - a[1] * h), (x1 + a[2] * w, y0 - a[1] * h), (x1 + a[2] * w, y1 + a[3] * h),
                        (x0 - a[0] * w, y1 + a[3] * h)])
    middle, angle = corners.mean(0), np.radians(rng.normal(0, 2.5))
    corners = (corners - middle) @ np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))]) + middle
    if rng.random() < 0.5:
        corners += rng.uniform(-0.05, 0.05, (4, 2)) * h
    wide, tall = np.ptp(corners[:, 0]), np.ptp(corners[:, 1])
    rows = int(np.exp(rng.uniform(np.log(26), np.log(90))))
    size = (max(8, round(wide * rows / tall)), rows)
    picture = camera.cut(camera.light(rng, line.picture), tuple(map(tuple, corners)), size)
    image = camera.sensor(rng, Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)), rows / 32)
    return np.asarray(image.resize(SIZE, Image.BILINEAR), np.uint8)


def sample(seed: int, number: int) -> tuple:
    """Wheel `number` of the endless sequence `seed`: uint8 RGB 32 x 20, value, `wheel` or `lcd`."""
    rng = np.random.default_rng([seed, 3, number])
    kind = "wheel" if rng.random() < 0.85 else "lcd"
    line, value = drawn_wheel(rng) if kind == "wheel" else drawn_lcd(rng)
    return crop(rng, line), value % 10, kind


@functools.cache
def photographs(hold_out: str) -> tuple:
    """train_wheels without one device, and train_segdigits: lists of pictures (any size) and values, by device."""
    out = {d: [(np.asarray(p), v % 10) for p, v in items] for d, items in real.wheels().items() if d != hold_out}
    out["segdigits"] = [(p, float(t)) for p, t in real.segdigits()]
    return tuple(out.items())


def vary(rng, picture: np.ndarray) -> np.ndarray:
    """A photograph or a drawing changed a little: place, size, light, colour, blur, noise; 32 x 20."""
    h, w = picture.shape[:2]
    a = rng.uniform(-0.08, 0.08, 4) * (w, h, w, h)
    corners = ((a[0], a[1]), (w + a[2], a[1]), (w + a[2], h + a[3]), (a[0], h + a[3]))
    lean = rng.normal(0, 0.03) * w
    corners = tuple((x + (lean if i < 2 else -lean), y) for i, (x, y) in enumerate(corners))
    big = max(1, round(h / 48))
    x = camera.cut(picture[::big, ::big] if big > 1 else picture, tuple((x / big, y / big) for x, y in corners), SIZE)
    x = (x - 128) * rng.uniform(0.55, 1.25) + 128 + rng.normal(0, 15) + rng.normal(0, 5, 3).astype(np.float32)
    if rng.random() < 0.12:
        x = 255 - x
    if rng.random() < 0.15:
        x = x[..., rng.permutation(3)]
    if rng.random() < 0.15:
        x = np.repeat(x.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.3:
        x = paint.slope(rng, x.shape[:2])[..., None] * rng.uniform(0, 60) + x
    if rng.random() < 0.4:
        x = x + rng.normal(0, rng.uniform(1, 6), x.shape[:2] + (1,)).astype(np.float32)
    return np.clip(x, 0, 255).astype(np.uint8)


def states(values: np.ndarray) -> np.ndarray:
    """Each value shared between the two nearest of the 20 states."""
    at = np.asarray(values) * 2 % STATES
    low = np.floor(at).astype(int) % STATES
    out = np.zeros((len(at), STATES), np.float32)
    rows = np.arange(len(at))
    out[rows, low] = 1 - at % 1
    out[rows, (low + 1) % STATES] += at % 1
    return out
