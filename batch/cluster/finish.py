"""From the parts of a job to its table, and what it found."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from batch.cluster.folder import JobFolder, open_folder
from batch.cluster.marker import Marker, read_marker
from batch.cluster.parts import UnfinishedError, read_part, read_rows
from batch.cluster.planned import Planned, open_job
from batch.cluster.shard import Notify
from batch.disk.offered import sync_folder
from batch.summary import Summary
from batch.table.journal import hold, journal_of
from batch.table.output import Form, Output, check_output, refuse_to_overwrite
from batch.table.place import place_of
from exporter.command import UserError

SUCCESS = "_SUCCESS"
"""The file that says a table of several parts is whole, as Hadoop and its successors know it."""

_PART = re.compile(r"part-[0-9]+\.csv")

Show = Callable[[int], None]
"""Is told of rows as they are written."""


def finish_job(
    job: str, out: str, *, force: bool = False, notify: Notify = lambda _: None, show: Show = lambda _: None
) -> tuple[Summary, Planned]:
    """Write the table of a job in the order of its walk, from the parts of its shards.

    Args:
        job: the job's folder.
        out: a table, whose ending says its form; or a folder, which gets a CSV part for each shard.
        force: overwrite what is there.
        notify: told in one line what the user should know.
        show: told of rows as they are written.

    Returns:
        What all shards found, and the job.

    Raises:
        UserError: there is no such job, or the table cannot be written there.
        UnfinishedError: shards are missing.
        DamagedError: a part is not what it was; its shard is missing now.
        OSError: the disk is full, or the job cannot be read.
    """
    folder = open_folder(job)
    planned = open_job(folder)
    is_folder = names_folder(out)
    if not is_folder:
        check_output(Path(out))
    found = _summarise(folder, planned)
    markers = _markers(folder, planned)
    if is_folder:
        _write_parts(folder, planned, markers, Path(out), force=force, notify=notify, show=show)
    else:
        _write_table(folder, planned, markers, Path(out), force=force, notify=notify, show=show)
    folder.put(SUCCESS, b"")
    return found, planned


def names_folder(out: str) -> bool:
    """Whether an output is a folder: one that is there, or a name that ends with a slash."""
    return out.endswith("/") or Path(out).is_dir()


def _summarise(folder: JobFolder, planned: Planned) -> Summary:
    """What all shards found, and what they passed over, added to the plan. Raises UnfinishedError unless all are."""
    found = Summary()
    missing = 0
    began, ended = float("inf"), 0.0
    for number in range(planned.shards):
        marker = read_marker(folder, planned, number)
        if marker is None:
            missing += 1
            continue
        found.merge(marker.summary)
        planned.skipped.merge(marker.skipped)
        began = min(began, marker.ended - marker.summary.seconds)
        ended = max(ended, marker.ended)
    if missing:
        raise UnfinishedError(
            f"{missing:,} of {planned.shards:,} shards are missing: run digits-job work {folder.name}; digits-job "
            f"status {folder.name} says what is wrong with them"
        )
    found.seconds = ended - began
    return found


def _markers(folder: JobFolder, planned: Planned) -> Iterator[Marker]:
    for number in range(planned.shards):
        marker = read_marker(folder, planned, number)
        if marker is None:
            raise UnfinishedError(f"shard {number} has just gone missing: run digits-job work {folder.name}")
        yield marker


def _write_table(
    folder: JobFolder,
    planned: Planned,
    markers: Iterable[Marker],
    out: Path,
    *,
    force: bool,
    notify: Notify,
    show: Show,
) -> None:
    place = place_of(out)
    if not force:
        refuse_to_overwrite(place)
    form = planned.plan.form
    with _held(place, notify), _written(place, form, out.suffix, force=force, notify=notify) as output:
        for marker in markers:
            if out.suffix.lower() == ".csv":
                _copy(folder, marker, output)
                show(marker.summary.rows)
                continue
            for files, answers in read_rows(folder, marker, form):
                output.add(files, answers)
                show(len(files))
    sync_folder(place.parent)


def _write_parts(
    folder: JobFolder,
    planned: Planned,
    markers: Iterable[Marker],
    out: Path,
    *,
    force: bool,
    notify: Notify,
    show: Show,
) -> None:
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
            with _written(part, planned.plan.form, part.suffix, force=True, notify=notify) as output:
                _copy(folder, marker, output)
            show(marker.summary.rows)
        # Of another job's table, which this one overwrites.
        for other in _parts(out):
            if other.name not in wanted:
                other.unlink()
        success.touch()
    sync_folder(out)


def _parts(out: Path) -> list[Path]:
    return [path for path in out.iterdir() if _PART.fullmatch(path.name)]


def _copy(folder: JobFolder, marker: Marker, output: Output) -> None:
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
def _written(place: Path, form: Form, ending: str, *, force: bool, notify: Notify) -> Iterator[Output]:
    """A table that takes its place once it is whole."""
    output = Output(place, form, ending)
    try:
        yield output
        output.sync(notify)
        output.take_place(force=force)
    finally:
        output.discard()
