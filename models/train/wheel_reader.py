"""Training of the wheel reader."""
import functools
import pathlib

import numpy as np
import torch

from . import loop, nets, pool, read, wheels


def off(a: float, b: float) -> float:
    """Distance of two values on the wheel."""
    d = abs(a - b) % 10
    return min(d, 10 - d)


class WheelReader(loop.Task):
    name = "wheel reader"
    rate = 3e-3
    decay = 0.05
    steps = 8000
    size = 128
    photographs = 0.25      # of a batch

    def __init__(self, folder: pathlib.Path, seed: int = 1, hold_out: str = "", fresh: int = 100, keep: int = 30,
                 chunk: int = 2048):
        self.seed, self.fresh, self.hold_out, self.first = seed, fresh, hold_out, 4
        self.pool = pool.Pool(folder / "wheels", wheels.sample, seed, chunk, keep)
        self.now = (-1, [])

    def layers(self) -> list:
        return nets.wheel_reader(wheels.STATES)

    @functools.cached_property
    def held(self) -> list:
        """Groups of pictures that are checked: drawn ones, and the device that was left out."""
        groups = {"drawn": [wheels.sample(10**6, i)[:2] for i in range(1000)]}
        if self.hold_out:
            items = wheels.real.wheels()[self.hold_out]
            groups["held"] = [(np.asarray(wheels.Image.fromarray(p).resize(wheels.SIZE, wheels.Image.BILINEAR)), v)
                              for p, v in items]
        return list(groups.items())

    def batch(self, step: int) -> tuple:
        newest = self.first + step // self.fresh
        if self.now[0] != newest:
            self.now = (newest, self.pool.at(newest))
        samples, real = self.now[1], wheels.photographs(self.hold_out)
        rng = np.random.default_rng([self.seed, 8, step])
        pictures, values = [], []
        for i in range(self.size):
            if i < self.size * self.photographs:
                items = real[int(rng.integers(0, len(real)))][1]
                picture, value = items[int(rng.integers(0, len(items)))]
            else:
                picture, value = samples[int(rng.integers(0, len(samples)))][:2]
            pictures.append(wheels.vary(rng, picture))
            values.append(value)
        return nets.planes(np.stack(pictures)), torch.from_numpy(wheels.states(np.array(values)))

    def loss(self, output: torch.Tensor, target) -> torch.Tensor:
        return -(target * output.flatten(1).log_softmax(1)).sum(1).mean()

    def check(self, net: nets.Net) -> dict:
        figures = {}
        for name, items in self.held:
            with torch.no_grad():
                scores = net(nets.planes(np.stack([p for p, _ in items]))).flatten(1).softmax(1).numpy()
            got = [(read.mean_state(s), v) for s, v in zip(scores, (v for _, v in items))]
            rest = [off(g, v) < 0.5 for g, v in got if off(v, round(v)) < 0.25]
            turn = [off(g, v) < 0.75 for g, v in got if off(v, round(v)) >= 0.25]
            figures |= {f"{name}_rest": float(np.mean(rest)), f"{name}_within_.25":
                        float(np.mean([off(g, v) <= 0.251 for g, v in got]))}
            if turn:
                figures[f"{name}_turn"] = float(np.mean(turn))
        return figures


def hold_out(folder: pathlib.Path, options) -> None:
    """Trains without each device in turn and writes how well that device is read."""
    devices = options.devices.split(",") if options.devices else list(wheels.real.wheels())
    table = []
    for device in devices:
        task = WheelReader(folder, options.seed, device)
        net = loop.run(task, options.steps, folder / f"wheel-without-{device}")
        figures = {k: v for k, v in task.check(net).items() if k.startswith("held")}
        table.append(f"{device},{len(wheels.real.wheels()[device])}," + ",".join(f"{v:.3f}" for v in figures.values()))
        print(table[-1], flush=True)
        text = "device,pictures,at rest,within 0.25,half-turned\n" + "\n".join(table) + "\n"
        (folder / "hold-out.csv").write_text(text, encoding="utf-8")
