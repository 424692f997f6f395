"""Drawing pictures that are no digits: pens, letters and digits side by side, white on black. NumPy and Pillow."""

import functools
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
"""Columns and rows, [n, 2], in shares of the picture's side."""

SIZE = 72
"""Height and width of a picture, in pixels: room for three of MNIST's digits side by side."""

MARGIN = 0.15  # of the picture's side: where drawing stays away from the border
_LETTER_POINTS = 44
_MOST_TURN, _MOST_SLANT = 15.0, 0.3  # degrees; columns per row


def draw_lines(strokes: Sequence[Points], width: float) -> Pixels:
    """Draw strokes with a round pen.

    Args:
        strokes: the corners of each, in order.
        width: of the pen, as a share of the picture's side.

    Returns:
        uint8 [SIZE, SIZE].
    """
    picture = Image.new("L", (SIZE, SIZE))
    pen = ImageDraw.Draw(picture)
    pixels = max(1, round(width * SIZE))
    for stroke in strokes:
        corners = [(float(x), float(y)) for x, y in stroke * SIZE]
        pen.line(corners, fill=255, width=pixels, joint="curve")
        for x, y in (corners[0], corners[-1]):
            pen.ellipse((x - pixels / 2, y - pixels / 2, x + pixels / 2, y + pixels / 2), fill=255)
    return np.asarray(picture)


def smooth(corners: Points, steps: int = 8) -> Points:
    """A Catmull-Rom curve through corners, [n, 2] with n of at least 2: `steps` points for each piece of it."""
    before, after = 2 * corners[0] - corners[1], 2 * corners[-1] - corners[-2]
    p = np.concatenate([before[None], corners, after[None]])[:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    pieces = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    curve: Points = np.concatenate([pieces.reshape(-1, 2), corners[-1:]])
    return curve


def write_text(text: str, font: str, rng: np.random.Generator) -> Pixels:
    """Write a letter or a few with a font: a name in Matplotlib's folder, or an empty one for Pillow's own.

    Turned and slanted a little, with strokes a little thicker or not.

    Returns:
        uint8 [SIZE, SIZE].
    """
    picture = Image.new("L", (SIZE, SIZE))
    points = _LETTER_POINTS // max(1, len(text) - 1)
    ImageDraw.Draw(picture).text(
        (SIZE / 2, SIZE / 2),
        text,
        fill=255,
        font=_font(font, points),
        anchor="mm",
        stroke_width=int(rng.integers(0, 3)),
        stroke_fill=255,
    )
    return _tilt(picture, rng)


def put_side_by_side(digits: Sequence[Pixels], rng: np.random.Generator) -> Pixels:
    """Two or three of MNIST's images, uint8 [28, 28], in one picture, apart or nearly touching.

    Returns:
        uint8 [SIZE, SIZE].
    """
    picture = np.zeros((SIZE, SIZE), np.uint8)
    cut = [_trimmed(digit) for digit in digits]
    ink = sum(image.shape[1] for image in cut)
    gap = int(rng.integers(0, 1 + min(8, (SIZE - 2 - ink) // max(1, len(cut) - 1))))
    left = (SIZE - ink - gap * (len(cut) - 1)) // 2
    for image in cut:
        height, width = image.shape
        top = (SIZE - height) // 2 + int(rng.integers(-3, 4))
        place = picture[top : top + height, left : left + width]
        np.maximum(place, image, out=place)
        left += width + gap
    return picture


def _trimmed(digit: Pixels) -> Pixels:
    rows, columns = (np.flatnonzero(digit.max(axis=axis) > 0) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _tilt(picture: Image.Image, rng: np.random.Generator) -> Pixels:
    angle = np.deg2rad(rng.uniform(-_MOST_TURN, _MOST_TURN))
    slant = rng.uniform(-_MOST_SLANT, _MOST_SLANT)
    cos, sin, middle = np.cos(angle), np.sin(angle), SIZE / 2
    a, b, d, e = cos, cos * slant - sin, sin, sin * slant + cos
    coefficients = (a, b, middle - (a + b) * middle, d, e, middle - (d + e) * middle)
    return np.asarray(picture.transform(picture.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))


@functools.cache
def _font(name: str, points: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if not name:
        return ImageFont.load_default(points)
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", points)
