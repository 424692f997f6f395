"""Digits drawn in MNIST's form, stroke by stroke: curves through a few places, and a round pen. NumPy only."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exporter.contract import SIDE

Floats = npt.NDArray[np.float32]
Stroke = npt.NDArray[np.float64]
"""Columns and rows, [k, 2], of the corners that a pen passes, in any unit; rows count downwards."""

BOX = 20.0  # longest side of the digits in MNIST's form, in pixels
CENTRE = 14.0  # MNIST's centre of mass, as a place between pixels counted from 0
_STEPS = 3  # straight pieces between two places of a curve: at this size no eye sees more
_TOGETHER = 16  # pictures whose intermediate arrays stay in a core's cache
_PLACES = np.arange(SIDE, dtype=np.float32)


def _spline() -> npt.NDArray[np.float64]:
    """Weights, [steps, 4], of the four places around a piece of a Catmull-Rom curve."""
    t = np.linspace(0, 1, _STEPS, endpoint=False)
    weights = [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    return 0.5 * np.stack(weights, axis=1)


_SPLINE = _spline()


def curve(*places: tuple[float, float]) -> Stroke:
    """A smooth stroke through two or more places, given as (column, row)."""
    corners = np.array(places)
    before, after = 2 * corners[0] - corners[1], 2 * corners[-1] - corners[-2]
    padded = np.vstack([before, corners, after])
    count = len(corners) - 1
    around = np.stack([padded[first : first + count] for first in range(4)], axis=1)  # [pieces, 4, 2]
    return np.vstack([(_SPLINE @ around).reshape(-1, 2), corners[-1:]])


def arc(
    centre: tuple[float, float], radii: tuple[float, float], start: float, end: float, inwards: float = 1.0
) -> Stroke:
    """A piece of an ellipse, or of a spiral.

    Args:
        centre: column and row.
        radii: across and down.
        start: in degrees, clockwise from the right.
        end: the same; less than `start` for a stroke against the clock.
        inwards: what is left of the radii at the beginning; they are full after an eighth of the way.
    """
    count = max(3, round(abs(end - start) / 20) + 1)
    angle = np.radians(np.linspace(start, end, count))
    share = 1 - (1 - inwards) * np.clip(1 - np.linspace(0, 8, count), 0, 1)
    return np.stack(
        [centre[0] + share * radii[0] * np.cos(angle), centre[1] + share * radii[1] * np.sin(angle)], axis=1
    )


def joined(*parts: Stroke) -> Stroke:
    """One stroke of several, without lifting the pen."""
    return np.concatenate(parts)


def line(start: tuple[float, float], end: tuple[float, float]) -> Stroke:
    """A straight stroke between two places."""
    return np.array([start, end])


def slanted(strokes: Sequence[Stroke], slant: float) -> list[Stroke]:
    """Strokes that lean to the right by `slant` columns a row."""
    return [stroke - stroke[:, 1:] * [slant, 0] for stroke in strokes]


def turned(strokes: Sequence[Stroke], degrees: float) -> list[Stroke]:
    """Strokes turned with the clock."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return [stroke @ np.array([[cos, sin], [-sin, cos]]) for stroke in strokes]


def either_way(rng: np.random.Generator) -> int:
    """1 or -1: with the clock, or against it."""
    return 1 if rng.random() < 0.5 else -1


def draw(digits: Sequence[Sequence[Stroke]], radii: npt.NDArray[np.floating]) -> Floats:
    """Draw digits in MNIST's form: their longest side 20 pixels, their centre of mass at the middle.

    Args:
        digits: the strokes of each of n digits, in units of their own.
        radii: half the width of the pen of each, in pixels, [n].

    Returns:
        float32 [n, 28, 28], 0 to 1, white ink on black.
    """
    counts = [sum(len(stroke) - 1 for stroke in strokes) for strokes in digits]
    pictures = np.empty([len(digits), SIDE, SIDE], np.float32)
    # Together with others that have about as many pieces: each takes as long as the one with the most.
    order = np.argsort(counts)
    for first in range(0, len(digits), _TOGETHER):
        some = order[first : first + _TOGETHER]
        most = counts[some[-1]]
        pictures[some] = draw_pieces(np.stack([_pieces(digits[i], radii[i], most) for i in some]), radii[some])
    _centre(pictures)
    return pictures


