"""Several servers that share the work, and how much of it is under way at a time."""

import csv
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from batch.client.endpoint import ServerError
from batch.client.window import Window
from batch.files.walk import Walk
from batch.job import Job, run_job
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Sixty files, each of one byte, its own number."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02}.png").write_bytes(bytes([number]))
    return folder


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[ScriptedServer]]:
    """Three scripted servers."""
    servers = [ScriptedServer(f"unix:{tmp_path}/{number}.sock") for number in range(3)]
    yield servers
    for server in servers:
        server.stop()


def _job(servers: list[str], scans: Path, **options: Any) -> Job:  # noqa: ANN401 - Job's own fields
    usual = {"batch_size": 4, "timeout": 20.0}
    return Job(Walk((str(scans),)), scans.parent / "out.csv", tuple(servers), **usual | options)


def _digits(job: Job) -> list[str]:
    with job.out.open(newline="") as file:
        return [row["digit"] for row in csv.DictReader(file)]


EXPECTED = [str(number % 10) for number in range(60)]


def test_replicas_share_the_work(replicas: list[ScriptedServer], scans: Path) -> None:
    """Requests go to each in turn, and the rows stay in order."""
    job = _job([server.address for server in replicas], scans)
    run_job(job)
    assert _digits(job) == EXPECTED
    assert [server.calls for server in replicas] == [5, 5, 5]


def test_a_replica_that_dies_is_done_without(replicas: list[ScriptedServer], scans: Path) -> None:
    """What it was asked goes to the others; nobody waits for it."""
    killed = threading.Event()

    def die(number: int, _request: object, _context: object) -> None:
        if number == 2 and not killed.is_set():
            killed.set()
            threading.Thread(target=replicas[0].stop).start()
            time.sleep(0.2)

    replicas[0].script = die
    job = _job([server.address for server in replicas], scans)
    summary, _ = run_job(job)
    assert killed.is_set()
    assert _digits(job) == EXPECTED
    assert summary.retries > 0


def test_a_replica_that_is_not_there_from_the_start(replicas: list[ScriptedServer], scans: Path) -> None:
    """The run begins with those that answer."""
    job = _job(["localhost:1", replicas[0].address], scans)
    run_job(job)
    assert _digits(job) == EXPECTED
    with pytest.raises(ServerError, match=r"localhost:1: it does not answer.*localhost:2: it does not answer"):
        run_job(_job(["localhost:1", "localhost:2"], scans, timeout=0.5, force=True))


def test_a_replica_without_the_model_is_a_mistake(replicas: list[ScriptedServer], scans: Path) -> None:
    """Its address is named before any image is sent."""
    from batch.client.tensors import Target  # noqa: PLC0415 - beside its one use

    with pytest.raises(UserError, match=r"2\.sock|1\.sock|0\.sock"):
        run_job(_job([server.address for server in replicas], scans, target=Target("cats", "serving_default")))
    assert sum(server.calls for server in replicas) == 0


def test_a_name_that_stands_for_several(scans: Path) -> None:
    """`dns:///` names are resolved by gRPC."""
    server = ScriptedServer("localhost:0")
    try:
        job = _job([f"dns:///localhost:{server.port}"], scans)
        run_job(job)
        assert _digits(job) == EXPECTED
    finally:
        server.stop()


def _refusals(scripted: ScriptedServer, job: Job) -> int:
    """How often a server that takes two requests at a time has to refuse one."""
    lock = threading.Lock()
    now: list[int] = []
    refused: list[int] = []

    def take_two(number: int, _request: object, context: grpc.ServicerContext) -> None:
        with lock:
            is_full = len(now) == 2
            (refused if is_full else now).append(number)
        if is_full:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
        time.sleep(0.02)
        with lock:
            now.remove(number)

    scripted.script = take_two
    run_job(job)
    assert _digits(job) == EXPECTED
    return len(refused)


@pytest.mark.parametrize("in_flight", [None, 8])
def test_an_overloaded_server_loses_no_row(scripted: ScriptedServer, scans: Path, in_flight: int | None) -> None:
    """RESOURCE_EXHAUSTED is waited out, whether the window may shrink or --in-flight pins it."""
    assert _refusals(scripted, _job([scripted.address], scans, batch_size=1, in_flight=in_flight)) > 0


def test_the_window_shrinks_once_for_what_was_under_way_and_recovers() -> None:
    """Four requests that fail together halve it once; answers bring it back, no further than it was."""
    window = Window(8, pinned=False)
    sent = time.monotonic()
    for _ in range(4):
        window.on_overload(sent)
    assert window.size == 4
    for _ in range(100):
        window.on_overload(time.monotonic())
    assert window.size == 1
    for _ in range(200):
        window.on_success()
    assert window.size == 8
    pinned = Window(8, pinned=True)
    pinned.on_overload(time.monotonic())
    assert pinned.size == 8
