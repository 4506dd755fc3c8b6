#!/usr/bin/env python3
"""How often a node wakes up while there is nothing to do.

    benches/idle_wakeups.py --program target/release/edge-ocr [--seconds 30] [--limit 2] [--port 18831] [--out FILE.md]

Starts mosquitto on --port and a node, once with a folder in which nothing new comes and once with a program as its
camera that is run each minute, both connected to the broker and with metrics served on the next port. Once each has
published its first reading, and ten seconds later, the voluntary context switches of all its threads
(/proc/PID/task/*/status) are counted over --seconds. Exit code 1 when there are --limit or more in a second. Linux only;
needs mosquitto and mosquitto_sub.
"""
import argparse
import datetime
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMAGE = ROOT / "tests/golden/digit.png"
CONFIG = """
[mqtt]
host = '127.0.0.1'
port = {port}
[topics]
node_id = 'n'
[node]
state_dir = '{dir}/state'
[metrics]
listen = '127.0.0.1:{metrics}'
[pipeline]
threads = 1
[[field]]
name = 'a'
mode = 'line'
number = {{}}
"""
SOURCES = {
    "a folder without new files": "[source]\nkind = 'directory'\npath = '{dir}/in'\nexisting = true\nsettle_ms = 100\n",
    "a program run each minute": "[source]\nkind = 'command'\ncommand = ['cat', '{image}']\n[trigger]\ninterval_s = 60\n",
}


def threads(pid):
    """Name and voluntary context switches of each thread."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        except FileNotFoundError:
            continue
        found[task.name] = (lines["Name"].strip(), int(lines["voluntary_ctxt_switches"]))
    return found


def wakeups(pid, seconds):
    """Voluntary context switches by name of thread. Of one that begins or ends meanwhile, those that are seen."""
    before = threads(pid)
    time.sleep(seconds)
    count = {}
    for task, (name, switches) in threads(pid).items():
        count[name] = count.get(name, 0) + switches - before.get(task, (name, 0))[1]
    return count


def measure(args, source, folder):
    """The wake-ups of one node."""
    (folder / "in").mkdir()
    shutil.copy(IMAGE, folder / "in/digit.png")
    names = {"dir": folder, "port": args.port, "metrics": args.port + 1, "image": IMAGE}
    (folder / "node.toml").write_text((CONFIG + source).format(**names))
    listen = ["mosquitto_sub", "-p", str(args.port), "-t", "ocr/n/field/a/state", "-C", "1", "-W", "60"]
    listener = subprocess.Popen(listen, stdout=subprocess.DEVNULL)
    with open(folder / "log", "w+") as log:
        node = subprocess.Popen([args.program, "node", "--config", folder / "node.toml"], stderr=log)
        try:
            if listener.wait() != 0:
                log.seek(0)
                sys.exit(f"no reading came; the node says:\n{log.read()}")
            time.sleep(10)
            return wakeups(node.pid, args.seconds)
        finally:
            node.terminate()
            node.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--limit", type=float, default=2)
    parser.add_argument("--port", type=int, default=18831)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin"
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True)
    lines = [
        f"Machine: {os.cpu_count()} cores, Linux {platform.release()}. Commit {commit.stdout.strip()}, "
        f"{datetime.date.today()}, {args.seconds} s each.",
        "",
        f"    {' '.join(['benches/idle_wakeups.py', *sys.argv[1:]])}",
        "",
        "| source | wake-ups in a second | of the threads |",
        "|---|---|---|",
    ]
    worst = 0
    for name, source in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "mosquitto.conf").write_text(f"listener {args.port} 127.0.0.1\nallow_anonymous true\n")
            broker = subprocess.Popen(["mosquitto", "-c", folder / "mosquitto.conf"], stderr=subprocess.DEVNULL)
            try:
                time.sleep(1)
                count = measure(args, source, folder)
            finally:
                broker.terminate()
                broker.wait()
        rate = sum(count.values()) / args.seconds
        worst = max(worst, rate)
        busy = sorted(((n, thread) for thread, n in count.items() if n > 0), reverse=True)
        lines.append(f"| {name} | {rate:.2f} | {', '.join(f'{thread} {n}' for n, thread in busy)} |")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if args.out:
        args.out.write_text(text)
    if worst >= args.limit:
        sys.exit(f"{worst:.2f} wake-ups in a second are not fewer than {args.limit}")


if __name__ == "__main__":
    main()
