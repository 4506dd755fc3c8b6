"""A sheet of samples to look at."""
import numpy as np
from PIL import Image, ImageDraw


def sheet(pictures: list, texts: list, path: str, columns: int = 4, cell: tuple = (300, 62)) -> None:
    rows = (len(pictures) + columns - 1) // columns
    page = Image.new("RGB", (columns * cell[0], rows * cell[1]), (20, 20, 60))
    pen = ImageDraw.Draw(page)
    for i, (p, t) in enumerate(zip(pictures, texts)):
        x, y = i % columns * cell[0], i // columns * cell[1]
        image = Image.fromarray(np.asarray(p, np.uint8))
        image.thumbnail((cell[0] - 4, cell[1] - 14))
        page.paste(image, (x, y + 12))
        pen.text((x, y), t, fill=(255, 255, 0))
    page.save(path)
