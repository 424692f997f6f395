"""The files of a job, which appear whole under their names or not at all: in a folder, or under a URL of a store.

Everything that a job reads and writes goes through a `JobFolder`, by names relative to the job, with slashes.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from batch.stores.urls import is_url


class Draft(Protocol):
    """What is written of a file before it has its name."""

    def write(self, octets: bytes, /) -> None:
        """Append."""

    def put(self, name: str, /) -> None:
        """Name it, in place of what is there."""

    def put_new(self, name: str, /) -> bool:
        """Name it, unless a file has that name. Returns whether it is named."""


class JobFolder(Protocol):
    """Where the files of a job are.

    Methods raise OSError as from a file system, or StoreError as from a store.
    """

    name: str
    """As the user wrote it."""

    readers: int
    """How many threads read files at once where many are read; 1 where that gains nothing."""

    def read(self, name: str, /) -> bytes:
        """The content of a file. Raises FileNotFoundError if it is not there."""

    def open(self, name: str, /) -> BinaryIO:
        """A file for reading. Raises FileNotFoundError if it is not there."""

    def size(self, name: str, /) -> int | None:
        """How many bytes a file has; None if it is not there."""

    def names(self, prefix: str, /) -> Iterator[str]:
        """What one of the folders holds, in no order."""

    def remove(self, name: str, /) -> None:
        """Delete a file, if it is there."""

    def remove_all(self, prefix: str, /) -> None:
        """Delete one of the folders with its files, as far as that goes."""

    def put(self, name: str, content: bytes, /) -> None:
        """Write a file, in place of what is there."""

    def put_new(self, name: str, content: bytes, /) -> bool:
        """Write a file, unless one is there; of several who try, one does it. Returns whether it is written."""

    def draft(self) -> AbstractContextManager[Draft]:
        """A file without a name; it is thrown away unless it is given one."""


def open_folder(job: str) -> JobFolder:
    """The folder of a job, which need not be there yet. Raises UserError for a URL that is of no store."""
    if is_url(job):
        from batch.cluster.store_folder import StoreFolder  # noqa: PLC0415 - a job in a folder starts without it

        return StoreFolder(job)
    from batch.cluster.local_folder import LocalFolder  # noqa: PLC0415 - as above

    return LocalFolder(job)
