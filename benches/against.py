#!/usr/bin/env python3
"""Times of edge-ocr beside ONNX Runtime, OpenVINO and RapidOCR: one run, pair by pair, on the same pixels.

    benches/against.py --program target/release/edge-ocr --labels DATA/receipts/labels.jsonl
        [--program-full PROGRAM] [--models models] [--threads 1 2] [--images 10] [--rounds 5] [--only models pages]
        [--eval-flags FLAGS] [--score SCORE.py] [--out FILE]

Needs, in the Python that runs it: pip install onnxruntime onnx openvino rapidocr==3.10.0 . What is not installed is left out.

models  One run of the detector at 640x640 and of the recogniser at 320x48. Beside `edge-ocr bench` stand, from the float file of
        MODELS: ONNX Runtime, ONNX Runtime with its own static quantisation (QDQ, each channel of the weights by itself, kept in
        the folder for temporary files), and OpenVINO. The peers get input shapes fixed beforehand, which is how they are fastest,
        and normalised floats; what that costs is not counted. --program-full is a build with EDGE_OCR_CHARSET=full, whose
        recogniser computes all classes as theirs does.
pages   The first N images of the labels file: `edge-ocr eval`, with FLAGS if given, beside RapidOCR with its default parameters, two
        threads each. With --score, the texts of both are scored against the labels.
        Times and peak memory are those of whole processes; `reading` leaves loading out.

Ours and a peer take turns, each time in a process of its own; medians of the rounds are printed, and the median of the ratios,
ours over the peer's, round by round. Nothing counts before the answers agree: about as many text pixels or lines, the same
text. Exit code 1 when they do not. With --out, FILE.md and FILE.json are written.
"""
import argparse
import collections
import datetime
import difflib
import hashlib
import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

# Processes inherit the peak memory of the one that starts them, so this one stays small: whatever needs more than the
# standard library runs as `against.py --child NAME JSON` and is imported there.
MODELS = {"det": ("PP-OCRv6_det_small.onnx", 640, 640), "rec": ("PP-OCRv6_rec_small.onnx", 320, 48)}
PEERS = {"ort": "ONNX Runtime f32", "ort-int8": "ONNX Runtime INT8", "openvino": "OpenVINO"}


class Differs(Exception):
    """The answers are not about the same."""


# ---- children: each returns what is printed as JSON ----


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


def child_prepare(models, labels, folder):
    """Fixes the shapes, quantises, and makes the images: a page, and a line that the float model reads as its label."""
    import onnx
    from onnx import version_converter
    from PIL import Image
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from onnxruntime.tools.onnx_model_utils import fix_output_shapes, make_input_shape_fixed
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
    answer = {}
    for kind, (name, width, height) in MODELS.items():
        source = pathlib.Path(models) / name
        key = hashlib.sha256(source.read_bytes() + onnx.__version__.encode()).hexdigest()[:16]
        cache = pathlib.Path(tempfile.gettempdir()) / "edge-ocr-against"
        cache.mkdir(exist_ok=True)
        fixed, int8 = cache / f"{kind}-{key}.onnx", cache / f"{kind}-{key}-int8.onnx"
        model = onnx.load(source)
        inner = model.graph.input[0].name
        if not fixed.exists():
            make_input_shape_fixed(model.graph, inner, [1, 3, height, width])
            fix_output_shapes(model)
            onnx.save(model, fixed)
        if not int8.exists():
            images = iter(made[kind][1:])

            class Reader(CalibrationDataReader):
                def get_next(self):
                    image = next(images, None)
                    return image and {inner: tensor(image)}

            # Scales for each channel came with operator set 13.
            newer, clean = f"{folder}/{kind}-newer.onnx", f"{folder}/{kind}-clean.onnx"
            onnx.save(version_converter.convert_version(onnx.load(fixed), 17), newer)
            quant_pre_process(newer, clean, skip_symbolic_shape=True)
            quantize_static(clean, str(int8), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        answer[kind] = {"f32": str(fixed), "int8": str(int8), "image": made[kind][0]}
        if kind == "rec":
            text = {p.key: p.value for p in model.metadata_props}["character"]
            characters = ["", *text.removesuffix("\n").split("\n"), " "]
            run = session(str(fixed), 2)
            for image, word in zip(made["rec"], words):
                read = decode(run.run(None, {inner: tensor(image)})[0], characters)
                if len(word) > 7 and read.replace(" ", "").upper() == word.replace(" ", "").upper():
                    answer[kind]["image"] = image
                    break
            answer[kind]["characters"] = f"{folder}/characters.json"
            pathlib.Path(answer[kind]["characters"]).write_text(json.dumps(characters))
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


def child_rapidocr(labels, images, threads):
    """Reads images as its users do."""
    from importlib.metadata import version
    import cv2
    from rapidocr import RapidOCR
    ocr = RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": threads,
                           "EngineConfig.onnxruntime.inter_op_num_threads": 1, "Global.log_level": "error"})
    read = []
    for image in image_paths(labels, images):
        start = time.perf_counter()
        result = ocr(cv2.imread(image))
        read.append({"ms": (time.perf_counter() - start) * 1e3, "texts": list(result.txts or ())})
    return {"version": version("rapidocr"), "read": read}


