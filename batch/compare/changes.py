"""All changed rows as a table: a CSV of the paths, both answers and the truth."""

import contextlib
import csv
import os
from collections.abc import Sequence
from pathlib import Path

from batch.compare.comparison import Change
from batch.table.output import refuse_to_overwrite
from exporter.command import UserError

COLUMNS = (
    "path",
    "old",
    "old_confidence",
    "old_error",
    "new",
    "new_confidence",
    "new_error",
)
WITH_TRUTH = ("truth", "outcome")
"""Further columns where labels are known."""


def check_place(flag: str, place: Path, ending: str, inputs: Sequence[Path], *, force: bool) -> None:
    """Raise UserError for a file that cannot be written there, before the tables are read.

    Args:
        flag: that names it.
        place: of the file.
        ending: that its name must have.
        inputs: files that it must not take the place of.
        force: whether another one may be overwritten.
    """
    if place.suffix.lower() != ending:
        raise UserError(f"{flag} {place}: the name must end in {ending}")
    if not place.absolute().parent.is_dir():
        raise UserError(f"{flag} {place}: there is no folder {place.parent}; make it first")
    if os.path.realpath(place) in map(os.path.realpath, inputs):
        raise UserError(f"{flag} {place} would overwrite what is compared: choose another name")
    if not force:
        refuse_to_overwrite(place)


def write_changes(out: Path, changes: Sequence[Change], *, with_truth: bool) -> None:
    """Write the changes to a temporary file, which then takes its place. Raises OSError."""
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        # A file name that is no UTF-8 keeps its bytes.
        with temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS + WITH_TRUTH if with_truth else COLUMNS)
            for path, old, new, truth, outcome in changes:
                row = (path, *old, *new)
                writer.writerow((*row, truth, outcome) if with_truth else row)
        temporary.replace(out)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
