"""The rows of a table of digits-batch in any of its forms, each with where it ends in a file.

A row is read again by its place, so that a table of any length is never held in memory. Parquet has no places of rows:
it is copied once to a temporary file of JSON Lines.
"""

import csv
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from batch.table.number_form import ALTERNATIVE_COLUMNS
from batch.table.output import COLUMNS
from exporter.command import UserError, require_extra
from exporter.contract import ALTERNATIVE_CONFIDENCE, ALTERNATIVES, DIGIT, TEXT

PATH, _, CONFIDENCE, ERROR, _VERSION = COLUMNS
ENDINGS = (".csv", ".jsonl", ".ndjson", ".parquet")
_ROWS_AT_A_TIME = 10_000  # of Parquet


class Row(NamedTuple):
    """What a table says of one picture.

    Attributes:
        path: as digits-batch wrote it.
        answer: a digit or, in a table of numbers, a text; empty with an error.
        confidence: with four decimals.
        error: empty for none.
        version: the model's; empty where no model was asked, and in a table without this column.
    """

    path: str
    answer: str
    confidence: str
    error: str
    version: str = ""


Reading = tuple[str, str]
"""One reading of a field: its text, and its confidence with four decimals."""


class NoRowError(Exception):
    """Octets that are no row of the table."""


class Form(Protocol):
    """Finds rows in a file and reads them.

    Attributes:
        answer: the column of answers: DIGIT or TEXT.
        start: where the first row begins.
    """

    answer: str
    start: int

    def pieces(self, file: BinaryIO, start: int) -> Iterator[bytes]:
        """The rows from a place on, as octets."""

    def row(self, octets: bytes) -> Row:
        """A row of its octets. Raises NoRowError."""

    def readings(self, octets: bytes) -> list[Reading] | None:
        """The model's readings of a row's field, the best first; None in a table without them."""


def open_form(table: Path) -> tuple[BinaryIO, Form]:
    """Open a table and find out how it is read.

    Raises:
        UserError: it is not there, or no table of digits-batch.
    """
    ending = table.suffix.lower()
    if ending not in ENDINGS:
        raise UserError(f"{table} is no table of digits-batch: its name ends in none of {', '.join(ENDINGS)}")
    try:
        file = table.open("rb")
    except OSError as error:
        raise UserError(f"cannot read {table}: {error.strerror}") from None
    try:
        if ending == ".csv":
            return file, CsvForm(table, file)
        if ending != ".parquet":
            return file, JsonForm(table, file)
        with file:
            copy = _copy_of_parquet(table, file)
        return copy, JsonForm(table, copy)
    except BaseException:
        file.close()
        raise


def answer_column(table: Path, columns: list[str]) -> str:
    """The column of answers, by which tables of digits and of numbers are told apart.

    Raises:
        UserError: the columns are not those of digits-batch.
    """
    found = [column for column in (DIGIT, TEXT) if column in columns]
    if len(found) != 1 or not {PATH, CONFIDENCE, ERROR} <= set(columns):
        raise UserError(
            f"{table} is no table of digits-batch: wanted are {PATH}, {DIGIT} or {TEXT}, {CONFIDENCE} and {ERROR}"
        )
    return found[0]


class CsvForm:
    """CSV, with the columns in any order. See `Form`."""

    def __init__(self, table: Path, file: BinaryIO) -> None:
        header = next(csv_records(file), b"")
        self.start = len(header)
        self.columns = _fields(header.removeprefix(b"\xef\xbb\xbf"))
        self.answer = answer_column(table, self.columns)
        self._places = tuple(map(self.columns.index, (PATH, self.answer, CONFIDENCE, ERROR)))
        self._version = self.columns.index(_VERSION) if _VERSION in self.columns else None
        self._readings = [
            (self.columns.index(text), self.columns.index(confidence))
            for text, confidence in ALTERNATIVE_COLUMNS
            if self.answer == TEXT and {text, confidence} <= set(self.columns)
        ]

    def pieces(self, file: BinaryIO, start: int) -> Iterator[bytes]:
        """As `Form` says."""
        file.seek(start)
        for record in csv_records(file):
            # A watch may be writing the last one.
            if record.endswith(b"\n") or len(_fields(record)) == len(self.columns):
                yield record

    def row(self, octets: bytes) -> Row:
        """As `Form` says."""
        fields = _fields(octets)
        if len(fields) != len(self.columns):
            raise NoRowError
        path, answer, confidence, error = self._places
        version = "" if self._version is None else fields[self._version]
        return _row(fields[path], fields[answer], fields[confidence], fields[error], version)

    def readings(self, octets: bytes) -> list[Reading] | None:
        """As `Form` says."""
        if not self._readings:
            return None
        fields = _fields(octets)
        try:
            return [_reading(fields[text], fields[confidence]) for text, confidence in self._readings if fields[text]]
        except (ValueError, IndexError):  # somebody has edited the table
            return []


