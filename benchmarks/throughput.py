"""How fast digits-batch is, beside other ways to the same answers, on the same cores in one run.

    python benchmarks/throughput.py [--data DIR] [--images 20000] [--repeats 3] [--model-base-path DIR]
        [--address HOST:PORT] [--model NAME] [--chart FILE.png] [--json FILE]

--data holds MNIST's IDX files or mnist.npz (default: DIGITS_DATA). The images are written as PNG files, and become
digits

- by one image per RPC, one at a time and 16 at a time, on the first 2,000 images; with digits-batch's own messages, so
  that what differs is the batching and the window;
- by Keras' `image_dataset_from_directory` and `predict` with the same network, in process;
- by digits-batch as a whole process, start and table included;
- by the bare `serving_default` in process, on images in memory, two threads of 512 images a call: the ceiling.

Reading the files alone, on one thread, shows how little of this is the disk's. RPCs go to the built-in server, which is
started with the model and shares the cores; with --address to a server that runs already, such as TensorFlow Serving,
and has the same model as --model-base-path, whose newest version is what runs in process.

Every way is a process of its own (`throughput_ways.py`); its imports and loading are not counted, those of digits-batch
are. After a round that does not count all are measured in turn, so that a slow minute of the machine meets each. All
must come to the same digits.

Printed are medians over the rounds: images/s, their ratio to one image at a time and to the ceiling, microseconds of
CPU time for each image of client and server, all threads, and the client's memory at its peak. The CPU time of a server
named by --address is not known and left blank. Linux only: CPU time and memory are read from /proc.
"""

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.throughput_chart import draw
from benchmarks.throughput_processes import Server, Worker, built_in_server
from benchmarks.throughput_results import CEILING, Round, Row, Rows, as_figures, print_table
from benchmarks.throughput_ways import SCANS, WAYS, Task
from benchmarks.versions import find_versions
from exporter.command import UserError, run
from exporter.contract import MODEL_NAME
from trainer.data.datasets import load

SHIPPED = Path(__file__).parents[1] / "serving" / "models" / MODEL_NAME
SAME = 0.99
"""Share of the digits that must agree: the last bits may differ between two ways to one network."""


def main() -> None:
    """Measure, print and write."""
    options = parse()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            count = write_images(options.data, folder / SCANS, options.images)
            rows = measure_all(folder, options)
    except KeyboardInterrupt:
        print("throughput: interrupted", file=sys.stderr)
        sys.exit(130)
    title = describe(count, options)
    print_table(rows, title)
    if options.json:
        options.json.write_text(json.dumps(as_figures(rows, title), indent=2) + "\n", encoding="utf-8")
    if options.chart:
        draw(options.chart, rows, title)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DIGITS_DATA"), help="MNIST; default DIGITS_DATA")
    parser.add_argument("--images", type=positive, default=20_000, help="how many, test images first; default 20000")
    parser.add_argument("--repeats", type=positive, default=3, help="rounds that count; default 3")
    parser.add_argument(
        "--model-base-path", type=Path, default=SHIPPED, help="folder of numbered versions; default the shipped model"
    )
    parser.add_argument("--address", metavar="HOST:PORT", help="of a server that runs already; default: start one")
    parser.add_argument("--model", default=MODEL_NAME, help=f"the served model's name; default {MODEL_NAME}")
    parser.add_argument("--chart", type=Path, metavar="FILE.png", help="draw images/s as bars")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds for programs")
    options = parser.parse_args()
    for path in filter(None, (options.chart, options.json)):
        if not path.parent.is_dir():  # better known now than after minutes of work
            parser.error(f"{path.parent} is no folder")
    return options


def positive(text: str) -> int:
    """A count on the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def write_images(data: Path | None, folder: Path, count: int) -> int:
    """Write MNIST's test images, then training images, as PNG files, a thousand to a folder; tell how many."""
    dataset = load(data)
    images = np.concatenate([dataset.x_test, dataset.x_train])[:count]
    for number, image in enumerate(images):
        path = folder / f"{number // 1000:03}" / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return len(images)


def measure_all(folder: Path, options: argparse.Namespace) -> Rows:
    """Measure each way in turn on the images in `folder`."""
    versions = find_versions(options.model_base_path)
    if not versions:
        raise UserError(f"{options.model_base_path} holds no version; give a folder that digits-export has written to")
    version = versions[max(versions)].resolve()
    rounds: dict[str, list[Round]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        if options.address:
            server = Server(options.address)
        else:
            server = stack.enter_context(built_in_server(folder, options.model, options.model_base_path))
        task = Task(server.address, options.model, str(version))
        workers = [stack.enter_context(Worker(way, folder, task)) for way in WAYS]
        for number in range(options.repeats + 1):
            print(f"round {number} of {options.repeats}" if number else "a round that does not count", file=sys.stderr)
            found = {}
            for worker in workers:
                one, found[worker.way] = measure(worker, server)
                if number:
                    rounds[worker.way].append(one)
            check_digits(found)
    return {way: Row(way, rounds[way]) for way in WAYS}


def measure(worker: Worker, server: Server) -> tuple[Round, list[int]]:
    """One round of a way, and the digits that it found."""
    before = server.cpu_seconds()
    figures = worker.measure()
    after = server.cpu_seconds()
    spent = None
    if WAYS[worker.way].asks_server and before is not None and after is not None:
        spent = after - before
    one = Round(figures.images, figures.seconds, figures.cpu_seconds, spent, figures.peak_bytes)
    return one, figures.digits


def check_digits(found: dict[str, list[int]]) -> None:
    """Raise UserError unless all ways have come to the same digits: else they are not ways to the same answers."""
    for way, digits in found.items():
        same = sum(one == other for one, other in zip(digits, found[CEILING], strict=False))
        if same < SAME * len(digits):
            raise UserError(
                f"{WAYS[way].title}: only {same:,} of {len(digits):,} digits are those of the model in "
                "--model-base-path; give the one that the server has"
            )


def describe(count: int, options: argparse.Namespace) -> str:
    """What was measured, in one line."""
    model = "shipped model" if options.model_base_path == SHIPPED else f"model {options.model_base_path.resolve().name}"
    server = f"server {options.address}" if options.address else "built-in server"
    cores = len(os.sched_getaffinity(0))
    return f"{count:,} MNIST PNGs, {model}, {server}, {cores} cores, medians of {options.repeats}"


if __name__ == "__main__":
    run("throughput", main)
