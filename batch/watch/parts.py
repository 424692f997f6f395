"""The growing table, or its parts one after the other: rows are appended, synced, then committed to the state.

A CSV or JSON Lines file grows by whole commits. If the process or the machine dies between the sync and the commit,
the file is longer than the state knows, and is cut there at the next start: its files are asked again, none twice.
A Parquet file cannot grow: its rows are kept in the state until the part is complete.
"""

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batch.client.answers import Row
from batch.files.file import File
from batch.table.columns import Columns
from batch.watch.settings import Roll
from batch.watch.state import Known, Part, State
from batch.watch.tables import Appended, Kept, Table, TableError
from exporter.command import UserError


@dataclass(frozen=True)
class Answered:
    """A file and its rows: one, or one for each page."""

    known: Known
    files: list[File]
    answers: list[Row]


class Parts:
    """Writes the rows of answered files, each once.

    Args:
        out: the table, or what its parts are named after.
        form: its columns.
        roll: when a part ends.
        state: of this table.
        notify: told in one line what the user should know.

    Raises:
        UserError: the table has other columns, or another program wrote it.
        OSError: it cannot be read.
    """

    def __init__(self, out: Path, form: Columns[Any], roll: Roll, state: State, notify: Callable[[str], None]) -> None:
        self._out = out
        self._roll = roll
        self._state = state
        self._notify = notify
        self._part = state.part
        self._check_columns(form)
        self._table: Table = (
            Kept(state, form) if out.suffix.lower() == ".parquet" else Appended(out.suffix.lower(), form)
        )
        if self._part.name and self._table.recover(self._place(self._part.name), self._part, notify):
            self._forget_part()
        if self._part.name and self._part.kind != roll.kind:
            self._end()

    def _check_columns(self, form: Columns[Any]) -> None:
        columns = form.options
        begun = self._state.fact("columns")
        if begun is None:
            self._state.note(columns=columns)
        elif begun != columns:
            flags = [flag for flag in {**columns, **begun} if begun.get(flag, False) != columns.get(flag, False)]
            differ = " and ".join(f"{'with' if begun.get(flag) else 'without'} {flag}" for flag in flags)
            raise UserError(f"{self._out} was begun {differ}: repeat that, or choose another --out")

    def write(self, answered: Sequence[Answered], facts: Mapping[str, object] = MappingProxyType({})) -> None:
        """Append, sync and commit; a part that is full ends, and the next begins. The rows of one file stay together.

        Args:
            answered: files with their rows.
            facts: noted in the state with them.

        Raises:
            TableError: another program changed the table meanwhile.
            OSError: the disk is full, or fails; all that was committed is kept.
        """
        self.end_if_over()
        left = deque(answered)
        while left:
            some = [left.popleft()]
            rows = len(some[0].files)
            most = self._roll.rows or float("inf")
            if self._part.name and self._part.rows + rows > most:
                self._end()
            if self._part.length and not self._place(self._part.name).exists():
                # Someone has taken the rows away, as is their right: the table begins again.
                self._table.close()
                self._forget_part()
            if not self._part.name:
                self._begin()
            rows += self._part.rows
            while left and rows + len(left[0].files) <= most:
                rows += len(left[0].files)
                some.append(left.popleft())
            self._append(some, facts)
            self.end_if_over()

    def end_if_over(self) -> None:
        """End the part if its hour or day is over, or it is full. An hour that comes twice is one part."""
        is_full = 0 < self._roll.rows <= self._part.rows
        if self._part.name and (is_full or self._roll.now() > self._part.period):
            self._end()

    def close(self) -> None:
        """Close the file; the part is continued at the next start."""
        self._table.close()

    def _append(self, some: list[Answered], facts: Mapping[str, object]) -> None:
        files = [file for one in some for file in one.files]
        answers = [answer for one in some for answer in one.answers]
        part = self._table.append(self._place(self._part.name), self._part, files, answers)
        rows = [(file.path, *answer) for file, answer in zip(files, answers, strict=True)]
        self._state.commit(part, [one.known for one in some], facts, rows if self._table.is_in_state else ())
        self._part = part

    def _begin(self) -> None:
        """Note the next part, before there is anything of it that a killed watcher could leave."""
        number, period = self._part.number + 1, self._roll.now()
        part = Part(self._free_name(period or f"{number:06}"), self._roll.kind, period, number)
        self._state.note(part=asdict(part))
        self._part = part

    def _free_name(self, label: str) -> str:
        """A name that nothing has, so that nothing is overwritten."""
        if not self._roll.kind:
            if os.path.lexists(self._out):
                raise TableError(f"{self._out} is there, and is not of this watcher: move it away")
            return self._out.name
        name, copy = f"{self._out.stem}-{label}{self._out.suffix}", 2
        while os.path.lexists(self._place(name)):
            name = f"{self._out.stem}-{label}-{copy}{self._out.suffix}"
            copy += 1
        return name

    def _end(self) -> None:
        if self._table.is_in_state and os.path.lexists(self._place(self._part.name)):
            # Free when the part began, and taken by another program since.
            label = self._part.period or f"{self._part.number:06}"
            self._part = replace(self._part, name=self._free_name(label))
        self._table.end(self._place(self._part.name), self._part)
        self._notify(f"{self._place(self._part.name)} is complete: {self._part.rows:,} rows")
        self._forget_part()

    def _forget_part(self) -> None:
        # A part without rows was begun by a watcher that was killed: its number is free again.
        number = self._part.number - (self._part.rows == 0)
        self._part = replace(self._part, name="", number=number, length=0, rows=0, tail="", inode=0)
        self._state.end_part(self._part)

    def _place(self, name: str) -> Path:
        return self._out.with_name(name)
