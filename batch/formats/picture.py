"""Pictures in foreign formats as Pillow reads them, upright and in a mode that PNG has. Needs the `formats` extra."""

import contextlib
import io
import os
import stat
import struct
import zlib
from typing import BinaryIO

from PIL import Image, ImageOps, TiffImagePlugin

from batch.disk.long_paths import open_path, stat_path
from batch.formats.kinds import HEIC, can_read, foreign_kind
from batch.formats.pages import has_whole_directory, page_numbers
from exporter.contract import CORRUPT, MAX_PIXELS, NOT_AN_IMAGE, TOO_LARGE, UNREADABLE, UNSUPPORTED

BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow and its plugins raise for files that are broken in one way or another."""

_HEAD_BYTES = 512
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
_FAST = 1  # zlib's level: the PNG lives only until it is sent
_ORIENTATION = 0x0112  # of Exif
_UPRIGHT = 1
_PHOTOMETRIC, _BITS = 262, 258  # tags of TIFF
_WHITE_IS_ZERO = 0


class PictureError(Exception):
    """A file gives no picture; `text` is the contract's for its row."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Pictures:
    """Reads pictures one by one.

    The file of the last page stays open: Pillow reads the directories of all pages before the one it goes to, which
    would be half a million directories for a file of a thousand pages.
    """

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._image: Image.Image | None = None
        self._identity: tuple[object, ...] = ()

    def read(self, path: str, page: int) -> tuple[Image.Image, int]:
        """A picture, and how many more pages its file has that nobody asks for.

        Args:
            path: of a TIFF, BMP, GIF, WebP or HEIC file. Of a GIF or WebP the first frame is the picture, of a HEIC the
                main one.
            page: from 1; 0 for a file that was taken for one picture, of which it is the first.

        Returns:
            Mode 1, L, LA, P, RGB, RGBA or I;16, at most MAX_PIXELS. It is good until the next call.

        Raises:
            PictureError: unreadable, corrupt, too large, not supported by what is installed, or no longer such a file.
        """
        try:
            image, unread = self._open(path, page)
            return _picture(image), unread
        except PictureError:
            self.close()
            raise
        except (MemoryError, Image.DecompressionBombError):
            self.close()
            raise PictureError(TOO_LARGE) from None
        except (*BROKEN, KeyError) as error:
            text = UNSUPPORTED if self._is_unknown(error, page or 1) else CORRUPT
            self.close()
            raise PictureError(text) from None

    def close(self) -> None:
        """Close the file that is open, if one is."""
        # A picture that was read stays with whoever has it: only the file is closed.
        if self._file is not None:
            self._file.close()
        self._file, self._image, self._identity = None, None, ()

    def _is_unknown(self, error: BaseException, page: int) -> bool:
        """Whether a page is whole, as far as can be told, and only Pillow has no word for it."""
        # It looks compressions and the forms of samples up in tables.
        is_miss = isinstance(error, KeyError) or isinstance(error.__cause__, KeyError)
        try:
            return is_miss and self._file is not None and has_whole_directory(self._file.fileno(), page)
        except (OSError, ValueError):
            return False

    def _open(self, path: str, page: int) -> tuple[Image.Image, int]:
        """The page, not decoded yet."""
        try:
            status = stat_path(path)
        except (OSError, ValueError):
            raise PictureError(UNREADABLE) from None
        identity = path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        if page and self._image is not None and self._identity == identity:
            self._image.seek(page - 1)
            return self._image, 0
        self.close()
        self._file = _open_file(path)
        kind = foreign_kind(self._file.read(_HEAD_BYTES))
        if kind is None:
            raise PictureError(NOT_AN_IMAGE)  # it was one when it was looked at last
        if not can_read(kind):
            raise PictureError(UNSUPPORTED)
        numbers = page_numbers(self._file.fileno())
        if not numbers:
            raise PictureError(TOO_LARGE)
        self._file.seek(0)
        self._image = _identify(self._file, kind)
        self._identity = identity
        if page > 1:
            self._image.seek(page - 1)
        return self._image, 0 if page else len(numbers) - 1


def _open_file(path: str) -> BinaryIO:
    try:
        # Not blocking: a FIFO may have taken the file's place.
        descriptor = open_path(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        raise PictureError(UNREADABLE) from None
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise PictureError(UNREADABLE)
    return file


def _identify(file: BinaryIO, kind: str) -> Image.Image:
    """Read the header of a file."""
    if kind == "TIFF":
        # Not by Image.open, which has one error for all that it does not take.
        return TiffImagePlugin.TiffImageFile(file)
    if kind == HEIC:
        import pillow_heif  # noqa: PLC0415 - only where it is installed, and needed

        # One thread for each worker: there are as many of these as is good.
        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    return Image.open(file, formats=("HEIF" if kind == HEIC else kind.upper(),))


def _picture(image: Image.Image) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise PictureError(TOO_LARGE)
    image.load()
    # Pillow has turned a TIFF by now, and pillow-heif a HEIC. Exif that cannot be read is no reason to lose a picture.
    with contextlib.suppress(*BROKEN):
        if image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
            image = ImageOps.exif_transpose(image)
    if image.mode in _PNG_MODES:
        return image
    if image.mode.startswith("I;16"):
        return _sixteen_bits(image)
    if image.mode in ("I", "F"):
        low, high = image.getextrema()
        scale = 255 / max(high - low, 1e-9)  # type: ignore[operator] # of one band these are two numbers
        return image.convert("F").point(lambda level: level * scale - low * scale).convert("L")  # type: ignore[operator]
    return image.convert("RGBA" if image.mode in ("PA", "La", "RGBa") else "RGB")


def _sixteen_bits(image: Image.Image) -> Image.Image:
    """16 bit grey with black at 0, its range full: Pillow leaves these two to the reader."""
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    scale = 16 if tags.get(_BITS) == (12,) else 1
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        return image.convert("I").point(lambda level: level * -scale + 65535).convert("I;16")
    return image if scale == 1 else image.convert("I").point(lambda level: level * scale).convert("I;16")


def encode(picture: Image.Image) -> bytes:
    """A picture in one of the modes above as PNG, with its palette and transparency, and nothing else beside it."""
    png = io.BytesIO()
    picture.save(png, "PNG", compress_level=_FAST, icc_profile=None)
    return png.getvalue()
