"""Versions that could not be loaded, and when it is worth another try."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from serving.lifecycle.versions import Fingerprint, fingerprint


@dataclass
class _Failure:
    files: Fingerprint
    attempts: int = 0
    next_attempt: float = 0.0


class Broken:
    """Remembers failed loads of one model.

    A version is tried again as soon as its files have changed, else `retries` times, `interval` seconds apart, as
    --max_num_load_retries and --load_retry_interval_micros say.
    """

    def __init__(self, retries: int, interval: float) -> None:
        self._retries = retries
        self._interval = interval
        self._failures: dict[int, _Failure] = {}

    def try_again(self, version: int, folder: Path) -> bool:
        """Whether to load a version now; its files are looked at before it is loaded, lest a later change be missed."""
        files = fingerprint(folder)
        known = self._failures.get(version)
        if known and known.attempts and known.files == files:
            return known.attempts <= self._retries and time.monotonic() >= known.next_attempt
        self._failures[version] = _Failure(files)
        return True

    def note(self, version: int) -> None:
        """Remember that the load that `try_again` allowed has failed."""
        failure = self._failures[version]
        failure.attempts += 1
        failure.next_attempt = time.monotonic() + self._interval

    def forget_all_but(self, present: Collection[int]) -> None:
        """Forget versions that are not on disk any more."""
        self._failures = {version: failure for version, failure in self._failures.items() if version in present}
