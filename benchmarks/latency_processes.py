"""The processes that `latency.py` runs: servers and what measures, each with one checkout's code. Needs /proc."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from benchmarks.latency_ways import Figures
from benchmarks.processes import Measurer, cpu_seconds
from benchmarks.versions import find_versions
from exporter.command import UserError
from exporter.contract import MODEL_NAME

_READY = "AVAILABLE"


class Side(NamedTuple):
    """A checkout that is measured."""

    title: str
    folder: Path

    def version(self) -> str:
        """The newest version of its shipped model."""
        versions = find_versions(self.folder / "serving" / "models" / MODEL_NAME)
        return str(versions[max(versions)])

    def environment(self) -> dict[str, str]:
        """Of processes that run its code."""
        return {**os.environ, "PYTHONPATH": str(self.folder)}


class ServerProcess:
    """A built-in server that has its model."""

    def __init__(self, address: str, process: int, seconds_to_start: float) -> None:
        self.address = address
        self.seconds_to_start = seconds_to_start
        """From the start of the process until the model was AVAILABLE."""
        self._process = process

    def cpu_seconds(self) -> float:
        """CPU time of all its threads until now."""
        return cpu_seconds(self._process)

    def peak_bytes(self) -> int:
        """The most that it has had in memory."""
        status = Path(f"/proc/{self._process}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


# It ends with the pipe, however this process ends.
_SERVE = [sys.executable, "-P", "-m", "serving.cli", "--exit_on_stdin_eof"]


@contextmanager
def server_of(side: Side, folder: Path, *, batching: bool) -> Iterator[ServerProcess]:
    """The built-in server of a side, on a socket below `folder`, once it has its shipped model.

    Raises:
        UserError: it ended without.
    """
    # A folder of its own, because the server removes it in the end.
    socket = folder / f"server-{side.title}-{'batching' if batching else 'alone'}" / "grpc.sock"
    socket.parent.mkdir()
    command = [*_SERVE, "--port=0", f"--grpc_socket_path={socket}"]
    if batching:
        command += ["--enable_batching", f"--batching_parameters_file={side.folder / 'serving' / 'batching.config'}"]
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=side.environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _wait_until_available(process)
        yield ServerProcess(f"unix:{socket}", process.pid, time.perf_counter() - began)
    finally:
        process.communicate()


def _wait_until_available(process: "subprocess.Popen[str]") -> None:
    said = ""
    while _READY not in said:
        line = cast("IO[str]", process.stderr).readline()
        if not line:
            raise UserError(f"the built-in server ended: {said.strip()}")
        said += line


class Process(Measurer):
    """A process that measures, ready when it is entered."""

    def __init__(self, side: Side, folder: Path, role: str, where: str) -> None:
        self.role = role
        program = Path(__file__).resolve().with_name("latency_ways.py")
        super().__init__(role, [sys.executable, "-P", str(program), role, where], folder, side.environment())

    def measure(self, way: str, seconds: float) -> Figures:
        """One measurement. Raises UserError if the process ends over it."""
        return Figures(**self.ask(way, seconds))
