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
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from batch.client.answers import Answer
from batch.disk.offered import try_sync
from batch.files.file import File
from exporter.command import UserError, require_extra
from exporter.contract import CLASSES

STANDARD_OUTPUT = Path("-")
COLUMNS = ("path", "digit", "confidence", "error", "model_version")
REVIEW = "review"
PROBABILITIES = "probabilities"
_ROW_GROUP = 65536  # rows of Parquet in memory, and a request's more


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


def check_output(out: Path, name: str | None = None) -> None:
    """Raise UserError if an output's ending names no form of a table, or one whose extra is not installed.

    Args:
        out: its place.
        name: what the user calls it, where that is something else.
    """
    ending = out.suffix.lower()
    if ending not in _TABLES:
        raise UserError(f"--out {name or out}: the ending says the form of the table; choose {', '.join(_TABLES)}")
    if ending == ".parquet":
        require_extra("parquet", "pyarrow")


def refuse_to_overwrite(out: Path) -> None:
    """Raise UserError if the output is there already."""
    if os.path.lexists(out):
        raise UserError(f"{out} is there already; add --force to write it anew, or choose another --out")


class Output:
    """A table that is written as the answers come, to a temporary file beside its place until it is whole.

    Args:
        out: its place.
        form: its columns.
        ending: names the form, as `check_output` sees to; that of `out` unless a link of another name leads there.

    Attributes:
        temporary: the file that is being written.

    Raises OSError, as all its methods do, if the disk is full.
    """

    def __init__(self, out: Path, form: Form, ending: str | None = None) -> None:
        self._out = out
        self._form = form
        self._make = _TABLES[(ending or out.suffix).lower()]
        # One name, as the journal's lock lets only one run write it: what a killed run left is written over.
        self.temporary = out.with_name(f".{out.name}.tmp")
        self._table = self._make(self.temporary, form)

    def add(self, files: list[File], answers: list[Answer]) -> None:
        """Write the rows of a request."""
        self._table.add(files, answers)

    def add_rendered(self, octets: bytes) -> None:
        """Write rows of a CSV that are rendered already, with the same columns."""
        if not isinstance(self._table, _Csv):
            raise TypeError
        self._table.add_rendered(octets)

    def start_over(self) -> None:
        """Throw the rows away."""
        self._table.close()
        self._table = self._make(self.temporary, self._form)

    def sync(self, notify: Callable[[str], None] = lambda _: None) -> int:
        """Finish the temporary file, make it last, and return its inode.

        Args:
            notify: told in one line if the file system offers no syncing.
        """
        self._table.close()
        # Open for writing: over SMB what is open for reading cannot be synced.
        with self.temporary.open("r+b") as file:
            if not try_sync(file.fileno()):
                notify(
                    f"the file system of {self._out} offers no syncing: if the machine fails within the next minute, "
                    "check that the table is complete"
                )
            return os.fstat(file.fileno()).st_ino

    def take_place(self, *, force: bool) -> None:
        """Rename the finished file. Raises UserError if something stands in its place and must not be overwritten."""
        if not force:
            refuse_to_overwrite(self._out)
        self.temporary.replace(self._out)

    def discard(self) -> None:
        """Remove the temporary file, if it has not taken its place."""
        with contextlib.suppress(OSError):  # rows that a full disk does not take any more
            self._table.close()
        self.temporary.unlink(missing_ok=True)


class Stream:
    """A table on standard output, each request's rows as they come.

    Raises UserError if standard output is closed from the first, OSError if nobody reads it any more.
    """

    def __init__(self, form: Form) -> None:
        if sys.stdout is None:
            raise UserError("--out -: standard output is closed; name a file")
        # A descriptor of its own, that fails when it is written and not when Python ends.
        self._table = _Csv(os.dup(sys.stdout.fileno()), form)

    def add(self, files: list[File], answers: list[Answer]) -> None:
        """Write the rows of a request."""
        self._table.add(files, answers)
        self._table.flush()

    def start_over(self) -> None:
        """Raise UserError: what is written cannot be taken back."""
        raise UserError("standard output cannot start over: name a file with --out")

    def close(self) -> None:
        """Flush and close."""
        with contextlib.suppress(OSError):
            self._table.close()


