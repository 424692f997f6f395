"""Servers that fail at random, connections that are cut, and foreign servers that refuse whole requests."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.client import wire_pb2 as wire
from batch.files.walk import Walk
from batch.job import Job, run_job
from exporter.contract import REFUSED
from tests.batch.conftest import ScriptedServer
from tests.batch.support import CuttingProxy, read_rows
from tests.conftest import RunBatch

_CODES = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.CANCELLED,
)
_FILES = 300
_BAD = b"bad"
"""How the images begin that a foreign server fails at."""


@pytest.fixture
def on_tcp() -> Iterator[ScriptedServer]:
    """A scripted server on a TCP port."""
    server = ScriptedServer("127.0.0.1:0")
    yield server
    server.stop()


@pytest.fixture
def scans(tmp_path: Path) -> list[int]:
    """Files in folder scans, each of a random byte, and the digits that are to be read from them."""
    octets = np.random.default_rng(2).integers(0, 256, _FILES).tolist()
    (tmp_path / "scans").mkdir()
    for number, octet in enumerate(octets):
        (tmp_path / "scans" / f"{number:03}.png").write_bytes(bytes([octet]))
    return [octet % 10 for octet in octets]


def _job(folder: Path, *servers: str, **options: Any) -> Job:  # noqa: ANN401 - Job's own fields
    usual = {"batch_size": 4, "timeout": 60.0}
    return Job(Walk((str(folder / "scans"),)), folder / "out.csv", servers, **usual | options)


def _assert_rows(job: Job, digits: list[int]) -> None:
    """Each file has its one row, in order, rightly answered."""
    names = [f"{job.out.parent}/scans/{number:03}.png" for number in range(len(digits))]
    expected = [(name, str(digit), "0.5000", "", "1") for name, digit in zip(names, digits, strict=True)]
    assert [tuple(row.values()) for row in read_rows(job.out)] == expected


def _fail_at_random(seed: int) -> Any:  # noqa: ANN401 - a script
    """A script that fails a third of the calls and is slow with a tenth."""

    def script(number: int, _request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        random = np.random.default_rng((seed, number))
        chance = random.random()
        if chance < 0.33:
            context.abort(_CODES[random.integers(len(_CODES))], "at random")
        if chance < 0.43:
            time.sleep(random.uniform(0.02, 0.2))

    return script


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 13))])
def test_servers_that_fail_at_random(tmp_path: Path, scans: list[int], seed: int) -> None:
    """Two replicas that answer with every fault that may pass, in any order: not a row is lost, doubled or wrong."""
    replicas = [ScriptedServer(f"unix:{tmp_path}/{name}.sock") for name in "ab"]
    for place, replica in enumerate(replicas):
        replica.script = _fail_at_random(2 * seed + place)
    try:
        job = _job(tmp_path, *(replica.address for replica in replicas))
        summary, _ = run_job(job)
    finally:
        for replica in replicas:
            replica.stop()
    _assert_rows(job, scans)
    assert summary.retries > 10
    assert sum(sum(replica.sizes) for replica in replicas) == _FILES + 4 * summary.retries


def _lifetimes(seed: int) -> list[int]:
    return [int(octets) for octets in np.random.default_rng(seed).integers(1, 2500, 15)]


@pytest.mark.parametrize(
    "lifetimes",
    [
        pytest.param([*range(1, 700, 40)], id="at the start"),
        pytest.param(_lifetimes(1), id="1"),
        *(pytest.param(_lifetimes(seed), id=str(seed), marks=pytest.mark.soak) for seed in range(2, 12)),
    ],
)
def test_connections_that_are_cut(
    tmp_path: Path, on_tcp: ScriptedServer, scans: list[int], lifetimes: list[int]
) -> None:
    """Between server and client the network cuts connections after any number of bytes: the same table comes."""
    proxy = CuttingProxy(on_tcp.port, [*lifetimes, 1 << 40])
    try:
        job = _job(tmp_path, proxy.address)
        run_job(job)
    finally:
        proxy.close()
    _assert_rows(job, scans)
    assert proxy.cuts > 5


def test_a_server_that_says_nothing(tmp_path: Path, scripted: ScriptedServer, scans: list[int]) -> None:
    """Requests that are never answered are sent again after half of --timeout."""
    silence = threading.Event()
    scripted.script = lambda number, _request, _context: silence.wait(60) if number in (5, 40) else None
    try:
        job = _job(tmp_path, scripted.address, timeout=2.0)
        summary, _ = run_job(job)
    finally:
        silence.set()
    _assert_rows(job, scans)
    assert summary.retries >= 2


def _is_bad(image: bytes) -> bool:
    return image.startswith(_BAD)


def _foreign(limit: int, seed: int | None = None) -> Any:  # noqa: ANN401 - a script
    """A server whose model fails a whole request for one image, and takes no more than `limit` of them.

    With a seed, it also fails at random in ways that may pass.
    """
    at_random = None if seed is None else _fail_at_random(seed)

    def script(number: int, request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        if at_random is not None:
            at_random(number, request, context)
        images = request.inputs["image_bytes"].string_val
        if len(images) > limit:
            text = f"Task size {len(images)} is larger than maximum input batch size {limit}"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        if any(_is_bad(image) for image in images):
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "Unknown image file format. One of JPEG, PNG, GIF required."
            )

    return script


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    images=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=40),
    batch_size=st.integers(1, 40),
    limit=st.integers(1, 40),
)
def test_foreign_servers_that_refuse_whole_requests(
    tmp_path_factory: pytest.TempPathFactory,
    scripted: ScriptedServer,
    images: list[tuple[bool, int]],
    batch_size: int,
    limit: int,
) -> None:
    """The images that the server fails at, and they alone, say so in their rows, whatever it takes at a time."""
    folder = tmp_path_factory.mktemp("job")
    _write(folder, images)
    scripted.script = _foreign(limit)
    job = _job(folder, scripted.address, batch_size=batch_size)
    summary, _ = run_job(job)
    _assert_refusals(job, images)
    assert summary.errors.total() == sum(is_bad for is_bad, _ in images)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 12))])
def test_a_foreign_server_that_fails_at_random_too(tmp_path: Path, scripted: ScriptedServer, seed: int) -> None:
    """Faults that may pass, in the midst of the search for bad images, make no row a refusal."""
    random = np.random.default_rng(seed)
    images = [(bool(random.random() < 0.1), int(random.integers(10))) for _ in range(32)]
    _write(tmp_path, images)
    scripted.script = _foreign(6, seed)
    job = _job(tmp_path, scripted.address, batch_size=16)
    run_job(job)
    _assert_refusals(job, images)


def test_a_server_that_refuses_everything(
    tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, scans: list[int]
) -> None:
    """A mistake in the request is no fault of 300 images: the run stops with the server's words, no image blamed."""
    scripted.script = _foreign(0)
    stopped = digits_batch("scans", "--out", "out.csv", "--server", scripted.address, "--batch-size", "64")
    assert stopped.returncode == 3
    assert "Task size 64 is larger than maximum input batch size 0 (INVALID_ARGUMENT)" in stopped.stderr
    # The five that were under way, and one that is beyond doubt.
    assert scripted.calls <= 5 + 1
    assert REFUSED not in (tmp_path / "out.csv.part").read_text()


def _write(folder: Path, images: list[tuple[bool, int]]) -> None:
    """Write a file for each: whether it is bad, and the digit that is to be read from it."""
    (folder / "scans").mkdir()
    for number, (is_bad, digit) in enumerate(images):
        (folder / "scans" / f"{number:03}.png").write_bytes(_BAD * is_bad + bytes([digit]))


def _assert_refusals(job: Job, images: list[tuple[bool, int]]) -> None:
    rows = [(row["digit"], row["error"]) for row in read_rows(job.out)]
    assert rows == [("-1", REFUSED) if is_bad else (str(digit), "") for is_bad, digit in images]
