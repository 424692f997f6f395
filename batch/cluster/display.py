"""What a person sees of a job: progress of its plan, over all its workers, of its table; and how far it is."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from batch.cluster.status import Status
from batch.terminal.display import print_notice
from exporter.command import counted

_EVERY_S = 0.2
_LOG_EVERY_S = 60.0
_MOST_LINES = 5  # of shards that failed


class Answering(Protocol):
    """Is told how a job goes on."""

    def rows(self, count: int, errors: int) -> None:
        """Of rows as they are answered."""

    def shard(self) -> None:
        """Of a shard that is done."""


@contextlib.contextmanager
def answering(shards: int, done: int, notify: Callable[[str], None]) -> Iterator[Answering]:
    """Show shards done, images/s of all workers together, errors and time left; where no terminal is, now and then.

    Args:
        shards: of the job.
        done: of these, before this run.
        notify: prints a line in a log.
    """
    if not sys.stderr.isatty():
        yield _Log(notify, shards, done)
        return
    columns = (
        TextColumn("shards"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rows]} images, {task.fields[rate]} images/s"),
        TextColumn("{task.fields[errors]} errors"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield _Bar(bar, shards, done)


class _Log:
    """A line now and then, of which a log of days still can be read."""

    def __init__(self, notify: Callable[[str], None], shards: int, done: int) -> None:
        self._notify = notify
        self._shards = shards
        self._done = done
        self._started = self._told = time.monotonic()
        self._rows = self._errors = 0

    def rows(self, count: int, errors: int) -> None:
        self._rows += count
        self._errors += errors

    def shard(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._told >= _LOG_EVERY_S:
            self._told = now
            rate = self._rows / (now - self._started)
            self._notify(
                f"{self._done:,} of {counted(self._shards, 'shard')} done; {self._rows:,} images, "
                f"{rate:,.0f} images/s, {self._errors:,} errors"
            )


class _Bar:
    def __init__(self, bar: Progress, shards: int, done: int) -> None:
        self._bar = bar
        self._task = bar.add_task("shards", total=shards, completed=done, rows=0, rate="-", errors=0)
        self._started = time.monotonic()
        self._rows = self._errors = 0

    def rows(self, count: int, errors: int) -> None:
        self._rows += count
        self._errors += errors
        rate = f"{self._rows / max(time.monotonic() - self._started, 1e-9):,.0f}"
        self._bar.update(self._task, rows=f"{self._rows:,}", rate=rate, errors=self._errors)

    def shard(self) -> None:
        self._bar.advance(self._task)


@contextlib.contextmanager
def planning() -> Iterator[Callable[[int], None]]:
    """Show how many images a walk has found, on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    console = Console(stderr=True)
    started = shown = time.monotonic()
    images = 0
    with console.status("planning") as status:

        def show(found: int) -> None:
            nonlocal images, shown
            images += found
            now = time.monotonic()
            if now - shown >= _EVERY_S:
                shown = now
                status.update(f"planning: {images:,} images, {images / (now - started):,.0f} images/s")

        yield show


@contextlib.contextmanager
def joining(images: int) -> Iterator[Callable[[int], None]]:
    """Show how many rows are written, on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("writing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("writing", total=images)
        yield lambda rows: bar.advance(task, rows)


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
