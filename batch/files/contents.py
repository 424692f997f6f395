"""The contents of files for requests: as they are where the signature takes them, else as PNG."""

import errno
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from batch.disk.long_paths import open_path, stat_path
from batch.files.ahead import Ahead, UnreadError, is_remote
from batch.files.copies import Copies
from batch.files.file import File
from batch.formats.kinds import can_read, foreign_kind
from batch.formats.pool import Converter, Task
from batch.stores.patience import Patience
from exporter.contract import CHANGED, MAX_FILE_BYTES, TOO_LARGE, UNREADABLE, UNSUPPORTED

_GONE = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True)
class Fault:
    """Why a file cannot be sent: a text of the contract."""

    text: str


class Contents:
    """Reads files.

    What a file is, its bytes say, not its name. TIFF, BMP, GIF, WebP and HEIC become PNG on the way, in processes of
    their own; a run without such files has none of these. Bytes of no known kind are for the server to judge.

    Args:
        patience: how long faults of a store are waited out.
        as_planned: whether a file is read only if its size and time, or its tag, are still those that the walk found.
            Otherwise whatever is there now is its content.

    Attributes:
        unread_pages: pages of TIFFs that were taken for one picture each, as they are named .png, .jpg or .jpeg.
    """

    def __init__(self, patience: Patience | None = None, *, as_planned: bool = False) -> None:
        self._as_planned = as_planned
        self._converter = Converter()
        self._ahead = Ahead(patience or Patience(), as_planned=as_planned)
        self._copies = Copies()
        self.unread_pages = 0
        self._gone = 0

    @property
    def gone(self) -> int:
        """How many files the walk found that are not there any more; counted only with `as_planned`."""
        return self._gone + self._ahead.gone

    def expect(self, files: Iterable[File]) -> None:
        """Begin to read files that are not on a disk. All of them are to be read, in that order."""
        self._ahead.expect(files)

    def wants_more(self, beyond: list[File]) -> bool:
        """Whether more files should be expected, so that stores are kept busy while these first ones are read."""
        return self._ahead.wants_more(beyond)

    def read(self, files: Iterable[File]) -> Iterator[bytes | Fault]:
        """The encoded image of each file, in order, or why there is none.

        While one picture is converted the next ones are, too, and the files after it are read.

        Raises:
            ConverterError: pictures are to be converted, and the process for it does not start.
            StoreError: a store failed for too long.
            OSError: what is not on a disk is to be converted, and the folder for temporary files is full.
        """
        coming: deque[bytes | Fault | Task] = deque()
        for file in files:
            content = self._begin(file)
            if not coming and not isinstance(content, Task):
                yield content
                continue
            coming.append(content)
            while coming and (self._converter.is_full or not isinstance(coming[0], Task)):
                yield self._finish(coming.popleft())
        while coming:
            yield self._finish(coming.popleft())

    def close(self) -> None:
        """End the processes, if there are any, and give up what is under way."""
        self._ahead.close()
        self._converter.close()
        self._copies.close()

    def _begin(self, file: File) -> bytes | Fault | Task:
        if file.fault:
            return Fault(file.fault)
        held = self._held(file)
        kind = "TIFF"
        if file.page:
            # On a disk it is read by whoever converts it: the other pages need not come along.
            if held is None and self._as_planned and (changed := self._change(file)):
                return changed
        else:
            content = self._read(file) if held is None else held
            found = foreign_kind(content) if isinstance(content, bytes) else None
            if found is None:
                return content
            kind = found
        if isinstance(held, Fault):
            return held
        if not can_read(kind):
            return Fault(UNSUPPORTED)
        return self._converter.ask(file.source if held is None else self._copies.add(held), file.page)

    def _held(self, file: File) -> bytes | Fault | None:
        """What of a file is in memory already, or on its way there; None of one on a disk."""
        if not is_remote(file):
            return file.content
        try:
            return self._ahead.take()
        except UnreadError as error:
            return Fault(str(error))

    def _change(self, file: File) -> Fault | None:
        """Why a file is not to be read: it is not as the walk found it."""
        try:
            return None if _is_as_planned(file, stat_path(file.source)) else Fault(CHANGED)
        except OSError as error:
            return self._fault(file, error)

    def _fault(self, file: File, error: OSError) -> Fault:
        """Why a file cannot be read."""
        if not self._as_planned or error.errno not in _GONE or not file.mtime_ns:
            return Fault(UNREADABLE)
        self._gone += 1
        return Fault(CHANGED)

    def _read(self, file: File) -> bytes | Fault:
        """The bytes of a file, or the error text for its row."""
        if file.size > MAX_FILE_BYTES:
            return Fault(TOO_LARGE)
        try:
            # Not blocking: a FIFO that has taken the file's place would have us wait for someone to write to it.
            descriptor = open_path(file.path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                image = os.read(descriptor, file.size + 1)
                while len(image) != file.size and (more := os.read(descriptor, MAX_FILE_BYTES)):
                    image += more
                    if len(image) > MAX_FILE_BYTES:
                        return Fault(TOO_LARGE)
                # After it was read: what changed meanwhile has changed, too.
                if self._as_planned and not _is_as_planned(file, os.fstat(descriptor)):
                    return Fault(CHANGED)
            finally:
                os.close(descriptor)
        except OSError as error:
            return self._fault(file, error)
        return image

    def _finish(self, content: bytes | Fault | Task) -> bytes | Fault:
        if not isinstance(content, Task):
            return content
        converted = self._converter.take(content)
        self._copies.remove(content.path)
        self.unread_pages += converted.unread
        return Fault(converted.error) if converted.error else converted.png


def _is_as_planned(file: File, status: os.stat_result) -> bool:
    return status.st_size == file.size and status.st_mtime_ns == file.mtime_ns
