"""What the digits of files truly are: the name of the folder that a file lies in, or a labels file.

A labels file is a CSV of two columns, path and label, with or without a header. Its paths are those of the files
relative to the folder of the CSV, or as they come out in the table, or absolute. The decisions of digits-review are a
labels file, too: see `reviewed.py`, which also leaves out pictures that are labelled `none`, as they hold no digit.
"""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from batch.accuracy.reviewed import plain
from batch.files.file import File
from exporter.command import UserError
from exporter.contract import CLASSES

PARENT = "parent"
"""What `--truth` says for the name of the parent folder."""

Truth = Callable[[str], int | None]
"""The true digit of the file at a path, None where it has no label."""

_DIGITS = {str(digit): digit for digit in range(CLASSES)}
_SHOWN = 60  # characters of a stranger's text in a message


def read_truth(source: str, out: Path) -> Truth:
    """Make the function that knows the true digits.

    Args:
        source: PARENT, or the path of a labels file, which is held in memory.
        out: the table of the run, which must not take the place of the labels.

    Raises:
        UserError: the labels file cannot be read or is none; the text names the line.
    """
    if source == PARENT:
        return parent_digit
    path = Path(source)
    if os.path.realpath(path) == os.path.realpath(out):
        raise UserError(f"--out {out} would overwrite the labels of --truth: choose another --out")
    try:
        # Names that are no UTF-8 keep their bytes, as in the walk; spreadsheets begin a file with a byte order mark.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            labels = parse_labels(lines, source)
    except OSError as error:
        raise UserError(
            f"--truth {source}: {error.strerror}; give {PARENT} (./{PARENT} if a file is called so) or a CSV"
        ) from None
    return _of_file(labels, os.path.abspath(path.parent))  # noqa: PTH100 - links stay as the user wrote them


def parent_digit(path: str) -> int | None:
    """The digit that a file's parent folder is named by, None for a folder of another name."""
    return _folder_digit(os.path.dirname(path))  # noqa: PTH120 - a Path for each of a million files is slow


@lru_cache
def _folder_digit(folder: str) -> int | None:
    return _DIGITS.get(os.path.basename(os.path.abspath(folder)))  # noqa: PTH100, PTH119 - links stay


def parse_labels(lines: Iterable[str], name: str) -> dict[str, int]:
    """Read a labels file.

    Args:
        lines: its text, line by line.
        name: what to call it in messages.

    Returns:
        Labels, 0-9, by path without `.`, `..` and doubled slashes.

    Raises:
        UserError: a line has not two columns, its label is no digit, or its path had a label before.
    """
    labels: dict[str, int] = {}
    for place, (line, row) in enumerate(plain(_rows(lines, name), name)):
        where = f"{name}, line {line}"
        if len(row) != 2:
            raise UserError(f"{where}: wanted two columns, path,label, separated by a comma; found {_found(row)}")
        path, label = row[0], row[1].strip()
        if place == 0 and label not in _DIGITS and _is_header(path, label):
            continue
        if not path:
            raise UserError(f"{where}: the path is empty")
        if label not in _DIGITS:
            raise UserError(f"{where}: label {_excerpt(label)} is no digit 0-9")
        path = os.path.normpath(path)
        if path in labels:
            raise UserError(
                f"{where}: {_excerpt(path)} has a second label, {label} after {labels[path]}: keep one of the lines"
            )
        labels[path] = _DIGITS[label]
    if not labels:
        raise UserError(f"{name} holds no labels: wanted are lines of path,label")
    return labels


def _rows(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, with the line that each begins in."""
    reader = csv.reader(lines, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{name}, line {line}: no CSV: {error}") from None


def _is_header(path: str, label: str) -> bool:
    """Tell the names of columns from a first line with a wrong label."""
    letters = label.replace("_", "").replace(" ", "")
    return letters.isalpha() and not os.path.splitext(path)[1]  # noqa: PTH122 - a text


def _found(row: list[str]) -> str:
    return f"{len(row)}: {_excerpt(','.join(row))}"


def _excerpt(text: str) -> str:
    """A stranger's text in a message of one line."""
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN // 3]}...{text[-_SHOWN * 2 // 3 :]}")


def _of_file(labels: dict[str, int], base: str) -> Truth:
    def truth(path: str) -> int | None:
        folder, name = os.path.split(path)
        found = (labels.get(prefix + name) for prefix in _prefixes(folder, base))
        return next((label for label in found if label is not None), None)

    return truth


@lru_cache
def _prefixes(folder: str, base: str) -> tuple[str, ...]:
    """How a labels file in folder `base` may begin the paths of a folder's files, with a slash unless empty."""
    ways = (os.path.relpath(folder or ".", base), os.path.normpath(folder), os.path.abspath(folder))  # noqa: PTH100
    return tuple("" if way == "." else os.path.join(way, "") for way in ways)  # noqa: PTH118 - texts


def check_truth(truth: Truth, source: str, files: Iterable[File]) -> None:
    """Raise UserError if none of the files has a label. Walks until the first that has."""
    first = ""
    count = 0
    for file in files:
        if truth(file.path) is not None:
            return
        first = first or file.path
        count += 1
    if not count:
        return  # an empty walk is the run's own error
    none = f"none of the {count:,} files has a label" if count > 1 else "the file has no label"
    if source == PARENT:
        folder = os.path.basename(os.path.dirname(os.path.abspath(first)))  # noqa: PTH100, PTH119, PTH120
        raise UserError(
            f"--truth {PARENT}: {none}: {_excerpt(first)} lies in folder {_excerpt(folder)}; "
            "wanted are folders named 0 to 9, or a CSV of path,label"
        )
    raise UserError(
        f"--truth {source}: {none} in it, the first being {_excerpt(first)}; its paths must be relative to its own "
        "folder, or as the files are named on the command line"
    )
