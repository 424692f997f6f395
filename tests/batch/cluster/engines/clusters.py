"""Clusters of separate processes on this machine's loopback interface, whose workers can be killed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.batch.support import wait_for

LOOPBACK = "127.0.0.1"

# A JVM of these tests does little: what costs time is its start.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

# Of workers that die over a task, before Dask gives it up.
_FEW_FAILURES = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


class Daemon:
    """A process with all processes below it, up to a text in its log.

    Args:
        command: the command line.
        log: the file for its output.
        ready: what it logs when it is ready.
        folder: where it runs.
        environment: variables besides those of this process.
    """

    def __init__(self, command: list[str], log: Path, ready: str, folder: Path, environment: dict[str, str]) -> None:
        with log.open("w") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env=os.environ | environment, stdout=output, stderr=output, start_new_session=True
            )
        try:
            wait_for(lambda: ready in log.read_text() or self._process.poll() is not None)
            assert self._process.poll() is None, log.read_text()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL it and what it has started, as when a machine goes down."""
        # Stopped first, so that it starts nothing any more.
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGSTOP)
        for process in (*_below(self._process.pid), self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()


def _below(process: int) -> list[int]:
    """All processes that a process has started, and those that these have started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = []
    waiting = [process]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


class Cluster(ABC):
    """A cluster with two workers, for one shard at a time each.

    Attributes:
        arguments: with which `digits-job run` uses it.
        environment: of that command.
        head: the scheduler, or the master.
        workers: running; those that are killed are taken out of the list.
    """

    head: Daemon

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arguments: list[str] = []
        self.environment: dict[str, str] = {}
        self.workers: list[Daemon] = []
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in (*self.workers, self.head):
            daemon.kill()

    def fill(self) -> None:
        """Start workers until there are two."""
        while len(self.workers) < 2:
            self.start_worker()

    def start_worker(self, **environment: str) -> Daemon:
        """Start a worker."""
        self._started += 1
        worker = self._start(f"worker{self._started}", environment)
        self.workers.append(worker)
        return worker

    def kill(self, worker: Daemon) -> None:
        """End a worker, and all that it has started."""
        self.workers.remove(worker)
        worker.kill()

    @abstractmethod
    def _start(self, name: str, environment: dict[str, str]) -> Daemon: ...


class DaskCluster(Cluster):
    """A scheduler of Dask, and workers with their nannies."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        address = f"tcp://{LOOPBACK}:{free_port()}"
        self.arguments = ["--engine", "dask", "--scheduler", address]
        options = ["--host", LOOPBACK, "--port", address.rpartition(":")[2], "--dashboard-address", f"{LOOPBACK}:0"]
        self.head = Daemon(
            self._dask("scheduler", *options), folder / "scheduler.log", "Scheduler at:", folder, _FEW_FAILURES
        )

    def _start(self, name: str, environment: dict[str, str]) -> Daemon:
        folder = self.folder / name
        folder.mkdir()
        options = ["--host", LOOPBACK, "--nthreads", "1", "--dashboard-address", f"{LOOPBACK}:0"]
        command = self._dask("worker", self.arguments[-1], *options, "--local-directory", str(folder))
        return Daemon(command, self.folder / f"{name}.log", "Registered to:", folder, environment)

    @staticmethod
    def _dask(*arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "dask", *arguments]


class SparkCluster(Cluster):
    """A standalone master of Spark, and workers of one core."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        assert shutil.which("java"), "Spark needs a Java runtime: install Debian's openjdk-17-jre-headless"
        import pyspark  # noqa: PLC0415 - slow

        self._home = Path(pyspark.__file__).parent
        self.environment = {
            "SPARK_LOCAL_IP": LOOPBACK,
            "JDK_JAVA_OPTIONS": _JAVA_OPTIONS,
            "PYSPARK_SUBMIT_ARGS": "--conf spark.ui.enabled=false --conf spark.executor.memory=512m pyspark-shell",
        }
        port = str(free_port())
        self.arguments = ["--engine", "spark", "--master", f"spark://{LOOPBACK}:{port}"]
        options = ["--host", LOOPBACK, "--port", port, "--webui-port", "0"]
        command = self._spark("master.Master", *options)
        ready = "I have been elected leader"
        self.head = Daemon(command, folder / "master.log", ready, folder, self.environment)

    def _start(self, name: str, environment: dict[str, str]) -> Daemon:
        options = ["--host", LOOPBACK, "--webui-port", "0", "--cores", "1", "--memory", "1g"]
        command = self._spark("worker.Worker", *options, "--work-dir", str(self.folder / name), self.arguments[-1])
        log = self.folder / f"{name}.log"
        return Daemon(command, log, "Successfully registered with master", self.folder, self.environment | environment)

    def submit(self, *arguments: str) -> list[str]:
        """A command line of spark-submit for this cluster."""
        conf = ["--conf", "spark.ui.enabled=false", "--conf", "spark.executor.memory=512m"]
        return [str(self._home / "bin" / "spark-submit"), "--master", self.arguments[-1], *conf, *arguments]

    def _spark(self, daemon: str, *arguments: str) -> list[str]:
        return [str(self._home / "bin" / "spark-class"), f"org.apache.spark.deploy.{daemon}", *arguments]
