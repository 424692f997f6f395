"""The table of a job in an object store: one object, or a part for each shard."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from batch.cluster.folder import JobFolder
from batch.cluster.marker import Marker
from batch.cluster.planned import Planned
from batch.cluster.shard import Notify
from batch.cluster.store_folder import StoreFolder
from batch.cluster.tables import PART, SUCCESS, Show, copy, join, written
from batch.stores.patience import Patience
from batch.table.remote import check_remote, put_table
from exporter.command import UserError


def put_whole(
    folder: JobFolder,
    planned: Planned,
    markers: Iterable[Marker],
    *,
    url: str,
    force: bool,
    notify: Notify,
    show: Show,
) -> None:
    """Put one table. Raises UserError if something is there already, unless `force`."""
    patience = Patience(notify=notify)
    check_remote(url, patience, replace=force)
    with tempfile.TemporaryDirectory(prefix="digits-") as here:
        ending = Path(url).suffix
        place = Path(here) / f"table{ending.lower()}"
        with written(place, planned.plan.form, ending, force=True, notify=notify) as output:
            join(folder, planned, markers, output, ending, show)
        put_table(place, url, patience, replace=force)


def put_parts(
    folder: JobFolder,
    planned: Planned,
    markers: Iterable[Marker],
    *,
    url: str,
    force: bool,
    notify: Notify,
    show: Show,
) -> None:
    """Put each part as a table of its own, and SUCCESS last. Raises UserError if that is there, unless `force`."""
    out = StoreFolder(url)
    if out.size(SUCCESS) is not None:
        if not force:
            raise UserError(f"{url} has a table already; add --force to write it anew, or choose another --out")
        out.remove(SUCCESS)
    wanted = set()
    with tempfile.TemporaryDirectory(prefix="digits-") as here:
        for marker in markers:
            place = Path(here) / f"part-{marker.shard:05}.csv"
            wanted.add(place.name)
            with written(place, planned.plan.form, place.suffix, force=True, notify=notify) as output:
                copy(folder, marker, output)
            put_table(place, url + place.name, Patience(notify=notify), replace=True)
            place.unlink()
            show(marker.summary.rows)
    # Of another job's table, which this one overwrites.
    for name in list(out.names("")):
        if PART.fullmatch(name) and name not in wanted:
            out.remove(name)
    out.put(SUCCESS, b"")
