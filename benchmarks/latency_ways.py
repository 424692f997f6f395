"""The ways that `latency.py` measures, in a process of one side's code, which this file is when it is run.

    python -P latency_ways.py model VERSION
    python -P latency_ways.py caller ADDRESS

It runs in a folder with the pictures that `latency.py` has written, and with one side's checkout on PYTHONPATH. It says
`ready`, then answers each line of standard input, a way and for how many seconds, with its Figures as JSON.
"""

# ruff: noqa: PLC0415 - the process of a caller must not import what the one of a model needs

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

MNIST, MOVED, SCAN, PIXELS = "mnist", "moved", "scan", "pixels"
"""Folders of pictures, and the name of an array."""
MANY = 1000
LARGE_IN_FLIGHT = 8
"""As many requests as digits-batch has under way."""
RPC_SECONDS = 60.0
_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_LEAST = 3


class Figures(NamedTuple):
    """What one measurement found."""

    images: int
    seconds: float
    latencies: list[float]
    """Seconds of each call."""
    cpu_seconds: float
    """Of this process."""


Measure = Callable[[float], Figures]
"""Measures for about so many seconds."""


def main() -> None:
    """Prepare, then measure what is asked."""
    role, where = sys.argv[1:]
    # What TensorFlow prints must not come between the answers.
    with redirect_stdout(sys.stderr):
        ways = {"model": of_model, "caller": of_caller}[role](where)
    print("ready", flush=True)
    for line in sys.stdin:
        way, seconds = line.split()
        with redirect_stdout(sys.stderr):
            figures = ways[way](float(seconds))
        print(json.dumps(figures._asdict()), flush=True)


def read(folder: str) -> list[bytes]:
    """The pictures of one kind."""
    return [path.read_bytes() for path in sorted(Path(folder).iterdir())]


def of_model(version: str) -> dict[str, Measure]:
    """Signatures of a SavedModel, called in process."""
    from exporter.command import quiet_tensorflow
    from exporter.contract import IMAGE_BYTES, PIXELS, PIXELS_SIGNATURE, SIGNATURE

    quiet_tensorflow()
    import numpy as np
    import tensorflow as tf

    model = tf.saved_model.load(version)
    images, pixels = model.signatures[SIGNATURE], model.signatures[PIXELS_SIGNATURE]

    def call(pictures: list[bytes]) -> None:
        for output in images(**{IMAGE_BYTES: tf.constant(pictures)}).values():
            output.numpy()

    def call_pixels(array: "np.ndarray") -> None:
        for output in pixels(**{PIXELS: tf.constant(array)}).values():
            output.numpy()

    ways: dict[str, Measure] = {}
    for kind in (MNIST, MOVED, SCAN):
        pictures = read(kind)
        ways[f"one-{kind}"] = partial(again, [partial(call, [picture]) for picture in pictures[:50]], 1)
        if kind != MOVED:
            many = [pictures[number % len(pictures)] for number in range(MANY)]
            ways[f"many-{kind}"] = partial(again, [partial(call, many)], MANY)
    array = np.load(f"{PIXELS}.npy")
    ways["one-pixels"] = partial(again, [partial(call_pixels, array[n : n + 1]) for n in range(50)], 1)
    for measure in ways.values():
        measure(0.0)  # what a first call does once, Grappler among it, belongs to no figure
    return ways


def again(calls: Sequence[Callable[[], object]], images: int, seconds: float) -> Figures:
    """Call one after the other, round and round; each answers so many images."""
    latencies: list[float] = []
    begin, cpu = time.perf_counter(), time.process_time()
    for number in count():
        start = time.perf_counter()
        if number >= _LEAST and start > begin + seconds:
            break
        calls[number % len(calls)]()
        latencies.append(time.perf_counter() - start)
    return Figures(len(latencies) * images, time.perf_counter() - begin, latencies, time.process_time() - cpu)


