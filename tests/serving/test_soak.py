"""The server under load for long: versions that come and go every second, and memory that stays what it is."""

import asyncio
import itertools
import re
import shutil
import statistics
import threading
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from batch.client import wire_pb2 as wire
from batch.client.tensors import Target, predict_request
from exporter.contract import DIGIT, IMAGE_BYTES, MODEL_NAME, SIGNATURE
from tests import small_model
from tests.serving.lifecycle.test_versions import eventually

if TYPE_CHECKING:
    from tests.serving.conftest import Publish, Server, Start

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "serving" / "models" / MODEL_NAME / "1"
BATCHING = ROOT / "serving" / "batching.config"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
SAMPLES = [path.read_bytes() for path in sorted((ROOT / "samples").glob("?/*.png"))]


def request(images: Sequence[bytes], name: str = MODEL_NAME) -> bytes:
    return predict_request(Target(name, SIGNATURE), IMAGE_BYTES, images, []).SerializeToString()


class Load(threading.Thread):
    """Callers of a server, each of which sends its next request when it has its answer."""

    def __init__(self, address: str, *, single: int, large: int = 0, spoiled: int = 0) -> None:
        """So many callers send one sample at a time; 512 samples; what fails or is given up."""
        super().__init__(daemon=True)
        self._address = address
        self._callers = single, large, spoiled
        self._end = threading.Event()
        self.answered = 0
        self.versions: list[list[int]] = []
        """Of each caller of one sample: the versions that answered, one after the other, without repetitions."""
        self.failures: list[str] = []
        self.start()

    def stop(self) -> None:
        """Let each caller get its last answer."""
        self._end.set()
        self.join()

    def run(self) -> None:
        """Send requests until `stop`."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        single, large, spoiled = self._callers
        options = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(self._address, options) as channel:
            call = channel.unary_unary(PREDICT, bytes, wire.PredictResponse.FromString)
            callers: list[Coroutine[Any, Any, None]] = [self._single(call, number) for number in range(single)]
            callers += [self._large(call) for _ in range(large)]
            callers += [self._spoiled(call, number) for number in range(spoiled)]
            await asyncio.gather(*callers)

    async def _single(self, call: Any, number: int) -> None:  # noqa: ANN401 - grpc's multicallables have no common type
        seen: list[int] = []
        self.versions.append(seen)
        for sample in itertools.cycle(SAMPLES[number % len(SAMPLES) :] + SAMPLES[: number % len(SAMPLES)]):
            if self._end.is_set():
                return
            try:
                answer = await call(request([sample]), timeout=60)
            except grpc.RpcError as error:
                self.failures.append(str(error))
                continue
            self.answered += 1
            if len(answer.outputs[DIGIT].int64_val) != 1:
                self.failures.append(f"not one digit: {answer}")
            version = answer.model_spec.version.value
            if seen[-1:] != [version]:
                seen.append(version)

    async def _large(self, call: Any) -> None:  # noqa: ANN401 - the same
        message = request((SAMPLES * (512 // len(SAMPLES) + 1))[:512])
        while not self._end.is_set():
            answer = await call(message, timeout=60)
            if len(answer.outputs[DIGIT].int64_val) != 512:
                self.failures.append("not 512 digits")

    async def _spoiled(self, call: Any, number: int) -> None:  # noqa: ANN401 - the same
        """Unknown models, requests that are given up, images that are none."""
        for name, images, timeout in itertools.cycle(
            (("nobody", SAMPLES[:1], 10.0), (MODEL_NAME, SAMPLES[:9], 0.002 * number), (MODEL_NAME, [b"none"], 10.0))
        ):
            if self._end.is_set():
                return
            try:
                await call(request(images, name), timeout=timeout)
            except grpc.RpcError:
                await asyncio.sleep(0.02)


def address_of(server: "Server") -> str:
    return next(line for line in server.log if "gRPC on" in line).rpartition(" ")[2]


def start_digits(start: "Start", base_path: Path) -> "Server":
    flags = f"--model_name={MODEL_NAME}", "--enable_batching", f"--batching_parameters_file={BATCHING}"
    return start(base_path, *flags)


@pytest.mark.parametrize(
    ("model", "seconds"), [("small", 5), pytest.param("shipped", 60, marks=pytest.mark.soak)], ids=["small", "shipped"]
)
def test_a_version_every_second(tmp_path: Path, start: "Start", publish: "Publish", model: str, seconds: int) -> None:
    """Whoever publishes a version every second fails no request, and each is answered by a version that serves."""
    base_path = tmp_path / "base"
    source = SHIPPED
    if model == "small":
        source = tmp_path / "small"
        small_model.write(str(source))
    publish(source, base_path, 1)
    server = start_digits(start, base_path)
    load = Load(address_of(server), single=16, large=1)
    begin = time.monotonic()
    for version in range(2, seconds + 2):
        time.sleep(max(0.0, begin + version - 1 - time.monotonic()))
        publish(source, base_path, version)
        # One that serves, or will, must not lack its files while it loads.
        for old in range(1, max(available(server)[:-1], default=0) + 1):
            shutil.rmtree(base_path / str(old), ignore_errors=True)
    # The load takes most of the processor from the one that loads.
    server.wait_for(f"version {version} AVAILABLE", seconds=300)
    eventually(lambda: all(seen[-1:] == [version] for seen in load.versions))
    load.stop()
    assert load.failures == []
    assert load.answered > 0
    for seen in load.versions:
        assert seen == sorted(seen)
        assert set(seen) <= set(available(server))
        assert seen[-1] == version
    eventually(lambda: serving(server) == [version])


def serving(server: "Server") -> list[int]:
    """The versions that serve now."""
    return [version for version, (state, _) in server.states(MODEL_NAME).items() if state == "AVAILABLE"]


def available(server: "Server") -> list[int]:
    """The versions that the log says have come to serve, in that order."""
    return [int(match[1]) for line in server.log if (match := re.search(r"version (\d+) AVAILABLE", line))]


@pytest.mark.soak
def test_memory_at_full_load(tmp_path: Path, start: "Start", publish: "Publish") -> None:
    """After ten minutes of requests of all kinds the server needs no more memory than after the first, within 5 %."""
    publish(SHIPPED, tmp_path / "base", 1)
    server = start_digits(start, tmp_path / "base")
    load = Load(address_of(server), single=48, large=2, spoiled=4)
    resident: list[float] = []
    for _ in range(60):
        time.sleep(10)
        resident.append(resident_megabytes(server.process.pid))
    load.stop()
    assert load.failures == []
    first, last = statistics.median(resident[5:8]), statistics.median(resident[-3:])
    assert last <= 1.05 * first, f"{resident}"


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
