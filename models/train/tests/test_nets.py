"""Networks: export, decoding, targets, checkpoints."""
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np
import onnx
import torch

from train import curve, export, find, line_reader, lines, loop, nets, read, scenes, wheels

KINDS = {"line": nets.line_reader, "wheel": nets.wheel_reader, "finder": nets.finder}
KNOWN = {"Conv", "Relu", "Add", "Resize", "Squeeze", "Transpose", "MatMul", "Softmax", "Sigmoid", "Reshape",
         "AveragePool", "GlobalAveragePool"}


def shaken(kind: str) -> nets.Net:
    """A network with statistics that are not those of a new one."""
    torch.manual_seed(2)
    net = nets.Net(KINDS[kind]())
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return net.eval()


class Export(unittest.TestCase):
    def test_onnx_says_what_torch_says(self):
        with tempfile.TemporaryDirectory() as folder:
            for kind in KINDS:
                path = pathlib.Path(folder) / f"{kind}.onnx"
                self.assertLess(export.checked(kind, shaken(kind), path), 1e-4)
                model = onnx.load(path)
                self.assertLessEqual(model.opset_import[0].version, 14)
                self.assertLessEqual({n.op_type for n in model.graph.node}, KNOWN)

    def test_the_line_reader_can_be_streamed(self):
        net = shaken("line")
        x = torch.rand(1, 3, 32, 400)
        changed = x.clone()
        changed[..., 200:] = 0.5
        with torch.no_grad():
            a, b = net(x), net(changed)
        same = (a - b).abs().amax((0, 1, 2)) < 1e-6
        self.assertTrue(bool(same[:200 // 4 - 6].all()), "a step sees at most 6 steps ahead")
        self.assertFalse(bool(same[200 // 4:].any()))


class Decoding(unittest.TestCase):
    def test_repeats_and_blanks(self):
        classes = [0, 2, 2, 0, 2, 11, 0]
        scores = np.eye(len(lines.CLASSES) + 1)[classes]
        self.assertEqual(line_reader.decode(scores), "11.")
        self.assertEqual(read.certainty(scores)[0], "11.")

    def test_values_come_back(self):
        for value in (0.0, 0.2, 3.7, 9.5, 9.9):
            got = read.mean_state(wheels.states(np.array([value]))[0])
            self.assertAlmostEqual(min(abs(got - value), 10 - abs(got - value)), 0, places=5)

    def test_boxes_come_back(self):
        for angle in (0.0, 0.4, 1.7, 3.0, -2.0):
            box = (1.0, 120.0, 130.0, 110.0, 24.0, angle)
            target = find.maps(np.array([box]), 256, 256)[0]
            got = find.boxes(target)
            self.assertEqual(len(got), 1)
            self.assertGreater(find.overlap(got[0], (1, *box)), 0.85)
            self.assertAlmostEqual(np.cos(got[0][6] - angle), 1, places=3)

    def test_quarter_turns(self):
        box = np.array([[0, 60.0, 100.0, 50.0, 12.0, 0.3]], np.float32)
        picture = np.zeros((256, 256, 3), np.uint8)
        picture[95:105, 55:65] = 255
        turned, boxes = scenes.quarter(picture, box, 1)
        y, x = (int(v) for v in (boxes[0, 2], boxes[0, 1]))
        self.assertEqual(int(turned[y, x, 0]), 255)
        self.assertTrue(np.allclose(scenes.quarter(picture, box, 4)[1][0, 1:5], box[0, 1:5], atol=1e-3))


class Tiny(loop.Task):
    name, warm, check_every, save_every, steps = "tiny", 2, 100, 100, 200
    dies_at = -1

    def layers(self) -> list:
        return [nets.Conv(3, 4), nets.Conv(4, 2, (1, 1), (1, 1), (0, 0, 0, 0), last=True)]

    def batch(self, step: int) -> tuple:
        if step == self.dies_at:
            raise KeyboardInterrupt
        rng = np.random.default_rng(step)
        x = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
        return nets.planes(x), torch.from_numpy(x[..., :1].astype(np.float32) / 255)

    def loss(self, output: torch.Tensor, target) -> torch.Tensor:
        return (output[:, 0] - target[..., 0]).pow(2).mean()

    def check(self, net: nets.Net) -> dict:
        return {"figure": 0.5}


class Loop(unittest.TestCase):
    def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(self):
        with tempfile.TemporaryDirectory() as folder:
            whole, parts = pathlib.Path(folder) / "a", pathlib.Path(folder) / "b"
            a = loop.run(Tiny(), 200, whole)
            killed = Tiny()
            killed.dies_at = 150
            with self.assertRaises(KeyboardInterrupt):
                loop.run(killed, 200, parts)
            b = loop.run(Tiny(), 200, parts)
            for p, q in zip(a.parameters(), b.parameters()):
                self.assertTrue(torch.equal(p, q))
            self.assertEqual(len((parts / "log.csv").read_text().splitlines()), 3)
            self.assertIn("<svg", (parts / "curve.svg").read_text())

    def test_a_run_survives_kill_9(self):
        program = ("import pathlib, sys, time; from train import loop; from train.tests.test_nets import Tiny\n"
                   "class Slow(Tiny):\n    def batch(self, step):\n"
                   "        time.sleep(0.003 if step > 100 else 0); return super().batch(step)\n"
                   "loop.run(Slow(), 200, pathlib.Path(sys.argv[1]))")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            process = subprocess.Popen([sys.executable, "-c", program, folder], stdout=subprocess.DEVNULL)
            while process.poll() is None and not (path / "log.csv").is_file():
                time.sleep(0.005)
            process.kill()
            self.assertEqual(process.wait(), -signal.SIGKILL)
            (path / "checkpoint.part").write_bytes(b"cut off")
            a, b = loop.run(Tiny(), 200, path), loop.run(Tiny(), 200, path / "whole")
            for p, q in zip(a.parameters(), b.parameters()):
                self.assertTrue(torch.equal(p, q))

    def test_a_curve_of_one_row(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "c.svg"
            curve.write([{"step": 1, "loss": 0.5}], path, "one")
            self.assertIn("polyline", path.read_text())


if __name__ == "__main__":
    unittest.main()
