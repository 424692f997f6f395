"""How fast digits-batch is on images in an object store, beside the same images on a disk, in one run.

    python benchmarks/stores.py [--data DIR] [--images 20000] [--repeats 3] [--only-tar] [--address HOST:PORT]
        [--json FILE]

--data holds MNIST's IDX files or mnist.npz (default: DIGITS_DATA). The images are written as loose PNG files and as one
tar archive, and both are put into a bucket of moto's S3 server, a process of its own on this machine's loopback. That
server is written in Python and shares the cores: of loose objects, the figures say more of it than of digits-batch.
--only-tar leaves loose files and objects out, of which 200,000 take ten minutes a round.

Each way is digits-batch as a whole process, as in archives.py: start and table included, medians over rounds that are
measured in turn, and all must come to the same digits. Linux only.
"""

import argparse
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.archives import LOOSE, SHIPPED, Round, measure, write_images, write_tar
from benchmarks.throughput_processes import Server, built_in_server
from exporter.command import UserError, run
from exporter.contract import MODEL_NAME

TAR = "scans.tar"
_BUCKET = "digits-benchmark"
WAYS = {LOOSE: LOOSE, f"s3://{_BUCKET}/{LOOSE}": LOOSE, TAR: TAR, f"s3://{_BUCKET}/{TAR}": TAR}
"""What is named on the command line, and the same on a disk."""

_START_S = 60.0
_PIPE_COLUMNS = 160  # where there is no terminal to fold for


def main() -> None:
    """Write, put, measure, print."""
    options = parse()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        os.environ |= stack.enter_context(s3_server(folder))
        # Linux counts what a parent had in memory at the fork as its child's peak.
        writer = multiprocessing.get_context("spawn").Process(
            target=write_all, args=(options.data, folder, options.images, options.only_tar)
        )
        writer.start()
        writer.join()
        if writer.exitcode:
            raise UserError("the images are not written, see above")
        if options.address:
            server = Server(options.address)
        else:
            server = stack.enter_context(built_in_server(folder, MODEL_NAME, SHIPPED))
        ways = [way for way, of_disk in WAYS.items() if of_disk == TAR or not options.only_tar]
        rounds = measure_all(folder, server, ways, options.repeats)
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
    parser.add_argument("--images", type=int, default=20_000, help="how many; default 20000")
    parser.add_argument("--repeats", type=int, default=3, help="rounds that count; default 3")
    parser.add_argument("--only-tar", action="store_true", help="leave out loose files and objects")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a server that runs already; default: start one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds for programs")
    options = parser.parse_args()
    if options.images < 1 or options.repeats < 1:
        parser.error("--images and --repeats must be 1 at least")
    return options


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """Variables of the environment by which moto's S3 server is found, while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-P", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UserError(f"moto's server does not start: {(folder / 'moto.log').read_text()}") from None
                time.sleep(0.05)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.kill()
        process.wait()


def write_all(data: Path | None, folder: Path, count: int, only_tar: bool) -> None:  # noqa: FBT001 - for a process
    """Write the images in every way, and put them into the bucket."""

    def write() -> None:
        import boto3  # noqa: PLC0415 - in this process alone
        from botocore.config import Config  # noqa: PLC0415 - likewise

        files = write_images(data, folder, count)
        write_tar(files, folder / TAR)
        client = boto3.client("s3", config=Config(max_pool_connections=16))
        client.create_bucket(Bucket=_BUCKET)

        def put(path: Path) -> None:
            client.put_object(Bucket=_BUCKET, Key=str(path.relative_to(folder)), Body=path.read_bytes())

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(put, [*([] if only_tar else files), folder / TAR]))

    run("stores", write)


def measure_all(folder: Path, server: Server, ways: list[str], repeats: int) -> dict[str, list[Round]]:
    """Measure each way in turn."""
    rounds: dict[str, list[Round]] = {way: [] for way in ways}
    digits: list[str] = []
    for number in range(repeats + 1):
        print(f"round {number} of {repeats}" if number else "a round that does not count", file=sys.stderr)
        for way in ways:
            one = measure(folder, way, server)
            digits = digits or one.digits
            if one.digits != digits:
                raise UserError(f"{way}: the digits are not those of the first way")
            if number:
                rounds[way].append(one)
    return rounds


def print_table(rounds: dict[str, list[Round]], images: int, title: str) -> None:
    """For people, in a form that pastes into docs/speed.md."""
    table = Table(box=MARKDOWN)
    table.add_column("")
    headings = ("images/s", "ratio to the same on a disk", "client's CPU, µs/image", "client's peak memory, MB")
    for heading in headings:
        table.add_column(heading, justify="right")
    rates = {way: median(images / one.seconds for one in of_way) for way, of_way in rounds.items()}
    for way, of_way in rounds.items():
        table.add_row(
            way,
            f"{rates[way]:,.0f}",
            f"{rates[way] / rates[WAYS[way]]:.2f}",
            f"{median(1e6 * one.client_cpu_seconds / images for one in of_way):,.1f}",
            f"{max(one.client_peak_bytes for one in of_way) / 1e6:,.0f}",
        )
    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
    console.print(title, table, sep="\n", highlight=False)


if __name__ == "__main__":
    run("stores", main)
