"""The picture of a row as a browser shows it: its bytes as they are, or as PNG where browsers do not know the format.

What a file is, its first bytes say. Nothing else is ever sent: no page that a browser would run.
"""

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable

from batch.archives.kinds import archive_of
from batch.archives.member import ArchiveError, Selection
from batch.archives.reading import read_members
from batch.disk.long_paths import open_path
from batch.files.again import readable
from batch.files.copies import Copies
from batch.formats.kinds import EXTRA, can_read, foreign_kind
from batch.formats.pages import split_page
from batch.formats.pool import Converter
from batch.stores.faults import StoreError
from batch.stores.patience import Patience
from batch.stores.urls import is_url
from exporter.command import UserError, how_to_install
from exporter.contract import MAX_FILE_BYTES, MAX_PIXELS, NOT_AN_IMAGE, TOO_LARGE

MISSING = "there is no such file any more"

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_SHOWN = {"GIF": "image/gif", "WebP": "image/webp", "BMP": "image/bmp"}
"""Formats that digits-batch converts, and browsers know."""
_MOST_EXPECTED = 600  # paths
_MOST_HELD = 64 << 20  # bytes of members of archives
_STORE_S = 5.0  # how long faults of a store are waited out


class NoPictureError(Exception):
    """There is nothing to show; its text says why."""


class Pictures:
    """Reads pictures by the paths in a table. Several threads may.

    Args:
        bytes_column: of Parquet and Arrow files with images; None to find it.
        id_column: the one that names their rows; None for their numbers.
    """

    def __init__(self, bytes_column: str | None = None, id_column: str | None = None) -> None:
        self._columns = bytes_column, id_column
        self._lock = threading.Lock()
        self._converter = Converter(1)
        self._copies = Copies()
        self._expected: OrderedDict[str, None] = OrderedDict()
        self._members: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0

    def expect(self, paths: Iterable[str]) -> None:
        """Say what will be asked for: of one archive, it is read in one pass."""
        with self._lock:
            for path in paths:
                self._expected.pop(path, None)
                self._expected[path] = None
            while len(self._expected) > _MOST_EXPECTED:
                self._expected.popitem(last=False)

    def read(self, path: str, *, as_sent: bool = False) -> tuple[bytes, str]:
        """The picture of a path in the table, and its media type.

        Args:
            path: as in the table.
            as_sent: whether it is wanted as digits-batch sends it, a PNG or JPEG always.

        Raises:
            NoPictureError: it is missing, or cannot be shown.
        """
        try:
            archive = "" if os.path.exists(path) else archive_of(path)  # noqa: PTH110 - a path that is no UTF-8 stays
            if archive:
                # A member may be called like a page.
                content = self._member(archive, path)
                page = split_page(path)[1] if foreign_kind(content) == "TIFF" else 0
                return self._shown(content, page, as_sent=as_sent)
            with readable(path) as (source, page):
                return self._shown(_content(source), page, source, as_sent=as_sent)
        except (FileNotFoundError, NotADirectoryError):
            raise NoPictureError(MISSING) from None
        except OSError as error:
            raise NoPictureError(error.strerror or str(error)) from None
        except (StoreError, UserError, ArchiveError) as error:
            raise NoPictureError(str(error)) from None
        except ValueError:
            raise NoPictureError(MISSING) from None  # a path with a NUL

    def close(self) -> None:
        """End the process that converts, if there is one."""
        self._converter.close()
        self._copies.close()

    def _shown(self, content: bytes, page: int, source: str | None = None, *, as_sent: bool) -> tuple[bytes, str]:
        """What is sent of a file's content, or of a page of it; of what is in no file, the source is None."""
        if not page:
            if content.startswith(_PNG):
                if int.from_bytes(content[16:20], "big") * int.from_bytes(content[20:24], "big") > MAX_PIXELS:
                    raise NoPictureError(TOO_LARGE)
                return content, "image/png"
            if content.startswith(_JPEG):
                return content, "image/jpeg"
        kind = foreign_kind(content)
        if kind is None:
            raise NoPictureError(NOT_AN_IMAGE)
        if kind in _SHOWN and not page and not as_sent:
            return content, _SHOWN[kind]
        if not can_read(kind):
            raise NoPictureError(f"to see {kind}, {how_to_install(EXTRA)}")
        with self._lock:
            path = self._copies.add(content) if source is None else source
            found = self._converter.take(self._converter.ask(path, page))
            self._copies.remove(path)
        if found.error:
            raise NoPictureError(found.error)
        return found.png, "image/png"

    def _member(self, archive: str, path: str) -> bytes:
        """The bytes of a member of an archive."""
        with self._lock:
            if path not in self._members:
                self._read_members(archive, path)
            content = self._members.get(path)
        if content is None:
            raise NoPictureError(MISSING)
        return content

    def _read_members(self, archive: str, path: str) -> None:
        """Read what is expected of an archive, in one pass."""
        prefix = archive + "/"
        wanted: dict[str, list[str]] = {}
        for name in (path, *self._expected):
            if name.startswith(prefix) and name not in self._members:
                for file in {name, split_page(name)[0]}:
                    wanted.setdefault(file.removeprefix(prefix), []).append(name)
        self._make_room()
        images, ids = self._columns
        selection = Selection(wanted.__contains__, wanted.__contains__, bytes_column=images, id_column=ids)
        for member in read_members(archive, selection, Patience(_STORE_S)):
            for name in wanted.pop(member.name, ()):
                if member.content is not None and (self._held < _MOST_HELD or name == path):
                    self._members[name] = member.content
                    self._held += len(member.content)
            if not wanted:
                break

    def _make_room(self) -> None:
        while self._held > _MOST_HELD // 2:
            _, content = self._members.popitem(last=False)
            self._held -= len(content)


def _content(source: str) -> bytes:
    """The bytes of a file. Raises OSError, or NoPictureError for what is none."""
    # Not blocking: a FIFO would have us wait for someone to write to it.
    descriptor = open_path(source, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NoPictureError(NOT_AN_IMAGE)
        if status.st_size > MAX_FILE_BYTES:
            raise NoPictureError(TOO_LARGE)
        return file.read(MAX_FILE_BYTES)


def is_relative(path: str) -> bool:
    """Whether a path in the table depends on where it is looked at from."""
    return not is_url(path) and not os.path.isabs(path)  # noqa: PTH117 - as above


def is_there(path: str) -> bool:
    """Whether a path that is no URL leads to a file, a page of one, or into an archive."""
    return os.path.exists(split_page(path)[0]) or bool(archive_of(path))  # noqa: PTH110 - as above
