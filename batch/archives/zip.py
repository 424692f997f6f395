"""Members of a zip archive, in the order of its directory; of one that was cut off, which has none, as they lie.

APPNOTE.TXT, ".ZIP File Format Specification", sections 4.3 to 4.5. The standard library's zipfile holds the whole
directory in memory, half a kilobyte a member, takes twice as long for small members, and reads nothing of an archive
that was cut off.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

from batch.archives.member import ArchiveError, Member, Selection
from batch.archives.zip_directory import find_directory, read_entries
from batch.archives.zip_member import LOCAL, Entry, damaged, judge, name_of, read_local, unpack
from batch.archives.zip_remains import read_remains


def read_zip(file: BinaryIO, selection: Selection) -> Iterator[Member]:
    """Files whose names are taken, and links and devices of such names.

    Args:
        file: seekable.
        selection: which members are wanted.

    Raises:
        ArchiveError: it is no zip archive, or its directory cannot be read to its end.
    """
    directory = find_directory(file)
    if directory is None:
        yield from read_remains(file, selection)
        return
    octets = 0
    for entry in read_entries(file, directory):
        # Members that lie on top of each other make gigabytes of a small file. One size may be wrong by damage.
        octets += min(entry.packed, directory.at)
        if octets > 2 * directory.at:
            raise ArchiveError("has members that overlap, as only a harmful archive has: it is not read further")
        name = name_of(entry)
        if not entry.name.endswith(b"/") and selection.takes(name):
            yield judge(entry, name, selection) or _read(file, entry, name, directory.shift)


def _read(file: BinaryIO, entry: Entry, name: str, shift: int) -> Member:
    """A member with its bytes, if they are what the directory says."""
    content = None
    try:
        file.seek(entry.offset + shift)
        local = read_local(file.read(LOCAL.size))
        if local is not None and file.read(local.name_length) == entry.name:
            file.seek(local.extra_length, os.SEEK_CUR)
            content = unpack(file.read(entry.packed), entry)
    except (OSError, ValueError, OverflowError):
        pass  # what lies beyond the end of the file, or cannot be read
    return damaged(entry, name) if content is None else Member(name, entry.size, content)
