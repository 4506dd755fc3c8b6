#!/usr/bin/env python3
"""What `against.py` and `instructions.py` hold edge-ocr against, each in a process of its own.

    support/peers.py NAME JSON

calls `child_NAME` with the arguments that the JSON holds and prints its answer as JSON. Processes inherit the peak memory of the
one that starts them, so those two stay small: whatever needs more than the standard library runs and is imported here.
"""
import collections
import hashlib
import json
import pathlib
import statistics
import sys
import tempfile
import time

Network = collections.namedtuple("Network", "model file width height dictionary", defaults=[None])
# By tier and kind. A dictionary is a file only where the network does not carry its characters.
NETWORKS = {
    "small": {"det": Network("ppocrv6-small-det", "PP-OCRv6_det_small.onnx", 640, 640),
              "rec": Network("ppocrv6-small-rec", "PP-OCRv6_rec_small.onnx", 320, 48)},
    "tiny": {"det": Network("ppocrv6-tiny-det", "PP-OCRv6_det_tiny.onnx", 640, 640),
             "rec": Network("ppocrv6-tiny-rec", "PP-OCRv6_rec_tiny.onnx", 320, 48, "ppocrv6_tiny_dict.txt")},
}
KINDS = ("det", "rec")
PEERS = {"ort": "ONNX Runtime f32", "ort-int8": "ONNX Runtime INT8", "openvino": "OpenVINO"}
FRAME_LINES = 5


