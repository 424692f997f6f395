"""Jobs while what they need goes away: the model server is killed, the object store does not answer."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.batch.archives.support import digits, tar_of
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.conftest import bucket, environment, s3_endpoint
from tests.batch.stores.support import RESET, Bucket, FaultyProxy

pytestmark = pytest.mark.clusters

__all__ = ["bucket", "environment", "s3_endpoint"]

SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 11))]
JOB = [sys.executable, "-P", "-m", "batch.cluster.cli"]


def _run(*command: str | Path, **variables: str) -> None:
    done = subprocess.run(
        [*JOB, *map(str, command)], env=os.environ | variables, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr


def _parts(job: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (job / "parts").iterdir()}


def _serve(socket: Path) -> "subprocess.Popen[str]":
    """Start a built-in server with the included model, and wait until it listens."""
    command = [sys.executable, "-P", "-m", "serving.cli", "--port=0", f"--grpc_socket_path={socket}"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    while "gRPC on" not in server.stderr.readline():
        assert server.poll() is None
    return server


@pytest.mark.parametrize("seed", SEEDS)
def test_the_model_server_is_killed(tmp_path: Path, mnist_pngs: list[bytes], seed: int) -> None:
    """A server that gets SIGKILL at any moment and is started again costs time; the parts are the same bytes."""
    scans, path = tmp_path / "scans", tmp_path / "s"
    scans.mkdir()
    for number in range(3000):
        (scans / f"{number:05}.png").write_bytes(mnist_pngs[number % len(mnist_pngs)])
    server = _serve(path)
    try:
        for name in ("undisturbed", "job"):
            _run("plan", tmp_path / name, scans, "--shard-files", "300", "--batch-size", "50", "--model-version", "1")
        _run("run", tmp_path / "undisturbed", "--workers", "2", "--server", f"unix:{path}")
        began = threading.Thread(
            target=_run, args=("run", tmp_path / "job", "--workers", "2", "--server", f"unix:{path}")
        )
        began.start()
        while not list((tmp_path / "job").glob("tmp/*")):
            time.sleep(0.01)
        time.sleep(random.Random(seed).uniform(0, 1))  # noqa: S311 - no secret
        server.send_signal(signal.SIGKILL)
        server.wait()
        server = _serve(path)
        began.join()
    finally:
        server.kill()
        server.wait()
    assert _parts(tmp_path / "job") == _parts(tmp_path / "undisturbed")
    assert len(list((tmp_path / "job" / "done").iterdir())) == 10


@pytest.mark.parametrize("seed", SEEDS)
def test_the_object_store_is_away(tmp_path: Path, bucket: Bucket, scripted: ScriptedServer, seed: int) -> None:
    """A store that answers nobody for a while costs time; the table is the same bytes, and no row says so."""
    bucket.put_numbered("scans/", 120)
    for number in range(4):
        bucket.put(f"scans/more-{number}.tar", tar_of(digits(300)))
    paths = [f"{bucket.url}/scans", "--glob", "*.png", "--glob", "*.tar"]
    options = ["--shard-files", "60", "--batch-size", "20", "--model-version", "1"]
    # A request takes a while, so that the outage is in the middle.
    scripted.script = lambda _number, _request, _context: time.sleep(0.05)
    is_away = threading.Event()
    with FaultyProxy(bucket.endpoint, lambda *_: RESET if is_away.is_set() else None) as proxy:
        environment = bucket.environment(proxy.endpoint)

        def begin_outage() -> None:
            before = len(proxy.requests)
            while len(proxy.requests) < before + 40:
                time.sleep(0.01)
            time.sleep(random.Random(seed).uniform(0, 1))  # noqa: S311 - no secret
            is_away.set()
            time.sleep(3 if seed == 1 else 10)
            is_away.clear()

        for name in ("undisturbed", "disturbed"):
            job = f"{bucket.url}/{name}"
            _run("plan", job, *paths, *options, **environment)
            outage = threading.Thread(target=begin_outage)
            if name == "disturbed":
                outage.start()
            _run("run", job, "--workers", "2", "--server", scripted.address, **environment)
            if name == "disturbed":
                outage.join()
            _run("finish", job, "--out", tmp_path / f"{name}.csv", **environment)
    table = (tmp_path / "disturbed.csv").read_bytes()
    assert table == (tmp_path / "undisturbed.csv").read_bytes()
    assert table.count(b"\n") == 1 + 120 + 4 * 300
