"""One image file, or one page of it, as a small picture for people."""

import functools
import io
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from batch.client.fields import Box
from batch.disk.long_paths import open_path
from batch.files.again import members_again, readable
from batch.files.copies import Copies
from batch.files.file import File
from batch.files.walk import Walk
from batch.formats.kinds import foreign_kind
from batch.formats.picture import BROKEN, PictureError, Pictures
from exporter.contract import MAX_PIXELS

SIDE_PX = 192
Tile = npt.NDArray[np.uint8]
"""uint8 [height, width, 3] of its view, RGB."""

_BESIDE = (222, 228, 236)  # what lies beside an image that is no square
_FRAME = (190, 198, 210)
_CROSS = (150, 160, 175)
_CHECK_PX = 12
_HEAD_BYTES = 512
_LIGHT_CHECKS, _DARK_CHECKS = (255, 232), (70, 92)
_BOX = (217, 115, 13)


@dataclass(frozen=True)
class View:
    """How an image is drawn.

    Attributes:
        width: of the tile, in pixels.
        height: likewise.
        is_upright: whether it is turned by its EXIF orientation; pictures of foreign formats always are.
        boxes: drawn onto it, in pixels of the upright picture.
    """

    width: int = SIDE_PX
    height: int = SIDE_PX
    is_upright: bool = False
    boxes: tuple[Box, ...] = ()


SQUARE = View()
WIDE = View(420, 96, is_upright=True)
"""For fields of several digits."""


def thumbnail(path: str, view: View = SQUARE) -> Tile:
    """Draw the image as large as fits, transparency over checks; a cross for a file that cannot be opened.

    Args:
        path: as in the table: of a page, with its number.
        view: how.

    Raises:
        StoreError: it is in a store, which failed.
    """
    return _draw(lambda: _small(path, view), view)


def member_thumbnails(
    paths: Iterable[str], what: Walk, view_of: Callable[[str], View] = lambda _: SQUARE
) -> dict[str, Tile]:
    """Draw those images that are in archives, which are read once more for them, by their paths.

    Args:
        paths: as in the table.
        what: of the run; says which columns of tables.
        view_of: how the image of a path is drawn.
    """
    tiles: dict[str, Tile] = {}
    for file in members_again(paths, what):
        view = view_of(file.path)
        tiles[file.path] = _draw(functools.partial(_small_member, file, view), view)
    return tiles


def jpeg(tile: Tile) -> bytes:
    """A tile as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(tile).save(file, "JPEG", quality=80)
    return file.getvalue()


def _draw(small: Callable[[], Image.Image], view: View) -> Tile:
    """A small image in the middle of a tile; a cross where there is none."""
    width, height = view.width, view.height
    tile = Image.new("RGB", (width, height), _BESIDE)
    try:
        image = small()
    except (*BROKEN, PictureError, MemoryError, Image.DecompressionBombError):
        pen = ImageDraw.Draw(tile)
        pen.line((0, 0, width, height), _CROSS, 3)
        pen.line((0, height, width, 0), _CROSS, 3)
    else:
        tile.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    # White paper on a white sheet has no edge of its own.
    ImageDraw.Draw(tile).rectangle((0, 0, width - 1, height - 1), outline=_FRAME)
    return np.asarray(tile)


def _small(path: str, view: View) -> Image.Image:
    """The image in RGB, as large as fits its tile."""
    with readable(path) as (source, page), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes, which are judged here, and of tags that Pillow does not know
        with open(source, "rb", opener=open_path) as file:
            if not page and foreign_kind(file.read(_HEAD_BYTES)) is None:
                return _small_served(file, view)
        return _small_foreign(source, page, view)


def _small_member(file: File, view: View) -> Image.Image:
    """As `_small`, of a member of an archive."""
    content = file.content or b""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # likewise
        if not file.page and foreign_kind(content) is None:
            return _small_served(io.BytesIO(content), view)
        copies = Copies()
        try:
            return _small_foreign(copies.add(content), file.page, view)
        finally:
            copies.close()


def _small_served(file: IO[bytes], view: View) -> Image.Image:
    """Of a format that the server takes."""
    file.seek(0)
    with Image.open(file, formats=("PNG", "JPEG")) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("too large")
        return _shrink(ImageOps.exif_transpose(image) if view.is_upright else image, view)


def _small_foreign(path: str, page: int, view: View) -> Image.Image:
    """Of a format that is converted."""
    pictures = Pictures()
    try:
        return _shrink(pictures.read(path, page)[0], view)
    finally:
        pictures.close()


def _shrink(image: Image.Image, view: View) -> Image.Image:
    scale = min(view.width / image.width, view.height / image.height)
    small = _resized(image, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    pen = ImageDraw.Draw(small)
    for top, left, bottom, right in view.boxes:
        pen.rectangle((left * scale, top * scale, right * scale, bottom * scale), outline=_BOX)
    return small


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image in RGB, of a size."""
    if image.mode.startswith("I"):
        # 16 bit grey: Pillow's own conversion clips it.
        eight_bit = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
        return eight_bit.resize(size, Image.Resampling.BICUBIC).convert("RGB")
    if image.has_transparency_data:
        return _over_checks(image.convert("RGBA").resize(size, Image.Resampling.BICUBIC))
    return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def _over_checks(image: Image.Image) -> Image.Image:
    """An RGBA image over checks that its ink stands out from: light ones, dark ones for light ink."""
    alpha = np.asarray(image.getchannel("A"), np.float64)
    grey = np.asarray(image.convert("RGB").convert("L"), np.float64)
    ink = (grey * alpha).sum() / max(alpha.sum(), 1)
    rows, columns = np.indices((image.height, image.width)) // _CHECK_PX
    checks = np.where((rows + columns) % 2, *(_DARK_CHECKS if ink > 127 else _LIGHT_CHECKS)).astype(np.uint8)
    paper = Image.fromarray(checks).convert("RGBA")
    return Image.alpha_composite(paper, image).convert("RGB")
