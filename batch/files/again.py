"""A file of the table once more, for people to look at."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from batch.archives.kinds import archive_of
from batch.files.file import File
from batch.files.skipped import Skipped
from batch.files.walk import Walk, expand
from batch.formats.pages import split_page
from batch.stores.faults import LargeError, MissingError
from batch.stores.patience import Patience
from batch.stores.urls import is_url, parse_url
from exporter.contract import MAX_FILE_BYTES


@contextmanager
def readable(name: str) -> Iterator[tuple[str, int]]:
    """The path of the file that a name in the table stands for, and the page; page 0 for a whole file.

    An object of a store is copied to a temporary file, which is gone afterwards.

    Raises:
        OSError: there is no such object any more.
        StoreError: the store failed.
    """
    if not is_url(name):
        yield split_page(name)
        return
    # An object may be called like a page.
    content, page = _content(name), 0
    if content is None:
        source, page = split_page(name)
        content = _content(source) if page else None
    if content is None:
        raise FileNotFoundError(name)
    with tempfile.NamedTemporaryFile(prefix="digits-") as copy:
        copy.write(content)
        copy.flush()
        yield copy.name, page


def members_again(paths: Iterable[str], what: Walk) -> Iterator[File]:
    """Those of the files that are in archives, with their bytes; each archive is read once more, as far as is needed.

    Args:
        paths: as in the table.
        what: of the run; says which columns of tables.

    Raises:
        StoreError: an archive is in a store, which failed.
    """
    wanted: dict[str, set[str]] = {}
    for path in paths:
        if archive := archive_of(path):
            wanted.setdefault(archive, set()).add(path)
    for archive, names in wanted.items():
        for file in expand(File(archive, 0, 0), what, Skipped()):
            if file.path in names and file.content is not None:
                names.remove(file.path)
                yield file
            if not names:
                break


def _content(url: str) -> bytes | None:
    """The content of an object; None if there is none, or too much of it."""
    from batch.stores.store import open_store  # noqa: PLC0415 - a run without URLs starts without it

    where = parse_url(url)
    try:
        return open_store(where).fetch(where, Patience(), most=MAX_FILE_BYTES).result().content
    except (MissingError, LargeError):
        return None
