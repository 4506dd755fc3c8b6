#!/usr/bin/env python3
"""Times of edge-ocr beside ONNX Runtime, OpenVINO, RapidOCR and faster-paddle: one run, by turns, on the same pixels.

    benches/against.py --program target/release/edge-ocr --labels DATA/receipts/labels.jsonl
        [--program-full PROGRAM] [--models models] [--threads 1 2] [--images 10] [--rounds 5] [--only models pages]
        [--tiers small tiny] [--page-tiers small cascade tiny] [--eval-flags FLAGS] [--score SCORE.py] [--out FILE]

Needs, in the Python that runs it: pip install onnxruntime onnx openvino rapidocr==3.10.0 faster-paddle==1.0.4 . What is not
installed is left out.

models  One run of the detector at 640x640 and of the recogniser at 320x48 of each of --tiers. Beside `edge-ocr bench` stand, from
        the float file of MODELS: ONNX Runtime, ONNX Runtime with its own static quantisation (QDQ, each channel of the weights by
        itself, kept in the folder for temporary files), and OpenVINO. The peers get input shapes fixed beforehand, which is how they
        are fastest, and normalised floats; what that costs is not counted. --program-full is a build with EDGE_OCR_CHARSET=full,
        whose recogniser computes all classes as theirs does. With both tiers, our tiny networks stand beside our small ones, too.
pages   The first N images of the labels file: `edge-ocr eval` with each of --page-tiers (`default`: without the flag), and with
        FLAGS if given, beside RapidOCR with its default parameters and both sizes of faster-paddle, two threads each; and our other
        tiers beside our `small`. With --score, the texts of all are scored against the labels.
        Times and peak memory are those of whole processes; `reading` leaves loading out.

All take turns, each time in a process of its own; medians of the rounds are printed, and the median of the ratios, ours over
the peer's, round by round. Nothing counts before the answers agree: about as many text pixels or lines, the same text. Exit
code 1 when they do not. What issues ask of a ratio stands beside it and is not held. With --out, FILE.md and FILE.json are
written.
"""
import argparse
import collections
import datetime
import difflib
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

# No __pycache__ among the sources.
sys.dont_write_bytecode = True
from support.peers import KINDS, NETWORKS, PEERS, image_paths  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
# At most this much of the peer's time: by tier, peer and kind.
ASKED = {("tiny", "small", "det"): 0.40, ("tiny", "small", "rec"): 0.30, ("tiny", "ort", "det"): 0.40, ("tiny", "ort", "rec"): 0.40}
# The same of the milliseconds of reading a page: by our tier and who stands beside it.
ASKED_PAGES = {("cascade", "RapidOCR"): 0.11, ("cascade", "edge-ocr small"): 0.60, ("cascade", "faster-paddle tiny"): 1.00,
               ("tiny", "faster-paddle tiny"): 0.50}
# Readers of pages beside ours: the function of `support/peers.py`, and its arguments.
READERS = {
    "RapidOCR": ("rapidocr", {}),
    "faster-paddle tiny": ("faster_paddle", {"size": "tiny"}),
    "faster-paddle small": ("faster_paddle", {"size": "small"}),
}
COSTS = {"seconds": "time, s", "reading_ms": "reading, ms an image", "megabytes": "peak memory, MB"}
# The least share of words that two readers of a page have in common.
LEAST_SHARED = 0.7


class Differs(Exception):
    """The answers are not about the same."""


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
    """Answer, seconds and peak megabytes of a function of `support/peers.py` in a process of its own."""
    output, *cost = process([sys.executable, str(HERE / "support/peers.py"), name, json.dumps(what)])
    return json.loads(output.splitlines()[-1]), *cost


def peer(title, name, **what):
    """The same of a peer; None, and a line, when it is not installed."""
    try:
        return child(name, **what)
    except RuntimeError as error:
        if "ModuleNotFoundError" not in str(error):
            raise
        print(f"left out: {title} is not installed", flush=True)
        return None


