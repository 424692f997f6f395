"""What files truly show, a digit or the text of a field: the name of the folder that a file lies in, or a labels file.

A labels file is a CSV of two columns, path and label, with or without a header. Its paths are those of the files
relative to the folder of the CSV, or as they come out in the table, or absolute. The decisions of digits-review are a
labels file, too: see `reviewed.py`, which also leaves out pictures that are labelled `none`, as they hold no digit.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from batch.accuracy.reviewed import plain
from batch.files.file import File
from exporter.command import UserError
from exporter.contract import CLASSES, MAX_DIGITS
from exporter.label_file import excerpt, is_heading, rows

PARENT = "parent"
"""What `--truth` says for the name of the parent folder."""

Label = TypeVar("Label")
Truth: TypeAlias = Callable[[str], Label | None]
"""The label of the file at a path, None where it has none."""


@dataclass(frozen=True)
class Labels(Generic[Label]):
    """What labels there may be.

    Attributes:
        parse: reads one; None of any other text.
        name: what they are, for people.
        folders: how folders are named by them, for people.
    """

    parse: Callable[[str], Label | None]
    name: str
    folders: str


def _text(label: str) -> str | None:
    return label if label.isascii() and label.isdigit() and len(label) <= MAX_DIGITS else None


_DIGITS = {str(digit): digit for digit in range(CLASSES)}
DIGITS: Labels[int] = Labels(_DIGITS.get, "digit 0-9", "folders named 0 to 9")
TEXTS: Labels[str] = Labels(
    _text, f"text of 1 to {MAX_DIGITS} digits alone, without points, commas and blanks", "folders named by their text"
)


def read_truth(source: str, out: Path, labels: Labels[Label]) -> Truth[Label]:
    """Make the function that knows the labels.

    Args:
        source: PARENT, or the path of a labels file, which is held in memory.
        out: the table of the run, which must not take the place of the labels.
        labels: what they may be.

    Raises:
        UserError: the labels file cannot be read or is none; the text names the line.
    """
    if source == PARENT:
        return _of_parent(labels)
    path = Path(source)
    if os.path.realpath(path) == os.path.realpath(out):
        raise UserError(f"--out {out} would overwrite the labels of --truth: choose another --out")
    try:
        # Names that are no UTF-8 keep their bytes, as in the walk; spreadsheets begin a file with a byte order mark.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            found = parse_labels(lines, source, labels)
    except OSError as error:
        raise UserError(
            f"--truth {source}: {error.strerror}; give {PARENT} (./{PARENT} if a file is called so) or a CSV"
        ) from None
    return _of_file(found, os.path.abspath(path.parent))  # noqa: PTH100 - links stay as the user wrote them


def _of_parent(labels: Labels[Label]) -> Truth[Label]:
    """The label that a file's parent folder is named by, None for a folder of another name."""

    @lru_cache
    def label(folder: str) -> Label | None:
        return labels.parse(os.path.basename(os.path.abspath(folder)))  # noqa: PTH100, PTH119 - links stay

    def truth(path: str) -> Label | None:
        return label(os.path.dirname(path))  # noqa: PTH120 - a Path for each of a million files is slow

    return truth


parent_digit = _of_parent(DIGITS)
"""The digit that a file's parent folder is named by."""


def parse_labels(lines: Iterable[str], name: str, labels: Labels[Label]) -> dict[str, Label]:
    """Read a labels file.

    Args:
        lines: its text, line by line.
        name: what to call it in messages.
        labels: what they may be.

    Returns:
        Labels by path without `.`, `..` and doubled slashes.

    Raises:
        UserError: a line has not two columns, its label may not be, or its path had a label before.
    """
    found: dict[str, Label] = {}
    for place, (line, row) in enumerate(plain(rows(lines, name), name)):
        where = f"{name}, line {line}"
        if len(row) != 2:
            raise UserError(f"{where}: wanted two columns, path,label, separated by a comma; found {_found(row)}")
        path, text = row[0], row[1].strip()
        label = labels.parse(text)
        if place == 0 and label is None and is_heading(path, text):
            continue
        if not path:
            raise UserError(f"{where}: the path is empty")
        if label is None:
            raise UserError(f"{where}: label {excerpt(text)} is no {labels.name}")
        path = os.path.normpath(path)
        if path in found:
            raise UserError(
                f"{where}: {excerpt(path)} has a second label, {text} after {found[path]}: keep one of the lines"
            )
        found[path] = label
    if not found:
        raise UserError(f"{name} holds no labels: wanted are lines of path,label")
    return found


def _found(row: list[str]) -> str:
    return f"{len(row)}: {excerpt(','.join(row))}"


def _of_file(labels: dict[str, Label], base: str) -> Truth[Label]:
    def truth(path: str) -> Label | None:
        folder, name = os.path.split(path)
        found = (labels.get(prefix + name) for prefix in _prefixes(folder, base))
        return next((label for label in found if label is not None), None)

    return truth


@lru_cache
def _prefixes(folder: str, base: str) -> tuple[str, ...]:
    """How a labels file in folder `base` may begin the paths of a folder's files, with a slash unless empty."""
    ways = (os.path.relpath(folder or ".", base), os.path.normpath(folder), os.path.abspath(folder))  # noqa: PTH100
    return tuple("" if way == "." else os.path.join(way, "") for way in ways)  # noqa: PTH118 - texts


def check_truth(truth: Truth[object], source: str, files: Iterable[File], folders: str) -> None:
    """Raise UserError if none of the files has a label. Walks until the first that has.

    Args:
        truth: as `read_truth` has made it.
        source: likewise.
        files: of the run.
        folders: how they would have to be named, as `Labels.folders`.
    """
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
            f"--truth {PARENT}: {none}: {excerpt(first)} lies in folder {excerpt(folder)}; "
            f"wanted are {folders}, or a CSV of path,label"
        )
    raise UserError(
        f"--truth {source}: {none} in it, the first being {excerpt(first)}; its paths must be relative to its own "
        "folder, or as the files are named on the command line"
    )
