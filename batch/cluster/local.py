"""The local engine: worker processes on this machine, each with one shard at a time.

An engine carries the numbers of shards, and nothing else. A worker that dies is replaced; a shard that fails is tried
again after the others, and reported if it fails again and again. The others are done all the same.
"""

import itertools
import json
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

from batch.client.server import find_server, listening
from batch.cluster.folder import open_folder
from batch.cluster.planned import open_job
from batch.cluster.shard import Asking, Notify
from batch.disk.logs import last_line
from exporter.command import UserError, counted

Tell = Callable[[int, Exception | None], None]
"""Is told of each shard as it ends: its number, and why it failed for good."""

ShowRows = Callable[[int, int], None]
"""Is told of rows as they are answered, and how many of them carry an error."""

_STOP_TIMEOUT_S = 5.0


class ShardFailedError(UserError):
    """A shard failed as often as it was to be tried; the text says how it failed last."""

    exit_code = 3


@dataclass(frozen=True)
class Local:
    """How the local engine works.

    Attributes:
        workers: processes.
        attempts: how often a shard is tried.
    """

    workers: int
    attempts: int


def run_local(
    job: str,
    numbers: Iterable[int],
    asking: Asking,
    tell: Tell,
    how: Local,
    *,
    notify: Notify = lambda _: None,
    show: ShowRows = lambda _rows, _errors: None,
) -> None:
    """Answer shards in processes of their own.

    If no server is named and none listens, one built-in server is started for all of them.

    Args:
        job: the job's folder.
        numbers: of the shards.
        asking: how each worker reaches the model.
        tell: told of each shard as it ends.
        how: how many processes, and how often a shard is tried.
        notify: told in one line what the user should know while it goes.
        show: told of rows as they are answered.

    Raises:
        UserError: what no other attempt would change, such as a version that the server does not have.
        ShardFailedError: so many shards failed for good on end, and none was done between, that it is not their fault.
    """
    waiting = iter(numbers)
    first = next(waiting, None)
    if first is None:
        return
    with ExitStack() as stack:
        if asking.saved_model is None and not listening(asking.servers):
            target = open_job(open_folder(job)).plan.target
            endpoint = stack.enter_context(find_server((), asking.security, target, asking.timeout, notify))
            asking = replace(asking, servers=tuple(replica.address for replica in endpoint.replicas))
        pool = _Pool(job, itertools.chain((first,), waiting), asking, how)
        stack.callback(pool.close)
        failures = 0
        for fact in pool.facts():
            if "notice" in fact:
                notify(fact["notice"])
            elif "rows" in fact:
                show(fact["rows"], fact["errors"])
            elif "done" in fact:
                failures = 0
                tell(fact["done"], None)
            elif fact["final"]:
                raise UserError(fact["reason"])
            else:
                failures += 1
                tell(fact["failed"], ShardFailedError(fact["reason"]))
                if failures >= max(how.attempts, how.workers):
                    raise ShardFailedError(
                        f"{counted(failures, 'shard')} failed on end, the last with: {fact['reason']}"
                    )


class _Pool:
    """A thread for each worker process, and what they have to do."""

    def __init__(self, job: str, numbers: Iterator[int], asking: Asking, how: Local) -> None:
        self._task = pickle.dumps((job, asking))
        self._numbers = numbers
        self._again: deque[tuple[int, int]] = deque()
        self._attempts = how.attempts
        self._lock = threading.Lock()
        self._facts: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
        self._workers: set[_Worker] = set()
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(how.workers)]
        for thread in self._threads:
            thread.start()

    def facts(self) -> Iterator[dict[str, Any]]:
        """What the workers tell, until all is done; of shards that failed, only those that are not tried again.

        Raises whatever the numbers of shards raise.
        """
        running = len(self._threads)
        while running:
            fact = self._facts.get()
            if fact is None:
                running -= 1
            elif isinstance(fact, Exception):
                raise fact
            else:
                yield fact

    def close(self) -> None:
        """End all workers at once: what is done is on disk."""
        with self._lock:
            self._is_closed = True
            for worker in self._workers:
                worker.kill()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        worker: _Worker | None = None
        try:
            while (task := self._next()) is not None:
                number, attempt = task
                try:
                    worker = worker or self._start()
                    self._follow(worker, number, attempt)
                except (EOFError, OSError) as error:
                    died = f"its worker ended: {worker.last_line() if worker else error}"
                    self._end(worker)
                    worker = None
                    self._fail({"failed": number, "reason": died, "final": False}, attempt)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self._facts.put(error)
        finally:
            self._end(worker)
            self._facts.put(None)

    def _next(self) -> tuple[int, int] | None:
        """A shard and how often it was tried; what failed comes after the others."""
        with self._lock:
            if self._is_closed:
                return None
            number = next(self._numbers, None)
            if number is not None:
                return number, 1
            return self._again.popleft() if self._again else None

    def _follow(self, worker: "_Worker", number: int, attempt: int) -> None:
        """Have a worker answer a shard, and pass on what it tells. Raises EOFError if it dies."""
        for fact in worker.answer(number):
            if "failed" in fact:
                self._fail(fact, attempt)
            else:
                self._facts.put(fact)

    def _fail(self, fact: dict[str, Any], attempt: int) -> None:
        if fact["final"] or attempt >= self._attempts:
            self._facts.put(fact)
            return
        self._facts.put({"notice": f"shard {fact['failed']} will be tried again: {fact['reason']}"})
        with self._lock:
            self._again.append((fact["failed"], attempt + 1))

    def _start(self) -> "_Worker":
        with self._lock:
            if self._is_closed:
                raise EOFError
            worker = _Worker(self._task)
            self._workers.add(worker)
        return worker

    def _end(self, worker: "_Worker | None") -> None:
        if worker is not None:
            with self._lock:
                self._workers.discard(worker)
            worker.close()


class _Worker:
    """One process."""

    def __init__(self, task: bytes) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        # A session of its own: Ctrl-C is for this process, which then ends the other.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "batch.cluster.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._write(task)

    def answer(self, number: int) -> Iterator[dict[str, Any]]:
        """Have it answer a shard; what it tells, to the end of the shard. Raises EOFError if it dies."""
        self._write(b"%d\n" % number)
        assert self._process.stdout is not None  # noqa: S101 - tells mypy what Popen was asked for
        for line in self._process.stdout:
            if not line.endswith(b"\n"):
                break
            fact: dict[str, Any] = json.loads(line)
            if "ready" not in fact:
                yield fact
            if "done" in fact or "failed" in fact:
                return
        raise EOFError

    def _write(self, octets: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - likewise
        self._process.stdin.write(octets)
        self._process.stdin.flush()

    def last_line(self) -> str:
        """What it said last."""
        return last_line(self._log.fileno())

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self._process.kill()
        self._process.wait(_STOP_TIMEOUT_S)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
