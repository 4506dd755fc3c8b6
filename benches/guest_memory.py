#!/usr/bin/env python3
"""Peak resident memory of a program for ARM that runs under QEMU here: the program's alone, without the emulator's.

    benches/guest_memory.py [--cpu cortex-a53] [--emulator qemu-aarch64] [--seconds N] [--out FILE.json] PROGRAM ARGUMENT...
    benches/guest_memory.py --native PROGRAM ARGUMENT...

qemu's user emulation maps the program into its own process, so what `VmHWM` or `time -v` say of it is program and emulator
together. Here qemu is told to put all of the program's addresses (its file, heap, stacks, mappings) above 2^44 (`-B`), where Linux puts
nothing of its own accord: it takes 0x55... for programs and 0x7f... for libraries and memory. What /proc/PID/smaps says is resident
between 2^44 and 2^45 is the program, the rest is qemu with its translated code. The whole is sampled every few milliseconds until
the program ends.

`peak` is the largest sample. Between two samples the process (both parts) was at most `missed` above that, by the kernel's own mark of
its highest size. `at most` adds the largest sizes of each mapping, whenever they were: pages of files may be dropped by the kernel of
a machine that is short of memory.

--seconds ends a program that would run for ever, by SIGTERM. What the program says is printed after the figures: whether it did what was
to be measured.

Huge pages are switched off for the process, since they would make what is touched in part resident as a whole. --native does the same with
a program of this machine, all of whose memory is its own; the two agree if a program of this machine is given to
`--emulator qemu-x86_64 --cpu max`.
"""
import argparse
import ctypes
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

LOW, HIGH = 1 << 44, 1 << 45
EVERY_S = 0.003
PR_SET_THP_DISABLE = 41


def small_pages():
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def resident(pid):
    """Resident bytes of each mapping, by start and name, or None when the process has ended."""
    found, key = {}, None
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    for line in lines:
        if head := re.match(r"([0-9a-f]+)-[0-9a-f]+ (\S+) \S+ \S+ \S+ *(.*)", line):
            key = int(head[1], 16), head[3]
            found[key] = 0
        elif line.startswith("Rss:"):
            found[key] += int(line.split()[1]) * 1024
    # A process that has ended and was not waited for has an empty one.
    return found or None


def highest(pid):
    """The kernel's mark of the highest resident size of the process, or None."""
    try:
        mark = re.search(r"^VmHWM:\s+(\d+) kB$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(mark[1]) * 1024 if mark else None


def watch(process, mine, seconds):
    """Samples until the process ends, which it is told to after `seconds`. `mine` says of an address whether it is the program's."""
    end = time.monotonic() + seconds
    report = {"samples": 0, "peak_bytes": 0, "emulator_bytes": 0, "highest_bytes": 0, "parts": {}}
    largest, whole_peak = {}, 0
    while (found := resident(process.pid)) is not None:
        program = {key: size for key, size in found.items() if mine(key[0])}
        total = sum(program.values())
        whole_peak = max(whole_peak, sum(found.values()))
        report["samples"] += 1
        report["highest_bytes"] = max(report["highest_bytes"], highest(process.pid) or 0)
        for key, size in program.items():
            largest[key] = max(largest.get(key, 0), size)
        if total > report["peak_bytes"]:
            report["peak_bytes"], report["parts"] = total, parts(program)
            report["emulator_bytes"] = sum(found.values()) - total
        if time.monotonic() > end:
            process.terminate()
            end = math.inf
        time.sleep(EVERY_S)
    report["at_most_bytes"] = sum(largest.values())
    report["missed_bytes"] = max(0, report["highest_bytes"] - whole_peak)
    return report


def parts(program):
    """Sizes by what is mapped: files by their names, all else as one."""
    found = {}
    for (_, name), size in program.items():
        name = pathlib.Path(name).name if name.startswith("/") else "heap, stacks, zeroed data"
        found[name] = found.get(name, 0) + size
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--native", action="store_true")
    parser.add_argument("--emulator", default="qemu-aarch64")
    parser.add_argument("--cpu", default="cortex-a53")
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--system", help="folder of the C library, for a program that is not static (qemu's -L)")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if not args.command:
        parser.error("what is to be run?")
    command = args.command
    if not args.native:
        system = ["-L", args.system] if args.system else []
        command = [args.emulator, "-B", hex(LOW), "-cpu", args.cpu, *system, *command]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, preexec_fn=small_pages)
        report = watch(process, (lambda _: True) if args.native else (lambda at: LOW <= at < HIGH), args.seconds)
        said.seek(0)
        text = said.read().decode(errors="replace").strip()
    if process.wait() != 0 or not text:
        sys.exit(f"guest_memory.py: the program ended with {process.returncode}: {text[-500:] or 'it said nothing'}")
    mb = {name: report[f"{name}_bytes"] / 1e6 for name in ("peak", "missed", "at_most", "emulator")}
    print(f"peak {mb['peak']:.1f} MB (missed {mb['missed']:.1f}, at most {mb['at_most']:.1f}), {report['samples']} samples; "
          f"emulator {mb['emulator']:.1f} MB")
    for name, size in sorted(report["parts"].items(), key=lambda part: -part[1]):
        print(f"  {size / 1e6:6.1f} MB  {name}")
    print(text)
    if args.out:
        args.out.write_text(json.dumps(report | {"command": [os.path.basename(command[0]), *command[1:]]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
