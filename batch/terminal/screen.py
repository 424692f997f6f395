"""The console of each standard stream, and lines on it."""

import errno
import os
from functools import cache

from rich.console import Console


class Screen(Console):
    """A console that raises BrokenPipeError where Rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Nobody reads any more."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


@cache
def standard_error() -> Screen:
    """The one console on standard error: what is printed on it while a bar is shown comes above the bar."""
    return Screen(stderr=True)


def print_notice(console: Console, text: str) -> None:
    """Print one line, as it is."""
    # File names may hold anything: no markup, no colours guessed from their characters.
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """A text with question marks for the bytes of names that are no UTF-8."""
    return text.encode(errors="replace").decode()
