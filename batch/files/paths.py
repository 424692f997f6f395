"""A list of paths on standard input."""

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, BinaryIO

from exporter.command import UserError

_CHUNK = 65536  # bytes; more than the first path has, even in a tree thousands of folders deep
_UTF_8_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class PathList:
    """Paths separated by newlines, or by NUL where there is one; empty ones are left out.

    Lists from Windows are understood: neither the byte order mark before the first path nor the carriage return before
    a newline is part of a path, unless there is a file of that very name.

    It can be walked again: what was read is kept in a temporary file, as a pipe gives it once only.

    Args:
        source: the list; read as far as it is walked.
        once: it is not walked again, and nothing is kept.

    Raises:
        UserError: there is no folder for that file.
    """

    def __init__(self, source: BinaryIO, *, once: bool = False) -> None:
        self._source = source
        self._kept: IO[bytes] | None = None
        try:
            if not once:
                self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the list
        except OSError as error:
            raise UserError(
                f"the list on standard input cannot be kept in a temporary file: {error.strerror}; set TMPDIR to a "
                "folder that can be written"
            ) from None

    def __iter__(self) -> Iterator[str]:
        """Walk the paths, from the first. Raises UserError if they are in UTF-16."""
        chunks = self._chunks()
        beginning = next(chunks, b"")
        _refuse_utf_16(beginning)
        # A list with NULs has one within its first path.
        separator = b"\0" if b"\0" in beginning else b"\n"
        mark = _UTF_8_MARK
        for path in _split(itertools.chain((beginning,), chunks), separator):
            meant = _meant(path, mark, b"\r" if separator == b"\n" else b"")
            mark = b""
            if meant:
                yield os.fsdecode(meant)

    def _chunks(self) -> Iterator[bytes]:
        """The bytes of the list."""
        if self._kept is None:
            yield from iter(lambda: self._source.read(_CHUNK), b"")
            return
        position = 0
        while True:
            self._kept.seek(position)
            chunk = self._kept.read(_CHUNK)
            if not chunk:
                chunk = self._source.read(_CHUNK)
                self._kept.write(chunk)
            if not chunk:
                return
            position += len(chunk)
            yield chunk


def _meant(path: bytes, mark: bytes, end: bytes) -> bytes:
    """A path without what Windows puts before and after it, unless a file's name has just that."""
    bare = path.removeprefix(mark).removesuffix(end)
    if bare == path:
        return path
    ways = (path, path.removeprefix(mark), path.removesuffix(end))
    return next((way for way in ways if os.path.lexists(way)), bare)


def _split(chunks: Iterable[bytes], separator: bytes) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *paths, rest = (rest + chunk).split(separator)
        yield from paths
    yield rest


def _refuse_utf_16(beginning: bytes) -> None:
    """Raise UserError for a list in UTF-16: by its NULs it would be taken for one of single letters, `/` among them."""
    paths = [path for path in beginning.split(b"\0") if path]
    # A file may be called like a mark, and files or folders like single letters.
    is_marked = beginning.startswith(_UTF_16_MARKS) and not os.path.lexists(paths[0])
    letters = {letter for pair in itertools.pairwise(paths) if len(pair[0]) == len(pair[1]) == 1 for letter in pair}
    is_spelled = any(letter in b"/." or not os.path.lexists(letter) for letter in letters)
    # Beside letters that take two bytes, a slash may stand alone.
    if is_marked or is_spelled or (b"/" in paths and len(paths) > 1):
        raise UserError(
            "the list of paths on standard input is in UTF-16, as > of Windows PowerShell writes it: write it with "
            "| Out-File -Encoding utf8 instead, or convert it with iconv -f UTF-16 -t UTF-8"
        )
