"""One way to the members of every kind of archive."""

from collections.abc import Iterator
from contextlib import closing

from batch.archives.kinds import TAR, ZIP, kind_of
from batch.archives.member import ArchiveError, Member, Selection
from batch.archives.source import Stream, open_source
from batch.stores.patience import Patience


def read_members(path: str, selection: Selection, patience: Patience) -> Iterator[Member]:
    """Members in order, read as they are asked for.

    Args:
        path: of an archive; its ending says of which kind.
        selection: which of them.
        patience: how long faults of a store are waited out, if it is in one.

    Raises:
        ArchiveError: it cannot be opened, or not be read to its end.
        UserError: what reads its kind is not installed.
        StoreError: it is in a store, which failed for too long.
    """
    # Imported when it is met: most runs have no archives.
    try:
        file = open_source(path, patience)
    except (OSError, ValueError) as error:
        raise ArchiveError(f"cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    kind = kind_of(path)
    try:
        with closing(file):
            if kind == TAR:
                from batch.archives.tar import read_tar  # noqa: PLC0415 - as above

                yield from read_tar(Stream(file), selection)
            elif kind == ZIP:
                from batch.archives.zip import read_zip  # noqa: PLC0415 - as above

                yield from read_zip(file, selection)
            else:
                from batch.archives.table import read_table  # noqa: PLC0415 - as above

                yield from read_table(file, kind, selection)
    except OSError as error:
        # What fails outside of one member: the disk, or the connection to it.
        raise ArchiveError(f"cannot be read further ({error.strerror or error})") from None
