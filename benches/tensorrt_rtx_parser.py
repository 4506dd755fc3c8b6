#!/usr/bin/env python3
"""Do the parser and the builder of TensorRT-RTX take an ONNX file as it is handed to TensorRT?

    benches/tensorrt_rtx_parser.py MODEL.onnx --min pixels:1x48x320x3,inside:1x1x320x1 \\
        --opt pixels:4x48x640x3,inside:4x1x640x1 --max pixels:16x48x3200x3,inside:16x1x3200x1

The three texts are a profile as ONNX Runtime's TensorRT provider takes it. Needs no GPU: the engine is built for a
named one and is not run. TensorRT-RTX is not the TensorRT of a Jetson: their parsers are of one family, their kernels
are not. Exits with 1 when the file or the profile is refused. Needs x86-64 and, in a virtual environment,

    pip install --no-deps tensorrt-rtx-cu12-bindings==1.7.1.116 onnxruntime-ep-nv-tensorrt-rtx-cu12==0.5.0
"""
import argparse
import ctypes
import importlib.util
import pathlib
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
for limit in ("min", "opt", "max"):
    parser.add_argument(f"--{limit}", required=True, help="NAME:AxBxC for each input, with commas between them")
parser.add_argument("--gpu", default="SM86", help="the GPU the engine is built for")
args = parser.parse_args()

# The libraries are in another package than the bindings look in. What is loaded already is not looked for.
folder = pathlib.Path(importlib.util.find_spec("onnxruntime_ep_nv_tensorrt_rtx").origin).parent
for name in ("libcudart.so.*", "libtensorrt_rtx.so.*", "libtensorrt_onnxparser_rtx.so.*"):
    ctypes.CDLL(str(next(folder.glob(name))), mode=ctypes.RTLD_GLOBAL)
import tensorrt_rtx_bindings as trt  # noqa: E402


def shapes(text):
    inputs = (part.rsplit(":", 1) for part in text.split(","))
    return {name: tuple(int(axis) for axis in shape.split("x")) for name, shape in inputs}


class Log(trt.ILogger):
    def log(self, severity, message):
        if severity <= trt.ILogger.WARNING:
            print(f"  {severity.name.lower()}: {message}")


def refused(reason):
    print(f"{args.model}: refused: {reason}")
    sys.exit(1)


log = Log()
builder = trt.Builder(log)
network = builder.create_network(0)
onnx = trt.OnnxParser(network, log)
if not onnx.parse(pathlib.Path(args.model).read_bytes()):
    refused("; ".join(onnx.get_error(i).desc() for i in range(onnx.num_errors)))

limits = [shapes(text) for text in (args.min, args.opt, args.max)]
profile = builder.create_optimization_profile()
for i in range(network.num_inputs):
    value = network.get_input(i)
    print(f"  input {value.name} {value.dtype.name} {tuple(value.shape)}")
    if any(value.name not in limit for limit in limits):
        refused(f"the profile has no input {value.name}")
    profile.set_shape(value.name, *(limit[value.name] for limit in limits))
for i in range(network.num_outputs):
    value = network.get_output(i)
    print(f"  output {value.name} {value.dtype.name} {tuple(value.shape)}")

config = builder.create_builder_config()
config.add_optimization_profile(profile)
config.num_compute_capabilities = 1
config.set_compute_capability(getattr(trt.ComputeCapability, args.gpu), 0)
start = time.perf_counter()
engine = builder.build_serialized_network(network, config)
if engine is None:
    refused("no engine")
print(f"{args.model}: {network.num_layers} layers, engine for {args.gpu} of {engine.nbytes / 1e6:.1f} MB in "
      f"{time.perf_counter() - start:.1f} s")
