"""Distorted copies of labelled fields: the same text as another day's hand, pen and scanner would have it."""

import io

import numpy as np
from PIL import Image, ImageFilter

from trainer.data.pictures import on_paper

_MOST_HEIGHT = 256  # pixels: more than the reader looks at
_MARGIN = 8
_STRETCH = 0.08  # standard deviations: of the logarithm of width and of height,
_SHEAR, _RISE = 0.12, 0.02  # of columns a row, and of rows a column,
_GAMMA = 0.15  # and of the logarithm of the power of greys
_BLURRED, _BLUR = 0.3, (0.3, 0.9)  # share of copies, and radius in pixels
_NOISE = 6.0  # grey levels at most


def copy_of(content: bytes, rng: np.random.Generator) -> bytes:
    """A distorted copy of an encoded picture of a field, as a grey PNG; the picture itself if Pillow cannot open it."""
    grey = on_paper(content)
    if grey is None:
        return content
    if grey.height > _MOST_HEIGHT:
        grey = grey.resize((max(1, round(grey.width * _MOST_HEIGHT / grey.height)), _MOST_HEIGHT))
    wide, high = np.exp(rng.normal(0, _STRETCH, 2))
    shear, rise = rng.normal(0, _SHEAR), rng.normal(0, _RISE)
    size = round(grey.width * wide + abs(shear) * grey.height) + _MARGIN, round(grey.height * high) + _MARGIN
    # From places in the copy to places in the picture; the middle stays the middle, and paper goes on at the edges.
    ways = np.array([[1 / wide, shear], [rise, 1 / high]])
    reach = max(size)
    offset = np.array(grey.size) / 2 + reach - ways @ np.array(size) / 2
    wider = Image.fromarray(np.pad(np.asarray(grey), reach, mode="edge"))
    matrix = (*ways[0], offset[0], *ways[1], offset[1])
    copy = wider.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    if rng.random() < _BLURRED:
        copy = copy.filter(ImageFilter.GaussianBlur(rng.uniform(*_BLUR)))
    levels = 255 * (np.asarray(copy) / 255) ** np.exp(rng.normal(0, _GAMMA))
    levels += rng.normal(0, rng.uniform(0, _NOISE), levels.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)).save(file, "PNG", compress_level=1)
    return file.getvalue()
