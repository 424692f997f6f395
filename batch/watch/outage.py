"""Faults of the server, told once and not every minute of a night."""

import time
from collections.abc import Callable

_TELL_EVERY_S = 600.0
_LONGEST_REST_S = 30.0


class Outage:
    """Whether the server fails now; a watcher waits for it as long as it takes.

    Args:
        notify: told in one line what the user should know.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._failures = 0
        self._since = 0.0
        self._told = 0.0

    def tell(self, error: Exception) -> None:
        """Tell of a fault, unless it was told of lately."""
        now = time.monotonic()
        if not self._failures:
            self._since = now
        if not self._failures or now - self._told >= _TELL_EVERY_S:
            self._notify(f"{error}; files wait, and the server is tried again until it answers")
            self._told = now
        self._failures += 1

    def quiet(self, text: str) -> None:
        """Pass on what the client tells, which of a server that fails is always the same."""
        if not self._failures:
            self._notify(text)

    def rest(self) -> None:
        """Wait before the next attempt, each time longer."""
        if self._failures:
            time.sleep(min(_LONGEST_REST_S, 0.5 * 2 ** min(self._failures, 10)))

    def end(self) -> None:
        """Tell that the server answers again."""
        if self._failures:
            self._notify(f"the server answers again, after {time.monotonic() - self._since:.0f} s")
        self._failures = 0
