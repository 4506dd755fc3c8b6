#!/usr/bin/env python3
"""Instructions per inference on 64-bit ARM, edge-ocr beside ONNX Runtime, counted by QEMU: no board needed, no noise.

    benches/instructions.py --program target/aarch64-unknown-linux-gnu/release/edge-ocr --labels DATA/receipts/labels.jsonl
        [--program-full PROGRAM] [--only networks frame] [--tiers small tiny] [--frame-tiers small cascade tiny] [--before PROGRAM]
        [--cpu cortex-a76] [--read IMAGE] [--hot N] [--models models] [--folder target/instructions] [--out FILE]

networks  Both run for ARM under `qemu-aarch64 -cpu CPU` with one thread, on the same pixels: the detector at 640x640 and the recogniser
at 320x48 of each of --tiers. A count is that of a process with three inferences less that of one with a single one, halved, so that starting and loading
fall out. The peer is ONNX Runtime's own wheel for aarch64 with the float model and with its own static quantisation, made as
`against.py` makes them. Nothing counts before the answers agree.

frame  A camera's frame of 640x480 with five lines of text (a part of tests/golden/page.jpg), read by `edge-ocr bench --only page` with
each of --frame-tiers that the program has (`default`: what it reads with if nothing is said), counted in the same way. --before is
another program, such as one of an earlier version; it gets no --tier but --before-flags, and the ratios to it are printed. No peer reads
frames.
For the Pi Zero 2 W: a program for the target pi-zero2w, `--only frame --cpu cortex-a53 --frame-tiers default`.

--read adds reading a whole image, start to end: loading, decoding, both networks, the classifier, geometry. The peer has no program
that reads, so beside it stands what its two networks of the first of --tiers alone would take at the sizes of RapidOCR, computed from the counts
above it. --hot N prints where the instructions of ours are, by function (the program
must have its symbols). --cpu may be given again: cortex-a53 (Pi 3), cortex-a72 (Pi 4), cortex-a76 (Pi 5; has the dot product).
`dot` is the share of instructions that are dot products (sdot, udot): it proves which kernels ran.

Instructions are not time: caches, branches and how many instructions a core starts at once are left out.

Needs Debian 12 with `apt-get install qemu-user gcc libc6-dev xz-utils`, its package sources and PyPI in reach, and Python 3.11
with venv. All else is made once in FOLDER: plugins of QEMU, an ARM system with Python, and a venv. No root.
"""
import argparse
import bisect
import collections
import difflib
import json
import math
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

# No __pycache__ among the sources.
sys.dont_write_bytecode = True
import against  # noqa: E402
from support import peers  # noqa: E402

HERE = pathlib.Path(__file__).resolve()
RUNTIME = "1.32.0"
WHEELS = [f"onnxruntime=={RUNTIME}", "flatbuffers", "protobuf", "packaging", "numpy", "pillow"]
PACKAGES = ["libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libbz2-1.0", "liblzma5", "libexpat1", "libffi8", "libssl3",
            "libcrypt1", "libuuid1", "libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal"]
PEERS = {"ort": "f32", "ort-int8": "int8"}
LIBRARY = "onnxruntime_pybind11_state"
DOT = "dot products"
OURS = ["--engine", "arena", "--threads", "1"]
PAGE = HERE.parent.parent / "tests/golden/page.jpg"
# What the kernel says of each processor: part number, variant, revision, extensions.
CPUS = {"cortex-a53": ("0xd03", 0, 4, ""), "cortex-a72": ("0xd08", 0, 3, ""),
        "cortex-a76": ("0xd0b", 4, 1, " atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp")}
CORES = 4


