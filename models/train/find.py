"""The finder's output: what it is taught, and boxes out of its map.

Seven channels at a quarter of the size, all between 0 and 1: core of a display's row, core of a counter, cosine and
sine of the direction of reading ((1 + c) / 2), height and width (logarithms), how far along the row (0 to 1).
"""
import math

import numpy as np

CHANNELS = 7
STEP = 4
LOW_H, SPAN_H = math.log(4.0), math.log(64.0)       # heights 4 to 256 pixels
LOW_W, SPAN_W = math.log(8.0), math.log(128.0)      # widths 8 to 1024


def maps(boxes: np.ndarray, h: int, w: int) -> tuple:
    """Targets (7 x h/4 x w/4), where the cores count (2 maps), where the other five count (one map)."""
    rows, columns = h // STEP, w // STEP
    target = np.zeros((CHANNELS, rows, columns), np.float32)
    counts, inside = np.ones((2, rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) * STEP + (STEP - 1) / 2
    for kind, cx, cy, width, height, angle in boxes:
        c, s = math.cos(angle), math.sin(angle)
        u, v = (x - cx) * c + (y - cy) * s, (y - cy) * c - (x - cx) * s
        du, dv = max(width / 2 - 0.3 * height, 0.25 * width, STEP / 2), max(0.26 * height, STEP * 0.6)
        core = (np.abs(u) <= du) & (np.abs(v) <= dv)
        near = (np.abs(u) <= width / 2 + 0.25 * height) & (np.abs(v) <= max(0.62 * height, dv + STEP * 0.6))
        counts[:, near & ~core] = 0
        target[int(kind), core] = 1
        counts[:, core] = 1
        inside[core] = 1
        values = ((1 + c) / 2, (1 + s) / 2, (math.log(height) - LOW_H) / SPAN_H, (math.log(width) - LOW_W) / SPAN_W)
        for i, value in enumerate(values):
            target[2 + i, core] = min(1.0, max(0.0, value))
        target[6, core] = np.clip(u / width + 0.5, 0, 1)[core]
    return target, counts, inside


def components(mask: np.ndarray) -> list:
    """Connected cells (four neighbours) as lists of (row, column)."""
    seen, out = np.zeros(mask.shape, bool), []
    for start in zip(*np.nonzero(mask)):
        if seen[start]:
            continue
        seen[start], stack, cells = True, [start], []
        while stack:
            r, c = stack.pop()
            cells.append((r, c))
            for a, b in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if 0 <= a < mask.shape[0] and 0 <= b < mask.shape[1] and mask[a, b] and not seen[a, b]:
                    seen[a, b] = True
                    stack.append((a, b))
        out.append(cells)
    return out


def along(at: tuple, weight: np.ndarray, angle: float) -> float:
    """The direction of a long core by its shape; which of the two ends comes first is what its cells say (`angle`)."""
    points = np.stack([at[1], at[0]]).astype(np.float64)
    points -= (points * weight).sum(1, keepdims=True) / weight.sum()
    low, high = np.linalg.eigvalsh(points * weight @ points.T / weight.sum())
    if high < 4 * (low + 1 / 12):
        return angle
    x, y = np.linalg.eigh(points * weight @ points.T)[1][:, 1]
    if x * math.cos(angle) + y * math.sin(angle) < 0:
        x, y = -x, -y
    return math.atan2(y, x)


def agreed(stated: float, seen: float) -> float:
    """The mean of two sizes; what is seen if they differ by more than 1.6."""
    return math.sqrt(stated * seen) if 1 / 1.6 < stated / seen < 1.6 else seen


def boxes(y: np.ndarray, threshold: float = 0.4, least: int = 3) -> list:
    """(score, kind, x, y, width, height, angle) in pixels of the input, the most certain first."""
    found = []
    for cells in components(y[:2].max(0) > threshold):
        if len(cells) < least:
            continue
        at = tuple(np.array(cells).T)
        weight = y[:2, at[0], at[1]].max(0)
        mean = lambda v: float((v * weight).sum() / weight.sum())
        kind = int(mean(y[1][at]) > mean(y[0][at]))
        angle = math.atan2(mean(y[3][at]) * 2 - 1, mean(y[2][at]) * 2 - 1)
        height, width = math.exp(LOW_H + SPAN_H * mean(y[4][at])), math.exp(LOW_W + SPAN_W * mean(y[5][at]))
        px, py = (mean(a.astype(np.float32)) * STEP + (STEP - 1) / 2 for a in (at[1], at[0]))
        angle = along(at, weight, angle)
        # The core's own extent and the sizes that its cells state are averaged where they do not contradict each other.
        c, s = math.cos(angle), math.sin(angle)
        u = (at[1] * STEP - px + 1.5) * c + (at[0] * STEP - py + 1.5) * s
        v = (at[0] * STEP - py + 1.5) * c - (at[1] * STEP - px + 1.5) * s
        thick = math.sqrt(12 * max(float((v * v * weight).sum() / weight.sum()), STEP * STEP / 24))
        height = agreed(height, thick / 0.52)
        width = agreed(width, float(u.max() - u.min()) + STEP * 0.7 + 0.6 * height)
        middle = float(u.max() + u.min()) / 2
        px, py = px + middle * c, py + middle * s
        found.append((mean(weight) * min(1.0, len(cells) / 6), kind, px, py, width, height, angle))
    return sorted(found, reverse=True)


def corners(box: tuple, grow: float) -> np.ndarray:
    """Corners of a box in reading order from the upper left, grown on all sides by a part of its height."""
    _, _, x, y, width, height, angle = box
    along, down = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    a, d = along * (width / 2 + grow * height), down * height * (0.5 + grow)
    middle = np.array([x, y])
    return np.array([middle - a - d, middle + a - d, middle + a + d, middle - a + d])


def overlap(a: tuple, b: tuple) -> float:
    """Intersection over union of two boxes, by sampling."""
    pa, pb = corners(a, 0), corners(b, 0)
    low, high = np.minimum(pa.min(0), pb.min(0)), np.maximum(pa.max(0), pb.max(0))
    y, x = np.mgrid[0:64, 0:64]
    points = low + np.stack([x, y], -1) / 63 * (high - low)
    inside = []
    for _, _, cx, cy, width, height, angle in (a, b):
        d = points - (cx, cy)
        u, v = d @ (math.cos(angle), math.sin(angle)), d @ (-math.sin(angle), math.cos(angle))
        inside.append((np.abs(u) <= width / 2) & (np.abs(v) <= height / 2))
    return float((inside[0] & inside[1]).sum() / max(1, (inside[0] | inside[1]).sum()))
