#!/usr/bin/env python3
"""Hold the program's accuracy against stored floors.

    benches/accuracy.py --program target/release/edge-ocr --data DATA --score SCORE.py [--only SET ...] [--reference]

Runs `edge-ocr eval` on each labelled set of DATA, scores it with SCORE.py and compares with `benches/floors.toml`, which
are RapidOCR's figures on the same images less what is allowed. Exit code 1 when a floor is missed. `--reference` runs
RapidOCR's scale rule instead of the default.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--program", required=True)
parser.add_argument("--data", required=True, type=pathlib.Path)
parser.add_argument("--score", required=True, type=pathlib.Path)
parser.add_argument("--only", nargs="*")
parser.add_argument("--reference", action="store_true")
parser.add_argument("--threads", default="2")
args = parser.parse_args()

missed = checked = 0
for name, floor in tomllib.loads((HERE / "floors.toml").read_text()).items():
    if args.only and name not in args.only:
        continue
    labels = args.data / floor["set"] / "labels.jsonl"
    flags = floor.get("flags", []) + (["--scale", "reference"] if args.reference else [])
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as out:
        subprocess.run([args.program, "eval", str(labels), "--out", out.name, "--threads", args.threads, *flags], check=True)
        text = subprocess.run([sys.executable, str(args.score), str(labels), out.name], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        key = line.split()[0]
        figures = {k: float(v) for k, v in re.findall(r"(word F1|exact|CER|mean) ([0-9.]+)", line)}
        for figure, least in floor.get("at_least", {}).get(key, {}).items():
            checked += 1
            right = figures[figure] >= least
            missed += not right
            print(f"{name:16s} {key:15s} {figure:8s} {figures[figure]:.4f}  floor {least:.4f}  mean {figures.get('mean', 0):7.1f} ms  {'ok' if right else 'MISSED'}", flush=True)
print(f"{checked} figures, {missed} missed")
sys.exit(missed > 0 or checked == 0)
