"""What a person sees of a watcher: one line that is always true on a terminal, a line now and then in a log."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from batch.terminal.streams import is_live, may_be_lost

if TYPE_CHECKING:
    from rich.live import Live

_LOG_EVERY_S = 600.0
_RATE_OVER_S = 60.0

Show = Callable[[int, int, int], None]
"""Is told of the files that wait, the rows written, and the rows with an error."""


@contextlib.contextmanager
def watching(notify: Callable[[str], None]) -> Iterator[Show]:
    """Show the state of a watcher on a terminal; elsewhere a line every ten minutes in which rows were written."""
    if not is_live():
        yield _Log(notify)
        return
    from rich.live import Live  # noqa: PLC0415 - slow, and not needed in a log

    from batch.terminal.screen import standard_error  # noqa: PLC0415 - likewise

    live = Live(console=standard_error(), auto_refresh=False)
    with may_be_lost(2):
        live.start()
    try:
        yield _Line(live)
    finally:
        with may_be_lost(2):
            live.stop()


class _Rate:
    """Rows a second over the last minute."""

    def __init__(self) -> None:
        self._seen = deque([(time.monotonic(), 0)])

    def at(self, rows: int) -> float:
        now = time.monotonic()
        if now - self._seen[-1][0] >= 1:
            self._seen.append((now, rows))
        while len(self._seen) > 2 and now - self._seen[1][0] > _RATE_OVER_S:
            self._seen.popleft()
        since, before = self._seen[0]
        return (rows - before) / max(now - since, 1.0)


class _Line:
    def __init__(self, live: "Live") -> None:
        self._live = live
        self._rate = _Rate()
        self._shown = 0.0

    def __call__(self, waiting: int, rows: int, errors: int) -> None:
        rate = self._rate.at(rows)
        if time.monotonic() - self._shown < 0.25:
            return
        self._shown = time.monotonic()
        text = f"{waiting:,} waiting, {rows:,} answered, {errors:,} errors, {rate:,.1f} images/s"
        with may_be_lost(2):
            self._live.update(text, refresh=True)


class _Log:
    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._told = (time.monotonic(), 0)

    def __call__(self, waiting: int, rows: int, errors: int) -> None:
        since, before = self._told
        if rows == before or time.monotonic() - since < _LOG_EVERY_S:
            return
        self._notify(f"{rows:,} rows written, {errors:,} with an error; {waiting:,} files wait")
        self._told = (time.monotonic(), rows)
