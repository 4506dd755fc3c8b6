"""Figures of labelled images, of one reading or of two of the same images, and how sure they or their differences are.

A figure of a small set moves by whole images, so it means little without its spread. Where two engines or tiers read the same
images, the spread of their difference is that of the paired difference over images: each image's influence on the difference
of the pooled figures (jackknife: all images against all but this one; for a share of images it is that image's own
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
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
# At most this much worse than float: DESIGN's figures.
LIMITS = {"word F1": -0.010, "exact": -0.010, "CER": 0.003, "all": -0.010, "point": -0.010}
# The error rate of characters means something where an image is a line. Of an image with one digit it is the share of wrong
# readings once more, which `exact` holds against its own limit.
LINES = ("words",)
ENGINES = ("tract", "arena")
RESAMPLES = 4000
# Its figures are shares of images, written with three places: too few to take one image's influence from the pooled ones.
DIGITS = "score_digits.py"
SHARES = ("all", "point", "minus", "last", "whole", "none")


def sets(only=None, every=False):
    """Names and entries of `floors.toml`: those named, or those with a floor, or all."""
    for name, floor in tomllib.loads((HERE.parent / "floors.toml").read_text()).items():
        if name in only if only else every or floor.get("at_least"):
            yield name, floor


def script_of(script, floor):
    """What scores a set: the script given, or another one beside it."""
    return pathlib.Path(script).with_name(floor["score"]) if "score" in floor else pathlib.Path(script)


def figures_of(floor):
    """What is looked at in a set, as (key, figure, floor or None)."""
    least = [(key, figure, value) for key, figures in floor.get("at_least", {}).items() for figure, value in figures.items()]
    return least + [(key, figure, None) for key, figures in floor.get("measured", {}).items() for figure in figures]


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
    names = "|".join(("images", "n", "word F1", "exact", "CER", "mean", *SHARES))
    for line in said.getvalue().splitlines():
        found = {k: float(v) for k, v in re.findall(rf"\b({names}) +([0-9.]+)", line)}
        # As the other script says them.
        if "n" in found:
            found["images"] = found.pop("n")
            found |= {"mean": float(ms) for ms in re.findall(r"  ([0-9.]+) ms$", line)}
        figures[line.split()[0]] = found
    return figures


def compare(script, labels, group, predictions):
    """Figures of each of the predictions with all images, and without each group (an image, with all its variants)."""
    groups = sorted({group(label) for label in labels})
    if pathlib.Path(script).name == DIGITS:
        return compare_shares(script, labels, group, groups, predictions)

    def without(left_out):
        chosen = [label for label in labels if group(label) != left_out]
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.writelines(json.dumps(label) + "\n" for label in chosen)
            file.flush()
            return {name: score(script, file.name, file_of) for name, file_of in predictions.items()}

    return without(None), [without(one) for one in groups]


def compare_shares(script, labels, group, groups, predictions):
    """The same of figures that are shares of images: each image is scored alone, where every figure is 0 or 1, or absent."""
    alone = {name: [] for name in predictions}
    for label in labels:
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write(json.dumps(label) + "\n")
            file.flush()
            for name, file_of in predictions.items():
                alone[name].append((group(label), score(script, file.name, file_of)["total"]))

    def pooled(found):
        values = {figure: [one[figure] for one in found if figure in one] for figure in (*SHARES, "mean")}
        return {"total": {figure: sum(all_of) / len(all_of) for figure, all_of in values.items() if all_of} | {"images": len(found)}}

    def without(left_out):
        return {name: pooled([one for of, one in found if of != left_out]) for name, found in alone.items()}

    return without(None), [without(one) for one in groups]


class Figure:
    """A figure, given as a function of the figures of all predictions: its value `by`, the bounds `low` and `high` of 95 %, and
    how many `images` count."""

    def __init__(self, whole, rest, key, figure, value):
        name = next(iter(whole))
        self.by = value(whole)
        # A set has images of several keys, and some that nothing can be held against; those have no influence.
        counted = [part for part in rest if part[name].get(key, {}).get("images") != whole[name][key]["images"]]
        self.images = n = len(counted)
        influence = [n * self.by - (n - 1) * (value(part) if figure in part[name].get(key, {}) else self.by) for part in counted]
        dice = random.Random(f"{key} {figure} {n}")
        self.means = sorted(sum(dice.choices(influence, k=n)) / n for _ in range(RESAMPLES)) if n else [self.by]
        self.low, self.high = (self.means[int(bound * (len(self.means) - 1))] for bound in (0.025, 0.975))


class Value(Figure):
    """What one of the predictions has."""

    def __init__(self, whole, rest, key, figure, name):
        super().__init__(whole, rest, key, figure, lambda figures: figures[name][key][figure])
        # Influences of few images reach beyond what a share can be.
        self.low, self.high = max(self.low, 0.0), self.high if figure == "CER" else min(self.high, 1.0)


class Difference(Figure):
    """The second of two predictions less the first: of INT8 and float, if nothing else is said."""

    def __init__(self, whole, rest, key, figure, names=ENGINES, titles=("float", "int8")):
        self.first, self.second = (whole[name][key][figure] for name in names)
        self.titles = titles
        super().__init__(whole, rest, key, figure, lambda figures: figures[names[1]][key][figure] - figures[names[0]][key][figure])
        limit = LIMITS[figure]
        self.beyond = self.by < limit if limit < 0 else self.by > limit
        # Worse than allowed, and not by the chance of which images are in the set: one resample in twenty at most has no loss.
        # Three images of 35 that float alone can read are enough.
        no_loss = sum(mean >= 0 if limit < 0 else mean <= 0 for mean in self.means)
        self.lost = self.beyond and no_loss <= 0.05 * len(self.means)

    def verdict(self):
        return "LOST" if self.lost else "beyond the limit, by chance?" if self.beyond else "ok"

    def __str__(self):
        values = f"{self.titles[0]} {self.first:.4f}  {self.titles[1]} {self.second:.4f}"
        return f"{values}  {self.by:+.4f}  [{self.low:+.4f}, {self.high:+.4f}]  {self.verdict()}"


def judged(name, floor, key, figures):
    """The figures of a key that are held against a limit. Some keys have no error rate of characters (`nocase`)."""
    looked_at = [figure for of, figure, _ in figures_of(floor) if of == key]
    return [figure for figure in LIMITS if figure in looked_at or (figure == "CER" and name in LINES and figure in figures)]
