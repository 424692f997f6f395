"""A plain NumPy reference of how printed lines are taken away, one picture and one line at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exporter.picture import lines as found_lines
from exporter.picture import ridges, rules
from exporter.picture.ridges import BLOCKS, ROWS
from tests.exporter.picture.reference_cells import Mask, Numbers, to_cells

_MIDDLE = (BLOCKS - 1) / 2
_TILTS = range(-ridges.STEEPEST, ridges.STEEPEST + 1)


class _RuledPaperError(Exception):
    """There are lines all over the picture."""


@dataclass
class Line:
    """A line along a side: of axis 0 or 1, the first side or the last; `picture` has it along its rows."""

    axis: int
    is_last: bool
    is_long: bool
    row: int
    tilt: int
    sign: int
    height: float
    ridges: Numbers
    picture: Numbers

    def follow(self) -> None:
        """Measure where the line runs, and what levels are on it and beside it."""
        height, width = self.picture.shape
        cell = height / ROWS
        first, last = self._band()
        margin = max(1.0, found_lines._MARGIN * cell)
        along = (np.arange(width) + 0.5) / width - 0.5
        tilt = self.tilt * along * BLOCKS / _MIDDLE * cell
        self.top, self.bottom = first * cell + tilt - margin, (last + 1) * cell + tilt + margin
        self.rows, self.is_cut = last - first + 1, first == 0 or last == ROWS - 1
        near = [
            self.ridges[np.clip(self._rows_at(self.row) + step, 0, ROWS - 1), np.arange(BLOCKS)] for step in (-1, 0, 1)
        ]
        heights = np.sort(np.max(near, axis=0))
        self.evenness = heights[2] / np.median(heights)
        self.beside = self.sign * probe(self.picture, self.top - 0.5 if self.is_last else self.bottom + 0.5)
        half = (self.bottom - self.top) / 2 - 0.5
        places = [(self.top + self.bottom) / 2 + step * half for step in np.linspace(-1, 1, found_lines._PROBES)]
        self.on = np.max([self.sign * probe(self.picture, place) for place in places], axis=0)
        self.paper = np.median(self.beside)
        self.contrast = np.median(self.on) - self.paper

    def judge(self, others: list["Line"]) -> bool:
        """Whether it is a printed line; its corners with lines of the other axis count for nothing."""
        along = np.arange(self.picture.shape[1]) + 0.5
        use = np.ones(len(along), bool)
        for other in others:
            if other.axis != self.axis:
                use &= along < other.top.min() if other.is_last else along > other.bottom.max()
        if use.sum() < found_lines._LEAST_LENGTH:
            return False
        is_covered = (self.on - self.paper > found_lines._INK_ON * self.contrast)[use]
        attached = (self.beside - self.paper > found_lines._INK_BESIDE * self.contrast)[use].mean()
        end = max(1, len(is_covered) // found_lines._END_PARTS)
        is_slim = self.rows <= (found_lines._SLIM_AT_EDGE if self.is_cut else found_lines._SLIM)
        is_deep = min(self.row, ROWS - 1 - self.row) >= found_lines._DEEP
        self.is_certain = (
            self.is_long
            and attached <= found_lines._CERTAIN_ATTACHED
            and is_covered.mean() >= found_lines._CERTAIN_COVERED
            and self.evenness >= found_lines._CERTAIN_EVEN
            and self.rows <= found_lines._CERTAIN_ROWS
        )
        return bool(
            (is_slim or (attached <= found_lines._FAT_ATTACHED and self.evenness >= found_lines._FAT_EVEN))
            and (not is_deep or attached <= found_lines._DEEP_ATTACHED or abs(self.tilt) <= found_lines._DEEP_TILT)
            and self.contrast > 0
            and attached <= found_lines._MOST_ATTACHED
            and is_covered.mean() >= found_lines._LEAST_COVERED
            and self.rows <= found_lines._THICK
            and min(is_covered[:end].mean(), is_covered[-end:].mean()) >= found_lines._LEAST_REACH
            and self.evenness >= found_lines._LEAST_EVEN
        )

    def _rows_at(self, row: int) -> npt.NDArray[np.intp]:
        """The rows in which the line passes the blocks."""
        steps = np.rint(self.tilt * (np.arange(BLOCKS) - _MIDDLE) / _MIDDLE)
        rows: npt.NDArray[np.intp] = np.clip(row + steps.astype(int), 0, ROWS - 1)
        return rows

    def _band(self) -> tuple[int, int]:
        """The first and the last row of the line."""
        rows = [
            np.sort(self.ridges[self._rows_at(row), np.arange(BLOCKS)])[1 : BLOCKS - 3].mean() for row in range(ROWS)
        ]
        middle = max(range(max(0, self.row - 1), min(ROWS, self.row + 2)), key=lambda row: rows[row])
        belongs = [height > found_lines._FLANK * rows[middle] for height in rows]
        first = last = middle
        while first > max(0, middle - found_lines._MOST_ROWS) and belongs[first - 1]:
            first -= 1
        while last < min(ROWS - 1, middle + found_lines._MOST_ROWS) and belongs[last + 1]:
            last += 1
        return first, last


def off_rules(level: Numbers) -> Numbers:
    """Paint over printed boxes, frames and rules of a picture, [h, w], by what is on both sides of them."""
    if max(level.shape) < rules._LEAST_LONGER or min(level.shape) < rules._LEAST_SHORTER or not _may_have_lines(level):
        return level
    for _ in range(rules._PASSES):
        taken = _to_take(level, _lines(level))
        for axis in (0, 1):
            before = level if axis == 0 else level.T
            after = before
            for line in taken:
                if line.axis == axis:
                    after = np.where(_within(line, before), _across(line, before), after)
            level = after if axis == 0 else after.T
        if not taken:
            break
    return level


def _may_have_lines(level: Numbers) -> bool:
    """Whether ridges of the overview run along a side, in all blocks but one, or along three in all but two."""
    cells = to_cells(level)
    profiles = [to_cells(part, len(part), BLOCKS) for part in (cells, cells.T)]
    floor = ridges._COARSE_SHARE * _floor(profiles)
    most = []
    for profile in profiles:
        high = [_near(_ridges(sign * profile, ridges._REACH * len(profile) // ROWS)) > floor for sign in (-1, 1)]
        blocks = np.max(np.sum(high, axis=2), axis=0)
        most += [blocks[: ridges._COARSE_ZONE].max(), blocks[-ridges._COARSE_ZONE :].max()]
    return bool(max(most) >= BLOCKS - 1 or sorted(most)[1] >= BLOCKS - 2)


def _floor(profiles: list[Numbers]) -> float:
    return max(ridges._LEAST, ridges._LEAST_SHARE * max(float(np.ptp(profile)) for profile in profiles))


def _ridges(profile: Numbers, reach: int) -> Numbers:
    """How far each row stands out from the highest of the lowest levels above and below."""
    out = np.empty_like(profile)
    for row, levels in enumerate(profile):
        sides = [profile[row - reach : row]] if row >= reach else []
        sides += [profile[row + 1 : row + 1 + reach]] if row + reach < len(profile) else []
        out[row] = levels - np.max([side.min(axis=0) for side in sides], axis=0)
    return np.maximum(out, 0)


def _near(heights: Numbers) -> Numbers:
    """The highest of each row and the ones before and after it."""
    around = np.pad(heights, ((1, 1), (0, 0)))
    highest: Numbers = np.max([around[:-2], around[1:-1], around[2:]], axis=0)
    return highest


def _lines(level: Numbers) -> list[Line]:
    """The printed lines of a picture, at most one along each side."""
    try:
        found = list(_candidates(level))
    except _RuledPaperError:
        return []
    if not any(line.is_long for line in found) and len(found) < 3:
        return []
    for line in found:
        line.follow()
    judged = [line for line in found if line.judge(found)]
    return judged if len(judged) >= 3 else [line for line in judged if line.is_long]


def _candidates(level: Numbers) -> Iterator[Line]:
    profiles = [to_cells(picture, ROWS, BLOCKS) for picture in (level, level.T)]
    floor = _floor(profiles)
    for axis, profile in enumerate(profiles):
        for is_last in (False, True):
            best = []
            for sign in (-1, 1):
                above_median = sign * profile - np.median(sign * profile, axis=0)
                heights = np.minimum(_ridges(sign * profile, ridges._REACH), np.maximum(above_median, 0))
                is_high = np.sort(_near(heights), axis=1)[:, 2] > floor
                if (np.diff(is_high, prepend=False) & is_high).sum() > ridges._MOST_LINES:
                    raise _RuledPaperError
                for hidden in (1, 2):
                    height, row, tilt = _highest(_near(heights), hidden, is_last=is_last)
                    if height > floor:
                        picture = level if axis == 0 else level.T
                        best.append(Line(axis, is_last, hidden == 1, row, tilt, sign, height, heights, picture))
                        break
            if best:
                yield max(best, key=lambda line: line.height)


def _highest(heights: Numbers, hidden: int, *, is_last: bool) -> tuple[float, int, int]:
    """Height, row and tilt of the highest line in a zone: what all its blocks reach but for so many."""
    zone = range(ROWS - ridges._ZONE, ROWS) if is_last else range(ridges._ZONE)
    best = (-np.inf, 0, 0)
    for tilt in _TILTS:
        steps = np.rint(tilt * (np.arange(BLOCKS) - _MIDDLE) / _MIDDLE).astype(int)
        for row in zone:
            blocks = np.sort(heights[np.clip(row + steps, 0, ROWS - 1), np.arange(BLOCKS)])
            height = blocks[hidden] - ridges._TILT_COSTS * abs(tilt)
            if height > best[0]:
                best = (height, row, tilt)
    return best


def probe(picture: Numbers, place: Numbers) -> Numbers:
    """The level in each column at its place, in pixels from the upper side; linear between the pixels' middles."""
    rows = np.arange(len(picture)) + 0.5
    return np.array([np.interp(y, rows, column) for y, column in zip(place, picture.T, strict=True)])


