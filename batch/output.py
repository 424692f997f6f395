"""The table in its forms: CSV, JSON Lines and Parquet.

| column | CSV | JSON Lines | Parquet |
|---|---|---|---|
| path | text | string | string |
| digit | number | number | int8 |
| confidence | four decimals | number | float |
| error | text, empty for none | string | string |
| model_version | text, empty where no model was asked | string | string |
| review, with a least confidence | 0 or 1 | false or true | bool |
| p0 to p9, with probabilities | four decimals | `probabilities`, a list | list of float |

CSV is RFC 4180's, and names that are no UTF-8 keep their bytes; in JSON those bytes are lone surrogates, as Python
reads and writes them, and in Parquet, whose strings are UTF-8, backslash escapes.
"""

import contextlib
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from batch.answers import Answer
from batch.walk import File
from exporter.command import UserError, require_extra
from exporter.contract import CLASSES

STANDARD_OUTPUT = Path("-")
COLUMNS = ("path", "digit", "confidence", "error", "model_version")
REVIEW = "review"
PROBABILITIES = "probabilities"
_ROW_GROUP = 65536  # rows of Parquet in memory

Row = tuple[str, Answer]
"""A file's path and its answer."""


@dataclass(frozen=True)
class Form:
    """Which columns there are besides the usual five.

    Attributes:
        probabilities: those of each digit.
        min_confidence: a lower confidence is marked in column `review`, as errors are; None for no such column.
    """

    probabilities: bool = False
    min_confidence: float | None = None

    def review(self, answer: Answer) -> bool:
        """Whether a person should look at it."""
        return bool(answer.error) or float(answer.confidence) < (self.min_confidence or 0)


Write = Callable[[Path, Iterable[Row], Form], None]


def writer(out: Path) -> Write:
    """What writes the form that an output's ending names.

    Raises:
        UserError: there is no such form, or its extra is not installed.
    """
    ending = out.suffix.lower()
    if ending not in _WRITERS:
        raise UserError(f"--out {out}: the ending says the form of the table; choose {', '.join(_WRITERS)}")
    if ending == ".parquet":
        require_extra("parquet", "pyarrow")
    return _WRITERS[ending]


def write_whole(out: Path, rows: Iterable[Row], form: Form, *, force: bool) -> None:
    """Write a table to a temporary file beside its place, sync it, and rename it.

    Raises:
        UserError: something stands in its place since the run began, and must not be overwritten.
        OSError: the disk is full.
    """
    # One name, as the journal's lock lets only one run write it: what a killed run left is written over.
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        writer(out)(temporary, rows, form)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if not force:
            refuse_to_overwrite(out)
        temporary.replace(out)
        _sync_folder(out.parent)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_to_overwrite(out: Path) -> None:
    """Raise UserError if the output is there already."""
    if os.path.lexists(out):
        raise UserError(f"{out} is there already; add --force to write it anew, or choose another --out")


def _sync_folder(folder: Path) -> None:
    """Make a rename last; file systems that cannot do that for folders are left to themselves."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Stream:
    """A table on standard output, each request's rows as they come: takes a journal's place where there is none."""

    def __init__(self, form: Form) -> None:
        # A descriptor of its own, that fails when it is written and not when Python ends.
        self._file = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="surrogateescape", newline="")
        self._form = form
        self._writer = csv.writer(self._file)
        self._writer.writerow(_csv_header(form))

    def done(self, _number: int, _files: list[File]) -> None:
        """Nothing ever is."""

    def append(self, _number: int, files: list[File], answers: list[Answer]) -> None:
        """Write the rows of a request. Raises OSError if nobody reads them any more."""
        rows = zip((file.path for file in files), answers, strict=True)
        self._writer.writerows(_csv_rows(rows, self._form))
        self._file.flush()

    def start_over(self) -> None:
        """Raise UserError: what is written cannot be taken back."""
        raise UserError("standard output cannot start over: name a file with --out")

    def close(self) -> None:
        """Flush and close."""
        with contextlib.suppress(OSError):
            self._file.close()


def _text(path: Path) -> IO[str]:
    # A file name that is no UTF-8 keeps its bytes.
    return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")


def _write_csv(path: Path, rows: Iterable[Row], form: Form) -> None:
    with _text(path) as file:
        table = csv.writer(file)
        table.writerow(_csv_header(form))
        table.writerows(_csv_rows(rows, form))


def _csv_header(form: Form) -> list[str]:
    header = list(COLUMNS)
    if form.min_confidence is not None:
        header.append(REVIEW)
    if form.probabilities:
        header += [f"p{digit}" for digit in range(CLASSES)]
    return header


def _csv_rows(rows: Iterable[Row], form: Form) -> Iterator[tuple[Any, ...]]:
    for path, answer in rows:
        review = () if form.min_confidence is None else (int(form.review(answer)),)
        yield path, *answer[:4], *review, *answer.probabilities


def _write_json_lines(path: Path, rows: Iterable[Row], form: Form) -> None:
    with _text(path) as file:
        file.writelines(json.dumps(record) + "\n" for record in _records(rows, form))


def _records(rows: Iterable[Row], form: Form) -> Iterator[dict[str, Any]]:
    for path, answer in rows:
        values = (path, answer.digit, float(answer.confidence), answer.error, answer.version)
        record: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
        if form.min_confidence is not None:
            record[REVIEW] = form.review(answer)
        if form.probabilities:
            record[PROBABILITIES] = [float(share) for share in answer.probabilities]
        yield record


def _write_parquet(path: Path, rows: Iterable[Row], form: Form) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415 - likewise

    types = {"path": pa.string(), "digit": pa.int8(), "confidence": pa.float32(), "error": pa.string()}
    types |= {"model_version": pa.string()}
    if form.min_confidence is not None:
        types[REVIEW] = pa.bool_()
    if form.probabilities:
        types[PROBABILITIES] = pa.list_(pa.float32(), CLASSES)
    schema = pa.schema(types)
    records = _records(((path.encode(errors="backslashreplace").decode(), answer) for path, answer in rows), form)
    with parquet.ParquetWriter(path, schema) as table:
        while group := list(islice(records, _ROW_GROUP)):
            table.write_table(pa.Table.from_pylist(group, schema))


_WRITERS: dict[str, Write] = {
    ".csv": _write_csv,
    ".jsonl": _write_json_lines,
    ".ndjson": _write_json_lines,
    ".parquet": _write_parquet,
}
