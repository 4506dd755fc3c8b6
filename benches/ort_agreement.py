#!/usr/bin/env python3
"""Hold the engine `ort` against the float engine: the same images, the same lines.

    benches/ort_agreement.py --program target/release/edge-ocr --library LIBONNXRUNTIME --data DATA --score SCORE.py
        [--provider cpu] [--only SET ...] [--limit N] [--threads 2]

Runs `edge-ocr eval` with both engines on the sets of `benches/floors.toml` that have a floor, on the first N images of each if given. A line of
the float engine agrees when the other engine has a line with the same text at the same place (the boxes share half of their
area). Both are scored with SCORE.py. Exit code 1 when less than 99.5 % of all lines agree, or a score differs by more than 0.3
points and by more than one image.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from support import paired

LEAST_SHARE, MOST_POINTS = 0.995, 0.3


def bounds(box):
    xs, ys = zip(*box)
    return min(xs), min(ys), max(xs), max(ys)


def at_same_place(a, b):
    """Whether two boxes share half of the area of both together."""
    (al, at, ar, ab), (bl, bt, br, bb) = bounds(a), bounds(b)
    shared = max(0, min(ar, br) - max(al, bl)) * max(0, min(ab, bb) - max(at, bt))
    both = (ar - al) * (ab - at) + (br - bl) * (bb - bt) - shared
    return shared * 2 >= both


def read(args, labels, flags):
    """Lines of each image."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as out:
        command = [args.program, "eval", str(labels), "--out", out.name, "--threads", args.threads, *flags]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        score = subprocess.run([sys.executable, args.score, str(labels), out.name], check=True, capture_output=True, text=True).stdout
        pages = [json.loads(line) for line in open(out.name, encoding="utf-8")]
    figures = {}
    for line in score.splitlines():
        images = int(re.search(r"images +([0-9]+)", line)[1])
        for name, value in re.findall(r"(word F1|exact) ([0-9.]+)", line):
            figures[f"{line.split()[0]} {name}"] = float(value), images
    return {page["image"]: page["lines"] for page in pages}, figures, sum(page["ms"] for page in pages) / max(len(pages), 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--score", required=True)
    parser.add_argument("--provider", default="cpu")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--threads", default="2")
    args = parser.parse_args()

    lines = agreed = 0
    failed = False
    print("| set | images | lines | agree | figure | tract | ort | ms an image, tract | ort |\n|---|---|---|---|---|---|---|---|---|")
    for name, floor in paired.sets(args.only):
        # Paths in it are relative to its folder.
        labels = args.data / floor["set"] / "labels.jsonl"
        flags = floor.get("flags", []) + (["--limit", str(args.limit)] if args.limit else [])
        float_lines, float_figures, float_ms = read(args, labels, ["--engine", "tract", *flags])
        ort = ["--engine", "ort", "--provider", args.provider, "--ort-library", args.library]
        ort_lines, ort_figures, ort_ms = read(args, labels, [*ort, *flags])
        here = same = 0
        for image, expected in float_lines.items():
            for line in expected:
                here += 1
                same += any(at_same_place(line["box"], other["box"]) and line["text"] == other["text"] for other in ort_lines.get(image, []))
        lines, agreed = lines + here, agreed + same
        for figure, (value, images) in float_figures.items():
            other, _ = ort_figures[figure]
            differs = abs(value - other) > max(MOST_POINTS / 100, 1.5 / images)
            failed |= differs
            print(f"| {name} | {len(float_lines)} | {here} | {same / max(here, 1):.4f} | {figure} | {value:.4f} | {other:.4f}"
                  f"{' (differs)' if differs else ''} | {float_ms:.0f} | {ort_ms:.0f} |", flush=True)
    share = agreed / max(lines, 1)
    failed |= share < LEAST_SHARE or lines == 0
    print(f"\n{lines} lines, {share:.4f} of them agree (asked {LEAST_SHARE})")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
