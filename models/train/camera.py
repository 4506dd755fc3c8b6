"""What a camera makes of a drawn line: perspective, blur, noise, light, JPEG, and the size it is handed on with."""
import io

import numpy as np
from PIL import Image, ImageFilter

from . import paint

HEIGHT = 32


def quad(rng, line, tilt: float = 6.0, strong: float = 0.12) -> tuple:
    """Corners (x, y from the upper left, clockwise) of the part of the picture that is cut out as the line."""
    x0, y0, x1, y1 = line.row
    h = y1 - y0
    kind = rng.random()
    if kind < 0.8:
        up, down = rng.uniform(0.02, 0.35, 2)
    elif kind < 0.92:
        up, down = rng.uniform(0.2, 0.5, 2)
    else:
        up, down = rng.uniform(-0.06, 0.06, 2)
    left, right = rng.uniform(0.02, 0.6, 2) if rng.random() < 0.7 else rng.uniform(0.0, 0.15, 2)
    corners = np.array([(x0 - left * h, y0 - up * h), (x1 + right * h, y0 - up * h),
                        (x1 + right * h, y1 + down * h), (x0 - left * h, y1 + down * h)])
    middle = corners.mean(0)
    angle = np.radians(rng.normal(0, tilt / 2.5)) * min(1.0, 4 * h / (x1 - x0))
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    corners = (corners - middle) @ turn.T + middle
    if rng.random() < 0.6:
        corners += rng.uniform(-strong, strong, (4, 2)) * h * (1, 0.8)
    if rng.random() < 0.4:
        lean = rng.uniform(-0.15, 0.15) * h
        corners += [(lean, 0), (lean, 0), (-lean, 0), (-lean, 0)]
    return tuple(map(tuple, corners))


def perspective(source: list, size: tuple) -> list:
    """The eight numbers of Pillow's perspective transform from a w x h picture to the four corners."""
    w, h = size
    rows, right = [], []
    for (x, y), (u, v) in zip([(0, 0), (w, 0), (w, h), (0, h)], source):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return list(np.linalg.solve(np.array(rows, float), np.array(right, float)))


def cut(picture: np.ndarray, corners: tuple, size: tuple) -> np.ndarray:
    """The part inside the corners; what lies outside the picture is the nearest edge, as a camera would go on."""
    c = np.array(corners)
    h, w = picture.shape[:2]
    over = max(0, int(-c[:, 1].min()) + 2, int(c[:, 1].max() - h) + 2)
    aside = max(0, int(-c[:, 0].min()) + 2, int(c[:, 0].max() - w) + 2)
    padded = np.pad(picture, ((over, over), (aside, aside), (0, 0)), mode="edge")
    image = Image.fromarray(np.clip(padded, 0, 255).astype(np.uint8))
    numbers = perspective([(x + aside, y + over) for x, y in corners], size)
    return np.asarray(image.transform(size, Image.PERSPECTIVE, numbers, Image.BILINEAR), np.float32)


def light(rng, picture: np.ndarray) -> np.ndarray:
    """Uneven light, glare, scratches, dirt, on the thing itself."""
    shape = picture.shape[:2]
    if rng.random() < 0.7:
        picture = picture * (1 + rng.uniform(0, 0.7) * paint.slope(rng, shape))[..., None]
    if rng.random() < 0.35:
        picture = picture * (1 + rng.uniform(0, 0.35) * paint.smooth(rng, shape, int(rng.integers(2, 6))))[..., None]
    if rng.random() < 0.15:
        picture = paint.scratches(rng, picture, rng.uniform(0.1, 0.7))
    if rng.random() < 0.2:
        picture = paint.glare(rng, picture)
    if rng.random() < 0.12:
        haze = rng.uniform(0.1, 0.5)
        picture = picture * (1 - haze) + rng.uniform(60, 220) * haze
    return picture


def sensor(rng, image: Image.Image, scale: float) -> Image.Image:
    """Blur, motion, white balance, noise, sharpening, JPEG. `scale`: rows of the picture over 32."""
    kind = rng.random()
    soft = rng.uniform(0, 0.5) if kind < 0.4 else rng.uniform(0.3, 1.1) if kind < 0.9 else rng.uniform(1.0, 1.8)
    image = image.filter(ImageFilter.GaussianBlur(soft * scale))
    if rng.random() < 0.08:
        wide = max(3, int(2 * scale * rng.uniform(0.5, 1.5)) * 2 + 1)
        image = image.filter(ImageFilter.BoxBlur((wide / 4, 0) if rng.random() < 0.6 else (0, wide / 4)))
    x = np.asarray(image, np.float32)
    gain = rng.uniform(0.75, 1.2) * (1 + rng.normal(0, 0.06, 3))
    x = x * gain.astype(np.float32) + rng.normal(0, 8)
    if rng.random() < 0.3:
        x = 255 * (np.clip(x, 0, 255) / 255) ** rng.uniform(0.6, 1.6)
    if rng.random() < 0.12:
        x = np.repeat(x.mean(2, keepdims=True), 3, 2)
    noise = rng.uniform(0.3, 4) if rng.random() < 0.8 else rng.uniform(3, 12)
    if rng.random() < 0.5:
        x = x + rng.normal(0, noise, x.shape[:2] + (1,)).astype(np.float32)
    else:
        x = x + rng.normal(0, noise, x.shape).astype(np.float32)
    image = Image.fromarray(np.clip(x, 0, 255).astype(np.uint8))
    if rng.random() < 0.25:
        radius, percent = rng.uniform(0.6, 2.5) * max(1, scale), int(rng.uniform(60, 350))
        image = image.filter(ImageFilter.UnsharpMask(radius, percent, 0))
    if rng.random() < 0.75:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=int(rng.uniform(30, 95)))
        image = Image.open(data).convert("RGB")
    return image


def linear(image: Image.Image, size: tuple) -> Image.Image:
    """Bilinear between the nearest pixels however much the picture shrinks, as edge-ocr (and OpenCV) resizes."""
    across, down = image.width / size[0], image.height / size[1]
    return image.transform(size, Image.AFFINE, (across, 0, 0, 0, down, 0), Image.BILINEAR)


def take(rng, line, stretch: float) -> np.ndarray:
    """A line as the reader gets it: 32 rows, `stretch` times wider than it is, uint8 RGB."""
    corners = quad(rng, line)
    c = np.array(corners)
    wide = (np.linalg.norm(c[1] - c[0]) + np.linalg.norm(c[2] - c[3])) / 2
    tall = (np.linalg.norm(c[3] - c[0]) + np.linalg.norm(c[2] - c[1])) / 2
    rows = int(np.exp(rng.uniform(np.log(20), np.log(140))))
    size = (max(8, round(wide * rows / tall)), rows)
    full = (max(8, round(wide)), max(8, round(tall)))
    picture = cut(light(rng, line.picture), corners, full if rows < tall * 0.75 else size)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    if image.size != size:
        image = image.resize(size, Image.BOX if rng.random() < 0.5 else Image.BILINEAR)
    image = sensor(rng, image, rows / HEIGHT)
    final = (max(16, round(size[0] * HEIGHT / rows * stretch)), HEIGHT)
    small = linear(image, final) if rng.random() < 0.6 else image.resize(final, Image.BILINEAR)
    return np.asarray(small, np.uint8)
