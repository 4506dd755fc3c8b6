"""The photographs that may be trained on: train_wheels and train_segdigits (both Apache-2.0)."""
import functools
import json
import os
import pathlib

import numpy as np
from PIL import Image

from .display import Line


def data() -> pathlib.Path:
    """Folder of the data sets: `$EDGE_OCR_DATA`."""
    return pathlib.Path(os.environ.get("EDGE_OCR_DATA", "../shared/data"))


def records(name: str) -> list:
    if not (data() / name / "labels.jsonl").is_file():
        raise SystemExit(f"no data set {name} in {data()}; set EDGE_OCR_DATA")
    with open(data() / name / "labels.jsonl", encoding="utf-8") as file:
        return [json.loads(x) for x in file if x.strip()]


def picture(name: str, record: dict) -> Image.Image:
    return Image.open(data() / name / record["image"]).convert("RGB")


@functools.cache
def wheels() -> dict:
    """Device to (picture, value), in the order of the label file."""
    out = {}
    for r in records("train_wheels"):
        out.setdefault(r["device"], []).append((np.asarray(picture("train_wheels", r)), float(r["value"])))
    return out


@functools.cache
def segdigits() -> list:
    """(picture, digit), those with nothing shown left out."""
    return [(np.asarray(picture("train_segdigits", r)), r["text"]) for r in records("train_segdigits") if r["text"]]


def joined(rng, parts: list, tall: float, space: float) -> np.ndarray:
    """Pictures side by side, all of one height, with a flat gap of the neighbours' colour."""
    h, out = int(tall), []
    for i, p in enumerate(parts):
        image = Image.fromarray(p).resize((max(4, round(p.shape[1] * h / p.shape[0])), h), Image.BILINEAR)
        x = np.asarray(image, np.float32)
        if i and space >= 1:
            out.append(np.broadcast_to((out[-1][:, -1:] + x[:, :1]) / 2, (h, int(space), 3)))
        out.append(x)
    return np.hstack(out)


def line(rng, tall: float) -> Line:
    """Wheels or digits of one device side by side."""
    n = int(rng.integers(3, 8))
    if rng.random() < 0.75:
        # The commas of this display are in some of its pictures and in no label.
        device = str(rng.choice([d for d in wheels() if d != "metrona_lcd"]))
        pool = wheels()[device]
        picks = []
        while len(picks) < n:
            image, value = pool[int(rng.integers(0, len(pool)))]
            off = abs(value - round(value))
            if off < 0.25 or (len(picks) == n - 1 and off < 0.45):
                picks.append((image, str(round(value) % 10)))
        rows = (0.0, 1.0)
    else:
        pool = segdigits()
        light = [pool[int(rng.integers(0, len(pool)))] for _ in range(40)]
        light.sort(key=lambda p: p[0].mean())
        at = int(rng.integers(0, 40 - n))
        picks = light[at:at + n]
        picks = [picks[i] for i in rng.permutation(n)]
        rows = (0.05, 0.95)
    strip = joined(rng, [p for p, _ in picks], tall, tall * rng.uniform(0, 0.12))
    h, w = strip.shape[:2]
    return Line(strip, "".join(t for _, t in picks), (0, rows[0] * h, w, rows[1] * h), w / n)
