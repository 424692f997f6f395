"""A watcher as a process, and files that come to its folder."""

import os
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import pytest

from tests.batch.support import read_rows, wait_for


def drop(path: Path, content: bytes) -> Path:
    """Bring a whole file to its place by a rename, as careful senders do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}")
    hidden.write_bytes(content)
    return hidden.rename(path)


def paths_in(*tables: Path) -> Counter[str]:
    """How many rows each path has in some tables."""
    return Counter(row["path"] for table in tables for row in read_rows(table))


class Watching:
    """digits-batch --watch of a folder `incoming`, ready to take files; it does not outlive the context.

    Args:
        folder: where it runs.
        arguments: of the command, besides the folder and --watch.
        most_bytes: of each file that it writes, as on a disk with no more room; None for any number.
    """

    def __init__(self, folder: Path, arguments: Iterable[str | Path], *, most_bytes: int | None = None) -> None:
        (folder / "incoming").mkdir(exist_ok=True)
        self._log = folder / f"watch-{len(list(folder.glob('watch-*.log')))}.log"

        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "batch.cli", "incoming", "--watch", *map(str, arguments)],
                cwd=folder,
                stdout=log,
                stderr=log,
                env={name: value for name, value in os.environ.items() if name != "DIGITS_SERVER"},
            )
        if most_bytes is not None:
            # From outside: what a fork does before it starts a program does not go with gRPC's threads in this process.
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        wait_for(lambda: self.says("watching incoming") or not self.runs())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text()

    def says(self, text: str) -> bool:
        """Whether it has said a text."""
        return text in self.log

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL; it must not have ended by itself."""
        assert self.runs(), self.log
        self._process.kill()
        self._process.wait()

    def wait_for_words(self, text: str) -> None:
        """Wait until it has said a text."""

        def are_said() -> bool:
            is_over = not self.runs()
            assert self.says(text) or not is_over, self.log
            return self.says(text)

        try:
            wait_for(are_said, seconds=60)
        except AssertionError:
            pytest.fail(f"it never said {text!r}, but:\n{self.log}")

    def wait_for_rows(self, count: int, *tables: Path) -> None:
        """Wait until that many rows are in some tables that may not be there yet."""

        def are_there() -> bool:
            assert self.runs(), self.log
            return sum(len(read_rows(table)) for table in tables if table.exists()) >= count

        wait_for(are_there, every=0.05)  # reading a table takes a while

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; returns its exit code."""
        assert self.runs(), self.log
        self._process.send_signal(number)
        return self._process.wait(60)

    def wait(self) -> int:
        """Wait until it ends by itself; returns its exit code."""
        return self._process.wait(120)
