"""Members of a tar archive, in one pass: v7, ustar, pax and GNU tar, as they are or in gzip.

POSIX.1-2017, "pax Interchange Format" and "ustar Interchange Format"; for the rest the manual of GNU tar. The standard
library's tarfile takes three times as long for small members, and ends without a word at a damaged header.
"""

import os
import zlib
from collections.abc import Iterator

from batch.archives import sparse
from batch.archives.member import DEVICE, LINK, ArchiveError, Member, Selection, clean
from batch.archives.source import Stream
from batch.archives.sparse import number
from exporter.command import counted
from exporter.contract import MAX_FILE_BYTES, TOO_LARGE, UNREADABLE

BLOCK = 512
_END = bytes(BLOCK)
_MOST_EXTENDED = 1 << 20  # bytes of a long name or of pax records; none that means well comes near it
_MOST_AFTER_END = 1 << 20  # bytes that are looked at behind the end mark
_ADLER = 65521

_POSIX_MAGIC = b"ustar\0"
_FOLDER, _OLD_FILE = ord("5"), 0
_LINKS = frozenset(b"12")
_DEVICES = frozenset(b"346")
_LONG_NAME, _LONG_LINK = ord("L"), ord("K")
_PAX, _PAX_GLOBAL = frozenset(b"xX"), ord("g")
_EXTENDING = frozenset((_LONG_NAME, _LONG_LINK, _PAX_GLOBAL, *_PAX))
_SPARSE = ord("S")
_NO_FILES = frozenset(b"DNV")  # of GNU tar: names in a folder, old long names, a label
_CONTINUED = ord("M")
_NO_DATA = frozenset(b"123456V")  # whatever their size says


def read_tar(stream: Stream, selection: Selection) -> Iterator[Member]:
    """Files whose names are taken, and links and devices of such names.

    Raises:
        ArchiveError: it is no tar archive, or cannot be read further.
    """
    return _Tar(stream, selection).members()


