"""Scenes for the finder: a display or counter on a device, before a drawn background, at any angle."""
import numpy as np
from PIL import Image, ImageDraw

from . import camera, counter, display, paint, texts

SIDE = 256
KINDS = ("display", "counter")


def clutter(rng, h: int, w: int) -> np.ndarray:
    """A background: noise of several sizes, planes, bars, pipes, print."""
    picture = np.broadcast_to(paint.grey(rng, 10, 245, 25), (h, w, 3)).astype(np.float32)
    for cells in (2, 5, 12, 40):
        if rng.random() < 0.7:
            noise = paint.smooth(rng, (h, w), cells)[..., None] * rng.uniform(3, 45)
            picture = picture + noise * (1 + rng.normal(0, 0.15, 3)).astype(np.float32)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 9))):
        colour = tuple(int(v) for v in paint.grey(rng, 0, 255, 30))
        x, y, a, b = rng.uniform(-0.2, 1.1, 2).tolist() + rng.uniform(0.02, 0.6, 2).tolist()
        box = [x * w, y * h, (x + a) * w, (y + b) * h]
        kind = rng.random()
        if kind < 0.35:
            pen.rectangle(box, fill=colour)
        elif kind < 0.55:
            pen.ellipse(box, fill=colour)
        elif kind < 0.8:
            end = (x * w + rng.uniform(-1, 1) * w, y * h + rng.uniform(-1, 1) * h)
            pen.line([(x * w, y * h), end], fill=colour, width=int(rng.uniform(1, 0.15 * h)))
        else:
            step = rng.uniform(3, 14)
            for i in range(int(rng.integers(4, 20))):
                left, wide = box[0] + i * step, rng.uniform(0.3, 0.6) * step
                pen.rectangle([left, box[1], left + wide, box[3]], fill=colour)
    picture = np.asarray(image, np.float32)
    return prints(rng, picture, int(rng.integers(0, 5)), 0.03, 0.14)


def prints(rng, picture: np.ndarray, count: int, low: float, high: float, keep_off: tuple | None = None) -> np.ndarray:
    """Printed words and numbers; they are no target. `keep_off`: x0, y0, x1, y1 that stays free."""
    h, w = picture.shape[:2]
    for _ in range(count):
        kind = rng.random()
        text = "".join(map(str, rng.integers(0, 10, int(rng.integers(3, 11))))) if kind < 0.4 else texts.words(rng)
        if kind < 0.1:
            text = texts.words(rng)[:3] + text
        mask = paint.label(rng, max(4.0, h * rng.uniform(low, high)), text)
        x, y = int(rng.uniform(0, max(1, w - mask.shape[1]))), int(rng.uniform(0, max(1, h - mask.shape[0])))
        if keep_off is not None and x < keep_off[2] and x + mask.shape[1] > keep_off[0] and y < keep_off[3] and \
                y + mask.shape[0] > keep_off[1]:
            continue
        mask = mask[:h - y, :w - x]
        part = picture[y:y + mask.shape[0], x:x + mask.shape[1]]
        ink = paint.grey(rng, 0, 90) if part.mean() > 120 else paint.grey(rng, 150, 255)
        part[:] = paint.mix(part, ink, mask * rng.uniform(0.5, 1))
    return picture


def dials(rng, pen, x0: float, y0: float, w: float, h: float) -> None:
    """Small pointers of a water meter."""
    for _ in range(int(rng.integers(1, 5))):
        r = rng.uniform(0.05, 0.13) * w
        x, y, a = x0 + rng.uniform(0.1, 0.9) * w, y0 + rng.uniform(0.1, 0.9) * h, rng.uniform(0, 2 * np.pi)
        pen.ellipse([x - r, y - r, x + r, y + r], outline=(60, 60, 60), width=max(1, int(r / 8)))
        for k in range(10):
            b = k * np.pi / 5
            pen.line([(x + q * r * np.cos(b), y + q * r * np.sin(b)) for q in (0.8, 1)], fill=(50, 50, 50))
        colour = (200, 30, 30) if rng.random() < 0.7 else (20, 20, 20)
        tip, back = (x + r * np.cos(a), y + r * np.sin(a)), r * 0.25
        pen.polygon([tip, (x - back * np.sin(a), y + back * np.cos(a)), (x + back * np.sin(a), y - back * np.cos(a))],
                    fill=colour)