def must(command, **more):
    """Standard output of a command that has to succeed."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{pathlib.Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


# ---- what is made once ----


def once(place, make):
    """Makes a folder unless it is there; a half-made one never stands under its name."""
    if not place.exists():
        print(f"making {place.name}", file=sys.stderr, flush=True)
        part = place.with_name(place.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(part)
        part.rename(place)
    return place


def make_system(folder):
    """Debian's C library and Python for ARM, unpacked beside the system; apt gets folders of its own."""
    debs = folder / "debs"
    for path in ("debs/lists/partial", "debs/archives/partial", "usr/lib", "usr/bin"):
        (folder / path).mkdir(parents=True)
    # Without its list of installed packages apt would think about this machine's.
    apt = ["apt-get", "-qq", "-o", "APT::Architecture=arm64", "-o", "APT::Architectures::=arm64", "-o", f"Dir::State::Lists={debs}/lists",
           "-o", f"Dir::Cache={debs}", "-o", "Dir::State::status=/dev/null", "-o", "APT::Sandbox::User=root"]
    must([*apt, "update"])
    must([*apt, "download", *PACKAGES], cwd=debs)
    # Packages of bookworm put files into /lib, which is a link on a system of today.
    for name in ("lib", "bin"):
        (folder / name).symlink_to(f"usr/{name}")
    for deb in debs.glob("*.deb"):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as files:
            must(["tar", "-x", "--keep-directory-symlink", "-C", folder], stdin=files.stdout)
    shutil.rmtree(debs)
    platforms = [f"--platform={p}_aarch64" for p in ("manylinux_2_28", "manylinux_2_27", "manylinux2014", "manylinux_2_17")]
    must([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--implementation=cp",
          "--python-version=3.11", *platforms, f"--target={folder / 'wheels'}", *WHEELS])


def make_venv(folder):
    """The same ONNX Runtime for this machine, for quantising. Its Python still works when the folder gets its name; its scripts do not."""
    must([sys.executable, "-m", "venv", folder])
    must([folder / "bin/python", "-m", "pip", "install", "--quiet", f"onnxruntime=={RUNTIME}", "onnx", "numpy", "pillow"])


