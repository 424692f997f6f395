"""What people decided: `TABLE.review.csv`, to which each decision is appended and synced before it counts.

Columns: path, was (the table's answer, empty with an error), confidence, label, by, when (UTC). The last line of a path
counts. A label is a digit or a text of digits; `none` for no digit; `unsure`; or empty, which takes the decision back.

Several processes may write one file: each line is appended whole, under a lock, after everybody else's lines were read.
A line that a crash left unfinished is cut off then.
"""

import csv
import fcntl
import io
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from batch.disk.offered import HeldError, sync_folder, try_lock, try_sync
from batch.review import rows
from batch.table.forms import Row, csv_records
from exporter.command import UserError
from exporter.contract import MAX_DIGITS
from exporter.label_file import NONE, REVIEW_COLUMNS, REVIEW_ENDING, UNSURE

_WHEN = "%Y-%m-%dT%H:%M:%SZ"
_IS_WHOLE = re.compile(rb",\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\r?\Z")
_LOCK_S = 10.0  # how long another process may take over one line
_TEXT = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}")


class Decision(NamedTuple):
    """A line of the file.

    Attributes:
        number: of the line among the decisions, from 1.
        label: empty where an earlier decision is taken back.
    """

    number: int
    path: str
    was: str
    confidence: str
    label: str
    by: str
    when: str

    @property
    def state(self) -> int:
        """As `Rows` keeps it."""
        if not self.label:
            return rows.UNDECIDED
        return rows.UNSURE if self.label == UNSURE else rows.DECIDED


class ConflictError(Exception):
    """Somebody else has decided on the path meanwhile."""

    def __init__(self, decision: Decision) -> None:
        super().__init__()
        self.decision = decision


def decisions_of(table: Path) -> Path:
    """Where the decisions on a table are."""
    return table.with_name(table.stem + REVIEW_ENDING)


def is_label(label: str, *, is_digits: bool) -> bool:
    """Whether a person may decide so: on a table of digits, or of numbers."""
    if label in ("", NONE, UNSURE):
        return True
    return _TEXT.fullmatch(label) is not None and (len(label) == 1 or not is_digits)


class Decisions:
    """The decisions on one table, as far as they were read. Not for several threads at once.

    Args:
        path: of the file; it is made with the first decision.
        by: who decides here.

    Attributes:
        count: lines read.
        epoch: grows when the file was replaced or taken away, so that all earlier decisions are void.
        path: of the file.
        by: who decides here.
    """

    def __init__(self, path: Path, by: str) -> None:
        self.path = path
        self.by = by
        self.epoch = 0
        self._identity: tuple[int, int] | None = None
        self._forget()

    def _forget(self) -> None:
        self.count = 0
        self._at = 0
        self._latest: dict[str, Decision] = {}

    def of(self, path: str) -> Decision | None:
        """The latest decision on a path, which may be one that takes another back."""
        return self._latest.get(path)

    def state_of(self, path: str) -> int:
        """What is known of the decision on a path."""
        found = self._latest.get(path)
        return rows.UNDECIDED if found is None else found.state

    def since(self, number: int) -> list[Decision]:
        """The latest decisions of the paths that have lines after a number, in order."""
        found: list[Decision] = []
        # Each decision was put at the end when it was read.
        for decision in reversed(self._latest.values()):
            if decision.number <= number:
                break
            found.append(decision)
        return found[::-1]

    def labelled(self) -> dict[str, str]:
        """The labels by path, without those that were taken back and `unsure` ones."""
        return {path: found.label for path, found in self._latest.items() if found.state == rows.DECIDED}

    def refresh(self) -> list[Decision]:
        """Read what others have appended, and return it.

        Raises:
            UserError: it cannot be read, or is not such a file.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._begin_anew(None)
            return []
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror}") from None
        try:
            return self._read(descriptor)
        finally:
            os.close(descriptor)

    def decide(self, row: Row, label: str, seen: int) -> Decision:
        """Append a decision and bring it to the disk.

        Args:
            row: what it is about.
            label: as `is_label` takes it.
            seen: the number of the latest decision on its path that the person knows; 0 for none.

        Raises:
            ConflictError: there is a later one; nothing was written.
            UserError: the file cannot be read, or is locked for too long.
            OSError: it cannot be written; nothing of it stays then.
        """
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with _locked(descriptor, self.path) as is_locked:
                self._read(descriptor)
                latest = self._latest.get(row.path)
                if latest is not None and latest.number != seen:
                    raise ConflictError(latest)
                end = self._repair(descriptor, is_locked=is_locked)
                line = (row.path, row.answer, row.confidence, label, self.by, time.strftime(_WHEN, time.gmtime()))
                _append(descriptor, end, _rendered([line] if end else [REVIEW_COLUMNS, line]))
                self._read(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self.path.parent)
        return self._latest[row.path]

    def _begin_anew(self, identity: tuple[int, int] | None) -> None:
        self.epoch += self._identity is not None
        self._identity = identity
        self._forget()

    def _read(self, descriptor: int) -> list[Decision]:
        """Read the whole lines that are new."""
        status = os.fstat(descriptor)
        identity = status.st_dev, status.st_ino
        if identity != self._identity or status.st_size < self._at:
            self._begin_anew(identity)
        new: list[Decision] = []
        octets = os.pread(descriptor, status.st_size - self._at, self._at)
        for record in csv_records(io.BytesIO(octets)):
            if not record.endswith(b"\n"):
                break
            is_header = self._at == 0
            self._at += len(record)
            fields = next(csv.reader([record.decode("utf-8", "surrogateescape")]), [])
            if is_header:
                self._check_header(fields)
            elif len(fields) == len(REVIEW_COLUMNS):
                self.count += 1
                decision = Decision(self.count, *fields)
                self._latest.pop(decision.path, None)
                self._latest[decision.path] = decision
                new.append(decision)
        return new

    def _check_header(self, fields: list[str]) -> None:
        if tuple(fields) != REVIEW_COLUMNS:
            self._forget()
            raise UserError(f"{self.path} is no file of digits-review: move it away")

    def _repair(self, descriptor: int, *, is_locked: bool) -> int:
        """Deal with a last line that a crash left unfinished; return the size of the file."""
        size = os.fstat(descriptor).st_size
        rest = os.pread(descriptor, size - self._at, self._at)
        if not rest:
            return size
        # An editor may have taken the last newline. And without locks, it may be somebody's line on its way.
        if _IS_WHOLE.search(rest) or not is_locked:
            os.write(descriptor, b"\n")
            self._read(descriptor)
            return size + 1
        os.ftruncate(descriptor, self._at)
        return self._at


def _rendered(lines: "list[tuple[str, ...]]") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _append(descriptor: int, end: int, octets: bytes) -> None:
    try:
        rest = memoryview(octets)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        try_sync(descriptor)
    except OSError:
        # A full disk takes a part of a line.
        os.ftruncate(descriptor, end)
        raise


@contextmanager
def _locked(descriptor: int, path: Path) -> Iterator[bool]:
    """Hold the lock of an open file; yields whether its file system offers one."""
    until = time.monotonic() + _LOCK_S
    while True:
        try:
            is_locked = try_lock(descriptor)
            break
        except HeldError:
            if time.monotonic() > until:
                raise UserError(f"another process holds {path}: try again") from None
            time.sleep(0.005)
    try:
        yield is_locked
    finally:
        if is_locked:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