def stage_of(report, model):
    """What a report of `edge-ocr bench` says of a network; with a cascade it has two recognisers."""
    found = [stage for stage in report["stages"] if stage["model"] == model]
    if len(found) != 1:
        raise RuntimeError(f"edge-ocr bench measured {[stage['model'] for stage in report['stages']]}, not {model}")
    return found[0]


def only(tier, kind):
    """Flags of `edge-ocr bench` for one network of a tier. The detector goes by its name, as a tier may have another for some targets;
    a recogniser by its tier, as its name alone leaves the second one of a cascade in use."""
    network = NETWORKS[tier][kind]
    which = ["--det-model", network.model] if kind == "det" else ["--tier", tier]
    return ["--engine", "arena", "--only", kind, "--size", f"{network.width}x{network.height}", *which]


def ours_once(args, tier, kind, files, threads):
    program = args.program_full if kind == "rec" and args.program_full else args.program
    flags = [*only(tier, kind), "--threads", str(threads), "--repeat", str(repeats(args, kind))]
    output, *_ = process([program, "bench", "--json", *flags, files[tier][kind]["image"]])
    report = json.loads(output)
    return report, stage_of(report, NETWORKS[tier][kind].model)


def repeats(args, kind):
    return args.repeat * (1 if kind == "det" else 5)


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


def beside_peer(args, tier, kind, files, threads, name):
    """Our network beside a peer's: pairs of milliseconds, the last answers, and our report. None if there is no such peer."""
    pairs = []
    for _ in range(args.rounds):
        report, ours = ours_once(args, tier, kind, files, threads)
        what = {"peer": name, "kind": kind, "files": files[tier][kind], "threads": threads, "repeat": repeats(args, kind)}
        found = peer(PEERS[name], "run", **what)
        if not found:
            return None
        theirs = found[0]
        try:
            agree(kind, ours, theirs, name != "ort-int8")
        except Differs as error:
            raise Differs(f"{tier} {kind}, edge-ocr and {PEERS[name]}: {error}") from None
        pairs.append((ours["ms"]["p50"], theirs["ms"]))
    return pairs, ours, theirs, f"{PEERS[name]} {theirs['version']}", report


def beside_small(args, kind, files, threads):
    """Our tiny network beside our small one; that both are right was seen beside the peers."""
    pairs = []
    for _ in range(args.rounds):
        report, tiny = ours_once(args, "tiny", kind, files, threads)
        _, small = ours_once(args, "small", kind, files, threads)
        pairs.append((tiny["ms"]["p50"], small["ms"]["p50"]))
    return pairs, tiny, small, "edge-ocr small", report


def measure_models(args):
    rows, machine = [], {}
    with tempfile.TemporaryDirectory() as folder:
        files, *_ = child("prepare", models=args.models, labels=args.labels, folder=folder, tiers=args.tiers)
        # What is measured, as [(tier, kind, threads, beside what)].
        each = [(tier, kind, threads, name) for tier in args.tiers for kind in KINDS for threads in args.threads for name in PEERS]
        if len(set(args.tiers)) == 2:
            each += [("tiny", kind, threads, "small") for kind in KINDS for threads in args.threads]
        missing = set()
        for tier, kind, threads, name in each:
            if name in missing:
                continue
            if name == "small":
                found = beside_small(args, kind, files, threads)
            elif not (found := beside_peer(args, tier, kind, files, threads, name)):
                missing.add(name)
                continue
            pairs, ours, theirs, title, report = found
            machine = {key: report[key] for key in ("version", "arch", "cpu", "cores", "kernels", "target")}
            mine, other = (statistics.median(side) for side in zip(*pairs))
            network = NETWORKS[tier][kind]
            rows.append({
                "what": f"{tier} {kind} {network.width}x{network.height}", "tier": tier, "threads": threads,
                "charset": report["charset"] if kind == "rec" else None, "peer": title, "ours_ms": mine, "peer_ms": other,
                "ratio": statistics.median(a / b for a, b in pairs), "asked": ASKED.get((tier, name, kind)), "rounds_ms": pairs,
                "answer": {key: [ours[key], theirs[key]] for key in ("text_pixels", "text") if key in ours},
            })
            r = rows[-1]
            asked = f" (asked {r['asked']:.2f})" if r["asked"] else ""
            print(f"{r['what']:17s} {threads} threads  {mine:8.2f} ms  {title:44s} {other:8.2f} ms  ratio {r['ratio']:.3f}{asked}", flush=True)
    return rows, machine