def _to_take(level: Numbers, found: list[Line]) -> list[Line]:
    """Those of the lines that are to be taken away."""
    if not found:
        return []
    holds_digit, is_free = _rest(level, found)
    certain = [line for line in found if line.is_certain]
    if not holds_digit:
        return []
    if len(found) >= 2 and certain:
        return found
    return [line for line in found if line.evenness >= rules._FREE_EVEN] if is_free else certain


def _rest(level: Numbers, found: list[Line]) -> tuple[bool, bool]:
    """Whether there is a digit between the lines, and whether it touches no side that has no line."""
    ends = [[0, level.shape[0]], [0, level.shape[1]]]
    for line in found:
        ends[line.axis][line.is_last] = int(np.floor(line.top.min()) if line.is_last else np.ceil(line.bottom.max()))
    ends = [[max(0, first), min(length, last)] for (first, last), length in zip(ends, level.shape, strict=True)]
    (top, bottom), (left, right) = ends
    if min(bottom - top, right - left) < rules._LEAST_SIDE:
        return False, False
    grid = rules._GRID
    cells = to_cells(level[top:bottom, left:right], grid, grid)
    stands_out = np.abs(cells - np.median(cells))
    contrast = max(line.contrast for line in found)
    if stands_out.max() < max(rules._LEAST_REST, rules._LEAST_REST_SHARE * contrast):
        return False, False
    strong = stands_out > rules._STRONG * stands_out.max()
    is_large, is_free = False, True
    for axis, (first, last) in enumerate(ends):
        occupied = np.flatnonzero(strong.any(axis=1 - axis))
        size = (occupied[-1] - occupied[0] + 1) / grid * (last - first)
        is_large |= bool(size >= rules._LEAST_SIZE * level.shape[axis])
        for is_last, place in ((False, 0), (True, grid - 1)):
            has_line = any(line.axis == axis and line.is_last == is_last for line in found)
            is_free &= has_line or place not in occupied
    return is_large, is_free


def _within(line: Line, picture: Numbers) -> Mask:
    """Which pixels are a line's; one at the picture's edge has no other side."""
    y = np.arange(len(picture))[:, None] + 0.5
    below_top = (y > line.top) | (line.top < 0.5)
    above_bottom = (y < line.bottom) | (line.bottom > len(picture) - 0.5)
    within: Mask = below_top & above_bottom
    return within


def _across(line: Line, picture: Numbers) -> Numbers:
    """Levels between what is above a line and what is below it; at the picture's edge, of its one other side."""
    above, below = probe(picture, line.top - 0.5), probe(picture, line.bottom + 0.5)
    above, below = (
        np.where(line.top < 0.5, below, above),
        np.where(line.bottom > len(picture) - 0.5, above, below),
    )
    y = np.arange(len(picture))[:, None] + 0.5
    part = np.clip((y - line.top) / (line.bottom - line.top), 0, 1)
    painted: Numbers = above * (1 - part) + below * part
    return painted
