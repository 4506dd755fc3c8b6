"""The training loop: checkpoints that survive a kill, a log, a curve, an average of the weights."""
import copy
import csv
import os
import pathlib
import time

import torch

from . import curve, nets


class Task:
    """One network's training. Subclasses give the layers, the batches, the loss and the check."""
    name = ""
    rate = 2e-3
    decay = 0.02
    warm = 300
    check_every = 1000
    save_every = 500

    def layers(self) -> list:
        raise NotImplementedError

    def batch(self, step: int) -> tuple:
        """Inputs (planes) and targets of a step; the same for the same step."""
        raise NotImplementedError

    def loss(self, output: torch.Tensor, target) -> torch.Tensor:
        raise NotImplementedError

    def check(self, net: nets.Net) -> dict:
        """Figures on drawings that are not trained on."""
        raise NotImplementedError


def write(data: dict, path: pathlib.Path) -> None:
    """Whole or not at all: a checkpoint is renamed into place after it lies on the disk."""
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        torch.save(data, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def rate(task: Task, step: int, steps: int) -> float:
    """Rises, stays, and falls over the last third, so that a run can be made longer before it falls."""
    fall = max(1, steps // 3)
    return task.rate * min(1.0, (step + 1) / task.warm, max(0.01, (steps - step) / fall))


def average(mean: nets.Net, net: nets.Net, step: int) -> None:
    keep = min(0.998, (step + 1) / (step + 10))
    with torch.no_grad():
        for a, b in zip(mean.state_dict().values(), net.state_dict().values()):
            if a.dtype.is_floating_point:
                a.mul_(keep).add_(b, alpha=1 - keep)
            else:
                a.copy_(b)


def run(task: Task, steps: int, folder: pathlib.Path, minutes: float = 1e9) -> nets.Net:
    """Trains to `steps`, or goes on from the checkpoint in `folder`; stops after `minutes`."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    net = nets.Net(task.layers()).to(memory_format=torch.channels_last)
    mean = copy.deepcopy(net)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": task.decay},
                                   {"params": plain, "weight_decay": 0.0}], lr=task.rate, betas=(0.9, 0.98))
    checkpoint, log = folder / "checkpoint.pt", folder / "log.csv"
    step, seconds, rows = 0, 0.0, []
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=False)
        net.load_state_dict(state["net"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
        step, seconds, rows = state["step"], state["seconds"], state["rows"]
        print(f"{task.name}: goes on at step {step}", flush=True)
    print(f"{task.name}: {nets.weights(net)} weights", flush=True)
    start, total, count, last = time.monotonic(), 0.0, 0, step
    began = time.process_time()
    net.train()
    while step < steps and time.monotonic() - start < 60 * minutes:
        for group in optimiser.param_groups:
            group["lr"] = rate(task, step, steps)
        inputs, target = task.batch(step)
        with torch.autocast("cpu", torch.bfloat16):
            output = net(inputs.to(memory_format=torch.channels_last))
        loss = task.loss(output.float(), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        average(mean, net, step)
        step, total, count = step + 1, total + float(loss.detach()), count + 1
        if step % 100 == 0 or step == steps:
            row = {"step": step, "cpu_s": round(seconds + time.process_time() - began, 1),
                   "rate": round(rate(task, step, steps), 6), "loss": round(total / count, 5)}
            total, count = 0.0, 0
            if step % task.check_every == 0 or step == steps:
                mean.eval()
                row |= {k: round(v, 5) for k, v in task.check(mean).items()}
            print(" ".join(f"{k} {v}" for k, v in row.items()), flush=True)
            rows.append(row)
            if step % task.save_every == 0 or step == steps:
                last = step
                save(checkpoint, log, net, mean, optimiser, step, seconds + time.process_time() - began, rows, task)
    if last != step:
        save(checkpoint, log, net, mean, optimiser, step, seconds + time.process_time() - began, rows, task)
    mean.eval()
    return mean


def save(checkpoint, log, net, mean, optimiser, step, seconds, rows, task) -> None:
    write({"net": net.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict(), "step": step,
           "seconds": seconds, "rows": rows}, checkpoint)
    keys = list(dict.fromkeys(k for r in rows for k in r))
    part = log.with_suffix(".part")
    with open(part, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, keys)
        out.writeheader()
        out.writerows(rows)
    os.replace(part, log)
    curve.write(rows, log.with_name("curve.svg"), task.name)


def load(task: Task, folder: pathlib.Path) -> nets.Net:
    """The averaged weights of the checkpoint."""
    net = nets.Net(task.layers())
    net.load_state_dict(torch.load(folder / "checkpoint.pt", weights_only=False)["mean"])
    net.eval()
    return net
