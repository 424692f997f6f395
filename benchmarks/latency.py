"""How long one image takes, and how many callers of one image a server answers, beside another commit in one run.

    python benchmarks/latency.py [--against REF|FOLDER] [--server HOST:PORT] [--only GROUP ...] [--data DIR]
        [--scans DIR] [--seconds 1.5] [--repeats 5] [--json FILE]

Groups, all of them unless some are named with --only:

- `model`: the SavedModel's signatures in process. One picture a call: an MNIST PNG, an MNIST PNG whose digit is
  moved aside (28x28, not in MNIST's form), a scan of 170x125, `pixels` of one. Then 1,000 MNIST PNGs and 1,000 scans.
- `alone`: the built-in server without batching. One caller with a bare stub, the same with `Client.predict_one`; 16, 64
  and 256 callers of one image; 1,000 images a request, eight requests in flight.
- `batching`: the same with --enable_batching and serving/batching.config.
- `start`: seconds from the start of the process until the log says AVAILABLE.

--data holds MNIST's IDX files or mnist.npz (default: DIGITS_DATA). --scans holds scans below it; without them, enlarged
MNIST digits of that size stand for them. --against names a commit or the folder of a checkout that is measured in turn
with this one, by the same interpreter, with its own shipped model and batching.config. --server names a server that
runs already, such as TensorFlow Serving with the shipped model; it is measured in turn with the group `batching`.

After a round that does not count, the sides are measured in turn, way by way, so that a slow minute of the machine
meets both. Printed are medians over the rounds: images/s, the median and the 99th percentile of a call in milliseconds,
the process's (of servers: the server's) CPU time for each image in milliseconds, and the ratio of this checkout's rate
to the other's. Callers share the cores with the server. Linux only: CPU time and memory are read from /proc.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.latency_processes import Process, ServerProcess, Side, server_of
from benchmarks.latency_ways import MANY, MNIST, MOVED, PIXELS, SCAN, Figures, percentile
from exporter.command import UserError, run
from exporter.contract import MODEL_NAME
from trainer.data.datasets import load

ROOT = Path(__file__).resolve().parents[1]
CALLERS = {
    "callers-1": "one caller, a bare stub",
    "client": "one caller, Client.predict_one",
    "callers-16": "16 callers",
    "callers-64": "64 callers",
    "callers-256": "256 callers",
    "large": "1,000 images a request, 8 in flight",
}
GROUPS = {
    "model": {
        "one-mnist": "one MNIST PNG",
        "one-moved": "one 28x28 not in MNIST's form",
        "one-scan": "one scan of 170x125",
        "one-pixels": "pixels of one",
        "many-mnist": "1,000 MNIST PNGs",
        "many-scan": "1,000 scans",
    },
    "alone": CALLERS,
    "batching": CALLERS,
    "start": {"start": "process start to AVAILABLE"},
}
TITLES = {"model": "in process", "alone": "no batching", "batching": "batching", "start": "built-in server"}
SCAN_SIZE = (170, 125)
COUNT = 1000


class Round(NamedTuple):
    """One way of one side, measured once."""

    rate: float
    p50: float
    p99: float
    cpu: float | None
    """Seconds for each image; None where the process is not ours."""


Rounds = dict[tuple[str, str, str], list[Round]]
"""By group, way and the title of the side."""


def main() -> None:
    """Measure, print and write."""
    options = parse()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_pictures(folder, options)
            sides = [Side("this", ROOT)]
            if options.against:
                sides.append(checkout(options.against, folder / "against"))
            rounds, memory = measure(folder, sides, options)
    except KeyboardInterrupt:
        print("latency: interrupted", file=sys.stderr)
        sys.exit(130)
    print_table(rounds, memory, options)
    if options.json:
        figures = [
            {"group": group, "way": way, "side": side, "rounds": [one._asdict() for one in several]}
            for (group, way, side), several in rounds.items()
        ]
        options.json.write_text(json.dumps({"ways": figures, "peak_mb": memory}, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DIGITS_DATA"), help="MNIST; default DIGITS_DATA")
    parser.add_argument("--scans", type=Path, help="folder of scans; default: enlarged MNIST digits")
    parser.add_argument("--against", metavar="REF|FOLDER", help="a commit, or a checkout, to compare with")
    parser.add_argument("--server", metavar="HOST:PORT", help="of a server that runs already, to compare with")
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, default=list(GROUPS), metavar="GROUP", help="; ".join(GROUPS)
    )
    parser.add_argument("--ways", nargs="+", metavar="WAY", help="of these groups only these ways, such as callers-64")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement; default 1.5")
    parser.add_argument("--repeats", type=int, default=5, help="rounds that count; default 5")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds for programs")
    options = parser.parse_args()
    if options.json and not options.json.parent.is_dir():
        parser.error(f"{options.json.parent} is no folder")
    known = {way for group in options.only for way in GROUPS[group]}
    if options.ways and not known.intersection(options.ways):
        parser.error(f"--ways: choose from {', '.join(sorted(known))}")
    return options


def write_pictures(folder: Path, options: argparse.Namespace) -> None:
    """Write what is measured, a folder for each kind."""
    digits = load(options.data).x_test[:COUNT]
    np.save(folder / f"{PIXELS}.npy", digits)
    scans = sorted(options.scans.rglob("*.png")) if options.scans else []
    if options.scans and not scans:
        raise UserError(f"--scans {options.scans}: holds no PNG")
    for kind in (MNIST, MOVED, SCAN):
        (folder / kind).mkdir()
    for number, digit in enumerate(digits):
        name = f"{number:04}.png"
        Image.fromarray(digit).save(folder / MNIST / name)
        Image.fromarray(np.roll(digit, 3, axis=1)).save(folder / MOVED / name)
        if not scans:
            # Paper that is not quite white and not quite even, as a scanner sees it.
            noise = np.random.default_rng(number).normal(225, 4, SCAN_SIZE[::-1])
            ink = np.asarray(Image.fromarray(digit).resize(SCAN_SIZE, Image.Resampling.BICUBIC)) / 255.0
            Image.fromarray((noise * (1 - 0.8 * ink)).clip(0, 255).astype(np.uint8)).save(folder / SCAN / name)
    for number, path in enumerate(scans[:COUNT]):
        (folder / SCAN / f"{number:04}.png").write_bytes(path.read_bytes())


def checkout(named: str, folder: Path) -> Side:
    """The side that --against names. Raises UserError if it is neither a commit nor a checkout."""
    if (Path(named) / "serving" / "cli.py").exists():
        return Side("other", Path(named).resolve())
    folder.mkdir()
    archive = subprocess.run(["git", "-C", ROOT, "archive", named], capture_output=True, check=False)  # noqa: S607 - whichever git
    if archive.returncode:
        raise UserError(
            f"--against {named}: {archive.stderr.decode(errors='replace').strip()}; give a commit or a folder"
        )
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)  # noqa: S607 - the same
    return Side("other", folder)


def measure(folder: Path, sides: list[Side], options: argparse.Namespace) -> tuple[Rounds, dict[str, float]]:
    """All rounds of all ways; and each server's memory at its peak, in MB."""
    rounds: Rounds = {}
    memory: dict[str, float] = {}
    for group in options.only:
        ways = [way for way in GROUPS[group] if not options.ways or way in options.ways]
        if not ways:
            continue
        with ExitStack() as of_group:
            processes, servers = start(group, folder, sides, options, of_group)
            for number in range(options.repeats + 1):
                for way in ways:
                    for title, process in processes.items():
                        one = measure_one(folder, process, servers.get(title), way, options.seconds)
                        if number:
                            rounds.setdefault((group, way, title), []).append(one)
                print(f"{group}: round {number} of {options.repeats}", file=sys.stderr)
            for title, server in servers.items():
                memory[f"{title}, {TITLES[group]}"] = server.peak_bytes() / 1e6
    return rounds, memory


