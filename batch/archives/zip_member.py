"""What is said of a member of a zip archive, in its directory or before its bytes, and the bytes by it."""

import os
import zlib
from struct import Struct, error
from typing import NamedTuple

from batch.archives.member import DEVICE, LINK, Member, Selection, clean
from exporter.contract import CORRUPT, MAX_FILE_BYTES, TOO_LARGE, UNREADABLE

LOCAL = Struct("<4s2xHH4xLLLHH")
"""Signature, flags, method, checksum, sizes packed and unpacked, lengths of name and of further fields."""
LOCAL_START = b"PK\3\4"
SIZES_FOLLOW = 0x8
"""A flag: sizes and checksum are behind the bytes."""

_STORED, DEFLATED = 0, 8
_ENCRYPTED = 0x1
_DOS, _UNIX = 0, 3  # systems that a member was packed on
_KIND, _FILE, _LINK, _FOLDER = 0o170000, 0o100000, 0o120000, 0o040000  # of a mode on Unix
RAW = -15
"""zlib's word for deflated bytes without a header of their own."""
_SLACK = 1 << 16  # bytes that deflated data may be longer than what it holds: far more than any packer makes it
_ZIP64, _FULL = 1, 0xFFFFFFFF  # a further field with sizes of 64 bits, and what stands in the place of these


class Entry(NamedTuple):
    """A member as the archive describes it.

    Attributes:
        name: as it is written.
        flags: of the format.
        method: of compression.
        checksum: CRC-32 of its bytes.
        packed: size in the archive, in bytes.
        size: unpacked.
        offset: of its local header.
        system: that it was packed on.
        attributes: which that system gave it.
    """

    name: bytes
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    offset: int = 0
    system: int = 0
    attributes: int = 0


class Local(NamedTuple):
    """A local header: fields as those of Entry, then the lengths of what follows it."""

    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    name_length: int
    extra_length: int


def read_local(header: bytes) -> Local | None:
    """The fields of a local header; None if it is none."""
    if len(header) < LOCAL.size or not header.startswith(LOCAL_START):
        return None
    return Local(*LOCAL.unpack(header)[1:])


def wide(extra: bytes, *numbers: int) -> list[int]:
    """Sizes and offsets, those that do not fit into 32 bits from the further fields. Raises ValueError."""
    at = 0
    while _FULL in numbers and at + 4 <= len(extra):
        kind, length = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        if kind == _ZIP64:
            try:
                found = iter(Struct(f"<{numbers.count(_FULL)}Q").unpack_from(extra, at + 4))
            except error:
                raise ValueError("a field is cut off") from None
            return [next(found) if number == _FULL else number for number in numbers]
        at += 4 + length
    return list(numbers)


def name_of(entry: Entry) -> str:
    """A member's name with the bytes that it has in the archive."""
    raw = entry.name
    if entry.system == _DOS and b"/" not in raw:
        raw = raw.replace(b"\\", b"/")  # as some programs on Windows write them
    return clean(os.fsdecode(raw))


def judge(entry: Entry, name: str, selection: Selection) -> Member | None:
    """What is to be said of a member without its bytes; None if these are wanted."""
    kind = (entry.attributes >> 16) & _KIND if entry.system == _UNIX else 0
    if kind not in (0, _FILE):
        return Member(name, 0, other=LINK if kind == _LINK else DEVICE)
    if entry.flags & _ENCRYPTED:
        return Member(name, entry.size, fault=UNREADABLE, reason="encrypted")
    if entry.method not in (_STORED, DEFLATED):
        # Of bzip2 or LZMA a few bytes become gigabytes at once; zlib can be stopped.
        return Member(name, entry.size, fault=UNREADABLE, reason=f"packed by method {entry.method} of zip")
    if entry.size > MAX_FILE_BYTES:
        return Member(name, entry.size, fault=TOO_LARGE)
    if entry.packed > entry.size + entry.size // 64 + _SLACK:
        return damaged(entry, name)
    return None if selection.reads(name) else Member(name, entry.size)


def damaged(entry: Entry, name: str) -> Member:
    """A member whose bytes are not what the archive says."""
    return Member(name, entry.size, fault=CORRUPT, reason="damaged in a zip archive")


def unpack(packed: bytes, entry: Entry) -> bytes | None:
    """A member's bytes; None if they are not what the archive says."""
    content = packed
    if entry.method == DEFLATED:
        try:
            # What is more than the archive says is not inflated.
            content = zlib.decompressobj(RAW).decompress(packed, entry.size + 1)
        except zlib.error:
            return None
    return content if len(content) == entry.size and zlib.crc32(content) == entry.checksum else None
