"""Commands: `python3 -m train COMMAND`, run in models/. See README.md."""
import argparse
import pathlib

import numpy as np

from . import fonts


def task(name: str, folder: pathlib.Path, options: argparse.Namespace):
    """The training of a network by its name."""
    if name == "line":
        from .line_reader import LineReader
        return LineReader(folder, options.seed)
    if name == "wheel":
        from .wheel_reader import WheelReader
        return WheelReader(folder, options.seed, options.hold_out)
    from .finder import Finder
    return Finder(folder, options.seed)


def sheet(options) -> None:
    from . import lines
    from .sheet import sheet as show
    if options.network == "line":
        samples = [lines.sample(options.seed, i) for i in range(options.count)]
        show([s[0] for s in samples], [f"{s[2]} {s[1]}" for s in samples], options.out)
    elif options.network == "wheel":
        from . import wheels
        samples = [wheels.sample(options.seed, i) for i in range(options.count)]
        show([np.kron(s[0], np.ones((2, 2, 1))) for s in samples], [f"{s[1]:.2f}" for s in samples], options.out, 20,
             (48, 80))
    else:
        from . import scenes
        samples = [scenes.sample(options.seed, i) for i in range(options.count)]
        show([scenes.outlined(*s[:2]) for s in samples], [""] * len(samples), options.out, 5, (260, 260))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python3 -m train", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fonts", help="fetch the fonts")
    one = commands.add_parser("hold-out", help="wheel reader: each device of train_wheels left out in turn")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--steps", type=int, default=2000)
    one.add_argument("--devices", default="", help="only these, with commas between")
    for name in ("train", "export", "sheet", "read"):
        one = commands.add_parser(name)
        one.add_argument("network", choices=("line", "wheel", "finder"))
        one.add_argument("--seed", type=int, default=1)
        one.add_argument("--hold-out", default="", help="device of train_wheels that is left out (wheel)")
        one.add_argument("--folder", type=pathlib.Path, help="of checkpoint, log, curve (default: by the network's name)")
        if name == "train":
            one.add_argument("--steps", type=int, default=0, help="0: as README.md says")
            one.add_argument("--minutes", type=float, default=1e9, help="stop then; the same command goes on")
        if name == "sheet":
            one.add_argument("--count", type=int, default=60)
        if name in ("sheet", "export", "read"):
            one.add_argument("--out", default="", required=name != "export")
        if name == "read":
            one.add_argument("--onnx", required=True)
            one.add_argument("--data", required=True, help="folder with labels.jsonl and img/")
            one.add_argument("--pitch", type=float, default=0, help="read again with digits so many columns apart")
            one.add_argument("--reader", help="finder: ONNX file of the line reader")
            one.add_argument("--side", type=int, default=320, help="finder: longer side of its input")
            one.add_argument("--tenths", action="store_true", help="wheel: with the tenth of a turn")
            one.add_argument("--stretch", default="1.5", help="of the width (line); several: the most certain counts")
    options = parser.parse_args()
    if options.command == "fonts":
        return fonts.fetch()
    if options.command == "sheet":
        return sheet(options)
    if options.command == "hold-out":
        from .wheel_reader import hold_out
        return hold_out(fonts.folder(), options)
    folder = options.folder or fonts.folder() / options.network
    if options.command == "train":
        from . import loop
        one = task(options.network, fonts.folder(), options)
        loop.run(one, options.steps or one.steps, folder, options.minutes)
    elif options.command == "export":
        from . import export, loop
        one = task(options.network, fonts.folder(), options)
        export.checked(options.network, loop.load(one, folder), pathlib.Path(options.out or folder / "model.onnx"))
    else:
        from . import read
        read.folder(options)


if __name__ == "__main__":
    main()
