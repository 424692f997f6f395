"""How digits-batch and digits-job end: exit codes, the last line, and at once."""

import contextlib
import errno
import gc
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from batch.terminal.streams import occupy_closed_streams
from exporter.command import run

EXIT_SOME_ERRORS = 1
EXIT_NOT_FINISHED = 3
EXIT_INTERRUPTED = 130

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk says that takes no more."""


def end(program: str, text: str, code: int) -> NoReturn:
    """Say why, in one line, and end with an exit code."""
    with contextlib.suppress(OSError):
        print(f"{program}: {text}", file=sys.stderr)  # noqa: T201 - Rich would wrap the line
    raise typer.Exit(code)


def run_to_end(program: str, app: Callable[[], object]) -> None:
    """Run a command and end the process."""
    # Imports and rows are many objects and hardly any cycles: looking for those rarely saves a run a hundredth.
    gc.set_threshold(100_000)
    occupy_closed_streams()
    try:
        run(program, app)
    except SystemExit as done:
        _leave(done)
        raise


def _leave(done: SystemExit) -> None:
    """End the process at once: Python takes 30 ms to take itself apart, and everything is closed and synced by now."""
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    with contextlib.suppress(OSError):  # a broken pipe or a full disk is Python's to tell
        if sys.stdout is not None:
            sys.stdout.flush()
        os._exit(done.code if isinstance(done.code, int) else done.code is not None)
