"""The files of a job in a folder, which all workers can reach."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from batch.disk.offered import sync_folder, try_sync

_DRAFTS = "tmp"
# What a file system says that has no hard links: FAT, some shares and FUSE.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EINVAL})


class LocalFolder:
    """See JobFolder.

    Args:
        job: where it is; need not be there yet.
    """

    readers = 1

    def __init__(self, job: str) -> None:
        self.name = job
        self._root = Path(job)

    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError if it is not there."""
        return (self._root / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """A file for reading. Raises FileNotFoundError if it is not there."""
        return (self._root / name).open("rb")

    def size(self, name: str) -> int | None:
        """How many bytes a file has; None if it is not there."""
        try:
            return (self._root / name).stat().st_size
        except FileNotFoundError:
            return None

    def names(self, prefix: str) -> Iterator[str]:
        """What one of the folders holds, in no order."""
        with suppress(FileNotFoundError), os.scandir(self._root / prefix) as entries:
            for entry in entries:
                yield f"{prefix}/{entry.name}"

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        (self._root / name).unlink(missing_ok=True)

    def remove_all(self, prefix: str) -> None:
        """Delete one of the folders with its files, as far as that goes."""
        shutil.rmtree(self._root / prefix, ignore_errors=True)

    def put(self, name: str, content: bytes) -> None:
        """Write a file, in place of what is there."""
        with self.draft() as draft:
            draft.write(content)
            draft.put(name)

    def put_new(self, name: str, content: bytes) -> bool:
        """Write a file, unless one is there; of several who try, one does it. Returns whether it is written."""
        with self.draft() as draft:
            draft.write(content)
            return draft.put_new(name)

    @contextmanager
    def draft(self) -> Iterator["LocalDraft"]:
        """A file without a name; it is thrown away unless it is given one."""
        folder = self._root / _DRAFTS
        folder.mkdir(parents=True, exist_ok=True)
        draft = LocalDraft(self._root, folder / secrets.token_hex(8))
        try:
            yield draft
        finally:
            draft.discard()


class LocalDraft:
    """What is written of a file before it has its name.

    Args:
        root: of the job.
        path: of the draft.
    """

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        self._file = path.open("xb")

    def write(self, octets: bytes) -> None:
        """Append."""
        self._file.write(octets)

    def put(self, name: str) -> None:
        """Name it, in place of what is there."""
        place = self._finish(name)
        self._path.replace(place)
        sync_folder(place.parent)

    def put_new(self, name: str) -> bool:
        """Name it, unless a file has that name. Returns whether it is named."""
        place = self._finish(name)
        try:
            place.hardlink_to(self._path)
        except FileExistsError:
            # NFS may have done it, lost the answer, and asked again.
            return self._path.stat().st_nlink > 1
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Without links, two who try in the same moment may both be told yes, and the later one's file stays.
            if os.path.lexists(place):
                return False
            self._path.replace(place)
        sync_folder(place.parent)
        return True

    def discard(self) -> None:
        """Throw away what has no name."""
        with suppress(OSError):  # rows that a full disk does not take any more
            self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _finish(self, name: str) -> Path:
        self._file.flush()
        try_sync(self._file.fileno())
        self._file.close()
        place = self._root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place
