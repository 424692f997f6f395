"""The processes that turn pictures into PNG, started when the first is wanted."""

import os
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from batch.disk.logs import last_line
from batch.formats.worker import ANSWER, QUESTION
from exporter.command import UserError
from exporter.contract import CORRUPT

_MOST_WORKERS = 8
_AHEAD = 2  # pictures asked of each worker: it has the next one while its answer waits to be taken
_ATTEMPTS = 2  # a process may be ended for no fault of the file that it had at hand


class ConverterError(UserError):
    """No process that converts can be had; what is done is kept."""

    exit_code = 3


class Converted(NamedTuple):
    """What became of a picture: its PNG, or a text of the contract.

    Attributes:
        png: empty with an error.
        error: empty with a PNG.
        unread: further pages of the file that nobody asks for.
    """

    png: bytes
    error: str
    unread: int


class Task:
    """A picture that was asked for."""

    def __init__(self, path: str, page: int) -> None:
        self.path = path
        self.page = page
        self.attempts = 0
        self.worker: _Worker | None = None


class Converter:
    """A small pool of processes. None is started, and nothing imported, before `ask`.

    Args:
        most: processes at most; None for one a core.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most or min(_MOST_WORKERS, cores())
        self._workers: list[_Worker] = []
        self._asked = 0

    @property
    def is_full(self) -> bool:
        """Whether an answer is to be taken before more is asked, so that only few pictures are in memory."""
        return self._asked >= _AHEAD * self._most

    def ask(self, path: str, page: int) -> Task:
        """Have a page, from 1, converted; page 0 for a file that was taken for one picture.

        Raises:
            ConverterError: no process can be started.
        """
        task = Task(path, page)
        self._assign(task)
        self._asked += 1
        return task

    def take(self, task: Task) -> Converted:
        """Wait for what was asked. Tasks are to be taken in the order in which they were asked.

        A process that dies over a picture, or that someone ends, is replaced; a picture that ends two is `corrupt`.

        Raises:
            ConverterError: a process does not start.
        """
        self._asked -= 1
        while task.worker is not None:
            try:
                return task.worker.take(task)
            except EOFError:
                self._replace(task.worker, task)
        return Converted(b"", CORRUPT, 0)

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def _assign(self, task: Task) -> None:
        worker = min(self._workers, key=lambda one: len(one.tasks), default=None)
        if worker is None or (worker.tasks and len(self._workers) < self._most):
            worker = _Worker()
            self._workers.append(worker)
        worker.ask(task)

    def _replace(self, dead: "_Worker", task: Task) -> None:
        """Ask another process for what one has left undone; of the picture that it died over, only so often."""
        task.attempts += 1
        if task.attempts == _ATTEMPTS:
            if not dead.is_ready:
                raise ConverterError(f"the process that converts pictures does not start: {dead.last_line()}")
            task.worker = None
            dead.tasks.remove(task)
        tasks = list(dead.tasks)
        self._workers.remove(dead)
        dead.close()
        if tasks:
            # One process for all of them, which keeps their order.
            worker = _Worker()
            self._workers.append(worker)
            for undone in tasks:
                worker.ask(undone)


class _Worker:
    """One process, and what it was asked and has not answered."""

    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()
        self.is_ready = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            # A session of its own: Ctrl-C is for this process, which then ends the other.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "batch.formats.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                start_new_session=True,
            )
        except OSError as error:
            raise ConverterError(f"no process can be started to convert pictures: {error.strerror}") from None

    def ask(self, task: Task) -> None:
        """Send a question; a process that is dead is found out when its answer is wanted."""
        task.worker = self
        self.tasks.append(task)
        path = os.fsencode(task.path)
        assert self._process.stdin is not None  # noqa: S101 - tells mypy what Popen was asked for
        with suppress(BrokenPipeError):
            os.write(self._process.stdin.fileno(), QUESTION.pack(task.page, len(path)) + path)

    def take(self, task: Task) -> Converted:
        """Wait for the answer to the oldest question, `task`. Raises EOFError if the process died."""
        if not self.is_ready:
            self._read(ANSWER.size)
            self.is_ready = True
        unread, error, png = ANSWER.unpack(self._read(ANSWER.size))
        answer = Converted(error=self._read(error).decode(), png=self._read(png), unread=unread)
        self.tasks.remove(task)
        return answer

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - likewise
        octets = self._process.stdout.read(count)
        if len(octets) < count:
            raise EOFError
        return octets

    def last_line(self) -> str:
        """What it said last, before it was ready."""
        return last_line(self._log.fileno())

    def close(self) -> None:
        """End the process at once: it holds nothing that could be lost."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with suppress(OSError):
                if stream is not None:
                    stream.close()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