def rows_of(rng, kind: int) -> tuple:
    """One to three rows in one window: picture, rows as x0, y0, x1, y1."""
    tall = 40.0
    if kind == 1:
        line = counter.counter(rng, tall)
        return line.picture, [line.row]
    make = display.lcd if rng.random() < 0.6 else display.led if rng.random() < 0.85 else display.screen
    count = int(rng.choice([1, 2, 3], p=[0.78, 0.15, 0.07]))
    seed, parts = int(rng.integers(0, 2**31)), []
    for _ in range(count):
        parts.append(make(np.random.default_rng(seed), texts.display(rng), tall))
    wide, y, rows, pictures = max(p.picture.shape[1] for p in parts), 0, [], []
    for p in parts:
        space = wide - p.picture.shape[1]
        pictures.append(np.pad(p.picture, ((0, 0), (space, 0), (0, 0)), mode="edge"))
        rows.append((p.row[0] + space, p.row[1] + y, p.row[2] + space, p.row[3] + y))
        y += p.picture.shape[0]
    return np.vstack(pictures), rows


def device(rng, kind: int) -> tuple:
    """A device with a display or counter, seen straight: picture, mask of the device, rows."""
    window, rows = rows_of(rng, kind)
    wh, ww = window.shape[:2]
    big = max(ww, wh)
    spread = rng.uniform(1.15, 2.6)
    w, h = int(big * spread), int(max(wh * 1.2, big * spread * rng.uniform(0.5, 1.1)))
    x, y = int((w - ww) * rng.uniform(0.2, 0.8)), int((h - wh) * rng.uniform(0.1, 0.8))
    base = paint.grey(rng, 10, 245, 15)
    if rng.random() < 0.2:
        base = rng.uniform(20, 230, 3).astype(np.float32)
    image, mask = Image.new("RGB", (w, h), tuple(int(v) for v in base)), Image.new("L", (w, h), 0)
    pen, cover = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    if kind == 1 and rng.random() < 0.65 or rng.random() < 0.08:
        x, y = (w - ww) // 2 + int(w * rng.uniform(-0.05, 0.05)), int(h * rng.uniform(0.2, 0.6) - wh / 2)
        r = np.hypot(w, h) / 2 * rng.uniform(0.85, 1.1)
        cover.ellipse([w / 2 - r, h / 2 - r, w / 2 + r, h / 2 + r], fill=255)
        face = tuple(int(v) for v in paint.grey(rng, 150, 250, 8)) if rng.random() < 0.75 else tuple(map(int, base))
        rim = r * rng.uniform(0.8, 0.95)
        pen.ellipse([w / 2 - rim, h / 2 - rim, w / 2 + rim, h / 2 + rim], fill=face)
    else:
        cover.rounded_rectangle([0, 0, w - 1, h - 1], int(min(w, h) * rng.uniform(0, 0.2)), fill=255)
        for _ in range(int(rng.integers(0, 7))):
            cx, cy, r = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(0.02, 0.09) * w
            colour = tuple(int(v) for v in paint.grey(rng, 0, 255, 40))
            shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
            shape([cx - r, cy - r * 0.6, cx + r, cy + r * 0.6], fill=colour)
    x, y = min(max(0, x), w - ww), min(max(0, y), h - wh)
    if kind == 1 and rng.random() < 0.75:
        dials(rng, pen, 0, y + wh, w, max(10, h - y - wh))
    if rng.random() < 0.5:
        t = int(rng.uniform(1, 10))
        pen.rectangle([x - t, y - t, x + ww + t, y + wh + t], fill=tuple(int(v) for v in paint.grey(rng, 0, 255)))
    picture = np.asarray(image, np.float32).copy()
    picture = prints(rng, picture, int(rng.integers(0, 8)), 0.03, 0.11, (x - 4, y - 4, x + ww + 4, y + wh + 4))
    if kind == 1 and rng.random() < 0.3:
        x0, y0, x1, y1 = map(int, rows[0])
        part = window[max(0, y0 - 4):y1 + 4, max(0, x0 - 6):x1 + 6]
        picture[y + max(0, y0 - 4):y + max(0, y0 - 4) + part.shape[0], x + max(0, x0 - 6):][:, :part.shape[1]] = part
    else:
        picture[y:y + wh, x:x + ww] = window
    return picture, np.asarray(mask, np.float32) / 255, [(a + x, b + y, c + x, d + y) for a, b, c, d in rows]


