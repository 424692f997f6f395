"""Where the rows of the part that is open are: in a file that grows, or in the state until the part is complete."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from batch.client.answers import Row
from batch.disk.offered import sync_folder, try_sync
from batch.files.file import File
from batch.table.columns import Columns
from batch.table.output import Output, render
from batch.watch.state import Part, State
from exporter.command import UserError

_TAIL_BYTES = 256
_PARQUET_ROWS = 10_000  # taken from the state at a time


class TableError(UserError):
    """The table is not as the watcher left it; nothing was written to it."""

    exit_code = 3


class Table(Protocol):
    """Keeps the rows of the part that is open.

    Attributes:
        is_in_state: whether the rows themselves are committed to the state.
    """

    is_in_state: bool

    def recover(self, place: Path, part: Part, notify: Callable[[str], None], /) -> bool:
        """Bring it to where it was committed; returns whether the part is over, as its file is gone or complete."""

    def append(self, place: Path, part: Part, files: list[File], answers: list[Row], /) -> Part:
        """Take rows, and make them last as far as the state does not; returns the part with them."""

    def end(self, place: Path, part: Part, /) -> None:
        """Complete the part's file."""

    def close(self) -> None:
        """Close the file; the part is continued later."""


class Appended:
    """A CSV or JSON Lines file."""

    is_in_state = False

    def __init__(self, ending: str, form: Columns[Any]) -> None:
        self._ending = ending
        self._form = form
        self._file: int | None = None

    def recover(self, place: Path, part: Part, notify: Callable[[str], None], /) -> bool:
        """Cut off what was not committed."""
        if part.length == 0:
            self._remove_uncommitted(place)
            return True
        if not place.exists():
            notify(f"{place} was taken away with its {part.rows:,} rows: a new one begins with the next file")
            return True
        self._file = os.open(place, os.O_RDWR | os.O_CLOEXEC)
        tail = bytes.fromhex(part.tail)
        length = os.fstat(self._file).st_size
        if length < part.length or os.pread(self._file, len(tail), part.length - len(tail)) != tail:
            raise TableError(
                f"{place} is not as it was left, with {part.length:,} bytes: put it back, or move it away and a new "
                "one begins"
            )
        if length > part.length:
            notify(f"{place}: cut off {length - part.length:,} bytes that were not committed; their files come again")
            os.ftruncate(self._file, part.length)
            try_sync(self._file)
        return False

    def append(self, place: Path, part: Part, files: list[File], answers: list[Row], /) -> Part:
        """Write at the end, and sync."""
        if self._file is None:
            self._file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._check(place, part)
        content = self._render(files, answers, header=part.length == 0)
        _write(self._file, content, part.length)
        try_sync(self._file)
        if part.length == 0:
            sync_folder(place.parent)
        tail = (bytes.fromhex(part.tail) + content)[-_TAIL_BYTES:].hex()
        return replace(part, length=part.length + len(content), rows=part.rows + len(files), tail=tail)

    def end(self, _place: Path, _part: Part, /) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _remove_uncommitted(self, place: Path) -> None:
        """Remove a file that was begun by a watcher that was killed before it committed a row, and no other file."""
        begin = self._render([], [], header=True) or b"{"
        with suppress(FileNotFoundError):
            with place.open("rb") as file:
                if not begin.startswith(file.read(len(begin))):
                    raise TableError(f"{place} is there, and is not of this watcher: move it away")
            place.unlink()

    def _render(self, files: list[File], answers: list[Row], *, header: bool) -> bytes:
        return render(self._ending, self._form, files, answers, header=header)

    def _check(self, place: Path, part: Part) -> None:
        """Raise TableError if another program has replaced the file or written to it."""
        assert self._file is not None  # noqa: S101 - tells mypy what append sees to
        status = os.fstat(self._file)
        if status.st_size != part.length or not os.path.samestat(status, place.stat()):
            raise TableError(
                f"{place} was changed by another program while it was watched: put it back or move it away"
            )


class Kept:
    """A Parquet file: its rows are in the state until it is complete."""

    is_in_state = True

    def __init__(self, state: State, form: Columns[Any]) -> None:
        self._state = state
        self._form = form

    def recover(self, place: Path, part: Part, _notify: Callable[[str], None], /) -> bool:
        """Look whether the file has taken its place."""
        if part.rows == 0:
            return True
        with suppress(OSError):
            # Killed between the file's taking its place and the state's taking note.
            return part.inode == place.stat().st_ino
        return False

    def append(self, _place: Path, part: Part, files: list[File], _answers: list[Row], /) -> Part:
        """Count the rows."""
        return replace(part, rows=part.rows + len(files))

    def end(self, place: Path, part: Part, /) -> None:
        """Write the file, and have it take its place."""
        output = Output(place, self._form)
        try:
            files: list[File] = []
            answers: list[Row] = []
            for path, *values in self._state.rows():
                files.append(File(path, 0, 0))
                answers.append(self._form.restore(values))
                if len(files) == _PARQUET_ROWS:
                    output.add(files, answers)
                    files, answers = [], []
            output.add(files, answers)
            self._state.note(part=asdict(replace(part, inode=output.sync())))
            output.take_place(force=False)
        finally:
            output.discard()
        sync_folder(place.parent)

    def close(self) -> None:
        """Nothing is open."""


def _write(file: int, content: bytes, offset: int) -> None:
    """Write all of it, at an offset."""
    view = memoryview(content)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
