"""Members of a zip archive without a directory, as of one that was cut off: from its beginning, as far as it goes."""

import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from batch.archives.member import ArchiveError, Member, Selection
from batch.archives.zip_member import (
    DEFLATED,
    LOCAL,
    RAW,
    SIZES_FOLLOW,
    Entry,
    damaged,
    judge,
    name_of,
    read_local,
    unpack,
    wide,
)
from exporter.contract import MAX_FILE_BYTES

_CHUNK = 1 << 20
_DESCRIPTOR_START = b"PK\7\x08"


def read_remains(file: BinaryIO, selection: Selection) -> Iterator[Member]:
    """The members that are whole. Raises ArchiveError in any case, at the end."""
    length = file.seek(0, os.SEEK_END)
    count = at = 0
    while (found := _next(file, at)) is not None and found[2] <= length:
        entry, start, at = found
        count += 1
        name = name_of(entry)
        if entry.name.endswith(b"/") or not selection.takes(name):
            continue
        member = judge(entry, name, selection)
        if member is None:
            file.seek(start)
            content = unpack(file.read(entry.packed), entry)
            member = damaged(entry, name) if content is None else Member(name, entry.size, content)
        yield member
    if not count:
        raise ArchiveError("is no zip archive, or is cut off within its first member")
    raise ArchiveError(f"is cut off, or has lost its directory; {count:,} members were found without it")


def _next(file: BinaryIO, at: int) -> tuple[Entry, int, int] | None:
    """The member whose local header is at an offset, where its bytes begin, and where the next header must be."""
    file.seek(at)
    local = read_local(file.read(LOCAL.size))
    if local is None:
        return None
    name, extra = file.read(local.name_length), file.read(local.extra_length)
    start = at + LOCAL.size + local.name_length + local.extra_length
    if local.flags & SIZES_FOLLOW:
        measured = _measure(file, start) if local.method == DEFLATED else None
        if measured is None:
            return None
        checksum, packed, size, end = measured
    else:
        try:
            size, packed = wide(extra, local.size, local.packed)
        except ValueError:
            return None
        checksum, end = local.checksum, start + packed
    return Entry(name, local.flags, local.method, checksum, packed, size, at), start, end


def _measure(file: BinaryIO, start: int) -> tuple[int, int, int, int] | None:
    """Checksum, packed and unpacked size of deflated bytes, and the end of the descriptor that must tell the same."""
    inflater = zlib.decompressobj(RAW)
    packed = size = checksum = 0
    while not inflater.eof and size <= MAX_FILE_BYTES:
        chunk = inflater.unconsumed_tail or file.read(_CHUNK)
        try:
            content = inflater.decompress(chunk, _CHUNK)
        except zlib.error:
            return None
        if not chunk:
            return None
        packed += len(chunk) - len(inflater.unconsumed_tail) - len(inflater.unused_data)
        size += len(content)
        checksum = zlib.crc32(content, checksum)
    file.seek(start + packed)
    descriptor = file.read(24)
    for signature in (_DESCRIPTOR_START, b""):
        for width in (4, 8):
            told = signature + b"".join(
                number.to_bytes(count, "little") for number, count in ((checksum, 4), (packed, width), (size, width))
            )
            if descriptor.startswith(told):
                return checksum, packed, size, start + packed + len(told)
    return None
