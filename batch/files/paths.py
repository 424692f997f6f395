"""A list of paths on standard input."""

import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

_LONGEST_PATH = 4096  # PATH_MAX of Linux
_CHUNK = 65536


class PathList:
    """Paths separated by newlines, or by NUL where there is one; empty ones are left out.

    It can be walked again: what was read is kept in a temporary file, as a pipe gives it once only.

    Args:
        source: the list; read as far as it is walked.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the list

    def __iter__(self) -> Iterator[str]:
        """Walk the paths, from the first."""
        chunks = self._chunks()
        rest = next(chunks, b"")
        # A list with NULs has one within its first path, which is no longer than any path can be.
        separator = b"\0" if b"\0" in rest else b"\n"
        for chunk in chunks:
            *paths, rest = rest.split(separator)
            yield from (os.fsdecode(path) for path in paths if path)
            rest += chunk
        yield from (os.fsdecode(path) for path in rest.split(separator) if path)

    def _chunks(self) -> Iterator[bytes]:
        """The bytes of the list; the first as many as a path can have."""
        position = 0
        while True:
            wanted = _CHUNK if position else _LONGEST_PATH + 1
            self._kept.seek(position)
            chunk = self._kept.read(wanted)
            if not chunk:
                chunk = self._source.read(wanted)
                self._kept.write(chunk)
            if not chunk:
                return
            position += len(chunk)
            yield chunk
