"""How fast digits-job is: its local engine beside digits-batch in one run, and its planner.

    python benchmarks/jobs.py [--data DIR] [--images 200000] [--shard-files 10000] [--workers 2] [--repeats 3]
    python benchmarks/jobs.py --plan [--paths 10000000]

--data holds MNIST's IDX files or mnist.npz (default: DIGITS_DATA). The images are written as PNG files, again from the
first one where there are more files than images. digits-batch and digits-job answer them in turn, after a round that
does not count, both from the same built-in server, which shares the cores. Printed are medians: seconds of whole
processes, starts included, images/s, and the ratio to digits-batch; of digits-job `run` alone, and plan, run and finish
together. The two tables must be the same, byte for byte.

--plan has a list of paths that are not there planned, from a pipe. Printed are paths/s and the memory at its peak of
the planner, and of the process that wrote the list. Linux only: memory is read from /proc.
"""

import argparse
import filecmp
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.throughput import SHIPPED, positive
from benchmarks.throughput_processes import built_in_server
from exporter.command import UserError, run
from exporter.contract import MODEL_NAME
from trainer.data.datasets import load

BATCH = [sys.executable, "-P", "-m", "batch.cli"]
JOB = [sys.executable, "-P", "-m", "batch.cluster.cli"]
LIST = """
import sys
for number in range({paths}):
    sys.stdout.write(f"/archive/scans/{{number // 1000:07}}/form-{{number:010}}.png\\n")
"""


class Round(NamedTuple):
    """Seconds of one round."""

    batch: float
    plan: float
    run: float
    finish: float


def main() -> None:
    """Measure and print."""
    options = parse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.plan:
            measure_plan(folder, options.paths)
        else:
            measure_local(folder, options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DIGITS_DATA"), help="MNIST; default DIGITS_DATA")
    parser.add_argument("--images", type=positive, default=200_000, help="how many files; default 200000")
    parser.add_argument("--shard-files", type=positive, default=10_000, help="of the job; default 10000")
    parser.add_argument("--workers", type=positive, default=2, help="of the local engine; default 2")
    parser.add_argument("--repeats", type=positive, default=3, help="rounds that count; default 3")
    parser.add_argument("--plan", action="store_true", help="measure the planner instead")
    parser.add_argument("--paths", type=positive, default=10_000_000, help="for --plan; default 10000000")
    return parser.parse_args()


def measure_local(folder: Path, options: argparse.Namespace) -> None:
    """Measure digits-batch and the local engine in turn."""
    write_files(options.data, folder / "scans", options.images)
    rounds = []
    with built_in_server(folder, MODEL_NAME, SHIPPED) as server:
        for number in range(options.repeats + 1):
            print(f"round {number} of {options.repeats}" if number else "a round that does not count", file=sys.stderr)
            one = measure_round(folder, server.address, options)
            if number:
                rounds.append(one)
    print_local(rounds, options)


def write_files(data: Path | None, folder: Path, count: int) -> None:
    """Write MNIST's images as PNG files, a thousand to a folder."""
    dataset = load(data)
    images = np.concatenate([dataset.x_test, dataset.x_train])
    for number in range(count):
        path = folder / f"{number // 1000:04}" / f"{number:07}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < len(images):
            Image.fromarray(images[number]).save(path)
        else:
            of_first = number % len(images)
            shutil.copyfile(folder / f"{of_first // 1000:04}" / f"{of_first:07}.png", path)


def measure_round(folder: Path, address: str, options: argparse.Namespace) -> Round:
    """One round of both. Raises UserError unless their tables are the same."""
    shutil.rmtree(folder / "job", ignore_errors=True)
    server = ["--server", address]
    one = Round(
        seconds(folder, [*BATCH, "scans", "--out", "batch.csv", "--force", *server]),
        seconds(folder, [*JOB, "plan", "job", "scans", "--shard-files", str(options.shard_files), *server]),
        seconds(folder, [*JOB, "run", "job", "--workers", str(options.workers), *server]),
        seconds(folder, [*JOB, "finish", "job", "--out", "job.csv", "--force"]),
    )
    if not filecmp.cmp(folder / "batch.csv", folder / "job.csv", shallow=False):
        raise UserError("the tables of digits-batch and digits-job differ")
    return one


def seconds(folder: Path, command: list[str]) -> float:
    """How long a command takes. Raises UserError if it fails."""
    started = time.monotonic()
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"{' '.join(command[2:])}: {result.stderr.strip()}")
    return time.monotonic() - started


def print_local(rounds: list[Round], options: argparse.Namespace) -> None:
    """Print medians."""
    ways = {
        "digits-batch": [one.batch for one in rounds],
        f"digits-job run, {options.workers} workers": [one.run for one in rounds],
        "digits-job plan, run and finish": [one.plan + one.run + one.finish for one in rounds],
    }
    cores = len(os.sched_getaffinity(0))
    print(f"{options.images:,} files, {options.shard_files:,} a shard, {cores} cores, medians of {len(rounds)}")
    reference = statistics.median(ways["digits-batch"])
    for way, found in ways.items():
        median = statistics.median(found)
        print(f"{way:32} {median:8.2f} s {options.images / median:10,.0f} images/s {reference / median:6.2f}")


def measure_plan(folder: Path, paths: int) -> None:
    """Measure the planner on a list from a pipe."""
    started = time.monotonic()
    writer = subprocess.Popen([sys.executable, "-c", LIST.format(paths=paths)], stdout=subprocess.PIPE)
    planner = subprocess.Popen([*JOB, "plan", "job", "-", "--model-version", "1"], cwd=folder, stdin=writer.stdout)
    peaks = {planner: 0, writer: 0}
    while planner.poll() is None:
        for process, peak in peaks.items():
            peaks[process] = peak_bytes(process.pid) or peak
        time.sleep(0.05)
    if planner.returncode or writer.wait():
        raise UserError("the plan failed, see above")
    spent = time.monotonic() - started
    size = sum(path.stat().st_size for path in (folder / "job").rglob("*") if path.is_file())
    print(f"{paths:,} paths in {spent:.1f} s: {paths / spent:,.0f} paths/s; {size / 1e6:,.1f} MB of manifests")
    print(f"memory at its peak: planner {peaks[planner] / 1e6:.0f} MB, writer of the list {peaks[writer] / 1e6:.0f} MB")


def peak_bytes(process: int) -> int:
    """The memory of a process at its peak until now, without that of its parent at the fork; 0 once it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0
    found = re.search(r"^VmHWM:\s+([0-9]+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    run("jobs", main)
