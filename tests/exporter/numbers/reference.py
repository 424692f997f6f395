"""The same steps as `exporter.numbers.field` and `.seams`, for one picture, in NumPy and plain loops."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

HEIGHT, DIGIT_HEIGHT, MARGIN = 56, 32, 4
_SHEARS = np.arange(-6, 13, dtype=np.float32) / 10  # not quite tenths: shifts of half a column are rounded up or down


@dataclass(frozen=True)
class Line:
    """One line of digits: ink [HEIGHT, w], its width and slant, and where the canvas lies in the picture."""

    ink: Array
    width: int
    slant: float
    origin: tuple[float, float]
    step: float


def to_line(level: Array) -> Line:
    """Bring a picture without rules, grey levels [h, w], to a canvas."""
    height, width = level.shape
    step = max(height / 64, width / 2048)
    coarse, inside = resample(level, 0.0, 0.0, step, 64)
    if _is_bright(coarse, inside):
        level, coarse = 255 - level, 255 - coarse
    top, bottom = _band(to_ink(coarse, inside, 25).sum(axis=1))
    middle = (top + bottom) / 2 * step
    step = max(step * (bottom - top) / DIGIT_HEIGHT, width / (2048 - 2 * MARGIN))
    origin = (middle - step * HEIGHT / 2, -MARGIN * step)
    fine, inside = resample(level, *origin, step, HEIGHT)
    ink = to_ink(fine, inside, 17)
    return Line(ink, int(np.ceil(width / step)) + 2 * MARGIN, slant(ink), origin, step)


def resample(level: Array, top: float, left: float, step: float, height: int) -> tuple[Array, Array]:
    """Levels from a place on, one each `step` pixels, and which of them belong to the picture."""
    width = int(np.ceil((level.shape[1] - 2 * left) / step))

    def weights(first: float, count: int, length: int) -> tuple[Array, Array]:
        place = first + (np.arange(count) + 0.5) * step
        is_inside = (place > 0) & (place < length)
        near = np.maximum(
            0, max(step, 1.0) - np.abs(np.clip(place, 0.5, length - 0.5)[:, None] - np.arange(length) - 0.5)
        )
        return near / near.sum(axis=1, keepdims=True), is_inside

    rows, inside_rows = weights(top, height, level.shape[0])
    columns, inside_columns = weights(left, width, level.shape[1])
    return rows @ level @ columns.T, np.outer(inside_rows, inside_columns)


def _windows(values: Array, window: int, beyond: float) -> Array:
    """What is around each place, [h, w, window, window]."""
    padded = np.pad(values, window // 2, constant_values=beyond)
    return np.lib.stride_tricks.sliding_window_view(padded, (window, window))


def _sum(values: Array, window: int) -> Array:
    return np.asarray(_windows(values.astype(float), window, 0.0).sum(axis=(2, 3)))


def _is_bright(level: Array, inside: Array) -> bool:
    mean = _sum(level * inside, 17) / np.maximum(_sum(inside, 17), 1)
    deviation = (level - mean) * inside
    return bool((np.maximum(deviation, 0) ** 3).sum() > (np.maximum(-deviation, 0) ** 3).sum())


def to_ink(level: Array, inside: Array, window: int) -> Array:
    """How far dark lines stand out of bright paper, 0 to 1."""
    blurred = _sum(level, 3) / _sum(np.ones_like(level), 3) * inside
    widened = _windows(blurred, window, -np.inf).max(axis=(2, 3))
    paper = _windows(widened, window, np.inf).min(axis=(2, 3))
    stands_out = np.maximum(paper - level, 0) / np.maximum(paper, 16) * inside
    threshold = _otsu(stands_out[inside])
    is_ink = stands_out > threshold
    mean = stands_out[is_ink].mean() if is_ink.any() else 0.0
    if mean <= 0.04:
        return np.zeros_like(level)
    low = 0.8 * threshold
    ink = np.clip((stands_out - low) / (max(0.8 * mean, low + 1e-3) - low), 0, 1)
    is_large = _sum(ink, 7) > 9
    return np.asarray(ink * is_large)


def _otsu(values: Array) -> float:
    most = max(values.max(), 1e-6)
    share = np.bincount((values * ((64 - 1e-3) / most)).astype(int), minlength=64) / len(values)
    middles = (np.arange(64) + 0.5) / 64
    best, threshold = 0.0, 0.0
    for cut in range(1, 64):
        below = share[:cut].sum()
        if 0 < below < 1:
            one, other = (share * middles)[:cut].sum() / below, (share * middles)[cut:].sum() / (1 - below)
            between = below * (1 - below) * (one - other) ** 2
            if between > best + 1e-9:
                best, threshold = between, cut / 64 * most
    return threshold


def _band(profile: Array) -> tuple[float, float]:
    share = np.cumsum(profile) / max(profile.sum(), 1e-6)
    top, bottom = float((share < 0.02).sum()), float((share < 0.98).sum() + 1)
    lacking = max(0.0, 4 - (bottom - top)) / 2
    return top - lacking, bottom + lacking


def slant(ink: Array) -> float:
    """Columns per row by which strokes lean."""
    half = ink[:, : ink.shape[1] // 2 * 2].reshape(HEIGHT // 2, 2, -1, 2).mean(axis=(1, 3))
    best, found = -1.0, 0.0
    for shear in map(float, _SHEARS):
        sums = np.zeros(half.shape[1] * 3)
        for row, values in enumerate(half):
            shift = int(np.rint(shear * ((HEIGHT // 2 - 1) / 2 - row)))
            sums[half.shape[1] - shift : 2 * half.shape[1] - shift] += values
        kept = sums[half.shape[1] : 2 * half.shape[1]]
        sharpness = (kept**2).sum() * (1 - 0.02 * abs(shear))
        if sharpness > best:
            best, found = sharpness, shear
    return found


def seam_cost(ink: Array, column: int) -> float:
    """The least that a seam through a column of the middle row costs: ink, and 0.05 a step aside."""
    total = 0.0
    half = HEIGHT // 2
    for rows in (ink[half - 1 :: -1], ink[half:]):
        cost = np.full(ink.shape[1], np.inf)
        cost[column] = rows[0, column]
        for row in rows[1:]:
            wide = np.pad(cost, 1, constant_values=np.inf)
            cost = np.minimum(wide[1:-1], np.minimum(wide[:-2], wide[2:]) + 0.05) + row
        total += cost.min()
    return total
