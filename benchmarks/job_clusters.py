"""How fast digits-job is on clusters of this machine's processes, beside digits-batch in one run.

    python benchmarks/job_clusters.py [--data DIR] [--images 200000] [--shard-files 10000] [--workers 2] [--repeats 3]

--data holds MNIST's IDX files or mnist.npz (default: DIGITS_DATA). digits-batch, the local engine, Dask and Spark
answer the same files in turn, after a round that does not count, all from the same built-in server, which shares the
cores. Every cluster has as many workers as the local engine, for one shard at a time each. Printed are medians: seconds
of `digits-batch`, and of `digits-job run`, images/s, and the ratio to digits-batch. A job is printed twice: as a whole
process, which for Spark starts a Java machine and executors; and from the first shard's start to the last one's end, as
the job's markers have it, which is what counts on a large job. All tables must be the same, byte for byte.

Needs the dask and spark extras, and Java.
"""

import argparse
import filecmp
import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from batch.cluster.marker import Marker
from benchmarks.jobs import BATCH, JOB, seconds, write_files
from benchmarks.throughput import SHIPPED, positive
from benchmarks.throughput_processes import built_in_server
from exporter.command import UserError, run
from exporter.contract import MODEL_NAME
from tests.batch.cluster.engines.clusters import Cluster, DaskCluster, SparkCluster

REFERENCE = "digits-batch"
LOCAL = "local engine"


def main() -> None:
    """Measure and print."""
    options = parse()
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        write_files(options.data, folder / "scans", options.images)
        server = stack.enter_context(built_in_server(folder, MODEL_NAME, SHIPPED))
        for number in range(options.repeats + 1):
            print(f"round {number} of {options.repeats}" if number else "a round that does not count", file=sys.stderr)
            for way, spent in measure(folder, server.address, options).items():
                if number:
                    found[way].append(spent)
    report(found, options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DIGITS_DATA"), help="MNIST; default DIGITS_DATA")
    parser.add_argument("--images", type=positive, default=200_000, help="how many files; default 200000")
    parser.add_argument("--shard-files", type=positive, default=10_000, help="of the job; default 10000")
    parser.add_argument("--workers", type=positive, default=2, help="of each engine; default 2")
    parser.add_argument("--repeats", type=positive, default=3, help="rounds that count; default 3")
    return parser.parse_args()


def measure(folder: Path, address: str, options: argparse.Namespace) -> dict[str, float]:
    """One round: the seconds of each way. Raises UserError unless all tables are the same."""
    server = ["--server", address]
    found = {REFERENCE: seconds(folder, [*BATCH, "scans", "--out", "batch.csv", "--force", *server])}
    local = ["--engine", "local", "--workers", str(options.workers)]
    found |= measure_job(folder, LOCAL, [*local, *server], options)
    for cluster_of in (DaskCluster, SparkCluster):
        # A cluster is there only while it is measured: its processes would take from the others' cores.
        home = Path(tempfile.mkdtemp(dir=folder))
        with cluster_of(home) as cluster:
            start_workers(cluster, options.workers)
            found |= measure_job(folder, cluster.arguments[1], [*cluster.arguments, *server], options, cluster)
    return found


def start_workers(cluster: Cluster, workers: int) -> None:
    """Start a cluster's workers."""
    for _ in range(workers):
        cluster.start_worker()


def measure_job(
    folder: Path, way: str, arguments: list[str], options: argparse.Namespace, cluster: Cluster | None = None
) -> dict[str, float]:
    """Have an engine answer a new job; its seconds, and those of its shards alone."""
    shutil.rmtree(folder / "job", ignore_errors=True)
    seconds(folder, [*JOB, "plan", "job", "scans", "--shard-files", str(options.shard_files), *arguments[-2:]])
    if cluster is not None:
        os.environ.update(cluster.environment)  # nobody else reads these variables
    spent = seconds(folder, [*JOB, "run", "job", *arguments])
    seconds(folder, [*JOB, "finish", "job", "--out", "job.csv", "--force"])
    if not filecmp.cmp(folder / "batch.csv", folder / "job.csv", shallow=False):
        raise UserError(f"the tables of {REFERENCE} and of the {way} differ")
    return {way: spent, f"{way}, shards alone": of_shards(folder / "job")}


def of_shards(job: Path) -> float:
    """Seconds from the first shard's start to the last one's end."""
    markers = [Marker.of(path.read_bytes()) for path in (job / "done").iterdir()]
    return max(one.ended for one in markers) - min(one.ended - one.summary.seconds for one in markers)


def report(found: dict[str, list[float]], options: argparse.Namespace) -> None:
    """Print medians."""
    cores = len(os.sched_getaffinity(0))
    print(
        f"{options.images:,} files, {options.shard_files:,} a shard, {options.workers} workers, {cores} cores, medians "
        f"of {options.repeats}"
    )
    reference = statistics.median(found[REFERENCE])
    for way, spent in found.items():
        median = statistics.median(spent)
        print(f"{way:28} {median:8.2f} s {options.images / median:10,.0f} images/s {reference / median:6.2f}")


if __name__ == "__main__":
    run("job_clusters", main)
