"""Labelled pictures of any kind that Pillow opens: digits in MNIST's form, whole fields as serving takes them."""

import hashlib
import io
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image, ImageOps

from exporter.command import UserError
from exporter.contract import MAX_FIELD_WIDTH, SIDE
from exporter.label_file import Label
from exporter.numbers.field import shrink
from exporter.picture.closer import read
from exporter.picture.decode import decode
from trainer.data.files import read_files
from trainer.data.labels import Labelled

_TOGETHER = 64
_SERVED = (b"\x89PNG", b"\xff\xd8")  # how the formats begin that the signature takes
_PNG_MODES = ("1", "L", "LA", "I;16", "RGB", "RGBA")
_THUMBNAIL = 112
_HEIC = b"ftyp"  # after four bytes
# Of files that are broken in one way or another.
_PILLOW_FAULTS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures that could be decoded, n of them."""

    labelled: list[Labelled[int]]
    forms: npt.NDArray[np.uint8]
    """[n, 28, 28], white ink on black; zeros where there is no ink."""
    has_ink: npt.NDArray[np.bool_]
    """[n]; serving answers `blank` to the others."""
    digests: list[str]
    """SHA-256 of each file; the page is added to that of a part of a file."""
    unreadable: list[Labelled[int]]
    """Those that are no picture, or a broken or too large one."""

    @classmethod
    def none(cls) -> "Pictures":
        """No pictures."""
        return cls([], np.zeros([0, SIDE, SIDE], np.uint8), np.zeros(0, np.bool_), [], [])

    @property
    def images(self) -> npt.NDArray[np.float32]:
        """What networks see, [n, 28, 28], 0 to 1."""
        return self.forms.astype(np.float32) / np.float32(255)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """0 to 9, NO_DIGIT for what is no digit; [n]."""
        return np.array([each.label for each in self.labelled], np.int64)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Pictures of fields that serving decodes, not decoded yet."""

    labelled: list[Labelled[str]]
    contents: list[bytes]
    """Input of the signature `numbers`: PNG or JPEG each."""
    digests: list[str]
    """SHA-256 of each file; the page is added to that of a part of a file."""
    unreadable: list[Labelled[str]]
    """Those that are no picture, or a broken or too large one."""


