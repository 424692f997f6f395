"""A file that a run takes."""

from typing import NamedTuple

from batch.formats.pages import page_name


class File(NamedTuple):
    """A file that was taken, or one page of it; it may be a member of an archive, or a row of a table.

    Attributes:
        path: as the user would write it; of a page, with its number: `scan.tif#page=2`; of a member, after its
            archive's: `scans.tar/1.png`.
        size: of the whole file, in bytes.
        mtime_ns: its modification time, in nanoseconds; of a member, that of the archive: members may keep theirs while
            they change.
        page: from 1; 0 for the whole of a file that has one.
        pages: how many the file has.
        content: the bytes of a member; None for everything else.
        fault: why a member has none: a text of the contract.
        tag: of an object in a store: its ETag; empty otherwise.
    """

    path: str
    size: int
    mtime_ns: int
    page: int = 0
    pages: int = 1
    content: bytes | None = None
    fault: str = ""
    tag: str = ""

    @property
    def stamp(self) -> int | str:
        """What is another one when the content is: the ETag where there is one, else the modification time."""
        return self.tag or self.mtime_ns

    @property
    def source(self) -> str:
        """The path of the file itself."""
        return self.path.removesuffix(page_name("", self.page)) if self.page else self.path
