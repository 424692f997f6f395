"""What happens to a digit at the edges of its field: strokes are cut off, and something that is not its own remains.

Whoever cuts fields out of a form cuts into digits that reach beyond them, and takes in a piece of a rule or a box, a
point or a comma, a stroke of the next digit. Serving takes away what it can; the network must read the digit beside
what is left. NumPy only.
"""

import numpy as np
import numpy.typing as npt

from exporter.contract import SIDE
from trainer.data.pen import draw_pieces

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_INK = 0.2  # grey from which a pixel counts for the size of a digit
# How much may be cut off, as a share of the digit's width or height: a roof or a foot, a stroke thick, must not go.
_CUT_AT_SIDES = 0.12
_CUT_ABOVE_OR_BELOW = 0.07
_STRIP = (1.5, 4.5)  # pixels of the next digit
_STRIP_MOST = 0.5  # of it: a whole one beside a digit is a number
_STRIP_GAP = (0.5, 2.5)  # pixels between them
_STRIP_SHARE, _SPECK_SHARE = 0.35, 0.3  # of what remains; the others are pieces of rules
_RULE_GAP = (0.0, 3.0)  # pixels from the digit; 0 touches it
_RULE_RADIUS = (0.1, 0.7)
_SPECK_RADIUS = (0.6, 1.3)
_SPECK_LENGTH = (0.0, 4.0)  # a point, or a comma
_PLACES = np.arange(SIDE, dtype=np.float32)


def cut_edges(images: Floats, share: float, rng: np.random.Generator) -> tuple[Floats, Bools]:
    """Cut off one side of some digits.

    Args:
        images: float32 [n, 28, 28], 0 to 1, white ink on black.
        share: of the images.
        rng: where the randomness comes from; it is asked for nothing where there is no share.

    Returns:
        Images, float32 [n, 28, 28], neither scaled nor centred again, and which were cut, bool [n].
    """
    if not share:
        return images, np.zeros(len(images), bool)
    count = len(images)
    chosen = rng.random(count) < share
    side = rng.integers(0, 4, count)  # left, right, above, below
    depth = rng.random(count, np.float32)
    left, right, top, bottom = _box(images)
    lows, highs = np.where(side < 2, left, top), np.where(side < 2, right, bottom)
    depth *= np.where(side < 2, _CUT_AT_SIDES, _CUT_ABOVE_OR_BELOW) * (highs - lows)
    # How much of each column or row is left.
    at_low = side % 2 == 0
    kept_low = np.clip(_PLACES + 1 - (lows + depth)[:, None], 0, 1)
    kept_high = np.clip((highs - depth)[:, None] - _PLACES, 0, 1)
    kept = np.where(chosen[:, None], np.where(at_low[:, None], kept_low, kept_high), 1).astype(np.float32)
    across = np.where((side < 2)[:, None], kept, 1)
    down = np.where((side < 2)[:, None], 1, kept)
    cut: Floats = images * (across[:, None, :] * down[:, :, None])
    return cut, chosen


def add_remains(images: Floats, share: float, rng: np.random.Generator) -> tuple[Floats, Bools]:
    """Put something beside some digits: a piece of a rule, a point or a comma, a strip of another of the images.

    Args:
        images: float32 [n, 28, 28], 0 to 1, white ink on black.
        share: of the images.
        rng: where the randomness comes from; it is asked for nothing where there is no share.

    Returns:
        Images, float32 [n, 28, 28], neither scaled nor centred again, and which have more on them, bool [n].
    """
    if not share:
        return images, np.zeros(len(images), bool)
    chosen = rng.random(len(images)) < share
    chosen &= images.any(axis=(1, 2))
    places = np.flatnonzero(chosen)
    kind = rng.random(len(places))
    strips = kind < _STRIP_SHARE
    specks = ~strips & (kind < _STRIP_SHARE + _SPECK_SHARE)
    rules = ~strips & ~specks
    full = images.copy()
    for these, added in (
        (places[strips], _strips(images, places[strips], rng)),
        (places[specks], _specks(images[places[specks]], rng)),
        (places[rules], _rules(images[places[rules]], rng)),
    ):
        full[these] = np.maximum(images[these], images[these].max(axis=(1, 2), keepdims=True) * added)
    return full, chosen