def image_paths(labels, count):
    """Paths of the first images of a labels file."""
    labels = pathlib.Path(labels)
    lines = [line for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [str(labels.parent / json.loads(line)["image"]) for line in lines[:count]]


def tensor(image):
    """The network's input: BGR, -1 to 1, NCHW."""
    import numpy as np
    from PIL import Image
    pixels = np.asarray(Image.open(image).convert("RGB"), dtype=np.float32)[:, :, ::-1]
    return np.ascontiguousarray(((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None])


def decode(probabilities, characters):
    """Greedy CTC."""
    best = probabilities[0].argmax(axis=1)
    kept = [c for i, c in enumerate(best) if c and (i == 0 or c != best[i - 1])]
    return "".join(characters[c] for c in kept)


def session(path, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def cut(labels, folder):
    """Pages and lines of the first labelled images at the sizes of the networks, and what the lines say."""
    from PIL import Image
    labels = pathlib.Path(labels)
    entries = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()]
    entries = [e for e in entries if e.get("boxes")][:12]
    made = {"det": [], "rec": []}
    words = []
    for n, entry in enumerate(entries):
        page = Image.open(labels.parent / entry["image"]).convert("RGB")
        made["det"].append(f"{folder}/page{n}.png")
        page.resize((640, 640), Image.Resampling.BILINEAR).save(made["det"][-1])
        for box in entry["boxes"]:
            (left, top), (right, bottom) = map(min, zip(*box["quad"])), map(max, zip(*box["quad"]))
            # A line that the recogniser's input holds with little stretching.
            if 5.5 < (right - left) / max(bottom - top, 1) < 7.5 and len(words) < 4 * (n + 1):
                made["rec"].append(f"{folder}/line{len(words)}.png")
                page.crop((left, top, right, bottom)).resize((320, 48), Image.Resampling.BILINEAR).save(made["rec"][-1])
                words.append(box["text"])
    return made, words


def fix_and_quantise(source, network, images, folder):
    """The network with its shapes fixed, and of that the static quantisation of ONNX Runtime; both are kept for the next time."""
    import onnx
    from onnx import version_converter
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from onnxruntime.tools.onnx_model_utils import fix_output_shapes, make_input_shape_fixed
    key = hashlib.sha256(source.read_bytes() + onnx.__version__.encode()).hexdigest()[:16]
    cache = pathlib.Path(tempfile.gettempdir()) / "edge-ocr-against"
    cache.mkdir(exist_ok=True)
    fixed, int8 = cache / f"{network.model}-{key}.onnx", cache / f"{network.model}-{key}-int8.onnx"
    model = onnx.load(source)
    inner = model.graph.input[0].name
    if not fixed.exists():
        make_input_shape_fixed(model.graph, inner, [1, 3, network.height, network.width])
        fix_output_shapes(model)
        onnx.save(model, fixed)
    if not int8.exists():
        images = iter(images)

        class Reader(CalibrationDataReader):
            def get_next(self):
                image = next(images, None)
                return image and {inner: tensor(image)}

        # Scales for each channel came with operator set 13.
        newer, clean = f"{folder}/{network.model}-newer.onnx", f"{folder}/{network.model}-clean.onnx"
        onnx.save(version_converter.convert_version(onnx.load(fixed), 17), newer)
        quant_pre_process(newer, clean, skip_symbolic_shape=True)
        quantize_static(clean, str(int8), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return {"f32": str(fixed), "int8": str(int8)}


def characters_of(source, network):
    """What the classes of a recogniser mean."""
    import onnx
    if network.dictionary:
        text = source.with_name(network.dictionary).read_text(encoding="utf-8")
    else:
        text = {p.key: p.value for p in onnx.load(source).metadata_props}["character"]
    return ["", *text.removesuffix("\n").split("\n"), " "]


def child_prepare(models, labels, folder, tiers):
    """Fixes the shapes, quantises, and makes the images: a page, and a line that the float network of each tier reads as its
    label. The images are the same for all tiers."""
    made, words = cut(labels, folder)
    answer = {tier: {} for tier in tiers}
    right = [True] * len(words)
    for tier in tiers:
        for kind in KINDS:
            network = NETWORKS[tier][kind]
            source = pathlib.Path(models) / network.file
            answer[tier][kind] = fix_and_quantise(source, network, made[kind][1:], folder)
        characters = characters_of(source, network)
        run = session(answer[tier]["rec"]["f32"], 2)
        inner = run.get_inputs()[0].name
        for n, (image, word) in enumerate(zip(made["rec"], words)):
            if right[n]:
                read = decode(run.run(None, {inner: tensor(image)})[0], characters)
                right[n] = len(word) > 7 and read.replace(" ", "").upper() == word.replace(" ", "").upper()
        answer[tier]["rec"]["characters"] = f"{folder}/characters-{tier}.json"
        pathlib.Path(answer[tier]["rec"]["characters"]).write_text(json.dumps(characters))
    line = made["rec"][right.index(True) if True in right else 0]
    for tier in tiers:
        answer[tier]["det"]["image"], answer[tier]["rec"]["image"] = made["det"][0], line
    return answer


def child_run(peer, kind, files, threads, repeat):
    """One network of a peer on one image, again and again."""
    x = tensor(files["image"])
    if peer == "openvino":
        import openvino
        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        model = openvino.Core().compile_model(files["f32"], "CPU", options)
        request = model.create_infer_request()
        run = lambda: request.infer([x], share_inputs=True)[0]
        precision = str(model.get_property("INFERENCE_PRECISION_HINT")).split("'")[1]
        version = f"{openvino.__version__.split('-')[0]} ({precision}, its choice)"
    else:
        import onnxruntime
        inner = session(files["int8" if peer == "ort-int8" else "f32"], threads)
        name = inner.get_inputs()[0].name
        run = lambda: inner.run(None, {name: x})[0]
        version = onnxruntime.__version__
    times = []
    for i in range(repeat + 3):
        start = time.perf_counter()
        result = run()
        times.append((time.perf_counter() - start) * 1e3)
    answer = {"version": version, "ms": statistics.median(times[3:])}
    if kind == "det":
        return answer | {"text_pixels": int((result > 0.5).sum())}
    return answer | {"text": decode(result, json.loads(pathlib.Path(files["characters"]).read_text()))}


def timed(read, paths):
    """Milliseconds and texts of each image."""
    pages = []
    for path in paths:
        start = time.perf_counter()
        texts = read(path)
        pages.append({"ms": (time.perf_counter() - start) * 1e3, "texts": texts})
    return pages


def child_rapidocr(labels, images, threads):
    """Reads images as its users do."""
    from importlib.metadata import version
    import cv2
    from rapidocr import RapidOCR
    ocr = RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": threads,
                           "EngineConfig.onnxruntime.inter_op_num_threads": 1, "Global.log_level": "error"})
    pages = timed(lambda path: list(ocr(cv2.imread(path)).txts or ()), image_paths(labels, images))
    return {"version": version("rapidocr"), "read": pages}


def child_faster_paddle(labels, images, threads, size):
    """Reads images as its users do. Its `text` joins what stands in a row, so lines are those of `bounds`, as it found them; for
    the words there is no difference."""
    from importlib.metadata import version
    import faster_paddle
    engine = faster_paddle.OcrEngine(model_size=size, threads=threads)
    lines = lambda path: [line["text"] for line in engine.ocr(pathlib.Path(path).read_bytes())["bounds"].values()]
    return {"version": version("faster-paddle"), "read": timed(lines, image_paths(labels, images))}


def child_frame(page, out):
    """A camera's frame of 640x480 with five lines: the first ones of `tests/golden/page.jpg`, as far as whole words reach."""
    import numpy as np
    from PIL import Image
    # Lines are 54 pixels apart there, and words at least 8.
    left, top, pitch, gap = 80, 80, 54, 8
    pixels = np.asarray(Image.open(page).convert("RGB"))[top:top + FRAME_LINES * pitch, left:left + 640]
    ground = np.median(pixels, axis=(0, 1)).astype(np.uint8)
    frame = np.tile(ground, (480, 640, 1))
    for n in range(FRAME_LINES):
        line = pixels[n * pitch:(n + 1) * pitch]
        light = np.append(line.min(axis=(0, 2)) > 128, False)
        end = max(x for x in range(gap, 640) if light[x - gap:x].all())
        frame[105 + n * pitch:105 + (n + 1) * pitch, :end] = line[:, :end]
    Image.fromarray(frame).save(out, "JPEG", quality=90)
    return out


if __name__ == "__main__":
    print(json.dumps(globals()[f"child_{sys.argv[1]}"](**json.loads(sys.argv[2]))))
