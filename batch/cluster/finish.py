"""From the parts of a job to its table, and what it found."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from batch.cluster.folder import JobFolder, open_folder
from batch.cluster.marker import Marker, read_markers
from batch.cluster.parts import UnfinishedError
from batch.cluster.planned import Planned, open_job
from batch.cluster.shard import Notify
from batch.cluster.tables import SUCCESS, Show, write_parts, write_table
from batch.stores.urls import is_url
from batch.summary import Summary
from batch.table.output import check_output
from exporter.command import counted


def finish_job(
    job: str, out: str, *, force: bool = False, notify: Notify = lambda _: None, show: Show = lambda _: None
) -> tuple[Summary, Planned]:
    """Write the table of a job in the order of its walk, from the parts of its shards.

    Args:
        job: the job's folder.
        out: a table, whose ending says its form; or a folder, which gets a CSV part for each shard. Either may be a
            URL; that of a folder ends with a slash.
        force: overwrite what is there.
        notify: told in one line what the user should know.
        show: told of rows as they are written.

    Returns:
        What all shards found, and the job.

    Raises:
        UserError: there is no such job, or the table cannot be written there.
        UnfinishedError: shards are missing.
        DamagedError: a part is not what it was; its shard is missing now.
        StoreError: the job or the table is in a store, which failed.
        OSError: the disk is full, or the job cannot be read.
    """
    folder = open_folder(job)
    planned = open_job(folder)
    if is_url(out):
        from batch.cluster.store_tables import put_parts, put_whole  # noqa: PLC0415 - a run without URLs starts without it

        write_to_url = put_parts if out.endswith("/") else put_whole
        write = partial(write_to_url, url=out)
    else:
        write = partial(write_parts if names_folder(out) else write_table, out=Path(out))
    if not names_folder(out):
        check_output(Path(out))
    found = _summarise(folder, planned)
    write(folder, planned, _markers(folder, planned), force=force, notify=notify, show=show)
    folder.put(SUCCESS, b"")
    return found, planned


def names_folder(out: str) -> bool:
    """Whether an output is a folder: one that is there, or a name that ends with a slash."""
    return out.endswith("/") or (not is_url(out) and Path(out).is_dir())


def _summarise(folder: JobFolder, planned: Planned) -> Summary:
    """What all shards found, and what they passed over, added to the plan. Raises UnfinishedError unless all are."""
    found = Summary()
    missing = 0
    began, ended = float("inf"), 0.0
    for marker in read_markers(folder, planned):
        if marker is None:
            missing += 1
            continue
        found.merge(marker.summary)
        planned.skipped.merge(marker.skipped)
        began = min(began, marker.ended - marker.summary.seconds)
        ended = max(ended, marker.ended)
    if missing:
        raise UnfinishedError(
            f"{missing:,} of {counted(planned.shards, 'shard')} {'is' if missing == 1 else 'are'} missing: run "
            f"digits-job work {folder.name}; digits-job status {folder.name} says what is wrong"
        )
    found.seconds = ended - began
    return found


def _markers(folder: JobFolder, planned: Planned) -> Iterator[Marker]:
    for number, marker in enumerate(read_markers(folder, planned)):
        if marker is None:
            raise UnfinishedError(f"shard {number} has just gone missing: run digits-job work {folder.name}")
        yield marker
