"""The ways that `throughput.py` measures, each in a process of its own, which this file is when it is run.

    python -P throughput_ways.py WAY ADDRESS MODEL VERSION

It runs in a folder with the images in `scans`. WAY is a key of WAYS; ADDRESS and MODEL are what RPCs are sent to;
VERSION is the folder of the SavedModel that the ways without a server load. It prepares itself, which no figure counts,
says so in a line, then answers each line of standard input with one round: the Figures as JSON, on a line.

A process for each way keeps one's imports and memory out of the other's figures. For the same reason nothing large is
imported on top: Linux counts what a parent had in memory at the fork as its child's peak, and the parent of
digits-batch, whose peak is to be known, is this process.
"""

# ruff: noqa: PLC0415 - see above: a process imports what its own way needs

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import NamedTuple

SCANS = Path("scans")
OUT = Path("preds.csv")
BATCH = 512
"""Images in a call of the bare signature, and in the larger of the two batches of Keras' data set."""
KERAS_BATCH = 32
"""What Keras' data set makes of a folder unless it is told otherwise."""
THREADS = 2
CALLERS = 16
RPC_SECONDS = 60
ALONE = 2000
"""Images for the ways with one image per RPC: they take long."""


class Figures(NamedTuple):
    """What one round took, and what came of it."""

    images: int
    seconds: float
    cpu_seconds: float
    """Of all threads of the client."""
    peak_bytes: int
    """Memory of the client at its peak, since its start."""
    digits: list[int]
    """Of the images in the order of their paths; empty for a way that reads no digits."""


class Task(NamedTuple):
    """What a way is given."""

    address: str
    model: str
    version: str


Round = Callable[[], Figures]


class Way(NamedTuple):
    """A way to get answers for a folder of images, or a part of one."""

    title: str
    prepare: Callable[[Task], Round]
    asks_server: bool = False


def main() -> None:
    """Prepare, then measure whenever a line comes."""
    name, *task = sys.argv[1:]
    # What TensorFlow or Keras print must not come between the answers.
    with redirect_stdout(sys.stderr):
        measure = WAYS[name].prepare(Task(*task))
    print("ready", flush=True)
    for _ in sys.stdin:
        with redirect_stdout(sys.stderr):
            figures = measure()
        print(json.dumps(figures._asdict()), flush=True)


def one_at_a_time(task: Task) -> Round:
    """One image per RPC, the next one when the answer is there."""
    images = read(scans()[:ALONE])
    ask = asker(task)
    return here(len(images), lambda: [ask(image) for image in images])


def sixteen_at_a_time(task: Task) -> Round:
    """One image per RPC, from many threads."""
    images = read(scans()[:ALONE])
    ask = asker(task)

    def run() -> list[int]:
        with ThreadPoolExecutor(CALLERS) as pool:
            return list(pool.map(ask, images))

    return here(len(images), run)


def keras_folder(task: Task, batch: int) -> Round:
    """Keras' data set of a folder, and predict, as its guides show them; the network is the SavedModel's `pixels`."""
    from exporter.command import quiet_tensorflow
    from exporter.contract import PIXELS_SIGNATURE, PROBABILITIES, SIDE

    quiet_tensorflow()
    import keras

    inputs = keras.Input((SIDE, SIDE, 1))
    # The data set holds float32 from 0 to 255, which of images that are not resized are whole.
    pixels = keras.ops.cast(keras.ops.squeeze(inputs, -1), "uint8")
    network = keras.layers.TFSMLayer(task.version, call_endpoint=PIXELS_SIGNATURE)
    model = keras.Model(inputs, network(pixels)[PROBABILITIES])

    def run() -> list[int]:
        dataset = keras.utils.image_dataset_from_directory(
            SCANS,
            labels=None,
            color_mode="grayscale",
            image_size=(SIDE, SIDE),
            batch_size=batch,
            shuffle=False,
            verbose=False,
        )
        digits: list[int] = model.predict(dataset, verbose=0).argmax(axis=1).tolist()
        return digits

    return here(len(scans()), run)


