"""Calls for paths of any length: beyond PATH_MAX, and with more links on the way than the system follows at once.

The system takes a path as it is nearly always. Where it does not, folders are opened on the way, a piece at a time.
"""

import errno
import os
from collections.abc import Callable
from typing import TypeVar

_TOO_MUCH = frozenset({errno.ENAMETOOLONG, errno.ELOOP})
_MOST_BYTES = 4095  # of a path: PATH_MAX of Linux without the byte at its end
_FEW_LINKS = 40  # bytes: so short a piece, or a single name, holds fewer links than the 40 that Linux follows
# A folder on the way need not be readable.
_ON_THE_WAY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC

_Result = TypeVar("_Result")


def open_path(path: str, flags: int) -> int:
    """As `os.open`; also an `opener` for `open`. Raises OSError."""
    flags |= os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except OSError as error:
        if error.errno not in _TOO_MUCH:
            raise
    return _in_pieces(path, lambda piece, folder: os.open(piece, flags, dir_fd=folder))


def stat_path(path: str, *, follow_symlinks: bool = True) -> os.stat_result:
    """As `os.stat`. Raises OSError, or ValueError for a path that holds a NUL."""
    try:
        return os.stat(path, follow_symlinks=follow_symlinks)  # noqa: PTH116 - a path that is no UTF-8 stays as it is
    except OSError as error:
        if error.errno not in _TOO_MUCH:
            raise
    return _in_pieces(path, lambda piece, folder: os.stat(piece, dir_fd=folder, follow_symlinks=follow_symlinks))


def list_folder(path: str) -> list[bytes]:
    """As `os.listdir`, of bytes. Raises OSError."""
    try:
        # Names alone, as bytes: of a million files they take a third of the memory of os.scandir's entries.
        return os.listdir(os.fsencode(path))  # noqa: PTH208 - a Path for each of a million files is slow
    except OSError as error:
        if error.errno not in _TOO_MUCH:
            raise
    descriptor = open_path(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return [os.fsencode(name) for name in os.listdir(descriptor)]  # noqa: PTH208 - likewise
    finally:
        os.close(descriptor)


def _in_pieces(path: str, call: Callable[[bytes, int], _Result]) -> _Result:
    """Make a call with the last piece of a path and the folder before it, open."""
    whole = os.fsencode(path)
    try:
        return _with_last_piece(whole, _MOST_BYTES, call)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return _with_last_piece(whole, _FEW_LINKS, call)


def _with_last_piece(path: bytes, longest: int, call: Callable[[bytes, int], _Result]) -> _Result:
    folder = os.open(b"/" if path.startswith(b"/") else b".", _ON_THE_WAY)
    try:
        rest = path.strip(b"/")
        while len(rest) > longest:
            end = rest.rfind(b"/", 0, longest + 1)
            if end < 0:
                end = rest.find(b"/")
            if end < 0:
                break  # a single name
            further = os.open(rest[:end], _ON_THE_WAY, dir_fd=folder)
            os.close(folder)
            folder = further
            rest = rest[end:].lstrip(b"/")
        return call(rest, folder)
    finally:
        os.close(folder)
