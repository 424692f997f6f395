"""The processes that `throughput.py` runs: the built-in server, and one for each way. Linux only, for /proc."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import Measurer, cpu_seconds
from benchmarks.throughput_ways import Figures, Task
from exporter.command import UserError

START_SECONDS = 120.0
_READY = "gRPC on"
"""What the built-in server says once it has the model."""


class Server(NamedTuple):
    """Where RPCs go."""

    address: str
    process: int | None = None
    """Its id, if it was started here."""

    def cpu_seconds(self) -> float | None:
        """CPU time of all its threads until now; None if it is not ours."""
        if self.process is None:
            return None
        return cpu_seconds(self.process)


@contextmanager
def built_in_server(folder: Path, model: str, model_base_path: Path, flags: Sequence[str] = ()) -> Iterator[Server]:
    """The built-in server, with further flags, on a socket below `folder`, once it has the model.

    Raises:
        UserError: it ended, or did not get the model in time.
    """
    # A folder of its own, because the server removes it in the end.
    socket = folder / "server" / "grpc.sock"
    socket.parent.mkdir()
    log = folder / "server.log"
    command = [sys.executable, "-P", "-m", "serving.cli", "--port=0", f"--grpc_socket_path={socket}"]
    command += [f"--model_base_path={model_base_path}", f"--model_name={model}", "--exit_on_stdin_eof", *flags]
    with log.open("wb") as file:
        # It ends with the pipe, however this process ends.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=file, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while _READY not in (said := log.read_text(encoding="utf-8", errors="replace")):
            if process.poll() is not None or time.monotonic() > deadline:
                raise UserError(f"the built-in server does not serve {model_base_path}: {said.strip()}")
            time.sleep(0.1)
        yield Server(f"unix:{socket}", process.pid)
    finally:
        process.communicate()


class Worker(Measurer):
    """A process that measures one way, ready when it is entered."""

    def __init__(self, way: str, folder: Path, task: Task) -> None:
        self.way = way
        program = Path(__file__).resolve().with_name("throughput_ways.py")
        super().__init__(way, [sys.executable, "-P", str(program), way, *task], folder)

    def __exit__(self, *_: object) -> None:
        # With the digits-batch that it may be running; gone already if it ended by itself.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        super().__exit__()

    def measure(self) -> Figures:
        """One round. Raises UserError if the process ends over it."""
        return Figures(**self.ask())
