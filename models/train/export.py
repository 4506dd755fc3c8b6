"""ONNX of the networks, made from the list of layers; checked against torch with onnxruntime.

Operators: Conv (normalisation folded in), Relu, Add, Resize (nearest), Squeeze, Transpose, MatMul, Softmax, Sigmoid,
Reshape, AveragePool, GlobalAveragePool. All are known to `quantize`.
"""
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from . import lines, nets

OPSET = 13
SHAPES = {"line": ["N", 3, 32, "W"], "wheel": ["N", 3, 32, 20], "finder": ["N", 3, "H", "W"]}
TRIALS = {"line": [(1, 32, 256), (2, 32, 333)], "wheel": [(3, 32, 20)], "finder": [(1, 96, 128), (1, 320, 256)]}


class Writer:
    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op: str, inputs: list, name: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


def graph(kind: str, net: nets.Net) -> onnx.ModelProto:
    """The network with its last softmax or sigmoid."""
    out, x, kept = Writer(), "x", {}
    for i, (spec, block) in enumerate(zip(net.layers, net.blocks)):
        name = f"l{i}"
        if isinstance(spec, nets.Up):
            scales = out.constant(name + ".scales", np.array([1, 1, 2, 2], np.float32))
            x = out.node("Resize", [x, "", scales], name, mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")
        elif isinstance(spec, nets.Keep):
            kept[spec.name] = x
        elif isinstance(spec, nets.Join):
            x = out.node("Add", [x, kept[spec.name]], name)
        elif spec.last and kind != "finder":
            weight, bias = block.folded()
            # A mean over one pixel changes nothing; in `quantize` means are where bytes become floats.
            if kind == "wheel":
                x = out.node("GlobalAveragePool", [x], "mean")
                x = out.node("Reshape", [x, out.constant("shape", np.array([0, -1], np.int64))], "rows")
            else:
                x = out.node("AveragePool", [x], "mean", kernel_shape=[1, 1], strides=[1, 1])
                x = out.node("Squeeze", [x, out.constant("axes", np.array([2], np.int64))], "squeezed")
                x = out.node("Transpose", [x], "rows", perm=[0, 2, 1])
            head = out.constant("head.w", np.ascontiguousarray(weight[:, :, 0, 0].T))
            x = out.node("MatMul", [x, head], "product")
            x = out.node("Add", [x, out.constant("head.b", bias)], "scores")
            x = out.node("Softmax", [x], "y", axis=-1)
        else:
            weight, bias = block.folded()
            names = [out.constant(name + ".w", weight), out.constant(name + ".b", bias)]
            y = out.node("Conv", [x] + names, name, kernel_shape=list(spec.kernel), strides=list(spec.stride),
                         pads=list(spec.pad), group=spec.groups)
            if not spec.last:
                y = out.node("Relu", [y], name + ".relu")
            x = out.node("Add", [x, y], name + ".sum") if spec.residual else y
    if kind == "finder":
        x = out.node("Sigmoid", [x], "y")
    last = net.layers[-1].outputs
    shape = {"line": ["N", "T", last], "wheel": ["N", last], "finder": ["N", last, "H4", "W4"]}[kind]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", SHAPES[kind]), ("y", shape))]
    made = helper.make_graph(out.nodes, f"edge-ocr {kind}", ends[:1], ends[1:], out.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="models/train")
    model.ir_version = 8
    if kind == "line":
        # `quantize` puts the space behind the entries: the last class, x, is what it calls space.
        helper.set_model_props(model, {"character": "\n".join(lines.CLASSES[:-1])})
    onnx.checker.check_model(model, full_check=True)
    return model


def finish(kind: str, y: torch.Tensor) -> torch.Tensor:
    """What the ONNX file does behind the last convolution."""
    if kind == "line":
        return y.squeeze(2).permute(0, 2, 1).softmax(2)
    return y.flatten(1).softmax(1) if kind == "wheel" else y.sigmoid()


def session(path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def checked(kind: str, net: nets.Net, path: pathlib.Path) -> float:
    """Writes the file; stops if onnxruntime and torch differ by more than 1e-4."""
    net.eval()
    onnx.save(graph(kind, net), str(path))
    run, worst = session(path), 0.0
    rng = np.random.default_rng(1)
    for n, h, w in TRIALS[kind]:
        x = nets.planes(rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8))
        with torch.no_grad():
            want = finish(kind, net(x)).numpy()
        worst = max(worst, float(np.abs(run.run(None, {"x": x.numpy()})[0] - want).max()))
    if worst > 1e-4:
        raise SystemExit(f"{path}: onnxruntime and torch differ by {worst}")
    size = f"{path.stat().st_size} bytes, {nets.weights(net)} weights"
    print(f"{path}: {size}, onnxruntime and torch differ by {worst:.1e}")
    return worst
