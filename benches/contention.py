#!/usr/bin/env python3
"""Times with one thread and with several while other programs want the cores, too.

    benches/contention.py --program target/release/edge-ocr [--threads 2] [--busy 0 1 2] [--rounds 5] [--repeat 30]
        [--image IMAGE] [--out FILE.md]

Starts K busy loops of normal priority, for each K of --busy, and while they run `edge-ocr bench` by turns with one thread and with
--threads: one run of the detector, one of the recogniser, and a whole page (IMAGE, or the built-in one). `bench` refuses a second
answer to one input; that one thread and several find the same text is checked here, before a time counts.

A round gives the median and the mean of --repeat runs for each number of threads; the ratio is that of the medians of all rounds,
several threads over one, and the range that of the rounds' own ratios. The ratio of the means, likewise, tells what a median cannot:
most runs of a small network fit between two of the system's switches and take as long as on a free core, and the few that do not
take several times as long. Exit code 1 when several threads take more than 1.05 times as long as one
while there are busy loops, or are less than 1.8 times as fast (for two threads; pages excepted, of which parts need one
thread) while there are none.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

STAGES = ["det", "rec", "page"]
MOST_UNDER_LOAD = 1.05
MOST_ON_FREE_CORES = 1 / 1.8


def bench(args, stage, threads):
    """One `edge-ocr bench`: its answer, and median and mean in milliseconds."""
    command = [args.program, "bench", "--only", stage, "--threads", str(threads), "--repeat", str(args.repeat), "--json"]
    if args.image and stage == "page":
        command.append(args.image)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    # Of two recognisers the first is the one that reads every line.
    result = json.loads(done.stdout)["stages"][0]
    return (result.get("text"), result.get("text_pixels")), (result["ms"]["p50"], result["ms"]["mean"])


class BusyLoops:
    """Programs that never sleep, for as long as this is entered."""

    def __init__(self, count):
        self.count = count

    def __enter__(self):
        self.loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(self.count)]

    def __exit__(self, *_):
        for loop in self.loops:
            loop.kill()
            loop.wait()


def measure(args, stage, busy):
    """Medians and means of each round with one thread and with several."""
    answer, rounds = None, []
    with BusyLoops(busy):
        for number in range(args.rounds):
            # Either goes first as often as the other.
            turns = [1, args.threads] if number % 2 == 0 else [args.threads, 1]
            times = {}
            for threads in turns:
                found, times[threads] = bench(args, stage, threads)
                answer = answer or found
                if found != answer:
                    sys.exit(f"{stage}: {threads} threads answer {found}, not {answer}; this is a defect")
            rounds.append((times[1], times[args.threads]))
    return rounds


def machine():
    model = "unknown processor"
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{len(os.sched_getaffinity(0))} cores, {model}, {platform.system()} {platform.release()}"


def commit():
    here = pathlib.Path(__file__).parent
    done = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--image")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    if args.threads < 2:
        parser.error("--threads must be 2 or more; one thread is measured beside it")

    report = [
        f"Machine: {machine()}. Commit {commit()}, {datetime.date.today()}, {args.rounds} rounds of {args.repeat} runs.",
        "",
        "    benches/contention.py " + " ".join(sys.argv[1:]),
        "",
        f"| busy loops | stage | 1 thread, ms | {args.threads} threads, ms | ratio | of the rounds | of the means |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(report), flush=True)
    failed = False
    for busy in args.busy:
        for stage in args.stages:
            rounds = measure(args, stage, busy)
            (one, one_mean), (several, several_mean) = (map(statistics.median, zip(*times)) for times in zip(*rounds))
            ratio, ratios = several / one, sorted(b[0] / a[0] for a, b in rounds)
            most = MOST_UNDER_LOAD if busy else 1 if stage == "page" or args.threads != 2 else MOST_ON_FREE_CORES
            late = ratio > most
            failed |= late
            row = f"| {busy} | {stage} | {one:.2f} | {several:.2f} | {ratio:.2f}{' (too slow)' if late else ''} | {ratios[0]:.2f} to {ratios[-1]:.2f} | {several_mean / one_mean:.2f} |"
            print(row, flush=True)
            report.append(row)
    if args.out:
        args.out.write_text("\n".join(report) + "\n")
    return int(failed)


sys.exit(main())
