"""Jobs on real clusters, parts of which are killed: one row for each file, and the bytes of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
import trustme

from batch.client import wire_pb2 as wire
from tests.batch.cluster.engines.clusters import LOOPBACK, Cluster, DaskCluster, SparkCluster
from tests.batch.cluster.support import BATCH, plan, write_files
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows, wait_for
from tests.conftest import ROOT, interruptible

FILES = 200
SHARD_FILES = 20
REQUESTS = FILES // BATCH


@pytest.fixture(params=[DaskCluster, SparkCluster], ids=["dask", "spark"], scope="module")
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of each kind, for all tests of this file."""
    with request.param(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(started: Cluster) -> Cluster:
    """It, with two workers."""
    started.fill()
    return started


@pytest.fixture
def served() -> Iterator[ScriptedServer]:
    """A scripted server on a port."""
    server = ScriptedServer(f"{LOOPBACK}:0")
    server.address = f"{LOOPBACK}:{server.port}"
    yield server
    server.stop()


class Gate:
    """Holds back all requests of a server after the first so many, until it is opened."""

    def __init__(self, server: ScriptedServer, opens_at: int) -> None:
        self._server = server
        self._wanted = opens_at
        self._is_open = threading.Event()
        server.calls = 0
        server.script = self._hold

    def _hold(self, number: int, _request: wire.PredictRequest, _context: object) -> None:
        if number >= self._wanted:
            self._is_open.wait(60)

    def wait(self, process: "subprocess.Popen[str]") -> None:
        """Wait until there are so many requests and one more."""
        wait_for(lambda: self._server.calls > self._wanted or process.poll() is not None)
        assert process.poll() is None, process.communicate()

    def open(self) -> None:
        """Let all requests pass."""
        self._is_open.set()


class Jobs:
    """A folder with scans, and jobs that are planned for them."""

    def __init__(self, folder: Path, server: ScriptedServer) -> None:
        self.folder = folder
        self.server = server
        self._scans = write_files(folder / "scans", FILES)

    def plan(self, name: str) -> None:
        """Plan a job."""
        plan(self.folder / name, self._scans, shard_files=SHARD_FILES)

    def start(self, name: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Start to answer a job."""
        server = () if "--server" in arguments else ("--server", self.server.address)
        return self._command("run", name, *server, *arguments, **environment)

    def run(self, name: str, *arguments: str, **environment: str) -> str:
        """Answer a job to its end; returns what was said."""
        process = self.start(name, *arguments, **environment)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, out + err
        return err

    def table(self, name: str) -> dict[str, bytes]:
        """The parts of a finished job, of which each file has a row."""
        for out in (f"{name}-parts/", f"{name}.csv"):
            process = self._command("finish", name, "--out", out, "--force")
            assert process.wait(60) == 0, process.communicate()
        rows = [row["path"] for row in read_rows(self.folder / f"{name}.csv")]
        assert rows == [str(path) for path in sorted(self._scans.iterdir())]
        return {path.name: path.read_bytes() for path in (self.folder / f"{name}-parts").glob("*.csv")}

    def _command(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "batch.cluster.cli", *arguments],
            cwd=self.folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def jobs(tmp_path: Path, served: ScriptedServer) -> Jobs:
    """Jobs, of which one is answered by this machine alone."""
    jobs = Jobs(tmp_path, served)
    jobs.plan("local")
    jobs.run("local", "--engine", "local", "--workers", "2")
    return jobs


@pytest.mark.clusters
def test_a_cluster_answers_as_one_machine_does(cluster: Cluster, jobs: Jobs) -> None:
    """The parts are byte-identical to those of the local engine, and there is nothing left to do after that."""
    jobs.plan("job")
    said = jobs.run("job", *cluster.arguments, **cluster.environment)
    assert f"done: {FILES // SHARD_FILES} shards; next" in said
    assert jobs.table("job") == jobs.table("local")
    if isinstance(cluster, SparkCluster):
        _submit(cluster, jobs)
    # No cluster is needed to find that out.
    nowhere = [argument.replace(LOOPBACK, "127.0.0.77") for argument in cluster.arguments]
    assert "done: " in jobs.run("job", *nowhere, **cluster.environment)


def _submit(cluster: SparkCluster, jobs: Jobs) -> None:
    """Have spark-submit run a job, which names the master then."""
    jobs.plan("submitted")
    script = str(ROOT / "examples" / "cluster" / "spark_submit.py")
    command = cluster.submit(script, "run", "submitted", "--engine", "spark", "--server", jobs.server.address)
    variables = os.environ | cluster.environment | {"PYSPARK_PYTHON": sys.executable}
    del variables["PYSPARK_SUBMIT_ARGS"]
    submitted = subprocess.run(
        command, cwd=jobs.folder, env=variables, capture_output=True, text=True, check=False, timeout=240
    )
    assert submitted.returncode == 0, submitted.stderr
    assert jobs.table("submitted") == jobs.table("local")


def _lose_a_worker(cluster: Cluster, jobs: Jobs, served: ScriptedServer, moment: int) -> None:
    """Run a job to its end, though a worker is killed after so many requests."""
    jobs.plan("job")
    gate = Gate(served, moment)
    process = jobs.start("job", *cluster.arguments, **cluster.environment)
    gate.wait(process)
    cluster.kill(random.choice(cluster.workers))  # noqa: S311 - no secret
    gate.open()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert jobs.table("job") == jobs.table("local")


def _lose_the_driver(cluster: Cluster, jobs: Jobs, served: ScriptedServer, moment: int) -> None:
    """Run a job, kill the command after so many requests, and repeat it."""
    jobs.plan("job")
    _end_early(cluster, jobs, served, moment, signal.SIGKILL)
    jobs.run("job", *cluster.arguments, **cluster.environment)
    assert jobs.table("job") == jobs.table("local")


def _end_early(cluster: Cluster, jobs: Jobs, served: ScriptedServer, moment: int, number: signal.Signals) -> str:
    """Send a signal to the command after so many requests; returns what it said."""
    gate = Gate(served, moment)
    with interruptible():
        process = jobs.start("job", *cluster.arguments, **cluster.environment)
    gate.wait(process)
    process.send_signal(number)
    gate.open()
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number), err
    return err


@pytest.mark.clusters
def test_a_worker_is_killed(cluster: Cluster, jobs: Jobs, served: ScriptedServer) -> None:
    """The shards that a worker, or a node with all its executors, had under way are answered by the other."""
    _lose_a_worker(cluster, jobs, served, REQUESTS // 3)


@pytest.mark.clusters
def test_the_driver_is_killed(cluster: Cluster, jobs: Jobs, served: ScriptedServer) -> None:
    """What is done stays done, and the same command does the rest; likewise after Ctrl-C."""
    jobs.plan("job")
    said = _end_early(cluster, jobs, served, REQUESTS // 4, signal.SIGINT)
    assert "interrupted; repeat the command to go on" in said
    assert "Traceback" not in said
    _end_early(cluster, jobs, served, REQUESTS // 4, signal.SIGKILL)
    jobs.run("job", *cluster.arguments, **cluster.environment)
    assert jobs.table("job") == jobs.table("local")


@pytest.mark.clusters
def test_a_cluster_without_workers(started: Cluster, jobs: Jobs) -> None:
    """The command says what it waits for, and goes on with the first worker."""
    for worker in [*started.workers]:
        started.kill(worker)
    jobs.plan("job")
    process = jobs.start("job", *started.arguments, **started.environment)
    assert process.stderr is not None
    said = next(line for line in process.stderr if "waiting for one" in line)
    assert started.arguments[-1] in said
    started.start_worker()
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert jobs.table("job") == jobs.table("local")


@pytest.mark.clusters
def test_a_worker_on_which_shards_fail(started: Cluster, jobs: Jobs, tmp_path: Path) -> None:
    """Shards that fail on a worker which does not trust the server are answered by the other one."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost")
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
    server = ScriptedServer("localhost:0", credentials)
    for worker in [*started.workers]:
        started.kill(worker)
    started.start_worker()
    knowing = started.start_worker(GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(tmp_path / "ca.pem"))
    try:
        jobs.plan("job")
        options = ("--server", f"localhost:{server.port}", "--tls", "--timeout", "1", "--attempts", "2")
        said = jobs.run("job", *options, *started.arguments, **started.environment)
    finally:
        started.kill(knowing)
        server.stop()
    assert "will be tried again" in said
    assert jobs.table("job") == jobs.table("local")


@pytest.mark.clusters
def test_shards_that_always_fail(cluster: Cluster, jobs: Jobs, served: ScriptedServer) -> None:
    """One that fails, and one that kills its worker, are reported; the others are answered."""
    fails, kills = (b"png" + bytes([number]) for number in (47, 147))  # in the shards 2 and 7
    jobs.plan("job")

    def script(_number: int, request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        if fails in request.inputs["image_bytes"].string_val:
            raise OSError("a bug in the server")
        if kills in request.inputs["image_bytes"].string_val:
            port = int(context.peer().rpartition(":")[2])
            callers = (one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port)
            os.kill(next(caller for caller in callers if caller), signal.SIGKILL)

    served.script = script
    process = jobs.start("job", *cluster.arguments, "--attempts", "2", "--timeout", "5", **cluster.environment)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 3, out + err
    assert "shard 2 will be tried again: " in err
    assert "shard 2 failed: " in err
    assert "shard 7 failed: " in err
    assert "not answered: 2 shards of job; repeat the command to go on" in err
    assert "Traceback" not in err
    served.script = lambda *_: None
    jobs.run("job", *cluster.arguments, **cluster.environment)
    assert jobs.table("job") == jobs.table("local")


@pytest.mark.clusters
@pytest.mark.parametrize(("kind", "code"), [(DaskCluster, 3), (SparkCluster, 0)], ids=["dask", "spark"])
def test_the_head_is_killed(kind: type[Cluster], code: int, jobs: Jobs, served: ScriptedServer, tmp_path: Path) -> None:
    """Without its scheduler a run on Dask ends, and may go on elsewhere; one on Spark does without its master."""
    jobs.plan("job")
    (tmp_path / "cluster").mkdir()
    with kind(tmp_path / "cluster") as cluster:
        cluster.fill()
        gate = Gate(served, REQUESTS // 3)
        process = jobs.start("job", *cluster.arguments, **cluster.environment)
        gate.wait(process)
        cluster.head.kill()
        gate.open()
        _, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    assert "Traceback" not in err
    if code:
        assert f"the Dask scheduler at {cluster.arguments[-1]} has gone; repeat the command to go on" in err
    jobs.run("job", "--engine", "local", "--workers", "2")
    assert jobs.table("job") == jobs.table("local")


@pytest.mark.soak
@pytest.mark.parametrize("turn", range(10))
@pytest.mark.parametrize("lose", [_lose_a_worker, _lose_the_driver])
def test_kills_at_random_moments(cluster: Cluster, jobs: Jobs, served: ScriptedServer, lose: object, turn: int) -> None:
    """Whatever is killed, and whenever: one row for each file, and the same bytes."""
    assert callable(lose)
    lose(cluster, jobs, served, random.Random(turn).randrange(1, REQUESTS - 8))  # noqa: S311 - no secret
