"""Claims on shards, so that several workers do not do the same one: a courtesy, on which nothing depends.

A claim is a file that names its holder, who renews it while at work. Another worker passes it by for as long as it sees
it change; so no clocks are compared, and a claim of a worker that died holds up others for a minute at most.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from batch.cluster.folder import JobFolder

_RENEW_EVERY_S = 15.0
_STALE_S = 60.0


class Claims:
    """The claims of one worker, and what it has seen of others'.

    Args:
        folder: of the job.
        stale: seconds after which a claim that does not change counts no more.
    """

    def __init__(self, folder: JobFolder, stale: float = _STALE_S) -> None:
        self._folder = folder
        self._stale = stale
        self._host = socket.gethostname()
        self._me = secrets.token_hex(8)
        self._beats = 0
        self._seen: dict[int, tuple[bytes, float]] = {}

    def take(self, number: int) -> bool:
        """Claim a shard, unless another worker has a claim on it that counts. Raises OSError."""
        name = _name(number)
        try:
            found = self._folder.read(name)
        except FileNotFoundError:
            return self._folder.put_new(name, self._claim())
        if not self._is_stale(number, found):
            return False
        self._folder.put(name, self._claim())
        return True

    @contextmanager
    def held(self, number: int) -> Iterator[None]:
        """Renew a claim that was taken, and give it back at the end."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(_RENEW_EVERY_S):
                with suppress(OSError):
                    self._folder.put(_name(number), self._claim())

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            with suppress(OSError):
                self._folder.remove(_name(number))

    def _claim(self) -> bytes:
        self._beats += 1
        claim = {"host": self._host, "process": os.getpid(), "worker": self._me, "beat": self._beats}
        return json.dumps(claim).encode() + b"\n"

    def _is_stale(self, number: int, found: bytes) -> bool:
        now = time.monotonic()
        content, since = self._seen.get(number, (b"", now))
        if content != found:
            self._seen[number] = (found, now)
            return self._is_of_the_dead(found)
        return now - since > self._stale

    def _is_of_the_dead(self, found: bytes) -> bool:
        """Whether a claim is of a process of this machine that has ended."""
        try:
            claim = json.loads(found)
            if claim["host"] != self._host:
                return False
            if claim["process"] == os.getpid():
                # The first process of a container has the same number after each start.
                return bool(claim["worker"] != self._me)
            os.kill(claim["process"], 0)
        except ProcessLookupError:
            return True
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return False


def _name(number: int) -> str:
    return f"claims/{number:05}.json"
