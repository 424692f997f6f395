"""The pages of a TIFF, from the chain of its directories alone: nothing is decoded.

TIFF 6.0, section 2: a header names the offset of the first image file directory (IFD), and each ends with the offset of
the next. BigTIFF has the same with longer numbers.
"""

import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from struct import Struct
from typing import NamedTuple

from batch.disk.long_paths import open_path
from batch.formats.kinds import TIFF_STARTS

MAX_PAGES = 10_000
"""Pages beyond which a file is refused: `too large`. No scanner's feeder holds as many."""

# Files of these names are taken for one picture each, unopened: a folder of a million PNGs is walked as fast as it can
# be listed. A TIFF that is named so is found out when its turn comes, and its first page is read.
_ONE_PICTURE = (".png", ".jpg", ".jpeg")

_MARK = "#page="
_NAMED_PAGE = re.compile(re.escape(_MARK) + r"([1-9][0-9]*)\Z")

_MOST_ENTRIES = 0xFFFF  # of a directory, also in BigTIFF, whose count could be of any size
_SUBFILE_TYPE = 254  # the tag; tags are sorted, and none comes before it
_REDUCED_OR_MASK = 0b101  # its bits for a smaller copy of another page, and for a mask over one


Read = Callable[[int, int], bytes]
"""So many bytes from an offset on; fewer at the end of the file."""


def page_name(path: str, page: int) -> str:
    """What the table calls a page, from 1, of a file that has several."""
    return f"{path}{_MARK}{page}"


def split_page(name: str) -> tuple[str, int]:
    """The file and the page that a name in the table stands for; page 0 for a whole file."""
    found = _NAMED_PAGE.search(name)
    # A file may be called like a page.
    if found is None or os.path.exists(name):  # noqa: PTH110 - a path that is no UTF-8 stays as it is
        return name, 0
    return name[: found.start()], int(found[1])


def pages_of(path: str) -> list[int]:
    """As `page_numbers`, of the file at a path; [1] where it is not opened, by its name, or cannot be."""
    if is_one_picture(path):
        return [1]
    try:
        # Not blocking: a FIFO may have taken the file's place.
        descriptor = open_path(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return page_numbers(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return [1]  # its row will say that it cannot be read


def pages_in(name: str, content: bytes) -> list[int]:
    """As `pages_of`, of a file that is in memory."""
    if is_one_picture(name) or not content.startswith(TIFF_STARTS):
        return [1]
    return _numbers(_chain(lambda count, at: content[at : at + count], len(content)))


def pages_by(read: Read, size: int) -> list[int]:
    """As `page_numbers`, of a file of that size that is read by other means than a descriptor."""
    return _numbers(_chain(read, size))


def is_one_picture(path: str) -> bool:
    """Whether a file is taken for one picture by its name."""
    return path[-5:].lower().endswith(_ONE_PICTURE)


def page_numbers(descriptor: int) -> list[int]:
    """The numbers, from 1, of a TIFF's pages; [1] for another file; none where there are more than MAX_PAGES.

    Smaller copies and masks that a file has beside its pages are counted, as viewers do, and left out. Where the chain
    leads nowhere, as in a file that was cut off, there is one number more: its row will say `corrupt`.

    Args:
        descriptor: of the open file; its position stays.

    Raises:
        OSError: it cannot be read.
    """
    return _numbers(_chain_of(descriptor))


def _numbers(chain: Iterator[bool | None]) -> list[int]:
    pages: list[int] = []
    for number, is_page in enumerate(chain, 1):
        if number > MAX_PAGES:
            return []
        if is_page is not False or number == 1:
            pages.append(number)
    return pages or [1]


def has_whole_directory(descriptor: int, page: int) -> bool:
    """Whether what a TIFF says of a page, from 1, is all there. Raises OSError as `page_numbers` does."""
    return next(itertools.islice(_chain_of(descriptor), page - 1, None), None) is not None


def _chain_of(descriptor: int) -> Iterator[bool | None]:
    """As `_chain`, of an open file."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return iter(())
    return _chain(lambda count, at: os.pread(descriptor, count, at), status.st_size)


def _chain(read: Read, size: int) -> Iterator[bool | None]:
    """For each directory of a TIFF whether it is a page; None, as the last, for one that is not whole."""
    header = read(16, 0)
    if not header.startswith(TIFF_STARTS):
        return
    layout = _Layout.of(header)
    at = layout.first(header)
    seen: set[int] = set()
    # A chain that bites its own tail ends there.
    while at and at not in seen:
        seen.add(at)
        directory = _read_directory(read, at, layout) if at < size else None
        if directory is None:
            yield None
            return
        is_page, at = directory
        yield is_page


class _Layout(NamedTuple):
    """How directories are written."""

    entries: Struct
    """How many entries there are, at the beginning of a directory."""
    entry: Struct
    """Tag, type, how many values, and the first four bytes of these."""
    offset: Struct
    """Of a directory; after the entries, of the next one."""
    start: int
    """Where in the header the first offset is."""

    @classmethod
    def of(cls, header: bytes) -> "_Layout":
        order = "<" if header.startswith(b"I") else ">"
        if b"+" in header[:4]:
            return cls(Struct(order + "Q"), Struct(order + "HHQL4x"), Struct(order + "Q"), 8)
        return cls(Struct(order + "H"), Struct(order + "HHLL"), Struct(order + "L"), 4)

    def first(self, header: bytes) -> int:
        """The offset of the first directory, 0 in a header that was cut off."""
        is_whole = len(header) >= self.start + self.offset.size
        return int(self.offset.unpack_from(header, self.start)[0]) if is_whole else 0


def _read_directory(read: Read, at: int, layout: _Layout) -> tuple[bool, int] | None:
    """Whether the directory at an offset is a page, and the offset of the next; None where it is not whole."""
    head = read(layout.entries.size + layout.entry.size, at)
    if len(head) < layout.entries.size:
        return None
    (entries,) = layout.entries.unpack_from(head)
    if entries > _MOST_ENTRIES:
        return None
    end = at + layout.entries.size + entries * layout.entry.size
    following = read(layout.offset.size, end)
    if len(following) < layout.offset.size:
        return None
    tag, _, _, flags = layout.entry.unpack_from(head, layout.entries.size) if entries else (0, 0, 0, 0)
    return not (tag == _SUBFILE_TYPE and flags & _REDUCED_OR_MASK), int(layout.offset.unpack(following)[0])