class JsonForm:
    """JSON Lines. See `Form`."""

    start = 0

    def __init__(self, table: Path, file: BinaryIO) -> None:
        try:
            first = json.loads(file.readline() or b"{}")
        except ValueError:
            first = None
        if not isinstance(first, dict):
            raise UserError(f"{table} is no table of digits-batch: its first line is no JSON object")
        self.answer = answer_column(table, list(first)) if first else DIGIT

    def pieces(self, file: BinaryIO, start: int) -> Iterator[bytes]:
        """As `Form` says."""
        file.seek(start)
        # A watch may be writing the last one.
        return (line for line in file if line.endswith((b"\n", b"}")))

    def row(self, octets: bytes) -> Row:
        """As `Form` says."""
        try:
            found = json.loads(octets)
            path, answer, confidence, error = (found[name] for name in (PATH, self.answer, CONFIDENCE, ERROR))
            version = str(found.get(_VERSION) or "")
            return _row(str(path), str(answer), f"{float(confidence):.4f}", str(error), version)
        except (ValueError, TypeError, KeyError):
            raise NoRowError from None

    def readings(self, octets: bytes) -> list[Reading] | None:
        """As `Form` says."""
        try:
            found = json.loads(octets)
            if self.answer != TEXT or ALTERNATIVES not in found:
                return None
            return list(map(_reading, found[ALTERNATIVES], found[ALTERNATIVE_CONFIDENCE]))
        except (ValueError, TypeError, KeyError):  # somebody has edited the table
            return []


def csv_records(file: BinaryIO) -> Iterator[bytes]:
    """The records of a CSV from where it is read; names of files may have newlines, within quotes."""
    begun: list[bytes] = []
    for line in file:
        begun.append(line)
        # An odd number of quotes opens a field, or closes the one that was open.
        if line.count(b'"') % 2 == (len(begun) > 1):
            yield line if len(begun) == 1 else b"".join(begun)
            begun = []
    if begun:
        yield b"".join(begun)


def _fields(record: bytes) -> list[str]:
    text = record.decode("utf-8", "surrogateescape")
    if '"' not in text:
        return text.rstrip("\r\n").split(",")
    try:
        return next(csv.reader([text]))
    except csv.Error:
        return []


def _row(path: str, answer: str, confidence: str, error: str, version: str) -> Row:
    if not path:
        raise NoRowError
    return Row(path, "" if error else answer, confidence, error, version)


def _reading(text: str, confidence: str | float) -> Reading:
    return str(text), f"{float(confidence):.4f}"


def _copy_of_parquet(table: Path, file: BinaryIO) -> BinaryIO:
    """A temporary file with the columns that matter, as JSON Lines."""
    names, batches = read_parquet(table, file)
    others = {_VERSION, ALTERNATIVES, ALTERNATIVE_CONFIDENCE} & set(names)
    wanted = [PATH, answer_column(table, names), CONFIDENCE, ERROR, *others]
    copy: Any = tempfile.TemporaryFile(prefix="digits-")  # noqa: SIM115 - lives as long as the table is looked at
    try:
        for batch in batches:
            for record in batch.select(wanted).to_pylist():
                copy.write(json.dumps(record).encode() + b"\n")
        copy.flush()
    except OSError as error:
        raise UserError(
            f"cannot copy {table} to {tempfile.gettempdir()}: {error.strerror}; set TMPDIR to a folder with room"
        ) from None
    copy.seek(0, os.SEEK_SET)
    found: BinaryIO = copy
    return found


def read_parquet(table: Path, file: BinaryIO) -> tuple[list[str], Iterator[Any]]:
    """The names of a Parquet file's columns, and its rows as record batches of pyarrow.

    Raises:
        UserError: pyarrow is not installed, or it is no Parquet file.
    """
    require_extra("parquet", "pyarrow")
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415 - likewise

    try:
        found = parquet.ParquetFile(file)
    except (pa.ArrowException, ValueError, OSError):
        raise UserError(f"{table} is no Parquet file") from None
    return found.schema_arrow.names, found.iter_batches(_ROWS_AT_A_TIME)
