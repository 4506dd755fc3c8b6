"""Training of the finder."""
import functools
import math
import pathlib

import numpy as np
import torch

from . import find, loop, nets, pool, scenes


def vary(rng, picture: np.ndarray, boxes: np.ndarray) -> tuple:
    """Quarter turns, light, colour, noise."""
    if rng.random() < 0.3:
        picture, boxes = scenes.quarter(picture, boxes, int(rng.integers(1, 4)))
    x = picture.astype(np.float32)
    x = (x - 128) * rng.uniform(0.6, 1.2) + 128 + rng.normal(0, 18) + rng.normal(0, 8, 3).astype(np.float32)
    if rng.random() < 0.15:
        x = x[..., rng.permutation(3)]
    if rng.random() < 0.15:
        x = np.repeat(x.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(1, 6), x.shape[:2] + (1,)).astype(np.float32)
    return np.clip(x, 0, 255).astype(np.uint8), boxes


class Finder(loop.Task):
    name = "finder"
    rate = 2e-3
    steps = 6000
    size = 16

    def __init__(self, folder: pathlib.Path, seed: int = 1, fresh: int = 100, keep: int = 40, chunk: int = 256):
        self.seed, self.fresh, self.first = seed, fresh, 3
        self.pool = pool.Pool(folder / "scenes", scenes.sample, seed, chunk, keep)
        self.now = (-1, [])

    def layers(self) -> list:
        return nets.finder(find.CHANNELS)

    @functools.cached_property
    def held(self) -> list:
        return [scenes.sample(10**6, i) for i in range(200)]

    def batch(self, step: int) -> tuple:
        newest = self.first + step // self.fresh
        if self.now[0] != newest:
            self.now = (newest, self.pool.at(newest))
        samples = self.now[1]
        rng = np.random.default_rng([self.seed, 9, step])
        pictures, targets = [], []
        for i in rng.integers(0, len(samples), self.size):
            picture, boxes = vary(rng, *samples[i][:2])
            pictures.append(picture)
            targets.append(find.maps(boxes, *picture.shape[:2]))
        return nets.planes(np.stack(pictures)), [torch.from_numpy(np.stack(t)) for t in zip(*targets)]

    def loss(self, output: torch.Tensor, target) -> torch.Tensor:
        want, counts, inside = target
        heat = torch.nn.functional.binary_cross_entropy_with_logits(output[:, :2], want[:, :2], reduction="none")
        shown = output[:, :2].sigmoid() * counts
        dice = 1 - (2 * (shown * want[:, :2]).sum((0, 2, 3)) + 1) / ((shown + want[:, :2]).sum((0, 2, 3)) + 1)
        rest = (output[:, 2:].sigmoid() - want[:, 2:]).abs() * inside[:, None]
        scale = torch.tensor([2.0, 2.0, 4.0, 4.0, 1.0])[None, :, None, None]
        return 4 * (heat * counts).mean() + dice.mean() + (rest * scale).sum() / inside.sum().clamp(min=1)

    def check(self, net: nets.Net) -> dict:
        hits, wanted, given, turned = 0, 0, 0, []
        for at in range(0, len(self.held), 20):
            part = self.held[at:at + 20]
            with torch.no_grad():
                out = net(nets.planes(np.stack([p for p, _ in part]))).sigmoid().numpy()
            for y, (_, boxes) in zip(out, part):
                found = find.boxes(y)
                wanted, given = wanted + len(boxes), given + len(found)
                for box in boxes:
                    best = max(found, key=lambda f: find.overlap(f, (1, *box)), default=None)
                    if best and best[1] == int(box[0]) and find.overlap(best, (1, *box)) > 0.5:
                        off = abs((best[6] - box[5] + math.pi) % (2 * math.pi) - math.pi)
                        hits += off < math.radians(20)
                        turned.append(off < math.radians(20))
        return {"found": hits / wanted, "right": hits / max(1, given), "angle": float(np.mean(turned or [0]))}
