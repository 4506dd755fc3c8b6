#!/usr/bin/env python3
"""What INT8 costs: both engines on the same images, none of which was calibrated on.

    benches/int8_loss.py --program target/release/edge-ocr --data DATA --score SCORE.py [--keep DIR] [--only SET ...] [--all]
        [--tier tiny|small|cascade]

Runs `edge-ocr eval` with each engine on the sets of `benches/floors.toml` without the images of `quantize/calibration/`,
scores both with SCORE.py (or with what `floors.toml` says, in the same folder) and holds the difference against DESIGN's limits.
`--all` adds the sets that have no floor. With `--keep` the float engine's predictions are kept in DIR and used again, those
of each tier by themselves. `--tier` is given to both engines; the float one needs the ONNX files of its networks in `models/`.

The sets are small: of 35 images one is three points. So the interval of 95 % of each difference is that over images, as
both engines read the same ones (`support/paired.py`), and a figure is lost when it is worse than its limit and at most one
resample in twenty has no loss. Then the exit code is 1. Other figures beyond the limit are marked; `int8_jitter.py` reads such
a set in many variants and is the judge of it.
"""
import argparse
import pathlib
import sys
import tempfile

from support import paired


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--score", required=True)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--tier", choices=["tiny", "small", "cascade"])
    parser.add_argument("--threads", default="2")
    args = parser.parse_args()
    tier = ["--tier", args.tier] if args.tier else []

    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    lost = checked = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, floor in paired.sets(args.only, args.all):
            labels = paired.labels_of(args.data, floor["set"])
            chosen, predictions = pathlib.Path(scratch) / f"{name}.labels.jsonl", {}
            paired.write(chosen, labels)
            for engine in paired.ENGINES:
                folder = args.keep if args.keep and engine == "tract" else pathlib.Path(scratch)
                predictions[engine] = folder / f"{'.'.join([name, *tier[1:], engine])}.jsonl"
                if not predictions[engine].exists():
                    flags = ["--threads", args.threads, *tier, *floor.get("flags", [])]
                    paired.read(args.program, chosen, predictions[engine], engine, flags)
            whole, rest = paired.compare(paired.script_of(args.score, floor), labels, lambda label: label["image"], predictions)
            for key in whole["tract"]:
                for figure in paired.judged(name, floor, key, whole["tract"][key]):
                    difference = paired.Difference(whole, rest, key, figure)
                    checked += 1
                    lost += difference.lost
                    times = [whole[engine][key].get("mean", 0) for engine in paired.ENGINES]
                    print(f"{name:16s} {key:15s} {difference.images:4d} images  {figure:8s} {difference}  ms {times[0]:.0f} {times[1]:.0f}", flush=True)
    print(f"{checked} figures, {lost} lost")
    return int(lost > 0 or checked == 0)


sys.exit(main())
