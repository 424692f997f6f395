"""Which files are taken, and in which order.

Arguments come as given; in each folder names are sorted by bytes, depth first. A folder is visited once, however many
links lead to it; what is named again is walked again. In memory are one folder's names per level and, of each folder
visited, its identity.

URLs of object stores are walked by `objects.py`, in the order of the store.

A TIFF of several pages is as many files to everyone else. The walk opens what is not named .png, .jpg or .jpeg, and
counts the pages of what says by its first bytes that it is a TIFF.
"""

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from batch.archives.kinds import is_archive, is_countable, is_for_archives, is_for_tables
from batch.archives.member import ArchiveError
from batch.disk.long_paths import list_folder, stat_path
from batch.files.file import File
from batch.files.members import parts
from batch.files.object_pages import with_pages
from batch.files.objects import Objects, check_url
from batch.files.skipped import Skipped
from batch.formats.pages import page_name, pages_of
from batch.stores.patience import Patience
from batch.stores.urls import is_url
from exporter.command import UserError, require_extra
from exporter.contract import UNREADABLE

STANDARD_INPUT = "-"
"""The argument that stands for a list of paths on standard input."""

PNGS = ("*.png",)
"""Names that are taken in folders unless others are asked for."""

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # as of a dangling link

Enters = Callable[[str], bool]
"""Whether a folder at a path is to be listed."""


@dataclass(frozen=True)
class Walk:
    """What to walk.

    Attributes:
        paths: folders, files, and URLs of objects or of what is under a prefix; STANDARD_INPUT for a list of them.
        globs: names that are taken in folders, in either case.
        recursive: whether folders in folders are walked, too.
        follow_links: whether symbolic links in folders are followed, to folders and to files. A path that is itself a
            link is followed in any case.
        bytes_column: the column of Parquet and Arrow files that holds the images; None to find it.
        id_column: the one that names the rows; None for their numbers.
        patience: how long a store may fail while it is listed.
    """

    paths: tuple[str, ...]
    globs: tuple[str, ...] = PNGS
    recursive: bool = True
    follow_links: bool = True
    bytes_column: str | None = None
    id_column: str | None = None
    patience: Patience = field(default_factory=Patience)

    @property
    def has_urls(self) -> bool:
        """Whether URLs are among the paths."""
        return any(map(is_url, self.paths))

    def check(self) -> None:
        """Raise UserError, naming the path or pattern, unless there is something to walk.

        Raises StoreError if a store does not answer within the patience.
        """
        for glob in self.globs:
            if "/" in glob or not glob:
                raise UserError(f"--glob {glob!r}: give a pattern for names without folders, such as '*.jpg'")
        if self.paths.count(STANDARD_INPUT) > 1:
            raise UserError("- (paths on standard input) can be given once only")
        for path in self.paths:
            if is_url(path):
                check_url(path, self.patience)
            elif path != STANDARD_INPUT:
                _check_path(path)
        if any(map(is_for_tables, self.globs)) or any(is_archive(path) and is_for_tables(path) for path in self.paths):
            require_extra("parquet", "pyarrow")


def _check_path(path: str) -> None:
    """Raise UserError unless there is a file or a folder."""
    try:
        mode = stat_path(path).st_mode
    except FileNotFoundError:
        raise UserError(f"{path}: no such file or folder") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', error)}") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UserError(f"{path} is neither a file nor a folder")


def walk(
    what: Walk,
    skipped: Skipped,
    listed: Iterable[str] = (),
    *,
    enters: Enters | None = None,
    expands: bool = True,
    reads: bool = True,
) -> Iterator[File]:
    """Files of any name that are named themselves, and those in folders whose names fit, hidden ones left out.

    In place of an archive come its members.

    Args:
        what: arguments and options.
        skipped: filled with what is passed over.
        listed: the paths that STANDARD_INPUT stands for.
        enters: asked about each folder before it is listed, whether to; then no file is opened, and one of several
            pages is one file, as is an archive. For a watch, to which files come that are not complete.
        expands: whether archives are opened. If not, an archive is one file, for `expand` later.
        reads: whether members of archives come with their bytes. If not, for who wants their names only.

    Raises:
        StoreError: a store that a URL is of failed for too long, or refuses.
        UserError: a list holds a URL that is not read.
    """
    walker = _Walker(name_filter(what.globs), what, skipped, enters, expands=expands and enters is None, reads=reads)
    for path in what.paths:
        for one in walker.objects.ahead(listed if path == STANDARD_INPUT else (path,)):
            yield from walker.walk(one)


