"""Reads a folder of cut-out pictures with an exported network; writes the form that score_digits.py takes."""
import json
import pathlib

import numpy as np
from PIL import Image

from . import camera, export, find, line_reader, nets


def line_picture(image: Image.Image, stretch: float, rows: int = 32) -> np.ndarray:
    """32 rows, `stretch` times wider than it is."""
    width = max(16, round(image.width * rows / image.height * stretch))
    return np.asarray(camera.linear(image, (width, rows)), np.uint8)


def certainty(scores: np.ndarray) -> tuple:
    """Text, the lowest of its characters' highest probabilities, the median distance of neighbouring digits in steps."""
    best = scores.argmax(1)
    text, sure, places, at = "", [], [], 0
    while at < len(best):
        end = at
        while end + 1 < len(best) and best[end + 1] == best[at]:
            end += 1
        if best[at]:
            text += line_reader.lines.CLASSES[best[at] - 1]
            sure.append(float(scores[at:end + 1, best[at]].max()))
            if text[-1].isdigit():
                places.append((at + end) / 2)
        at = end + 1
    return text, min(sure, default=0.0), float(np.median(np.diff(places))) if len(places) > 1 else 0.0


def read_line(run, image: Image.Image, stretches: list, pitch: float = 0.0) -> dict:
    """The most certain of the readings at several widths. With `pitch`, each is read once more at the width at which
    its digits stand so many columns apart, and that reading counts."""
    found = []
    for stretch in stretches:
        for _ in range(2 if pitch else 1):
            scores = run.run(None, {"x": nets.planes(line_picture(image, stretch)[None]).numpy()})[0][0]
            text, sure, steps = certainty(scores)
            one = (sure * (0.5 if "x" in text else 1), stretch, text)
            stretch = float(np.clip(stretch * pitch / (4 * steps), 0.7, 3.5)) if steps else stretch
        found.append(one)
    sure, stretch, text = max(found)
    return {"text": text, "confidence": round(sure, 4), "stretch": round(stretch, 2)}


def read_wheel(run, image: Image.Image, tenths: bool) -> dict:
    """The nearest digit, or digit and tenth, from the likeliest state and its neighbours."""
    picture = np.asarray(camera.linear(image, (20, 32)), np.uint8)
    p = run.run(None, {"x": nets.planes(picture[None]).numpy()})[0][0]
    value = mean_state(p)
    text = str(round(value) % 10) if not tenths else f"{value:.1f}" if value < 9.95 else "0.0"
    return {"text": text, "confidence": round(float(p.max()), 4)}


def picture_for_finder(image: Image.Image, side: int) -> tuple:
    """The picture with its longer side at most `side`, padded with grey to multiples of 32, and the scale."""
    scale = side / max(image.size)
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.BILINEAR)
    x = np.asarray(small, np.uint8)
    pads = [(0, -n % 32) for n in x.shape[:2]]
    return np.pad(x, pads + [(0, 0)], constant_values=128), scale


def read_scene(finder, run, image: Image.Image, side: int, stretches: list, pitch: float, most: int = 3) -> list:
    """Rows that the finder finds, read by the line reader, the most certain first."""
    picture, scale = picture_for_finder(image, side)
    y = finder.run(None, {"x": nets.planes(picture[None]).numpy()})[0][0]
    out = []
    for box in find.boxes(y)[:most]:
        grow = 0.12
        quad = find.corners(box, grow) / scale
        height = box[5] * (1 + 2 * grow) / scale
        size = (max(16, round((box[4] + 2 * grow * box[5]) / scale * 64 / height)), 64)
        strong = max(1, int(height / 96))
        source = image.reduce(strong) if strong > 1 else image
        cut = camera.cut(np.asarray(source, np.float32), tuple(map(tuple, quad / strong)), size)
        line = read_line(run, Image.fromarray(cut.astype(np.uint8)), stretches, pitch)
        out.append(line | {"box": [[round(float(v), 1) for v in p] for p in quad], "found": round(box[0], 3),
                           "kind": ("display", "counter")[box[1]]})
    return out


def mean_state(p: np.ndarray) -> float:
    """The value, 0 to 10, of probabilities of the 20 states: the centre of the best and its neighbours."""
    best = int(p.argmax())
    weights = p[[(best - 1) % 20, best, (best + 1) % 20]]
    return (best + float(weights @ [-1, 0, 1]) / float(weights.sum())) / 2 % 10


def folder(options) -> None:
    run, root = export.session(options.onnx), pathlib.Path(options.data)
    reader = export.session(options.reader) if options.network == "finder" else None
    stretches = [float(s) for s in options.stretch.split(",")]
    with open(root / "labels.jsonl", encoding="utf-8") as file, open(options.out, "w", encoding="utf-8") as out:
        for record in map(json.loads, filter(str.strip, file)):
            image = Image.open(root / record["image"]).convert("RGB")
            if options.network == "finder":
                got = read_scene(run, reader, image, options.side, stretches, options.pitch)
            elif options.network == "line":
                got = [read_line(run, image, stretches, options.pitch)]
            else:
                got = [read_wheel(run, image, options.tenths)]
            out.write(json.dumps({"image": record["image"], "lines": got}) + "\n")
