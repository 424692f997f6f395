"""The table of a job on a disk: one file, or a folder of parts."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from batch.cluster.folder import JobFolder
from batch.cluster.marker import Marker
from batch.cluster.parts import read_part, read_rows
from batch.cluster.planned import Planned
from batch.cluster.shard import Notify
from batch.disk.offered import sync_folder
from batch.table.columns import Columns
from batch.table.journal import hold, journal_of
from batch.table.output import Output, refuse_to_overwrite
from batch.table.place import place_of
from exporter.command import UserError

SUCCESS = "_SUCCESS"
"""The file that says a table of several parts is whole, as Hadoop and its successors know it."""

PART = re.compile(r"part-[0-9]+\.csv")

Show = Callable[[int], None]
"""Is told of rows as they are written."""


def write_table(
    folder: JobFolder,
    planned: Planned,
    markers: Iterable[Marker],
    out: Path,
    *,
    force: bool,
    notify: Notify,
    show: Show,
) -> None:
    """Write the rows of all parts to one table. Raises UserError if it is there already, unless `force`."""
    place = place_of(out)
    if not force:
        refuse_to_overwrite(place)
    with _held(place, notify), written(place, planned.plan.form, out.suffix, force=force, notify=notify) as output:
        join(folder, planned, markers, output, out.suffix, show)
    sync_folder(place.parent)


def write_parts(
    folder: JobFolder,
    planned: Planned,
    markers: Iterable[Marker],
    out: Path,
    *,
    force: bool,
    notify: Notify,
    show: Show,
) -> None:
    """Write each part as a table of its own. Raises UserError if there is a table already, unless `force`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}; choose another folder") from None
    success = out / SUCCESS
    # A finish that was killed may go on.
    if not force and not journal_of(success).exists() and (success.exists() or any(_parts(out))):
        raise UserError(f"{out} has a table already; add --force to write it anew, or choose another --out")
    with _held(success, notify):
        success.unlink(missing_ok=True)
        wanted = set()
        for marker in markers:
            part = out / f"part-{marker.shard:05}.csv"
            wanted.add(part.name)
            with written(part, planned.plan.form, part.suffix, force=True, notify=notify) as output:
                copy(folder, marker, output)
            show(marker.summary.rows)
        # Of another job's table, which this one overwrites.
        for other in _parts(out):
            if other.name not in wanted:
                other.unlink()
        success.touch()
    sync_folder(out)


def _parts(out: Path) -> list[Path]:
    return [path for path in out.iterdir() if PART.fullmatch(path.name)]


def join(
    folder: JobFolder, planned: Planned, markers: Iterable[Marker], output: Output[Any], ending: str, show: Show
) -> None:
    """Copy the rows of all parts to a table of any form."""
    for marker in markers:
        if ending.lower() == ".csv":
            copy(folder, marker, output)
            show(marker.summary.rows)
            continue
        for files, answers in read_rows(folder, marker, planned.plan.form):
            output.add(files, answers)
            show(len(files))


def copy(folder: JobFolder, marker: Marker, output: Output[Any]) -> None:
    """Copy the rows of a part, as they are, to a CSV."""
    for octets in read_part(folder, marker):
        output.add_rendered(octets)


@contextmanager
def _held(place: Path, notify: Notify) -> Iterator[None]:
    """Keep other commands from writing the same table."""
    lock = hold(place, notify)
    try:
        yield
    finally:
        with suppress(OSError):
            journal_of(place).unlink(missing_ok=True)
        lock.close()


@contextmanager
def written(place: Path, form: Columns[Any], ending: str, *, force: bool, notify: Notify) -> Iterator[Output[Any]]:
    """A table that takes its place once it is whole."""
    output = Output(place, form, ending)
    try:
        yield output
        output.sync(notify)
        output.take_place(force=force)
    finally:
        output.discard()
