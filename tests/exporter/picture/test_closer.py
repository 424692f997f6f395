"""A small digit on a large sheet is read from as many pixels as its file has of it."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from tests.exporter.picture.test_neighbours import sample
from tests.support import Image

Read = Callable[[list[bytes]], list[int]]

_UPRIGHT = 1
_TURNS = {
    2: [Pillow.Transpose.FLIP_LEFT_RIGHT],
    3: [Pillow.Transpose.ROTATE_180],
    4: [Pillow.Transpose.FLIP_TOP_BOTTOM],
    5: [Pillow.Transpose.TRANSPOSE],
    6: [Pillow.Transpose.ROTATE_90],
    7: [Pillow.Transpose.TRANSVERSE],
    8: [Pillow.Transpose.ROTATE_270],
}


def sheet(digit: int, height_px: int, where: tuple[float, float]) -> Image:
    """A sheet of 1200 x 900 pixels in uneven light with one digit on it, so high."""
    light = np.linspace(215, 150, 900) * np.linspace(1, 0.85, 1200)[:, None]
    ink = 255 - sample(digit)
    rows = np.flatnonzero(ink.any(axis=1))
    ink = ink[rows[0] : rows[-1] + 1]
    small = Pillow.fromarray(ink).resize(
        (round(ink.shape[1] * height_px / len(ink)), height_px), Pillow.Resampling.BICUBIC
    )
    share = np.asarray(small) / 255
    top, left = int(where[0] * 1200), int(where[1] * 900)
    light[top : top + share.shape[0], left : left + share.shape[1]] *= 1 - 0.7 * share
    return light.astype(np.uint8)


def encoded(pixels: Image, kind: str, orientation: int = _UPRIGHT) -> bytes:
    """A file of a picture that is to be turned so before it is looked at."""
    picture = Pillow.fromarray(pixels)
    for turn in _TURNS.get(orientation, []):
        picture = picture.transpose(turn)
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    picture.save(file, kind, exif=exif)
    upright = ImageOps.exif_transpose(Pillow.open(io.BytesIO(file.getvalue())))
    assert upright is not None
    assert upright.size == (900, 1200)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("height_px", [60, 90, 140])
def test_every_digit(answer: Read, kind: str, height_px: int) -> None:
    """All ten digits are read at a twentieth to an eighth of the sheet's height, wherever they stand."""
    files = [encoded(sheet(digit, height_px, (0.1 + 0.07 * digit, 0.72 - 0.07 * digit)), kind) for digit in range(10)]
    assert answer(files) == list(range(10))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_in_any_orientation(answer: Read, orientation: int) -> None:
    """The closer look is taken at the right place of a photograph that its Exif turns."""
    files = [encoded(sheet(digit, 80, (0.15, 0.7)), "JPEG", orientation) for digit in (4, 7)]
    assert answer(files) == [4, 7]


def test_beside_others(answer: Read) -> None:
    """Large digits in the same request keep their answers."""
    large = io.BytesIO()
    Pillow.fromarray(np.kron(sample(3), np.ones((10, 10), np.uint8))).save(large, "PNG")
    files = [large.getvalue(), encoded(sheet(5, 70, (0.5, 0.5)), "JPEG"), large.getvalue()]
    assert answer(files) == [3, 5, 3]
