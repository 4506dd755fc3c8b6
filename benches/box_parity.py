#!/usr/bin/env python3
"""How many of the reference's boxes have one of ours at the same place?

    benches/box_parity.py OURS.jsonl REFERENCE.jsonl [--images 20] [--iou 0.9]

Both files are predictions as `edge-ocr eval --scale reference` writes them: a line for each image with `lines`, each with a
`box` of four corners. Boxes of the reference whose text was left out by its score still are not in its file, so they do not
count. Needs shapely.
"""
import argparse
import json

from shapely.geometry import Polygon

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("ours")
parser.add_argument("reference")
parser.add_argument("--images", type=int, default=20)
parser.add_argument("--iou", type=float, default=0.9)
args = parser.parse_args()


def boxes(path):
    lines = (json.loads(line) for line in open(path, encoding="utf-8"))
    return {l["image"]: [Polygon(x["box"]).buffer(0) for x in l["lines"]] for l in lines}


def overlap(a, b):
    both = a.intersection(b).area
    return both / (a.area + b.area - both) if both else 0.0


ours, reference = boxes(args.ours), boxes(args.reference)
found = total = 0
for image in list(reference)[: args.images]:
    hits = [max((overlap(box, o) for o in ours.get(image, [])), default=0.0) >= args.iou for box in reference[image]]
    found, total = found + sum(hits), total + len(hits)
    if not all(hits):
        print(f"{image}: {sum(hits)} of {len(hits)}")
print(f"{found} of {total} boxes at IoU >= {args.iou}: {found / max(total, 1):.4f}")
