"""The server's log: one plain line per event on standard error."""

import contextlib
import sys


def event(text: str) -> None:
    """Print `digits-serve: text` as one line, at once.

    Whitespace runs, line ends among them, become single blanks: TensorFlow's messages run over many lines. Where nobody
    holds the other end of standard error any more the line is dropped: the server must still clean up after itself.
    """
    with contextlib.suppress(OSError):
        print(f"digits-serve: {' '.join(text.split())}", file=sys.stderr, flush=True)  # noqa: T201 - this is the log
