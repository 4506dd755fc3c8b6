#!/usr/bin/env python3
"""Cycles of the kernels' inner loops on ARM cores, by LLVM's scheduling models. Estimates: no caches, no memory, no branch misses.

    benches/mca.py [--asm FILE.s] [--llvm-mca llvm-mca-22] [--show KERNEL] [--instructions FILE.json]

Without --asm the engine is compiled first (`packaging/cross-debian cargo rustc ... --emit=asm`). For each kernel the innermost
loop with the most multiplications is cut out of its function and put before llvm-mca for each core it is meant for. Printed:
multiply-adds (MAC) and instructions of an iteration, cycles as simulated, MAC a cycle, and the share of the core's bound, which
is what its multipliers can do if nothing else is in the way:

    cortex-a53   one multiplication or addition of vectors a cycle: with smull, smlal and sadalp 16 MAC in 3; i16 by i16 to i32: 4
    cortex-a72   one 128-bit multiplication a cycle: of bytes (smull, smlal) 8 MAC; i16 by i16 to i32: 4. LLVM has the A57's model
    cortex-a76   two sdot a cycle: 32 MAC; i16 by i16 to i32, one a cycle: 4. LLVM's model is that of neoverse-n1, its sibling

The simulator retires an in-order core's instructions in order, so that the loop branch and the next loads wait for the last
multiplication, about ten cycles an iteration that the chip does not lose: on the A53 "cycles" is an upper bound and "block" (the
reciprocal throughput of the loop's instructions) a lower one. Shares there are of "block".
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# MAC of an instruction, by its name and the shape of its result.
MACS = [(r"[su]dot\s+v\d+\.4s", 16), (r"[su]m(ull|lal)2?\s+v\d+\.8h", 8), (r"[su]m(ull|lal)2?\s+v\d+\.4s", 4),
        (r"fmla\s+v\d+\.4s", 4)]
# Kernel: part of the symbol, cores with the bound in MAC a cycle.
KERNELS = {
    "gemm": ("6sadalp4gemm", {"cortex-a53": 16 / 3, "cortex-a72": 8}),
    "gemm, dot": ("3dot4gemm4gemm", {"cortex-a76": 32}),
    "depthwise": ("3arm9depthwise9depthwise", {"cortex-a53": 4, "cortex-a72": 4}),
    "depthwise, dot": ("3dot9depthwise9depthwise", {"cortex-a76": 32}),
}
MODEL = {"cortex-a76": "neoverse-n1"}
# Part of a function's name for each kernel, and what an instruction of all other code costs, in cycles, from and to: taken from
# what such cores do on mixed vector code, not measured here.
FUNCTIONS = {"gemm": "sadalp::gemm", "gemm, dot": "dot::gemm", "depthwise": "arm::depthwise::", "depthwise, dot": "dot::depthwise"}
REST_CPI = {"cortex-a53": (0.8, 1.6), "cortex-a72": (0.5, 1.0), "cortex-a76": (0.35, 0.7)}
BOARDS = {"pi-zero2w": ("cortex-a53", 1.0), "pi3": ("cortex-a53", 1.2), "pi4": ("cortex-a72", 1.5), "pi5": ("cortex-a76", 2.4)}


def compile_engine():
    command = [ROOT / "packaging/cross-debian", "cargo", "rustc", "--release", "-p", "edge-ocr-engine", "--features", "std",
               "--target", "aarch64-unknown-linux-gnu", "--", "--emit=asm", "-C", "codegen-units=1"]
    subprocess.run(command, cwd=ROOT, check=True)
    folder = ROOT / "target/cross-debian/build/aarch64-unknown-linux-gnu/release/deps"
    return max(folder.glob("edge_ocr_engine-*.s"), key=lambda p: p.stat().st_mtime)


def functions(text):
    """Symbol to lines of code and labels."""
    found, name = {}, None
    for line in text.splitlines():
        start = re.match(r"([\w.$]+):", line)
        if start and not line.startswith(".L"):
            name = start[1]
            found[name] = []
        elif name and re.match(r"\s*\.size\s", line):
            name = None
        elif name and not re.match(r"\s*(//|\.cfi|\.loc|\.p2align|\.Ltmp|\.LBB\w+_end)", line):
            found[name].append(line.split("//")[0].rstrip())
    return found


def macs(line):
    return next((n for pattern, n in MACS if re.match(r"\s*" + pattern, line)), 0)


def loop(lines):
    """The loop without loops inside that has the most multiply-adds."""
    labels = {m[1]: i for i, line in enumerate(lines) if (m := re.match(r"(\.L\w+):", line))}
    loops = []
    for end, line in enumerate(lines):
        jump = re.match(r"\s*(b|b\.\w+|cbn?z|tbn?z)\s.*?(\.L\w+)$", line)
        if jump and labels.get(jump[2], end) < end:
            loops.append((labels[jump[2]], end))
    inner = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    bodies = [[l for l in lines[start:end + 1] if l.strip() and not l.startswith(".L") and not l.strip().startswith(".")]
              for start, end in inner]
    return max(bodies, key=lambda body: sum(map(macs, body)), default=[])


def simulate(mca, body, core):
    with tempfile.NamedTemporaryFile("w", suffix=".s") as file:
        file.write("\n".join(body) + "\n")
        file.flush()
        command = [mca, "-mtriple=aarch64-linux-gnu", f"-mcpu={MODEL.get(core, core)}", "-mattr=+dotprod", "-iterations=1000",
                   file.name]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    number = lambda what: float(re.search(what + r":\s+([\d.]+)", text)[1])
    return number("Total Cycles") / 1000, number("Block RThroughput")


def boards(counts, per_instruction):
    """Estimated milliseconds: counted instructions, those of the kernels at their loops' cycles, the rest at REST_CPI."""
    print("\nestimated, one thread, milliseconds (from the block throughput to the simulated cycles; all else as REST_CPI says)")
    print(f"{'board':12} {'core':11} {'GHz':>4}  network")
    for board, (core, ghz) in BOARDS.items():
        for row in counts:
            if row["cpu"] != core or "parts" not in row:
                continue
            low = high = 0.0
            for function, share in row["parts"].items():
                part = share * row["instructions"]
                kernel = next((k for k, name in FUNCTIONS.items() if name in function and (k, core) in per_instruction), None)
                least, most = per_instruction[kernel, core] if kernel else REST_CPI[core]
                low, high = low + part * least, high + part * most
            print(f"{board:12} {core:11} {ghz:4.1f}  {row['what']}: {low / ghz / 1e6:.0f} to {high / ghz / 1e6:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asm", type=pathlib.Path)
    parser.add_argument("--llvm-mca", default="llvm-mca-22")
    parser.add_argument("--show")
    parser.add_argument("--instructions", type=pathlib.Path, help="FILE.json of instructions.py --hot: estimate times of boards")
    args = parser.parse_args()
    code = functions((args.asm or compile_engine()).read_text())
    print(f"{'kernel':14} {'core':11} {'MAC':>5} {'instr.':>6} {'cycles':>7} {'block':>6} {'MAC/cycle':>9} {'bound':>5} {'share':>6}")
    per_instruction = {}
    for kernel, (symbol_part, cores) in KERNELS.items():
        symbol = next((s for s in code if symbol_part + "17h" in s), None)
        body = loop(code.get(symbol, []))
        total = sum(map(macs, body))
        if not total:
            sys.exit(f"{kernel}: no loop with multiplications was found")
        if args.show == kernel:
            print("\n".join(body))
        for core, bound in cores.items():
            cycles, block = simulate(args.llvm_mca, body, core)
            per_instruction[kernel, core] = (block / len(body), cycles / len(body))
            rate = total / (block if core == "cortex-a53" else cycles)
            print(f"{kernel:14} {core:11} {total:5} {len(body):6} {cycles:7.1f} {block:6.1f} {rate:9.2f} {bound:5.1f} {rate / bound:6.0%}")
    if args.instructions:
        boards(json.loads(args.instructions.read_text())["rows"], per_instruction)


if __name__ == "__main__":
    main()
