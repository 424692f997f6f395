"""How large requests are and how many may be under way: fewer when the server is overloaded, more as it recovers.

Additive increase, multiplicative decrease, as TCP does it (Chiu and Jain, "Analysis of the increase and decrease
algorithms for congestion avoidance in computer networks", 1989).
"""

import time

DEFAULT_BATCH_SIZE = 1000
"""Images in one request: enough to keep a server busy, no more than TensorFlow Serving takes with its own batching."""

MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""Encoded images in one request; a larger image travels alone."""

DEFAULT_IN_FLIGHT = 8
"""For each server: enough to keep the cores busy while answers are written down, and no more than TensorFlow Serving's
default of four threads a core takes on two."""

FIELDS_A_REQUEST = 64
FIELDS_IN_FLIGHT = 2
"""Requests of fields of several digits, for each server. A field takes some milliseconds: this is enough to keep two
cores busy, and each request is answered in about a second, long before its deadline. The first ones of a server take
longer the more there are."""


class Window:
    """The number of requests that may be under way.

    Args:
        most: never more.
        pinned: never fewer, either.
    """

    def __init__(self, most: int, *, pinned: bool) -> None:
        self._most = float(most)
        self._size = float(most)
        self._pinned = pinned
        self._shrunk_at = 0.0

    @classmethod
    def over(cls, replicas: int, in_flight: int | None, usual: int = DEFAULT_IN_FLIGHT) -> "Window":
        """The window over so many replicas: pinned to what the user gave, else the usual number for each."""
        if in_flight is None:
            return cls(usual * replicas, pinned=False)
        return cls(in_flight, pinned=True)

    @property
    def size(self) -> int:
        """Now."""
        return int(self._size)

    def on_success(self) -> None:
        """A request was answered: one more in flight after a whole window of these."""
        self._size = min(self._most, self._size + 1 / self._size)

    def on_overload(self, sent_at: float) -> None:
        """A request that was sent at that time, `time.monotonic()`, met a server that has too much to do.

        All that were under way together count once.
        """
        if not self._pinned and sent_at >= self._shrunk_at:
            self._size = max(1.0, self._size / 2)
            self._shrunk_at = time.monotonic()