def words(pages):
    return collections.Counter(word.upper() for texts in pages for text in texts for word in text.split())


def word_f1(args, folder, pages):
    """What SCORE.py says of the texts of the first images."""
    lines = [line for line in pathlib.Path(args.labels).read_text(encoding="utf-8").splitlines() if line.strip()][: len(pages)]
    labels, read = f"{folder}/labels.jsonl", f"{folder}/read.jsonl"
    pathlib.Path(labels).write_text("\n".join(lines))
    pages = [{"image": json.loads(line)["image"], "lines": [{"text": text} for text in texts]} for line, texts in zip(lines, pages)]
    pathlib.Path(read).write_text("\n".join(json.dumps(page) for page in pages))
    output, *_ = process([sys.executable, args.score, labels, read])
    return float(output.split("word F1 ")[1].split()[0])


def ours_read(args, tier, threads, out):
    """Texts of each page, and what they cost."""
    flags = ["--limit", str(args.images), "--threads", str(threads), "--out", out, *shlex.split(args.eval_flags)]
    flags += ["--tier", tier] if tier != "default" else []
    _, seconds, megabytes = process([args.program, "eval", args.labels, *flags])
    pages = [json.loads(line) for line in open(out, encoding="utf-8")]
    texts = [[line["text"] for line in page["lines"]] for page in pages]
    return texts, {"seconds": seconds, "reading_ms": sum(p["ms"] for p in pages) / len(pages), "megabytes": megabytes}


def same_pages(ours, theirs):
    """The share of words that both have; raises if they are not about the same."""
    a, b = words(ours), words(theirs)
    shared = 2 * (a & b).total() / max(a.total() + b.total(), 1)
    mine, other = (sum(map(len, pages)) for pages in (ours, theirs))
    if not 0.85 < mine / max(other, 1) < 1.15 or shared < LEAST_SHARED:
        raise Differs(f"{mine} and {other} lines, {shared:.2f} of the words shared")
    return shared


def measure_pages(args):
    count, threads = len(image_paths(args.labels, args.images)), 2
    ours = {f"edge-ocr {tier}": tier for tier in args.page_tiers}
    versions, costs, texts, shared = {}, [], {}, {}
    readers = dict(READERS)
    # Who stands beside whom.
    pairs = [(a, b) for a in ours for b in [*readers, "edge-ocr small"] if a != b and (b in ours or b in readers)]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            costs.append({})
            for name, tier in ours.items():
                texts[name], costs[-1][name] = ours_read(args, tier, threads, f"{folder}/out.jsonl")
            for name, (function, what) in list(readers.items()):
                found = peer(name, function, labels=args.labels, images=args.images, threads=threads, **what)
                if not found:
                    del readers[name]
                    continue
                theirs, seconds, megabytes = found
                texts[name], versions[name] = [page["texts"] for page in theirs["read"]], theirs["version"]
                reading = sum(page["ms"] for page in theirs["read"]) / count
                costs[-1][name] = {"seconds": seconds, "reading_ms": reading, "megabytes": megabytes}
            pairs = [(a, b) for a, b in pairs if b in texts]
            for a, b in pairs:
                try:
                    shared[a, b] = same_pages(texts[a], texts[b])
                except Differs as error:
                    raise Differs(f"pages, {a} and {b}: {error}") from None
        scores = {name: word_f1(args, folder, pages) if args.score else None for name, pages in texts.items()}
    rows = [{"name": name, "version": versions.get(name), "lines": sum(map(len, texts[name])), "word_f1": scores[name],
             **{key: statistics.median(cost[name][key] for cost in costs) for key in COSTS}} for name in texts]
    ratios = [{"ours": a, "peer": b, "words_shared": shared[a, b], "reading_asked": ASKED_PAGES.get((ours[a], b)),
               **{key: statistics.median(cost[a][key] / cost[b][key] for cost in costs) for key in COSTS}} for a, b in pairs]
    page = {"what": f"{count} images", "threads": threads, "readers": rows, "ratios": ratios, "rounds": costs}
    print(page_table(page), flush=True)
    return page