class _Table(Protocol):
    """Takes the rows of a table in one of its forms."""

    def add(self, files: list[File], answers: list[Answer]) -> None: ...
    def close(self) -> None: ...


def _text(file: Path | int) -> TextIO:
    # A file name that is no UTF-8 keeps its bytes.
    return open(file, "w", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: PTH123 - or a descriptor


class _Csv:
    def __init__(self, file: Path | int, form: Form) -> None:
        self._file = _text(file)
        self._form = form
        self._writer = csv.writer(self._file)
        self._writer.writerow(_csv_header(form))

    def add(self, files: list[File], answers: list[Answer]) -> None:
        self._writer.writerows(_csv_rows(files, answers, self._form))

    def add_rendered(self, octets: bytes) -> None:
        self._file.flush()
        self._file.buffer.write(octets)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _JsonLines:
    def __init__(self, path: Path, form: Form) -> None:
        self._file = _text(path)
        self._form = form

    def add(self, files: list[File], answers: list[Answer]) -> None:
        for file, answer in zip(files, answers, strict=True):
            self._file.write(json.dumps(_record(file.path, answer, self._form)) + "\n")

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, form: Form) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - likewise

        types = {"path": pa.string(), "digit": pa.int8(), "confidence": pa.float32(), "error": pa.string()}
        types |= {"model_version": pa.string()}
        if form.min_confidence is not None:
            types[REVIEW] = pa.bool_()
        if form.probabilities:
            types[PROBABILITIES] = pa.list_(pa.float32(), CLASSES)
        self._schema = pa.schema(types)
        self._to_table = pa.Table.from_pylist
        self._writer = parquet.ParquetWriter(path, self._schema)
        self._form = form
        self._group: list[dict[str, Any]] = []

    def add(self, files: list[File], answers: list[Answer]) -> None:
        for file, answer in zip(files, answers, strict=True):
            path = file.path.encode(errors="backslashreplace").decode()
            self._group.append(_record(path, answer, self._form))
        if len(self._group) >= _ROW_GROUP:
            self._write_group()

    def close(self) -> None:
        if self._writer.is_open:
            if self._group:
                self._write_group()
            self._writer.close()

    def _write_group(self) -> None:
        self._writer.write_table(self._to_table(self._group, self._schema))
        self._group = []


def _csv_header(form: Form) -> list[str]:
    header = list(COLUMNS)
    if form.min_confidence is not None:
        header.append(REVIEW)
    if form.probabilities:
        header += [f"p{digit}" for digit in range(CLASSES)]
    return header


def _csv_rows(files: list[File], answers: list[Answer], form: Form) -> Iterator[tuple[Any, ...]]:
    for file, answer in zip(files, answers, strict=True):
        review = () if form.min_confidence is None else (int(form.review(answer)),)
        yield file.path, *answer[:4], *review, *answer.probabilities


def render(ending: str, form: Form, files: list[File], answers: list[Answer], *, header: bool) -> bytes:
    """Rows as a growing table has them, which is CSV or JSON Lines by its ending; for a new CSV with its header."""
    text = io.StringIO(newline="")
    if ending == ".csv":
        writer = csv.writer(text)
        if header:
            writer.writerow(_csv_header(form))
        writer.writerows(_csv_rows(files, answers, form))
    else:
        for file, answer in zip(files, answers, strict=True):
            text.write(json.dumps(_record(file.path, answer, form)) + "\n")
    return text.getvalue().encode("utf-8", "surrogateescape")


def _record(path: str, answer: Answer, form: Form) -> dict[str, Any]:
    values = (path, answer.digit, float(answer.confidence), answer.error, answer.version)
    record: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
    if form.min_confidence is not None:
        record[REVIEW] = form.review(answer)
    if form.probabilities:
        record[PROBABILITIES] = [float(share) for share in answer.probabilities]
    return record


_TABLES: dict[str, Callable[[Path, Form], _Table]] = {
    ".csv": _Csv,
    ".jsonl": _JsonLines,
    ".ndjson": _JsonLines,
    ".parquet": _Parquet,
}
