"""A terminal for the tests: a pseudo-terminal, and what would stand on its screen."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

_TOKENS = re.compile(r"\x1b\[(\?)?([\d;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


def in_terminal(
    command: list[str],
    folder: Path,
    columns: int = 80,
    *,
    at: Callable[[str], bool] | None = None,
    variables: dict[str, str] | None = None,
) -> tuple[int, str]:
    """Run a command whose standard output and error are a terminal.

    Args:
        command: with its arguments.
        folder: where it runs.
        columns: how wide the terminal is.
        at: of all that was printed up to now, whether the terminal shall go away.
        variables: of the environment, besides those of the tests.

    Returns:
        The exit code, and all that was printed.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    # COLUMNS and LINES would count for more than the terminal's size.
    others = ("CI", "NO_COLOR", "DIGITS_SERVER", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if name not in others}
    environment = kept | {"TERM": "xterm-256color"} | (variables or {})
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    printed = b""
    try:
        while octets := os.read(ours, 65536):
            printed += octets
            if at is not None and at(printed.decode(errors="replace")):
                break
    except OSError:
        pass  # as Linux says that the other end is closed
    os.close(ours)
    return process.wait(60), printed.decode()


def screen(printed: str) -> list[str]:
    """The lines that stand on the screen after all that was printed; of a terminal that is wide enough for them."""
    lines = [""]
    row = column = 0
    for token in _TOKENS.finditer(printed):
        _, number, order, carriage_return, line_feed, text = token.groups()
        if carriage_return:
            column = 0
        elif line_feed:
            row += 1
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif order == "A":
            row -= int(number or 1)
        elif order == "K":
            assert number == "2", "only whole lines are erased"
            lines[row] = ""
        lines += [""] * (row + 1 - len(lines))
    return [line.rstrip() for line in lines]
