"""Labelled files on the disk, and members of tar and zip archives, named as digits-batch has them: scans.zip/3/a.png.

Nothing is unpacked to the disk, and no name in an archive is used as a path there. Archives are read from their
beginning to their end, once for their names and once for what is wanted of them.
"""

import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from exporter.command import UserError
from exporter.contract import MAX_FILE_BYTES

_ZIP = ".zip"
_ENDINGS = (_ZIP, ".tar", ".tar.gz", ".tgz")
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)
_DOS, _UTF8 = 0, 0x800  # of zip: a system that members are packed on, and the flag of names that are UTF-8


def is_there(path: Path, names_of: Callable[[Path], Collection[str]]) -> bool:
    """Whether a path is that of a file, or of a member of an archive.

    Args:
        path: as labels have it.
        names_of: the function below, or one that remembers what it said.

    Raises:
        UserError: an archive cannot be read from the disk.
    """
    if path.is_file():
        return True
    inside = _archive_of(path)
    return inside is not None and inside[1] in names_of(inside[0])


def names_of(archive: Path) -> frozenset[str]:
    """The files in an archive; of one that is damaged, those before the damage. Raises UserError as `is_there`."""
    found: set[str] = set()
    with _open(archive) as file, suppress(*_BROKEN):
        found.update(name for name, _, _ in _members(archive.name, file))
    return frozenset(found)


def read_files(paths: Sequence[Path]) -> Iterator[tuple[int, bytes]]:
    """Places in a sequence of paths, and what these files hold; nothing for damaged members of archives.

    They come in order, but for the members of an archive: these come in its order, at the place of the first of them.

    Raises:
        UserError: a file cannot be read from the disk.
    """
    members: dict[Path, dict[str, list[int]]] = {}
    for place, path in enumerate(paths):
        if inside := _archive_of(path):
            members.setdefault(inside[0], {}).setdefault(inside[1], []).append(place)
    for place, path in enumerate(paths):
        inside = _archive_of(path)
        if inside is None:
            with _open(path) as file:
                yield place, file.read()
        elif wanted := members.pop(inside[0], None):
            for name, content in _read_members(inside[0], wanted):
                yield from ((each, content) for each in wanted[name])


def _archive_of(path: Path) -> tuple[Path, str] | None:
    """The archive that a path leads into, and the member's name."""
    for parent in reversed(path.parents):
        if parent.name.lower().endswith(_ENDINGS) and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; make it readable, or take it out of the labels") from None


def _read_members(archive: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Each wanted member with its bytes, none if it is damaged or larger than any picture."""
    left = set(wanted)
    with _open(archive) as file, suppress(*_BROKEN):
        for name, size, read in _members(archive.name, file):
            if name in left:
                left.remove(name)
                content = b""
                if size <= MAX_FILE_BYTES:
                    with suppress(*_BROKEN):
                        content = read()
                yield name, content
    yield from ((name, b"") for name in left)


def _members(archive: str, file: IO[bytes]) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Name, size and reader of each file in an archive. Raises one of _BROKEN where it is damaged."""
    if archive.lower().endswith(_ZIP):
        with zipfile.ZipFile(file) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    yield _clean(_zip_name(info)), info.file_size, partial(zipped.read, info)
    else:
        with tarfile.open(fileobj=file, mode="r|*", encoding="utf-8", errors="surrogateescape") as tarred:
            for member in tarred:
                if member.isreg():
                    yield _clean(member.name), member.size, partial(_of_tar, tarred, member)


def _of_tar(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    return b"" if content is None else content.read()


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name with the bytes that it has in the archive, as the table has it."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        name = os.fsdecode(name.encode("cp437"))  # which zipfile has taken it for
    return name.replace("\\", "/") if info.create_system == _DOS and "/" not in name else name


def _clean(name: str) -> str:
    """A member's name without empty parts and `.`, as the table has it."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))
