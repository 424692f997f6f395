"""An object as an open file: read by blocks, several ahead of whoever reads on from block to block."""

import io
from collections import OrderedDict
from typing import TYPE_CHECKING, BinaryIO

from batch.stores.faults import MissingError
from batch.stores.patience import Patience
from batch.stores.store import Store, open_store
from batch.stores.urls import ObjectUrl

if TYPE_CHECKING:
    from concurrent.futures import Future

    from batch.stores.protocol import Blob

_BLOCK_BYTES = 16 * 1024 * 1024
_AHEAD = 2  # blocks asked for at once while a file is read on
_KEPT = 2  # blocks kept behind, for who reads here and there, as in a directory and in members

_BUFFER_BYTES = 1024 * 1024


def open_object(where: ObjectUrl, patience: Patience) -> BinaryIO:
    """Open an object for reading; some sixty megabytes of it are in memory at most.

    Raises:
        FileNotFoundError: there is none.
        StoreError: the store failed.
    """
    store = open_store(where)
    try:
        found = store.find(where, patience).result()
    except MissingError:
        raise FileNotFoundError(2, "no such object", where.url) from None
    # A buffered reader is all that a BinaryIO has to be.
    return io.BufferedReader(_ObjectFile(store, where, found.size, found.tag, patience), _BUFFER_BYTES)


class _ObjectFile(io.RawIOBase):
    """The bytes of one version of an object: StoreError once it has changed, since parts of two fit nowhere."""

    def __init__(self, store: Store, where: ObjectUrl, size: int, tag: str, patience: Patience) -> None:
        super().__init__()
        self._store = store
        self._where = where
        self._size = size
        self._tag = tag
        self._patience = patience
        self._at = 0
        self._last = -1
        self._blocks: OrderedDict[int, Future[Blob]] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("negative seek position")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: "memoryview | bytearray", /) -> int:  # type: ignore[override]
        """Fill a buffer as far as the block at hand goes. Raises StoreError, or FileNotFoundError once it is gone."""
        if self._at >= self._size:
            return 0
        number, start = divmod(self._at, _BLOCK_BYTES)
        block = self._block(number)
        part = memoryview(block)[start : start + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        for future in self._blocks.values():
            future.cancel()
        self._blocks.clear()
        super().close()

    def _block(self, number: int) -> bytes:
        """A block; the next ones are asked for, too, where it follows on the one before it."""
        ahead = _AHEAD if number in (self._last, self._last + 1) else 1
        for one in range(number, min(number + ahead, -(-self._size // _BLOCK_BYTES))):
            if one not in self._blocks:
                self._blocks[one] = self._ask(one)
        self._blocks.move_to_end(number)
        self._last = number
        while len(self._blocks) > _AHEAD + _KEPT:
            self._blocks.popitem(last=False)[1].cancel()
        try:
            return self._blocks[number].result().content
        except MissingError:
            raise FileNotFoundError(2, "no such object any more", self._where.url) from None

    def _ask(self, number: int) -> "Future[Blob]":
        start = number * _BLOCK_BYTES
        span = start, min(start + _BLOCK_BYTES, self._size)
        return self._store.fetch(self._where, self._patience, most=_BLOCK_BYTES, span=span, tag=self._tag)
