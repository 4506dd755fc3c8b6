#!/usr/bin/env python3
"""same_reading.py EXPECTED.json FOUND.json

Are two readings (`edge-ocr read --format json`) of one image the same? Text, boxes and all other geometry must be equal,
scores within 0.001. Exits with 1 and one line that says where they first differ.
"""
import json
import sys

TOLERANCE = 0.001
# What differs between two good runs: the path, the clock, the threads of the machine.
LEFT_OUT = {"source", "timing_ms", "params"}


def difference(a, b, at=""):
    """Where `b` first differs from `a`, or None."""
    if type(a) is not type(b):
        return f"{at}: {short(a)} became {short(b)}"
    if isinstance(a, dict):
        keys = [k for k in a if k not in LEFT_OUT] + [k for k in b if k not in a and k not in LEFT_OUT]
        for key in keys:
            where = f"{at}.{key}".lstrip(".")
            if key not in a or key not in b:
                return f"{where}: only in the {'second' if key in b else 'first'}"
            if found := difference(a[key], b[key], where):
                return found
        return None
    if isinstance(a, list):
        for i, (x, y) in enumerate(zip(a, b)):
            if found := difference(x, y, f"{at}[{i}]"):
                return found
        return None if len(a) == len(b) else f"{at}: {len(a)} of them became {len(b)}"
    if at.rpartition(".")[2].endswith("score"):
        return None if abs(a - b) <= TOLERANCE else f"{at}: {a} became {b}"
    return None if a == b else f"{at}: {short(a)} became {short(b)}"


def short(value):
    """The value in at most 60 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    first, second = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
    # Two failures to read would agree too.
    if "lines" not in first:
        sys.exit(f"{sys.argv[1]}: no reading")
    if found := difference(first, second):
        sys.exit(found)


if __name__ == "__main__":
    main()