class _Tar:
    """One archive as it streams by."""

    def __init__(self, stream: Stream, selection: Selection) -> None:
        self._stream = stream
        self._takes, self._reads = selection.takes, selection.reads
        self._count = 0
        # What pax headers say of all members that follow.
        self._global: dict[bytes, bytes] = {}

    def members(self) -> Iterator[Member]:
        records: dict[bytes, bytes] = {}
        while True:
            header = self._stream.read(BLOCK)
            if not _is_header(header):
                self._check_end(header)
                return
            kind = header[156]
            size = self._number(header[124:136])
            if kind in _EXTENDING:
                self._extend(kind, size, records)
                continue
            if records or self._global:
                records = {**self._global, **records}
                size = self._decimal(records.get(b"size"), size)
            self._count += 1
            member = self._member(header, kind, size, records)
            if member is not None:
                yield member
            records = {}

    def _extend(self, kind: int, size: int, records: dict[bytes, bytes]) -> None:
        """Take what a header says of the next one, or of all that follow."""
        if kind in _PAX:
            records |= self._records(size)
        elif kind == _PAX_GLOBAL:
            self._global |= self._records(size)
        else:
            text = self._extended(size).partition(b"\0")[0]
            if kind == _LONG_NAME:
                # Where both are there, pax records count.
                records.setdefault(b"path", text)

    def _member(self, header: bytes, kind: int, size: int, records: dict[bytes, bytes]) -> Member | None:
        """The member that a header begins; None for one that is not taken. Passes over its data in any case."""
        name = records.get(sparse.PAX_NAME) or records.get(b"path") or _name(header)
        size = 0 if kind in _NO_DATA else size
        is_file = kind not in _NO_DATA and kind not in _NO_FILES and not (kind == _OLD_FILE and name.endswith(b"/"))
        other = LINK if kind in _LINKS else DEVICE if kind in _DEVICES else ""
        text = clean(os.fsdecode(name))
        if not ((is_file or other) and self._takes(text)):
            if kind == _SPARSE:
                sparse.skip_old_map(self._stream, header)
            self._pass_over(size)
            return None
        if other:
            return Member(text, 0, other=other)
        if kind == _CONTINUED:
            self._pass_over(size)
            return Member(text, size, fault=UNREADABLE, reason="begins in another volume of a tar archive")
        if kind == _SPARSE or sparse.is_pax(records):
            return self._sparse_member(text, header, size, records)
        if size > MAX_FILE_BYTES or not self._reads(text):
            self._pass_over(size)
            return Member(text, size, fault=TOO_LARGE if size > MAX_FILE_BYTES else "")
        content = self._stream.read(size)
        if len(content) < size:
            raise self._cut_off()
        if padding := -size % BLOCK:
            self._stream.skip(padding)
        return Member(text, size, content)

    def _sparse_member(self, text: str, header: bytes, size: int, records: dict[bytes, bytes]) -> Member:
        """A file that was written without its longer runs of zeros."""
        try:
            if header[156] == _SPARSE:
                form = sparse.read_old_map(self._stream, header)
                stored = size
            else:
                form, stored = sparse.read_pax_map(self._stream, records, size)
        except ValueError:
            raise self._damaged() from None
        if max(stored, form.size) > MAX_FILE_BYTES or not self._reads(text):
            self._pass_over(stored)
            return Member(text, form.size, fault=TOO_LARGE if max(stored, form.size) > MAX_FILE_BYTES else "")
        packed = self._stream.read(stored)
        if len(packed) < stored:
            raise self._cut_off()
        self._stream.skip(-stored % BLOCK)
        content = form.unpack(packed)
        if content is None:
            return Member(text, form.size, fault=UNREADABLE, reason="is damaged in its tar archive")
        return Member(text, len(content), content)

    def _pass_over(self, size: int) -> None:
        self._stream.skip(size + -size % BLOCK)

    def _extended(self, size: int) -> bytes:
        """The data of a header that speaks of the next one."""
        if size > _MOST_EXTENDED:
            raise self._damaged()
        data = self._stream.read(size)
        if len(data) < size:
            raise self._cut_off()
        self._stream.skip(-size % BLOCK)
        return data

    def _records(self, size: int) -> dict[bytes, bytes]:
        """Records of a pax header: `LENGTH KEY=VALUE` and a newline each."""
        data = self._extended(size)
        records: dict[bytes, bytes] = {}
        at = 0
        while at < len(data) and data[at]:
            space = data.find(b" ", at, at + 20)
            digits = data[at : max(space, at)]
            end = at + int(digits) if digits.isdigit() else 0
            if not space < end <= len(data):
                raise self._damaged()
            key, _, value = data[space + 1 : end - 1].partition(b"=")
            sparse.collect(records, key, value)
            at = end
        return records

    def _number(self, field: bytes) -> int:
        """A number of a header: octal, or of GNU tar, where that is not enough, in base 256."""
        try:
            return number(field)
        except ValueError:
            raise self._damaged() from None

    def _decimal(self, value: bytes | None, otherwise: int) -> int:
        """A number of a pax record."""
        if not value:
            return otherwise
        if not value.isdigit():
            raise self._damaged()
        return int(value)

    def _check_end(self, block: bytes) -> None:
        """Raise ArchiveError unless a block that is no header is the end mark, and nothing unread is behind it."""
        if len(block) < BLOCK:
            raise self._cut_off()
        if block != _END:
            raise self._damaged()
        if self._stream.read(_MOST_AFTER_END).strip(b"\0"):
            raise ArchiveError(
                f"goes on behind its end mark after {self._after()}, which is not read: it may be several archives in "
                "one file"
            )
        if self._stream.fault:
            raise ArchiveError(f"{self._stream.fault} after {self._after()}")

    def _cut_off(self) -> ArchiveError:
        if not self._count and not self._stream.fault:
            return ArchiveError("is no tar archive, or is cut off before its first member")
        return ArchiveError(f"{self._stream.fault or 'is cut off'} after {self._after()}")

    def _damaged(self) -> ArchiveError:
        if not self._count:
            return ArchiveError("is no tar archive, or is damaged from its beginning")
        return ArchiveError(f"is damaged after {self._after()}, and cannot be read further")

    def _after(self) -> str:
        """How far it could be read; a member that has begun counts."""
        return counted(self._count, "member")


def _is_header(block: bytes) -> bool:
    """Whether a block is whole and its checksum right: the sum of its bytes, those of the checksum taken for spaces."""
    if len(block) < BLOCK:
        return False
    try:
        told = number(block[148:156])
    except ValueError:
        return False
    # Adler-32 has the sum of the bytes, modulo a prime, in its lower half: ten times as fast as adding in Python.
    total = (zlib.adler32(block) & 0xFFFF) - 1 - sum(block[148:156]) + 8 * 32
    if (total - told) % _ADLER == 0:
        return block != _END
    # Some old programs added signed bytes.
    return total - 256 * sum(octet > 127 for octet in block[:148] + block[156:]) == told


def _name(header: bytes) -> bytes:
    """The name in a header, which in ustar may be in two pieces."""
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == _POSIX_MAGIC and header[345]:
        return header[345:500].partition(b"\0")[0] + b"/" + name
    return name
