#!/usr/bin/env python3
"""Draws negative numbers on seven-segment displays, as tests/measuring.rs does, has programs search and read the images,
and counts how often the number comes out right, and how often as a positive one.

    benches/negative_displays.py PROGRAM...

Needs Pillow."""
import os
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw

# Segments a to g: left, top, right, bottom in eighths of a digit's width.
SEGMENTS = [(2, 0, 6, 2), (6, 2, 8, 8), (6, 8, 8, 14), (2, 14, 6, 16), (0, 8, 2, 14), (0, 2, 2, 8), (2, 7, 6, 9)]
LIT = {"0": "abcdef", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "6": "afgedc", "7": "abc", "8": "abcdefg",
       "9": "abcdfg", "-": "g"}
NUMBERS = ("-528", "-628", "-28", "-37", "-450", "-934")
COLOURS = (((190, 200, 180), (25, 35, 30)), ((15, 10, 10), (255, 60, 40)))
UNITS = (3, 5, 7, 10)


def display(text, unit, ground, ink):
    image = Image.new("RGB", ((len(text) + 3) * 11 * unit, 35 * unit), ground)
    draw, left = ImageDraw.Draw(image), 11
    for char in text:
        for segment in LIT[char]:
            x0, y0, x1, y1 = SEGMENTS["abcdefg".index(segment)]
            draw.rectangle(((left + x0) * unit, (10 + y0) * unit, (left + x1) * unit - 1, (10 + y1) * unit - 1), fill=ink)
        left += 11
    return image


programs = sys.argv[1:]
right, positive = [0] * len(programs), [0] * len(programs)
with tempfile.TemporaryDirectory() as folder:
    file = os.path.join(folder, "display.png")
    for number in NUMBERS:
        for unit in UNITS:
            for ground, ink in COLOURS:
                display(number, unit, ground, ink).save(file)
                for i, program in enumerate(programs):
                    run = subprocess.run([program, "read", file], capture_output=True, text=True, check=True)
                    text = run.stdout.strip().replace(" ", "")
                    right[i] += text == number
                    positive[i] += text == number[1:]
total = len(NUMBERS) * len(UNITS) * len(COLOURS)
for program, r, p in zip(programs, right, positive):
    print(f"{program}: {r} of {total} right, {p} as the positive number")