def name_filter(globs: Iterable[str]) -> Callable[[str], object]:
    """Whether a name in a folder is taken, in either case."""
    return re.compile("|".join(map(fnmatch.translate, globs)), re.IGNORECASE).match


class _Level(NamedTuple):
    """A folder on the way down to the current one."""

    identity: int
    prefix: int
    """How many characters of a path in it are not the name."""
    names: Iterator[bytes]
    """Those still to be looked at."""


class _Walker:
    """Walks folders with the rules of one run."""

    def __init__(
        self,
        takes: Callable[[str], object],
        what: Walk,
        skipped: Skipped,
        enters: Enters | None,
        *,
        expands: bool,
        reads: bool,
    ) -> None:
        self._takes = takes
        self._what = what
        self._enters = enters
        self._files = _files if enters is None else _whole
        self._skipped = skipped
        self.objects = Objects(takes, what.patience, skipped, recursive=what.recursive)
        self._expands = expands
        self._reads = reads
        self._argument = 0
        # Which argument's walk came to a folder last.
        self._visits: dict[int, int] = {}

    def walk(self, path: str) -> Iterable[File]:
        """A path that the user named. Of a list there may be millions, so this is no generator."""
        self._argument += 1
        if is_url(path):
            return self._objects(path)
        try:
            status = stat_path(path)
        except (OSError, ValueError):
            # It was there when the run began, or it is of a list. Its row will say that it cannot be read.
            return (File(path, 0, 0),)
        if stat.S_ISDIR(status.st_mode):
            return self._folder(path, status)
        if stat.S_ISREG(status.st_mode):
            return self._file(path, status)
        # Opening a FIFO would wait for someone to write to it.
        self._skipped.specials += 1
        return ()

    def _objects(self, url: str) -> Iterator[File]:
        """What a URL stands for."""
        for (name, entry), numbers in with_pages(self.objects.walk(url), self._what.patience):
            file = File(name, entry.size, entry.mtime_ns, tag=entry.tag)
            if self._expands and is_archive(name):
                yield from expand(file, self._what, self._skipped, reads=self._reads)
            else:
                yield from _pages(file, numbers)

    def _folder(self, top: str, status: os.stat_result) -> Iterator[File]:
        """Depth first, on a stack of our own: folders may be nested deeper than Python's calls."""
        prefix = os.path.join(top, "")  # noqa: PTH118 - as above
        levels = [self._open(top, prefix, _identity(status))]
        while levels:
            level = levels[-1]
            # One path alone is kept for all levels, which may be long ones.
            prefix = prefix[: level.prefix]
            for name in level.names:
                if name.startswith(b"."):
                    continue
                text = os.fsdecode(name)
                path = prefix + text
                is_taken = self._takes(text)
                try:
                    status = stat_path(path, follow_symlinks=self._what.follow_links)
                except OSError as error:
                    if is_taken:
                        # A dangling link, a link to itself, or a file deleted since the listing: so its row will say.
                        yield File(path, 0, 0)
                    else:
                        self._note_unreachable(path, error)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    if self._descends(path, status, levels):
                        prefix = os.path.join(path, "")  # noqa: PTH118 - as above
                        levels.append(self._open(path, prefix, _identity(status)))
                        break
                elif is_taken and stat.S_ISREG(status.st_mode):
                    yield from self._file(path, status)
                else:
                    self._pass_over(path, status, is_taken=bool(is_taken))
            else:
                levels.pop()

    def _file(self, path: str, status: os.stat_result) -> Iterable[File]:
        """What a file stands for: itself, its pages, or its members."""
        if not is_archive(path):
            return self._files(path, status)
        whole = _whole(path, status)
        return expand(whole[0], self._what, self._skipped, reads=self._reads) if self._expands else whole

    def _open(self, folder: str, prefix: str, identity: int) -> _Level:
        """Begin with a folder's names."""
        self._visits[identity] = self._argument
        names: list[bytes] = []
        try:
            if self._enters is None or self._enters(folder):
                names = list_folder(folder)
        except OSError as error:
            self._skipped.folders[folder] = error.strerror or str(error)
        names.sort()
        return _Level(identity, len(prefix), iter(names))

    def _descends(self, path: str, status: os.stat_result, levels: list[_Level]) -> bool:
        """Whether to walk a folder in a folder; notes why not."""
        if not self._what.recursive:
            self._skipped.unwalked += 1
            return False
        identity = _identity(status)
        visit = self._visits.get(identity)
        # What lies in a folder that the user named again is walked again. A link is no reason to.
        if visit is None or (visit != self._argument and not _is_link(path)):
            return True
        if any(level.identity == identity for level in levels):
            self._skipped.loops.append(path)
        else:
            self._skipped.repeats.append(path)
        return False

    def _note_unreachable(self, path: str, error: OSError) -> None:
        """Note what may be a folder, such as one on a share that is gone: its files would be missing unnoticed."""
        if error.errno in _NOTHING_THERE:
            return
        # Permission lacks for a link's target, or else for all that is in the folder.
        is_parent = error.errno == errno.EACCES and not _is_link(path)
        self._skipped.folders[os.path.dirname(path) if is_parent else path] = error.strerror or str(error)  # noqa: PTH120 - as above

    def _pass_over(self, path: str, status: os.stat_result, *, is_taken: bool) -> None:
        """Count what is neither a folder nor a file to be taken, if the user should know."""
        if stat.S_ISLNK(status.st_mode):
            # Not to be followed.
            self._skipped.links += is_taken or os.path.isdir(path)  # noqa: PTH112 - as above
        elif is_taken:
            self._skipped.specials += 1
        else:
            self._skipped.note_other_image(path)
            self._skipped.unopened += is_archive(path)


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(stat_path(path, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _identity(status: os.stat_result) -> int:
    """Device and inode in one number, which takes less memory than a pair."""
    return status.st_dev << 64 | status.st_ino


def _files(path: str, status: os.stat_result) -> Iterable[File]:
    """A file, or each of its pages where there are several."""
    numbers = pages_of(path)
    whole = _whole(path, status)
    return whole if len(numbers) < 2 else _pages(whole[0], numbers)


def _pages(file: File, numbers: list[int]) -> Iterator[File]:
    if len(numbers) > 1:
        for number in numbers:
            yield file._replace(path=page_name(file.path, number), page=number, pages=len(numbers))
    else:
        yield file


def _whole(path: str, status: os.stat_result) -> tuple[File]:
    """A file, however many pages it has."""
    return (File(path, status.st_size, status.st_mtime_ns),)


def expand(archive: File, what: Walk, skipped: Skipped, *, reads: bool = True) -> Iterator[File]:
    """The members of an archive, or the rows of a table, as files: read as they are asked for, none written anywhere.

    Where it cannot be read further, the archive itself comes last, with a fault.

    Args:
        archive: as a walk that does not expand gives it.
        what: the patterns that choose members, and the columns of tables.
        skipped: filled with what is passed over.
        reads: whether the members come with their bytes.

    Raises:
        UserError: what reads its kind is not installed.
        StoreError: it is in a store, which failed for too long.
    """
    fits = name_filter([glob for glob in what.globs if not is_for_archives(glob)] or PNGS)
    columns = what.bytes_column, what.id_column
    try:
        for part in parts(archive.path, fits, columns, skipped, what.patience, reads=reads):
            path, size, content, fault, page, pages = part
            yield File(path, size, archive.mtime_ns, page, pages, content=content, fault=fault, tag=archive.tag)
    except ArchiveError as error:
        skipped.archives[archive.path] = str(error)
        yield archive._replace(fault=UNREADABLE)


def count(what: Walk) -> int | None:
    """How many files a walk will take; None if that takes as long as the walk itself, as of a compressed archive."""
    found = 0
    for file in walk(what, Skipped(), expands=False):
        if not is_archive(file.path):
            found += 1
        elif is_countable(file.path):
            found += sum(1 for _ in expand(file, what, Skipped(), reads=False))
        else:
            return None
    return found
