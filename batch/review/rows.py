"""An index of a table's rows: some thirty bytes each, and the rows themselves stay in the file."""

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from batch.review.sample import WHOLE
from batch.table.forms import NoRowError, Reading, Row, open_form
from exporter.command import UserError
from exporter.contract import DIGIT

UNDECIDED, DECIDED, UNSURE = range(3)
"""What is known of a row's decision."""

_KEY_BYTES = 8
_MOST_ERRORS = 255  # different texts
_NO_ANSWER = -1


@dataclass(frozen=True)
class Filter:
    """Which rows are wanted; each empty field lets all through.

    Attributes:
        answer: the digit of the answer.
        low: the least confidence.
        high: the highest.
        folder: what lies in it or in a folder in it.
        error: "any" for rows with an error, "none" for those without, or an error's text.
        state: "undecided", "decided" (by a digit, a text or `none`) or "unsure".
    """

    answer: str = ""
    low: float = 0.0
    high: float = 1.0
    folder: str = ""
    error: str = ""
    state: str = ""


class Rows:
    """The rows of one table as it was when it was opened; what becomes of the file later changes nothing.

    Args:
        table: CSV, JSON Lines or Parquet.
        state_of: what is known of the decision of the row of a path.

    Attributes:
        is_digits: whether answers are single digits; else they are texts of several.
        count: how many there are.
        errors: the texts of their errors.
        folders: the folders of their paths.
        decided: how many have a decision other than `unsure`.
        identity: tells whether the file is still the same.

    Raises:
        UserError: it cannot be read, or is no table of digits-batch.
    """

    def __init__(self, table: Path, state_of: Callable[[str], int]) -> None:
        self._file, self._form = open_form(table)
        self.identity = identity_of(table)
        self.is_digits = self._form.answer == DIGIT
        self.errors: list[str] = []
        self._offsets = array("Q", [self._form.start])
        # For each row: its confidence in ten-thousandths and one more, 0 for an error; what it is found by;
        # the number of its error, from 1; of its folder; its digit; what is decided.
        self._ranks = array("H")
        self._keys = bytearray()
        self._error_numbers = array("B")
        self._folder_numbers = array("I")
        self._answers = array("b")
        self._states = bytearray()
        self._folders: dict[str, int] = {}
        self._error_texts: dict[str, int] = {"": 0}
        self._last = b""
        self.count = self.decided = 0
        try:
            self._index(table, state_of)
        except BaseException:
            self._file.close()
            raise

    def _index(self, table: Path, state_of: Callable[[str], int]) -> None:
        """Take the rows that are new."""
        texts, offset = self._error_texts, self._offsets[-1]
        for number, octets in enumerate(self._form.pieces(self._file, offset), self.count + 1):
            try:
                row = self._form.row(octets)
                rank = 0 if row.error else 1 + _ten_thousandths(row.confidence)
                self._answers.append(int(row.answer) if self.is_digits and row.answer else _NO_ANSWER)
            except (NoRowError, ValueError, OverflowError):
                raise UserError(f"{table}: row {number:,} is no row of digits-batch") from None
            if row.error not in texts:
                if len(texts) > _MOST_ERRORS:
                    raise UserError(f"{table} is no table of digits-batch: it has more than {_MOST_ERRORS} errors")
                texts[row.error] = len(texts)
            offset += len(octets)
            self._offsets.append(offset)
            self._ranks.append(rank)
            self._keys += _key(row.path)
            self._error_numbers.append(texts[row.error])
            folder = row.path.rpartition("/")[0]
            self._folder_numbers.append(self._folders.setdefault(folder, len(self._folders)))
            self._states.append(state_of(row.path))
            self._last = octets
        self.errors = [text for text in texts if text]
        self.count = len(self._ranks)
        # Errors first, then the least sure; in the table's order among equals.
        self._order = array("I", sorted(range(self.count), key=self._ranks.__getitem__))
        self.decided = self._states.count(DECIDED)

    def grow(self, table: Path, state_of: Callable[[str], int]) -> bool:
        """Take the rows that a watch has appended since; the numbers of the others stay.

        Returns:
            Whether the table is the one that was opened, and goes on; if not, it is to be opened anew.

        Raises:
            UserError: what was appended is no row; nothing of it is taken.
        """
        identity = identity_of(table)
        place = self._offsets[-1] - len(self._last)
        if (
            table.suffix.lower() == ".parquet"
            or identity[:2] != self.identity[:2]
            or identity[2] < self.identity[2]
            or not self._last.endswith(b"\n")
            or os.pread(self._file.fileno(), len(self._last), place) != self._last
        ):
            return False
        last = self._last
        try:
            self._index(table, state_of)
        except UserError:
            self._last = last
            for column in (self._ranks, self._error_numbers, self._folder_numbers, self._answers, self._states):
                del column[self.count :]
            del self._offsets[self.count + 1 :], self._keys[self.count * _KEY_BYTES :]
            raise
        self.identity = identity
        return True

    @property
    def folders(self) -> list[str]:
        """The folders of the paths, sorted."""
        return sorted(self._folders)

    def row(self, number: int) -> Row:
        """A row by its number in the table, from 0.

        Raises:
            NoRowError: there is none, or the file was written over in place since it was opened.
        """
        return self._form.row(self._octets(number))

    def readings(self, number: int) -> list[Reading] | None:
        """The model's readings of a row's field, the best first; None in a table without them. Raises as `row`."""
        return self._form.readings(self._octets(number))

    def _octets(self, number: int) -> bytes:
        if not 0 <= number < self.count:
            raise NoRowError
        first, end = self._offsets[number], self._offsets[number + 1]
        try:
            return os.pread(self._file.fileno(), end - first, first)
        except OSError:  # as on a share, where another machine has taken the file away
            raise NoRowError from None

    def confidence(self, number: int) -> int:
        """Of a row with an answer, in ten-thousandths."""
        return self._ranks[number] - 1

    def confidences(self) -> dict[int, int]:
        """How many rows have an answer, by its confidence in ten-thousandths."""
        return {rank - 1: count for rank, count in Counter(self._ranks).items() if rank}

    def fingerprint(self) -> str:
        """Another one when the rows have other confidences, errors or digits, or are in another order."""
        return hashlib.sha256(self._ranks.tobytes() + self._answers.tobytes()).hexdigest()

    def state(self, number: int) -> int:
        """What is known of a row's decision."""
        return self._states[number]

    def mark(self, path: str, state: int) -> None:
        """Note what has become known of the decision for a path."""
        for number in self._numbers_of(path):
            self.decided += (state == DECIDED) - (self._states[number] == DECIDED)
            self._states[number] = state

    def select(self, wanted: Filter) -> "array[int]":
        """The numbers of the rows that a filter lets through: errors first, then the least sure."""
        tests = list(self._tests(wanted))
        order: array[int] = self._order
        for test in tests:
            order = array("I", filter(test, order))
        return order

    def _tests(self, wanted: Filter) -> Iterator[Callable[[int], bool]]:
        ranks, errors, states = self._ranks, self._error_numbers, self._states
        if wanted.low > 0 or wanted.high < 1:
            low, high = (1 + round(limit * WHOLE) for limit in (wanted.low, wanted.high))
            yield lambda number: low <= ranks[number] <= high
        if wanted.answer:
            answers, digit = self._answers, wanted.answer
            yield lambda number: str(answers[number]) == digit
        if wanted.error == "none":
            yield lambda number: not errors[number]
        elif wanted.error == "any":
            yield lambda number: bool(errors[number])
        elif wanted.error:
            text = self.errors.index(wanted.error) + 1 if wanted.error in self.errors else -1
            yield lambda number: errors[number] == text
        if wanted.state:
            state = {"undecided": UNDECIDED, "decided": DECIDED, "unsure": UNSURE}.get(wanted.state, -1)
            yield lambda number: states[number] == state
        if wanted.folder:
            top = wanted.folder.rstrip("/")
            within = {place for name, place in self._folders.items() if name == top or name.startswith(top + "/")}
            folders = self._folder_numbers
            yield lambda number: folders[number] in within

    def _numbers_of(self, path: str) -> Iterator[int]:
        """The rows of a path: one, unless digits-batch was given a file twice."""
        key = _key(path)
        at = self._keys.find(key)
        while at >= 0:
            number, rest = divmod(at, _KEY_BYTES)
            if not rest and self.row(number).path == path:
                yield number
            at = self._keys.find(key, at + 1)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def identity_of(table: Path) -> tuple[int, ...]:
    """What is another when a table was written anew or goes on; empty where there is none."""
    try:
        status = table.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _key(path: str) -> bytes:
    """Eight bytes that hardly any two paths share."""
    return (hash(path) & 0xFFFFFFFFFFFFFFFF).to_bytes(_KEY_BYTES, "little")


def _ten_thousandths(confidence: str) -> int:
    return min(max(round(float(confidence) * WHOLE), 0), WHOLE)
