"""Labels that people gave to pictures, of digits or of whole fields: CSV files, records of a review, folders.

What a CSV may hold is decided in `exporter/label_file.py`, as for `digits-batch --truth`. Paths are relative to the
folder of the CSV, or as they come out in the table, that is, relative to where the command runs, or absolute; they may
lead into archives. Folders are named by the label of the files in them.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Generic, NamedTuple

from exporter import label_file
from exporter.command import UserError
from exporter.contract import CLASSES, NO_DIGIT
from exporter.label_file import NONE, UNSURE, Label, excerpt, read_lines
from trainer.data.files import is_there, names_of

_DIGIT_FOLDERS = {*map(str, range(CLASSES)), NONE}
_PAGE = re.compile(r"(.*)#page=([1-9]\d{0,5})", re.DOTALL)


@dataclass(frozen=True)
class Kind(Generic[Label]):
    """Labels of one kind, as a flag takes them."""

    flag: str
    labels: label_file.Kind[Label]
    none: Label | None
    """What the label `none` stands for; None where nothing can be learned from it."""


DIGITS: Kind[int] = Kind("--labels", label_file.DIGITS, NO_DIGIT)
FIELDS: Kind[str] = Kind("--fields", label_file.TEXTS, None)


@dataclass(frozen=True)
class Labelled(Generic[Label]):
    """A picture and what a person says of it."""

    file: Path
    """Or what leads into an archive: scans.zip/3/a.png."""
    page: int
    """Of a TIFF of several pages, counted from 1; 0 for the whole file."""
    label: Label
    """Of a digit 0 to 9, NO_DIGIT for what is no digit; of a field its text, 1 to MAX_DIGITS digits."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Its row in the CSV, by the names of the columns; empty in folders."""

    @property
    def name(self) -> str:
        """The path as tables have it."""
        return f"{self.file}#page={self.page}" if self.page else str(self.file)

    @property
    def folder(self) -> Path:
        """The folder that it lies in, or the one above where that is named by a digit or `none`, or by its text."""
        parent = self.file.absolute().parent
        names = {self.label} if isinstance(self.label, str) else _DIGIT_FOLDERS
        return parent.parent if parent.name in names else parent


@dataclass(frozen=True)
class Labels(Generic[Label]):
    """What some sources of labels hold."""

    labelled: list[Labelled[Label]]
    """In the order of the sources, folders sorted by name."""
    missing: list[str]
    """Paths of labels without a file."""
    none: int
    """Files passed over for their label `none`: fields without a number. Pictures without a digit are `labelled`."""


class _Found(NamedTuple):
    """A file with the text of its label."""

    file: Path
    page: int
    text: str
    columns: Mapping[str, str]


def read_labels(sources: Sequence[Path], kind: Kind[Label]) -> Labels[Label]:
    """Read all sources: folders, or CSV files.

    Args:
        sources: their paths.
        kind: of the labels in them, DIGITS or FIELDS.

    Raises:
        UserError: a source cannot be read or holds no labels, a line is none, a picture has two labels, or none says
            anything.
    """
    labelled: list[Labelled[Label]] = []
    missing: list[str] = []
    none = 0
    seen: dict[tuple[str, int], str] = {}
    known = cache(names_of)
    for source in sources:
        found = _of_folder(source, kind) if source.is_dir() else _of_csv(source, kind, known, missing)
        for file, page, text, columns in found:
            key = os.path.realpath(file), page
            if key in seen:
                if seen[key] != text:
                    name = Labelled(file, page, text).name
                    labels = f"{seen[key]} and {text}"
                    raise UserError(f"{name} has two labels, {labels}: keep one of them in {kind.flag}")
                continue
            seen[key] = text
            label = kind.none if text == NONE else kind.labels.parse(text)
            if label is None:
                none += 1
            else:
                labelled.append(Labelled(file, page, label, columns))
    if not labelled:
        if not missing:
            raise UserError(f"{kind.flag}: all labels are empty, {UNSURE} or {NONE}; label pictures that can be read")
        none_is_there = f"none of the {len(missing):,} labelled files is there"
        raise UserError(
            f"{kind.flag}: {none_is_there}, the first being {excerpt(missing[0])}; paths must be "
            "relative to the folder of their CSV, or to where the command runs, or absolute"
        )
    return Labels(labelled, missing, none)


def _of_folder(folder: Path, kind: Kind[Label]) -> Iterable[_Found]:
    found = [
        _Found(Path(parent) / name, 0, text, {})
        for parent, _, names in sorted(os.walk(folder))
        if (text := Path(parent).name) == NONE or kind.labels.parse(text) is not None
        for name in sorted(names)
        if not name.startswith(".")
    ]
    if not found:
        raise UserError(f"{kind.flag} {folder}: wanted are {kind.labels.folders} or {NONE}, with pictures in them")
    return found


def _of_csv(
    path: Path, kind: Kind[Label], known: Callable[[Path], Collection[str]], missing: list[str]
) -> Iterator[_Found]:
    try:
        # Names that are no UTF-8 keep their bytes; spreadsheets begin a file with a byte order mark.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            given = {each.path: each for each in read_lines(lines, f"{kind.flag} {path}", kind.labels, empty=True)}
    except OSError as error:
        raise UserError(
            f"{kind.flag} {path}: {error.strerror}; give a CSV of path,{kind.labels.columns[-1]} or a folder"
        ) from None
    if not given:
        raise UserError(f"{kind.flag} {path} holds no labels: wanted are lines of path,{kind.labels.columns[-1]}")
    for name, each in given.items():
        if each.label in ("", UNSURE):
            continue
        place = _find(name, path.parent, known)
        if place is None:
            missing.append(name)
        else:
            yield _Found(*place, each.label, each.columns)


def _find(name: str, base: Path, known: Callable[[Path], Collection[str]]) -> tuple[Path, int] | None:
    """The file and the page of a path in a CSV of folder `base`; None where there is no such file."""
    page = _PAGE.fullmatch(name)
    for file, number in ((name, 0), *([(page[1], int(page[2]))] if page else [])):
        for place in (base / file, Path(file)):
            if is_there(place, known):
                return place, number
    return None
