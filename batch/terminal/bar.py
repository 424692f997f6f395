"""A bar with its figures in one line, on terminals of any width."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple, Protocol

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batch.terminal.screen import standard_error
from batch.terminal.streams import may_be_lost

_WIDEST, _NARROWEST = 40, 8  # of the bar itself
_GAP = "  "
_A_SECOND = 10


class Figure(NamedTuple):
    """One of the figures beside a bar.

    Attributes:
        full: as it stands where there is room.
        short: where there is none.
        style: of Rich.
    """

    full: str
    short: str
    style: str = ""


class Measured(Protocol):
    """Work that a bar shows. It is looked at several times a second, in another thread."""

    @property
    def done(self) -> int:
        """How many are done."""

    @property
    def total(self) -> int | None:
        """Of how many; None if that is not known, or not yet."""

    def figures(self) -> list[Figure]:
        """What stands beside the bar."""


@contextmanager
def show_bar(work: Measured) -> Iterator[None]:
    """Show a bar on standard error, a terminal. What is printed on its console meanwhile comes above the bar.

    The work goes on if the terminal goes away.
    """
    line = _Line(work)
    live = Live(
        console=standard_error(), get_renderable=line.render, refresh_per_second=_A_SECOND, redirect_stdout=False
    )
    with may_be_lost(2):
        live.start(refresh=True)
    try:
        yield
    finally:
        with may_be_lost(2):
            live.stop()


class _Line:
    """The bar and its figures, in full where they leave it room."""

    def __init__(self, work: Measured) -> None:
        self._work = work
        self._width = self._room = 0
        self._is_short = False

    def render(self) -> Table | Text:
        width = standard_error().width - len("^C ")  # what a terminal shows of Ctrl-C must not begin a new line
        if width != self._width:
            self._width, self._room, self._is_short = width, _WIDEST, False
        # As figures grow, the line gets shorter once, and not longer again: what jumps to and fro is hard to read.
        figures = self._work.figures()
        text = _joined([(figure.full, figure.style) for figure in figures])
        self._is_short = self._is_short or width < _NARROWEST + len(_GAP) + text.cell_len
        if self._is_short:
            text = _joined([(figure.short, figure.style) for figure in figures])
        self._room = min(self._room, width - len(_GAP) - text.cell_len)
        if self._room < _NARROWEST // 2:
            return text
        line = Table.grid(padding=(0, len(_GAP), 0, 0), pad_edge=False)
        line.add_row(ProgressBar(self._work.total, self._work.done, width=self._room), text)
        return line


def _joined(parts: list[tuple[str, str]]) -> Text:
    line = Text(_GAP).join(Text(text, style) for text, style in parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def count_of(done: int, total: int | None, unit: str) -> Figure:
    """How many are done, of how many."""
    count = f"{done:,}" if total is None else f"{done:,}/{total:,}"
    return Figure(f"{count} {unit}", count)


def rate_of(rate: float | None, unit: str) -> list[Figure]:
    """How many a second; nothing where nobody can tell."""
    return [] if rate is None else [Figure(f"{rate:,.0f} {unit}/s", f"{rate:,.0f}/s")]


def errors_of(errors: int) -> Figure:
    """How many errors."""
    text = f"{errors:,} error{'' if errors == 1 else 's'}"
    return Figure(text, text, "red" if errors else "")


def time_left(seconds: float | None) -> list[Figure]:
    """How long it will take; nothing where nobody can tell."""
    if not seconds:
        return []
    time = str(timedelta(seconds=int(seconds + 1)))  # what takes another half of a second is not done
    return [Figure(f"{time} left", time, "progress.remaining")]
