"""What the hard tests share: commands as processes that can be killed, a network that fails, and tables read back."""

import csv
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV table, names with their bytes."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def wait_for(condition: Callable[[], bool], *, seconds: float = 120.0, every: float = 0.01) -> None:
    """Wait until something is so, looking every so many seconds; fail if it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(every)


def write_scans(folder: Path, pngs: Sequence[bytes], count: int) -> list[str]:
    """Write `count` files of these contents in turn; returns their paths, as a walk from beside `folder` names them."""
    folder.mkdir(parents=True)
    names = [f"{number:05}.png" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(pngs[number % len(pngs)])
    return [f"{folder.name}/{name}" for name in names]


def publish(source: Path, base_path: Path, version: int) -> None:
    """Copy a SavedModel to base_path/version, whole from the first moment."""
    base_path.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, base_path / "copying")
    (base_path / "copying").rename(base_path / str(version))


class Client:
    """digits-batch at work, in a folder of its own; it does not outlive the context.

    Args:
        folder: where it runs.
        out: the name of the table in it.
        arguments: of the command, besides --out.
    """

    def __init__(self, folder: Path, out: str, arguments: Iterable[str]) -> None:
        self.journal = folder / f"{out}.part"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "batch.cli", *arguments, "--out", out],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def answered(self) -> int:
        """How many requests are written down."""
        if not self.journal.exists():
            return 0
        return max(0, self.journal.read_bytes().count(b"\n") - 2)  # the holder and the header

    def wait_for_answers(self, count: int) -> None:
        """Wait until that many requests are written down, by this run and those before it."""
        wait_for(lambda: self.answered() >= count or self._process.poll() is not None, every=0.002)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; it must not have ended by itself."""
        self._process.kill()
        said = self._process.communicate(timeout=60)
        assert self._process.returncode == -signal.SIGKILL, said

    def finish(self) -> "subprocess.CompletedProcess[str]":
        """Wait until it ends."""
        out, err = self._process.communicate(timeout=300)
        return subprocess.CompletedProcess(self._process.args, self._process.returncode, out, err)


class ServerProcess:
    """digits-serve on a Unix socket, up to its first AVAILABLE; it does not outlive the context.

    Args:
        folder: for its socket and its log.
        flags: of the command, besides where it listens.
    """

    def __init__(self, folder: Path, *flags: str) -> None:
        self.address = f"unix:{folder}/own.sock"
        self._log = folder / "serve.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "serving.cli",
                    "--port=0",
                    f"--grpc_socket_path={folder}/own.sock",
                    *flags,
                ],
                stderr=log,
            )
        wait_for(lambda: self.says("gRPC on") or self._process.poll() is not None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def says(self, text: str) -> bool:
        """Whether its log has a text."""
        return text in self._log.read_text()

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        self._process.kill()
        self._process.wait()


class CuttingProxy:
    """A TCP proxy in front of a port of this machine that cuts connections after so many bytes, in either direction.

    Args:
        port: where it forwards to.
        lifetimes: for each connection in turn, how many bytes it lives; the last holds for all others.
    """

    def __init__(self, port: int, lifetimes: Sequence[int]) -> None:
        self.cuts = 0
        self._port = port
        self._lifetimes = deque(lifetimes)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        # Only a shutdown wakes the thread that waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            lifetime = self._lifetimes.popleft() if len(self._lifetimes) > 1 else self._lifetimes[0]
            threading.Thread(target=self._forward, args=(near, lifetime), daemon=True).start()

    def _forward(self, near: socket.socket, lifetime: int) -> None:
        # Either end may hang up at any time, and the server may be gone before its clients are.
        with suppress(OSError), near, socket.create_connection(("127.0.0.1", self._port)) as far:
            other = {near: far, far: near}
            while lifetime > 0:
                for source in select.select([near, far], [], [])[0]:
                    octets = source.recv(min(lifetime, 4096))
                    if not octets:
                        return
                    other[source].sendall(octets)
                    lifetime -= len(octets)
                    if lifetime <= 0:
                        break
            self.cuts += 1
            # Every other cut is a reset, as when a machine goes down; the rest are in good order.
            if self.cuts % 2:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
