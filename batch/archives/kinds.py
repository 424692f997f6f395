"""Which files are archives: by the ending of their names, for paths and patterns alike."""

import os
import re
from functools import lru_cache

from batch.stores.patience import Patience
from batch.stores.urls import is_url, parse_url

TAR, ZIP, PARQUET, ARROW = "tar", "zip", "Parquet", "Arrow"

_KINDS = {
    ".tar": TAR,
    ".tar.gz": TAR,
    ".tgz": TAR,
    ".zip": ZIP,
    ".parquet": PARQUET,
    ".arrow": ARROW,
    ".arrows": ARROW,
    ".feather": ARROW,
    ".ipc": ARROW,
}
_ENDINGS = tuple(_KINDS)
_COMPRESSED = (".gz", ".tgz")
_IN_PATTERN = re.compile(r"\.(tar|tgz|zip|parquet|arrows?|feather|ipc)\b", re.IGNORECASE)


def is_archive(path: str) -> bool:
    """Whether a file of this name is opened for what is in it."""
    return path[-8:].lower().endswith(_ENDINGS)


def archive_of(path: str) -> str:
    """The archive that a path in the table leads into; empty if it leads into none.

    Raises StoreError if it would be in a store, which failed.
    """
    at = path.find("/", 1)
    while at >= 0:
        if is_archive(path[:at]) and _is_there(path[:at]):
            return path[:at]
        at = path.find("/", at + 1)
    return ""


@lru_cache
def _is_there(path: str) -> bool:
    if is_url(path):
        from batch.stores.store import is_object  # noqa: PLC0415 - a run without URLs starts without it

        return is_object(parse_url(path), Patience())
    return os.path.isfile(path)  # noqa: PTH113 - a path that is no UTF-8 stays as it is


def kind_of(path: str) -> str:
    """TAR, ZIP, PARQUET or ARROW, of the path of an archive."""
    name = path[-8:].lower()
    return next(kind for ending, kind in _KINDS.items() if name.endswith(ending))


def is_countable(path: str) -> bool:
    """Whether the members of an archive can be counted without decompressing them."""
    return not path.lower().endswith(_COMPRESSED)


def is_for_archives(pattern: str) -> bool:
    """Whether a pattern for names is meant for archives, such as `*.tar` or `train-*.tar.*`."""
    return _IN_PATTERN.search(pattern) is not None


def is_for_tables(pattern: str) -> bool:
    """Whether a path or pattern is meant for Parquet or Arrow files, which take pyarrow."""
    found = _IN_PATTERN.search(pattern)
    return found is not None and found[1].lower() not in ("tar", "tgz", "zip")