def make_machine(folder, system, cpu):
    """What qemu shows instead of this machine's files. It emulates processors, not what Linux says of them: ONNX Runtime asks
    /proc and /sys, and dies of an answer that does not fit."""
    part, variant, revision, extensions = CPUS[cpu]
    every = f"0-{CORES - 1}"
    files = {f"sys/devices/system/cpu/{name}": every for name in ("possible", "present", "online")}
    files["proc/cpuinfo"] = "\n".join(
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32{extensions}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: {variant:#x}\nCPU part\t: {part}\nCPU revision\t: {revision}\n" for core in range(CORES))
    for core in range(CORES):
        here = f"sys/devices/system/cpu/cpu{core}"
        files |= {f"{here}/topology/{name}": every for name in ("core_siblings_list", "package_cpus_list", "cluster_cpus_list")}
        files |= {f"{here}/topology/physical_package_id": 0, f"{here}/topology/core_id": core,
                  f"{here}/topology/thread_siblings_list": core, f"{here}/cpufreq/cpuinfo_max_freq": 1500000,
                  f"{here}/cpufreq/cpuinfo_min_freq": 600000}
        for index, (level, kind, size) in enumerate([(1, "Data", "32K"), (1, "Instruction", "32K"), (2, "Unified", "512K")]):
            cache = {"level": level, "type": kind, "size": size, "shared_cpu_list": core if level == 1 else every}
            files |= {f"{here}/cache/index{index}/{name}": value for name, value in cache.items()}
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    for name in ("lib", "usr"):
        (folder / name).symlink_to(system / "usr" / ("lib" if name == "lib" else ""))


# ---- counting ----


class Emulator:
    """Runs programs for ARM and counts."""

    def __init__(self, folder, cpu):
        self.cpu, self.plugins = cpu, once(folder / "plugins", lambda part: must([HERE.parent / "support/qemu_plugins", part]))
        self.system = once(folder / "system", make_system)
        self.machine = once(folder / cpu, lambda part: make_machine(part, self.system, cpu))
        self.python = self.system / "usr/bin/python3.11"
        self.library = next(self.system.glob(f"wheels/onnxruntime/capi/{LIBRARY}*.so"))

    def run(self, command):
        """How often each block of a program's code ran, as [(address, length, runs)]; where its code starts; its output."""
        # One thread everywhere, and no hash seeded at random: else two runs differ by more than the work between them.
        variables = {"LD_LIBRARY_PATH": self.system / "usr/lib/aarch64-linux-gnu", "PYTHONPATH": self.system / "wheels",
                     "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
        flags = [flag for name, value in variables.items() for flag in ("-E", f"{name}={value}")]
        with tempfile.NamedTemporaryFile(mode="r") as said:
            output = must(["qemu-aarch64", "-L", self.machine, *flags, "-cpu", self.cpu, "-d", "plugin,page", "-D", said.name,
                           "-plugin", f"{self.plugins}/libhotblocks.so,inline=on", *command])
            log = said.read()
        start = int(re.search(r"^start_code +(0x[0-9a-f]+)$", log, re.MULTILINE)[1], 16)
        # The second column is how often qemu translated the block.
        rows = re.findall(r"^(0x[0-9a-f]+), \d+, (\d+), (\d+)$", log, re.MULTILINE)
        return [(int(pc, 16), int(length), int(runs)) for pc, length, runs in rows], start, output


def per_inference(emulator, command, code):
    """Instructions of one inference by function, how many are dot products, and the answer. `command` lacks its last argument."""
    found = collections.Counter()
    for repeat, sign in ((1, -1), (3, 1)):
        blocks, start, output = emulator.run([*command, repeat])
        answer = json.loads(output)
        for name, count in code.profile(answer.get("base", start - code.start), blocks).items():
            found[name] += sign * count / 2
    return found, found.pop(DOT, 0), answer


class Code:
    """The instructions of an ELF file that lies somewhere in memory, and what they are called."""

    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        self.symbols = []
        for symbol in must(["nm", "-C", "--defined-only", "--numeric-sort", path]).splitlines():
            address, kind, name = symbol.split(" ", 2)
            if kind in "tTwW":
                self.symbols.append((int(address, 16), name))
        place, = struct.unpack_from("<Q", self.data, 32)
        size, count = struct.unpack_from("<HH", self.data, 54)
        headers = (struct.unpack_from("<IIQQQQ", self.data, place + i * size) for i in range(count))
        self.segments = [(at, start, length) for kind, flags, at, start, _, length in headers if kind == 1 and flags & 1]
        self.start = min(start for _, start, _ in self.segments)

    def profile(self, base, blocks):
        """Instructions by function, and those that are sdot or udot (by vector or by element)."""
        found = collections.Counter()
        for pc, length, runs in blocks:
            address = pc - base
            at = next((address - start + at for at, start, size in self.segments if start <= address < start + size), None)
            if at is None:
                found["other libraries"] += length * runs
                continue
            nearest = bisect.bisect_right(self.symbols, (address, "\x7f")) - 1
            found[self.symbols[nearest][1] if nearest >= 0 else "without a name"] += length * runs
            code = struct.unpack_from(f"<{length}I", self.data, at)
            found[DOT] += runs * sum(w & 0x9fe0fc00 == 0x0e809400 or w & 0x9fc0f400 == 0x0f80e000 for w in code)
        return found


# ---- the peer's side, in Python for ARM ----


def child(model, image, characters, repeat):
    """A network of ONNX Runtime; prints its answer and where its library lies."""
    x, inner = peers.tensor(image), peers.session(model, 1)
    for _ in range(int(repeat)):
        result = inner.run(None, {inner.get_inputs()[0].name: x})[0]
    # The first mapping of the library is that of its first byte.
    answer = {"base": next(int(line.split("-")[0], 16) for line in open("/proc/self/maps") if LIBRARY in line)}
    if characters == "-":
        return answer | {"text_pixels": int((result > 0.5).sum())}
    return answer | {"text": peers.decode(result, json.loads(pathlib.Path(characters).read_text()))}


# ---- the parent ----


def ours(emulator, program, flags, image):
    """A row of what our program takes for an image, and its report."""
    command = [program, "bench", "--json", "--threads", "1", *flags, "--warm-up", 0, image, "--repeat"]
    mine, dots, report = per_inference(emulator, command, Code(program))
    total = mine.total()
    return {"cpu": emulator.cpu, "kernels": report["kernels"], "instructions": total, "dot": dots / total,
            "parts": {name: part / total for name, part in mine.most_common(30)}, "peers": {}}, report


def networks(args, files, emulator):
    rows, peer_code = [], Code(emulator.library)
    for tier, kind in ((tier, kind) for tier in args.tiers for kind in peers.KINDS):
        network, its_files = peers.NETWORKS[tier][kind], files[tier][kind]
        program = args.program_full if kind == "rec" and args.program_full else args.program
        row, report = ours(emulator, program, against.only(tier, kind), its_files["image"])
        stage = against.stage_of(report, network.model)
        # Two recognisers would be counted as one.
        if len(report["stages"]) != 1:
            raise RuntimeError(f"edge-ocr bench measured more than {network.model}")
        charset = f", charset {report['charset']}" if kind == "rec" else ""
        rows.append(row | {"what": f"{tier} {kind} {network.width}x{network.height}{charset}", "tier": tier})
        total = row["instructions"]
        for peer, model in PEERS.items():
            command = [emulator.python, HERE, "--child", its_files[model], its_files["image"], its_files.get("characters", "-")]
            theirs, dots, answer = per_inference(emulator, command, peer_code)
            against.agree(kind, stage, answer, peer != "ort-int8")
            rows[-1]["peers"][peer] = {"instructions": theirs.total(), "ratio": total / theirs.total(), "dot": dots / theirs.total()}
    return rows


def frames(args, frame, emulator):
    """The frame by each tier, beside the program of before."""
    def read(program, tier, others=()):
        flags = ["--engine", "arena", "--only", "page", *(["--tier", tier] if tier != "default" else []), *others]
        row, report = ours(emulator, program, flags, frame)
        lines = report["stages"][0]["text"].splitlines()
        known = PAGE.with_suffix(".expected.txt").read_text().splitlines()[:peers.FRAME_LINES]
        # Ends of lines are cut off; a character or two may be wrong.
        alike = [difflib.SequenceMatcher(None, line, right[:len(line)]).ratio() for line, right in zip(lines, known)]
        if len(lines) != len(known) or min(alike) < 0.9:
            raise against.Differs(f"frame, {program.name}, {tier}: {lines}")
        return row | {"what": f"frame 640x480, {len(lines)} lines, {tier}", "tier": tier}

    rows = [read(args.program, tier) for tier in args.frame_tiers]
    if args.before:
        before = read(args.before, "default", shlex.split(args.before_flags))["instructions"]
        for row in rows:
            row["before"] = {"instructions": before, "ratio": row["instructions"] / before}
    return rows


def measure(args, files, frame, cpu):
    emulator = Emulator(args.folder, cpu)
    rows = networks(args, files, emulator) if files else []
    if args.read and rows:
        blocks, _, output = emulator.run([args.program, "read", *OURS, "--format", "json", args.read])
        page = json.loads(output)
        if not page["lines"]:
            raise against.Differs(f"nothing was read in {args.read}")
        total = sum(length * runs for _, length, runs in blocks)
        rows.append({"cpu": cpu, "what": f"reading {pathlib.Path(args.read).name}, whole process", "kernels": rows[0]["kernels"],
                     "lines": len(page["lines"]), "instructions": total, "peers": {}})
        for peer in PEERS:
            theirs = reading(page, *(row["peers"][peer]["instructions"] for row in rows[:2]))
            rows[-1]["peers"][peer] = {"instructions": theirs, "ratio": total / theirs, "estimated": True}
    return rows + (frames(args, frame, emulator) if frame else [])


def reading(page, det, rec):
    """An estimate: instructions of a peer's two networks for a page, from `det` at 640x640 and `rec` at 320x48. As RapidOCR has it, the
    page's shorter side becomes at least 736, sides multiples of 32, and a line 48 high and at least 320 wide. Where it reads six lines
    at once it fills up the shorter ones, which is not counted; nor are classifier, geometry and loading."""
    scale = max(1, 736 / min(page["width"], page["height"]))
    height, width = (32 * round(page[side] * scale / 32) for side in ("height", "width"))
    lines = sum(max(320, 48 * math.dist(*line["box"][:2]) / math.dist(*line["box"][1:3])) for line in page["lines"])
    return det * width * height / 640 ** 2 + rec * lines / 320


def table(rows, hot):
    lines = [f"Millions of instructions per inference, one thread; ORT is ONNX Runtime {RUNTIME}. Counted by QEMU where it is not said to be estimated.",
             "",
             "| cpu | network | kernels | edge-ocr | dot | ORT f32 | ratio | dot | ORT INT8 | ratio | dot |", "|" + "---|" * 11]
    for row in rows:
        beside = [row["peers"].get(peer) for peer in PEERS]
        cells = ["| |" if not p else f"{p['instructions'] / 1e6:.1f} (estimated) | {p['ratio']:.3f} |" if p.get("estimated")
                 else f"{p['instructions'] / 1e6:.1f} | {p['ratio']:.3f} | {p['dot']:.1%}" for p in beside]
        dot = f"{row['dot']:.1%}" if "dot" in row else ""
        lines.append(f"| {row['cpu']} | {row['what']} | {row['kernels']} | {row['instructions'] / 1e6:.1f} | {dot} | {' | '.join(cells)} |")
    for row in rows:
        if before := row.get("before"):
            lines += ["", f"{row['cpu']}, {row['what']}: {before['ratio']:.3f} of {before['instructions'] / 1e6:.1f} before."]
    for row in rows:
        if hot and "parts" in row:
            lines += ["", f"{row['cpu']}, {row['what']}, edge-ocr by function:", ""]
            lines += [f"    {share:6.1%}  {name}" for name, share in list(row["parts"].items())[:hot]]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, type=pathlib.Path)
    parser.add_argument("--program-full", type=pathlib.Path, help="a build with EDGE_OCR_CHARSET=full, for the recogniser")
    parser.add_argument("--labels", help="needed for the networks")
    parser.add_argument("--only", nargs="+", choices=["networks", "frame"], default=["networks", "frame"])
    parser.add_argument("--tiers", nargs="+", choices=list(peers.NETWORKS), default=list(peers.NETWORKS))
    parser.add_argument("--frame-tiers", nargs="+", choices=["small", "cascade", "tiny", "default"], default=["small", "cascade", "tiny"])
    parser.add_argument("--before", type=pathlib.Path, metavar="PROGRAM")
    parser.add_argument("--before-flags", default="", metavar="FLAGS")
    parser.add_argument("--cpu", action="append", choices=CPUS)
    parser.add_argument("--read", metavar="IMAGE")
    parser.add_argument("--hot", type=int, default=0, metavar="N")
    parser.add_argument("--models", default=HERE.parent.parent / "models")
    parser.add_argument("--folder", type=pathlib.Path, default=HERE.parent.parent / "target/instructions")
    parser.add_argument("--out", type=pathlib.Path, help="also write FILE.md and FILE.json")
    args = parser.parse_args()
    if args.read and "networks" not in args.only:
        parser.error("--read is held against the counts of the networks")
    if "networks" in args.only and not args.labels:
        parser.error("--labels is needed for the networks")
    args.folder = args.folder.resolve()
    python = once(args.folder / "venv", make_venv) / "bin/python"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        def made(name, **what):
            return json.loads(must([python, HERE.parent / "support/peers.py", name, json.dumps(what)]).splitlines()[-1])

        files = frame = None
        if "networks" in args.only:
            files = made("prepare", models=str(args.models), labels=args.labels, folder=folder, tiers=args.tiers)
        if "frame" in args.only:
            frame = made("frame", page=str(PAGE), out=f"{folder}/frame.jpg")
        for cpu in args.cpu or ["cortex-a76"]:
            rows += measure(args, files, frame, cpu)
            print(f"{cpu}: counted", file=sys.stderr, flush=True)
    print(table(rows, args.hot), end="")
    if args.out:
        args.out.with_suffix(".md").write_text("# Instructions\n\n" + table(rows, args.hot), encoding="utf-8")
        report = {"schema": "edge-ocr-instructions/2", "peer": RUNTIME, "rows": rows}
        args.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(*sys.argv[2:])))
        sys.exit()
    try:
        main()
    except (against.Differs, OSError, RuntimeError) as error:
        print(f"instructions.py: {error}", file=sys.stderr)
        sys.exit(1)
