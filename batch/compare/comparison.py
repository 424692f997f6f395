"""What became of each row of a table in another one of the same files.

The answers of the old table are held in memory by path, some 300 bytes each, and so are all changes; the new table is
read row by row.
"""

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from batch.accuracy.truth import Truth, read_truth
from batch.compare.against import Against
from batch.table.forms import Form, NoRowError, Row, open_form
from batch.table.output import STANDARD_OUTPUT
from exporter.command import UserError
from exporter.contract import CLASSES, DIGIT
from exporter.label_file import DIGITS, TEXTS

BANDS = (0.5, 0.8, 0.95, 0.99)
"""Where one band of confidence ends and the next begins."""

_DIGITS = frozenset(map(str, range(CLASSES)))


class Side(NamedTuple):
    """What one table says of a file.

    Attributes:
        answer: a digit or a text; empty with an error.
        confidence: with four decimals.
        error: empty for none.
    """

    answer: str
    confidence: str
    error: str


class Change(NamedTuple):
    """A file that the tables do not say the same of.

    Attributes:
        path: as in the tables.
        old: what the old table says.
        new: what the new one says.
        truth: its label; empty for none.
        outcome: BETTER, WORSE or NEITHER; empty without a label.
    """

    path: str
    old: Side
    new: Side
    truth: str
    outcome: str

    def rank(self) -> tuple[float, float, str]:
        """Sorts changes: first those that both tables are sure of, last those from and to an error."""
        low, high = sorted((_sureness(self.old), _sureness(self.new)))
        return -low, -high, self.path


@dataclass
class Part:
    """What is counted of one table, over the rows that are in both.

    Attributes:
        answered: rows without an error.
        confidence: the sum of theirs.
        versions: rows by the model's version.
        repeated: rows of this table that are left out, as their path came before.
        alone: paths that the other table has not, in the table's order.
    """

    answered: int = 0
    confidence: float = 0.0
    versions: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    alone: list[str] = field(default_factory=list)

    def add(self, side: Side, version: str) -> None:
        """Count a row that is in both tables."""
        if not side.error:
            self.answered += 1
            self.confidence += float(side.confidence)
        if version:
            self.versions[version] += 1

    @property
    def mean_confidence(self) -> float | None:
        """Of the rows without an error; None of no rows."""
        return self.confidence / self.answered if self.answered else None


@dataclass
class Comparison:
    """Two tables, compared.

    Attributes:
        is_digits: whether answers are single digits; else they are texts of several.
        same: rows with the same answer in both.
        changed: with another.
        failed: with an answer in the old table and an error in the new one.
        recovered: with an error in the old table and an answer in the new one.
        errors: with an error in both.
        old: of the old table.
        new: of the new one.
        bands: of rows with another answer, by the places of both confidences among the bands.
        changes: all rows that are changed, failed or recovered; the most confident first.
        against: the truth, where it is known.
    """

    is_digits: bool
    same: int = 0
    changed: int = 0
    failed: int = 0
    recovered: int = 0
    errors: int = 0
    old: Part = field(default_factory=Part)
    new: Part = field(default_factory=Part)
    bands: Counter[tuple[int, int]] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    against: Against | None = None

    @property
    def rows(self) -> int:
        """How many are in both tables."""
        return self.same + len(self.changes) + self.errors

    def count(self, old: Side, new: Side) -> bool:
        """Count a row that is in both tables, and say whether it is a change."""
        if old.error or new.error:
            self.errors += bool(old.error and new.error)
            self.failed += not old.error
            self.recovered += not new.error
            return not (old.error and new.error)
        if old.answer == new.answer:
            self.same += 1
            return False
        self.changed += 1
        self.bands[_band(old), _band(new)] += 1
        return True


def compare(old: Path, new: Path, truth: str | None = None) -> Comparison:
    """Compare two tables of the same files, each in any form.

    Args:
        old: a table.
        new: another one of the same kind, whose rows may be in another order.
        truth: where labels are, as `read_truth` takes it.

    Raises:
        UserError: one is no table, one is of digits and the other of numbers, they have no file in common, the labels
            cannot be read, or no row in both has one.
    """
    old_file, old_form = open_form(old)
    with old_file:
        new_file, new_form = open_form(new)
        with new_file:
            if old_form.answer != new_form.answer:
                kinds = {True: "single digits", False: "numbers"}
                raise UserError(
                    f"{old} has {kinds[old_form.answer == DIGIT]}, and {new} {kinds[new_form.answer == DIGIT]}: "
                    "compare two tables of the same kind"
                )
            rows = _rows(old, old_file, old_form), _rows(new, new_file, new_form)
            found = _compare(*rows, truth, is_digits=old_form.answer == DIGIT)
    if not found.rows:
        raise UserError(f"{old} and {new} have no file in common: their paths must be written alike")
    if found.against is not None and not found.against.images:
        raise UserError(
            f"--truth {truth}: none of the {found.rows:,} rows in both tables has a label; wanted are "
            f"{(DIGITS if found.is_digits else TEXTS).folders}, or a CSV of path,label"
        )
    return found


def _compare(old: Iterator[Row], new: Iterator[Row], source: str | None, *, is_digits: bool) -> Comparison:
    found = Comparison(is_digits)
    truth: Truth[int] | Truth[str] | None = None
    if source is not None:
        out = STANDARD_OUTPUT
        truth = read_truth(source, out, DIGITS) if is_digits else read_truth(source, out, TEXTS)
        found.against = Against()
    # None for a row that the new table has had.
    known: dict[str, tuple[Side, str] | None] = {}
    for row in old:
        if row.path in known:
            found.old.repeated += 1
        else:
            known[row.path] = _side(row), sys.intern(row.version)
    alone: dict[str, None] = {}
    for row in new:
        if row.path in alone or known.get(row.path, ()) is None:
            found.new.repeated += 1
            continue
        before = known.get(row.path)
        if before is None:
            alone[row.path] = None
            continue
        known[row.path] = None
        _add(found, row, before, None if truth is None else truth(row.path))
    found.new.alone = list(alone)
    found.old.alone = [path for path, before in known.items() if before is not None]
    found.changes.sort(key=Change.rank)
    return found


def _add(found: Comparison, row: Row, before: tuple[Side, str], label: object) -> None:
    old, new = before[0], _side(row)
    found.old.add(old, before[1])
    found.new.add(new, row.version)
    is_change = found.count(old, new)
    truth = outcome = ""
    if found.against is not None:
        if label is None:
            found.against.unlabelled += 1
        else:
            truth = str(label)
            outcome = found.against.add(old.answer, new.answer, truth, is_change=is_change)
    if is_change:
        found.changes.append(Change(row.path, old, new, truth, outcome))


def _rows(table: Path, file: BinaryIO, form: Form) -> Iterator[Row]:
    for number, octets in enumerate(form.pieces(file, form.start), 1):
        try:
            row = form.row(octets)
            is_right = 0 <= float(row.confidence) <= 1 and (
                bool(row.error) or form.answer != DIGIT or row.answer in _DIGITS
            )
        except (NoRowError, ValueError, OverflowError):
            is_right = False
        if not is_right:
            raise UserError(f"{table}: row {number:,} is no row of digits-batch")
        yield row


def _side(row: Row) -> Side:
    # Of a million rows, few have texts of their own: each is held once.
    return Side(sys.intern(row.answer), sys.intern(f"{float(row.confidence):.4f}"), sys.intern(row.error))


def _sureness(side: Side) -> float:
    return -1.0 if side.error else float(side.confidence)


def _band(side: Side) -> int:
    return bisect_right(BANDS, float(side.confidence))