def digits_batch(task: Task) -> Round:
    """digits-batch from its start to its end."""
    command = [sys.executable, "-P", "-m", "batch.cli", str(SCANS), "--out", str(OUT)]
    command += ["--server", task.address, "--model", task.model]
    count = len(scans())

    def measure() -> Figures:
        OUT.unlink(missing_ok=True)
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        _, said = process.communicate()
        if process.returncode:
            sys.exit(said)
        with OUT.open(newline="") as file:
            digits = [int(row["digit"]) for row in csv.DictReader(file)]
        if len(digits) != count:
            sys.exit(f"{len(digits)} rows for {count} images")
        return Figures(count, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, digits)

    return measure


def bare_signature(task: Task) -> Round:
    """`serving_default` called in process on images in memory: what no client of a server can be faster than."""
    from exporter.command import quiet_tensorflow
    from exporter.contract import DIGIT, IMAGE_BYTES, SIGNATURE

    quiet_tensorflow()
    import tensorflow as tf

    model = tf.saved_model.load(task.version)
    signature = model.signatures[SIGNATURE]
    images = read(scans())
    batches = [tf.constant(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]

    def run() -> list[int]:
        with ThreadPoolExecutor(THREADS) as pool:
            answers = pool.map(lambda batch: signature(**{IMAGE_BYTES: batch})[DIGIT].numpy().tolist(), batches)
        return [digit for digits in answers for digit in digits]

    return here(len(images), run)


def reading(_: Task) -> Round:
    """Read the files, one after the other, and do nothing with them."""
    paths = scans()

    def run() -> list[int]:
        for _ in read(paths):
            pass
        return []

    return here(len(paths), run)


WAYS = {
    "one-at-a-time": Way("one image per RPC, one at a time", one_at_a_time, asks_server=True),
    "sixteen-at-a-time": Way(f"one image per RPC, {CALLERS} at a time", sixteen_at_a_time, asks_server=True),
    "keras": Way("Keras, folder data set and predict, in process", partial(keras_folder, batch=KERAS_BATCH)),
    "keras-large": Way("the same in batches of 512", partial(keras_folder, batch=BATCH)),
    "digits-batch": Way("digits-batch, whole process", digits_batch, asks_server=True),
    "ceiling": Way("the ceiling: bare signature in process", bare_signature),
    "reading": Way("reading the files alone, one thread", reading),
}
"""By the names that `throughput.py` calls them by, the slowest first."""


def scans() -> list[str]:
    """Paths of the images, in the order in which digits-batch and Keras take them."""
    return [str(path) for path in sorted(SCANS.rglob("*.png"))]


def read(paths: Iterable[str]) -> list[bytes]:
    """Contents of files."""
    contents = []
    for path in paths:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path takes longer than reading so small a file
            contents.append(file.read())
    return contents


def asker(task: Task) -> Callable[[bytes], int]:
    """A function that asks for one image: a plain channel of gRPC, and digits-batch's own messages."""
    import grpc

    from batch.client import wire_pb2 as wire
    from batch.client.tensors import Target, numbers, predict_request
    from exporter.contract import DIGIT, IMAGE_BYTES, SIGNATURE

    predict = grpc.insecure_channel(task.address).unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        request_serializer=wire.PredictRequest.SerializeToString,
        response_deserializer=wire.PredictResponse.FromString,
    )
    target = Target(task.model, SIGNATURE)

    def ask(image: bytes) -> int:
        request = predict_request(target, IMAGE_BYTES, [image], [DIGIT])
        try:
            return int(numbers(predict(request, timeout=RPC_SECONDS), DIGIT, 1)[0])
        except grpc.RpcError as error:
            sys.exit(f"{task.address}: {error.details()} ({error.code().name})")

    return ask


def here(images: int, run: Callable[[], list[int]]) -> Round:
    """A round that happens in this process."""

    def measure() -> Figures:
        started, cpu_started = time.perf_counter(), time.process_time()
        digits = run()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        return Figures(images, seconds, cpu_seconds, peak_memory(), digits)

    return measure


def peak_memory() -> int:
    """The most bytes that this process has had in memory; of itself alone, unlike getrusage's figure."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
