"""The files of a job under a URL, in an object store that all workers can reach."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from batch.stores.faults import MissingError, TakenError
from batch.stores.file import open_object
from batch.stores.patience import Patience
from batch.stores.store import Store, open_store
from batch.stores.urls import ObjectUrl, parse_url

_MOST_BYTES = 64 * 1024 * 1024  # of what is read at once: markers, claims, job.json with what a walk passed over


class StoreFolder:
    """See JobFolder.

    Args:
        job: the URL; nothing need be there yet.
    """

    readers = 32

    def __init__(self, job: str) -> None:
        self.name = job
        where = parse_url(job)
        self._root = where._replace(key=where.key.rstrip("/") + "/" if where.key.strip("/") else "")
        self._patience = Patience()

    def read(self, name: str) -> bytes:
        """See JobFolder."""
        where = self._at(name)
        try:
            return self._store.fetch(where, self._patience, most=_MOST_BYTES).result().content
        except MissingError:
            raise FileNotFoundError(2, "no such object", where.url) from None

    def open(self, name: str) -> BinaryIO:
        """See JobFolder."""
        return open_object(self._at(name), self._patience)

    def size(self, name: str) -> int | None:
        """See JobFolder."""
        try:
            return self._store.find(self._at(name), self._patience).result().size
        except MissingError:
            return None

    def names(self, prefix: str) -> Iterator[str]:
        """See JobFolder."""
        top = self._at(prefix + "/" if prefix else "")
        start = len(self._root.key)
        for page in self._store.pages(top, self._patience, recursive=False):
            for key in (*page.folders, *(entry.key for entry in page.entries)):
                yield key[start:].rstrip("/")

    def remove(self, name: str) -> None:
        """See JobFolder."""
        self._store.delete(self._at(name), self._patience)

    def remove_all(self, prefix: str) -> None:
        """See JobFolder."""
        for page in self._store.pages(self._at(prefix + "/"), self._patience):
            for entry in page.entries:
                self._store.delete(self._root._replace(key=entry.key), self._patience)

    def put(self, name: str, content: bytes) -> None:
        """See JobFolder."""
        self._store.put(self._at(name), content, self._patience, replace=True)

    def put_new(self, name: str, content: bytes) -> bool:
        """See JobFolder."""
        try:
            self._store.put(self._at(name), content, self._patience)
        except TakenError:
            return False
        return True

    @contextmanager
    def draft(self) -> Iterator["StoreDraft"]:
        """See JobFolder."""
        with tempfile.TemporaryFile(prefix="digits-") as file:
            yield StoreDraft(self, cast("BinaryIO", file))

    def put_file(self, name: str, file: BinaryIO, *, replace: bool) -> None:
        """Write a file of any size. Raises TakenError if one is there that is not to be replaced."""
        self._store.put_file(self._at(name), file, self._patience, replace=replace)

    @property
    def _store(self) -> Store:
        # Not kept: a worker may be a fork of the process that opened it.
        return open_store(self._root)

    def _at(self, name: str) -> ObjectUrl:
        return self._root._replace(key=self._root.key + name)


class StoreDraft:
    """See Draft: a temporary file here, until it is put as one object.

    Args:
        folder: of the job.
        file: takes what is written.
    """

    def __init__(self, folder: StoreFolder, file: BinaryIO) -> None:
        self._folder = folder
        self._file = file

    def write(self, octets: bytes) -> None:
        """See Draft."""
        self._file.write(octets)

    def put(self, name: str) -> None:
        """See Draft."""
        self._folder.put_file(name, self._file, replace=True)

    def put_new(self, name: str) -> bool:
        """See Draft."""
        try:
            self._folder.put_file(name, self._file, replace=False)
        except TakenError:
            return False
        return True
