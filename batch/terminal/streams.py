"""Standard streams that are closed, full, or have nobody at their other end: words are lost then, and nothing else."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def occupy_closed_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    Otherwise the next file to be opened, such as the table, would get the number of one, and with it every word that a
    library says there. `sys.stdout` stays None, as Python has it: rows may not go nowhere unnoticed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _point_to_null(number)
    sys.stdin = sys.stdin or open(0, encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115 - likewise


@contextmanager
def may_be_lost(number: int) -> Iterator[None]:
    """Print what is no part of the table; a stream that fails over it takes no more, and standard error says so.

    Args:
        number: of the standard stream, 1 or 2.
    """
    try:
        yield
    except OSError as error:
        _point_to_null(number)
        # Who closes a pipe has seen enough.
        if number == 1 and error.errno != errno.EPIPE:
            with suppress(OSError):
                print(f"digits-batch: standard output: {error.strerror}", file=sys.stderr)  # noqa: T201 - as _stop


def is_live() -> bool:
    """Whether standard error is a terminal that can draw a line anew, and no CI keeps each of them in a log."""
    ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return sys.stderr.isatty() and not ci and os.environ.get("TERM") not in ("dumb", "unknown")


def _point_to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
