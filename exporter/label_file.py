"""Files of labels, which people write by hand, with a spreadsheet or with digits-review: CSV of path and label.

`digits-batch --truth` and `digits-train adapt` read the same files; here it is decided what they may hold. A file has
two columns, path and label, with or without a header; or more columns, with a header that names these two. The record
of a review has the column `was`: there the last line of a path counts. Elsewhere a second label is a mistake.

A label is a digit, or the text of a field. Beyond that it may be `none`: no digit, or no number. `unsure`, and in the
record of a review no label at all, say nothing.
"""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from exporter.command import UserError
from exporter.contract import CLASSES, MAX_DIGITS

NONE: Final = "none"
"""The label of a picture without a digit, or a field without a number."""
UNSURE: Final = "unsure"
"""The label of a picture that a person could not read."""

_PATH, _LABEL, _TEXT, _WAS, _ERROR = "path", "label", "text", "was", "error"
REVIEW_ENDING: Final = ".review.csv"
REVIEW_COLUMNS: Final = (_PATH, _WAS, "confidence", _LABEL, "by", "when")
"""Header of the file that digits-review writes. `was` is the table's answer, empty with an error; `when` is in UTC. An
empty label takes one back."""

_SHOWN = 60  # characters of a stranger's text in a message

Label = TypeVar("Label")


@dataclass(frozen=True)
class Kind(Generic[Label]):
    """What labels there may be.

    Attributes:
        parse: reads one; None of any other text.
        name: what they are, for people.
        folders: how folders are named by them, for people.
        columns: in which columns they may be, the first of these that there is.
    """

    parse: Callable[[str], Label | None]
    name: str
    folders: str
    columns: tuple[str, ...]


def _text(label: str) -> str | None:
    return label if label.isascii() and label.isdigit() and len(label) <= MAX_DIGITS else None


_DIGITS = {str(digit): digit for digit in range(CLASSES)}
DIGITS: Kind[int] = Kind(_DIGITS.get, "digit 0-9", "folders named 0 to 9", (_LABEL,))
TEXTS: Kind[str] = Kind(
    _text,
    f"text of 1 to {MAX_DIGITS} digits alone, without points, commas and blanks",
    "folders named by their text",
    (_LABEL, _TEXT),
)


class Given(NamedTuple):
    """A line of a file of labels.

    Attributes:
        path: without `.`, `..` and doubled slashes.
        label: a text that the kind parses, NONE, UNSURE, or empty. The last two say nothing.
        names: of the columns.
        row: the whole line.
    """

    path: str
    label: str
    names: Sequence[str]
    row: Sequence[str]

    @property
    def columns(self) -> dict[str, str]:
        """The whole line by the names of the columns."""
        return dict(zip(self.names, self.row, strict=True))


def read_lines(lines: Iterable[str], name: str, kind: Kind[Label], *, empty: bool) -> Iterator[Given]:
    """Read a file of labels line by line. Where a path comes again, as in the record of a review, the later one counts.

    Args:
        lines: its text.
        name: what to call it in messages.
        kind: what the labels may be.
        empty: whether a label may be empty, even if the file is no record of a review.

    Raises:
        UserError: it is no CSV, a line has not its columns, a label may not be, or a path has two.
    """
    before: dict[str, str] = {}
    names: Sequence[str] = (_PATH, _LABEL)
    path_at, label_at, is_review = 0, 1, False
    for place, (line, row) in enumerate(_rows(lines, name)):
        where = f"{name}, line {line}"
        if place == 0 and (heading := _heading(row, kind)):
            names = heading
            path_at = names.index(_PATH)
            label_at = next(names.index(column) for column in kind.columns if column in names)
            is_review = _WAS in names
            continue
        if len(row) != len(names):
            wanted = f"{len(names)} columns as in the first line" if len(names) > 2 else "two columns, path,label"
            found = f"{len(row)}: {excerpt(','.join(row))}"
            raise UserError(f"{where}: wanted {wanted}, separated by a comma; found {found}")
        if not row[path_at]:
            raise UserError(f"{where}: the path is empty")
        path, label = os.path.normpath(row[path_at]), row[label_at].strip()
        if kind.parse(label) is None and label not in (NONE, UNSURE) and not (label == "" and (empty or is_review)):
            raise UserError(f"{where}: label {excerpt(label)} is no {kind.name}, nor {NONE} or {UNSURE}")
        if path in before:
            raise UserError(
                f"{where}: {excerpt(path)} has a second label, {label} after {before[path]}: keep one of the lines"
            )
        if not is_review:
            before[path] = label
        yield Given(path, label, names, row)


def _heading(row: list[str], kind: Kind[Label]) -> list[str]:
    """The names of the columns that a first line holds, in small letters; none where it is a label itself."""
    names = _names(row)
    # A table of answers has their texts in the column `text`, and is no file of labels.
    labels = [column for column in kind.columns if column in names and (column == _LABEL or _ERROR not in names)]
    if _PATH in names and labels:
        return names
    if len(row) == 2 and kind.parse(row[1].strip()) is None and names[1] not in ("", NONE, UNSURE):
        return [_PATH, _LABEL] if _are_names(row[0], names[1]) else []
    return []


def _names(row: list[str]) -> list[str]:
    return [name.strip().lower() for name in row]


def _are_names(path: str, label: str) -> bool:
    """Tell the names of two columns from a first line with a wrong label."""
    letters = label.replace("_", "").replace(" ", "")
    return letters.isalpha() and not os.path.splitext(path)[1]  # noqa: PTH122 - a text


def _rows(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, with the line that each begins in.

    In the record of a review, a last row that was not written to its end is left out: it is no decision yet.

    Raises:
        UserError: the file called `name` is no CSV.
    """
    last = ""

    def remembered() -> Iterator[str]:
        nonlocal last
        for line in lines:
            last = line
            yield line

    reader = csv.reader(remembered(), strict=True)
    line = 1
    columns: int | None = None  # of the record of a review, 0 of other files; None before the first row
    try:
        for row in reader:
            if columns is None and row:
                columns = len(row) if _WAS in _names(row) else 0
            if row and (len(row) >= (columns or 0) or last.endswith("\n")):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        if not columns or last.endswith("\n"):
            raise UserError(f"{name}, line {line}: no CSV: {error}") from None


def excerpt(text: str) -> str:
    """A stranger's text in a message of one line."""
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN // 3]}...{text[-_SHOWN * 2 // 3 :]}")
