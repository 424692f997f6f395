"""How the built-in server holds many small requests, and few large ones, on the same cores in one run.

    python benchmarks/serving.py [--data DIR] [--seconds 5] [--repeats 3] [--callers 64]

--data holds MNIST's IDX files or mnist.npz (default: DIGITS_DATA). Measured in turn, after a round that does not count:

- 64 callers that send one image each, again and again, to the server without and with --enable_batching;
- 512 images a request, four requests in flight, to both servers;
- the bare `serving_default` in process, two threads of 512 images a call: the ceiling of the former.

Batching is as serving/batching.config has it. Printed are medians over the rounds: images/s, and the median and 99th
percentile of the latencies in milliseconds. The callers are coroutines of one process on the same cores, which send
bytes made beforehand and look into no answer but their last: what they cost, the server lacks.
"""

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from batch.client import wire_pb2 as wire
from batch.client.tensors import Target, predict_request
from benchmarks.throughput_processes import built_in_server
from benchmarks.versions import find_versions
from exporter.command import quiet_tensorflow, run
from exporter.contract import DIGIT, IMAGE_BYTES, MODEL_NAME, SIGNATURE
from tests.support import write_png
from trainer.data.datasets import load

SERVING = Path(__file__).parents[1] / "serving"
SHIPPED = SERVING / "models" / MODEL_NAME
LARGE = 512
IN_FLIGHT = 4


@dataclass(frozen=True)
class Round:
    """One way, measured once."""

    rate: float
    latencies: list[float]
    """Seconds of each request."""


def main() -> None:
    """Measure and print."""
    options = parse()
    dataset = load(options.data)
    images = [write_png(image[:, :, None]) for image in dataset.x_test[:4096]]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ways = start_ways(Path(name), images, options, stack)
        gc.freeze()  # looking for garbage in TensorFlow, loaded for the ceiling, would hold the callers up
        rounds: dict[str, list[Round]] = {way: [] for way in ways}
        for number in range(options.repeats + 1):
            for way, measure in ways.items():
                one = measure()
                if number:
                    rounds[way].append(one)
            print(f"round {number} of {options.repeats}", file=sys.stderr)
    print_table(rounds, options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DIGITS_DATA"), help="MNIST; default DIGITS_DATA")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement; default 5")
    parser.add_argument("--repeats", type=int, default=3, help="rounds that count; default 3")
    parser.add_argument("--callers", type=int, default=64, help="that send one image each; default 64")
    return parser.parse_args()


def start_ways(
    folder: Path, images: list[bytes], options: argparse.Namespace, stack: ExitStack
) -> dict[str, Callable[[], Round]]:
    """Start both servers, load the signature, and name what is measured."""
    flags = {
        "without batching": [],
        "with batching": ["--enable_batching", f"--batching_parameters_file={SERVING / 'batching.config'}"],
    }
    single = [predict(images[n : n + 1]) for n in range(len(images))]
    large = [predict(images[n : n + LARGE]) for n in range(0, len(images), LARGE)]
    ways: dict[str, Callable[[], Round]] = {}
    for number, (title, more) in enumerate(flags.items()):
        (folder / str(number)).mkdir()
        server = stack.enter_context(built_in_server(folder / str(number), MODEL_NAME, SHIPPED, more))

        def measure(requests: list[bytes], callers: int, size: int, address: str = server.address) -> Round:
            return asyncio.run(ask(address, requests, callers, size, options.seconds))

        ways[f"1 image a request, {options.callers} callers, {title}"] = (
            lambda measure=measure: measure(single, options.callers, 1)  # type: ignore[misc]
        )
        ways[f"{LARGE} images a request, {IN_FLIGHT} in flight, {title}"] = (
            lambda measure=measure: measure(large, IN_FLIGHT, LARGE)  # type: ignore[misc]
        )
    signature = bare_signature()
    ways[f"the bare signature in process, 2 threads x {LARGE}"] = lambda: in_process(signature, images, options.seconds)
    return ways


def predict(images: list[bytes]) -> bytes:
    """A Predict request on the wire."""
    target = Target(MODEL_NAME, SIGNATURE)
    return predict_request(target, IMAGE_BYTES, images, []).SerializeToString()


async def ask(address: str, requests: list[bytes], callers: int, size: int, seconds: float) -> Round:
    """Let so many callers send requests for so long, each the next when it has its answer."""
    latencies: list[float] = []
    async with grpc.aio.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict", bytes, bytes)
        begin = time.monotonic()

        async def caller(number: int) -> None:
            answer = b""
            while time.monotonic() < begin + seconds:
                number = (number + callers) % len(requests)
                start = time.monotonic()
                answer = await call(requests[number])
                latencies.append(time.monotonic() - start)
            if len(wire.PredictResponse.FromString(answer).outputs[DIGIT].int64_val) != size:
                raise RuntimeError("not every image was answered")

        await asyncio.gather(*(caller(number) for number in range(callers)))
        return Round(len(latencies) * size / (time.monotonic() - begin), latencies)


def bare_signature() -> Callable[[list[bytes]], None]:
    """The shipped model's signature, called directly."""
    quiet_tensorflow()
    import tensorflow as tf  # noqa: PLC0415 - quietly

    versions = find_versions(SHIPPED)
    model = tf.saved_model.load(str(versions[max(versions)]))

    def call(images: list[bytes]) -> None:
        model.signatures[SIGNATURE](**{IMAGE_BYTES: tf.constant(images)})

    return call


def in_process(call: Callable[[list[bytes]], None], images: list[bytes], seconds: float) -> Round:
    """Two threads that call the signature for so long."""
    begin = time.monotonic()

    def work(offset: int) -> list[float]:
        latencies = []
        while time.monotonic() < begin + seconds:
            start = time.monotonic()
            call(images[offset : offset + LARGE])
            latencies.append(time.monotonic() - start)
        return latencies

    with ThreadPoolExecutor(2) as pool:
        latencies = [each for part in pool.map(work, (0, LARGE)) for each in part]
    return Round(len(latencies) * LARGE / (time.monotonic() - begin), latencies)


def print_table(rounds: dict[str, list[Round]], options: argparse.Namespace) -> None:
    """Medians over the rounds."""
    cores = len(os.sched_getaffinity(0))
    print(f"shipped model, {cores} cores, medians of {options.repeats} rounds of {options.seconds:g} s\n")
    print("| | images/s | p50 ms | p99 ms |\n|---|---|---|---|")
    for way, several in rounds.items():
        rate = statistics.median(one.rate for one in several)
        p50, p99 = (
            1000 * statistics.median(float(np.percentile(one.latencies, q)) for one in several) for q in (50, 99)
        )
        print(f"| {way} | {rate:,.0f} | {p50:,.1f} | {p99:,.1f} |")


if __name__ == "__main__":
    run("serving", main)
