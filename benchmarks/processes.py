"""What benchmarks need of the processes that they start. Linux only, for /proc."""

import json
import os
import subprocess
from pathlib import Path
from typing import IO, Any, Self, cast

from exporter.command import UserError


def cpu_seconds(process: int) -> float:
    """CPU time of all threads of a process until now."""
    stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    # The program's name, in brackets, may hold anything.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Measurer:
    """A process that says a line once it is ready, and then one of figures to each line that it is given.

    What it says on standard error is seen.

    Args:
        name: what errors call it.
        command: its command line.
        folder: where it runs.
        environment: its variables, None for ours.
    """

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
        self._name = name
        # A session of its own: Ctrl-C is for this process, which then stops it.
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        try:
            self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, *question: object) -> dict[str, Any]:
        """The figures of one measurement. Raises UserError if the process ends over it."""
        print(*question, file=self._process.stdin, flush=True)
        figures: dict[str, Any] = json.loads(self._answer())
        return figures

    def _answer(self) -> str:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise UserError(f"{self._name}: its process ended with code {self._process.wait()}, see above")
        return line