def page_table(page):
    lines = [f"{page['what']}, {page['threads']} threads.", "", f"| whole process | {' | '.join(COSTS.values())} | lines | word F1 |", "|---" * 6 + "|"]
    for r in page["readers"]:
        score = "" if r["word_f1"] is None else f"{r['word_f1']:.4f}"
        lines.append(f"| {' '.join(filter(None, (r['name'], r['version'])))} | {' | '.join(f'{r[key]:.2f}' for key in COSTS)} | {r['lines']} | {score} |")
    lines += ["", "| ratio | beside | time | reading | asked | memory | words shared |", "|---" * 7 + "|"]
    for r in page["ratios"]:
        asked = f"{r['reading_asked']:.2f}" if r["reading_asked"] else ""
        lines.append(f"| {r['ours']} | {r['peer']} | {r['seconds']:.3f} | {r['reading_ms']:.3f} | {asked} | {r['megabytes']:.3f} | {r['words_shared']:.1%} |")
    return "\n".join(lines)


def markdown(result):
    """The result for people."""
    machine = result["machine"]
    known = ", ".join(f"{key} {value}" for key, value in machine.items() if value)
    lines = [f"# Beside others, {result['date']}", "", f"Machine: {known}. Commit {result['commit']}. Rounds: {result['rounds']}. Every figure was measured.",
             "", f"    {result['command']}", ""]
    if result["models"]:
        lines += ["| network | threads | edge-ocr ms | peer | ms | ratio | asked |", "|---|---|---|---|---|---|---|"]
        for r in result["models"]:
            charset = f", charset {r['charset']}" if r["charset"] else ""
            asked = f"{r['asked']:.2f}" if r["asked"] else ""
            lines.append(f"| {r['what']}{charset} | {r['threads']} | {r['ours_ms']:.2f} | {r['peer']} | {r['peer_ms']:.2f} | {r['ratio']:.3f} | {asked} |")
        lines.append("")
    if result["pages"]:
        lines.append(page_table(result["pages"]))
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--program-full")
    parser.add_argument("--labels", required=True)
    parser.add_argument("--models", default=str(HERE.parent / "models"))
    parser.add_argument("--tiers", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--page-tiers", nargs="+", choices=["small", "cascade", "tiny", "default"], default=["small", "cascade", "tiny"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=20, help="runs of the detector in a round; of the recogniser five times as many")
    parser.add_argument("--score", metavar="SCORE.py")
    parser.add_argument("--eval-flags", default="", metavar="FLAGS")
    parser.add_argument("--only", nargs="+", choices=["models", "pages"], default=["models", "pages"])
    parser.add_argument("--out")
    args = parser.parse_args()
    git = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True)
    rows, machine = measure_models(args) if "models" in args.only else ([], {"arch": platform.machine()})
    result = {
        "schema": "edge-ocr-against/2", "date": datetime.date.today().isoformat(), "commit": git.stdout.strip() or "unknown",
        # Names of files, not where they are on this machine.
        "command": " ".join(["benches/against.py", *(os.path.basename(a) for a in sys.argv[1:])]),
        "machine": machine, "rounds": args.rounds, "models": rows,
        "pages": measure_pages(args) if "pages" in args.only else None,
    }
    if args.out:
        pathlib.Path(f"{args.out}.md").write_text(markdown(result), encoding="utf-8")
        pathlib.Path(f"{args.out}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (Differs, OSError, RuntimeError) as error:
        print(f"against.py: {error}", file=sys.stderr)
        sys.exit(1)
