"""Drawn seven-segment displays, as many as are wanted: large digits, which the detector finds worst, and nobody's images.

They are for choosing by and for proof of a loss: no calibration list holds them, and none of the labelled displays is like
another. The number of an image alone decides what it shows. Needs Pillow (10.1 or newer, with FreeType) and numpy.
"""
import numpy
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 2048, 1152
SEGMENTS = {"0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "6": "afgedc", "7": "abc", "8": "abcdefg", "9": "abcdfg"}


def digit(canvas, character, x, y, w, h, thick, slant, fill):
    """One digit whose upper left corner is at x, y."""
    gap, half = thick * 0.15, thick / 2

    def flat(at):
        return [(half + gap, at), (thick + gap, at - half), (w - thick - gap, at - half), (w - half - gap, at), (w - thick - gap, at + half), (thick + gap, at + half)]

    def tall(at, top, end):
        return [(at, top + gap), (at + half, top + half + gap), (at + half, end - half - gap), (at, end - gap), (at - half, end - half - gap), (at - half, top + half + gap)]

    shapes = {
        "a": flat(half), "g": flat(h / 2), "d": flat(h - half),
        "f": tall(half, half, h / 2), "e": tall(half, h / 2, h - half), "b": tall(w - half, half, h / 2), "c": tall(w - half, h / 2, h - half),
    }
    for segment in SEGMENTS[character]:
        canvas.polygon([(x + px + slant * (h - py), y + py) for px, py in shapes[segment]], fill=fill)


def draw(number):
    """An image and the whole part of the number that it shows."""
    dice = numpy.random.Generator(numpy.random.PCG64(1000 + number))
    ground = numpy.array([dice.integers(120, 200), dice.integers(130, 205), dice.integers(110, 180)])
    dark = ground * dice.uniform(0.15, 0.45)

    def colour(values):
        return tuple(int(v) for v in values)

    image = Image.new("RGB", (WIDTH, HEIGHT), colour(ground * 0.6))
    canvas = ImageDraw.Draw(image)
    left, top = int(dice.uniform(0, 0.12) * WIDTH), int(dice.uniform(0, 0.12) * HEIGHT)
    canvas.rectangle([left, top, WIDTH - left, HEIGHT - top], fill=colour(ground))
    whole = str(dice.integers(1, 10 ** int(dice.integers(2, 4))))
    text = f"{whole}.{dice.integers(0, 100):02d}"
    count = len(text) - 1
    h = dice.uniform(0.25, 0.5) * HEIGHT
    w = h * dice.uniform(0.45, 0.6)
    thick = h * dice.uniform(0.1, 0.17)
    pitch = w * dice.uniform(1.2, 1.4)
    fits = min(1, (WIDTH - 2 * left - 80) / (count * pitch + 0.1 * h))
    h, w, thick, pitch = h * fits, w * fits, thick * fits, pitch * fits
    x = dice.uniform(left + 30, max(left + 31, WIDTH - left - count * pitch - 0.1 * h - 30))
    lowest = HEIGHT - top - h - 200
    y = dice.uniform(top + 20, lowest) if lowest > top + 20 else top + 20
    slant = dice.uniform(0, 0.1)
    for character in text:
        if character == ".":
            canvas.ellipse([x - pitch + w + thick * 0.2, y + h - thick, x - pitch + w + thick * 1.2, y + h], fill=colour(dark))
        else:
            digit(canvas, character, x, y, w, h, thick, slant, colour(dark))
            x += pitch
    font = ImageFont.load_default(size=int(dice.uniform(90, 170)))
    canvas.text((dice.uniform(0.25, 0.45) * WIDTH, min(y + h + 20, HEIGHT - 180)), "LITRES", fill=colour(dark), font=font)
    image = image.rotate(dice.uniform(-3, 3), Image.Resampling.BICUBIC, fillcolor=colour(ground * 0.5))
    pixels = numpy.asarray(image.filter(ImageFilter.GaussianBlur(dice.uniform(1, 4))), float)
    pixels = pixels * numpy.linspace(dice.uniform(0.7, 1), dice.uniform(0.7, 1), WIDTH)[None, :, None]
    pixels += dice.normal(0, dice.uniform(2, 8), pixels.shape)
    return Image.fromarray(numpy.clip(pixels, 0, 255).astype("uint8")), whole, int(dice.integers(60, 92))


def labels(count, folder):
    """Draws into a folder; gives labels as those of a set."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for number in range(count):
        image, whole, quality = draw(number)
        path = folder / f"s{number:02d}.jpg"
        image.save(path, quality=quality)
        drawn.append({"image": str(path), "text": whole, "compare": "integer_part"})
    return drawn
