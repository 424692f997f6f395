"""Ones as much of the world writes them, with a flag at the top and a serif at the foot: MNIST's have neither.

To a network that has seen MNIST alone, a long flag makes a one a seven. Both strokes are drawn onto training images, as
thick as the one itself, which is then centred by its mass again as MNIST's digits are.
"""

import numpy as np
import numpy.typing as npt

from exporter.contract import SIDE

Floats = npt.NDArray[np.float32]

_ONE = 1
_INK = 0.3  # grey from which a pixel counts for where a stroke begins and ends
_FLAG_LENGTH = (0.2, 0.55)  # of the one's height
_FLAG_ANGLE = (0.45, 1.25)  # radians below the horizontal, to the left
_FOOT_SHARE = 0.35  # of the ones with a flag
_FOOT_LENGTH = (0.15, 0.4)  # of the height, to each side
_CENTRE = (SIDE - 1) / 2 + 0.5  # MNIST's centre of mass, as a place between pixels counted from 0


def add_serifs(images: Floats, labels: npt.NDArray[np.integer], share: float, rng: np.random.Generator) -> Floats:
    """Draw a flag, and at times a foot, onto some of the ones.

    Args:
        images: float32 [n, 28, 28], 0 to 1, white ink on black.
        labels: their digits, [n].
        share: of the ones, 0 to 1.
        rng: where the randomness comes from.

    Returns:
        A copy of the images, float32 [n, 28, 28], 0 to 1.
    """
    copies = images.copy()
    if not share:
        return copies
    for place in np.flatnonzero((labels == _ONE) & (rng.random(len(labels)) < share)):
        copies[place] = _with_serifs(images[place], rng)
    return copies


def _with_serifs(image: Floats, rng: np.random.Generator) -> Floats:
    inked = np.flatnonzero((image > _INK).any(axis=1))
    if len(inked) < 2:
        return image
    top, bottom = inked[0], inked[-1]
    height = float(bottom - top + 1)
    # A one is about as thick as its ink divided by its height.
    radius = 0.5 * float(image.sum()) / height
    start = np.array([top + radius, _middle(image[top : top + 2])])
    length, angle = height * rng.uniform(*_FLAG_LENGTH), rng.uniform(*_FLAG_ANGLE)
    end = start + length * np.array([np.sin(angle), -np.cos(angle)])
    drawn = np.maximum(image, _segment(start, end, radius * rng.uniform(0.7, 1.0)))
    if rng.random() < _FOOT_SHARE:
        foot = np.array([bottom - radius, _middle(image[bottom - 1 : bottom + 1])])
        reach = np.array([0.0, height * rng.uniform(*_FOOT_LENGTH)])
        drawn = np.maximum(drawn, _segment(foot - reach, foot + reach, radius * rng.uniform(0.7, 1.0)))
    return _centred(drawn)


def _middle(rows: Floats) -> float:
    """The column of the ink's centre of mass."""
    return float(rows.sum(axis=0) @ np.arange(SIDE) / rows.sum())


def _segment(start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], radius: float) -> Floats:
    """A stroke with round ends between two points (row, column), anti-aliased, [28, 28], 0 to 1."""
    way = end - start
    pixels = np.moveaxis(np.indices((SIDE, SIDE)), 0, -1) - start
    along = np.clip(pixels @ way / max(float(way @ way), 1e-6), 0, 1)
    distance = np.linalg.norm(pixels - along[..., None] * way, axis=-1)
    stroke: Floats = np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)
    return stroke


def _centred(image: Floats) -> Floats:
    """Shift by whole pixels, so that the centre of mass comes to the middle."""
    places = np.arange(SIDE)
    mass = image.sum()
    down = round(_CENTRE - float(image.sum(axis=1) @ places / mass))
    right = round(_CENTRE - float(image.sum(axis=0) @ places / mass))
    moved = np.zeros_like(image)
    target = moved[max(down, 0) : SIDE + min(down, 0), max(right, 0) : SIDE + min(right, 0)]
    target[:] = image[max(-down, 0) : SIDE + min(-down, 0), max(-right, 0) : SIDE + min(-right, 0)]
    return moved
