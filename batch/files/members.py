"""The members of an archive that a walk takes, by the rules that hold for files in folders."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from batch.archives.member import LINK, Selection, is_hidden
from batch.archives.reading import read_members
from batch.files.skipped import Skipped
from batch.formats.pages import is_one_picture, page_name, pages_in
from batch.stores.patience import Patience


class Part(NamedTuple):
    """A member of an archive, or one page of it.

    Attributes:
        path: as in the table, after that of the archive.
        size: of the whole member, in bytes.
        content: its bytes; None where they were not asked for, or there is a fault.
        fault: why there are none: a text of the contract.
        page: from 1; 0 for the whole of a member that has one.
        pages: how many the member has.
    """

    path: str
    size: int
    content: bytes | None
    fault: str
    page: int
    pages: int


def parts(
    archive: str,
    fits: Callable[[str], object],
    columns: tuple[str | None, str | None],
    skipped: Skipped,
    patience: Patience,
    *,
    reads: bool,
) -> Iterator[Part]:
    """What an archive holds, in its order, hidden members left out.

    Args:
        archive: its path.
        fits: whether a name without folders is taken.
        columns: of tables: that of the images and that of the ids; None to find the one, or to do without the other.
        skipped: filled with what is passed over.
        patience: how long faults of a store are waited out, if it is in one.
        reads: whether bytes are wanted, and not only names.

    Raises:
        ArchiveError: it cannot be opened, or not be read to its end.
        UserError: what reads its kind is not installed.
        StoreError: it is in a store, which failed for too long.
    """

    def takes(name: str) -> bool:
        if is_hidden(name):
            return False
        if fits(name.rpartition("/")[2]):
            return True
        skipped.note_other_image(name)
        return False

    # How many pages there are is part of the names.
    selection = Selection(takes, lambda name: reads or not is_one_picture(name), reads, *columns)
    prefix = archive + "/"
    for name, size, content, fault, reason, other in read_members(archive, selection, patience):
        path = prefix + name
        if other:
            skipped.archive_links += other == LINK
            skipped.specials += other != LINK
            continue
        if reason:
            skipped.members[reason] += 1
        numbers = [1] if content is None else pages_in(path, content)
        if len(numbers) == 1:
            yield Part(path, size, content, fault, 0, 1)
            continue
        for number in numbers:
            yield Part(page_name(path, number), size, content, fault, number, len(numbers))
