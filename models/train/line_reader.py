"""Training of the line reader."""
import functools
import pathlib

import numpy as np
import torch
from PIL import Image

from . import lines, loop, nets, pool


def decode(scores: np.ndarray) -> str:
    """The text of T x classes scores: best class at each step, repeats and blanks left out."""
    best = scores.argmax(1)
    keep = best[np.insert(best[1:] != best[:-1], 0, True)]
    return "".join(lines.CLASSES[c - 1] for c in keep if c)


def vary(rng, picture: np.ndarray) -> np.ndarray:
    """Cheap changes made anew at each use: width, place, light, colour, noise."""
    h, w = picture.shape[:2]
    if rng.random() < 0.7:
        w = max(16, min(lines.WIDEST, round(w * rng.uniform(0.87, 1.18))))
        top, foot = rng.uniform(-1.5, 1.5, 2)
        box = (0, max(0.0, top), picture.shape[1], min(h, h + foot))
        picture = np.asarray(Image.fromarray(picture).resize((w, h), Image.BILINEAR, box=box))
    x = picture.astype(np.float32)
    x = (x - 128) * rng.uniform(0.6, 1.15) + 128 + rng.normal(0, 14) + rng.normal(0, 5, 3).astype(np.float32)
    if rng.random() < 0.06:
        x = 255 - x
    if rng.random() < 0.1:
        x = x[..., rng.permutation(3)]
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(1, 5), x.shape[:2] + (1,)).astype(np.float32)
    return np.clip(x, 0, 255).astype(np.uint8)


def stack(pictures: list) -> np.ndarray:
    """Pictures of one height side by side in a batch; the rest is middle grey, which is 0 for the network."""
    wide = (max(p.shape[1] for p in pictures) + 15) // 16 * 16
    out = np.full((len(pictures), pictures[0].shape[0], wide, 3), 128, np.uint8)
    for i, p in enumerate(pictures):
        out[i, :, :p.shape[1]] = p
    return out


class LineReader(loop.Task):
    name = "line reader"
    rate = 2.5e-3
    size = 40
    steps = 20000

    def __init__(self, folder: pathlib.Path, seed: int = 1, fresh: int = 50, keep: int = 48, chunk: int = 512):
        self.seed, self.fresh = seed, fresh
        self.pool = pool.Pool(folder / "lines", lines.sample, seed, chunk, keep)
        self.first = 8
        self.now = (-1, [])

    def layers(self) -> list:
        return nets.line_reader(len(lines.CLASSES) + 1)

    @functools.cached_property
    def held(self) -> list:
        return [lines.sample(10**6, i) for i in range(800)]

    def batch(self, step: int) -> tuple:
        newest = self.first + step // self.fresh
        if self.now[0] != newest:
            samples = self.pool.at(newest)
            self.now = (newest, sorted(samples, key=lambda s: s[0].shape[1]))
        samples = self.now[1]
        rng = np.random.default_rng([self.seed, 7, step])
        window = min(len(samples), 8 * self.size)
        at = int(rng.integers(0, len(samples) - window + 1))
        picks = rng.choice(window, self.size, replace=False) + at
        pictures, texts = [], []
        for i in picks:
            p, t = samples[i][:2]
            v = vary(rng, p)
            pictures.append(v if v.shape[1] // 4 > lines.needed(t) else p)
            texts.append(t)
        steps = torch.tensor([(p.shape[1] + 3) // 4 for p in pictures])
        target = torch.tensor([c for t in texts for c in lines.encode(t)])
        return nets.planes(stack(pictures)), (target, steps, torch.tensor([len(t) for t in texts]))

    def loss(self, output: torch.Tensor, target) -> torch.Tensor:
        scores = output.squeeze(2).permute(2, 0, 1).log_softmax(2)
        loss = torch.nn.functional.ctc_loss(scores, *target, reduction="none", zero_infinity=True)
        return (loss / target[2].clamp(min=1)).mean()

    def check(self, net: nets.Net) -> dict:
        right, count = {}, {}
        for at in range(0, len(self.held), 40):
            part = self.held[at:at + 40]
            with torch.no_grad():
                out = net(nets.planes(stack([p for p, _, _ in part]))).squeeze(2).permute(0, 2, 1).numpy()
            for scores, (p, text, kind) in zip(out, part):
                count[kind] = count.get(kind, 0) + 1
                right[kind] = right.get(kind, 0) + (decode(scores[:(p.shape[1] + 3) // 4]) == text)
        total = {"all": sum(right.values()) / sum(count.values())}
        return total | {k: right[k] / count[k] for k in sorted(count)}
