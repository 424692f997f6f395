"""SIGTERM and Ctrl-C, for work that should come to a good end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_PATIENCE_S = 10.0
"""For what is under way when a signal comes: no longer, as a service manager has its own patience."""


class StoppedError(Exception):
    """What is under way is given up, at a second signal or after `_PATIENCE_S`; nothing is lost."""


class Stop:
    """Whether a signal has come, and which.

    Attributes:
        signal: the first that came; None for none.
        is_waiting: whether nothing is under way that a signal should let finish.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.is_waiting = False

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT. A second one, or none of the work ending for a while, raises StoppedError."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._give_up)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None or self.is_waiting:
            self.signal = self.signal or signal.Signals(number)
            self._give_up(number, frame)
        self.signal = signal.Signals(number)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        raise StoppedError
