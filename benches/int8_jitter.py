#!/usr/bin/env python3
"""What INT8 costs on small sets: both engines on many variants of each image, none of which was calibrated on.

    benches/int8_jitter.py --program target/release/edge-ocr --data DATA --score SCORE.py
        [--only SET ...] [--variants 8] [--drawn 30] [--keep DIR] [--calibrated]

Needs Pillow (10.1 or newer) and numpy. A set of 35 images tells two lost ones from none no better than a coin. So each held-out image
is read as it is and in VARIANTS variants: moved and cut a little at its edges, scaled, brighter or darker, of more or less
contrast, as a JPEG of varying quality; the image's name and the variant's number alone decide which. An image that one
engine can read by a hair it then reads in some of its variants, and the difference is what the engines are apart.

Variants are not new images. The set `drawn-displays` is: seven-segment displays that `support/displays.py` draws, DRAWN of
them, each read as it is.

Figures are those of SCORE.py over all variants; the interval is that of the paired difference over images, all variants of
an image together (`support/paired.py`). Exit code 1 when a figure is worse than DESIGN allows and at most one resample in
twenty has no loss. With `--keep`, predictions are kept in DIR, and the float engine's are used again. `--calibrated` takes the images that were calibrated on instead: to choose by, never to report.
"""
import argparse
import hashlib
import io
import pathlib
import shutil
import sys
import tempfile
import tomllib

import numpy
from PIL import Image
from support import displays, paired

DRAWN = "drawn-displays"
# Each is drawn evenly from its range.
EDGE_CUT = (0.0, 0.04)  # of the side, at each edge
SCALE = (0.8, 1.25)
BRIGHTNESS = (0.75, 1.25)
CONTRAST = (0.8, 1.2)
JPEG_QUALITY = (50, 96)


def variant(path, number):
    """The bytes of an image's variant, as JPEG."""
    name = f"{path.parent.parent.name}/{path.name} {number}"
    dice = numpy.random.Generator(numpy.random.PCG64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")))
    image = Image.open(path).convert("RGB")
    left, top, right, bottom = dice.uniform(*EDGE_CUT, 4)
    width, height = image.size
    image = image.crop((round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height)))
    scale = dice.uniform(*SCALE)
    image = image.resize([max(8, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
    pixels = numpy.asarray(image, numpy.float64)
    mean = pixels.mean()
    pixels = ((pixels - mean) * dice.uniform(*CONTRAST) + mean) * dice.uniform(*BRIGHTNESS)
    image = Image.fromarray(numpy.clip(numpy.rint(pixels), 0, 255).astype(numpy.uint8))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=int(dice.integers(*JPEG_QUALITY)), subsampling=0)
    return out.getvalue()


def variants(labels, number, folder):
    """The labels with the images of one variant; those of number 0 are the images themselves."""
    chosen = []
    for label in labels:
        path = pathlib.Path(label["image"])
        out = folder / f"{path.stem}.{number}.jpg"
        if number > 0:
            folder.mkdir(parents=True, exist_ok=True)
            out.write_bytes(variant(path, number))
        chosen.append({**label, "original": path.name, "image": str(out if number > 0 else path)})
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--score", required=True)
    parser.add_argument("--only", nargs="*", default=["displays", "meters-digits", DRAWN])
    parser.add_argument("--variants", type=int, default=8)
    parser.add_argument("--drawn", type=int, default=30)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--calibrated", action="store_true")
    parser.add_argument("--threads", default="2")
    args = parser.parse_args()

    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    lost = checked = 0
    floors = tomllib.loads((paired.HERE.parent / "floors.toml").read_text())
    floors[DRAWN] = floors["displays"]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for name in args.only:
            floor = floors[name]
            drawn = name == DRAWN
            labels = displays.labels(args.drawn, scratch / "drawn") if drawn else paired.labels_of(args.data, floor["set"], args.calibrated)
            count = 1 if drawn else args.variants + 1
            flags = ["--threads", args.threads, *floor.get("flags", [])]
            varied, predictions = [], {engine: scratch / f"{name}.{engine}.jsonl" for engine in paired.ENGINES}
            for number in range(count):
                chosen = variants(labels, number, scratch / name / str(number))
                varied += chosen
                paired.write(scratch / "labels.jsonl", chosen)
                for engine in paired.ENGINES:
                    out = (args.keep or scratch) / f"{name}.{number}.{engine}.jsonl"
                    if engine == "arena" or not out.exists():
                        paired.read(args.program, scratch / "labels.jsonl", scratch / "part", engine, flags)
                        shutil.copy(scratch / "part", out)
                    with predictions[engine].open("a") as all_of_them:
                        all_of_them.write(out.read_text())
            whole, rest = paired.compare(args.score, varied, lambda label: label["original"], predictions)
            for key in whole["tract"]:
                for figure in paired.judged(name, floor, key, whole["tract"][key]):
                    difference = paired.Difference(whole, rest, key, figure)
                    checked += 1
                    lost += difference.lost
                    print(f"{name:16s} {key:15s} {difference.images:4d} images x {count}  {figure:8s} {difference}", flush=True)
    print(f"{checked} figures, {lost} lost")
    return int(lost > 0 or checked == 0)


sys.exit(main())