# ---- the parent ----


def image_paths(labels, count):
    """Paths of the first images of a labels file."""
    labels = pathlib.Path(labels)
    lines = [line for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [str(labels.parent / json.loads(line)["image"]) for line in lines[:count]]


def process(command):
    """Output, seconds and peak megabytes of a command."""
    # What libraries say on standard error is of interest only when they fail.
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
            raise RuntimeError(f"{pathlib.Path(command[0]).name} ended with {child.returncode}: {said[-2000:]}")
    return output.decode(), seconds, usage.ru_maxrss / 1024


def child(name, **what):
    """Answer, seconds and peak megabytes of a function above in a process of its own."""
    output, *cost = process([sys.executable, __file__, "--child", name, json.dumps(what)])
    return json.loads(output.splitlines()[-1]), *cost


def ours_once(program, kind, files, threads, repeat):
    _, width, height = MODELS[kind]
    flags = ["--engine", "arena", "--threads", str(threads), "--only", kind, "--size", f"{width}x{height}"]
    output, *_ = process([program, "bench", "--json", *flags, "--repeat", str(repeat), files["image"]])
    report = json.loads(output)
    return report, report["stages"][0]


def agree(kind, ours, theirs, exact):
    """Raises if the answers to one image differ; of a quantised peer a few wrong characters are taken."""
    if kind == "det":
        a, b = ours["text_pixels"], theirs["text_pixels"]
        if min(a, b) < 1000 or not 0.9 < a / b < 1.1:
            raise Differs(f"{a} and {b} text pixels")
    else:
        a, b = (x["text"].replace(" ", "") for x in (ours, theirs))
        if a != b and (exact or difflib.SequenceMatcher(None, a, b).ratio() < 0.7):
            raise Differs(f"{ours['text']!r} and {theirs['text']!r}")


def measure_models(args):
    rows, machine = [], {}
    with tempfile.TemporaryDirectory() as folder:
        files, *_ = child("prepare", models=args.models, labels=args.labels, folder=folder)
        for kind, (_, width, height) in MODELS.items():
            program = args.program_full if kind == "rec" and args.program_full else args.program
            repeat = args.repeat * (1 if kind == "det" else 5)
            for threads in args.threads:
                for peer, title in PEERS.items():
                    pairs = []
                    for _ in range(args.rounds):
                        report, ours = ours_once(program, kind, files[kind], threads, repeat)
                        what = {"peer": peer, "kind": kind, "files": files[kind], "threads": threads, "repeat": repeat}
                        try:
                            theirs, *_ = child("run", **what)
                        except RuntimeError as error:
                            if "ModuleNotFoundError" not in str(error):
                                raise
                            print(f"left out: {title} is not installed", flush=True)
                            break
                        try:
                            agree(kind, ours, theirs, peer != "ort-int8")
                        except Differs as error:
                            raise Differs(f"{kind}, edge-ocr and {title}: {error}") from None
                        pairs.append((ours["ms"]["p50"], theirs["ms"]))
                    if not pairs:
                        continue
                    machine = {key: report[key] for key in ("version", "arch", "cpu", "cores", "kernels", "target")}
                    mine, other = (statistics.median(side) for side in zip(*pairs))
                    rows.append({
                        "what": f"{kind} {width}x{height}", "threads": threads, "charset": report["charset"] if kind == "rec" else None,
                        "peer": f"{title} {theirs['version']}", "ours_ms": mine, "peer_ms": other,
                        "ratio": statistics.median(a / b for a, b in pairs), "rounds_ms": pairs,
                        "answer": {key: [ours[key], theirs[key]] for key in ("text_pixels", "text") if key in ours},
                    })
                    r = rows[-1]
                    print(f"{r['what']:12s} {threads} threads  {mine:8.2f} ms  {r['peer']:44s} {other:8.2f} ms  ratio {r['ratio']:.3f}", flush=True)
    return rows, machine


def words(texts):
    return collections.Counter(word.upper() for text in texts for word in text.split())


def word_f1(args, folder, pages):
    """What SCORE.py says of the texts of the first images."""
    lines = [line for line in pathlib.Path(args.labels).read_text(encoding="utf-8").splitlines() if line.strip()][: len(pages)]
    labels, read = f"{folder}/labels.jsonl", f"{folder}/read.jsonl"
    pathlib.Path(labels).write_text("\n".join(lines))
    pages = [{"image": json.loads(line)["image"], "lines": [{"text": text} for text in texts]} for line, texts in zip(lines, pages)]
    pathlib.Path(read).write_text("\n".join(json.dumps(page) for page in pages))
    output, *_ = process([sys.executable, args.score, labels, read])
    return float(output.split("word F1 ")[1].split()[0])


def measure_pages(args):
    count, threads = len(image_paths(args.labels, args.images)), 2
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            out = f"{folder}/out.jsonl"
            flags = ["--limit", str(args.images), "--threads", str(threads), "--out", out, *shlex.split(args.eval_flags)]
            _, seconds, megabytes = process([args.program, "eval", args.labels, *flags])
            ours = [json.loads(line) for line in open(out, encoding="utf-8")]
            texts = [line["text"] for page in ours for line in page["lines"]]
            try:
                theirs, their_seconds, their_megabytes = child("rapidocr", labels=args.labels, images=args.images, threads=threads)
            except RuntimeError as error:
                if "ModuleNotFoundError" not in str(error):
                    raise
                print("left out: RapidOCR is not installed", flush=True)
                return None
            other = [text for page in theirs["read"] for text in page["texts"]]
            a, b = words(texts), words(other)
            shared = 2 * (a & b).total() / max(a.total() + b.total(), 1)
            if not 0.85 < len(texts) / max(len(other), 1) < 1.15 or shared < 0.7:
                raise Differs(f"pages: {len(texts)} and {len(other)} lines, {shared:.2f} of the words shared")
            figures.append({
                "seconds": [seconds, their_seconds], "megabytes": [megabytes, their_megabytes],
                "reading_ms": [sum(p["ms"] for p in ours) / count, sum(p["ms"] for p in theirs["read"]) / count],
            })
        scores = None
        if args.score:
            both = [[line["text"] for line in page["lines"]] for page in ours], [page["texts"] for page in theirs["read"]]
            scores = [word_f1(args, folder, pages) for pages in both]
    row = {"what": f"{count} images", "threads": threads, "peer": f"RapidOCR {theirs['version']}",
           "lines": [len(texts), len(other)], "words_shared": shared, "word_f1": scores, "rounds": figures}
    if scores:
        print(f"{row['what']}, word F1 {scores[0]:.4f}  {row['peer']} {scores[1]:.4f}", flush=True)
    for key in ("seconds", "reading_ms", "megabytes"):
        pairs = [f[key] for f in figures]
        row[key] = {"ours": statistics.median(p[0] for p in pairs), "peer": statistics.median(p[1] for p in pairs),
                    "ratio": statistics.median(p[0] / p[1] for p in pairs)}
        print(f"{row['what']}, {key:10s} {row[key]['ours']:9.2f}  {row['peer']} {row[key]['peer']:9.2f}  ratio {row[key]['ratio']:.3f}", flush=True)
    return row


def markdown(result):
    """The result for people."""
    machine = result["machine"]
    known = ", ".join(f"{key} {value}" for key, value in machine.items() if value)
    lines = [f"# Beside others, {result['date']}", "", f"Machine: {known}. Commit {result['commit']}. Rounds: {result['rounds']}. Every figure was measured.",
             "", f"    {result['command']}", ""]
    if result["models"]:
        lines += ["| network | threads | edge-ocr ms | peer | ms | ratio |", "|---|---|---|---|---|---|"]
        for r in result["models"]:
            charset = f", charset {r['charset']}" if r["charset"] else ""
            lines.append(f"| {r['what']}{charset} | {r['threads']} | {r['ours_ms']:.2f} | {r['peer']} | {r['peer_ms']:.2f} | {r['ratio']:.3f} |")
        lines.append("")
    if page := result["pages"]:
        lines += [f"{page['what']}, {page['threads']} threads; {page['lines'][0]} and {page['lines'][1]} lines, {page['words_shared']:.1%} of the words shared.", "",
                  f"| whole process | edge-ocr | {page['peer']} | ratio |", "|---|---|---|---|"]
        for key, name in (("seconds", "time, s"), ("reading_ms", "reading, ms an image"), ("megabytes", "peak memory, MB")):
            lines.append(f"| {name} | {page[key]['ours']:.2f} | {page[key]['peer']:.2f} | {page[key]['ratio']:.3f} |")
        if page["word_f1"]:
            lines.append("| word F1 | {:.4f} | {:.4f} | |".format(*page["word_f1"]))
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--program-full")
    parser.add_argument("--labels", required=True)
    parser.add_argument("--models", default=str(pathlib.Path(__file__).resolve().parent.parent / "models"))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=20, help="runs of the detector in a round; of the recogniser five times as many")
    parser.add_argument("--score", metavar="SCORE.py")
    parser.add_argument("--eval-flags", default="", metavar="FLAGS")
    parser.add_argument("--only", nargs="+", choices=["models", "pages"], default=["models", "pages"])
    parser.add_argument("--out")
    args = parser.parse_args()
    git = subprocess.run(["git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"], capture_output=True, text=True)
    rows, machine = measure_models(args) if "models" in args.only else ([], {"arch": platform.machine()})
    result = {
        "schema": "edge-ocr-against/1", "date": datetime.date.today().isoformat(), "commit": git.stdout.strip() or "unknown",
        # Names of files, not where they are on this machine.
        "command": " ".join(["benches/against.py", *(os.path.basename(a) for a in sys.argv[1:])]),
        "machine": machine, "rounds": args.rounds, "models": rows,
        "pages": measure_pages(args) if "pages" in args.only else None,
    }
    if args.out:
        pathlib.Path(f"{args.out}.md").write_text(markdown(result), encoding="utf-8")
        pathlib.Path(f"{args.out}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(globals()[f"child_{sys.argv[2]}"](**json.loads(sys.argv[3]))))
        sys.exit()
    try:
        main()
    except (Differs, OSError, RuntimeError) as error:
        print(f"against.py: {error}", file=sys.stderr)
        sys.exit(1)
