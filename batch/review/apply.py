"""A copy of a table in which people's decisions have taken the place of answers."""

import contextlib
import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch.disk.offered import sync_folder, try_sync
from batch.review.decisions import Decisions, decisions_of
from batch.table.columns import REVIEW
from batch.table.forms import ENDINGS, ERROR, PATH, answer_column, open_form, read_parquet
from batch.table.output import refuse_to_overwrite
from exporter.command import UserError
from exporter.contract import DIGIT, NO_DIGIT
from exporter.label_file import NONE

REVIEWED = "reviewed"
"""The column that is added: whether a person has decided on the row."""
NOTHING_THERE = "no digit"
"""The error of rows that a person has decided to hold no digit."""


@dataclass
class Applied:
    """Counts of a corrected table.

    Attributes:
        rows: all of them.
        confirmed: those whose answer a person found right.
        changed: those with another answer than before, or with one instead of an error.
        empty: those without a digit.
        unsure: those that a person could not decide on, which stay as they were.
        absent: decisions on paths that the table lacks.
    """

    rows: int = 0
    confirmed: int = 0
    changed: int = 0
    empty: int = 0
    unsure: int = 0
    absent: int = 0


def apply(table: Path, out: Path, *, force: bool) -> Applied:
    """Write the corrected table, to a temporary file that takes its place when it is whole.

    Args:
        table: CSV, JSON Lines or Parquet.
        out: of the same form.
        force: whether to write over a file that is there.

    Raises:
        UserError: there are no decisions, the table is none, or `out` must not be written.
        OSError: `out` cannot be written.
    """
    if out.suffix.lower() != table.suffix.lower() or out.suffix.lower() not in ENDINGS:
        raise UserError(
            f"--apply {out}: a corrected table has the form of its table; let the name end in {table.suffix}"
        )
    if out.resolve() in (table.resolve(), decisions_of(table).resolve()):
        raise UserError(f"--apply {out} would overwrite what it is made of: choose another name")
    if not force:
        refuse_to_overwrite(out)
    decisions = Decisions(decisions_of(table), "")
    decisions.refresh()
    if not decisions.count:
        raise UserError(f"{decisions.path} holds no decisions: review {table} first")
    file, form = open_form(table)
    file.close()
    corrections = _Corrections(decisions, form.answer)
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        _WRITERS[table.suffix.lower()](table, temporary, corrections)
        # Open for writing: over SMB what is open for reading cannot be synced.
        with temporary.open("r+b") as corrected:
            try_sync(corrected.fileno())
        temporary.replace(out)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync_folder(out.parent)
    return corrections.count()


class _Corrections:
    """Puts rows right, and counts."""

    def __init__(self, decisions: Decisions, answer: str) -> None:
        self._decisions = decisions
        self._labels = decisions.labelled()
        self._answer = answer
        self._applied = Applied()
        self._met: set[str] = set()

    def correct(self, record: dict[str, Any]) -> None:
        """Put a row right, by the names of its columns; column REVIEWED gets a bool."""
        path = record[PATH]
        label = self._labels.get(path)
        self._applied.rows += 1
        # A table that was corrected before has the column already.
        record[REVIEWED] = label is not None or str(record.get(REVIEWED)) in ("1", "True")
        if label is None:
            found = self._decisions.of(path)
            self._applied.unsure += found is not None and bool(found.label)
            return
        self._met.add(path)
        is_digits = self._answer == DIGIT
        if label == NONE:
            self._applied.empty += 1
            record[self._answer] = NO_DIGIT if is_digits else ""
            record[ERROR] = NOTHING_THERE
        else:
            is_same = not record[ERROR] and str(record[self._answer]) == label
            self._applied.confirmed += is_same
            self._applied.changed += not is_same
            record[self._answer] = int(label) if is_digits else label
            record[ERROR] = ""
        if REVIEW in record:
            # Nobody need look at it any more.
            record[REVIEW] = type(record[REVIEW])(0)

    def count(self) -> Applied:
        """What was done."""
        self._applied.absent = len(self._labels.keys() - self._met)
        return self._applied


def _write_csv(table: Path, out: Path, corrections: _Corrections) -> None:
    with (
        table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines,
        out.open("w", encoding="utf-8", errors="surrogateescape", newline="") as text,
    ):
        reader = csv.DictReader(lines)
        columns = [name for name in reader.fieldnames or () if name != REVIEWED]
        writer = csv.DictWriter(text, [*columns, REVIEWED])
        writer.writeheader()
        for record in reader:
            if None in record or None in record.values():
                raise UserError(f"{table}, line {reader.line_num}: no row of digits-batch")
            corrections.correct(record)
            record[REVIEWED] = int(record[REVIEWED])
            writer.writerow(record)


def _write_json(table: Path, out: Path, corrections: _Corrections) -> None:
    with table.open("rb") as lines, out.open("wb") as text:
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                corrections.correct(record)
            except (ValueError, KeyError, TypeError):
                raise UserError(f"{table}, line {number}: no row of digits-batch") from None
            text.write(json.dumps(record).encode() + b"\n")


def _write_parquet(table: Path, out: Path, corrections: _Corrections) -> None:
    with table.open("rb") as file:
        names, batches = read_parquet(table, file)
        answer_column(table, names)
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - likewise

        schema = parquet.read_schema(table)
        if REVIEWED not in names:
            schema = schema.append(pa.field(REVIEWED, pa.bool_()))
        with parquet.ParquetWriter(out, schema) as writer:
            for records in (batch.to_pylist() for batch in batches):
                for record in records:
                    corrections.correct(record)
                writer.write_table(pa.Table.from_pylist(records, schema))


_WRITERS: dict[str, Callable[[Path, Path, _Corrections], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_json,
    ".ndjson": _write_json,
    ".parquet": _write_parquet,
}
