"""The networks, as lists of layers that torch runs and export.py writes as ONNX."""
import dataclasses

import torch
from torch import nn


@dataclasses.dataclass
class Conv:
    """Convolution, batch normalisation and ReLU (both unless last). `residual`: its input is added to the result."""
    inputs: int
    outputs: int
    kernel: tuple = (3, 3)
    stride: tuple = (1, 1)
    pad: tuple = (1, 1, 1, 1)       # top, left, bottom, right
    residual: bool = False
    last: bool = False
    groups: int = 1


@dataclasses.dataclass
class Up:
    """Twice as large, nearest neighbour."""


@dataclasses.dataclass
class Keep:
    """Remembers the map under a name; `Join` adds it to a later one."""
    name: str


@dataclasses.dataclass
class Join:
    name: str


def line_reader(classes: int = 15, width: int = 128, ahead: int = 1) -> list:
    """32 rows, four columns a time step. A tail layer sees `ahead` steps to the right and 4 - `ahead` to the left."""
    tail = Conv(width, width, (1, 5), (1, 1), (0, 4 - ahead, 0, ahead), residual=True)
    return [Conv(3, 16, stride=(2, 2)), Conv(16, 32, stride=(2, 2)), Conv(32, 64, stride=(2, 1)),
            Conv(64, 96, stride=(2, 1)), Conv(96, width, (2, 1), (1, 1), (0, 0, 0, 0)), tail, tail, tail, tail,
            Conv(width, classes, (1, 1), (1, 1), (0, 0, 0, 0), last=True)]


def wheel_reader(classes: int = 20) -> list:
    """32 rows, 20 columns."""
    return [Conv(3, 16), Conv(16, 32, stride=(2, 2)), Conv(32, 32, residual=True), Conv(32, 48, stride=(2, 2)),
            Conv(48, 48, residual=True), Conv(48, 48, stride=(2, 1)),
            Conv(48, 64, (4, 5), (1, 1), (0, 0, 0, 0)), Conv(64, classes, (1, 1), (1, 1), (0, 0, 0, 0), last=True)]


def finder(channels: int = 7) -> list:
    """Any size that 32 divides; the output has a quarter of the rows and columns."""
    return [Conv(3, 16, stride=(2, 2)), Conv(16, 24, stride=(2, 2)), Conv(24, 24, residual=True), Keep("4"),
            Conv(24, 48, stride=(2, 2)), Conv(48, 48, residual=True), Keep("8"),
            Conv(48, 64, stride=(2, 2)), Conv(64, 64, residual=True), Keep("16"),
            Conv(64, 64, stride=(2, 2)), Conv(64, 64, residual=True), Conv(64, 64, residual=True), Up(),
            Conv(64, 64, (1, 1), (1, 1), (0, 0, 0, 0)), Join("16"), Conv(64, 48), Up(), Join("8"), Conv(48, 24), Up(),
            Join("4"), Conv(24, 32), Conv(32, channels, (1, 1), (1, 1), (0, 0, 0, 0), last=True)]


class Block(nn.Module):
    def __init__(self, spec: Conv):
        super().__init__()
        self.spec = spec
        top, left, bottom, right = spec.pad
        even = top == bottom and left == right
        self.pad = None if even else (left, right, top, bottom)
        self.conv = nn.Conv2d(spec.inputs, spec.outputs, spec.kernel, spec.stride, (top, left) if even else 0,
                              groups=spec.groups, bias=spec.last)
        self.norm = None if spec.last else nn.BatchNorm2d(spec.outputs)

    def forward(self, x):
        y = self.conv(nn.functional.pad(x, self.pad) if self.pad else x)
        if self.norm is None:
            return y
        y = nn.functional.relu(self.norm(y))
        return x + y if self.spec.residual else y

    def folded(self) -> tuple:
        """Weights and biases with the normalisation inside, as float32 arrays."""
        weight = self.conv.weight.detach().double()
        if self.norm is None:
            return weight.float().numpy(), self.conv.bias.detach().float().numpy()
        scale = self.norm.weight.double() / torch.sqrt(self.norm.running_var.double() + self.norm.eps)
        bias = self.norm.bias.double() - self.norm.running_mean.double() * scale
        return (weight * scale[:, None, None, None]).detach().float().numpy(), bias.detach().float().numpy()


class Net(nn.Module):
    """Gives the last convolution's map, without softmax or sigmoid."""

    def __init__(self, layers: list):
        super().__init__()
        self.layers = layers
        self.blocks = nn.ModuleList(Block(x) if isinstance(x, Conv) else nn.Identity() for x in layers)

    def forward(self, x):
        kept = {}
        for spec, block in zip(self.layers, self.blocks):
            if isinstance(spec, Up):
                x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            elif isinstance(spec, Keep):
                kept[spec.name] = x
            elif isinstance(spec, Join):
                x = x + kept[spec.name]
            else:
                x = block(x)
        return x


def weights(net: Net) -> int:
    return sum(p.numel() for p in net.parameters())


def planes(pictures) -> torch.Tensor:
    """uint8 RGB, N x H x W x 3, to the networks' input: planes B, G, R, each (u8 / 255 - 0.5) / 0.5."""
    x = torch.from_numpy(pictures).flip(-1).permute(0, 3, 1, 2)
    return x.float().div_(127.5).sub_(1.0)