def _strips(images: Floats, places: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """The nearer sides of other images, at the left or the right of those at `places`."""
    count = len(places)
    others = images[rng.integers(0, len(images), count)]
    on_left = rng.random(count) < 0.5
    left, right, _, _ = _box(images[places])
    other_left, other_right, _, _ = _box(others)
    gap = _uniform(rng, _STRIP_GAP, count)
    wide = np.minimum(_uniform(rng, _STRIP, count), _STRIP_MOST * (other_right - other_left))
    # Whole pixels, to leave its strokes as sharp as they are.
    shift = np.rint(np.where(on_left, left - gap - other_right, right + gap - other_left)).astype(int)
    columns = np.arange(SIDE) - shift[:, None]
    moved = np.take_along_axis(others, np.clip(columns, 0, SIDE - 1)[:, None, :], axis=2)
    moved *= ((columns >= 0) & (columns < SIDE))[:, None, :]
    begin, end = np.where(on_left, left - gap - wide, right), np.where(on_left, left, right + gap + wide)
    moved *= np.clip(np.minimum(_PLACES + 1 - begin[:, None], end[:, None] - _PLACES), 0, 1)[:, None, :]
    strips: Floats = moved / np.maximum(others.max(axis=(1, 2), keepdims=True), 1e-6)
    return strips


def _specks(images: Floats, rng: np.random.Generator) -> Floats:
    """Points and commas at a lower corner, or at an upper one."""
    count = len(images)
    left, right, top, bottom = _box(images)
    radius = _uniform(rng, _SPECK_RADIUS, count)
    on_left, above = rng.random(count) < 0.4, rng.random(count) < 0.25
    gap = _uniform(rng, (0.0, 3.0), count) + radius
    length = _uniform(rng, _SPECK_LENGTH, count) * (rng.random(count) < 0.5)
    column = np.where(on_left, left - gap, right + gap)
    row = np.where(above, top, bottom) + _uniform(rng, (-3.0, 1.0), count)
    slant = _uniform(rng, (-0.8, 0.1), count)
    return _pieces(column - 0.5, row - 0.5, slant * length, length, radius)


def _rules(images: Floats, rng: np.random.Generator) -> Floats:
    """Pieces of a printed line along one side, faint or strong."""
    count = len(images)
    left, right, top, bottom = _box(images)
    side = rng.choice(4, count, p=(0.2, 0.2, 0.15, 0.45))  # left, right, above, below
    upright = side < 2
    gap = _uniform(rng, _RULE_GAP, count)
    beside = np.where(side % 2 == 0, np.where(upright, left, top) - gap, np.where(upright, right, bottom) + gap)
    low, high = np.where(upright, top, left) - 4, np.where(upright, bottom, right) + 4
    ends = np.sort(rng.random([2, count]), axis=0) * (high - low) + low
    tilt = _uniform(rng, (-0.06, 0.06), count)
    begin, length = ends[0], ends[1] - ends[0]
    column, row = np.where(upright, beside, begin) - 0.5, np.where(upright, begin, beside) - 0.5
    across, down = np.where(upright, tilt, 1) * length, np.where(upright, 1, tilt) * length
    grey = _uniform(rng, (0.3, 1.0), count)[:, None, None].astype(np.float32)
    rules: Floats = grey * _pieces(column, row, across, down, _uniform(rng, _RULE_RADIUS, count))
    return rules


def _pieces(
    column: npt.NDArray[np.float64],
    row: npt.NDArray[np.float64],
    across: npt.NDArray[np.float64],
    down: npt.NDArray[np.float64],
    radius: npt.NDArray[np.float64],
) -> Floats:
    """One straight stroke in each of n fields, float32 [n, 28, 28]."""
    pieces = np.stack([np.stack([column, row], axis=1), np.stack([across, down], axis=1)], axis=1)
    return draw_pieces(pieces[:, None].astype(np.float32), radius)


def _uniform(rng: np.random.Generator, limits: tuple[float, float], count: int) -> npt.NDArray[np.float64]:
    return rng.uniform(*limits, count)


def _box(images: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Left, right, upper and lower edge of the ink, float32 [n] each, in pixels from the field's edge."""
    inked = images > _INK
    ends = []
    for axis in (1, 2):
        line = np.any(inked, axis=axis)
        ends += [line.argmax(axis=1), SIDE - line[:, ::-1].argmax(axis=1)]
    left, right, top, bottom = (np.asarray(end, np.float32) for end in ends)
    return left, right, top, bottom