def draw_pieces(pieces: Floats, radii: npt.NDArray[np.floating]) -> Floats:
    """Draw straight strokes with round ends.

    Args:
        pieces: float32 [n, k, 2, 2]: of each of k pieces in a picture where it begins and the way to its end, as
            column and row in pixels, 0 in the middle of the first one.
        radii: half the width of the pen of each picture, in pixels, [n].

    Returns:
        float32 [n, 28, 28], 0 to 1, white ink on black.
    """
    width = radii.astype(np.float32)[:, None, None] + np.float32(0.5)
    pictures: Floats = np.clip(width - _distances(pieces), 0, 1)
    return pictures


def _pieces(strokes: Sequence[Stroke], radius: float, most: int) -> Floats:
    """Beginnings and ways of the straight pieces of a digit, float32 [most, 2, 2], in pixels of the field.

    If it has fewer, the last one comes again, which changes no distance.
    """
    start = np.concatenate([stroke[:-1] for stroke in strokes])
    way = np.concatenate([stroke[1:] for stroke in strokes]) - start
    places = np.concatenate(strokes)
    low, high = places.min(axis=0), places.max(axis=0)
    scale = (BOX - 2 * radius) / max(float((high - low).max()), 1e-6)
    length = np.sqrt((way**2).sum(axis=1)) + 1e-6
    centre = (start + way / 2).T @ length / length.sum()
    # Whatever the centre of mass, the ink stays in the field.
    least, greatest = radius - 0.5 - scale * (low - centre), SIDE - 0.5 - radius - scale * (high - centre)
    shift = np.clip(CENTRE, least, np.maximum(least, greatest))
    pieces = np.stack([(start - centre) * scale + shift, way * scale], axis=1)
    return np.concatenate([pieces, np.repeat(pieces[-1:], most - len(pieces), axis=0)]).astype(np.float32)


def _centre(pictures: Floats) -> None:
    """Move pictures, in place, by whole pixels that their centre of mass is off: where strokes meet, ink lies once."""
    mass = np.maximum(pictures.sum(axis=(1, 2)), 1e-6)
    for axis in (1, 2):
        off = np.rint(CENTRE - pictures.sum(axis=3 - axis) @ _PLACES / mass).astype(int)
        for place in np.flatnonzero(off):
            lines = pictures[place] if axis == 1 else pictures[place].T
            beyond = lines[-off[place] :] if off[place] > 0 else lines[: -off[place]]
            if not beyond.any():
                lines[:] = np.roll(lines, off[place], axis=0)


def _distances(pieces: Floats) -> Floats:
    """From each pixel's middle to the closest of the pieces, [n, k, 2, 2]: float32 [n, 28, 28]."""
    start, way = pieces[:, :, 0, :, None], pieces[:, :, 1, :, None]  # [n, k, 2, 1]
    columns, rows = _PLACES - start[:, :, 0], _PLACES - start[:, :, 1]  # [n, k, 28]
    right, down = way[:, :, 0], way[:, :, 1]
    square = np.maximum(right**2 + down**2, 1e-6)
    passed = (rows * down / square)[:, :, :, None] + (columns * right / square)[:, :, None, :]
    np.clip(passed, 0, 1, out=passed)
    across = columns[:, :, None, :] - passed * right[..., None]
    along = rows[:, :, :, None] - passed * down[..., None]
    across *= across
    along *= along
    across += along
    distances: Floats = np.sqrt(across.min(axis=1))
    return distances
