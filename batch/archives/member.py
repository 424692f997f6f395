"""One member of an archive, and what is asked of an archive."""

from collections.abc import Callable
from typing import NamedTuple

LINK, DEVICE = "link", "device"


class ArchiveError(Exception):
    """An archive cannot be opened, or not be read to its end.

    Its text goes on where the archive's name stops: `is cut off after 12 members`.
    """


class Member(NamedTuple):
    """A file in an archive, or a row of a table.

    Attributes:
        name: its path in the archive, with `/` between folders; never used as a path on disk.
        size: in bytes.
        content: its bytes; None where they were not asked for, or there is a fault.
        fault: why there are no bytes: a text of the contract.
        reason: the fault for people, if the text does not say enough.
        other: LINK or DEVICE for what is no file.
    """

    name: str
    size: int
    content: bytes | None = None
    fault: str = ""
    reason: str = ""
    other: str = ""


class Selection(NamedTuple):
    """Which members are wanted.

    Attributes:
        takes: whether a member of this name is.
        reads: whether the bytes of one of this name are.
        rows: whether the bytes of a table's rows are.
        bytes_column: the column of a table that holds the images; None to find it.
        id_column: the column that names the rows; None for their numbers.
    """

    takes: Callable[[str], bool]
    reads: Callable[[str], bool]
    rows: bool = True
    bytes_column: str | None = None
    id_column: str | None = None


def clean(name: str) -> str:
    """A member's name without empty parts and `.`, as `tar -C folder .` writes them before each."""
    if name.startswith(("/", "./")) or "//" in name or "/./" in name:
        return "/".join(part for part in name.split("/") if part not in ("", "."))
    return name


def is_hidden(name: str) -> bool:
    """Whether a member or a folder on the way to it is hidden, or is what macOS packs beside files."""
    if not name.startswith((".", "__MACOSX/")) and "/." not in name and "/__MACOSX/" not in name:
        return False
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in name.split("/"))
