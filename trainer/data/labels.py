"""Labels that people gave to pictures: folders named by digit, CSV files of path and label, records of a review.

The rules are those of `digits-batch --truth`: paths are relative to the folder of the CSV, or as they come out in the
table, that is, relative to where the command runs, or absolute. Beyond a digit a label may be `none`: no digit.
`unsure`, and no label at all, pass a picture over. In the record of a review, a CSV with the column `was`, the last
line of a path counts; elsewhere a second label is a mistake.
"""

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter.command import UserError
from exporter.contract import CLASSES, NO_DIGIT
from exporter.label_file import NONE, UNSURE, excerpt, is_heading, rows

_LABELS = {str(digit): digit for digit in range(CLASSES)} | {NONE: NO_DIGIT}
_UNDECIDED = ("", UNSURE)
_PATH, _LABEL, _WAS = "path", "label", "was"
_PAGE = re.compile(r"(.*)#page=([1-9]\d{0,5})", re.DOTALL)


@dataclass(frozen=True)
class Labelled:
    """A picture and what a person says of it."""

    file: Path
    page: int
    """Of a TIFF of several pages, counted from 1; 0 for the whole file."""
    label: int
    """0 to 9, NO_DIGIT for what is no digit."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Its row in the CSV, by the names of the columns; empty without such names."""

    @property
    def name(self) -> str:
        """The path as tables have it."""
        return f"{self.file}#page={self.page}" if self.page else str(self.file)

    @property
    def folder(self) -> Path:
        """The folder that it lies in, or the one above where that is named by a digit or `none`."""
        parent = self.file.absolute().parent
        return parent.parent if parent.name in _LABELS else parent


@dataclass(frozen=True)
class Labels:
    """What some sources of labels hold."""

    labelled: list[Labelled]
    """In the order of the sources, folders sorted by name."""
    missing: list[str]
    """Paths of labels without a file."""


def read_labels(sources: Sequence[Path]) -> Labels:
    """Read all sources: folders, or CSV files.

    Raises:
        UserError: a source cannot be read or holds no labels, a line is none, a picture has two labels.
    """
    labelled: list[Labelled] = []
    missing: list[str] = []
    seen: dict[tuple[str, int], Labelled] = {}
    for source in sources:
        found = _of_folder(source) if source.is_dir() else _of_csv(source, missing)
        for each in found:
            key = os.path.realpath(each.file), each.page
            before = seen.setdefault(key, each)
            if before.label != each.label:
                one, other = (_text(label) for label in (before.label, each.label))
                raise UserError(f"{each.name} has two labels, {one} and {other}: keep one of them in --labels")
            if before is each:
                labelled.append(each)
    if missing and not labelled:
        raise UserError(
            f"none of the {len(missing):,} labelled files is there, the first being {excerpt(missing[0])}; paths must "
            "be relative to the folder of their CSV, or to where the command runs, or absolute"
        )
    return Labels(labelled, missing)


def _of_folder(folder: Path) -> list[Labelled]:
    found = [
        Labelled(Path(parent) / name, 0, label)
        for parent, _, names in sorted(os.walk(folder))
        if (label := _LABELS.get(Path(parent).name)) is not None
        for name in sorted(names)
        if not name.startswith(".")
    ]
    if not found:
        raise UserError(f"--labels {folder}: wanted are folders named 0 to 9 or {NONE} with pictures in them")
    return found


def _of_csv(path: Path, missing: list[str]) -> list[Labelled]:
    try:
        # Names that are no UTF-8 keep their bytes; spreadsheets begin a file with a byte order mark.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            lines = list(file)
    except OSError as error:
        raise UserError(f"--labels {path}: {error.strerror}; give a CSV of path,label or a folder") from None
    if _WAS in _heading(next(csv.reader(lines[:1]), [])) and not lines[-1].endswith("\n"):
        lines.pop()  # a decision that was not written whole, and does not count
    labels = list(_labels_of(iter(lines), str(path)))
    if not labels:
        raise UserError(f"--labels {path} holds no labels: wanted are lines of path,label")
    found = []
    for name, label, columns in labels:
        if label is None:
            continue
        place = _find(name, path.parent)
        if place is None:
            missing.append(name)
        else:
            found.append(Labelled(*place, label, columns))
    return found


def _labels_of(lines: Iterator[str], source: str) -> Iterator[tuple[str, int | None, dict[str, str]]]:
    """Path, label (None where the person has not decided) and row of each path in a CSV."""
    found: dict[str, tuple[int | None, dict[str, str]]] = {}
    heading: list[str] = []
    for place, (line, row) in enumerate(rows(lines, source)):
        where = f"{source}, line {line}"
        if place == 0 and (names := _heading(row)):
            heading = names
            continue
        columns = dict(zip(heading or (_PATH, _LABEL), row, strict=False))
        if len(row) != (len(heading) or 2):
            wanted = f"{len(heading)} columns as in the first line" if heading else "two columns, path,label"
            raise UserError(f"{where}: wanted {wanted}, separated by commas; found {excerpt(','.join(row))}")
        name, text = os.path.normpath(columns[_PATH]), columns[_LABEL].strip()
        if not columns[_PATH]:
            raise UserError(f"{where}: the path is empty")
        if text not in _LABELS and text not in _UNDECIDED:
            raise UserError(f"{where}: label {excerpt(text)} is no digit 0-9, {NONE} or {UNSURE}")
        if name in found and _WAS not in heading:
            raise UserError(f"{where}: {excerpt(name)} has a second label, {text}: keep one of the lines")
        found[name] = _LABELS.get(text), columns
    yield from ((name, label, columns) for name, (label, columns) in found.items())


def _heading(row: list[str]) -> list[str]:
    """The names of the columns that a first line holds, in small letters; none where it is a label itself."""
    names = [name.strip().lower() for name in row]
    if _PATH in names and _LABEL in names:
        return names
    if len(row) == 2 and row[1].strip() not in _LABELS and row[1].strip() not in _UNDECIDED:
        return [_PATH, _LABEL] if is_heading(row[0], names[1]) else []
    return []


def _find(name: str, base: Path) -> tuple[Path, int] | None:
    """The file and the page of a path in a CSV of folder `base`; None where there is no such file."""
    page = _PAGE.fullmatch(name)
    for file, number in ((name, 0), *([(page[1], int(page[2]))] if page else [])):
        for place in (base / file, Path(file)):
            if place.is_file():
                return place, number
    return None


def _text(label: int) -> str:
    return NONE if label == NO_DIGIT else str(label)
