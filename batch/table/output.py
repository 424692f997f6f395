"""The table in its forms: CSV, JSON Lines and Parquet.

Of single digits it has:

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
reads and writes them, and in Parquet, whose strings are UTF-8, backslash escapes. `number_form.py` has the columns of
fields of several digits.
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
from typing import Any, Generic, Protocol, TextIO

from batch.client.answers import Answer, AnyRow
from batch.client.endpoint import Endpoint, Offer
from batch.client.tensors import Target
from batch.client.window import DEFAULT_BATCH_SIZE, DEFAULT_IN_FLIGHT
from batch.disk.offered import try_sync
from batch.files.file import File
from batch.table.columns import REVIEW, STATED, Columns, needs_review
from exporter.command import UserError, require_extra
from exporter.contract import CLASSES, SIGNATURE

STANDARD_OUTPUT = Path("-")
COLUMNS = ("path", "digit", *STATED)
PROBABILITIES = "probabilities"
_ROW_GROUP = 65536  # rows of Parquet in memory, and a request's more


@dataclass(frozen=True)
class Form:
    """What is wanted of each image of a digit: which columns there are besides the usual five.

    Attributes:
        probabilities: those of each digit.
        min_confidence: a lower confidence is marked in column `review`, as errors are; None for no such column.
    """

    probabilities: bool = False
    min_confidence: float | None = None

    expected = None
    signature = SIGNATURE
    batch_size = DEFAULT_BATCH_SIZE
    in_flight = DEFAULT_IN_FLIGHT
    heads = ("answer", "images")

    @property
    def settings(self) -> dict[str, object]:
        """What decides the rows."""
        return {"probabilities": self.probabilities}

    @property
    def options(self) -> dict[str, bool]:
        """Which options that add columns are given."""
        return {"--probabilities": self.probabilities, "--min-confidence": self.min_confidence is not None}

    def question(self, endpoint: Endpoint, target: Target, timeout: float) -> Offer:
        """Look at the signature, and say what it is asked. Raises as `Endpoint.offer`."""
        return endpoint.offer(target, timeout, probabilities=self.probabilities)

    def restore(self, values: list[Any]) -> Answer:
        """The answer whose fields were written as JSON."""
        return Answer.of(values)

    def header(self) -> list[str]:
        """The columns of a CSV."""
        header = list(COLUMNS)
        if self.min_confidence is not None:
            header.append(REVIEW)
        if self.probabilities:
            header += [f"p{digit}" for digit in range(CLASSES)]
        return header

    def rows(self, files: list[File], answers: list[Answer]) -> Iterator[tuple[Any, ...]]:
        """The rows of a CSV."""
        for file, answer in zip(files, answers, strict=True):
            review = () if self.min_confidence is None else (int(needs_review(answer, self.min_confidence)),)
            yield file.path, *answer[:4], *review, *answer.probabilities

    def parse(self, row: list[str]) -> tuple[str, Answer]:
        """The path and the answer of a row of a CSV."""
        path, digit, confidence, error, version = row[: len(COLUMNS)]
        shares = tuple(row[-CLASSES:]) if self.probabilities else ()
        return path, Answer(int(digit), confidence, error, version, shares)

    def record(self, path: str, answer: Answer) -> dict[str, Any]:
        """The row of JSON Lines and Parquet."""
        values = (path, answer.digit, float(answer.confidence), answer.error, answer.version)
        record: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
        if self.min_confidence is not None:
            record[REVIEW] = needs_review(answer, self.min_confidence)
        if self.probabilities:
            record[PROBABILITIES] = [float(share) for share in answer.probabilities]
        return record

    def schema(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Of Parquet: a pyarrow.Schema."""
        import pyarrow as pa  # noqa: PLC0415 - an extra

        types = {"path": pa.string(), "digit": pa.int8(), "confidence": pa.float32(), "error": pa.string()}
        types |= {"model_version": pa.string()}
        if self.min_confidence is not None:
            types[REVIEW] = pa.bool_()
        if self.probabilities:
            types[PROBABILITIES] = pa.list_(pa.float32(), CLASSES)
        return pa.schema(types)


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