def start(
    group: str, folder: Path, sides: list[Side], options: argparse.Namespace, stack: ExitStack
) -> "tuple[dict[str, Process | Side], dict[str, ServerProcess]]":
    """What measures a group, and the servers that it asks, by the titles of the sides."""
    if group == "start":
        return {side.title: side for side in sides}, {}
    if group == "model":
        return {side.title: stack.enter_context(Process(side, folder, "model", side.version())) for side in sides}, {}
    servers = {side.title: stack.enter_context(server_of(side, folder, batching=group == "batching")) for side in sides}
    processes: dict[str, Process | Side] = {
        side.title: stack.enter_context(Process(side, folder, "caller", servers[side.title].address)) for side in sides
    }
    if options.server and group == "batching":
        processes["server"] = stack.enter_context(Process(sides[0], folder, "caller", options.server))
    return processes, servers


def measure_one(
    folder: Path, process: "Process | Side", server: ServerProcess | None, way: str, seconds: float
) -> Round:
    """One way of one side, once."""
    if isinstance(process, Side):
        with server_of(process, folder, batching=False) as started:
            took = started.seconds_to_start
        return Round(1 / took, took, took, None)
    before = server.cpu_seconds() if server else 0.0
    figures: Figures = process.measure(way, seconds)
    cpu: float | None = figures.cpu_seconds
    if process.role == "caller":
        cpu = server.cpu_seconds() - before if server else None
    return Round(
        figures.images / figures.seconds,
        percentile(figures.latencies, 0.5),
        percentile(figures.latencies, 0.99),
        None if cpu is None else cpu / figures.images,
    )


def print_table(rounds: Rounds, memory: dict[str, float], options: argparse.Namespace) -> None:
    """Medians over the rounds, in a form that pastes into docs/speed.md."""
    cores = len(os.sched_getaffinity(0))
    print(f"shipped model, {cores} cores, medians of {options.repeats} rounds of {options.seconds:g} s\n")
    print("| | side | images/s | p50 ms | p99 ms | CPU ms | ratio |\n|---|---|---:|---:|---:|---:|---:|")
    for (group, way, side), several in rounds.items():
        rate, p50, p99 = (median(getattr(one, field) for one in several) for field in ("rate", "p50", "p99"))
        spent = [one.cpu for one in several if one.cpu is not None]
        cpu = f"{1000 * median(spent):,.3f}" if spent else ""
        others = [key for key in rounds if key[:2] == (group, way) and key[2] != "this"]
        ratio = f"{rate / median(one.rate for one in rounds[others[0]]):.2f}" if side == "this" and others else ""
        shown = "" if group == "start" else f"{rate:,.0f}"
        title = f"{TITLES[group]}: {GROUPS[group][way]}"
        print(f"| {title} | {side} | {shown} | {1000 * p50:,.2f} | {1000 * p99:,.2f} | {cpu} | {ratio} |")
    for title, peak in memory.items():
        print(f"\npeak memory of the server, {title}: {peak:,.0f} MB", end="")
    print(f"\n\n{MANY} images and {MODEL_NAME} throughout; ratio: of images/s to the other side's")


if __name__ == "__main__":
    run("latency", main)