def of_caller(address: str) -> dict[str, Measure]:
    """Callers of a server."""
    from batch.client.client import Client
    from batch.client.tensors import Target, predict_request
    from exporter.contract import CONFIDENCE, DIGIT, ERROR, IMAGE_BYTES, MODEL_NAME, SIGNATURE

    pictures = read(MNIST)
    target = Target(MODEL_NAME, SIGNATURE)

    def request(images: list[bytes]) -> bytes:
        return predict_request(target, IMAGE_BYTES, images, [DIGIT, CONFIDENCE, ERROR]).SerializeToString()

    single = [request([picture]) for picture in pictures]
    large = [request([pictures[number % len(pictures)] for number in range(MANY)])]
    client = Client(address)
    stub = bare_stub(address)
    one_by_one = [partial(stub, picture) for picture in pictures]
    by_client = [partial(client.predict_one, picture) for picture in pictures]
    ways: dict[str, Measure] = {
        "callers-1": partial(again, one_by_one, 1),
        "client": partial(again, by_client, 1),
        "large": lambda seconds: asyncio.run(ask(address, large, LARGE_IN_FLIGHT, MANY, seconds)),
    }
    for callers in (16, 64, 256):
        ways[f"callers-{callers}"] = lambda seconds, callers=callers: asyncio.run(  # type: ignore[misc]
            ask(address, single, callers, 1, seconds)
        )
    return ways


def bare_stub(address: str) -> Callable[[bytes], tuple[int, float, bytes]]:
    """What somebody writes who has only gRPC and the messages: one image in, digit, confidence and error out."""
    import grpc

    from batch.client import wire_pb2 as wire
    from exporter.contract import CONFIDENCE, DIGIT, ERROR, IMAGE_BYTES, MODEL_NAME, SIGNATURE

    string = 7  # DT_STRING
    predict = grpc.insecure_channel(address).unary_unary(
        _PREDICT,
        request_serializer=wire.PredictRequest.SerializeToString,
        response_deserializer=wire.PredictResponse.FromString,
    )

    def call(image: bytes) -> tuple[int, float, bytes]:
        request = wire.PredictRequest(output_filter=[DIGIT, CONFIDENCE, ERROR])
        request.model_spec.name, request.model_spec.signature_name = MODEL_NAME, SIGNATURE
        tensor = request.inputs[IMAGE_BYTES]
        tensor.dtype = string
        tensor.tensor_shape.dim.add().size = 1
        tensor.string_val.append(image)
        outputs = predict(request, timeout=RPC_SECONDS).outputs
        return outputs[DIGIT].int64_val[0], outputs[CONFIDENCE].float_val[0], outputs[ERROR].string_val[0]

    return call


async def ask(address: str, requests: list[bytes], callers: int, size: int, seconds: float) -> Figures:
    """Let so many callers send requests for so long, each the next when it has its answer."""
    import grpc

    from batch.client import wire_pb2 as wire
    from exporter.contract import DIGIT

    latencies: list[float] = []
    async with grpc.aio.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        predict = channel.unary_unary(_PREDICT, bytes, bytes)
        # Connecting, once for all callers, belongs to no figure.
        await asyncio.gather(*(predict(requests[0], timeout=RPC_SECONDS) for _ in range(callers)))
        begin, cpu = time.perf_counter(), time.process_time()

        async def caller(number: int) -> None:
            for _ in count():
                start = time.perf_counter()
                if start > begin + seconds:
                    break
                number = (number + callers) % len(requests)
                answer = await predict(requests[number], timeout=RPC_SECONDS)
                latencies.append(time.perf_counter() - start)
            if len(wire.PredictResponse.FromString(answer).outputs[DIGIT].int64_val) != size:
                raise RuntimeError("not every image was answered")

        await asyncio.gather(*(caller(number) for number in range(callers)))
        seconds = time.perf_counter() - begin
    return Figures(len(latencies) * size, seconds, latencies, time.process_time() - cpu)


def percentile(values: list[float], share: float) -> float:
    """The smallest value that so great a share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


if __name__ == "__main__":
    # What gRPC says of a server that is gone, the benchmark says in one line.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    main()
