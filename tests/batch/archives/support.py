"""Archives as programs write them, and what is read of them."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from batch.archives.member import ArchiveError, Member, Selection
from batch.archives.reading import read_members
from batch.stores.patience import Patience

Files = dict[str, bytes]

EVERYTHING = Selection(lambda _: True, lambda _: True)


def digits(count: int) -> Files:
    """Small files of the scripted server's digits, two folders of them."""
    return {f"{number % 2}/{number:04}.png": bytes([number % 10] * (1 + number % 700)) for number in range(count)}


def tar_of(files: Files, form: int = tarfile.PAX_FORMAT, mode: str = "w") -> bytes:
    """A tar archive of these files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode, format=form) as archive:  # type: ignore[call-overload] # any mode
        for name, content in files.items():
            add_to_tar(archive, name, content)
    return made.getvalue()


def add_to_tar(archive: tarfile.TarFile, name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> None:
    """Add a member of any kind."""
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content), kind
    if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = "/etc/passwd"
    archive.addfile(info, io.BytesIO(content))


def zip_of(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of these files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


class Pipe(io.RawIOBase):
    """What a packer writes to that cannot seek back: sizes come after the bytes."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        """It is written to."""
        return True

    def write(self, octets: bytes) -> int:  # type: ignore[override] # bytes are enough here
        """Keep them."""
        self.written += octets
        return len(octets)


def streamed_zip_of(files: Files) -> bytes:
    """A zip archive of these files, as it is written to a pipe."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return bytes(pipe.written)


def read_all(path: Path, selection: Selection = EVERYTHING) -> tuple[list[Member], str]:
    """The members, and why there are no more; nothing if all are read."""
    return collect(read_members(str(path), selection, Patience()))


def collect(members: Iterable[Member]) -> tuple[list[Member], str]:
    """As `read_all`, of members as they come."""
    found: list[Member] = []
    try:
        found.extend(members)
    except ArchiveError as error:
        return found, str(error)
    return found, ""


def contents(members: Iterable[Member]) -> Files:
    """The bytes of those that have any."""
    return {member.name: member.content for member in members if member.content is not None}


Pack = Callable[[Files], bytes]
