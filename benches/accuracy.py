#!/usr/bin/env python3
"""Hold the program's accuracy against stored floors.

    benches/accuracy.py --program target/release/edge-ocr --data DATA --score SCORE.py [--only SET ...] [--all] [--reference]
        [--tier tiny|small|cascade] [--intervals] [--beside tiny|small|cascade]

Runs `edge-ocr eval` on each labelled set of DATA, scores it with SCORE.py and compares with `benches/floors.toml`, which
are RapidOCR's figures on the same images less what is allowed. Exit code 1 when a floor is missed. `--reference` runs
RapidOCR's scale rule instead of the default.

`--all` adds the sets that have no floor (meters and displays, which `score_digits.py` beside SCORE.py scores). `--intervals` adds the
interval of 95 % of each figure, by a bootstrap over images. `--beside` reads with a second tier, too, and adds by how much the
figure is better than that tier's (CER: higher), with the interval of this difference, as both read the same images
(`support/paired.py`).
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from support import paired

TIERS = ["tiny", "small", "cascade"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--score", required=True, type=pathlib.Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--tier", choices=TIERS)
    parser.add_argument("--intervals", action="store_true")
    parser.add_argument("--beside", choices=TIERS)
    parser.add_argument("--threads", default="2")
    args = parser.parse_args()

    missed = checked = 0
    for name, floor in paired.sets(args.only, args.all):
        labels = args.data / floor["set"] / "labels.jsonl"
        script = paired.script_of(args.score, floor)
        flags = floor.get("flags", []) + (["--scale", "reference"] if args.reference else [])
        with tempfile.TemporaryDirectory() as scratch:
            predictions = {}
            for reading, tier in {"ours": args.tier, **({"beside": args.beside} if args.beside else {})}.items():
                predictions[reading] = f"{scratch}/{reading}.jsonl"
                which = ["--tier", tier] if tier else []
                command = [args.program, "eval", labels, "--out", predictions[reading], "--threads", args.threads, *which, *flags]
                subprocess.run(command, check=True)
            rest = []
            if args.intervals or args.beside:
                entries = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()]
                whole, rest = paired.compare(script, entries, lambda label: label["image"], predictions)
            else:
                whole = {"ours": paired.score(script, labels, predictions["ours"])}
        for key, figure, least in paired.figures_of(floor):
            if key not in whole["ours"]:
                continue
            figures = whole["ours"][key]
            checked += 1
            right = least is None or figures[figure] >= least
            missed += not right
            said = [f"{name:16s} {key:15s} {figure:8s} {figures[figure]:.4f}"]
            if args.intervals:
                value = paired.Value(whole, rest, key, figure, "ours")
                said.append(f"[{value.low:.4f}, {value.high:.4f}]")
            if args.beside:
                by = paired.Difference(whole, rest, key, figure, ("beside", "ours"))
                said.append(f"{args.beside} {by.first:.4f} {by.by:+.4f} [{by.low:+.4f}, {by.high:+.4f}]")
            said.append("no floor    " if least is None else f"floor {least:.4f}")
            said += [f"mean {figures.get('mean', 0):7.1f} ms", "ok" if right else "MISSED"]
            print("  ".join(said), flush=True)
    print(f"{checked} figures, {missed} missed")
    return int(missed > 0 or checked == 0)


sys.exit(main())
