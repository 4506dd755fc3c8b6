"""Drawn samples in chunks on disk: each is drawn once and used several times, and a resumed run finds them again."""
import os
import pathlib

import numpy as np


class Pool:
    """Chunk `c` holds `size` samples of `draw(seed, number)` from number `c * size` on; the last `keep` are in use."""

    def __init__(self, folder: pathlib.Path, draw, seed: int, size: int, keep: int):
        self.folder, self.draw, self.seed, self.size, self.keep = folder, draw, seed, size, keep
        self.chunks = {}
        folder.mkdir(parents=True, exist_ok=True)

    def chunk(self, number: int) -> list:
        path = self.folder / f"{self.seed}-{number:05}.npz"
        if not path.is_file():
            part = path.with_suffix(".part")
            samples = [self.draw(self.seed, i) for i in range(number * self.size, (number + 1) * self.size)]
            arrays = {f"p{i}": s[0] for i, s in enumerate(samples)}
            with open(part, "wb") as file:
                np.savez(file, labels=np.array([s[1:] for s in samples], dtype=object), **arrays)
            os.replace(part, path)
        with np.load(path, allow_pickle=True) as data:
            labels = data["labels"]
            return [(data[f"p{i}"], *labels[i]) for i in range(len(labels))]

    def at(self, newest: int) -> list:
        """All samples of the chunks up to `newest`."""
        wanted = range(max(0, newest - self.keep + 1), newest + 1)
        for old in [c for c in self.chunks if c not in wanted]:
            del self.chunks[old]
        for c in wanted:
            if c not in self.chunks:
                self.chunks[c] = self.chunk(c)
        return [s for c in wanted for s in self.chunks[c]]
