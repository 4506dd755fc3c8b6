#!/usr/bin/env python3
"""Read a whole folder of damaged images in one process and hold its peak memory against a limit.

    benches/malformed_images.py --program target/release/edge-ocr --images DIR [--engine tract] [--limit-mb 300]

Exit code 1 when the peak is above the limit, or when the program ended otherwise than by its own rules (0, 4 or 5).
"""
import argparse
import resource
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--program", required=True)
parser.add_argument("--images", required=True)
parser.add_argument("--engine", default="arena")
parser.add_argument("--limit-mb", type=float, default=300)
args = parser.parse_args()
done = subprocess.run([args.program, "read", args.images, "--engine", args.engine], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
right = peak <= args.limit_mb and done.returncode in (0, 4, 5)
print(f"exit code {done.returncode}, peak {peak:.0f} MB, limit {args.limit_mb:.0f} MB: {'ok' if right else 'MISSED'}")
sys.exit(not right)
