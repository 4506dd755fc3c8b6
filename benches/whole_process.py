#!/usr/bin/env python3
"""Whole-process time and peak memory of `edge-ocr read` beside RapidOCR on the same images.

    benches/whole_process.py --program target/release/edge-ocr --python PYTHON_WITH_RAPIDOCR [--runs 3] IMAGE ...

Both read all the images in one process, with two threads, start and model loading included. The two take turns; medians are
printed, and the medians of the ratios run by run. A run counts only if both found text in every image.
"""
import argparse
import os
import statistics
import subprocess
import time

RAPIDOCR = """
import sys, cv2
from rapidocr import RapidOCR
ocr = RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": 2, "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                       "Global.log_level": "error"})
for name in sys.argv[1:]:
    result = ocr(cv2.imread(name))
    print("==>", name, "<==", *(result.txts or ()), sep="\\n")
"""


def run(command):
    """Seconds, peak resident MB and output of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{command[0]} ended with {status}"
    return time.perf_counter() - start, usage.ru_maxrss / 1024, output


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--program", required=True)
parser.add_argument("--python", required=True)
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("images", nargs="+")
args = parser.parse_args()

ours, theirs = [], []
for _ in range(args.runs):
    for figures, command in ((ours, [args.program, "read", "--threads", "2", *args.images]),
                             (theirs, [args.python, "-c", RAPIDOCR, *args.images])):
        seconds, megabytes, output = run(command)
        assert len(output) > 2 * len(args.images), "no text was read"
        figures.append((seconds, megabytes))
for name, figures in (("edge-ocr", ours), ("RapidOCR", theirs)):
    print(f"{name}: {statistics.median(f[0] for f in figures):.2f} s, {statistics.median(f[1] for f in figures):.0f} MB")
for what, i in (("time", 0), ("memory", 1)):
    print(f"{what} ratio: {statistics.median(a[i] / b[i] for a, b in zip(ours, theirs)):.3f}")
