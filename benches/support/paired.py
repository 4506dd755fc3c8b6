"""Both engines on the same images, and how sure the difference of their figures is.

A figure of a small set moves by whole images, so a difference means little without its spread. Both engines read the same
images, so the spread is that of the paired difference over images: each image's influence on the difference of the
pooled figures (jackknife: all images against all but this one; for a share of images it is that image's own
difference), and of these a bootstrap. Several variants of an image are left out together: they are one image.
"""
import contextlib
import functools
import io
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# At most this much worse than float: DESIGN's figures.
LIMITS = {"word F1": -0.010, "exact": -0.010, "CER": 0.003}
# The error rate of characters means something where an image is a line. Of an image with one digit it is the share of wrong
# readings once more, which `exact` holds against its own limit.
LINES = ("words",)
ENGINES = ("tract", "arena")
RESAMPLES = 4000


def labels_of(data, folder, calibrated_on=False):
    """The labels of a set without the images that were calibrated on (or of those alone), each with its image's whole path."""
    calibrated = set()
    for path in (HERE.parent.parent / "quantize/calibration").glob("*.txt"):
        lines = (line for line in path.read_text().splitlines() if not line.startswith("#"))
        calibrated |= {str((data / line.split("\t")[0]).resolve()) for line in lines}
    folder = (data / folder).resolve()
    labels = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines() if line.strip()]
    for label in labels:
        label["image"] = str((folder / label["image"]).resolve())
    return [label for label in labels if (label["image"] in calibrated) == calibrated_on]


def write(path, labels):
    pathlib.Path(path).write_text("".join(json.dumps(label) + "\n" for label in labels))


def read(program, labels, out, engine, flags):
    """Predictions of one engine for a file of labels."""
    subprocess.run([program, "eval", labels, "--out", out, "--engine", engine, "--memory", "large", *flags], check=True)


@functools.cache
def compiled(script):
    return compile(pathlib.Path(script).read_text(), script, "exec")


def score(script, labels, predictions):
    """The figures of each key. The script runs here, as it is: a process for each of some hundred calls takes minutes."""
    before, sys.argv = sys.argv, [str(script), str(labels), str(predictions)]
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compiled(script), {"__name__": "__main__"})
    finally:
        sys.argv = before
    figures = {}
    for line in said.getvalue().splitlines():
        found = re.findall(r"(images|word F1|exact|CER|mean) +([0-9.]+)", line)
        figures[line.split()[0]] = {k: float(v) for k, v in found}
    return figures


def compare(script, labels, group, predictions):
    """Figures of both engines with all images, and without each group (an image, with all its variants)."""
    groups = sorted({group(label) for label in labels})

    def without(left_out):
        chosen = [label for label in labels if group(label) != left_out]
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.writelines(json.dumps(label) + "\n" for label in chosen)
            file.flush()
            return {engine: score(script, file.name, predictions[engine]) for engine in ENGINES}

    return without(None), [without(one) for one in groups]


class Difference:
    """INT8 less float: `float`, `int8`, `by`, the bounds `low` and `high` of 95 %, and how many `images` count."""

    def __init__(self, whole, rest, key, figure):
        self.float, self.int8 = (whole[engine][key][figure] for engine in ENGINES)
        self.by = self.int8 - self.float
        # A set has images of several keys, and some that nothing can be held against; those have no influence.
        counted = [part for part in rest if part["arena"].get(key, {}).get("images") != whole["arena"][key]["images"]]
        self.images = n = len(counted)

        def less(part):
            return part["arena"][key][figure] - part["tract"][key][figure] if key in part["arena"] else self.by

        influence = [n * self.by - (n - 1) * less(part) for part in counted]
        dice = random.Random(f"{key} {figure} {n}")
        means = sorted(sum(dice.choices(influence, k=n)) / n for _ in range(RESAMPLES)) if n else [self.by]
        self.low, self.high = means[int(0.025 * (len(means) - 1))], means[int(0.975 * (len(means) - 1))]
        limit = LIMITS[figure]
        self.beyond = self.by < limit if limit < 0 else self.by > limit
        # Worse than allowed, and not by the chance of which images are in the set: one resample in twenty at most has no loss.
        # Three images of 35 that float alone can read are enough.
        no_loss = sum(mean >= 0 if limit < 0 else mean <= 0 for mean in means)
        self.lost = self.beyond and no_loss <= 0.05 * len(means)

    def verdict(self):
        return "LOST" if self.lost else "beyond the limit, by chance?" if self.beyond else "ok"

    def __str__(self):
        return f"float {self.float:.4f}  int8 {self.int8:.4f}  {self.by:+.4f}  [{self.low:+.4f}, {self.high:+.4f}]  {self.verdict()}"


def judged(name, floor, key, figures):
    """The figures of a key that are held against a limit. Some keys have no error rate of characters (`nocase`)."""
    floors = floor.get("at_least", {}).get(key, {})
    return [figure for figure in LIMITS if figure in floors or (figure == "CER" and name in LINES and figure in figures)]
