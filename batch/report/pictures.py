"""Pictures of rows as `data:` URIs, which need no file beside the page.

With Pillow and NumPy they are drawn small, whatever their format. Without these, PNG and JPEG files are taken as they
are if they are small.
"""

import base64
import importlib.util
from collections.abc import Iterator
from typing import NamedTuple

from batch.archives.kinds import archive_of
from batch.disk.long_paths import open_path
from batch.files.again import members_again, readable
from batch.files.walk import Walk

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_LARGEST = 65_536  # bytes of a file that is taken as it is


class Picture(NamedTuple):
    """A picture of a row.

    Attributes:
        uri: where there is one; else empty.
        reason: why there is none.
    """

    uri: str
    reason: str = ""


def can_draw() -> bool:
    """Whether Pillow and NumPy are installed, which the `train` extra has."""
    return all(importlib.util.find_spec(module) is not None for module in ("PIL", "numpy"))


def pictures_of(paths: list[str], what: Walk, *, is_wide: bool = False) -> Iterator[Picture]:
    """The pictures of rows, in their order.

    Args:
        paths: as in the table.
        what: of the run; archives are read once more.
        is_wide: whether they are of fields, which are drawn wide and upright, where they are drawn.

    Raises:
        StoreError: they are in a store, which failed.
    """
    return _drawn(paths, what, is_wide=is_wide) if can_draw() else _copied(paths, what)


def data_uri(content: bytes, kind: str) -> str:
    """A file of a media type, as text."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _drawn(paths: list[str], what: Walk, *, is_wide: bool) -> Iterator[Picture]:
    from batch.accuracy.thumbnail import SQUARE, WIDE, jpeg, member_thumbnails, thumbnail  # noqa: PLC0415 - needs an extra

    view = WIDE if is_wide else SQUARE
    members = member_thumbnails(paths, what, lambda _: view)
    for path in paths:
        tile = members.get(path)
        yield Picture(data_uri(jpeg(thumbnail(path, view) if tile is None else tile), "image/jpeg"))


def _copied(paths: list[str], what: Walk) -> Iterator[Picture]:
    members = {file.path: _copy(file.content or b"") for file in members_again(paths, what)}
    for path in paths:
        yield members.get(path) or _copy_of(path)


def _copy_of(path: str) -> Picture:
    if archive_of(path):
        return Picture("", "not found again")
    try:
        with readable(path) as (source, page):
            if page:
                return _copy(b"")
            with open(source, "rb", opener=open_path) as file:
                return _copy(file.read(_LARGEST + 1))
    except (OSError, ValueError):
        return Picture("", "not found again")


def _copy(content: bytes) -> Picture:
    kind = "image/png" if content.startswith(_PNG) else "image/jpeg" if content.startswith(_JPEG) else ""
    if not kind:
        return Picture("", "to see this format, install the extra train")
    if len(content) > _LARGEST:
        return Picture("", "to see pictures of this size, install the extra train")
    return Picture(data_uri(content, kind))