def placed(rng, row: tuple, kind: int) -> tuple:
    """Where a device comes to lie: scale, angle, shift of its first row's middle."""
    x0, y0, x1, y1 = row
    width = SIDE * float(np.exp(rng.uniform(np.log(0.13), np.log(0.85))))
    scale = min(width / (x1 - x0), SIDE * 0.34 / (y1 - y0))
    scale = max(scale, 7.0 / (y1 - y0))
    near = 0.5 if kind == 1 else 0.8
    angle = rng.normal(0, 0.12) if rng.random() < near else rng.uniform(0, 2 * np.pi)
    reach = min(0.42, 0.5 * scale * (x1 - x0) / SIDE)
    return scale, float(angle), rng.uniform(reach, 1 - reach, 2) * SIDE


def sample(seed: int, number: int) -> tuple:
    """Scene `number`: uint8 RGB 256 x 256 and its boxes as an array of (kind, x, y, width, height, angle).

    A box is a row of digits: 0 display or 1 counter, middle and size in pixels, direction of reading in radians
    (clockwise, 0 is to the right).
    """
    rng = np.random.default_rng([seed, 4, number])
    picture, boxes = clutter(rng, SIDE, SIDE), []
    if rng.random() < 0.93:
        kind = int(rng.random() < 0.5)
        thing, mask, rows = device(rng, kind)
        x0, y0, x1, y1 = rows[0]
        scale, angle, at = placed(rng, rows[0], kind)
        turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))]) * scale
        shear = np.eye(2) + rng.normal(0, 0.05, (2, 2))
        matrix, origin = turn @ shear, np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        back = np.linalg.inv(matrix)
        start = origin - back @ at
        numbers = (back[0, 0], back[0, 1], start[0], back[1, 0], back[1, 1], start[1])
        if scale < 0.7:
            thing = paint_blur(thing, 0.45 / scale)
        over, alpha = (np.asarray(Image.fromarray(np.clip(x, 0, 255).astype(np.uint8)).transform(
            (SIDE, SIDE), Image.AFFINE, numbers, Image.BILINEAR), np.float32) for x in (thing, mask * 255))
        picture = picture + (over - picture) * alpha[..., None] / 255
        for a, b, c, d in rows:
            middle = matrix @ (np.array([(a + c) / 2, (b + d) / 2]) - origin) + at
            along, down = matrix @ np.array([c - a, 0.0]), matrix @ np.array([0.0, d - b])
            boxes.append((kind, *middle, np.hypot(*along), np.hypot(*down), np.arctan2(along[1], along[0])))
    picture = camera.light(rng, picture)
    image = camera.sensor(rng, Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)), rng.uniform(0.4, 1.4))
    return np.asarray(image, np.uint8), np.array(boxes, np.float32).reshape(-1, 6)


def paint_blur(picture: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(camera.ImageFilter.GaussianBlur(float(radius))), np.float32)


def quarter(picture: np.ndarray, boxes: np.ndarray, turns: int) -> tuple:
    """The scene turned by `turns` quarters, clockwise."""
    boxes, side = boxes.copy(), picture.shape[0]
    for _ in range(turns % 4):
        picture = np.rot90(picture, -1)
        boxes[:, 1], boxes[:, 2] = side - 1 - boxes[:, 2], boxes[:, 1].copy()
        boxes[:, 5] += np.pi / 2
    return picture, boxes


def outlined(picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The scene with its boxes drawn; the side where reading begins is thick."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    pen = ImageDraw.Draw(image)
    for kind, x, y, w, h, angle in boxes:
        along = np.array([np.cos(angle), np.sin(angle)]) * w / 2
        down = np.array([-np.sin(angle), np.cos(angle)]) * h / 2
        c = [tuple(np.array([x, y]) + i * along + j * down) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        pen.line(c + c[:1], fill=(0, 255, 0) if kind == 0 else (255, 0, 255))
        pen.line([c[0], c[3]], fill=(255, 255, 0), width=3)
    return np.asarray(image)