def read_pictures(labelled: Sequence[Labelled[int]], on_done: Callable[[int], None]) -> Pictures:
    """Read files and bring them into MNIST's form.

    Args:
        labelled: which files.
        on_done: told after each some how many more are done.

    Raises:
        UserError: a file cannot be read from the disk, or none holds a picture.
    """
    graph = tf.function(read, autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    kept: list[Labelled[int]] = []
    unreadable: list[Labelled[int]] = []
    digests, forms, inks = [], [], []
    for some, encoded, marks in _in_parts(labelled):
        code, index, field, has_ink = (part.numpy() for part in graph(tf.constant(encoded)))
        good = np.flatnonzero(code == 0).tolist()
        order = index.argsort()
        forms.append(np.rint(255 * field[order]).astype(np.uint8))
        inks.append(has_ink[order])
        kept += [some[place] for place in good]
        digests += [marks[place] for place in good]
        unreadable += [some[place] for place in np.flatnonzero(code).tolist()]
        on_done(len(some))
    if not kept:
        raise _no_picture(labelled)
    return Pictures(kept, np.concatenate(forms), np.concatenate(inks), digests, unreadable)


def read_encoded(labelled: Sequence[Labelled[str]], on_done: Callable[[int], None]) -> Encoded:
    """Read files of whole fields as the signature `numbers` takes them: PNG and JPEG as they are, others as PNG.

    Args:
        labelled: which files.
        on_done: told after each some how many more are done.

    Raises:
        UserError: a file cannot be read from the disk, or none holds a picture.
    """

    def decoded(image_bytes: tf.Tensor) -> tf.Tensor:
        return decode(image_bytes, shrink, MAX_FIELD_WIDTH)[0]

    codes = tf.function(decoded, autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    found = Encoded([], [], [], [])
    for some, encoded, marks in _in_parts(labelled):
        for each, content, mark in zip(some, encoded, marks, strict=True):
            # One by one: together, all would be on canvases as large as the largest.
            if codes(tf.constant([content]))[0]:
                found.unreadable.append(each)
            else:
                found.labelled.append(each)
                found.contents.append(content)
                found.digests.append(mark)
        on_done(len(some))
    if not found.labelled:
        raise _no_picture(labelled)
    return found


def _no_picture(labelled: Sequence[Labelled[Label]]) -> UserError:
    return UserError(f"none of the {len(labelled):,} labelled files holds a picture, such as {labelled[0].name}")


def thumbnails(labelled: Sequence[Labelled[int] | Labelled[str]]) -> npt.NDArray[np.uint8]:
    """The pictures themselves, small, grey and upright, in the middle of white squares: uint8 [n, side, side]."""
    squares = np.full([len(labelled), _THUMBNAIL, _THUMBNAIL], 255, np.uint8)
    for place, content in read_files([each.file for each in labelled]):
        grey = on_paper(content, labelled[place].page)
        if grey is None:
            continue  # what TensorFlow alone decodes stays white
        small = ImageOps.contain(grey, (_THUMBNAIL, _THUMBNAIL))
        left, top = (_THUMBNAIL - small.width) // 2, (_THUMBNAIL - small.height) // 2
        squares[place, top : top + small.height, left : left + small.width] = np.asarray(small)
    return squares


def on_paper(content: bytes, page: int = 0) -> Image.Image | None:
    """A picture upright, grey and on white paper; None where Pillow cannot open it.

    Args:
        content: the encoded picture.
        page: of a TIFF, counted from 1; 0 for the first one.
    """
    try:
        upright = _open(content, page)
        if upright.mode.startswith("I;16"):
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        paper = Image.new("RGBA", upright.size, "white")
        paper.alpha_composite(upright.convert("RGBA"))
        return paper.convert("L")
    except _PILLOW_FAULTS:
        return None


@cache
def _learn_heic() -> None:
    """Have Pillow read HEIC, where the extra for it is installed."""
    with suppress(ImportError):
        import pillow_heif  # noqa: PLC0415 - only where it is installed, and needed

        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _open(content: bytes, page: int) -> Image.Image:
    """A page, upright; the first one for 0. Raises one of Pillow's many errors."""
    if content[4:8] == _HEIC:
        _learn_heic()
    with Image.open(io.BytesIO(content)) as image:
        image.seek(max(0, page - 1))
        upright: Image.Image = ImageOps.exif_transpose(image)
        upright.load()
        return upright


def _in_parts(labelled: Sequence[Labelled[Label]]) -> Iterator[tuple[list[Labelled[Label]], list[bytes], list[str]]]:
    """Some at a time, as `read_files` has them: which, the pictures as serving takes them, and their digests."""
    files = read_files([each.file for each in labelled])
    while some := list(itertools.islice(files, _TOGETHER)):
        pages = [labelled[place].page for place, _ in some]
        encoded = [_served(content, page) for (_, content), page in zip(some, pages, strict=True)]
        digests = [
            f"{hashlib.sha256(content).hexdigest()}{page}" for (_, content), page in zip(some, pages, strict=True)
        ]
        yield [labelled[place] for place, _ in some], encoded, digests


def _served(content: bytes, page: int) -> bytes:
    """The file itself, or its page as PNG where serving does not take its format; what is no picture stays."""
    if content.startswith(_SERVED):
        return content
    try:
        upright = _open(content, page)
        plain = upright if upright.mode in _PNG_MODES else upright.convert("RGBA")
        file = io.BytesIO()
        plain.save(file, "PNG", compress_level=1)
    except _PILLOW_FAULTS:
        return content
    return file.getvalue()
