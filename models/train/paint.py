"""Small pieces of painting that the generators share. Pictures are float32 arrays, 0 to 255, H x W x 3; masks H x W."""
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from . import fonts, texts


def blur(mask: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian blur of a mask with values 0 to 255."""
    if radius < 0.2:
        return mask
    image = Image.fromarray(np.clip(mask, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(float(radius))), np.float32)


def shift(mask: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """The mask moved down and to the right; what comes in is 0."""
    out = np.zeros_like(mask)
    h, w = mask.shape
    out[max(0, dy):h + min(0, dy), max(0, dx):w + min(0, dx)] = \
        mask[max(0, -dy):h + min(0, -dy), max(0, -dx):w + min(0, -dx)]
    return out


def smooth(rng, shape: tuple, cells: int) -> np.ndarray:
    """Noise without detail, about -1 to 1: `cells` x `cells` random values, enlarged."""
    small = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32), "F")
    return np.asarray(small.resize((shape[1], shape[0]), Image.BICUBIC), np.float32)


def slope(rng, shape: tuple) -> np.ndarray:
    """A plane from -0.5 to 0.5 in a random direction."""
    h, w = shape
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.linspace(-0.5, 0.5, h, dtype=np.float32)[:, None], np.linspace(-0.5, 0.5, w, dtype=np.float32)[None]
    return (np.cos(angle) * x + np.sin(angle) * y).astype(np.float32)


def mix(picture: np.ndarray, colour, alpha: np.ndarray) -> np.ndarray:
    """Lays a colour over the picture, as opaque as `alpha` (0 to 1)."""
    return picture + (np.asarray(colour, np.float32) - picture) * alpha[..., None]


def grey(rng, low: float, high: float, tint: float = 12.0) -> np.ndarray:
    """A nearly grey colour."""
    return np.clip(rng.uniform(low, high) + rng.normal(0, tint, 3), 0, 255).astype(np.float32)


def label(rng, height: float, text: str | None = None) -> np.ndarray:
    """Print of a given height as a mask, 0 to 1."""
    path = fonts.files("wheel")[int(rng.integers(0, len(fonts.files("wheel"))))]
    parts = [np.asarray(fonts.glyph(path, c), np.float32) for c in (text or texts.words(rng)) if c != " "]
    tall = max(p.shape[0] for p in parts)
    parts = [np.pad(p, ((tall - p.shape[0], 0), (0, 8))) for p in parts]
    image = Image.fromarray(np.hstack(parts).astype(np.uint8))
    scale = height / fonts.HEIGHT
    size = (max(2, round(image.width * scale)), max(2, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.BOX), np.float32) / 255


def stamp(target: np.ndarray, mask: np.ndarray, x: int, y: int, level: float = 1.0) -> None:
    """Adds a mask to a larger one at (x, y), cut at the edges, as a maximum."""
    h, w = target.shape
    x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + mask.shape[1]), min(h, y + mask.shape[0])
    if x1 > x0 and y1 > y0:
        part = mask[y0 - y:y1 - y, x0 - x:x1 - x] * level
        target[y0:y1, x0:x1] = np.maximum(target[y0:y1, x0:x1], part)


def scratches(rng, picture: np.ndarray, strength: float) -> np.ndarray:
    """Thin lines and specks."""
    h, w = picture.shape[:2]
    image = Image.new("L", (w, h), 0)
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 6))):
        x, y, a, r = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(0, np.pi), rng.uniform(3, h)
        pen.line([(x, y), (x + r * np.cos(a), y + r * np.sin(a))], fill=int(rng.integers(60, 255)), width=1)
    for _ in range(int(rng.integers(0, 12))):
        x, y, r = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(0.5, 0.025 * h + 0.6)
        pen.ellipse([x - r, y - r, x + r, y + r], fill=int(rng.integers(60, 255)))
    return mix(picture, grey(rng, 0, 255), np.asarray(image, np.float32) / 255 * strength)


def glare(rng, picture: np.ndarray) -> np.ndarray:
    """A bright spot or streak, as of a lamp on glass."""
    h, w = picture.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    a, cx, cy = rng.uniform(0, np.pi), rng.uniform(0, w), rng.uniform(-0.2 * h, 1.2 * h)
    along, across = (x - cx) * np.cos(a) + (y - cy) * np.sin(a), (y - cy) * np.cos(a) - (x - cx) * np.sin(a)
    long = h * rng.uniform(0.1, 0.5) * (rng.uniform(1, 8) if rng.random() < 0.5 else 1)
    power = rng.choice([2, 4, 8])
    spot = np.exp(-(np.abs(along / long) ** power + np.abs(across / (h * rng.uniform(0.08, 0.4))) ** power))
    return mix(picture, (255, 255, 255), spot * rng.uniform(0.1, 0.75))
