"""How fast something goes now: the rate of the last seconds, and the time that is left at that rate."""

import time
from collections import deque
from collections.abc import Callable

_SAMPLES = 50  # kept of the last seconds


class Rate:
    """How many came a second, over the last seconds.

    It counts from the first that came, so the start of a server before them is no part of it. Things come in lumps,
    such as the answers of a request. So the time is counted from lump to lump, over two at least.

    Args:
        over_s: over how many seconds.
        clock: seconds, always rising.
    """

    def __init__(self, over_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._over_s = over_s
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, total: int) -> None:
        """Note how many have come up to now."""
        now = self._clock()
        if len(self._seen) > 1 and now - self._seen[-2][0] < self._over_s / _SAMPLES:
            self._seen.pop()
        self._seen.append((now, total))
        while len(self._seen) > 2 and now - self._seen[1][0] >= self._over_s:
            self._seen.popleft()

    def start_over(self) -> None:
        """Forget what came."""
        self._seen.clear()

    def a_second(self) -> float | None:
        """The rate; 0 when nothing has come for long, None when too little has come to tell."""
        if len(self._seen) < 2:
            return None
        (start, before), (end, total) = self._seen[0], self._seen[-1]
        between = end - self._seen[-2][0]
        if self._clock() - end > max(self._over_s, 2 * between):
            return 0.0
        return (total - before) / max(end - start, 1e-9)

    def seconds_left(self, count: float) -> float | None:
        """The seconds until so many more have come; None when they do not come, or nobody can tell."""
        rate = self.a_second()
        return max(0.0, count) / rate if rate else None