class Output(Generic[AnyRow]):
    """A table that is written as the answers come, to a temporary file beside its place until it is whole.

    Args:
        out: its place.
        form: its columns.
        ending: names the form, as `check_output` sees to; that of `out` unless a link of another name leads there.

    Attributes:
        temporary: the file that is being written.

    Raises OSError, as all its methods do, if the disk is full.
    """

    def __init__(self, out: Path, form: Columns[AnyRow], ending: str | None = None) -> None:
        self._out = out
        self._form = form
        self._make = _TABLES[(ending or out.suffix).lower()]
        # One name, as the journal's lock lets only one run write it: what a killed run left is written over.
        self.temporary = out.with_name(f".{out.name}.tmp")
        self._table = self._make(self.temporary, form)

    def add(self, files: list[File], answers: list[AnyRow]) -> None:
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


class Stream(Generic[AnyRow]):
    """A table on standard output, each request's rows as they come.

    Raises UserError if standard output is closed from the first, OSError if nobody reads it any more.
    """

    def __init__(self, form: Columns[AnyRow]) -> None:
        if sys.stdout is None:
            raise UserError("--out -: standard output is closed; name a file")
        # A descriptor of its own, that fails when it is written and not when Python ends.
        self._table = _Csv(os.dup(sys.stdout.fileno()), form)

    def add(self, files: list[File], answers: list[AnyRow]) -> None:
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


class _Table(Protocol[AnyRow]):
    """Takes the rows of a table in one of its forms."""

    def add(self, files: list[File], answers: list[AnyRow]) -> None: ...
    def close(self) -> None: ...


def _text(file: Path | int) -> TextIO:
    # A file name that is no UTF-8 keeps its bytes.
    return open(file, "w", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: PTH123 - or a descriptor


class _Csv(Generic[AnyRow]):
    def __init__(self, file: Path | int, form: Columns[AnyRow]) -> None:
        self._file = _text(file)
        self._form = form
        self._writer = csv.writer(self._file)
        self._writer.writerow(form.header())

    def add(self, files: list[File], answers: list[AnyRow]) -> None:
        self._writer.writerows(self._form.rows(files, answers))

    def add_rendered(self, octets: bytes) -> None:
        self._file.flush()
        self._file.buffer.write(octets)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _JsonLines(Generic[AnyRow]):
    def __init__(self, path: Path, form: Columns[AnyRow]) -> None:
        self._file = _text(path)
        self._form = form

    def add(self, files: list[File], answers: list[AnyRow]) -> None:
        for file, answer in zip(files, answers, strict=True):
            self._file.write(json.dumps(self._form.record(file.path, answer)) + "\n")

    def close(self) -> None:
        self._file.close()


class _Parquet(Generic[AnyRow]):
    def __init__(self, path: Path, form: Columns[AnyRow]) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - likewise

        self._schema = form.schema()
        self._to_table = pa.Table.from_pylist
        self._writer = parquet.ParquetWriter(path, self._schema)
        self._form = form
        self._group: list[dict[str, Any]] = []

    def add(self, files: list[File], answers: list[AnyRow]) -> None:
        for file, answer in zip(files, answers, strict=True):
            path = file.path.encode(errors="backslashreplace").decode()
            self._group.append(self._form.record(path, answer))
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


def render(ending: str, form: Columns[AnyRow], files: list[File], answers: list[AnyRow], *, header: bool) -> bytes:
    """Rows as a growing table has them, which is CSV or JSON Lines by its ending; for a new CSV with its header."""
    text = io.StringIO(newline="")
    if ending == ".csv":
        writer = csv.writer(text)
        if header:
            writer.writerow(form.header())
        writer.writerows(form.rows(files, answers))
    else:
        for file, answer in zip(files, answers, strict=True):
            text.write(json.dumps(form.record(file.path, answer)) + "\n")
    return text.getvalue().encode("utf-8", "surrogateescape")


_TABLES: dict[str, Callable[[Path, Columns[Any]], _Table[Any]]] = {
    ".csv": _Csv,
    ".jsonl": _JsonLines,
    ".ndjson": _JsonLines,
    ".parquet": _Parquet,
}
