"""What a person sees of a job: progress of its plan, over all its workers, of its table; and how far it is."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch.cluster.status import Status
from batch.terminal.bar import Figure, count_of, errors_of, rate_of, show_bar, time_left
from batch.terminal.rate import Rate
from batch.terminal.screen import print_notice, standard_error
from batch.terminal.streams import is_live
from exporter.command import counted

_EVERY_S = 0.2
_LOG_EVERY_S = 60.0
_RATE_OVER_S = 10.0  # many workers' answers come in larger lumps than one's
_MOST_LINES = 5  # of shards that failed


class Answering(Protocol):
    """Is told how a job goes on."""

    def rows(self, count: int, errors: int) -> None:
        """Of rows as they are answered."""

    def shard(self) -> None:
        """Of a shard that is done."""


@contextlib.contextmanager
def answering(before: Status, notify: Callable[[str], None]) -> Iterator[Answering]:
    """Show shards done, images/s of all workers together, errors and time left; where no terminal is, now and then.

    Args:
        before: how far the job is, before this run.
        notify: prints a line in a log.
    """
    if not is_live():
        yield _Log(notify, before.shards, before.done)
        return
    work = _Answered(before)
    with show_bar(work):
        yield work


class _Log:
    """A line now and then, of which a log of days still can be read."""

    def __init__(self, notify: Callable[[str], None], shards: int, done: int) -> None:
        self._notify = notify
        self._shards = shards
        self._done = done
        self._told = time.monotonic()
        self._rate = Rate(_LOG_EVERY_S)
        self._rows = self._errors = 0

    def rows(self, count: int, errors: int) -> None:
        self._rows += count
        self._errors += errors
        self._rate.add(self._rows)

    def shard(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._told >= _LOG_EVERY_S:
            self._told = now
            self._notify(
                f"{self._done:,} of {counted(self._shards, 'shard')} done; {self._rows:,} images, "
                f"{self._rate.a_second() or 0:,.0f} images/s, {self._errors:,} errors"
            )


class _Answered:
    """Counts shards and rows for a bar."""

    def __init__(self, before: Status) -> None:
        self.done = before.done
        self.total = before.shards
        # How many images archives hold is not known before they are read: then the shards say how long it will take.
        self._images = None if before.archives else before.images - before.rows
        self._images_rate = Rate(_RATE_OVER_S)
        self._shards_rate = Rate(_LOG_EVERY_S)
        self._rows = self._errors = 0

    def rows(self, count: int, errors: int) -> None:
        self._rows += count
        self._errors += errors
        self._images_rate.add(self._rows)

    def shard(self) -> None:
        self.done += 1
        self._shards_rate.add(self.done)

    def figures(self) -> list[Figure]:
        if self._images is None:
            left = self._shards_rate.seconds_left(self.total - self.done)
        else:
            left = self._images_rate.seconds_left(self._images - self._rows)
        images = f"{self._rows:,} images"
        return [
            count_of(self.done, self.total, "shards"),
            Figure(images, images),
            *rate_of(self._images_rate.a_second(), "images"),
            errors_of(self._errors),
            *time_left(left),
        ]


@contextlib.contextmanager
def planning() -> Iterator[Callable[[int], None]]:
    """Show how many images a walk has found, on a terminal; elsewhere nothing."""
    if not is_live():
        yield lambda _: None
        return
    found = 0
    shown = time.monotonic()
    rate = Rate(_RATE_OVER_S)
    with standard_error().status("planning") as status:

        def show(count: int) -> None:
            nonlocal found, shown
            found += count
            rate.add(found)
            now = time.monotonic()
            if now - shown >= _EVERY_S:
                shown = now
                status.update(f"planning: {found:,} images, {rate.a_second() or 0:,.0f} images/s")

        yield show


@contextlib.contextmanager
def joining(images: int) -> Iterator[Callable[[int], None]]:
    """Show how many rows are written, on a terminal; elsewhere nothing."""
    if not is_live():
        yield lambda _: None
        return
    work = _Written(images)
    with show_bar(work):
        yield work.add


class _Written:
    """Counts rows for a bar."""

    def __init__(self, images: int) -> None:
        self.done = 0
        self.total = images
        self._rate = Rate(_RATE_OVER_S)

    def add(self, rows: int) -> None:
        self.done += rows
        self._rate.add(self.done)

    def figures(self) -> list[Figure]:
        left = self._rate.seconds_left(self.total - self.done)
        return [count_of(self.done, self.total, "rows written"), *time_left(left)]


def print_status(console: Console, job: str, status: Status) -> None:
    """Print how far a job is."""
    table = Table(title=Text(job, style="table.title"), title_justify="left")
    table.add_column("")
    table.add_column("shards", justify="right")
    table.add_column("images", justify="right")
    table.add_row("done", f"{status.done:,}", f"{status.rows:,}")
    table.add_row("missing", f"{status.missing:,}", f"{max(0, status.images - status.rows):,}")
    if status.failed:
        table.add_row("of these, failed", f"{status.failed:,}", "", style="red")
    for error, count in status.errors.most_common():
        table.add_row(Text(f"error: {error}"), "", f"{count:,}", style="red")
    console.print(table)
    if status.rate is not None and status.seconds_left is not None:
        print_notice(console, f"{status.rate:,.0f} images/s lately; {_time(status.seconds_left)} left")
    for failure in status.failures[:_MOST_LINES]:
        print_notice(
            console,
            f"shard {failure.shard} failed on {failure.host} at {failure.time}, attempt {failure.attempts}: "
            f"{failure.reason}",
        )
    if status.failed > _MOST_LINES:
        print_notice(
            console, f"{counted(status.failed - _MOST_LINES, 'more shard')} failed; --json lists the first of them"
        )


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
