#!/usr/bin/env python3
"""What INT8 costs: both engines on the same pictures, none of which was calibrated on.

    benches/int8_loss.py --program target/release/edge-ocr --data DATA --score SCORE.py [--keep DIR] [--only SET ...]

Runs `edge-ocr eval` with each engine on the sets of `benches/floors.toml` without the pictures of `quantize/calibration/`,
scores both with SCORE.py and holds the difference against the limits below. With `--keep` the float engine's predictions are
kept in DIR and used again. What is beyond DESIGN's limits is marked. The sets are small, so the exit code is 1 only when
more is lost than a point and than two pictures make up.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
# At most this much worse than float: DESIGN's figures.
LIMITS = {"word F1": -0.010, "exact": -0.010, "CER": 0.003}
# The error rate of characters means something where a picture is a line.
LINES = ("words", "meters-digits")
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--program", required=True)
parser.add_argument("--data", required=True, type=pathlib.Path)
parser.add_argument("--score", required=True)
parser.add_argument("--keep", type=pathlib.Path)
parser.add_argument("--only", nargs="*")
parser.add_argument("--threads", default="2")
args = parser.parse_args()

calibrated = set()
for path in (HERE.parent / "quantize/calibration").glob("*.txt"):
    lines = (line for line in path.read_text().splitlines() if not line.startswith("#"))
    calibrated |= {str((args.data / line.split("\t")[0]).resolve()) for line in lines}


def score(labels, predictions):
    """The figures of each key."""
    text = subprocess.run([sys.executable, args.score, labels, predictions], check=True, capture_output=True, text=True).stdout
    figures = {}
    for line in text.splitlines():
        figures[line.split()[0]] = {k: float(v) for k, v in re.findall(r"(word F1|exact|CER|mean) ([0-9.]+)", line)}
    return figures


exceeded = checked = 0
with tempfile.TemporaryDirectory() as scratch:
    for name, floor in tomllib.loads((HERE / "floors.toml").read_text()).items():
        if args.only and name not in args.only:
            continue
        folder = (args.data / floor["set"]).resolve()
        labels = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines() if line.strip()]
        for label in labels:
            label["image"] = str((folder / label["image"]).resolve())
        labels = [label for label in labels if label["image"] not in calibrated]
        chosen = pathlib.Path(scratch) / f"{name}.labels.jsonl"
        chosen.write_text("".join(json.dumps(label) + "\n" for label in labels))
        figures = {}
        for engine in ("tract", "arena"):
            out = (args.keep if args.keep and engine == "tract" else pathlib.Path(scratch)) / f"{name}.{engine}.jsonl"
            if not out.exists():
                flags = ["--engine", engine, "--threads", args.threads, "--memory", "large", *floor.get("flags", [])]
                subprocess.run([args.program, "eval", str(chosen), "--out", str(out), *flags], check=True)
            figures[engine] = score(str(chosen), str(out))
        for key in figures["tract"]:
            for figure, limit in LIMITS.items():
                if figure not in floor.get("at_least", {}).get(key, {}) and not (figure == "CER" and name in LINES):
                    continue
                was, now = (figures[engine][key].get(figure, 0.0) for engine in ("tract", "arena"))
                worse = now - was < limit if limit < 0 else now - was > limit
                checked += 1
                exceeded += worse and abs(now - was) > max(0.010, 2.001 / len(labels))
                times = [figures[engine][key].get("mean", 0) for engine in ("tract", "arena")]
                print(f"{name:16s} {key:15s} {len(labels):4d} pictures  {figure:8s} float {was:.4f}  int8 {now:.4f}  {now - was:+.4f}  {'TOO MUCH' if worse else 'ok':8s} ms {times[0]:.0f} {times[1]:.0f}", flush=True)
print(f"{checked} figures, {exceeded} beyond a point and two pictures")
sys.exit(exceeded > 0 or checked == 0)
