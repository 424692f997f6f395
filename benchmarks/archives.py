"""How fast digits-batch is on images in archives, beside the same images as loose files, in one run.

    python benchmarks/archives.py [--data DIR] [--images 200000] [--repeats 3] [--address HOST:PORT] [--json FILE]

--data holds MNIST's IDX files or mnist.npz (default: DIGITS_DATA). Its images are written as PNG files, again and again
if more are wanted than there are, a thousand to a folder; and the same files in the same order as tar, tar.gz, zip,
Parquet and Arrow. Each way is digits-batch as a whole process, start and table included, with the built-in server,
which shares the cores, or with a server that runs already.

After a round that does not count all are measured in turn, so that a slow minute of the machine meets each. All must
come to the same digits. Printed are medians over the rounds: images/s, their ratio to loose files, microseconds of CPU
time for each image of the client, and its memory at its peak, the most of all rounds. Linux only.

Nothing large is imported on top, and files are written by a process of its own: Linux counts what a parent had in
memory at the fork as its child's peak.
"""

# ruff: noqa: PLC0415 - see above

import argparse
import csv
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.throughput_processes import Server, built_in_server
from exporter.command import UserError, run
from exporter.contract import MODEL_NAME

SHIPPED = Path(__file__).parents[1] / "serving" / "models" / MODEL_NAME
LOOSE = "scans"
_FOLDER = 1000  # files in one
_PIPE_COLUMNS = 160  # where there is no terminal to fold for


class Round(NamedTuple):
    """A way, measured once."""

    seconds: float
    client_cpu_seconds: float
    client_peak_bytes: int
    digits: list[str]


def main() -> None:
    """Write, measure, print."""
    options = parse()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        writer = multiprocessing.get_context("spawn").Process(
            target=write_all, args=(options.data, folder, options.images)
        )
        writer.start()
        writer.join()
        if writer.exitcode:
            raise UserError("the images are not written, see above")
        if options.address:
            server = Server(options.address)
        else:
            server = stack.enter_context(built_in_server(folder, MODEL_NAME, SHIPPED))
        rounds = measure_all(folder, server, options.repeats)
    title = f"{options.images:,} MNIST PNGs, {len(os.sched_getaffinity(0))} cores, medians of {options.repeats}"
    print_table(rounds, options.images, title)
    if options.json:
        figures = {way: [one._asdict() | {"digits": None} for one in of_way] for way, of_way in rounds.items()}
        text = json.dumps({"title": title, "images": options.images, "rounds": figures}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DIGITS_DATA"), help="MNIST; default DIGITS_DATA")
    parser.add_argument("--images", type=int, default=200_000, help="how many; default 200000")
    parser.add_argument("--repeats", type=int, default=3, help="rounds that count; default 3")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a server that runs already; default: start one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds for programs")
    options = parser.parse_args()
    if options.images < 1 or options.repeats < 1:
        parser.error("--images and --repeats must be 1 at least")
    return options


def write_all(data: Path | None, folder: Path, count: int) -> None:
    """Write the images in every way."""

    def write() -> None:
        files = write_images(data, folder, count)
        for way, pack in WAYS.items():
            pack(files, folder / way)

    run("archives", write)


def write_images(data: Path | None, folder: Path, count: int) -> list[Path]:
    """Write PNG files and return their paths, in the order of a walk."""
    import numpy as np
    from PIL import Image

    from trainer.data.datasets import load

    dataset = load(data)
    images = np.concatenate([dataset.x_test, dataset.x_train])[:count]
    pngs = []
    for image in images:
        png = io.BytesIO()
        Image.fromarray(image).save(png, "PNG")
        pngs.append(png.getvalue())
    paths = [folder / LOOSE / f"{number // _FOLDER:04}" / f"{number:07}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pngs[number % len(pngs)])
    return paths


def leave_loose(_files: list[Path], _out: Path) -> None:
    """They are there already."""


def members(files: list[Path], out: Path) -> Iterator[tuple[str, bytes]]:
    """Names in an archive, and contents."""
    for path in files:
        yield str(path.relative_to(out.parent)), path.read_bytes()


def write_tar(files: list[Path], out: Path) -> None:
    """A tar archive, compressed if its name says so."""
    with tarfile.open(out, "w:gz" if out.suffix == ".gz" else "w") as archive:
        for name, content in members(files, out):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_zip(files: list[Path], out: Path) -> None:
    """A zip archive; PNGs are deflated once more, as most packers do."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members(files, out):
            archive.writestr(name, content)


def write_table(files: list[Path], out: Path) -> None:
    """A Parquet or Arrow file, as pyarrow writes it unasked."""
    import pyarrow as pa
    from pyarrow import feather, parquet

    names, contents = zip(*members(files, out), strict=True)
    table = pa.table({"id": list(names), "image": list(contents)})
    if out.suffix == ".parquet":
        parquet.write_table(table, out)
    else:
        feather.write_feather(table, out)


WAYS: dict[str, Callable[[list[Path], Path], None]] = {
    LOOSE: leave_loose,
    "scans.tar": write_tar,
    "scans.tar.gz": write_tar,
    "scans.zip": write_zip,
    "scans.parquet": write_table,
    "scans.feather": write_table,
}
"""What is named on the command line, and how it comes to be."""


def measure_all(folder: Path, server: Server, repeats: int) -> dict[str, list[Round]]:
    """Measure each way in turn."""
    rounds: dict[str, list[Round]] = {way: [] for way in WAYS}
    for number in range(repeats + 1):
        print(f"round {number} of {repeats}" if number else "a round that does not count", file=sys.stderr)
        for way in WAYS:
            one = measure(folder, way, server)
            if one.digits != (rounds[LOOSE][0].digits if rounds[LOOSE] else one.digits):
                raise UserError(f"{way}: the digits are not those of the loose files")
            if number:
                rounds[way].append(one)
    return rounds


def measure(folder: Path, way: str, server: Server) -> Round:
    """One round of a way."""
    out = folder / "out.csv"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-P", "-m", "batch.cli", way, "--out", out.name, "--server", server.address]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    _, said = process.communicate()
    if process.returncode:
        raise UserError(f"{way}: digits-batch ended with code {process.returncode}: {said.strip()}")
    with out.open(newline="") as file:
        digits = [row["digit"] for row in csv.DictReader(file)]
    return Round(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, digits)


def print_table(rounds: dict[str, list[Round]], images: int, title: str) -> None:
    """For people, in a form that pastes into docs/speed.md."""
    table = Table(box=MARKDOWN)
    table.add_column("")
    for heading in ("images/s", "ratio to loose files", "client's CPU, µs/image", "client's peak memory, MB"):
        table.add_column(heading, justify="right")
    rates = {way: median(images / one.seconds for one in of_way) for way, of_way in rounds.items()}
    for way, of_way in rounds.items():
        table.add_row(
            way,
            f"{rates[way]:,.0f}",
            f"{rates[way] / rates[LOOSE]:.2f}",
            f"{median(1e6 * one.client_cpu_seconds / images for one in of_way):,.1f}",
            f"{max(one.client_peak_bytes for one in of_way) / 1e6:,.0f}",
        )
    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
    console.print(title, table, sep="\n", highlight=False)


if __name__ == "__main__":
    run("archives", main)
