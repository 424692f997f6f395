"""What files truly show, a digit or the text of a field: the name of the folder that a file lies in, or a labels file.

What a labels file may hold is decided in `exporter/label_file.py`. Its paths are those of the files relative to the
folder of the CSV, or as they come out in the table, or absolute. Pictures that are labelled `none` are left out: they
hold no digit.
"""

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from batch.files.file import File
from exporter.command import UserError
from exporter.label_file import DIGITS, Kind, Label, excerpt, read_lines

PARENT = "parent"
"""What `--truth` says for the name of the parent folder."""

Truth: TypeAlias = Callable[[str], Label | None]
"""The label of the file at a path, None where it has none."""


def read_truth(source: str, out: Path, kind: Kind[Label]) -> Truth[Label]:
    """Make the function that knows the labels.

    Args:
        source: PARENT, or the path of a labels file, which is held in memory.
        out: the table of the run, which must not take the place of the labels.
        kind: what the labels may be.

    Raises:
        UserError: the labels file cannot be read or is none; the text names the line.
    """
    if source == PARENT:
        return _of_parent(kind)
    path = Path(source)
    if os.path.realpath(path) == os.path.realpath(out):
        raise UserError(f"--out {out} would overwrite the labels of --truth: choose another --out")
    try:
        # Names that are no UTF-8 keep their bytes, as in the walk; spreadsheets begin a file with a byte order mark.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            found = parse_labels(lines, source, kind)
    except OSError as error:
        raise UserError(
            f"--truth {source}: {error.strerror}; give {PARENT} (./{PARENT} if a file is called so) or a CSV"
        ) from None
    return _of_file(found, os.path.abspath(path.parent))  # noqa: PTH100 - links stay as the user wrote them


def _of_parent(kind: Kind[Label]) -> Truth[Label]:
    """The label that a file's parent folder is named by, None for a folder of another name."""

    @lru_cache
    def label(folder: str) -> Label | None:
        return kind.parse(os.path.basename(os.path.abspath(folder)))  # noqa: PTH100, PTH119 - links stay

    def truth(path: str) -> Label | None:
        return label(os.path.dirname(path))  # noqa: PTH120 - a Path for each of a million files is slow

    return truth


parent_digit = _of_parent(DIGITS)
"""The digit that a file's parent folder is named by."""


def parse_labels(lines: Iterable[str], name: str, kind: Kind[Label]) -> dict[str, Label]:
    """Read a labels file.

    Args:
        lines: its text, line by line.
        name: what to call it in messages.
        kind: what the labels may be.

    Returns:
        Labels by path without `.`, `..` and doubled slashes.

    Raises:
        UserError: a line has not its columns, its label may not be, or its path had a label before.
    """
    found: dict[str, Label] = {}
    for given in read_lines(lines, name, kind, empty=False):
        label = kind.parse(given.label)
        if label is None:
            found.pop(given.path, None)
        else:
            found[given.path] = label
    if not found:
        raise UserError(f"{name} holds no labels: wanted are lines of path,label")
    return found


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
        folders: how they would have to be named, as `Kind.folders`.
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
