"""The directory of a zip archive, at its end, read a piece at a time."""

import os
from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO, NamedTuple

from batch.archives.member import ArchiveError
from batch.archives.zip_member import Entry, wide

_END, _END_START = Struct("<4sHHHHLLH"), b"PK\5\6"
_LOCATOR, _LOCATOR_START = Struct("<4sLQL"), b"PK\6\7"
_WIDE_END, _WIDE_END_START = Struct("<4sQHHLLQQQQ"), b"PK\6\6"
_ENTRY, _ENTRY_START = Struct("<4sBBHHH4xLLLHHHHHLL"), b"PK\1\2"
_FULL, _FULL_COUNT = 0xFFFFFFFF, 0xFFFF  # where the number is in the wide end
_LONGEST_COMMENT = 0xFFFF
_PIECE = 1 << 20  # bytes; with the longest entry, what is in memory


class Directory(NamedTuple):
    """Where the directory is.

    Attributes:
        at: its offset in the file.
        size: in bytes.
        entries: how many it has.
        shift: how far the offsets in it are off, as something is before the archive.
    """

    at: int
    size: int
    entries: int
    shift: int


def find_directory(file: BinaryIO) -> Directory | None:
    """Find the directory; None if there is none. Raises ArchiveError for one of several volumes."""
    length = file.seek(0, os.SEEK_END)
    begin = max(0, length - _END.size - _LONGEST_COMMENT - _LOCATOR.size)
    file.seek(begin)
    tail = file.read()
    at = tail.rfind(_END_START)
    while at >= 0:
        if at + _END.size <= len(tail):
            _, disk, _, _, _, _, _, comment = _END.unpack_from(tail, at)
            directory = _directory(file, tail, at, begin + at)
            is_last = at + _END.size + comment == len(tail)
            # Without that, it may be the end of an archive in this one, which was cut off.
            if directory is not None and (is_last or not directory.shift):
                if disk not in (0, _FULL_COUNT):
                    raise ArchiveError("is one of several volumes: put them together first")
                return directory
        at = tail.rfind(_END_START, 0, at)
    return None


def _directory(file: BinaryIO, tail: bytes, at: int, end: int) -> Directory | None:
    """The directory by its end record, which is at a place in the tail of the file and at the offset `end`."""
    _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, at)
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size : at].startswith(_LOCATOR_START):
        _, _, place, _ = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        found = _wide_end(file, place, end - _LOCATOR.size - _WIDE_END.size)
        if found is not None:
            end, wide_count, wide_size, wide_offset = found
            count = wide_count if count == _FULL_COUNT else count
            size = wide_size if size == _FULL else size
            offset = wide_offset if offset == _FULL else offset
    shift = end - size - offset
    return Directory(end - size, size, count, shift) if end >= size and shift >= 0 else None


def _wide_end(file: BinaryIO, *places: int) -> tuple[int, int, int, int] | None:
    """Where the second end record of a large archive's directory is, how many entries it has, its size and offset."""
    for place in places:
        # The second place is where it must be if something is before the archive.
        if 0 <= place < 1 << 62:
            file.seek(place)
            block = file.read(_WIDE_END.size)
            if len(block) == _WIDE_END.size and block.startswith(_WIDE_END_START):
                count, size, offset = _WIDE_END.unpack(block)[-3:]
                return place, count, size, offset
    return None


def read_entries(file: BinaryIO, directory: Directory) -> Iterator[Entry]:
    """The entries, in order; the position of the file may be changed between them. Raises ArchiveError."""
    count = 0
    at, left, rest = directory.at, directory.size, b""
    while left or rest:
        file.seek(at)
        piece = file.read(min(_PIECE, left))
        at += len(piece)
        left -= len(piece)
        entries, rest = _split(rest + piece)
        count += len(entries)
        yield from entries
        if not piece or (not left and rest):
            raise ArchiveError(f"has a damaged directory, which is read to its entry {count:,} only")
    if (count - directory.entries) & _FULL_COUNT:
        raise ArchiveError(f"has a damaged directory: it has {count:,} entries and should have {directory.entries:,}")


def _split(octets: bytes) -> tuple[list[Entry], bytes]:
    """The whole entries at the beginning of a piece, and what is left of it: the next begins there, or damage."""
    entries: list[Entry] = []
    at = 0
    while len(octets) - at >= _ENTRY.size:
        fields = _ENTRY.unpack_from(octets, at)
        start, _, system, _, flags, method, checksum, packed, size, name, extra, comment, _, _, attributes, offset = (
            fields
        )
        end = at + _ENTRY.size + name + extra + comment
        if start != _ENTRY_START or end > len(octets):
            break
        begin = at + _ENTRY.size
        try:
            size, packed, offset = wide(octets[begin + name : begin + name + extra], size, packed, offset)
        except ValueError:
            break
        text = octets[begin : begin + name]
        entries.append(Entry(text, flags, method, checksum, packed, size, offset, system, attributes))
        at = end
    return entries, octets[at:]
