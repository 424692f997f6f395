"""Where an archive's bytes come from, and how they are read in one pass."""

import errno
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from batch.disk.long_paths import open_path
from batch.stores.patience import Patience
from batch.stores.urls import is_url, parse_url

_CHUNK = 1 << 20  # bytes: of the archive, and of what comes out of it at a time
_STEP = 512  # bytes, where the archive is damaged: the blocks of tar
_GZIP_START = b"\x1f\x8b"
_GZIP_BITS = 31  # zlib's word for gzip with the largest window


def open_source(path: str, patience: Patience) -> BinaryIO:
    """Open an archive for reading, at a path or at a URL.

    Raises:
        OSError: it cannot be opened.
        StoreError: it is in a store, which failed for too long.
    """
    if is_url(path):
        from batch.stores.file import open_object  # noqa: PLC0415 - a run without URLs starts without it

        return open_object(parse_url(path), patience)
    # Not blocking: a FIFO may have taken the file's place.
    descriptor = open_path(path, os.O_RDONLY | os.O_NONBLOCK)
    file = os.fdopen(descriptor, "rb", _CHUNK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "no regular file", path)
    return file


class Stream:
    """Reads a file from its beginning to its end, decompressed if it is gzip by its first bytes.

    A chunk of the file and one of what comes out are in memory, whatever the file claims to hold.

    Attributes:
        fault: why it ended before its end; empty if it did not.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.fault = ""
        self._file = file
        self._is_plain = False
        self._chunks = self._read()
        self._buffer = b""
        self._at = 0

    def read(self, count: int) -> bytes:
        """So many bytes; fewer at the end, or where the file is damaged."""
        end = self._at + count
        if end <= len(self._buffer):
            found = self._buffer[self._at : end]
            self._at = end
            return found
        pieces = [self._buffer[self._at :]]
        missing = count - len(pieces[0])
        while missing and self._fill():
            pieces.append(self._buffer[:missing])
            self._at = len(pieces[-1])
            missing -= self._at
        return b"".join(pieces)

    def skip(self, count: int) -> None:
        """Pass over so many bytes, or to the end."""
        here = min(count, len(self._buffer) - self._at)
        self._at += here
        count -= here
        if count > _CHUNK and self._is_plain and self._file.seekable():
            self._file.seek(count, os.SEEK_CUR)
            return
        while count and self._fill():
            self._at = min(count, len(self._buffer))
            count -= self._at

    def _read(self) -> Iterator[bytes]:
        chunk = self._file.read(_CHUNK)
        if chunk.startswith(_GZIP_START):
            yield from _inflate(chunk, self._file)
            return
        self._is_plain = True
        while chunk:
            yield chunk
            chunk = self._file.read(_CHUNK)

    def _fill(self) -> bool:
        """Replace the buffer, which is used up, by the next chunk; False at the end."""
        self._at = 0
        self._buffer = b""
        try:
            self._buffer = next(self._chunks, b"")
        except zlib.error as error:
            self.fault = f"cannot be decompressed further ({str(error).rpartition(': ')[2]})"
        except OSError as error:
            self.fault = f"cannot be read further ({error.strerror or error})"
        return bool(self._buffer)


def _inflate(compressed: bytes, file: BinaryIO) -> Iterator[bytes]:
    """What a gzip file holds, which may be several put together. Raises zlib.error where it is damaged."""
    while compressed.startswith(_GZIP_START[:1]):
        inflater = zlib.decompressobj(_GZIP_BITS)
        while not inflater.eof:
            before = inflater.copy()
            try:
                chunk = inflater.decompress(compressed, _CHUNK)
            except zlib.error:
                yield from _inflate_to_damage(before, compressed)
                raise
            compressed = inflater.unconsumed_tail
            if chunk:
                yield chunk
            if not compressed and not inflater.eof:
                compressed = file.read(_CHUNK)
                if not compressed:
                    raise zlib.error("it is cut off")
        # Zeros may pad it; what else follows is no part of it.
        compressed = inflater.unused_data.lstrip(b"\0") or file.read(_CHUNK).lstrip(b"\0")


def _inflate_to_damage(inflater: "zlib._Decompress", compressed: bytes) -> Iterator[bytes]:
    """What comes out before a place that zlib cannot read: of a call that fails, it gives nothing."""
    with suppress(zlib.error):
        while chunk := inflater.decompress(compressed, _STEP):
            compressed = inflater.unconsumed_tail
            yield chunk
